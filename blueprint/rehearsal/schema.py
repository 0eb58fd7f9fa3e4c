"""The provider's own schema: which resource types there are, and what each argument is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """Return ``map_public_ip_on_launch`` for ``mapPublicIpOnLaunch``."""
    return _WORDS.sub("_", name).lower()


def camel(name: str) -> str:
    """Return ``mapPublicIpOnLaunch`` for ``map_public_ip_on_launch``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def singulars(name: str) -> list[str]:
    """Return what the provider may call what Pulumi calls in the plural."""
    found = [name]
    for plural, singular in (("ies", "y"), ("ses", "s"), ("xes", "x"), ("s", "")):
        if name.endswith(plural):
            found.append(name.removesuffix(plural) + singular)
    return found


@dataclass(frozen=True)
class Block:
    """The arguments of a resource type, or of a block inside one."""

    raw: Mapping[str, Any]

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes by name, each with the provider's type expression."""
        found: Mapping[str, Any] = self.raw.get("attributes", {})
        return found

    @cached_property
    def blocks(self) -> Mapping[str, Any]:
        """Nested blocks by name."""
        found: Mapping[str, Any] = self.raw.get("block_types", {})
        return found

    def nested(self, name: str) -> Block:
        """Return a nested block."""
        return Block(self.blocks[name]["block"])

    def names(self, key: str) -> str | None:
        """Return the attribute or block that a Pulumi property is, or ``None``."""
        for candidate in singulars(snake(key)):
            if candidate in self.attributes or candidate in self.blocks:
                return candidate
        return None

    def invented(self) -> list[str]:
        """Return the attributes that must be written, or that the provider makes up where nobody does."""
        return [
            name
            for name, attribute in self.attributes.items()
            if attribute.get("required") or (attribute.get("optional") and attribute.get("computed"))
        ]


# Types whose name does not follow from Pulumi's token by rule.
_NAMED_OTHERWISE = {
    "aws:alb/loadBalancer:LoadBalancer": "aws_lb",
    "aws:lb/loadBalancer:LoadBalancer": "aws_lb",
    "aws:cfg/deliveryChannel:DeliveryChannel": "aws_config_delivery_channel",
    "aws:cfg/recorder:Recorder": "aws_config_configuration_recorder",
    "aws:cfg/recorderStatus:RecorderStatus": "aws_config_configuration_recorder_status",
    "aws:cloudtrail/trail:Trail": "aws_cloudtrail",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "aws_iam_openid_connect_provider",
    "aws:rds/cluster:Cluster": "aws_rds_cluster",
    "aws:rds/instance:Instance": "aws_db_instance",
    "aws:rds/parameterGroup:ParameterGroup": "aws_db_parameter_group",
    "aws:rds/subnetGroup:SubnetGroup": "aws_db_subnet_group",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": "aws_s3_bucket_replication_configuration",
}


@dataclass(frozen=True)
class Schema:
    """The resource types of one version of the provider."""

    version: str
    types: Mapping[str, Any]

    def type_of(self, token: str) -> str | None:
        """Return the provider's type for a Pulumi token, or ``None`` where it has none."""
        module, _, rest = token.removeprefix("aws:").partition("/")
        name = snake(rest.partition(":")[2])
        rules = (f"aws_{snake(module)}_{name}", f"aws_{name}")
        for candidate in (_NAMED_OTHERWISE.get(token), *rules):
            if candidate in self.types:
                return candidate
        return None

    def block(self, type_: str) -> Block:
        """Return the arguments of a type."""
        return Block(self.types[type_]["block"])
