"""The network: a VPC in three tiers, each with one rule about the internet.

*Public* holds what the internet may reach: the edge and the bastion. *Private* holds the cluster and the
services, which go out through NAT and are not reached. *Isolated* holds training and data: its routes lead
nowhere but to S3, DynamoDB and the VPC itself, where AWS's services have their endpoints. NAT gateways, and the
firewall where there is one, stand in small subnets of their own between private and the internet::

    private -> NAT -> internet gateway                 by default
    private -> firewall -> NAT -> internet gateway     with an allow-list of domains
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pulumi
import pulumi_aws as aws

from components.addressing import TierPlan
from components.dns_firewall import DnsFirewall
from components.egress import EgressFirewall
from components.endpoints import Endpoints
from components.network_acls import (
    Wall,
    isolated_wall,
    network_acl,
    passage_wall,
    private_wall,
    public_wall,
)
from components.network_logs import NetworkLogs
from components.subnets import Place, TierTag, places, zone_letters
from components.ways_out import Inspection, WaysOut

_Tier = Literal["public", "private", "isolated", "nat", "firewall"]

_TAGS: Mapping[_Tier, TierTag] = {
    "public": "public",
    "private": "private",
    "isolated": "isolated",
    "nat": "public",
    "firewall": "private",
}
"""What a tier is to whoever reads tags: has it a route to the internet gateway, to NAT, or to neither."""


class NetworkHandles(Protocol):
    """What other components are handed of a network, made here or brought along."""

    @property
    def vpc_id(self) -> pulumi.Input[str]:
        """The VPC."""

    @property
    def public_subnet_ids(self) -> Sequence[pulumi.Input[str]]:
        """Subnets that the internet may reach."""

    @property
    def private_subnet_ids(self) -> Sequence[pulumi.Input[str]]:
        """Subnets that may go out and are not reached."""

    @property
    def isolated_subnet_ids(self) -> Sequence[pulumi.Input[str]]:
        """Subnets without any way to the internet."""

    @property
    def private_cidrs(self) -> Sequence[str]:
        """Address ranges of the private subnets."""

    @property
    def private_route_table_ids(self) -> Sequence[pulumi.Input[str]]:
        """Route tables of the private subnets."""

    @property
    def isolated_route_table_ids(self) -> Sequence[pulumi.Input[str]]:
        """Route tables of the isolated subnets."""

    @property
    def endpoint_security_group_id(self) -> pulumi.Input[str]:
        """Group of the interface endpoints: allow it on 443 to reach AWS."""

    @property
    def s3_prefix_list_id(self) -> pulumi.Input[str]:
        """Addresses of S3 in the region, for egress rules."""


@dataclass(frozen=True, kw_only=True)
class ExistingNetwork:
    """A VPC of the caller's. Its tiers must already be routed as their names say; nothing is made in it."""

    vpc_id: str
    public_subnet_ids: Sequence[str]
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]
    endpoint_security_group_id: str
    s3_prefix_list_id: str
    private_cidrs: Sequence[str] = ()
    private_route_table_ids: Sequence[str] = ()
    isolated_route_table_ids: Sequence[str] = ()


class Network(pulumi.ComponentResource):
    """A VPC with its tiers, its ways out, its endpoints and its records.

    A subnet's id comes only after its routes, so whatever is placed in it can reach what it needs from its
    first second, and is gone before the way out is.

    Attributes:
        vpc_id: The VPC.
        public_subnet_ids: One subnet a zone.
        private_subnet_ids: One subnet a zone.
        isolated_subnet_ids: One subnet a zone.
        private_cidrs: Address ranges of the private subnets.
        private_route_table_ids: One table a zone.
        isolated_route_table_ids: One table a zone.
        endpoint_security_group_id: Group of the interface endpoints; admits the private and isolated tiers.
        s3_prefix_list_id: Addresses of S3 in the region.
        nat_addresses: What the platform's calls to the internet come from, for partners' allow-lists.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    isolated_subnet_ids: list[pulumi.Output[str]]
    private_cidrs: tuple[str, ...]
    private_route_table_ids: list[pulumi.Output[str]]
    isolated_route_table_ids: list[pulumi.Output[str]]
    endpoint_security_group_id: pulumi.Output[str]
    s3_prefix_list_id: pulumi.Output[str]
    nat_addresses: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        cidr_block: str,
        zones: Sequence[str],
        nat_gateways: Literal["one", "per-zone"],
        ssh_cidrs: Sequence[str],
        flow_log_retention_days: int,
        logs_key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        allowed_egress_domains: Sequence[str] | None = None,
        organization_id: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the network.

        Args:
            name: Logical name; log groups are named after it, so it is unique in account and region.
            cidr_block: IPv4 range of the VPC, /16 to /20.
            zones: Full names of two or three availability zones, ``us-east-1a``.
            nat_gateways: One for all zones, or one in each so that a zone can fail alone.
            ssh_cidrs: Approved addresses from which the public tier may be asked for SSH, IPv4 ones /24 or
                narrower; the bastion's own group says the same once more.
            flow_log_retention_days: How long the VPC's logs stay; a period that CloudWatch Logs knows.
            logs_key_arn: Key of those logs.
            permissions_boundary_arn: Boundary of the role that delivers flow logs.
            account_id: The account; the endpoints serve no other.
            region: The region of the VPC.
            allowed_egress_domains: When given, a firewall lets the private tier reach these domains only.
            organization_id: When given, the endpoints also reach resources of this AWS organisation.
            opts: Options of the component.

        Raises:
            ValueError: the range does not hold the tiers, zones are not two or three of the region, a range for
                SSH is too wide, or a domain is not one.
        """
        # What is wrong with the addresses is said before anything is registered.
        plan = TierPlan.split(cidr_block, zones=len(zones))
        self._letters = zone_letters(zones, region)
        public_acl = public_wall(cidr_block, ssh_cidrs)
        super().__init__("secureml:network:Network", name, None, opts)
        self._name = name
        self._region = region
        self._under = pulumi.ResourceOptions(parent=self)

        self.vpc_id = self._closed_vpc(cidr_block)
        logs = NetworkLogs(
            name,
            vpc_id=self.vpc_id,
            retention_days=flow_log_retention_days,
            logs_key_arn=logs_key_arn,
            permissions_boundary_arn=permissions_boundary_arn,
            account_id=account_id,
            region=region,
            opts=self._under,
        )
        DnsFirewall(f"{name}-dns", vpc_id=self.vpc_id, opts=self._under)

        gates = 1 if nat_gateways == "one" else len(zones)
        public = self._tier("public", plan.public, public_acl)
        private = self._tier("private", plan.private, private_wall(cidr_block))
        isolated = self._tier("isolated", plan.isolated, isolated_wall(plan))
        nat = self._tier("nat", plan.nat[:gates], passage_wall(plan))
        inspection = None
        if allowed_egress_domains is not None:
            inspection = self._inspection(plan, gates, allowed_egress_domains, logs)
        ways_out = WaysOut(
            name,
            vpc_id=self.vpc_id,
            public=public,
            private=private,
            nat=nat,
            inspection=inspection,
            opts=self._under,
        )
        endpoints = Endpoints(
            f"{name}-endpoints",
            vpc_id=self.vpc_id,
            subnet_ids=[place.subnet.id for place in private],
            client_cidrs=[*plan.private, *plan.isolated],
            route_table_ids=[place.table.id for place in (*public, *private, *isolated)],
            account_id=account_id,
            region=region,
            organization_id=organization_id,
            opts=self._under,
        )

        self.public_subnet_ids = _ids_after(public, ways_out.public_routes)
        self.private_subnet_ids = _ids_after(private, ways_out.private_routes)
        self.isolated_subnet_ids = [place.subnet_id_after() for place in isolated]
        self.private_cidrs = plan.private
        self.private_route_table_ids = [place.table.id for place in private]
        self.isolated_route_table_ids = [place.table.id for place in isolated]
        self.endpoint_security_group_id = endpoints.security_group_id
        self.s3_prefix_list_id = endpoints.s3_prefix_list_id
        self.nat_addresses = ways_out.nat_addresses
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "isolated_subnet_ids": self.isolated_subnet_ids,
                "nat_addresses": self.nat_addresses,
            }
        )

    def _closed_vpc(self, cidr_block: str) -> pulumi.Output[str]:
        """Make the VPC and take over what AWS puts into it, without a rule or a route.

        So what forgets to name its security group, ACL or route table reaches nothing.
        """
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=cidr_block,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": self._name},
            opts=self._under,
        )
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default", vpc_id=vpc.id, ingress=[], egress=[], opts=self._under
        )
        aws.ec2.DefaultNetworkAcl(
            f"{self._name}-default",
            default_network_acl_id=vpc.default_network_acl_id,
            ingress=[],
            egress=[],
            # AWS moves subnets in and out of it when they leave and join the ACLs of their tiers.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnetIds"]),
        )
        aws.ec2.DefaultRouteTable(
            f"{self._name}-default",
            default_route_table_id=vpc.default_route_table_id,
            routes=[],
            opts=self._under,
        )
        return vpc.id

    def _tier(self, tier: _Tier, cidr_blocks: Sequence[str], wall: Wall) -> list[Place]:
        """Make the subnets of a tier and the ACL around them."""
        made = places(
            f"{self._name}-{tier}",
            vpc_id=self.vpc_id,
            region=self._region,
            letters=self._letters,
            cidr_blocks=cidr_blocks,
            tier=_TAGS[tier],
            opts=self._under,
        )
        network_acl(
            f"{self._name}-{tier}",
            wall,
            vpc_id=self.vpc_id,
            subnet_ids=[place.subnet.id for place in made],
            opts=self._under,
        )
        return made

    def _inspection(
        self, plan: TierPlan, gates: int, domains: Sequence[str], logs: NetworkLogs
    ) -> Inspection:
        """Put a firewall in front of each NAT gateway."""
        stands = self._tier("firewall", plan.firewall[:gates], passage_wall(plan))
        firewall = EgressFirewall(
            f"{self._name}-egress",
            vpc_id=self.vpc_id,
            subnet_ids_by_zone={f"{self._region}{place.zone_letter}": place.subnet.id for place in stands},
            allowed_domains=domains,
            log_group_name=logs.group("firewall").name,
            log_delivery=logs.delivery,
            opts=self._under,
        )
        return Inspection(places=stands, endpoint_ids=firewall.endpoint_ids)


def _ids_after(tier: Sequence[Place], routes: Sequence[aws.ec2.Route]) -> list[pulumi.Output[str]]:
    return [place.subnet_id_after(route) for place, route in zip(tier, routes, strict=True)]
