"""What leads a pod to a database: variables, secrets, security groups, roles, network policies."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from machinery.addresses import GROUP, meant, rules_into
from machinery.authority import ASSOCIATION, documents
from machinery.documents import statements
from machinery.grants import ROLE
from machinery.manifests import Manifest, mapping, objects
from machinery.pods import Container, Pod, per_container
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcomes,
    Resource,
    UnknownReference,
    Violation,
    per_item,
)
from machinery.values import UNKNOWN, leaves

_NAME = re.compile(
    r"(?i)(?:^|[^a-z0-9])(?:db|rds|aurora|database|databases|postgres|postgresql|pg|pgsql|mysql|mariadb)(?:$|[^a-z0-9])"
)
_VARIABLE = re.compile(
    r"(?i)PG(?:HOST|HOSTADDR|PORT|USER|PASSWORD|PASSFILE|DATABASE|SERVICE)"
    r"|(?:.*_)?(?:DB|RDS|DATABASE|POSTGRES|POSTGRESQL|PG|MYSQL|AURORA)_(?:HOST|ENDPOINT|URL|URI|DSN|USER|USERNAME|PASS|PASSWORD|SECRET|SECRET_ARN|CREDENTIALS|NAME|PORT)"
    r"|DATABASE_?URL|SQLALCHEMY_DATABASE_URI"
)
_VALUE = re.compile(
    r"(?i)\.rds\.amazonaws\.com|\b(?:postgres(?:ql)?|mysql|mariadb)(?:\+\w+)?://|:secret:rds!"
)
_TYPES = ("aws:rds/", "aws:docdb/", "aws:neptune/", "aws:redshift/")

_SECRETS_DRIVER = "secrets-store.csi.k8s.io"


def ways_to_databases(stack: Stack, pod: Pod, who: str) -> Outcomes:
    """Judge whatever leads a pod to a database; ``who`` says in problems what the pod is."""
    needs = {urn for path in ("spec", "template") for urn in pod.manifest.property_dependencies.get(path, ())}
    if any(stack.by_urn[urn].type.startswith(_TYPES) for urn in needs if urn in stack.by_urn):
        yield pod.spec.violation("", f"tells {who} something of the database")
    yield from per_container(pod, partial(_knows_nothing, who))
    for volume in pod.spec.items("volumes"):
        names = [
            volume.reference("secret.secretName"),
            *(source.reference("secret.name") for source in volume.items("projected.sources")),
        ]
        if volume.switch("csi.driver") == _SECRETS_DRIVER:
            names.append(volume.reference("csi.volumeAttributes.secretProviderClass"))
        if any(_NAME.search(str(name)) for name in names if name):
            yield volume.violation("", "mounts a credential of the database")
    yield from _wears_none(stack, pod, who)
    yield from _may_not_connect(stack, pod, who)
    yield from _reaches_none(stack, pod, who)


def _knows_nothing(who: str, container: Container) -> Outcomes:
    for variable in container.items("env"):
        if _VARIABLE.fullmatch(str(variable.switch("name", absent=""))):
            yield variable.violation("name", f"tells {who} how to reach the database")
        if _names_database(variable, "valueFrom.secretKeyRef.name"):
            yield variable.violation("valueFrom.secretKeyRef", "is a credential of the database")
    for source in container.items("envFrom"):
        if _names_database(source, "secretRef.name"):
            yield source.violation("secretRef", "is a credential of the database")
    for place in ("env", "args", "command"):
        for path, found in leaves(container.reference(place)):
            if isinstance(found, str) and _VALUE.search(found):
                yield container.violation(f"{place}.{path}".rstrip("."), "names the database")


def _names_database(node: Node, path: str) -> bool:
    return bool(_NAME.search(str(node.reference(path, absent=""))))


# --- groups of the database's clients --------------------------------------------------------------------

_DATABASES = {
    "aws:rds/instance:Instance": "vpcSecurityGroupIds",
    "aws:rds/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:rds/proxy:Proxy": "vpcSecurityGroupIds",
    "aws:docdb/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:neptune/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:redshift/cluster:Cluster": "vpcSecurityGroupIds",
}


def admitted_groups(stack: Stack) -> frozenset[str]:
    """Return the URNs of the groups that a database is of, or lets in; they are looked for once."""
    return stack.once(_admitted_groups)


def _admitted_groups(stack: Stack) -> frozenset[str]:
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


def _wears_none(stack: Stack, pod: Pod, who: str) -> Outcomes:
    """Judge what gives a pod a security group (Amazon EKS User Guide, "Assign security groups to individual Pods")."""
    found = objects(stack)
    for policy in found.of("SecurityGroupPolicy", groups=("vpcresources.k8s.aws",)):
        if found.place(policy) != found.place(pod.manifest):
            continue
        groups = stack.referred(policy, "spec.securityGroups") if not policy.path else frozenset()
        if admitted_groups(stack) & groups and may_select(policy, "spec.podSelector", pod):
            yield Violation(
                "spec.securityGroups", f"gives {who} a group that the database lets in", urn=policy.urn
            )


def may_select(policy: Manifest, path: str, pod: Pod) -> bool:
    """Say whether a selector takes a pod; one with expressions counts as one that does."""
    labels = mapping(policy, f"{path}.matchLabels")
    return all(
        pod.labels.get(key) in (wanted, UNKNOWN) or wanted is UNKNOWN for key, wanted in labels.items()
    )


# --- roles -----------------------------------------------------------------------------------------------


def _may_not_connect(stack: Stack, pod: Pod, who: str) -> Outcomes:
    place = objects(stack).place(pod.manifest)
    account = pod.spec.reference("serviceAccountName", absent="default")
    for association in stack.of(ASSOCIATION):
        if place is None or association.reference("serviceAccount") != account:
            continue
        if association.reference("namespace") != place.name:
            continue
        for role in stack.targets(association, "roleArn", ROLE):
            for node in documents(role, stack):
                if any(statement.grants("rds-db:connect") for statement in statements(node, "policy")):
                    yield Violation("policy", f"lets {who} sign in to the database", urn=_owner(node, role))


def _owner(node: Node, role: Resource) -> str:
    return node.urn if isinstance(node, Resource) else role.urn


# --- ways through the network ----------------------------------------------------------------------------

_PORTS = (5432, 3306)
"""PostgreSQL, MySQL and their kin on Aurora."""


def ways_out(stack: Stack, pod: Pod) -> list[Manifest]:
    """Return the network policies that may select a pod.

    Raises:
        UnknownReference: its namespace is unknown.
    """
    found = objects(stack)
    place = found.place(pod.manifest)
    if place is None:
        raise UnknownReference("metadata.namespace")
    return [
        policy
        for policy in found.of("NetworkPolicy", groups=("networking.k8s.io", "extensions"))
        if found.place(policy) == place and may_select(policy, "spec.podSelector", pod)
    ]


def _reaches_none(stack: Stack, pod: Pod, who: str) -> Outcomes:
    for policy in ways_out(stack, pod):
        for outcome in per_item(policy.items("spec.egress"), partial(_leads_elsewhere, who)):
            yield replace(outcome, urn=policy.urn)


def _leads_elsewhere(who: str, rule: Node) -> Outcomes:
    ports = rule.items("ports")
    # Without a port a rule is about every one.
    if any(peer.has("ipBlock") for peer in rule.items("to")) and not ports:
        yield rule.violation("ports", f"is missing, so {who} may talk to the database's port")
    for port in ports:
        if _covers_database(port):
            yield port.violation("port", f"lets {who} talk to the database's port")


def _covers_database(port: Node) -> bool:
    if port.switch("protocol", absent="TCP") != "TCP":
        return False
    if isinstance(name := port.switch("port"), str) and not name.isdecimal():
        return bool(_NAME.search(name))
    first = port.number("port", 0)
    last = port.number("endPort", first or 65535)
    return any(first <= database <= last for database in _PORTS)
