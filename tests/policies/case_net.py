"""Cases of the family NET."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import REGION, Case

WORLD = "0.0.0.0/0"
OFFICE = "203.0.113.0/24"


def vpc() -> aws.ec2.Vpc:
    return aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")


def group(**more: Any) -> aws.ec2.SecurityGroup:
    return aws.ec2.SecurityGroup("group", vpc_id=vpc().id, **{"description": "Services", **more})


def inline(cidr: str, port: int = 8080, last: int | None = None, **more: Any) -> None:
    rule = {
        "protocol": "tcp",
        "from_port": port,
        "to_port": last or port,
        "cidr_blocks": [cidr],
        "description": "x",
    }
    group(ingress=[{**rule, **more}])


def separate(cidr: str, port: int = 8080, protocol: str = "tcp") -> None:
    family = "cidr_ipv6" if ":" in cidr else "cidr_ipv4"
    ports = {} if protocol == "-1" else {"from_port": port, "to_port": port}
    arguments: dict[str, Any] = {"ip_protocol": protocol, "description": "x", family: cidr, **ports}
    aws.vpc.SecurityGroupIngressRule("rule", security_group_id=group().id, **arguments)


def legacy(cidr: str, port: int = 8080, kind: str = "ingress", protocol: str = "tcp") -> None:
    family = "ipv6_cidr_blocks" if ":" in cidr else "cidr_blocks"
    arguments: dict[str, Any] = {family: [cidr], "description": "x"}
    aws.ec2.SecurityGroupRule(
        "rule",
        type=kind,
        security_group_id=group().id,
        protocol=protocol,
        from_port=port,
        to_port=port,
        **arguments,
    )


def outbound(cidr: str, protocol: str, port: int | None = None) -> None:
    arguments: dict[str, Any] = {} if port is None else {"from_port": port, "to_port": port}
    aws.vpc.SecurityGroupEgressRule(
        "rule",
        security_group_id=group().id,
        ip_protocol=protocol,
        cidr_ipv4=cidr,
        description="x",
        **arguments,
    )


def default_group(
    *, taken_over: bool, ingress: list[dict[str, Any]] | None = None, rule: bool = False
) -> None:
    made = vpc()
    if taken_over:
        default = aws.ec2.DefaultSecurityGroup("default", vpc_id=made.id, ingress=ingress or [], egress=[])  # type: ignore[arg-type]
        if rule:
            aws.vpc.SecurityGroupIngressRule(
                "rule",
                security_group_id=default.id,
                ip_protocol="-1",
                cidr_ipv4="10.0.0.0/16",
                description="x",
            )


def flow_log(traffic: str = "ALL", retention: int | None = 365) -> None:
    logs = aws.cloudwatch.LogGroup("logs", retention_in_days=retention)
    aws.ec2.FlowLog("flow", vpc_id=vpc().id, traffic_type=traffic, log_destination=logs.arn)


def subnet(**more: Any) -> aws.ec2.Subnet:
    return aws.ec2.Subnet("subnet", vpc_id=vpc().id, cidr_block="10.0.0.0/24", **more)


def routed(tags: dict[str, str], *, to: str, separate_route: bool = True) -> None:
    made = vpc()
    place = aws.ec2.Subnet("subnet", vpc_id=made.id, cidr_block="10.0.0.0/24", tags=tags)
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=made.id)
    nat = aws.ec2.NatGateway("nat", subnet_id="subnet-0abc", allocation_id="eipalloc-0abc")
    target: dict[str, Any] = {"igw": {"gateway_id": gateway.id}, "nat": {"nat_gateway_id": nat.id}, "": {}}[
        to
    ]
    routes = [{"cidr_block": WORLD, **target}] if target and not separate_route else None
    table = aws.ec2.RouteTable("table", vpc_id=made.id, routes=routes)  # type: ignore[arg-type]
    if target and separate_route:
        aws.ec2.Route("route", route_table_id=table.id, destination_cidr_block=WORLD, **target)
    aws.ec2.RouteTableAssociation("association", subnet_id=place.id, route_table_id=table.id)


def database_subnet(*, routed_out: bool) -> None:
    made = vpc()
    place = aws.ec2.Subnet("subnet", vpc_id=made.id, cidr_block="10.0.0.0/24")
    aws.rds.SubnetGroup("group", subnet_ids=[place.id, "subnet-0abc"])
    table = aws.ec2.RouteTable("table", vpc_id=made.id)
    aws.ec2.RouteTableAssociation("association", subnet_id=place.id, route_table_id=table.id)
    if routed_out:
        gateway = aws.ec2.InternetGateway("gateway", vpc_id=made.id)
        aws.ec2.Route("route", route_table_id=table.id, destination_cidr_block=WORLD, gateway_id=gateway.id)


def s3_endpoint(policy: dict[str, Any] | None, *, service: str = "s3") -> None:
    made = vpc()
    aws.ec2.Subnet("subnet", vpc_id=made.id, cidr_block="10.0.0.0/24")
    aws.ec2.VpcEndpoint(
        "endpoint",
        vpc_id=made.id,
        service_name=f"com.amazonaws.{REGION}.{service}",
        policy=json.dumps(policy) if policy else None,
    )


def _statement(**more: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", **more}}


OWN = _statement(Condition={"StringEquals": {"aws:PrincipalAccount": "111122223333"}})
NEEDED = ("ecr.api", "ecr.dkr", "sts", "logs", "kms", "eks", "ec2")


def endpoints(*services: str) -> None:
    made = vpc()
    aws.ec2.Subnet("subnet", vpc_id=made.id, cidr_block="10.0.0.0/24", tags={"tier": "isolated"})
    for service in services:
        aws.ec2.VpcEndpoint(
            service,
            vpc_id=made.id,
            vpc_endpoint_type="Interface",
            service_name=f"com.amazonaws.{REGION}.{service}",
        )


def acl(*lines: tuple[int, str, str, int, int]) -> None:
    aws.ec2.NetworkAcl(
        "acl",
        vpc_id=vpc().id,
        ingress=[
            {
                "rule_no": n,
                "action": action,
                "protocol": "tcp",
                "cidr_block": cidr,
                "from_port": a,
                "to_port": b,
            }
            for n, action, cidr, a, b in lines
        ],
    )


def acl_rule(cidr: str, port: int, *, protocol: str = "tcp", egress: bool = False) -> None:
    aws.ec2.NetworkAclRule(
        "line",
        network_acl_id="acl-0abc",
        rule_number=100,
        egress=egress,
        protocol=protocol,
        rule_action="allow",
        cidr_block=cidr,
        from_port=port,
        to_port=port,
    )


def zones(*letters: str) -> None:
    made = vpc()
    for index, letter in enumerate(letters):
        aws.ec2.Subnet(
            f"subnet-{index}",
            vpc_id=made.id,
            cidr_block=f"10.0.{index}.0/24",
            availability_zone=f"{REGION}{letter}",
        )


def nats(*letters: str) -> None:
    made = vpc()
    for index, letter in enumerate("ab"):
        zone = f"{REGION}{letter}"
        aws.ec2.Subnet(
            f"private-{letter}",
            vpc_id=made.id,
            cidr_block=f"10.0.{index}.0/24",
            availability_zone=zone,
            tags={"tier": "private"},
        )
        public = aws.ec2.Subnet(
            f"public-{letter}", vpc_id=made.id, cidr_block=f"10.0.1{index}.0/24", availability_zone=zone
        )
        if letter in letters:
            aws.ec2.NatGateway(f"nat-{letter}", subnet_id=public.id, allocation_id="eipalloc-0abc")


def database(*, public: bool | None) -> None:
    aws.rds.Instance("database", instance_class="db.m7g.large", publicly_accessible=public)


def cluster(**config: Any) -> None:
    arguments: Any = {"vpc_config": {"subnet_ids": [], **config}}
    aws.eks.Cluster("cluster", role_arn="arn:aws:iam::111122223333:role/c", **arguments)


def balancer(*, attached: bool, also: bool = False) -> None:
    edge = group()
    aws.vpc.SecurityGroupIngressRule(
        "rule",
        security_group_id=edge.id,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_ipv4=WORLD,
        description="TLS",
    )
    if attached:
        aws.lb.LoadBalancer("edge", internal=False, security_groups=[edge.id])
    if also:
        aws.ec2.Instance(
            "machine", ami="ami-0abc", instance_type="t3.micro", vpc_security_group_ids=[edge.id]
        )


def one_unknown_range_beside_the_world() -> None:
    unknown = aws.ec2.Eip("address", domain="vpc").public_ip.apply(lambda ip: f"{ip}/32")
    group(
        ingress=[
            {
                "protocol": "tcp",
                "from_port": 8080,
                "to_port": 8080,
                "cidr_blocks": [unknown],
                "description": "x",
            },
            {
                "protocol": "tcp",
                "from_port": 8080,
                "to_port": 8080,
                "cidr_blocks": [WORLD],
                "description": "x",
            },
        ]
    )


CASES = [
    Case(
        control="NET-01",
        compliant=lambda: inline(OFFICE),
        violating=lambda: inline(WORLD),
        mentions="ingress[0].cidrBlocks[0]",
    ),
    Case(
        control="NET-01",
        compliant=lambda: inline(WORLD, 443),
        violating=lambda: inline(WORLD, 443, 444),
        mentions="internet",
    ),
    Case(
        control="NET-01",
        compliant=lambda: separate(OFFICE),
        violating=lambda: separate(WORLD),
        mentions="cidrIpv4",
    ),
    Case(
        control="NET-01",
        compliant=lambda: separate("2001:db8::/56"),
        violating=lambda: separate("::/0"),
        mentions="cidrIpv6",
    ),
    Case(
        control="NET-01",
        compliant=lambda: separate(OFFICE),
        violating=lambda: separate("128.0.0.0/1"),
        mentions="internet",
    ),
    Case(
        control="NET-01",
        compliant=lambda: separate(WORLD, 443),
        violating=lambda: separate(WORLD, protocol="-1"),
        mentions="internet",
    ),
    Case(
        control="NET-01",
        compliant=lambda: legacy(OFFICE),
        violating=lambda: legacy(WORLD),
        mentions="cidrBlocks[0]",
    ),
    Case(
        control="NET-01",
        compliant=lambda: legacy(WORLD, kind="egress"),
        violating=lambda: legacy("0::/0"),
        mentions="ipv6CidrBlocks[0]",
    ),
    Case(
        control="NET-01",
        compliant=lambda: inline(OFFICE),
        violating=one_unknown_range_beside_the_world,
        mentions="ingress[1]",
    ),
    Case(
        control="NET-01",
        compliant=lambda: inline(OFFICE),
        violating=lambda: inline("everywhere"),
        mentions="shape",
    ),
    Case(
        control="NET-02",
        compliant=lambda: inline(OFFICE, 22),
        violating=lambda: inline("203.0.0.0/16", 22),
        mentions="port 22",
    ),
    Case(
        control="NET-02",
        compliant=lambda: inline(OFFICE, 5432),
        violating=lambda: inline("10.0.0.0/8", 5000, 6000),
        mentions="port 5432",
    ),
    Case(
        control="NET-02",
        compliant=lambda: separate(WORLD, 443),
        violating=lambda: separate("10.0.0.0/16", protocol="-1"),
        mentions="port 22",
    ),
    Case(
        control="NET-02",
        compliant=lambda: separate("2001:db8::/56", 22),
        violating=lambda: separate("2001:db8::/48", 22),
        mentions="port 22",
    ),
    Case(
        control="NET-02",
        compliant=lambda: legacy(OFFICE, 3389),
        violating=lambda: legacy(WORLD, 3389, protocol="6"),
        mentions="port 3389",
    ),
    Case(
        control="NET-03",
        compliant=lambda: default_group(taken_over=True),
        violating=lambda: default_group(taken_over=False),
        mentions="as AWS made it",
    ),
    Case(
        control="NET-03",
        compliant=lambda: default_group(taken_over=True),
        violating=lambda: default_group(
            taken_over=True, ingress=[{"protocol": "-1", "from_port": 0, "to_port": 0, "self": True}]
        ),
        mentions="with rules",
    ),
    Case(
        control="NET-03",
        compliant=lambda: default_group(taken_over=True),
        violating=lambda: default_group(taken_over=True, rule=True),
        mentions="separate rules",
    ),
    Case(control="NET-04", compliant=flow_log, violating=vpc, mentions="no flow log"),
    Case(control="NET-04", compliant=flow_log, violating=lambda: flow_log("REJECT"), mentions="no flow log"),
    Case(
        control="NET-04",
        compliant=lambda: flow_log(retention=None),
        violating=lambda: flow_log(retention=30),
        mentions="90 days",
    ),
    Case(
        control="NET-04",
        compliant=lambda: flow_log(retention=2192),
        violating=flow_log,
        mentions="2192 days",
        tags={"profile": "hipaa"},
    ),
    Case(
        control="NET-05",
        compliant=lambda: subnet(map_public_ip_on_launch=False),
        violating=lambda: subnet(map_public_ip_on_launch=True),
        mentions="mapPublicIpOnLaunch",
    ),
    Case(
        control="NET-05",
        compliant=subnet,
        violating=lambda: subnet(map_public_ip_on_launch=aws.ec2.Vpc("other").id.apply(bool)),
        mentions="mapPublicIpOnLaunch",
    ),
    Case(
        control="NET-05",
        compliant=subnet,
        violating=lambda: subnet(assign_ipv6_address_on_creation=True),
        mentions="assignIpv6AddressOnCreation",
    ),
    Case(
        control="NET-06",
        compliant=lambda: routed({"tier": "isolated"}, to=""),
        violating=lambda: routed({"tier": "isolated"}, to="igw"),
        mentions="internet gateway",
    ),
    Case(
        control="NET-06",
        compliant=lambda: routed({"tier": "private"}, to="nat"),
        violating=lambda: routed({"tier": "isolated"}, to="nat", separate_route=False),
        mentions="out of the VPC",
    ),
    Case(
        control="NET-06",
        compliant=lambda: database_subnet(routed_out=False),
        violating=lambda: database_subnet(routed_out=True),
        mentions="internet gateway",
    ),
    Case(
        control="NET-07",
        compliant=lambda: s3_endpoint(OWN),
        violating=lambda: s3_endpoint(OWN, service="dynamodb"),
        mentions="no endpoint for S3",
    ),
    Case(
        control="NET-07",
        compliant=lambda: s3_endpoint(OWN),
        violating=lambda: s3_endpoint(None),
        mentions="everybody",
    ),
    Case(
        control="NET-07",
        compliant=lambda: s3_endpoint(OWN),
        violating=lambda: s3_endpoint(_statement()),
        mentions="everybody",
    ),
    Case(
        control="NET-08",
        compliant=lambda: endpoints(*NEEDED),
        violating=lambda: endpoints(*NEEDED[:-1]),
        mentions="no endpoint for ec2",
    ),
    Case(
        control="NET-09",
        compliant=lambda: outbound(WORLD, "tcp", 443),
        violating=lambda: outbound(WORLD, "-1"),
        mentions="cidrIpv4",
    ),
    Case(
        control="NET-09",
        compliant=lambda: outbound("10.0.0.0/16", "-1"),
        violating=lambda: group(
            egress=[
                {
                    "protocol": "-1",
                    "from_port": 0,
                    "to_port": 0,
                    "ipv6_cidr_blocks": ["::/0"],
                    "description": "x",
                }
            ]
        ),
        mentions="egress[0].ipv6CidrBlocks[0]",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl((10, "deny", WORLD, 3389, 3389), (20, "allow", WORLD, 1024, 65535)),
        violating=lambda: acl((10, "allow", WORLD, 1024, 65535), (20, "deny", WORLD, 3389, 3389)),
        mentions="port 3389",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl((1, "allow", OFFICE, 22, 22)),
        violating=lambda: acl((1, "allow", WORLD, 0, 65535)),
        mentions="port 22",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl_rule(WORLD, 443),
        violating=lambda: acl_rule(WORLD, 22),
        mentions="port 22",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl_rule(WORLD, 22, egress=True),
        violating=lambda: acl_rule(WORLD, 0, protocol="-1"),
        mentions="port 22",
    ),
    Case(
        control="NET-11",
        compliant=group,
        violating=lambda: group(description="Managed by Pulumi"),
        mentions="description",
    ),
    Case(
        control="NET-11",
        compliant=lambda: inline(OFFICE),
        violating=lambda: inline(OFFICE, description=None),
        mentions="ingress[0].description",
    ),
    Case(
        control="NET-11",
        compliant=lambda: separate(OFFICE),
        violating=lambda: aws.vpc.SecurityGroupIngressRule(
            "rule", security_group_id=group().id, ip_protocol="tcp", from_port=1, to_port=1, cidr_ipv4=OFFICE
        ),
        mentions="description",
    ),
    Case(
        control="NET-12",
        compliant=lambda: zones("a", "b"),
        violating=lambda: zones("a", "a"),
        mentions="fewer than 2",
    ),
    Case(
        control="NET-12",
        compliant=lambda: zones("a", "b", "c"),
        violating=lambda: zones("a", "b"),
        mentions="fewer than 3",
        tags={"environment": "prod"},
    ),
    Case(
        control="NET-13",
        compliant=lambda: nats("a", "b"),
        violating=lambda: nats("a"),
        mentions="another zone",
        tags={"profile": "pci"},
    ),
    Case(
        control="NET-14",
        compliant=lambda: database(public=None),
        violating=lambda: database(public=True),
        mentions="public address",
    ),
    Case(
        control="NET-14",
        compliant=lambda: cluster(endpoint_public_access=False, endpoint_private_access=True),
        violating=cluster,
        mentions="Kubernetes API",
    ),
    Case(
        control="NET-14",
        compliant=lambda: cluster(endpoint_public_access=True, public_access_cidrs=[OFFICE]),
        violating=lambda: cluster(endpoint_public_access=True, public_access_cidrs=[OFFICE, WORLD]),
        mentions="Kubernetes API",
    ),
    Case(
        control="NET-14",
        compliant=lambda: aws.lb.LoadBalancer("edge", internal=False, load_balancer_type="application"),
        violating=lambda: aws.lb.LoadBalancer("edge", internal=False, load_balancer_type="network"),
        mentions="load balancer",
    ),
    Case(
        control="NET-14",
        compliant=lambda: aws.redshift.Cluster(
            "warehouse", cluster_identifier="w", node_type="ra3.large", publicly_accessible=False
        ),
        violating=lambda: aws.redshift.Cluster("warehouse", cluster_identifier="w", node_type="ra3.large"),
        mentions="public address",
    ),
    Case(
        control="NET-15",
        compliant=lambda: balancer(attached=True),
        violating=lambda: balancer(attached=False),
        mentions="no load balancer",
    ),
    Case(
        control="NET-15",
        compliant=lambda: balancer(attached=True),
        violating=lambda: balancer(attached=True, also=True),
        mentions="not a load balancer",
    ),
]
