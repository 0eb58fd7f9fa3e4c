"""The VPC: a new one, or one of yours."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.addressing import TierPlan
from stacks.fields import Range, SubnetId, ZoneLetter, matching, network_of, standing_at, wrong
from stacks.sections.section import Section


class ExistingVpc(Section):
    """A VPC of yours to build in, instead of a new one. Its subnets must already be routed as their tier asks."""

    vpc_id: Annotated[str, matching(r"vpc-[0-9a-f]{8,17}", "is not a VPC id; write one like vpc-0abc1234")]
    public_subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=2)]
    private_subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=2)]
    isolated_subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=2)]
    private_cidrs: Annotated[tuple[Range, ...], Field(min_length=1)]
    """Address ranges of the private subnets: where the bastion may go on to."""
    endpoint_security_group_id: Annotated[
        str, matching(r"sg-[0-9a-f]{8,17}", "is not a security group id; write one like sg-0abc1234")
    ]
    s3_prefix_list_id: Annotated[
        str, matching(r"pl-[0-9a-f]{8,17}", "is not a prefix list id; write one like pl-0abc1234")
    ]


class Network(Section):
    """The VPC: its addresses, its zones, its ways out."""

    cidr_block: str
    """IPv4 range from RFC 1918, /16 to /20, or that of the existing VPC."""
    zones: tuple[ZoneLetter, ...]
    """Letters of two or three availability zones: ``[a, b, c]``."""
    nat_gateways: Literal["one", "per-zone"] = "per-zone"
    allowed_egress_domains: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """When given, a network firewall lets the private tier reach these domains and nothing else."""
    existing: ExistingVpc | None = None

    @model_validator(mode="after")
    def _addresses_fit(self) -> Network:
        if not 2 <= len(self.zones) <= 3:
            raise wrong("zones", f"{len(self.zones)} zones; name two or three, for instance [a, b]")
        if len(set(self.zones)) != len(self.zones):
            raise wrong("zones", "names a zone twice; name each once")
        with standing_at("cidr_block"):
            network = network_of(self.cidr_block)
            if network.version != 4 or not any(network.subnet_of(private) for private in _RFC_1918):  # type: ignore[arg-type]
                raise ValueError("is not a private IPv4 range (RFC 1918); write one like 10.20.0.0/16")
            if network.overlaps(_DOCKER):
                raise ValueError(
                    "overlaps 172.17.0.0/16, which Docker takes on every node; write one like 10.20.0.0/16"
                )
            if self.existing is None:
                TierPlan.split(self.cidr_block, zones=len(self.zones))
        return self


_RFC_1918 = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_DOCKER = ipaddress.ip_network("172.17.0.0/16")
