"""EKS: namespaces, what may talk to what in them, and what admission lets in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from machinery.control import HIGH, Catalogue, References
from machinery.manifests import (
    DEFAULT_NAMESPACE,
    Manifest,
    Place,
    each,
    manifests,
    objects,
)
from machinery.pods import runs_pods
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
from machinery.values import leaves

catalogue = Catalogue()

# --- namespaces ------------------------------------------------------------------------------------------

_ENFORCE = "pod-security.kubernetes.io/enforce"


@catalogue.stack(
    "EKS-10",
    "Every namespace enforces the restricted Pod Security Standard",
    severity=HIGH,
    remedy="Label the namespace pod-security.kubernetes.io/enforce: restricted, and run nothing in the default one.",
    references=References(nist=["CM-7", "AC-6"], kubernetes=["5.2.1"]),
)
def namespaces_are_restricted(stack: Stack) -> Outcomes:
    found = objects(stack)
    for place, made in found.namespaces.items():
        if not place.system:
            yield from each(made[:1], partial(_restricts, made))
    seen: set[Place] = set()
    for manifest in found.all:
        if runs_pods(manifest):
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
    references=References(nist=["AC-4", "SC-7(5)"], pci=["1.3.1", "1.3.2"], kubernetes=["5.3.2"]),
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
