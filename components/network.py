"""The network: a VPC in three tiers, each with one rule about the internet.

*Public* holds what the internet may reach (the edge, NAT gateways, the bastion). *Private* holds the cluster and
the services, which may go out through NAT but are not reached. *Isolated* holds training and data: its route
table has no way out at all, and AWS's own services are met through endpoints inside the VPC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pulumi
import pulumi_aws as aws

from components.addressing import TierPlan
from components.documents import Statement, policy_document
from components.egress import EgressFirewall
from components.endpoints import Endpoints

WORLD = "0.0.0.0/0"

Tier = Literal["public", "private", "isolated", "firewall"]


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
    def endpoint_security_group_id(self) -> pulumi.Input[str]:
        """Group of the interface endpoints: allow it on 443 to reach AWS."""

    @property
    def s3_prefix_list_id(self) -> pulumi.Input[str]:
        """Addresses of S3 in the region, for egress rules."""


@dataclass(frozen=True, kw_only=True)
class ExistingNetwork:
    """A VPC of the caller's. Its tiers must already be routed as their names say; nothing is made in it."""

    vpc_id: str
    public_subnet_ids: tuple[str, ...]
    private_subnet_ids: tuple[str, ...]
    isolated_subnet_ids: tuple[str, ...]
    endpoint_security_group_id: str
    s3_prefix_list_id: str


class Network(pulumi.ComponentResource):
    """A VPC with its tiers, its ways out and its records.

    Attributes:
        vpc_id: The VPC.
        public_subnet_ids: One subnet a zone.
        private_subnet_ids: One subnet a zone.
        isolated_subnet_ids: One subnet a zone.
        endpoint_security_group_id: Group of the interface endpoints.
        s3_prefix_list_id: Addresses of S3 in the region.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    isolated_subnet_ids: list[pulumi.Output[str]]
    endpoint_security_group_id: pulumi.Output[str]
    s3_prefix_list_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        cidr_block: str,
        zones: Sequence[str],
        nat_gateways: Literal["one", "per-zone"],
        flow_log_retention_days: int,
        logs_key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        ssh_cidrs: Sequence[str] = (),
        allowed_egress_domains: Sequence[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the network.

        Args:
            name: Logical name.
            cidr_block: IPv4 range of the VPC, /16 to /20.
            zones: Full names of two or three availability zones.
            nat_gateways: One for all zones, or one in each so that a zone can fail alone.
            flow_log_retention_days: How long flow logs and DNS query logs stay.
            logs_key_arn: Key of those logs.
            permissions_boundary_arn: Boundary of the role that delivers flow logs.
            account_id: The account; endpoints serve no other.
            region: The region of the VPC.
            ssh_cidrs: Approved IPv4 addresses, which the public tier's ACL lets through on port 22.
            allowed_egress_domains: When given, a firewall lets the private tier reach these domains only.

        Raises:
            ValueError: the range does not hold the tiers, or there are not two or three zones.
        """
        super().__init__("secureml:network:Network", name, None, opts)
        plan = TierPlan.split(cidr_block, zones=len(zones))
        self._name = name
        self._cidr_block = cidr_block
        self._zones = tuple(zones)
        self._ssh_cidrs = [cidr for cidr in ssh_cidrs if ":" not in cidr]
        self._under = pulumi.ResourceOptions(parent=self)

        self._vpc = self._made_vpc(cidr_block)
        self.vpc_id = self._vpc.id
        public = self._tier("public", plan.public)
        private = self._tier("private", plan.private)
        isolated = self._tier("isolated", plan.isolated)
        self._route_public(public)
        self._route_private(private, plan, nat_gateways, public, allowed_egress_domains)
        isolated_tables = self._tables("isolated", isolated)
        self._acl("public", public)
        self._acl("private", private)
        self._acl("isolated", isolated)
        endpoints = Endpoints(
            f"{name}-endpoints",
            vpc_id=self.vpc_id,
            subnet_ids=[subnet.id for subnet in private],
            client_cidrs=[*plan.private, *plan.isolated],
            route_table_ids=[t.id for t in (*self._public_tables, *self._private_tables, *isolated_tables)],
            account_id=account_id,
            region=region,
            opts=self._under,
        )
        self._records(flow_log_retention_days, logs_key_arn, permissions_boundary_arn, account_id)

        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.isolated_subnet_ids = [subnet.id for subnet in isolated]
        self.endpoint_security_group_id = endpoints.security_group_id
        self.s3_prefix_list_id = endpoints.s3_prefix_list_id
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "isolated_subnet_ids": self.isolated_subnet_ids,
            }
        )

    def _made_vpc(self, cidr_block: str) -> aws.ec2.Vpc:
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=cidr_block,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": self._name},
            opts=self._under,
        )
        # Taken over without a rule: what forgets to name a group reaches nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default-group", vpc_id=vpc.id, ingress=[], egress=[], opts=self._under
        )
        aws.ec2.DefaultNetworkAcl(
            f"{self._name}-default-acl",
            default_network_acl_id=vpc.default_network_acl_id,
            ingress=[],
            egress=[],
            opts=self._under,
        )
        return vpc

    def _tier(self, tier: Tier, cidr_blocks: Sequence[str]) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{self._name}-{tier}-{zone[-1]}",
                vpc_id=self.vpc_id,
                availability_zone=zone,
                cidr_block=cidr_block,
                map_public_ip_on_launch=False,
                tags={"Name": f"{self._name}-{tier}-{zone[-1]}", "tier": tier},
                opts=self._under,
            )
            for zone, cidr_block in zip(self._zones, cidr_blocks, strict=True)
        ]

    def _tables(self, tier: Tier, subnets: Sequence[aws.ec2.Subnet]) -> list[aws.ec2.RouteTable]:
        """Give each subnet a route table of its own, so that a zone's routes never depend on another's."""
        tables = []
        for zone, subnet in zip(self._zones, subnets, strict=True):
            label = f"{self._name}-{tier}-{zone[-1]}"
            table = aws.ec2.RouteTable(
                label, vpc_id=self.vpc_id, tags={"Name": label, "tier": tier}, opts=self._under
            )
            aws.ec2.RouteTableAssociation(
                label, subnet_id=subnet.id, route_table_id=table.id, opts=self._under
            )
            tables.append(table)
        return tables

    def _route_public(self, subnets: Sequence[aws.ec2.Subnet]) -> None:
        self._gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags={"Name": self._name}, opts=self._under
        )
        self._public_tables = self._tables("public", subnets)
        for zone, table in zip(self._zones, self._public_tables, strict=True):
            self._default_route(f"public-{zone[-1]}", table, gateway_id=self._gateway.id)

    def _route_private(
        self,
        subnets: Sequence[aws.ec2.Subnet],
        plan: TierPlan,
        nat_gateways: Literal["one", "per-zone"],
        public: Sequence[aws.ec2.Subnet],
        allowed_egress_domains: Sequence[str] | None,
    ) -> None:
        """Send the private tier out through NAT; with an allow-list, through the firewall first."""
        count = 1 if nat_gateways == "one" else len(self._zones)
        nats = [self._nat(zone, subnet) for zone, subnet in zip(self._zones[:count], public, strict=False)]
        self._private_tables = self._tables("private", subnets)
        firewall = self._firewall(plan, nats, allowed_egress_domains) if allowed_egress_domains else None
        for index, (zone, table) in enumerate(zip(self._zones, self._private_tables, strict=True)):
            if firewall:
                self._default_route(f"private-{zone[-1]}", table, vpc_endpoint_id=firewall.endpoint_id(zone))
            else:
                self._default_route(f"private-{zone[-1]}", table, nat_gateway_id=nats[index % count].id)

    def _nat(self, zone: str, subnet: aws.ec2.Subnet) -> aws.ec2.NatGateway:
        label = f"{self._name}-nat-{zone[-1]}"
        address = aws.ec2.Eip(label, domain="vpc", tags={"Name": label}, opts=self._under)
        return aws.ec2.NatGateway(
            label,
            allocation_id=address.id,
            subnet_id=subnet.id,
            connectivity_type="public",
            tags={"Name": label},
            # It has a way out only once the gateway is attached, and must be gone before it is detached.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._gateway]),
        )

    def _firewall(
        self, plan: TierPlan, nats: Sequence[aws.ec2.NatGateway], domains: Sequence[str]
    ) -> EgressFirewall:
        subnets = self._tier("firewall", plan.firewall)
        self._acl("firewall", subnets)
        for index, (zone, table) in enumerate(
            zip(self._zones, self._tables("firewall", subnets), strict=True)
        ):
            self._default_route(f"firewall-{zone[-1]}", table, nat_gateway_id=nats[index % len(nats)].id)
        firewall = EgressFirewall(
            f"{self._name}-egress",
            vpc_id=self.vpc_id,
            subnet_ids=[subnet.id for subnet in subnets],
            source_cidrs=list(plan.private),
            allowed_domains=domains,
            opts=self._under,
        )
        # Answers must come back the way that questions went, or the firewall sees half a conversation.
        for zone, table in zip(self._zones, self._public_tables, strict=True):
            for index, (source_zone, cidr_block) in enumerate(zip(self._zones, plan.private, strict=True)):
                aws.ec2.Route(
                    f"{self._name}-public-{zone[-1]}-back-{index}",
                    route_table_id=table.id,
                    destination_cidr_block=cidr_block,
                    vpc_endpoint_id=firewall.endpoint_id(source_zone),
                    opts=self._under,
                )
        return firewall

    def _default_route(self, label: str, table: aws.ec2.RouteTable, **target: pulumi.Input[str]) -> None:
        aws.ec2.Route(
            f"{self._name}-{label}-default",
            route_table_id=table.id,
            destination_cidr_block=WORLD,
            opts=self._under,
            **target,
        )

    def _acl(self, tier: Tier, subnets: Sequence[aws.ec2.Subnet]) -> None:
        """Put a coarse second wall around a tier: security groups are the fine one."""
        ssh = [_Rule("tcp", approved, 22, 22) for approved in self._ssh_cidrs]
        aws.ec2.NetworkAcl(
            f"{self._name}-{tier}-acl",
            vpc_id=self.vpc_id,
            subnet_ids=[subnet.id for subnet in subnets],
            ingress=_numbered((*_INGRESS[tier], *(ssh if tier == "public" else ())), self._cidr_block),
            egress=_numbered(_EGRESS[tier], self._cidr_block),
            tags={"Name": f"{self._name}-{tier}", "tier": tier},
            opts=self._under,
        )

    def _records(
        self,
        retention_days: int,
        logs_key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
    ) -> None:
        """Record every connection and every name that was asked for."""
        flows = aws.cloudwatch.LogGroup(
            f"{self._name}-flow-log",
            name=f"/{self._name}/flow",
            kms_key_id=logs_key_arn,
            retention_in_days=retention_days,
            opts=self._under,
        )
        aws.ec2.FlowLog(
            f"{self._name}-flow-log",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=flows.arn,
            iam_role_arn=self._flow_role(flows, permissions_boundary_arn, account_id).arn,
            max_aggregation_interval=60,
            opts=self._under,
        )
        queries = aws.cloudwatch.LogGroup(
            f"{self._name}-dns-log",
            name=f"/{self._name}/dns",
            kms_key_id=logs_key_arn,
            retention_in_days=retention_days,
            opts=self._under,
        )
        config = aws.route53.ResolverQueryLogConfig(
            f"{self._name}-dns-log", destination_arn=queries.arn, opts=self._under
        )
        aws.route53.ResolverQueryLogConfigAssociation(
            f"{self._name}-dns-log",
            resolver_query_log_config_id=config.id,
            resource_id=self.vpc_id,
            opts=self._under,
        )

    def _flow_role(
        self, group: aws.cloudwatch.LogGroup, permissions_boundary_arn: pulumi.Input[str], account_id: str
    ) -> aws.iam.Role:
        role = aws.iam.Role(
            f"{self._name}-flow-log",
            description="Delivers flow logs",
            assume_role_policy=policy_document(
                Statement(
                    sid="FlowLogsOfThisAccount",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["vpc-flow-logs.amazonaws.com"]},
                    conditions={"StringEquals": {"aws:SourceAccount": account_id}},
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=self._under,
        )
        aws.iam.RolePolicy(
            f"{self._name}-flow-log",
            role=role.id,
            policy=policy_document(
                Statement(
                    sid="WriteFlowLogs",
                    actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    resources=[pulumi.Output.concat(group.arn, ":*")],
                )
            ),
            opts=self._under,
        )
        return role


@dataclass(frozen=True)
class _Rule:
    """One line of a network ACL; ``address`` ``vpc`` stands for the VPC's own range."""

    protocol: str
    address: str
    first_port: int
    last_port: int
    action: Literal["allow", "deny"] = "allow"


_WITHIN = _Rule("-1", "vpc", 0, 0)
_HTTPS = _Rule("tcp", WORLD, 443, 443)
_HTTP = _Rule("tcp", WORLD, 80, 80)
# Answers: NAT gateways and load balancers take any port above 1023, Linux from 32768 to 60999 (VPC User Guide,
# "Ephemeral ports"). The first range contains remote desktop, which is refused before (CIS AWS 5.2).
_NO_REMOTE_DESKTOP = _Rule("tcp", WORLD, 3389, 3389, "deny")
_ANSWERS_TO_GATEWAYS = _Rule("tcp", WORLD, 1024, 65535)
_ANSWERS_TO_LINUX = _Rule("tcp", WORLD, 32768, 60999)

_INGRESS: dict[Tier, tuple[_Rule, ...]] = {
    "public": (_WITHIN, _HTTPS, _HTTP, _NO_REMOTE_DESKTOP, _ANSWERS_TO_GATEWAYS),
    "private": (_WITHIN, _ANSWERS_TO_LINUX),
    # S3 and DynamoDB answer from public addresses, through the gateway endpoints.
    "isolated": (_WITHIN, _ANSWERS_TO_LINUX),
    "firewall": (_WITHIN, _ANSWERS_TO_LINUX),
}
_EGRESS: dict[Tier, tuple[_Rule, ...]] = {
    "public": (_WITHIN, _HTTPS, _HTTP, _ANSWERS_TO_GATEWAYS),
    "private": (_WITHIN, _HTTPS, _HTTP),
    "isolated": (_WITHIN, _HTTPS),
    "firewall": (_WITHIN, _HTTPS, _HTTP),
}

MAX_ACL_RULES = 40
"""The quota for one direction, after asking (the default is 20; VPC User Guide, "Network ACLs")."""


def _numbered(rules: Sequence[_Rule], cidr_block: str) -> list[aws.ec2.NetworkAclIngressArgsDict]:
    """Number the rules in steps of ten, in the order in which AWS tries them."""
    if len(rules) > MAX_ACL_RULES:
        raise ValueError(f"ssh_cidrs: {len(rules)} rules in one network ACL; AWS takes {MAX_ACL_RULES}")
    return [
        {
            "rule_no": number * 10,
            "action": rule.action,
            "protocol": rule.protocol,
            "cidr_block": cidr_block if rule.address == "vpc" else rule.address,
            "from_port": rule.first_port,
            "to_port": rule.last_port,
        }
        for number, rule in enumerate(rules, start=1)
    ]
