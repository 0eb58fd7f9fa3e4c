"""Models on their way into service: whose signatures they need, where they are served from, who may put them there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from machinery.authority import KEY, Right, authority, signing_keys
from machinery.buckets import BUCKET, is_replica
from machinery.learning import MODEL_STORE, meant, serves
from machinery.patterns import covers
from machinery.stack import Stack
from machinery.subject import Resource, UnknownReference
from machinery.workloads import Workload, found, roles

VERIFIES = re.compile(
    r"(?:\w+_)??(?:VERIF[A-Z]*|PUBLIC|SIGN[A-Z]*|COSIGN|TRAINER|VERDICT|RED_?TEAM|PROMOTION|RELEASE|CANDIDATE|MODEL)"
    r"_KEYS?(?:_(?:ARN|ARNS|ID|IDS|FILE|PATH|PEM|URI|REF))?"
)
"""Names of variables that say whose signatures count."""

_PREFIX = re.compile(r"(?:\w+_)??PREFIX")

READS = ("s3:GetObject", "s3:GetObjectVersion")
WRITES = ("s3:PutObject",)


@dataclass(frozen=True)
class VerificationKey:
    """A key that a workload checks signatures with: one of the stack's, or one that is only named."""

    identity: str
    """What tells it from others: its URN, what it is named by, or which variable will name it."""
    resource: Resource | None = None
    text: str | None = None
    """What it is named by; none where that is not known yet."""

    def may_be_used_to_sign_by(self, role: Resource, stack: Stack) -> bool:
        """Say whether a role may sign with it; of a key that is no key of KMS nobody knows here.

        Raises:
            UnknownReference: which key it is, or what the role may do, is unknown.
        """
        if self.resource is not None:
            return role.urn in authority(stack).signers(arn_of(self.resource), self.resource)
        if self.text is None:
            raise UnknownReference(f"which key {self.identity} names")
        arn = self.text.removeprefix("awskms:///")
        return arn.startswith("arn:") and role.urn in authority(stack).signers(arn)


def verification_keys(workload: Workload, stack: Stack) -> list[VerificationKey]:
    """Return the keys that a workload is told to check signatures with, each once.

    A key of the stack that cannot sign (one that encrypts, say) is none, whatever the variable is called.
    """
    keys: dict[str, VerificationKey] = {}
    signing = {key.urn for key in signing_keys(stack)}
    told = workload.told(VERIFIES)
    for variable in workload.variables:
        named = variable in told
        made = meant(variable, workload, stack, KEY)
        if not isinstance(variable.value, str):
            if named and (not made or any(key.urn in signing for key in made)):
                keys.setdefault(variable.name, VerificationKey(variable.name))
            continue
        for key in made:
            if key.urn in signing:
                keys.setdefault(key.urn, VerificationKey(key.urn, key, variable.text))
        if named and not made and variable.text and not variable.off:
            keys.setdefault(variable.text, VerificationKey(variable.text, text=variable.text))
    return list(keys.values())


def vouching_keys(stack: Stack) -> list[VerificationKey]:
    """Return the keys that what serves checks models with; they are looked for once."""
    return stack.once(_vouching_keys)


def _vouching_keys(stack: Stack) -> list[VerificationKey]:
    made = {
        key.identity: key for workload in found(stack, serves) for key in verification_keys(workload, stack)
    }
    return list(made.values())


def model_buckets(workload: Workload, stack: Stack) -> list[Resource]:
    """Return the buckets that a workload is told models are in."""
    return [
        bucket
        for variable in workload.told(MODEL_STORE)
        for bucket in meant(variable, workload, stack, BUCKET)
    ]


def holds_models(bucket: Resource, stack: Stack) -> bool:
    """Say whether models are in a bucket: its tag says so, or something that serves is told so."""
    domain = bucket.switch("tags.data-domain")
    return domain in ("model", "models") or bucket.urn in stack.once(_told_to_servers)


def _told_to_servers(stack: Stack) -> frozenset[str]:
    buckets = (model_buckets(workload, stack) for workload in found(stack, serves))
    return frozenset(bucket.urn for each in buckets for bucket in each)


class Served:
    """The objects of buckets that what serves may load, as patterns of ARNs."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._workloads = found(stack, serves)
        self._known: dict[str, list[str]] = {}

    def patterns(self, bucket: Resource) -> list[str]:
        """Return what of a bucket is served.

        Raises:
            UnknownReference: it cannot be said yet.
        """
        if bucket.urn not in self._known:
            found = (pattern for workload in self._workloads for pattern in self._of(workload, bucket))
            self._known[bucket.urn] = sorted(set(found))
        return self._known[bucket.urn]

    def _of(self, workload: Workload, bucket: Resource) -> Iterator[str]:
        objects = f"{arn_of(bucket)}/*"
        acts_as = roles(workload, self._stack)
        if not acts_as and bucket in model_buckets(workload, self._stack):
            prefix = next((variable.read() for variable in workload.told(_PREFIX)), "")
            yield f"{arn_of(bucket)}/{prefix}*"
        for role in acts_as:
            for right in authority(self._stack).rights(role):
                if right.allows(*READS) and right.reaches(objects):
                    yield from _within(right, objects)


def _within(right: Right, objects: str) -> Iterator[str]:
    """Yield the patterns of a right that lie in a bucket; one that is wider is cut to the bucket."""
    if right.statement.not_resources:
        yield objects
    for pattern in right.statement.resources:
        if covers(objects, pattern):
            yield pattern
        elif right.reaches(objects) and covers(pattern, objects):
            yield objects


def arn_of(resource: Resource) -> str:
    """Return the ARN of a resource.

    Raises:
        UnknownReference: it is unknown.
    """
    arn = resource.reference("arn")
    if not isinstance(arn, str):
        raise UnknownReference("arn")
    return arn


def served_from(bucket: Resource, stack: Stack) -> list[str]:
    """Return what of a bucket is served, as patterns of ARNs; it is worked out once.

    Raises:
        UnknownReference: it cannot be said yet.
    """
    return stack.once(Served).patterns(bucket)


def buckets_of_models(stack: Stack) -> list[Resource]:
    """Return the buckets that models are in, but for replicas."""
    return stack.once(_buckets_of_models)


def _buckets_of_models(stack: Stack) -> list[Resource]:
    return [b for b in stack.of(BUCKET) if holds_models(b, stack) and not is_replica(b, stack)]


def promoters(patterns: Iterable[str], stack: Stack) -> list[Resource]:
    """Return the roles that may put something where it is served from.

    Raises:
        UnknownReference: what some role may do is unknown.
    """
    found = {role.urn: role for each in patterns for role in authority(stack).who_may(WRITES, each)}
    return list(found.values())
