"""EKS: who may do what inside a cluster, and what is offered to the world from within."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from machinery.addresses import is_wider_than_listed
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.manifests import Manifest, Place, each, manifests, mapping, objects
from machinery.pods import Pod, each_pod
from machinery.stack import Stack
from machinery.subject import Malformed, Node, Outcomes, Resource, Undecided, per_item
from machinery.values import UNKNOWN

catalogue = Catalogue()

_RBAC = ("rbac.authorization.k8s.io",)
_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")

_ALL = "*"
_READS = frozenset(("get", "list", "watch", _ALL))
_MASTERS = "system:masters"
_EVERYBODY = ("system:anonymous", "system:unauthenticated", "system:authenticated", "system:serviceaccounts")

_WIDE_ROLES = ("cluster-admin", "admin", "edit")
"""Roles that Kubernetes makes itself and that read every secret (Kubernetes documentation, "Using RBAC
Authorization: User-facing roles")."""


def _on(kinds: tuple[str, ...], judge: Callable[[Manifest], Outcomes]) -> Callable[[Resource], Outcomes]:
    return lambda resource: each(
        (made for made in manifests(resource) if made.kind in kinds and made.group in _RBAC), judge
    )


@catalogue.resource(
    "EKS-14",
    "No role grants everything or reads secrets at large, and nobody is bound to one that does",
    severity=HIGH,
    remedy="Name the verbs, the resources and, for secrets, their names; bind a role of your own instead of cluster-admin, admin or edit.",
    references=References(nist=["AC-6"], pci=["7.2.2"], kubernetes=["5.1.1", "5.1.3"]),
)
def no_role_grants_everything(resource: Resource) -> Outcomes:
    yield from _on(_ROLES, lambda role: per_item(role.items("rules"), _is_narrow))(resource)
    yield from _on(_BINDINGS, _binds_narrowly)(resource)


def _is_narrow(rule: Node) -> Outcomes:
    verbs, resources = _words(rule, "verbs"), _words(rule, "resources")
    for key in ("verbs", "resources", "apiGroups"):
        if _ALL in _words(rule, key):
            yield rule.violation(key, "grants everything")
    if any(url.rstrip("/") in ("", _ALL, "/*") for url in _words(rule, "nonResourceURLs")):
        yield rule.violation("nonResourceURLs", "grants everything")
    if "secrets" in resources and not rule.has("resourceNames") and _READS.intersection(verbs):
        yield rule.violation("resources", "reads every secret of its namespace")


def _binds_narrowly(binding: Manifest) -> Outcomes:
    role = binding.reference("roleRef.name", absent="")
    # An own Role may go by these names; a ClusterRole of these names is Kubernetes' own.
    if role in _WIDE_ROLES and binding.switch("roleRef.kind", absent="ClusterRole") == "ClusterRole":
        yield binding.violation(
            "roleRef.name", "binds a role that reads every secret and changes nearly everything"
        )
    for subject in binding.items("subjects"):
        name = subject.reference("name", absent="")
        if name == _MASTERS:
            yield subject.violation("name", "is the group that no rule can hold back")
        elif name in _EVERYBODY or str(name).startswith("system:serviceaccounts:"):
            yield subject.violation("name", "is everybody, or every pod of a namespace")


# --- ways from a little to everything --------------------------------------------------------------------

_CHANGES = frozenset(("create", "update", "patch", _ALL))
_DELETES = frozenset(("delete", "deletecollection"))

_WAYS_UP: Mapping[str, frozenset[str]] = {
    # Kubernetes documentation, "Role Based Access Control Good Practices: privilege escalation risks".
    "serviceaccounts/token": _CHANGES,
    "pods/exec": _CHANGES | {"get"},
    "pods/attach": _CHANGES | {"get"},
    "pods/ephemeralcontainers": _CHANGES,
    "nodes/proxy": _CHANGES | {"get"},
    "certificatesigningrequests/approval": _CHANGES,
    "persistentvolumes": _CHANGES,
    "namespaces": frozenset(("update", "patch", _ALL)),
    "mutatingwebhookconfigurations": _CHANGES | _DELETES,
    "validatingwebhookconfigurations": _CHANGES | _DELETES,
    "mutatingadmissionpolicies": _CHANGES | _DELETES,
    "mutatingadmissionpolicybindings": _CHANGES | _DELETES,
    "validatingadmissionpolicies": _CHANGES | _DELETES,
    "validatingadmissionpolicybindings": _CHANGES | _DELETES,
}
"""What lets somebody act as somebody else, or out of the rules, and the verbs that do."""


@catalogue.resource(
    "EKS-23",
    "No role lets its holder become somebody else, or take the rules away",
    severity=HIGH,
    remedy="Take out impersonate, escalate and bind (or name the roles), and changes to tokens, exec, node proxies, namespaces and admission.",
    references=References(nist=["AC-6", "AC-6(10)"], kubernetes=["5.1.8"]),
)
def no_role_leads_up(resource: Resource) -> Outcomes:
    yield from _on(_ROLES, lambda role: per_item(role.items("rules"), _leads_nowhere))(resource)


def _leads_nowhere(rule: Node) -> Outcomes:
    verbs = set(_words(rule, "verbs"))
    for verb in ("impersonate", "escalate", "approve"):
        if verb in verbs:
            yield rule.violation("verbs", f"grants {verb}")
    if "bind" in verbs and not rule.has("resourceNames"):
        yield rule.violation("verbs", "grants bind of any role")
    for resource in _words(rule, "resources"):
        if _WAYS_UP.get(resource, frozenset()) & verbs:
            yield rule.violation("resources", f"lets its holder change {resource}, a way to everything")


def _words(rule: Node, key: str) -> list[str]:
    """Return the switches in a list; what is written in another letter case is the same."""
    found = rule.switch(key, absent=[])
    return [str(member).lower() for member in (found if isinstance(found, list) else [found])]


# --- under which account ---------------------------------------------------------------------------------


@catalogue.stack(
    "EKS-13",
    "Pods have a service account of their own, and its token only where a role is bound to it",
    severity=MEDIUM,
    remedy="Name a service account; set automount_service_account_token to False where nothing calls the Kubernetes API.",
    references=References(nist=["AC-6", "IA-5"], kubernetes=["5.1.5", "5.1.6"]),
)
def tokens_are_mounted_where_needed(stack: Stack) -> Outcomes:
    yield from each_pod(stack, partial(_account, stack))


def _account(stack: Stack, pod: Pod) -> Outcomes:
    name = pod.spec.reference("serviceAccountName") or pod.spec.reference("serviceAccount")
    if not name or name == "default":
        yield pod.lacks(
            "serviceAccountName", "is the default one, which all others of its namespace have too"
        )
        return
    found = objects(stack)
    place = found.place(pod.manifest)
    accounts = found.named("ServiceAccount", place, str(name)) if place else []
    own = pod.spec.switch("automountServiceAccountToken")
    inherited = [account.switch("automountServiceAccountToken") for account in accounts]
    mounted = own if own is not None else next((said for said in inherited if said is not None), True)
    if not mounted:
        return
    if place is None:
        yield Undecided("metadata.namespace")
    elif not _is_bound(stack, place, str(name)):
        yield pod.lacks("automountServiceAccountToken", "mounts a token that no role is bound to")


def _is_bound(stack: Stack, place: Place, account: str) -> bool:
    found = objects(stack)
    return any(
        subject.reference("name") == account and _namespace_of(subject, binding) in (place.name, UNKNOWN)
        for binding in found.of("RoleBinding", "ClusterRoleBinding")
        if found.cluster(binding) == place.cluster
        for subject in _service_accounts(binding)
    )


def _service_accounts(binding: Manifest) -> Iterable[Node]:
    subjects = binding.items("subjects")
    return [subject for subject in subjects if subject.switch("kind", absent="") == "ServiceAccount"]


def _namespace_of(subject: Node, binding: Manifest) -> Any:
    """Return the namespace that a binding names; one that is not known yet is taken to be the right one."""
    if not subject.known("namespace"):
        return UNKNOWN
    return subject.reference("namespace") or mapping(binding, "metadata").get("namespace")


# --- what is offered to the world ------------------------------------------------------------------------

_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
_INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_INGRESS_SCHEME = "alb.ingress.kubernetes.io/scheme"
_INGRESS_WEB_ACL = "alb.ingress.kubernetes.io/wafv2-acl-arn"


@catalogue.resource(
    "EKS-20",
    "No Service and no Ingress offers pods to the internet past the edge",
    severity=HIGH,
    remedy="Use ClusterIP, or a load balancer with the annotation aws-load-balancer-scheme: internal; users come through the edge.",
    references=References(nist=["SC-7"], pci=["1.3.1"], atlas=["AML.M0019"]),
)
def nothing_is_offered_past_the_edge(resource: Resource) -> Outcomes:
    yield from each(manifests(resource), _stays_behind_the_edge)


def _stays_behind_the_edge(made: Manifest) -> Outcomes:
    if made.kind == "Service" and made.group == "core":
        yield from _service(made)
    elif made.kind == "Ingress" and made.group in ("networking.k8s.io", "extensions"):
        yield from _ingress(made)
    elif made.kind == "IngressClassParams" and made.switch("spec.scheme") == "internet-facing":
        yield made.violation("spec.scheme", "makes load balancers that the internet reaches")


def _service(made: Manifest) -> Outcomes:
    kind = made.switch("spec.type", absent="ClusterIP")
    if kind == "NodePort":
        yield made.violation("spec.type", "opens a port on every machine")
    if made.has("spec.externalIPs"):
        # CVE-2020-8554: whoever may write them takes over the traffic of others.
        yield made.violation("spec.externalIPs", "takes addresses that may be somebody else's")
    if kind == "LoadBalancer" and not _is_internal(made):
        yield made.violation("metadata.annotations", "makes a load balancer that the internet reaches")
        ranges = made.switch("spec.loadBalancerSourceRanges", absent=[])
        ranges = ranges if isinstance(ranges, list) else [ranges]
        annotated = made.told(made.annotations, _RANGES)
        if any(map(_is_wide, [*ranges, *filter(None, annotated.split(","))])):
            yield made.violation("spec.loadBalancerSourceRanges", "admits a wide range")


def _is_internal(made: Manifest) -> bool:
    # Without an annotation, Kubernetes' own controller makes it public (Amazon EKS User Guide, "Route TCP and
    # UDP traffic with Network Load Balancers").
    said = made.annotations
    return made.told(said, _SCHEME) == "internal" or (
        made.told(said, _INTERNAL).lower() in ("true", "0.0.0.0/0") and made.told(said, _SCHEME) == ""
    )


def _is_wide(text: Any) -> bool:
    if text is UNKNOWN:
        return True
    try:
        return is_wider_than_listed(ipaddress.ip_network(str(text).strip(), strict=False))
    except ValueError:
        raise Malformed("spec.loadBalancerSourceRanges") from None


def _ingress(made: Manifest) -> Outcomes:
    said = made.annotations
    if made.told(said, _INGRESS_SCHEME, "internal") != "internal" and said.get(_INGRESS_WEB_ACL) in (
        None,
        "",
    ):
        yield made.violation("metadata.annotations", "makes a public load balancer without a web ACL")
