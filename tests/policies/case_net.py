"""Cases of the family NET."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case

WORLD = "0.0.0.0/0"
OFFICE = "203.0.113.0/24"
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/t/0123456789abcdef"


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


def plain_http(
    *, listening: bool = True, action: str = "redirect", to: str = "HTTPS", also: bool = False, form: str = ""
) -> None:
    if form == "inline":
        made = vpc()
        rules: Any = [
            {"protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_blocks": [WORLD], "description": "x"}
        ]
        edge = aws.ec2.SecurityGroup("group", vpc_id=made.id, description="Edge", ingress=rules)
    else:
        edge = group()
        aws.vpc.SecurityGroupIngressRule(
            "rule",
            security_group_id=edge.id,
            ip_protocol="tcp",
            from_port=80,
            to_port=80,
            cidr_ipv4=WORLD,
            description="To be redirected",
        )
    balancer = aws.lb.LoadBalancer("edge", internal=False, security_groups=[edge.id])
    if not listening:
        return
    redirect: Any = {"type": "redirect", "redirect": {"protocol": to, "status_code": "HTTP_301"}}
    forward: Any = {"type": "forward", "target_group_arn": TARGETS}
    listener = aws.lb.Listener(
        "http",
        load_balancer_arn=balancer.arn,
        port=80,
        protocol="HTTP",
        default_actions=[redirect if action == "redirect" else forward],
    )
    if also:
        aws.lb.ListenerRule(
            "rule",
            listener_arn=listener.arn,
            actions=[forward],
            conditions=[{"path_pattern": {"values": ["/v1/*"]}}],
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


def inline_rules(direction: str = "ingress", **more: Any) -> None:
    rule = {"protocol": "tcp", "from_port": 8080, "to_port": 8080, "description": "x"}
    group(**{direction: [{**rule, **more}]})


def unknown_range() -> Any:
    return aws.ec2.Eip("address", domain="vpc").public_ip.apply(lambda ip: f"{ip}/32")


def egress_beside_unknown_ingress() -> None:
    rule = {"protocol": "tcp", "from_port": 1, "to_port": 1, "description": "x"}
    everywhere = {"protocol": "-1", "from_port": 0, "to_port": 0, "description": "x", "cidr_blocks": [WORLD]}
    group(ingress=unknown_range().apply(lambda cidr: [{**rule, "cidr_blocks": [cidr]}]), egress=[everywhere])


def in_pieces(*cidrs: str, port: int = 8080) -> None:
    made = group()
    for index, cidr in enumerate(cidrs):
        aws.vpc.SecurityGroupIngressRule(
            f"rule-{index}",
            security_group_id=made.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            description="x",
        )


def by_prefix_list(
    *cidrs: str, port: int = 8080, form: str = "separate", entries: bool = False, foreign: bool = False
) -> None:
    listed = aws.ec2.ManagedPrefixList(
        "list",
        address_family="IPv4",
        max_entries=5,
        entries=None if entries else [{"cidr": cidr} for cidr in cidrs],
    )
    for index, cidr in enumerate(cidrs if entries else ()):
        aws.ec2.ManagedPrefixListEntry(f"entry-{index}", prefix_list_id=listed.id, cidr=cidr)
    named: Any = "pl-0123456789abcdef0" if foreign else listed.id
    ports: dict[str, Any] = {"from_port": port, "to_port": port, "description": "x"}
    if form == "inline":
        group(ingress=[{"protocol": "tcp", "prefix_list_ids": [named], **ports}])
    elif form == "legacy":
        aws.ec2.SecurityGroupRule(
            "rule",
            type="ingress",
            protocol="tcp",
            security_group_id=group().id,
            prefix_list_ids=[named],
            **ports,
        )
    else:
        aws.vpc.SecurityGroupIngressRule(
            "rule", ip_protocol="tcp", security_group_id=group().id, prefix_list_id=named, **ports
        )


def out_by_prefix_list(cidr: str) -> None:
    listed = aws.ec2.ManagedPrefixList("list", address_family="IPv4", max_entries=1, entries=[{"cidr": cidr}])
    aws.vpc.SecurityGroupEgressRule(
        "rule", ip_protocol="-1", security_group_id=group().id, prefix_list_id=listed.id, description="x"
    )


def default_group_through_the_vpc(*, opened: bool) -> None:
    made = vpc()
    aws.ec2.DefaultSecurityGroup("default", vpc_id=made.id)
    if opened:
        aws.vpc.SecurityGroupIngressRule(
            "rule",
            security_group_id=made.default_security_group_id,
            ip_protocol="-1",
            cidr_ipv4="10.0.0.0/16",
            description="x",
        )


def flow_log_to_bucket(days: int) -> None:
    bucket = aws.s3.Bucket("logs")
    aws.s3.BucketLifecycleConfiguration(
        "logs",
        bucket=bucket.bucket,
        rules=[{"id": "expire", "status": "Enabled", "expiration": {"days": days}}],
    )
    aws.ec2.FlowLog(
        "flow", vpc_id=vpc().id, traffic_type="ALL", log_destination=bucket.arn, log_destination_type="s3"
    )


def main_table(how: str) -> None:
    """A subnet without a route table of its own, whose VPC's main one leads out."""
    made = vpc()
    aws.ec2.Subnet("subnet", vpc_id=made.id, cidr_block="10.0.0.0/24", tags={"tier": "isolated"})
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=made.id)
    out: Any = [{"cidr_block": WORLD, "gateway_id": gateway.id}]
    if how == "default table":
        aws.ec2.DefaultRouteTable("table", default_route_table_id=made.default_route_table_id, routes=out)
    elif how == "association":
        table = aws.ec2.RouteTable("table", vpc_id=made.id, routes=out)
        aws.ec2.MainRouteTableAssociation("main", vpc_id=made.id, route_table_id=table.id)
    elif how == "route":
        aws.ec2.Route(
            "route",
            route_table_id=made.main_route_table_id,
            destination_cidr_block=WORLD,
            gateway_id=gateway.id,
        )


def s3_endpoint_kind(kind: str) -> None:
    made = vpc()
    aws.ec2.Subnet("subnet", vpc_id=made.id, cidr_block="10.0.0.0/24")
    aws.ec2.VpcEndpoint(
        "endpoint",
        vpc_id=made.id,
        vpc_endpoint_type=kind,
        service_name=f"com.amazonaws.{REGION}.s3",
        policy=json.dumps(OWN),
    )


def endpoint_with_separate_policy(policy: dict[str, Any]) -> None:
    made = vpc()
    endpoint = aws.ec2.VpcEndpoint("endpoint", vpc_id=made.id, service_name=f"com.amazonaws.{REGION}.s3")
    aws.ec2.VpcEndpointPolicy("policy", vpc_endpoint_id=endpoint.id, policy=json.dumps(policy))


def acl_of_both_families(*lines: tuple[int, str, str]) -> None:
    ingress = [
        {
            "rule_no": number,
            "action": action,
            "protocol": "tcp",
            "from_port": 0,
            "to_port": 65535,
            "ipv6_cidr_block" if ":" in cidr else "cidr_block": cidr,
        }
        for number, action, cidr in lines
    ]
    aws.ec2.NetworkAcl("acl", vpc_id=vpc().id, ingress=ingress)  # type: ignore[arg-type]


def isolated_zones(*letters: str) -> None:
    zones("a", "b")
    other = aws.ec2.Vpc("other", cidr_block="10.1.0.0/16")
    for index, letter in enumerate("ab"):
        aws.ec2.Subnet(
            f"other-{index}",
            vpc_id=other.id,
            cidr_block=f"10.1.{index}.0/24",
            availability_zone=f"{REGION}{letter}",
            tags={"tier": "isolated"} if letter in letters else None,
        )


def routes_to_nat(*, own: bool, mode: str | None = None) -> None:
    made = vpc()
    letters = "ab"
    gateways = []
    for index, letter in enumerate(letters):
        public = aws.ec2.Subnet(
            f"public-{letter}",
            vpc_id=made.id,
            cidr_block=f"10.0.1{index}.0/24",
            availability_zone=f"{REGION}{letter}",
        )
        gateways.append(
            aws.ec2.NatGateway(
                f"nat-{letter}",
                subnet_id=public.id,
                allocation_id="eipalloc-0abc",
                availability_mode=mode,
            )
        )
    for index, letter in enumerate(letters):
        place = aws.ec2.Subnet(
            f"app-{letter}",
            vpc_id=made.id,
            cidr_block=f"10.0.{index}.0/24",
            availability_zone=f"{REGION}{letter}",
        )
        table = aws.ec2.RouteTable(f"table-{letter}", vpc_id=made.id)
        aws.ec2.RouteTableAssociation(letter, subnet_id=place.id, route_table_id=table.id)
        aws.ec2.Route(
            letter,
            route_table_id=table.id,
            destination_cidr_block=WORLD,
            nat_gateway_id=gateways[index if own else 0].id,
        )


def brokers(access: str) -> None:
    aws.msk.Cluster(
        "brokers",
        kafka_version="3.6.0",
        number_of_broker_nodes=2,
        broker_node_group_info={
            "client_subnets": ["subnet-0abc"],
            "instance_type": "kafka.m7g.large",
            "security_groups": ["sg-0abc"],
            "connectivity_info": {"public_access": {"type": access}},
        },
    )


def replication(public: bool | None) -> None:
    aws.dms.ReplicationInstance(
        "replication",
        replication_instance_class="dms.t3.medium",
        replication_instance_id="r",
        publicly_accessible=public,
    )


def warehouse(public: bool | None) -> None:
    aws.redshift.Cluster(
        "warehouse", cluster_identifier="w", node_type="ra3.large", publicly_accessible=public
    )


def edge_also_worn_by(wear: Callable[[aws.ec2.SecurityGroup], object]) -> None:
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
    aws.lb.LoadBalancer("edge", internal=False, security_groups=[edge.id])
    wear(edge)


def second_interface(edge: aws.ec2.SecurityGroup) -> None:
    aws.ec2.LaunchTemplate(
        "template", network_interfaces=[{"security_groups": ["sg-0abc"]}, {"security_groups": [edge.id]}]
    )


def behind_the_edge(edge: aws.ec2.SecurityGroup) -> None:
    service = aws.ec2.SecurityGroup("service", description="Service", vpc_id="vpc-0abc")
    aws.vpc.SecurityGroupIngressRule(
        "from-edge",
        security_group_id=service.id,
        referenced_security_group_id=edge.id,
        ip_protocol="tcp",
        from_port=8080,
        to_port=8080,
        description="From the edge",
    )
    aws.ec2.LaunchTemplate("template", vpc_security_group_ids=[service.id])


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
        compliant=lambda: warehouse(None),
        violating=lambda: warehouse(True),
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
    Case(
        control="NET-01",
        compliant=lambda: inline_rules(cidr_blocks=[OFFICE]),
        violating=lambda: inline_rules(cidr_blocks=[unknown_range(), WORLD]),
        mentions="cidrBlocks[1]",
    ),
    Case(
        control="NET-01",
        compliant=lambda: inline_rules(cidr_blocks=[OFFICE]),
        violating=lambda: inline_rules(
            cidr_blocks=unknown_range().apply(lambda cidr: [cidr]), ipv6_cidr_blocks=["::/0"]
        ),
        mentions="ipv6CidrBlocks[0]",
    ),
    Case(
        control="NET-01",
        compliant=lambda: inline_rules(cidr_blocks=[OFFICE]),
        violating=lambda: inline_rules(cidr_blocks=["0.0.0.0/0.0.0.0"]),
        mentions="internet",
    ),
    Case(
        control="NET-02",
        compliant=lambda: inline_rules(
            protocol="icmp", from_port=-1, to_port=-1, cidr_blocks=["10.0.0.0/16"]
        ),
        violating=lambda: inline_rules(from_port=-1, to_port=-1, cidr_blocks=["10.0.0.0/16"]),
        mentions="port 22",
    ),
    Case(
        control="NET-02",
        compliant=lambda: inline_rules(from_port="443", to_port="443", cidr_blocks=["10.0.0.0/16"]),
        violating=lambda: inline_rules(from_port="20", to_port="23", cidr_blocks=["10.0.0.0/16"]),
        mentions="port 22",
    ),
    Case(
        control="NET-03",
        compliant=lambda: default_group_through_the_vpc(opened=False),
        violating=lambda: default_group_through_the_vpc(opened=True),
        mentions="separate rules",
    ),
    Case(
        control="NET-03",
        compliant=lambda: default_group(taken_over=True),
        violating=lambda: aws.ec2.DefaultVpc("default"),
        mentions="as AWS made it",
    ),
    Case(
        control="NET-04",
        compliant=lambda: flow_log(),
        violating=lambda: aws.ec2.DefaultVpc("default"),
        mentions="no flow log",
    ),
    Case(
        control="NET-04",
        compliant=lambda: flow_log_to_bucket(365),
        violating=lambda: flow_log_to_bucket(7),
        mentions="90 days",
    ),
    Case(
        control="NET-05",
        compliant=lambda: aws.ec2.DefaultSubnet(
            "default", availability_zone=f"{REGION}a", map_public_ip_on_launch=False
        ),
        violating=lambda: aws.ec2.DefaultSubnet("default", availability_zone=f"{REGION}a"),
        mentions="mapPublicIpOnLaunch",
    ),
    Case(
        control="NET-06",
        compliant=lambda: main_table(""),
        violating=lambda: main_table("default table"),
        mentions="internet gateway",
    ),
    Case(
        control="NET-06",
        compliant=lambda: main_table(""),
        violating=lambda: main_table("association"),
        mentions="internet gateway",
    ),
    Case(
        control="NET-06",
        compliant=lambda: main_table(""),
        violating=lambda: main_table("route"),
        mentions="internet gateway",
    ),
    Case(
        control="NET-07",
        compliant=lambda: s3_endpoint_kind("Gateway"),
        violating=lambda: s3_endpoint_kind("Interface"),
        mentions="no endpoint for S3",
    ),
    Case(
        control="NET-07",
        compliant=lambda: endpoint_with_separate_policy(OWN),
        violating=lambda: endpoint_with_separate_policy(_statement()),
        mentions="everybody",
    ),
    Case(
        control="NET-07",
        compliant=lambda: s3_endpoint(OWN),
        violating=lambda: s3_endpoint(_statement(Condition={"Bool": {"aws:SecureTransport": "true"}})),
        mentions="everybody",
    ),
    Case(
        control="NET-07",
        compliant=lambda: s3_endpoint(OWN),
        violating=lambda: s3_endpoint(_statement(Resource="arn:aws:s3:::*")),
        mentions="everybody",
    ),
    Case(
        control="NET-09",
        compliant=lambda: outbound(WORLD, "tcp", 443),
        violating=lambda: egress_beside_unknown_ingress(),
        mentions="every port",
    ),
    Case(
        control="NET-09",
        compliant=lambda: inline_rules("egress", from_port=443, to_port=443, cidr_blocks=[WORLD]),
        violating=lambda: inline_rules("egress", from_port=2, to_port=65534, cidr_blocks=[WORLD]),
        mentions="every port",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl_of_both_families((10, "deny", WORLD), (20, "allow", WORLD)),
        violating=lambda: acl_of_both_families((10, "deny", "128.0.0.0/1"), (20, "allow", WORLD)),
        mentions="port 22",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl_of_both_families((10, "deny", "::/0"), (20, "allow", "::/0")),
        violating=lambda: acl_of_both_families((10, "deny", WORLD), (20, "allow", "::/0")),
        mentions="ipv6CidrBlock",
    ),
    Case(
        control="NET-10",
        compliant=lambda: acl((1, "ALLOW", OFFICE, 22, 22)),
        violating=lambda: acl((1, "ALLOW", WORLD, 22, 22)),
        mentions="port 22",
    ),
    Case(
        control="NET-11",
        compliant=lambda: group(),
        violating=lambda: group(description="   "),
        mentions="description",
    ),
    Case(
        control="NET-12",
        compliant=lambda: isolated_zones("a", "b"),
        violating=lambda: isolated_zones("a"),
        mentions="isolated subnets",
    ),
    Case(
        control="NET-13",
        compliant=lambda: routes_to_nat(own=True),
        violating=lambda: routes_to_nat(own=False),
        mentions="goes out",
        tags={"profile": "pci"},
    ),
    Case(
        control="NET-13",
        compliant=lambda: routes_to_nat(own=False, mode="regional"),
        violating=lambda: routes_to_nat(own=False),
        mentions="goes out through",
        tags={"profile": "pci"},
    ),
    Case(
        control="NET-14",
        compliant=lambda: replication(False),
        violating=lambda: replication(None),
        mentions="public address",
    ),
    Case(
        control="NET-14",
        compliant=lambda: aws.opensearch.Domain("search", vpc_options={"subnet_ids": ["subnet-0abc"]}),
        violating=lambda: aws.opensearch.Domain("search"),
        mentions="vpcOptions",
    ),
    Case(
        control="NET-14",
        compliant=lambda: brokers("DISABLED"),
        violating=lambda: brokers("SERVICE_PROVIDED_EIPS"),
        mentions="brokers",
    ),
    Case(
        control="NET-14",
        compliant=lambda: aws.elb.LoadBalancer("old", listeners=[], internal=True),
        violating=lambda: aws.elb.LoadBalancer("old", listeners=[]),
        mentions="load balancer",
    ),
    Case(
        control="NET-14",
        compliant=lambda: aws.lb.LoadBalancer("firewall", load_balancer_type="gateway"),
        violating=lambda: aws.lb.LoadBalancer("edge", load_balancer_type="network"),
        mentions="internal",
    ),
    Case(
        control="NET-14",
        compliant=lambda: cluster(endpoint_public_access=True, public_access_cidrs=[OFFICE]),
        violating=lambda: cluster(
            endpoint_public_access=True, public_access_cidrs=[unknown_range(), "0.0.0.0/1"]
        ),
        mentions="publicAccessCidrs[1]",
    ),
    Case(
        control="NET-15",
        compliant=lambda: edge_also_worn_by(behind_the_edge),
        violating=lambda: edge_also_worn_by(second_interface),
        mentions="not a load balancer",
    ),
    Case(
        control="NET-15",
        compliant=lambda: edge_also_worn_by(behind_the_edge),
        violating=lambda: edge_also_worn_by(
            lambda edge: aws.ecs.Service(
                "service",
                network_configuration={"subnets": ["subnet-0abc"], "security_groups": [edge.id]},
            )
        ),
        mentions="not a load balancer",
    ),
    Case(
        control="NET-15",
        compliant=lambda: edge_also_worn_by(behind_the_edge),
        violating=lambda: edge_also_worn_by(
            lambda edge: aws.ec2.NetworkInterfaceSecurityGroupAttachment(
                "attachment", network_interface_id="eni-0abc", security_group_id=edge.id
            )
        ),
        mentions="not a load balancer",
    ),
    Case(
        control="NET-16",
        compliant=lambda: in_pieces("203.0.113.0/24", "198.51.100.0/24", "10.0.0.0/8"),
        violating=lambda: in_pieces("11.0.0.0/8", "12.0.0.0/8", "13.0.0.0/8"),
        mentions="pieces",
    ),
    Case(
        control="NET-16",
        compliant=lambda: in_pieces("11.0.0.0/8", "12.0.0.0/8", port=443),
        violating=lambda: inline_rules(cidr_blocks=["11.0.0.0/8", "12.0.0.0/8"]),
        mentions="pieces",
    ),
    Case(
        control="NET-17",
        compliant=lambda: by_prefix_list(OFFICE),
        violating=lambda: by_prefix_list(WORLD),
        mentions="whole internet",
    ),
    Case(
        control="NET-17",
        compliant=lambda: by_prefix_list(WORLD, port=443),
        violating=lambda: by_prefix_list("0.0.0.0/1", "128.0.0.0/1", form="inline"),
        mentions="ingress[0].prefixListIds[0]",
    ),
    Case(
        control="NET-17",
        compliant=lambda: by_prefix_list(OFFICE, form="legacy"),
        violating=lambda: by_prefix_list(WORLD, form="legacy"),
        mentions="prefixListIds[0]",
    ),
    Case(
        control="NET-17",
        compliant=lambda: by_prefix_list(OFFICE, entries=True),
        violating=lambda: by_prefix_list(WORLD, entries=True),
        mentions="whole internet",
    ),
    Case(
        control="NET-17",
        compliant=lambda: by_prefix_list(OFFICE, port=22),
        violating=lambda: by_prefix_list("10.0.0.0/16", port=22),
        mentions="port 22 to a wide range",
    ),
    Case(
        control="NET-17",
        compliant=lambda: by_prefix_list(OFFICE, port=22),
        violating=lambda: by_prefix_list(port=22, foreign=True),
        mentions="not in the program",
    ),
    Case(
        control="NET-17",
        compliant=lambda: out_by_prefix_list("10.0.0.0/16"),
        violating=lambda: out_by_prefix_list(WORLD),
        mentions="lets data out",
    ),
    Case(
        control="NET-18",
        compliant=plain_http,
        violating=lambda: plain_http(action="forward"),
        mentions="cidrIpv4: admits the internet to port 80",
    ),
    Case(
        control="NET-18",
        compliant=lambda: plain_http(form="inline"),
        violating=lambda: plain_http(form="inline", listening=False),
        mentions="ingress[0].cidrBlocks[0]",
    ),
    Case(
        control="NET-18",
        compliant=plain_http,
        violating=lambda: plain_http(to="HTTP"),
        mentions="nothing sends it on to TLS",
    ),
    Case(
        control="NET-18",
        compliant=lambda: separate(OFFICE, 80),
        violating=lambda: plain_http(also=True),
        mentions="nothing sends it on to TLS",
    ),
    Case(
        control="NET-18",
        compliant=lambda: separate(WORLD, 443),
        violating=lambda: separate(WORLD, 80),
        mentions="nothing sends it on to TLS",
    ),
]
