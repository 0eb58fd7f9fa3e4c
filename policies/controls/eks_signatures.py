"""EKS: admission lets in images that somebody trusted signed, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from machinery.control import HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.manifests import EKS_CLUSTER, SYSTEM_NAMESPACES, Manifest, each, objects
from machinery.pods import Container, Pod, each_pod, per_container, runs_pods
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcomes,
    Resource,
    Undecided,
    UnknownReference,
    Violation,
)
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

_KYVERNO = ("kyverno.io",)
_KYVERNO_CEL = ("policies.kyverno.io",)
_SIGSTORE = ("policy.sigstore.dev",)
_SIGSTORE_LABEL = "policy.sigstore.dev/include"

KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
SIGNING_PROFILE = "aws:signer/signingProfile:SigningProfile"


@catalogue.stack(
    "EKS-15",
    "Admission lets in signed images only, and nothing while it cannot check",
    severity=HIGH,
    remedy="Add a Kyverno ImageValidatingPolicy or ClusterPolicy (verifyImages, Enforce, failurePolicy Fail) for all pods, or a sigstore ClusterImagePolicy.",
    references=References(
        nist=["SI-7(15)", "CM-14"], atlas=["AML.M0013", "AML.M0014"], owasp_ml=["ML06"], kubernetes=["5.5.1"]
    ),
)
def only_signed_images_run(stack: Stack) -> Outcomes:
    for cluster in _working_clusters(stack):
        policies = _signature_policies(stack, cluster)
        if not policies:
            yield _asks_for_none(stack, cluster, "has workloads, and an admission that asks for no signature")
            continue
        problems = {policy.urn: list(_weakness(policy, stack)) for policy in policies}
        sound = [policy for policy in policies if not problems[policy.urn]]
        if sound:
            # One that holds is enough for the images that it is about, whatever the others do.
            patterns = [pattern for policy in sound for pattern in _patterns(policy)]
            yield from _each_image_is_asked(stack, cluster, patterns)
        else:
            yield from (problem for found in problems.values() for problem in found)


def _each_image_is_asked(stack: Stack, cluster: tuple[str, ...], patterns: list[Any]) -> Outcomes:
    found = objects(stack)

    def judge(container: Container) -> Outcomes:
        image = container.reference("image")
        if not isinstance(image, str) or any(_matches(pattern, image) for pattern in patterns):
            return
        if UNKNOWN in patterns:
            yield Undecided("which images an expression of the policy is about")
        else:
            yield container.violation("image", "is of no policy that asks for its signature")

    def in_cluster(pod: Pod) -> Outcomes:
        place = found.place(pod.manifest)
        if found.cluster(pod.manifest) == cluster and not (place and place.system):
            yield from per_container(pod, judge)

    return each_pod(stack, in_cluster)


def _patterns(policy: Manifest) -> list[Any]:
    """Return the images that a policy asks a signature of, as patterns; ``UNKNOWN`` stands for an expression."""
    if policy.kind == "ClusterPolicy":
        return [
            _Wildcard(str(pattern))
            for _, check in _verifications(policy)
            for key in ("imageReferences", "image")
            for pattern in _list(check, key)
        ]
    if policy.kind == "ImageValidatingPolicy":
        return [
            _Wildcard(rule.word("glob")) if rule.has("glob") else UNKNOWN
            for rule in policy.items("spec.matchImageReferences")
        ]
    return [_Wildcard(rule.word("glob"), crosses="**") for rule in policy.items("spec.images")]


@dataclass(frozen=True)
class _Wildcard:
    """A pattern of image names; ``crosses`` is what also stands for slashes (in sigstore's, one star does not)."""

    text: str
    crosses: str = "*"


_MOST_STARS = 16
"""A pattern with more is none that somebody meant, and takes for ever to compare."""


def _matches(pattern: Any, image: str) -> bool:
    if not isinstance(pattern, _Wildcard):
        return False
    if pattern.text.count("*") > _MOST_STARS:
        raise Malformed("image")
    parts = pattern.text.split(pattern.crosses)
    one = [re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", ".") for part in parts]
    return re.fullmatch(".*".join(one), image) is not None


def _working_clusters(stack: Stack) -> list[tuple[str, ...]]:
    """Return the clusters that the stack runs pods in."""
    found = objects(stack)
    return sorted({found.cluster(manifest) for manifest in found.all if runs_pods(manifest)})


def _asks_for_none(stack: Stack, cluster: tuple[str, ...], problem: str) -> Violation | Undecided:
    if not stack.of(EKS_CLUSTER):
        return Undecided("what the admission of another stack's cluster asks for")
    urn = cluster[0] if cluster[0] in stack.by_urn else ""
    return replace(stack_violation(problem), urn=urn)


def _signature_policies(stack: Stack, cluster: tuple[str, ...]) -> list[Manifest]:
    found = objects(stack)
    policies = [
        *(p for p in found.of("ClusterPolicy", groups=_KYVERNO) if _verifications(p)),
        *found.of("ImageValidatingPolicy", groups=_KYVERNO_CEL),
        *found.of("ClusterImagePolicy", groups=_SIGSTORE),
    ]
    return [policy for policy in policies if found.cluster(policy) == cluster and not policy.patch]


def _verifications(policy: Manifest) -> list[tuple[Node, Node]]:
    """Return each check of images, and the rule that it stands in."""
    try:
        return [(rule, check) for rule in policy.items("spec.rules") for check in rule.items("verifyImages")]
    except (UnknownReference, Malformed):
        return []


def _weakness(policy: Manifest, stack: Stack) -> Iterator[Violation | Undecided]:
    judge: Callable[[Manifest], Outcomes] = {
        "ClusterPolicy": _kyverno,
        "ImageValidatingPolicy": _kyverno_cel,
    }.get(policy.kind, partial(_sigstore, stack))
    yield from each([policy], judge)


def _kyverno(policy: Manifest) -> Outcomes:
    # Kyverno documentation, "Verify Images Rules" and "Policy Settings": it audits, and it fails closed, where
    # nothing is said.
    said = policy.switch("spec.validationFailureAction", absent="Audit")
    for path in ("spec.failurePolicy", "spec.webhookConfiguration.failurePolicy"):
        if policy.switch(path, absent="Fail") != "Fail":
            yield policy.violation(path, "lets images in while nobody checks them")
    if policy.has("spec.validationFailureActionOverrides"):
        yield policy.violation("spec.validationFailureActionOverrides", "leaves namespaces out")
    if policy.switch("spec.admission", absent=True) is not True:
        yield policy.violation("spec.admission", "is off, so images are looked at when they run already")
    checks = _verifications(policy)
    for _, check in checks:
        if str(check.switch("failureAction", absent=said)).lower() != "enforce":
            yield check.violation("failureAction", "reports an unsigned image and lets it in")
        if check.switch("required", absent=True) is not True:
            yield check.violation("required", "is off")
        if not check.has("attestors") and not check.has("attestations"):
            yield check.violation("attestors", "names nobody whose signature counts")
        if not check.has("imageReferences") and not check.has("image"):
            yield check.violation("imageReferences", "names no images")
        if check.has("skipImageReferences"):
            yield check.violation("skipImageReferences", "leaves images out")
    if not any(_is_about_every_pod(rule) for rule, _ in checks):
        yield policy.violation("spec.rules", "leaves pods out")


def _is_about_every_pod(rule: Node) -> bool:
    """Say whether a rule of Kyverno is about the pods of every namespace but Kubernetes' own."""
    filters = [f for way in ("any", "all") for f in rule.items(f"match.{way}")] or [rule.part("match")]
    about = any(
        f.has("resources")
        and any(str(kind).rpartition("/")[2] == "Pod" for kind in _list(f, "resources.kinds"))
        and not set(_keys(f, "resources")) - {"kinds", "operations"}
        and not set(_keys(f, "")) - {"resources"}
        for f in filters
    )
    excluded = [f for way in ("any", "all") for f in rule.items(f"exclude.{way}")]
    if not excluded and rule.has("exclude"):
        excluded = [rule.part("exclude")]
    return about and all(
        set(_keys(f, "")) == {"resources"}
        and "namespaces" in _keys(f, "resources")
        and set(map(str, _list(f, "resources.namespaces"))) <= set(SYSTEM_NAMESPACES)
        for f in excluded
    )


def _kyverno_cel(policy: Manifest) -> Outcomes:
    # Kyverno documentation, "ImageValidatingPolicy": it denies, and it fails closed, where nothing is said.
    if policy.switch("spec.failurePolicy", absent="Fail") != "Fail":
        yield policy.violation("spec.failurePolicy", "lets images in while nobody checks them")
    actions = _list(policy, "spec.validationActions")
    if actions and "Deny" not in actions:
        yield policy.violation("spec.validationActions", "reports an unsigned image and lets it in")
    if policy.switch("spec.evaluation.admission.enabled", absent=True) is not True:
        yield policy.violation("spec.evaluation.admission.enabled", "is off")
    if policy.switch("spec.validationConfigurations.required", absent=True) is not True:
        yield policy.violation("spec.validationConfigurations.required", "is off")
    for path in ("spec.attestors", "spec.validations", "spec.matchImageReferences"):
        if not policy.has(path):
            yield policy.violation(path, "is missing, so nothing is checked")
    checks = "".join(str(check.switch("expression", absent="")) for check in policy.items("spec.validations"))
    if not any(word in checks for word in ("verifyImageSignatures", "verifyAttestationSignatures")):
        yield policy.violation("spec.validations", "checks no signature")
    if policy.has("spec.matchConditions") or not any(
        "pods" in _list(rule, "resources") or "*" in _list(rule, "resources")
        for rule in policy.items("spec.matchConstraints.resourceRules")
    ):
        yield policy.violation("spec.matchConstraints", "leaves pods out")
    if any(policy.has(f"spec.matchConstraints.{key}") for key in ("namespaceSelector", "objectSelector")):
        yield policy.violation("spec.matchConstraints", "leaves pods out")


def _sigstore(stack: Stack, policy: Manifest) -> Outcomes:
    # Sigstore documentation, "Policy Controller": it enforces where nothing is said, in namespaces that carry
    # its label.
    if policy.switch("spec.mode", absent="enforce") != "enforce":
        yield policy.violation("spec.mode", "reports an unsigned image and lets it in")
    if not policy.has("spec.images"):
        yield policy.violation("spec.images", "names no images")
    authorities = policy.items("spec.authorities")
    if not authorities:
        yield policy.violation("spec.authorities", "names nobody whose signature counts")
    for authority in authorities:
        if authority.switch("static.action") == "pass":
            yield authority.violation("static.action", "lets every image in")
    for place, made in objects(stack).namespaces.items():
        if not place.system and not any(one.told(one.labels, _SIGSTORE_LABEL) == "true" for one in made):
            yield policy.violation(
                "", "does not hold in a namespace without the label policy.sigstore.dev/include"
            )


@catalogue.stack(
    "EKS-17",
    "Admission trusts a named key, a signing profile or one exact identity",
    severity=MEDIUM,
    remedy="Give the policy a KMS key of the stack (awskms:///<arn>), a signing profile, a public key, or issuer and subject without wildcards.",
    references=References(nist=["SC-12", "CM-14"], atlas=["AML.M0013"]),
)
def admission_trusts_a_named_key(stack: Stack) -> Outcomes:
    for cluster in _working_clusters(stack):
        policies = _signature_policies(stack, cluster)
        if not policies:
            yield _asks_for_none(stack, cluster, "has workloads, and an admission that uses no signing key")
        yield from each(policies, partial(_trusts, stack))


def _trusts(stack: Stack, policy: Manifest) -> Outcomes:
    whole = policy.reference("spec")
    said = list(leaves(whole))
    # KMS keys and signing profiles are named by reference, whose value is not known before the update.
    known = {urn for urn in policy.property_dependencies.get("spec", ()) if _signs(stack.by_urn.get(urn))}
    if known or any(_is_trusted(stack, path, found) for path, found in said):
        pass
    elif any(found is UNKNOWN for _, found in said):
        yield Undecided("spec")
    else:
        yield policy.violation("spec", "names no key, no signing profile and no identity")
    for path, found in said:
        if path.rpartition(".")[2] in ("issuer", "subject") and isinstance(found, str) and "*" in found:
            yield Violation(f"spec.{path}", "is anybody who fits a wildcard")
        if path.rpartition(".")[2] in ("issuerRegExp", "subjectRegExp") and found in (
            ".*",
            ".+",
            "^.*$",
            "^.+$",
        ):
            yield Violation(f"spec.{path}", "is anybody")


def _signs(resource: Resource | None) -> bool:
    if resource is None:
        return False
    if resource.type == SIGNING_PROFILE:
        return True
    return resource.type == KEY and resource.switch("keyUsage", absent="ENCRYPT_DECRYPT") == "SIGN_VERIFY"


def _is_trusted(stack: Stack, path: str, found: Any) -> bool:
    if not isinstance(found, str):
        return False
    if "BEGIN PUBLIC KEY" in found or "BEGIN CERTIFICATE" in found:
        return True
    if found.startswith("awskms:///"):
        return _is_signing_key(stack, found.removeprefix("awskms:///"))
    if path.rpartition(".")[2] == "subject":
        return bool(found)
    return any(_signs(resource) for resource in stack.named(found))


def _is_signing_key(stack: Stack, name: str) -> bool:
    named = stack.named(name)
    keys = [key for alias in named if alias.type == ALIAS for key in stack.targets(alias, "targetKeyId", KEY)]
    # A key of another stack is named in full.
    return any(map(_signs, [*named, *keys])) or (not named and (":key/" in name or "alias/" in name))


def _list(node: Node, path: str) -> list[Any]:
    """Return the switches in the list at ``path``."""
    found = node.switch(path, absent=[])
    return found if isinstance(found, list) else [found]


def _keys(node: Node, path: str) -> list[str]:
    found = node.switch(path) if path else node.value
    return (
        [str(key) for key, item in found.items() if item not in (None, [], {})]
        if isinstance(found, Mapping)
        else []
    )
