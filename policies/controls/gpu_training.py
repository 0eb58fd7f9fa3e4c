"""GPU: what training jobs may reach, and when they end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from controls.eks_machines import NODE_GROUP, TEMPLATE
from controls.gpu import has_gpus
from machinery.addresses import GROUP, is_world, meant, network_of, rules_into
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.documents import statements
from machinery.manifests import Manifest, Objects, each, mapping, objects
from machinery.pods import Container, Pod, each_pod, per_container, pods
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcomes,
    Resource,
    Undecided,
    UnknownReference,
    Violation,
    per_item,
)
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

_GPU_RESOURCE = re.compile(
    r"(?:nvidia\.com/(?:gpu|mig-.*)|amd\.com/gpu|aws\.amazon\.com/neuron.*|habana\.ai/gaudi)"
)
_TRAINING = re.compile(r"train(?:ing|er)?", re.IGNORECASE)
_LABELS = (
    "workload",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "component",
    "purpose",
    "tier",
)
_TRAINING_GROUPS = ("kubeflow.org", "trainer.kubeflow.org")


def is_training(pod: Pod) -> bool:
    """Say whether a pod trains: it asks for a GPU, tolerates the taint of one, or is labelled so.

    Raises:
        UnknownSwitch: what tells it is not in the program.
    """
    if pod.manifest.group in _TRAINING_GROUPS:
        return True
    if any(_GPU_RESOURCE.fullmatch(name) for name in _asked_for(pod)):
        return True
    if any(_GPU_RESOURCE.fullmatch(str(t.switch("key", absent=""))) for t in pod.spec.items("tolerations")):
        return True
    return any(_TRAINING.fullmatch(str(pod.labels.get(key, ""))) for key in _LABELS)


def _asked_for(pod: Pod) -> Iterator[str]:
    for node in (pod.spec, *pod.containers()):
        for way in ("limits", "requests"):
            yield from map(str, mapping(node, f"resources.{way}"))


def each_training_pod(stack: Stack, judge: Callable[[Pod], Outcomes]) -> Outcomes:
    """Judge every pod that trains by itself."""
    return each_pod(stack, lambda pod: judge(pod) if is_training(pod) else ())


@catalogue.stack(
    "GPU-03",
    "Training reaches data through the data-access API alone: no credential, no group and no way of the database's",
    severity=HIGH,
    remedy="Take database variables, secrets and groups off the training pods; let their network policies name pods and ports, not the database's.",
    references=References(nist=["AC-4", "AC-6"], hipaa=["164.312(a)(1)"], atlas=["AML.M0005"]),
)
def training_has_no_way_to_the_database(stack: Stack) -> Outcomes:
    admitted = stack.once(_admitted_groups)
    yield from each_training_pod(stack, partial(_holds_nothing, stack, admitted))
    yield from per_item(stack.of(NODE_GROUP), partial(_machines_wear_none, stack, admitted))


_DATABASE_NAME = re.compile(
    r"(?i)(?:^|[^a-z0-9])(?:db|rds|aurora|database|databases|postgres|postgresql|pg|pgsql|mysql|mariadb)(?:$|[^a-z0-9])"
)
_DATABASE_VARIABLE = re.compile(
    r"(?i)PG(?:HOST|HOSTADDR|PORT|USER|PASSWORD|PASSFILE|DATABASE|SERVICE)"
    r"|(?:.*_)?(?:DB|RDS|DATABASE|POSTGRES|POSTGRESQL|PG|MYSQL|AURORA)_(?:HOST|ENDPOINT|URL|URI|DSN|USER|USERNAME|PASS|PASSWORD|SECRET|SECRET_ARN|CREDENTIALS|NAME|PORT)"
    r"|DATABASE_?URL|SQLALCHEMY_DATABASE_URI"
)
_DATABASE_VALUE = re.compile(
    r"(?i)\.rds\.amazonaws\.com|\b(?:postgres(?:ql)?|mysql|mariadb)(?:\+\w+)?://|:secret:rds!"
)
_DATABASE_TYPES = ("aws:rds/", "aws:docdb/", "aws:neptune/", "aws:redshift/")

_SECRETS_DRIVER = "secrets-store.csi.k8s.io"


def _holds_nothing(stack: Stack, admitted: frozenset[str], pod: Pod) -> Outcomes:
    needs = {urn for path in ("spec", "template") for urn in pod.manifest.property_dependencies.get(path, ())}
    if any(stack.by_urn[urn].type.startswith(_DATABASE_TYPES) for urn in needs if urn in stack.by_urn):
        yield pod.spec.violation("", "is told something of the database")
    yield from per_container(pod, _knows_nothing)
    for volume in pod.spec.items("volumes"):
        names = [
            volume.reference("secret.secretName"),
            *(source.reference("secret.name") for source in volume.items("projected.sources")),
        ]
        if volume.switch("csi.driver") == _SECRETS_DRIVER:
            names.append(volume.reference("csi.volumeAttributes.secretProviderClass"))
        if any(_DATABASE_NAME.search(str(name)) for name in names if name):
            yield volume.violation("", "mounts a credential of the database")
    yield from _wears_none(stack, admitted, pod)
    yield from _may_not_connect(stack, pod)
    yield from _reaches_none(objects(stack), pod)


def _knows_nothing(container: Container) -> Outcomes:
    for variable in container.items("env"):
        if _DATABASE_VARIABLE.fullmatch(str(variable.switch("name", absent=""))):
            yield variable.violation("name", "tells training how to reach the database")
        if _names_database(variable, "valueFrom.secretKeyRef.name"):
            yield variable.violation("valueFrom.secretKeyRef", "is a credential of the database")
    for source in container.items("envFrom"):
        if _names_database(source, "secretRef.name"):
            yield source.violation("secretRef", "is a credential of the database")
    for place in ("env", "args", "command"):
        for path, found in leaves(container.reference(place)):
            if isinstance(found, str) and _DATABASE_VALUE.search(found):
                yield container.violation(f"{place}.{path}".rstrip("."), "names the database")


def _names_database(node: Node, path: str) -> bool:
    return bool(_DATABASE_NAME.search(str(node.reference(path, absent=""))))


# --- groups of the database's clients --------------------------------------------------------------------

_DATABASES = {
    "aws:rds/instance:Instance": "vpcSecurityGroupIds",
    "aws:rds/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:rds/proxy:Proxy": "vpcSecurityGroupIds",
    "aws:docdb/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:neptune/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:redshift/cluster:Cluster": "vpcSecurityGroupIds",
}


def _admitted_groups(stack: Stack) -> frozenset[str]:
    """Return the URNs of the groups that a database is of, or lets in."""
    own = {
        group.urn: group
        for type_, path in _DATABASES.items()
        for database in stack.of(type_)
        for group in stack.targets(database, path, GROUP)
    }
    found = set(own)
    for group in own.values():
        for rule in rules_into(group, stack):
            try:
                found |= {one.urn for member in rule.groups() for one in meant(rule, member, stack, GROUP)}
            except (UnknownReference, Malformed):
                # DAT-03 says that the database's own rules cannot be read.
                continue
    return frozenset(found)


def _machines_wear_none(stack: Stack, admitted: frozenset[str], node: Node) -> Outcomes:
    if not isinstance(node, Resource) or not has_gpus(node, stack):
        return
    for template in stack.targets(node, "launchTemplate", TEMPLATE):
        for path in ("vpcSecurityGroupIds", "networkInterfaces"):
            if admitted & stack.referred(template, path):
                yield Violation(
                    path, "gives the machines a group that the database lets in", urn=template.urn
                )


def _wears_none(stack: Stack, admitted: frozenset[str], pod: Pod) -> Outcomes:
    """Judge what gives a pod a security group (Amazon EKS User Guide, "Assign security groups to individual Pods")."""
    found = objects(stack)
    for policy in found.of("SecurityGroupPolicy", groups=("vpcresources.k8s.aws",)):
        if found.place(policy) != found.place(pod.manifest):
            continue
        groups = stack.referred(policy, "spec.securityGroups") if not policy.path else frozenset()
        if admitted & groups and _may_select(policy, "spec.podSelector", pod):
            yield Violation(
                "spec.securityGroups", "gives training a group that the database lets in", urn=policy.urn
            )


def _may_select(policy: Manifest, path: str, pod: Pod) -> bool:
    """Say whether a selector takes a pod; one with expressions counts as one that does."""
    labels = mapping(policy, f"{path}.matchLabels")
    return all(
        pod.labels.get(key) in (wanted, UNKNOWN) or wanted is UNKNOWN for key, wanted in labels.items()
    )


# --- roles of training -----------------------------------------------------------------------------------

_ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_ROLE = "aws:iam/role:Role"
_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_POLICY = "aws:iam/policy:Policy"


def _may_not_connect(stack: Stack, pod: Pod) -> Outcomes:
    place = objects(stack).place(pod.manifest)
    account = pod.spec.reference("serviceAccountName", absent="default")
    for association in stack.of(_ASSOCIATION):
        if place is None or association.reference("serviceAccount") != account:
            continue
        if association.reference("namespace") != place.name:
            continue
        for role in stack.targets(association, "roleArn", _ROLE):
            for node, path in _documents(role, stack):
                if any(statement.grants("rds-db:connect") for statement in statements(node, path)):
                    yield Violation(path, "lets training sign in to the database", urn=_owner(node, role))


def _documents(role: Resource, stack: Stack) -> Iterator[tuple[Node, str]]:
    yield from ((node, "policy") for node in role.items("inlinePolicies"))
    yield from ((policy, "policy") for policy in stack.referrers(role, "role", _ROLE_POLICY))
    for attachment in stack.referrers(role, "role", _ATTACHMENT):
        yield from ((policy, "policy") for policy in stack.targets(attachment, "policyArn", _POLICY))


def _owner(node: Node, role: Resource) -> str:
    return node.urn if isinstance(node, Resource) else role.urn


# --- ways of training ------------------------------------------------------------------------------------

_DATABASE_PORTS = (5432, 3306)
"""PostgreSQL, MySQL and their kin on Aurora."""


def _reaches_none(found: Objects, pod: Pod) -> Outcomes:
    place = found.place(pod.manifest)
    if place is None:
        yield Undecided("metadata.namespace")
        return
    for policy in found.of("NetworkPolicy", groups=("networking.k8s.io", "extensions")):
        if found.place(policy) == place and _may_select(policy, "spec.podSelector", pod):
            for outcome in per_item(policy.items("spec.egress"), _leads_elsewhere):
                yield replace(outcome, urn=policy.urn)


def _leads_elsewhere(rule: Node) -> Outcomes:
    peers = rule.items("to")
    ports = rule.items("ports")
    # Without a peer a rule is about everybody, without a port about every one.
    ranges = [peer for peer in peers if peer.has("ipBlock")]
    if not peers:
        yield rule.violation("to", "is missing, so training may talk to everybody")
    for peer in ranges:
        if is_world(network_of(peer.part("ipBlock.cidr"))):
            yield peer.violation("ipBlock.cidr", "lets training talk to the whole internet")
    if ranges and not ports:
        yield rule.violation("ports", "is missing, so training may talk to the database's port")
    for port in ports:
        if _covers_database(port):
            yield port.violation("port", "lets training talk to the database's port")


def _covers_database(port: Node) -> bool:
    if port.switch("protocol", absent="TCP") != "TCP":
        return False
    if isinstance(name := port.switch("port"), str) and not name.isdecimal():
        return bool(_DATABASE_NAME.search(name))
    first = port.number("port", 0)
    last = port.number("endPort", first or 65535)
    return any(first <= database <= last for database in _DATABASE_PORTS)


@catalogue.stack(
    "GPU-04",
    "Training jobs end, and go when they have ended",
    severity=MEDIUM,
    remedy="Set active_deadline_seconds and ttl_seconds_after_finished on the Job.",
    references=References(nist=["SC-5"], atlas=["AML.T0034"]),
)
def training_ends(stack: Stack) -> Outcomes:
    yield from each(objects(stack).all, _ends)


_JOBS = {"Job": "spec", "CronJob": "spec.jobTemplate.spec"}


def _ends(made: Manifest) -> Outcomes:
    if not any(is_training(pod) for pod in pods(made)):
        return
    if made.group in _TRAINING_GROUPS:
        path = "spec.runPolicy"
    elif made.group == "batch" and made.kind in _JOBS:
        path = _JOBS[made.kind]
    else:
        return
    for key, problem in (
        ("activeDeadlineSeconds", "is missing, so a job that hangs keeps its GPUs"),
        ("ttlSecondsAfterFinished", "is missing, so what has ended stays"),
    ):
        if made.switch(f"{path}.{key}") is None and not made.patch:
            yield made.violation(f"{path}.{key}", problem)
