"""NET: what may reach what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from machinery.addresses import (
    DEFAULT_GROUP,
    EGRESS_RULE,
    GROUP,
    INGRESS_RULE,
    LEGACY_RULE,
    RULE_CARRIERS,
    Rule,
    inbound_rules,
    is_wider_than_listed,
    is_world,
    outbound_rules,
    parsed,
    rules_of,
)
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.documents import statements
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, guarded, per_item

catalogue = Catalogue()

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
NAT = "aws:ec2/natGateway:NatGateway"
LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"

GUARDED_PORTS = (22, 3389, 5432, 3306, 6379, 9200, 27017, 2049, 2375, 6443, 10250)
"""SSH, remote desktop, PostgreSQL, MySQL, Redis, OpenSearch, MongoDB, NFS, Docker, Kubernetes, kubelet."""

HTTPS = 443


def _each(rules: list[Rule], judge: Callable[[Rule], Outcomes]) -> Outcomes:
    """Judge each rule by itself: an unknown range in one hides nothing in another."""
    for rule in rules:
        yield from guarded(partial(judge, rule))


@catalogue.resource(
    "NET-01",
    "No security group rule admits the internet, but TLS for a load balancer",
    severity=CRITICAL,
    on=RULE_CARRIERS,
    remedy="Admit another security group, or the address ranges that you know; the edge alone admits the world, on 443.",
    references=References(fsbp=["EC2.18"], nist=["SC-7"], pci=["1.3.1"]),
)
def no_rule_admits_the_internet(resource: Resource) -> Outcomes:
    def judge(rule: Rule) -> Outcomes:
        for path, network in rule.ranges():
            if is_world(network) and not rule.only(HTTPS):
                yield resource.violation(path, "admits the whole internet")

    return _each(inbound_rules(resource), judge)


@catalogue.resource(
    "NET-02",
    "Ports of administration and of data are never open wider than a listed range",
    severity=CRITICAL,
    on=RULE_CARRIERS,
    remedy="Admit another security group, or address ranges of /24 (IPv6 /56) or narrower.",
    references=References(cis=["5.2", "5.3"], fsbp=["EC2.19"], nist=["SC-7"]),
)
def guarded_ports_are_open_narrowly(resource: Resource) -> Outcomes:
    def judge(rule: Rule) -> Outcomes:
        for path, network in rule.ranges():
            open_ports = [port for port in GUARDED_PORTS if rule.covers(port)]
            if open_ports and is_wider_than_listed(network):
                yield resource.violation(path, f"opens port {open_ports[0]} to a wide range")

    return _each(inbound_rules(resource), judge)


@catalogue.stack(
    "NET-03",
    "The default security group of every VPC is taken over and empty",
    severity=HIGH,
    on=VPC,
    remedy="Add an aws.ec2.DefaultSecurityGroup for the VPC with ingress=[] and egress=[].",
    references=References(cis=["5.4"], fsbp=["EC2.2"]),
)
def default_group_is_empty(vpc: Resource, stack: Stack) -> Outcomes:
    groups = stack.referrers(vpc, "vpcId", DEFAULT_GROUP)
    if not groups:
        yield vpc.violation("", "leaves its default security group as AWS made it, open among its members")
    for group in groups:
        if group.items("ingress") or group.items("egress"):
            yield vpc.violation("", "has a default security group with rules")
        if stack.referrers(group, "securityGroupId", LEGACY_RULE, INGRESS_RULE, EGRESS_RULE):
            yield vpc.violation("", "has a default security group that separate rules open")


@catalogue.stack(
    "NET-04",
    "Every VPC records all traffic, for as long as the profile asks",
    severity=HIGH,
    on=VPC,
    remedy="Add an aws.ec2.FlowLog with traffic_type ALL to a log group whose retention meets the profile.",
    references=References(
        cis=["3.7"], fsbp=["EC2.6"], nist=["AU-12", "SI-4"], pci=["10.2.1"], hipaa=["164.312(b)"]
    ),
)
def all_traffic_is_recorded(vpc: Resource, stack: Stack) -> Outcomes:
    logs = [
        log
        for log in stack.referrers(vpc, "vpcId", "aws:ec2/flowLog:FlowLog")
        if log.switch("trafficType") == "ALL"
    ]
    if not logs:
        yield vpc.violation("", "has no flow log of all its traffic")
    floor = vpc.declared.floors.log_retention_days
    for log in logs:
        for group in stack.targets(log, "logDestination", "aws:cloudwatch/logGroup:LogGroup"):
            # Zero and absent mean for ever.
            if 0 < group.number("retentionInDays") < floor:
                yield vpc.violation("", f"keeps its flow logs for less than the {floor} days of its profile")


@catalogue.resource(
    "NET-05",
    "A subnet gives no public addresses on launch",
    severity=HIGH,
    on=SUBNET,
    remedy="Set map_public_ip_on_launch to False; what must be public gets an Elastic IP of its own.",
    references=References(fsbp=["EC2.15"]),
)
def subnet_gives_no_public_addresses(subnet: Resource) -> Outcomes:
    if subnet.switch("mapPublicIpOnLaunch", absent=False):
        yield subnet.violation("mapPublicIpOnLaunch", "gives a public address to whatever starts here")
    if subnet.switch("assignIpv6AddressOnCreation", absent=False):
        yield subnet.violation(
            "assignIpv6AddressOnCreation", "gives a public IPv6 address to whatever starts here"
        )


@catalogue.stack(
    "NET-06",
    "Subnets of data and training have no way to the internet",
    severity=HIGH,
    on=SUBNET,
    remedy="Give the isolated subnet a route table of its own without a route to a gateway.",
    references=References(nist=["SC-7"]),
)
def isolated_subnets_have_no_way_out(subnet: Resource, stack: Stack) -> Outcomes:
    if not is_isolated(subnet, stack):
        return
    for table in _tables_of(subnet, stack):
        yield from per_item(
            _routes_of(table, stack),
            lambda route: _way_out(subnet, route),
        )


_WAYS_OUT = (
    "natGatewayId",
    "egressOnlyGatewayId",
    "carrierGatewayId",
    "transitGatewayId",
    "networkInterfaceId",
)


def _way_out(subnet: Resource, route: Node) -> Outcomes:
    if any(route.has(key) for key in _WAYS_OUT):
        yield subnet.violation("", "has a route out of the VPC")
    elif route.has("gatewayId"):
        # A gateway endpoint (vpce-) and the VPC itself (local) are no way out; an unknown gateway may be one.
        gateway = str(route.reference("gatewayId"))
        if gateway != "local" and not gateway.startswith("vpce-"):
            yield subnet.violation("", "has a route to an internet gateway")
    elif route.has("vpcEndpointId"):
        yield subnet.violation("", "has a route through an appliance that may lead out")


def _tables_of(subnet: Resource, stack: Stack) -> list[Resource]:
    """Return the subnet's route table; without an association that is the main one of its VPC."""
    associations = stack.referrers(subnet, "subnetId", "aws:ec2/routeTableAssociation:RouteTableAssociation")
    if associations:
        return [
            table
            for association in associations
            for table in stack.targets(association, "routeTableId", "aws:ec2/routeTable:RouteTable")
        ]
    vpcs = stack.targets(subnet, "vpcId", VPC)
    return [
        table
        for vpc in vpcs
        for table in stack.referrers(
            vpc, "defaultRouteTableId", "aws:ec2/defaultRouteTable:DefaultRouteTable"
        )
    ]


def _routes_of(table: Resource, stack: Stack) -> list[Node]:
    return [*table.items("routes"), *stack.referrers(table, "routeTableId", "aws:ec2/route:Route")]


def is_isolated(subnet: Resource, stack: Stack) -> bool:
    """Say whether a subnet is of the isolated tier: by its tag, or because a database stands in it."""
    if subnet.switch("tags.tier") == "isolated":
        return True
    return bool(stack.referrers(subnet, "subnetIds", "aws:rds/subnetGroup:SubnetGroup"))


@catalogue.stack(
    "NET-07",
    "S3 is reached through a gateway endpoint whose policy is narrower than everything",
    severity=MEDIUM,
    on=VPC,
    remedy="Add a gateway endpoint for S3 with a policy that names your account (aws:PrincipalAccount, aws:ResourceAccount).",
    references=References(nist=["SC-7"], pci=["1.4.1"]),
)
def s3_is_reached_inside(vpc: Resource, stack: Stack) -> Outcomes:
    if not stack.referrers(vpc, "vpcId", SUBNET):
        return
    doors = [door for door in stack.referrers(vpc, "vpcId", ENDPOINT) if _service(door) == "s3"]
    if not doors:
        yield vpc.violation("", "has no endpoint for S3")
    for door in doors:
        if not door.has("policy"):
            yield vpc.violation("", "has an endpoint for S3 that admits everybody to everything")
        for statement in statements(door, "policy") if door.has("policy") else ():
            if (
                statement.allows
                and statement.everyone
                and statement.every_resource
                and not statement.binding()
            ):
                yield vpc.violation("", "has an endpoint for S3 that admits everybody to everything")


def _service(endpoint: Resource) -> str:
    """Return ``s3`` of ``com.amazonaws.eu-central-1.s3``, ``ecr.api`` of ``….ecr.api``."""
    return ".".join(str(endpoint.reference("serviceName", absent="")).split(".")[3:])


NEEDED_BY_ISOLATED_NODES = ("ecr.api", "ecr.dkr", "sts", "logs", "kms", "eks", "ec2")


@catalogue.stack(
    "NET-08",
    "A VPC with isolated subnets has endpoints for what its nodes need",
    severity=MEDIUM,
    on=VPC,
    remedy="Add interface endpoints for ecr.api, ecr.dkr, sts, logs, kms, eks and ec2.",
    references=References(fsbp=["EC2.10"]),
)
def isolated_nodes_reach_aws(vpc: Resource, stack: Stack) -> Outcomes:
    if not any(is_isolated(subnet, stack) for subnet in stack.referrers(vpc, "vpcId", SUBNET)):
        return
    present = {_service(door) for door in stack.referrers(vpc, "vpcId", ENDPOINT)}
    for service in NEEDED_BY_ISOLATED_NODES:
        if service not in present:
            yield vpc.violation("", f"has no endpoint for {service}")


@catalogue.resource(
    "NET-09",
    "No group may talk to the whole internet on every port",
    severity=HIGH,
    on=RULE_CARRIERS,
    remedy="Name the group, prefix list or range that is talked to, and the port.",
    references=References(nist=["SC-7"], pci=["1.3.2"], atlas=["AML.T0025"]),
)
def no_group_talks_to_everybody(resource: Resource) -> Outcomes:
    def judge(rule: Rule) -> Outcomes:
        for path, network in rule.ranges():
            if is_world(network) and rule.every_port():
                yield resource.violation(path, "lets data out to anybody on every port")

    return _each(outbound_rules(resource), judge)


_ACLS = ("aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl")
_ADMINISTRATION = (22, 3389)


@catalogue.resource(
    "NET-10",
    "Network ACLs do not admit SSH and remote desktop from the internet",
    severity=MEDIUM,
    on=[*_ACLS, "aws:ec2/networkAclRule:NetworkAclRule"],
    remedy="Admit approved ranges only; where answers need a range that contains 3389, deny 3389 before it.",
    references=References(cis=["5.1"], fsbp=["EC2.21"]),
)
def network_acls_keep_administration_out(acl: Resource) -> Outcomes:
    if acl.type in _ACLS:
        lines = sorted(acl.items("ingress"), key=lambda line: line.number("ruleNo"))
        for port in _ADMINISTRATION:
            # AWS takes the first line that fits.
            first = next((line for line in lines if _admits_world(line, port)), None)
            if first and first.switch("action") == "allow":
                yield first.violation("cidrBlock", f"admits the internet on port {port}")
    elif not acl.switch("egress", absent=False) and acl.switch("ruleAction") == "allow":
        for port in _ADMINISTRATION:
            if _admits_world(acl, port):
                yield acl.violation("cidrBlock", f"admits the internet on port {port}")


def _admits_world(line: Node, port: int) -> bool:
    ranges = [parsed(text, path) for key in ("cidrBlock", "ipv6CidrBlock") for path, text in line.texts(key)]
    if not any(is_world(network) for network in ranges):
        return False
    protocol = str(line.switch("protocol", absent="-1")).lower()
    first, last = line.number("fromPort"), line.number("toPort")
    return protocol in ("-1", "all") or (protocol in ("tcp", "6") and first <= port <= last)


@catalogue.resource(
    "NET-11",
    "Security groups and their rules say what they are for",
    severity=MEDIUM,
    on=RULE_CARRIERS,
    remedy="Write a description that a reviewer understands without the code.",
)
def rules_say_what_they_are_for(resource: Resource) -> Outcomes:
    if resource.type == GROUP and resource.switch("description", absent="") in (
        "",
        "Managed by Pulumi",
        "Managed by Terraform",
    ):
        yield resource.violation("description", "says nothing")
    if resource.type != DEFAULT_GROUP:
        for rule in rules_of(resource):
            if not rule.node.switch("description", absent=""):
                yield rule.node.violation("description", "says nothing")


@catalogue.stack(
    "NET-12",
    "A VPC spans as many zones as its profile asks for",
    severity=HIGH,
    on=VPC,
    remedy="Put subnets of each tier into two availability zones, in prod three.",
    references=References(nist=["CP-10"]),
)
def a_vpc_spans_zones(vpc: Resource, stack: Stack) -> Outcomes:
    subnets = stack.referrers(vpc, "vpcId", SUBNET)
    zones = {_zone(subnet) for subnet in subnets}
    wanted = vpc.declared.floors.zones
    if subnets and len(zones - {""}) < wanted:
        yield vpc.violation("", f"spans fewer than {wanted} availability zones")


def _zone(subnet: Resource) -> str:
    return str(
        subnet.reference("availabilityZone", absent="") or subnet.reference("availabilityZoneId", absent="")
    )


@catalogue.stack(
    "NET-13",
    "Each zone has a NAT gateway of its own where the profile asks for redundancy",
    severity=MEDIUM,
    on=VPC,
    remedy="Make a NAT gateway in each zone that has private subnets.",
    references=References(nist=["CP-10"]),
)
def each_zone_goes_out_by_itself(vpc: Resource, stack: Stack) -> Outcomes:
    if not vpc.declared.floors.nat_per_zone:
        return
    subnets = stack.referrers(vpc, "vpcId", SUBNET)
    private = {_zone(subnet) for subnet in subnets if subnet.switch("tags.tier") == "private"}
    served = {_zone(subnet) for subnet in subnets if stack.referrers(subnet, "subnetId", NAT)}
    if served and private - served:
        yield vpc.violation("", "sends a zone out through another zone's NAT gateway")


_PUBLIC_SWITCH = {
    "aws:rds/instance:Instance": "publiclyAccessible",
    "aws:rds/clusterInstance:ClusterInstance": "publiclyAccessible",
    "aws:redshift/cluster:Cluster": "publiclyAccessible",
    "aws:redshiftserverless/workgroup:Workgroup": "publiclyAccessible",
    "aws:dms/replicationInstance:ReplicationInstance": "publiclyAccessible",
    "aws:mq/broker:Broker": "publiclyAccessible",
    "aws:neptune/clusterInstance:ClusterInstance": "publiclyAccessible",
}
# AWS's default where the program says nothing.
_PUBLIC_BY_DEFAULT = ("aws:redshift/cluster:Cluster", "aws:dms/replicationInstance:ReplicationInstance")


@catalogue.resource(
    "NET-14",
    "Nothing but the edge is public",
    severity=HIGH,
    on=[*_PUBLIC_SWITCH, LOAD_BALANCER, "aws:alb/loadBalancer:LoadBalancer", "aws:eks/cluster:Cluster"],
    remedy="Make it private (publicly_accessible=False, internal=True, endpoint_public_access=False); users come through the edge.",
    references=References(cis=["2.3.3"], fsbp=["RDS.2", "EKS.1"], pci=["1.3.1"]),
)
def nothing_but_the_edge_is_public(resource: Resource) -> Outcomes:
    if key := _PUBLIC_SWITCH.get(resource.type):
        if resource.switch(key, absent=resource.type in _PUBLIC_BY_DEFAULT):
            yield resource.violation(key, "has a public address")
    elif resource.type == "aws:eks/cluster:Cluster":
        if resource.switch("vpcConfig.endpointPublicAccess", absent=True) and any(
            is_world(parsed(text, path)) for path, text in _api_ranges(resource)
        ):
            yield resource.violation(
                "vpcConfig.endpointPublicAccess", "opens the Kubernetes API to the internet"
            )
    # The edge is an application load balancer: the only kind that a web ACL can guard.
    elif (
        not resource.switch("internal", absent=False)
        and resource.switch("loadBalancerType", absent="application") != "application"
    ):
        yield resource.violation("internal", "is a public load balancer that no web ACL can guard")


def _api_ranges(cluster: Resource) -> Iterator[tuple[str, str]]:
    listed = cluster.texts("vpcConfig.publicAccessCidrs")
    yield from listed or [("vpcConfig.publicAccessCidrs", "0.0.0.0/0")]


@catalogue.stack(
    "NET-15",
    "A group that admits the internet on 443 belongs to a load balancer and to nothing else",
    severity=HIGH,
    on=GROUP,
    remedy="Give the load balancer a group of its own; machines and databases admit that group.",
    references=References(fsbp=["EC2.18"]),
)
def only_load_balancers_meet_the_internet(group: Resource, stack: Stack) -> Outcomes:
    rules = [*inbound_rules(group)]
    for carrier in stack.referrers(group, "securityGroupId", LEGACY_RULE, INGRESS_RULE):
        rules += inbound_rules(carrier)
    if not any(is_world(network) for rule in rules for _, network in rule.ranges()):
        return
    if not stack.referrers(group, "securityGroups", LOAD_BALANCER, "aws:alb/loadBalancer:LoadBalancer"):
        yield group.violation("", "admits the internet and belongs to no load balancer")
    for other, path in _MEMBERS.items():
        if stack.referrers(group, path, other):
            yield group.violation("", "admits the internet to something that is not a load balancer")


_MEMBERS = {
    "aws:ec2/instance:Instance": "vpcSecurityGroupIds",
    "aws:ec2/launchTemplate:LaunchTemplate": "networkInterfaces.securityGroups",
    "aws:rds/instance:Instance": "vpcSecurityGroupIds",
    "aws:rds/cluster:Cluster": "vpcSecurityGroupIds",
    "aws:eks/cluster:Cluster": "vpcConfig.securityGroupIds",
}
