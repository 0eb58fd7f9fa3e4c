"""Says of everything in an account whose it is: a stack's, the bootstrap's, the settings', AWS's own, or nobody's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from blueprint.bootstrap.target import Target
from blueprint.graph import Graph, Resource
from blueprint.inventory.account import UNIQUE, Item

Owner = Literal["a stack", "the bootstrap", "the settings", "AWS", "known", "nobody"]

_TYPES: Mapping[str, tuple[str, ...]] = {
    "S3 bucket": ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"),
    "IAM role": ("aws:iam/role:Role",),
    "IAM policy": ("aws:iam/policy:Policy",),
    "IAM user": ("aws:iam/user:User",),
    "access key": ("aws:iam/accessKey:AccessKey",),
    "identity provider": (
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "aws:iam/samlProvider:SamlProvider",
    ),
    "VPC": ("aws:ec2/vpc:Vpc",),
    "security group": (
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    ),
    "EC2 instance": ("aws:ec2/instance:Instance",),
    "public address": ("aws:ec2/eip:Eip",),
    "RDS instance": ("aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance"),
    "KMS key": ("aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"),
    "Lambda function": ("aws:lambda/function:Function",),
    "EKS cluster": ("aws:eks/cluster:Cluster",),
}
"""Which resources of a stack own a thing of a kind. A bucket that is called as a role of the stack is not the stack's."""

_IDENTIFYING = ("allocationId", "arn", "bucket", "identifier", "keyId", "name", "publicIp", "resourceId")
"""Outputs that say which thing in the account a resource is."""


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A thing and whose it is."""

    item: Item
    owner: Owner
    because: str = ""

    def as_json_value(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kind": self.item.kind,
            "name": self.item.name,
            "region": self.item.region,
            "owner": self.owner,
            "because": self.because,
            "warning": self.item.warning,
        }


class Ownership:
    """What is known of an account: the stacks in it, who set it up, and what else is expected there."""

    def __init__(self, at: Target, stacks: Sequence[Graph], known: Iterable[str] = ()) -> None:
        """Read the stacks; ``known`` are names like ``IAM role/OrganizationAccountAccessRole``."""
        self._known = frozenset(known)
        self._people = {*at.people_arns, *at.administrator_arns}
        self._bootstrap = {name for graph in stacks for name in _made_first(_beside(at, graph.stack))}
        self._bootstrap |= set(_made_first(at))
        self._by_type: dict[str, set[str]] = {}
        for graph in stacks:
            for resource in graph.resources:
                if resource.custom and resource.type.startswith("aws:"):
                    self._by_type.setdefault(resource.type, set()).update(_ids(resource))
        self._all = {each for ids in self._by_type.values() for each in ids}
        self._unique = {each for each in self._all if UNIQUE.fullmatch(each)}

    def of(self, item: Item) -> Owned:
        """Return whose a thing is."""
        for owner, because in self._claims(item):
            return Owned(item=item, owner=owner, because=because)
        return Owned(item=item, owner="nobody")

    def _claims(self, item: Item) -> Iterable[tuple[Owner, str]]:
        types = _TYPES.get(item.kind)
        # Kinds that only the tagging API told are known by an ARN or an id of AWS's: names repeat.
        ids = {each for t in types for each in self._by_type.get(t, ())} if types else self._unique
        if item.ids & ids:
            yield "a stack", ""
        elif item.owners & self._all:
            yield "a stack", f"goes with {min(item.owners & self._all)}"
        elif item.ids & self._bootstrap:
            yield "the bootstrap", ""
        elif (item.ids | item.owners) & self._people:
            yield "the settings", "named in identity"
        elif item.amazons:
            yield "AWS", item.amazons
        elif f"{item.kind}/{item.name}" in self._known:
            yield "known", "named by --known"


def _ids(resource: Resource) -> set[str]:
    found = [resource.id, *(resource.outputs.get(key) for key in _IDENTIFYING)]
    # What a group of a cluster's machines has made for itself.
    for made in resource.outputs.get("resources") or ():
        if isinstance(made, dict):
            found += [each.get("name") for each in made.get("autoscalingGroups") or ()]
    return {each for each in found if isinstance(each, str) and each}


def _made_first(at: Target) -> list[str]:
    """Return the names of what a bootstrap makes."""
    return [
        at.bucket,
        at.deploy_role_arn,
        at.preview_role_arn,
        at.boundary_arn,
        at.provider_arn,
        at.state_alias,
        at.secrets_alias,
    ]


def _beside(at: Target, environment: str) -> Target:
    """Return the target of another environment of the same account, whose stack was given as well."""
    return dataclasses.replace(
        at,
        environment=environment,
        prefix=at.prefix.removesuffix(at.environment) + environment,
        bucket_prefix=at.bucket_prefix.removesuffix(at.environment) + environment,
    )
