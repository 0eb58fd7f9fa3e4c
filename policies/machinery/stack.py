"""One index over the whole stack, shared by every stack control."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from machinery.declarations import Declarations
from machinery.subject import Resource
from machinery.values import UNKNOWN

AWS_PROVIDER = "pulumi:providers:aws"

Made = TypeVar("Made")


class Stack:
    """The resources of a stack, findable by type, by URN and by who refers to whom."""

    def __init__(self, resources: Sequence[Resource], *, declared: Declarations | None = None) -> None:
        self.resources = list(resources)
        self._declared = declared
        self._referred: dict[tuple[str, str], frozenset[str]] = {}
        self._reverse: dict[tuple[str, str], dict[str, list[Resource]]] = {}
        self._made: dict[Callable[[Stack], Any], Any] = {}
        self._by_type: dict[str, list[Resource]] = {}
        for resource in self.resources:
            self._by_type.setdefault(resource.type, []).append(resource)

    @cached_property
    def by_urn(self) -> dict[str, Resource]:
        """Every resource by its URN."""
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def declared(self) -> Declarations:
        """What the stack's AWS providers declare; where two contradict each other it counts as unsaid.

        A provider that keeps silent is a violation of its own (RES-04) and is held to what the others say.
        """
        if self._declared is not None:
            return self._declared
        said: dict[str, set[str]] = {}
        for provider in self.of(AWS_PROVIDER):
            for key, value in provider.declared.tags.items():
                said.setdefault(key, set()).add(value)
        return Declarations(tags={key: min(values) for key, values in said.items() if len(values) == 1})

    def once(self, make: Callable[[Stack], Made]) -> Made:
        """Return what ``make`` makes of the stack; it is made once, whoever asks how often."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of these (canonical) types."""
        return [resource for type_ in types for resource in self._by_type.get(type_, ())]

    def named(self, identifier: str) -> list[Resource]:
        """Return the resources that go by ``identifier``: an id, an ARN, a name that others refer to."""
        return [self.by_urn[urn] for urn in sorted(self._by_identifier.get(identifier, ()))]

    def matching(self, prefix: str) -> Iterator[Resource]:
        """Yield the resources whose type begins with ``prefix``, ``aws:rds/`` for one."""
        for type_, resources in self._by_type.items():
            if type_.startswith(prefix):
                yield from resources

    def refers(self, resource: Resource, path: str, target: Resource) -> bool:
        """Say whether the value at ``path`` of ``resource`` is, or contains, an identifier of ``target``.

        Known values are compared with the target's id-like outputs. An unknown value is traced through the
        dependencies that the engine recorded for its property.
        """
        return target.urn in self.referred(resource, path)

    def referred(self, resource: Resource, path: str) -> frozenset[str]:
        """Return the URNs of the resources whose identifiers stand at ``path`` of ``resource``."""
        link = (resource.urn, path)
        if link not in self._referred:
            self._referred[link] = self._look_up(resource, path)
        return self._referred[link]

    def targets(self, resource: Resource, path: str, *types: str) -> list[Resource]:
        """Return the resources of ``types`` that ``resource`` refers to at ``path``."""
        found = (self.by_urn[urn] for urn in sorted(self.referred(resource, path)) if urn in self.by_urn)
        return [target for target in found if target.type in types]

    def referrers(self, target: Resource, path: str, *types: str) -> list[Resource]:
        """Return the resources of ``types`` that refer to ``target`` at ``path``."""
        return [referrer for type_ in types for referrer in self._referrers(type_, path).get(target.urn, ())]

    def _referrers(self, type_: str, path: str) -> dict[str, list[Resource]]:
        """Return who refers to each URN: made once for a type and a path, so that asking costs nothing."""
        link = (type_, path)
        if link not in self._reverse:
            index: dict[str, list[Resource]] = {}
            for resource in self.of(type_):
                for urn in self.referred(resource, path):
                    index.setdefault(urn, []).append(resource)
            self._reverse[link] = index
        return self._reverse[link]

    def _look_up(self, resource: Resource, path: str) -> frozenset[str]:
        found: set[str] = set()
        unknown = False
        for leaf in _leaves(_walk(resource.value, path)):
            if leaf is UNKNOWN:
                unknown = True
            elif isinstance(leaf, str):
                found |= self._identified(leaf)
        if unknown:
            found |= set(resource.property_dependencies.get(path.partition(".")[0].partition("[")[0], ()))
        return frozenset(found)

    def _identified(self, identifier: str) -> set[str]:
        return self._by_identifier.get(identifier, set())

    @cached_property
    def _by_identifier(self) -> dict[str, set[str]]:
        index: dict[str, set[str]] = {}
        for resource in self.resources:
            for identifier in identifiers(resource):
                index.setdefault(identifier, set()).add(resource.urn)
        return index


_VPC = (
    "id",
    "arn",
    "mainRouteTableId",
    "defaultRouteTableId",
    "defaultSecurityGroupId",
    "defaultNetworkAclId",
)
"""Its main route table and its default group are the VPC's own, and other resources name them through it."""

# What else than ``id`` and ``arn`` other resources refer to a resource by.
_IDENTIFIERS: dict[str, tuple[str, ...]] = {
    "aws:ec2/vpc:Vpc": _VPC,
    "aws:ec2/defaultVpc:DefaultVpc": _VPC,
    "aws:s3/bucket:Bucket": ("bucket", "arn", "id"),
    "aws:kms/key:Key": ("keyId", "arn", "id"),
    "aws:kms/replicaKey:ReplicaKey": ("keyId", "arn", "id"),
    "aws:kms/alias:Alias": ("name", "arn"),
    "aws:iam/role:Role": ("name", "arn"),
    "aws:cloudwatch/logGroup:LogGroup": ("name", "arn"),
    "aws:rds/subnetGroup:SubnetGroup": ("name", "arn"),
    "aws:rds/parameterGroup:ParameterGroup": ("name", "arn"),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": ("name", "arn"),
    "aws:docdb/clusterParameterGroup:ClusterParameterGroup": ("name", "arn"),
    "aws:neptune/clusterParameterGroup:ClusterParameterGroup": ("name", "arn"),
    "aws:redshift/parameterGroup:ParameterGroup": ("name", "arn"),
    "aws:rds/cluster:Cluster": ("clusterIdentifier", "arn", "id"),
    "aws:docdb/cluster:Cluster": ("clusterIdentifier", "arn", "id"),
    "aws:neptune/cluster:Cluster": ("clusterIdentifier", "arn", "id"),
    "aws:iam/instanceProfile:InstanceProfile": ("name", "arn"),
    "aws:ecr/repository:Repository": ("name", "arn", "id"),
    "aws:eks/cluster:Cluster": ("name", "arn", "id"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("name", "arn", "id"),
    "aws:cloudwatch/eventRule:EventRule": ("name", "arn"),
    "aws:backup/vault:Vault": ("name", "arn"),
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": ("name", "arn"),
}


def identifiers(resource: Resource) -> Iterator[str]:
    """Yield the texts by which other resources refer to this one.

    At a preview most are unknown and yield nothing; references are then traced through dependencies.
    """
    for key in _IDENTIFIERS.get(resource.type, ("id", "arn")):
        value = resource.value.get(key) if isinstance(resource.value, dict) else None
        if isinstance(value, str) and value:
            yield value


def _walk(value: object, path: str) -> object:
    for step in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
