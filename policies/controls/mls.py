"""MLS: models come into service signed by two who cannot do each other's part, and from nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from controls.sto import LOCK, bucket_keeps_versions
from machinery.authority import Right, authority, rests_elsewhere
from machinery.buckets import BUCKET, is_replica
from machinery.control import HIGH, Catalogue, References
from machinery.documents import statements
from machinery.grants import ROLE
from machinery.learning import serves, trains
from machinery.models import (
    WRITES,
    arn_of,
    buckets_of_models,
    holds_models,
    promoters,
    served_from,
    verification_keys,
    vouching_keys,
)
from machinery.patterns import covers
from machinery.stack import Stack
from machinery.subject import Outcome, Outcomes, Resource, Undecided, Violation
from machinery.workloads import Workload, each_workload, found, roles, wearers

catalogue = Catalogue()

BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"


@catalogue.stack(
    "MLS-01",
    "Models are versioned and locked, and one role alone puts them where they are served from",
    severity=HIGH,
    on=BUCKET,
    remedy="Version and lock the bucket of models; let one role put objects under the prefix that serving reads, and neither serving nor training.",
    references=References(
        nist=["AC-5", "SI-7"],
        atlas=["AML.M0005", "AML.M0014"],
        owasp_ml=["ML06", "ML10"],
        fsbp=["S3.14", "S3.15"],
    ),
)
def models_are_kept_from_all_but_one(bucket: Resource, stack: Stack) -> Outcomes:
    if is_replica(bucket, stack) or not holds_models(bucket, stack):
        return
    yield from bucket_keeps_versions(bucket, stack)
    if not stack.referrers(bucket, "bucket", LOCK) and not bucket.has("objectLockConfiguration"):
        yield bucket.violation(
            "", "holds models and is not locked, so a model can be rewritten under its version"
        )
    yield from _let_in_by_policy(bucket, stack)
    patterns = served_from(bucket, stack)
    may_put = promoters(patterns, stack)
    if len(may_put) > 1:
        yield bucket.violation("", f"can be written by {len(may_put)} roles where models are served from")
    for role in may_put:
        if wearers(role, stack, serves):
            yield Violation("", "serves models and may replace them", urn=role.urn)


def _let_in_by_policy(bucket: Resource, stack: Stack) -> Iterator[Outcome]:
    """Judge who the bucket's own policy lets put objects, whatever their roles say."""
    known = {role.value.get("arn") for role in stack.of(ROLE) if isinstance(role.value.get("arn"), str)}
    for policy in stack.referrers(bucket, "bucket", BUCKET_POLICY):
        for statement in statements(policy, "policy"):
            strangers = [p for p in statement.principals if p.kind != "Service" and p.name not in known]
            if (strangers or statement.not_principals) and any(map(statement.grants, WRITES)):
                yield policy.violation(statement.path, "lets somebody put models who is no role of the stack")


_SIGNS = ("kms:Sign", "signer:SignPayload", "signer:StartSigningJob")
_LETS_SIGN = ("kms:PutKeyPolicy", "kms:CreateGrant")


@catalogue.stack(
    "MLS-02",
    "What serves knows whose signatures a model needs, and can make none itself",
    severity=HIGH,
    remedy="Tell the server the public key that models are signed with (VERIFICATION_KEY_ARN, say), and leave kms:Sign to who promotes.",
    references=References(
        nist=["CM-14", "SI-7(15)", "AC-5"], atlas=["AML.M0013", "AML.M0014"], owasp_ml=["ML06", "ML10"]
    ),
)
def servers_verify_and_cannot_sign(stack: Stack) -> Outcomes:
    return each_workload(stack, serves, lambda workload: _verifies(workload, stack))


def _verifies(workload: Workload, stack: Stack) -> Outcomes:
    keys = verification_keys(workload, stack)
    if not keys:
        yield workload.lacks("", "is told no key to verify models with, so it serves whatever lies there")
    made = [key.resource for key in keys if key.resource is not None]
    for role in roles(workload, stack):
        yield from _cannot_sign(role, made, stack)


def _cannot_sign(role: Resource, keys: list[Resource], stack: Stack) -> Iterator[Outcome]:
    for right in authority(stack).rights(role):
        if right.allows(*_SIGNS):
            yield Violation(right.statement.path, "lets a server of models sign", urn=right.urn)
        elif right.allows(*_LETS_SIGN) and any(right.reaches(arn_of(key)) for key in keys):
            yield Violation(
                right.statement.path, "lets a server of models give itself the right to sign", urn=right.urn
            )
    for key in keys:
        if authority(stack).is_let_in_by_key(role, key):
            yield Violation("policy", "lets a server of models sign", urn=key.urn)
    if rests_elsewhere(role, stack):
        yield Undecided("what a policy of AWS or of another stack allows", urn=role.urn)


@catalogue.stack(
    "MLS-03",
    "Nobody both makes a model and promotes it",
    severity=HIGH,
    on=ROLE,
    remedy="Give training and promotion a role and a signing key each: training writes candidates, promotion reads them and writes only what is served.",
    references=References(nist=["AC-5", "AC-6"], atlas=["AML.M0005", "AML.M0013"], owasp_ml=["ML06", "ML10"]),
)
def makers_do_not_promote(role: Resource, stack: Stack) -> Outcomes:
    rights = [right for right in authority(stack).rights(role) if right.allows(*WRITES)]
    signs = [key for key in vouching_keys(stack) if key.may_be_used_to_sign_by(role, stack)]
    if len(signs) > 1:
        yield role.violation("", "may sign both as who made a model and as who judged it")
    for bucket in buckets_of_models(stack) if rights else ():
        yield from _promotes_only(role, rights, bucket, stack)


def _promotes_only(role: Resource, rights: list[Right], bucket: Resource, stack: Stack) -> Iterator[Outcome]:
    patterns = served_from(bucket, stack)
    writes = [right for right in rights if right.reaches(f"{arn_of(bucket)}/*")]
    if not any(right.reaches(pattern) for right in writes for pattern in patterns):
        return
    if wearers(role, stack, trains):
        yield role.violation("", "trains models and puts them where they are served from")
    for right in writes:
        if not all(any(covers(p, resource) for p in patterns) for resource in right.statement.resources):
            yield Violation(
                right.statement.path, "writes candidates as well as what is served", urn=right.urn
            )


@catalogue.stack(
    "MLS-08",
    "A model is served only with the signed verdict of who attacked it, beside the signature of who made it",
    severity=HIGH,
    remedy="Tell the server two keys, the trainer's and the red team's (TRAINER_KEY_ARN and VERDICT_KEY_ARN, say), and let who trains sign with the first alone.",
    references=References(
        nist=["CM-4", "SA-11", "CM-14"],
        atlas=["AML.M0003", "AML.M0008", "AML.M0013"],
        owasp_ml=["ML01", "ML10"],
        aws_ai=["AISF-ML-04", "AISF-MODEL-01"],
    ),
)
def a_verdict_is_needed(stack: Stack) -> Outcomes:
    return each_workload(stack, serves, lambda workload: _needs_a_verdict(workload, stack))


def _needs_a_verdict(workload: Workload, stack: Stack) -> Outcomes:
    keys = verification_keys(workload, stack)
    if len(keys) < 2:
        yield workload.lacks(
            "", "asks for one signature only, so nobody has to have attacked a model that serves"
        )
        return
    for role in stack.of(ROLE) if found(stack, trains) else ():
        if wearers(role, stack, trains) and all(key.may_be_used_to_sign_by(role, stack) for key in keys):
            yield Violation(
                "", "trains models and may sign every verdict that serving asks for", urn=role.urn
            )
