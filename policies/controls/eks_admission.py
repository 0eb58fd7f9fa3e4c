"""EKS: namespaces, what may talk to what in them, and what admission lets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from machinery.control import HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.manifests import (
    DEFAULT_NAMESPACE,
    EKS_CLUSTER,
    SYSTEM_NAMESPACES,
    Manifest,
    Place,
    each,
    manifests,
    objects,
)
from machinery.pods import pods
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcomes,
    Resource,
    Undecided,
    UnknownReference,
    UnknownSwitch,
    Violation,
    per_item,
)
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

# --- namespaces ------------------------------------------------------------------------------------------

_ENFORCE = "pod-security.kubernetes.io/enforce"


@catalogue.stack(
    "EKS-10",
    "Every namespace enforces the restricted Pod Security Standard",
    severity=HIGH,
    remedy="Label the namespace pod-security.kubernetes.io/enforce: restricted, and run nothing in the default one.",
    references=References(nist=["CM-7", "AC-6"]),
)
def namespaces_are_restricted(stack: Stack) -> Outcomes:
    found = objects(stack)
    for place, made in found.namespaces.items():
        if not place.system:
            yield from each(made[:1], partial(_restricts, made))
    seen: set[Place] = set()
    for manifest in found.all:
        if any(_pods_of(manifest)):
            yield from each([manifest], partial(_stands_somewhere_restricted, stack, seen))


def _restricts(made: list[Manifest], first: Manifest) -> Outcomes:
    for namespace in made:
        level = namespace.told(namespace.labels, _ENFORCE)
        if level not in ("", "restricted"):
            yield replace(
                namespace.violation("metadata.labels", "enforces less than restricted"), urn=namespace.urn
            )
        elif level == "restricted" and not _is_current(namespace):
            yield replace(
                namespace.violation("metadata.labels", "enforces a standard of long ago"), urn=namespace.urn
            )
    owners = [namespace for namespace in made if not namespace.patch]
    if owners and not any(namespace.told(namespace.labels, _ENFORCE) for namespace in made):
        yield first.violation("metadata.labels", "enforces no Pod Security Standard")


_OLDEST_STANDARD = 25
"""Pod Security admission is stable since Kubernetes 1.25, and its standards have not changed in substance since."""


def _is_current(namespace: Manifest) -> bool:
    version = namespace.told(namespace.labels, f"{_ENFORCE}-version", "latest")
    minor = version.removeprefix("v1.")
    return version == "latest" or (minor.isdecimal() and len(minor) < 4 and int(minor) >= _OLDEST_STANDARD)


def _pods_of(manifest: Manifest) -> Iterator[object]:
    try:
        yield from pods(manifest)
    except (UnknownReference, UnknownSwitch, Malformed):
        yield manifest


def _stands_somewhere_restricted(stack: Stack, seen: set[Place], manifest: Manifest) -> Outcomes:
    found = objects(stack)
    place = found.place(manifest)
    if place is None:
        yield Undecided("metadata.namespace")
    elif place in seen or place in found.namespaces or place.system:
        return
    elif place.name == DEFAULT_NAMESPACE:
        yield manifest.violation("metadata.namespace", "is the default namespace, which enforces nothing")
    else:
        seen.add(place)
        yield Undecided("what the namespace of another stack enforces")


_DIRECTIONS = ("Ingress", "Egress")


@catalogue.stack(
    "EKS-11",
    "Every namespace refuses all traffic, in and out, that no other policy admits",
    severity=HIGH,
    remedy="Add a NetworkPolicy with an empty pod_selector, policy_types Ingress and Egress, and no rules.",
    references=References(nist=["AC-4", "SC-7(5)"], pci=["1.3.1", "1.3.2"]),
)
def namespaces_refuse_by_default(stack: Stack) -> Outcomes:
    found = objects(stack)
    refused: dict[Place | None, set[str]] = {}
    for policy in found.of("NetworkPolicy", groups=("networking.k8s.io", "extensions")):
        refused.setdefault(found.place(policy), set()).update(_refused_by_default(policy))
    for place, made in found.namespaces.items():
        if place.system or (all(one.patch for one in made) and place.name != DEFAULT_NAMESPACE):
            continue
        for direction in _DIRECTIONS:
            if direction in refused.get(place, ()):
                continue
            if direction in refused.get(None, ()):
                yield Undecided("the namespace of a NetworkPolicy", urn=made[0].urn)
            else:
                yield Violation(
                    "", f"has no policy that refuses {direction.lower()} by default", urn=made[0].urn
                )


def _refused_by_default(policy: Manifest) -> set[str]:
    """Return the directions that a policy closes for all pods; none where it cannot be said."""
    try:
        selects = list(leaves(policy.reference("spec.podSelector", absent={})))
        if policy.patch or any(found is not None for _, found in selects):
            return set()
        closed = set(map(str, _list(policy, "spec.policyTypes"))) & set(_DIRECTIONS)
        return {direction for direction in closed if not policy.has(f"spec.{direction.lower()}")}
    except (UnknownReference, UnknownSwitch, Malformed):
        return set()


# --- signatures ------------------------------------------------------------------------------------------

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
    references=References(nist=["SI-7(15)", "CM-14"], atlas=["AML.M0013"]),
)
def only_signed_images_run(stack: Stack) -> Outcomes:
    for cluster in _working_clusters(stack):
        policies = _signature_policies(stack, cluster)
        if not policies:
            yield _asks_for_none(stack, cluster, "has workloads, and an admission that asks for no signature")
        problems = [problem for policy in policies for problem in _weakness(policy, stack)]
        # One that holds is enough, whatever the others are for.
        if all(any(problem.urn == policy.urn for problem in problems) for policy in policies):
            yield from problems


def _working_clusters(stack: Stack) -> list[tuple[str, ...]]:
    """Return the clusters that the stack runs pods in."""
    found = objects(stack)
    return sorted({found.cluster(manifest) for manifest in found.all if any(_pods_of(manifest))})


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
    for path in ("spec.attestors", "spec.validations"):
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


# --- admission that does not refuse ----------------------------------------------------------------------

_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


@catalogue.resource(
    "EKS-21",
    "Admission webhooks refuse what they cannot judge",
    severity=HIGH,
    remedy="Set failurePolicy Fail, and run the webhook twice so that it answers; leave system namespaces out by a selector.",
    references=References(nist=["SC-24", "AC-3"]),
)
def webhooks_fail_closed(resource: Resource) -> Outcomes:
    found = [made for made in manifests(resource) if made.kind in _WEBHOOKS]
    yield from each(found, lambda made: per_item(made.items("webhooks"), partial(_fails_closed, made)))


def _fails_closed(made: Manifest, webhook: Node) -> Outcomes:
    # v1beta1 ignored failures where nothing was said (Kubernetes documentation, "Dynamic Admission Control").
    absent = "Ignore" if "/v1beta1:" in made.type and not made.patch else "Fail"
    if webhook.switch("failurePolicy", absent=absent) != "Fail":
        yield webhook.violation("failurePolicy", "lets everything in while the webhook does not answer")


@catalogue.stack(
    "EKS-22",
    "Every admission policy is bound, and refuses what it finds wrong",
    severity=HIGH,
    remedy="Add a ValidatingAdmissionPolicyBinding with validationActions Deny for the policy, and failurePolicy Fail.",
    references=References(nist=["AC-3", "CM-7"]),
)
def admission_policies_refuse(stack: Stack) -> Outcomes:
    found = objects(stack)
    bindings = [b for b in found.of("ValidatingAdmissionPolicyBinding") if not b.patch]
    yield from each(bindings, _denies)
    for policy in found.of("ValidatingAdmissionPolicy"):
        beside = [binding for binding in bindings if found.cluster(binding) == found.cluster(policy)]
        yield from each([policy], partial(_is_bound, beside))


def _denies(binding: Manifest) -> Outcomes:
    if "Deny" not in _list(binding, "spec.validationActions"):
        yield binding.violation("spec.validationActions", "only tells of what it should refuse")


def _is_bound(bindings: list[Manifest], policy: Manifest) -> Outcomes:
    if policy.switch("spec.failurePolicy", absent="Fail") != "Fail":
        yield policy.violation("spec.failurePolicy", "lets in what it cannot judge")
    if policy.patch or any(policy.urn in b.property_dependencies.get("spec", ()) for b in bindings):
        return
    own = policy.reference("metadata.name") if policy.known("metadata.name") else None
    named = [b.reference("spec.policyName") for b in bindings if b.known("spec.policyName")]
    if own is None or own not in named:
        if len(named) < len(bindings):
            yield Undecided("spec.policyName of a binding")
        else:
            yield policy.violation("", "is bound to nothing, so it judges nothing")


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
