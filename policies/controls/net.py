"""NET: what may reach what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from machinery.addresses import (
    DEFAULT_GROUP,
    GROUP,
    GROUPS,
    PREFIX_LIST,
    RULE_CARRIERS,
    SEPARATE_RULES,
    Network,
    Rule,
    contains,
    groups_of,
    inbound_rules,
    is_wider_than_listed,
    is_world,
    make_up_the_world,
    meant,
    members,
    network_of,
    outbound_rules,
    per_rule,
    ranges_of,
    rules_into,
)
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.documents import Statement, statements
from machinery.grants import any_resource
from machinery.stack import Stack, identifiers
from machinery.subject import (
    Node,
    Outcomes,
    Resource,
    Undecided,
    guarded,
    per_item,
    remembered,
)
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

VPC = "aws:ec2/vpc:Vpc"
DEFAULT_VPC = "aws:ec2/defaultVpc:DefaultVpc"
VPCS = (VPC, DEFAULT_VPC)
SUBNET = "aws:ec2/subnet:Subnet"
DEFAULT_SUBNET = "aws:ec2/defaultSubnet:DefaultSubnet"
SUBNETS = (SUBNET, DEFAULT_SUBNET)
ROUTE_TABLE = "aws:ec2/routeTable:RouteTable"
DEFAULT_ROUTE_TABLE = "aws:ec2/defaultRouteTable:DefaultRouteTable"
ROUTE_TABLES = (ROUTE_TABLE, DEFAULT_ROUTE_TABLE)
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
MAIN_ASSOCIATION = "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ENDPOINT_POLICY = "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy"
NAT = "aws:ec2/natGateway:NatGateway"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
BUCKET = "aws:s3/bucket:Bucket"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
LOAD_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
LISTENER_RULES = ("aws:lb/listenerRule:ListenerRule", "aws:alb/listenerRule:ListenerRule")
CLASSIC_BALANCER = "aws:elb/loadBalancer:LoadBalancer"
CLUSTER = "aws:eks/cluster:Cluster"

GUARDED_PORTS = (22, 3389, 5432, 3306, 6379, 9200, 27017, 2049, 2375, 6443, 10250)
"""SSH, remote desktop, PostgreSQL, MySQL, Redis, OpenSearch, MongoDB, NFS, Docker, Kubernetes, kubelet."""

HTTP, HTTPS = 80, 443


@catalogue.resource(
    "NET-01",
    "No security group rule admits the internet, but TLS for a load balancer",
    severity=CRITICAL,
    on=RULE_CARRIERS,
    remedy="Admit another security group, or the address ranges that you know; the edge alone admits the world, on 443.",
    references=References(fsbp=["EC2.18"], nist=["SC-7"], hipaa=["164.312(a)(1)"], pci=["1.3.1"]),
)
def no_rule_admits_the_internet(resource: Resource) -> Outcomes:
    def judge(rule: Rule, range_: Node, network: Network) -> Outcomes:
        # Port 80 is NET-18's, which sees whether all that happens there is that people are sent on to TLS.
        if is_world(network) and not rule.only(HTTPS) and not rule.only(HTTP):
            yield range_.violation("", "admits the whole internet")

    return per_rule(inbound_rules(resource), lambda rule: rule.per_range(partial(judge, rule)))


@catalogue.resource(
    "NET-02",
    "Ports of administration and of data are never open wider than a listed range",
    severity=CRITICAL,
    on=RULE_CARRIERS,
    remedy="Admit another security group, or address ranges of /24 (IPv6 /56) or narrower.",
    references=References(
        cis=["5.2", "5.3"], fsbp=["EC2.19"], nist=["SC-7"], hipaa=["164.312(a)(1)"], pci=["1.3.1"]
    ),
)
def guarded_ports_are_open_narrowly(resource: Resource) -> Outcomes:
    def judge(rule: Rule, range_: Node, network: Network) -> Outcomes:
        if is_wider_than_listed(network) and (port := _guarded_port(rule)):
            yield range_.violation("", f"opens port {port} to a wide range")

    return per_rule(inbound_rules(resource), lambda rule: rule.per_range(partial(judge, rule)))


def _guarded_port(rule: Rule) -> int | None:
    return next((port for port in GUARDED_PORTS if rule.covers(port)), None)


@catalogue.stack(
    "NET-03",
    "The default security group of every VPC is taken over and empty",
    severity=HIGH,
    on=VPCS,
    remedy="Add an aws.ec2.DefaultSecurityGroup for the VPC with ingress=[] and egress=[].",
    references=References(cis=["5.4"], fsbp=["EC2.2"], nist=["SC-7"], pci=["1.3.1"]),
)
def default_group_is_empty(vpc: Resource, stack: Stack) -> Outcomes:
    groups = stack.referrers(vpc, "vpcId", DEFAULT_GROUP)
    if vpc.type == DEFAULT_VPC:
        groups += [group for group in stack.of(DEFAULT_GROUP) if not group.has("vpcId")]
    if not groups:
        yield vpc.violation("", "leaves its default security group as AWS made it, open among its members")
    for group in groups:
        if group.has("ingress") or group.has("egress"):
            yield vpc.violation("", "has a default security group with rules")
    # A rule may name the group through the VPC, whether or not the stack takes the group over.
    if any(stack.referrers(named, "securityGroupId", *SEPARATE_RULES) for named in (vpc, *groups)):
        yield vpc.violation("", "has a default security group that separate rules open")


@catalogue.stack(
    "NET-04",
    "Every VPC records all traffic, for as long as the profile asks",
    severity=HIGH,
    on=VPCS,
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
        return
    floor = vpc.declared.floors.log_retention_days
    kept = [_days_kept(log, stack) for log in logs]
    if any(days is not None and days >= floor for days in kept):
        return
    if None in kept:
        # Who keeps them, and for how long, is not in the program.
        yield Undecided("logDestination", urn=logs[kept.index(None)].urn)
    else:
        yield vpc.violation("", f"keeps its flow logs for less than the {floor} days of its profile")


_FOR_EVER = 1 << 31


def _days_kept(log: Resource, stack: Stack) -> int | None:
    """Return how long a flow log is kept; ``None`` where its destination is not the stack's."""
    for group in stack.targets(log, "logDestination", LOG_GROUP):
        # Zero and absent mean for ever.
        return group.number("retentionInDays") or _FOR_EVER
    for bucket in stack.targets(log, "logDestination", BUCKET):
        rules = [
            rule for cycle in stack.referrers(bucket, "bucket", LIFECYCLE) for rule in cycle.items("rules")
        ]
        days = [rule.number("expiration.days") for rule in rules if rule.switch("status") != "Disabled"]
        return min(filter(None, days), default=_FOR_EVER)
    return None


@catalogue.resource(
    "NET-05",
    "A subnet gives no public addresses on launch",
    severity=HIGH,
    on=SUBNETS,
    remedy="Set map_public_ip_on_launch to False; what must be public gets an Elastic IP of its own.",
    references=References(fsbp=["EC2.15"], nist=["SC-7"], pci=["1.3.1"]),
)
def subnet_gives_no_public_addresses(subnet: Resource) -> Outcomes:
    # AWS makes its default subnets public (provider documentation of aws_default_subnet).
    if subnet.switch("mapPublicIpOnLaunch", absent=subnet.type == DEFAULT_SUBNET):
        yield subnet.violation("mapPublicIpOnLaunch", "gives a public address to whatever starts here")
    if subnet.switch("assignIpv6AddressOnCreation", absent=False):
        yield subnet.violation(
            "assignIpv6AddressOnCreation", "gives a public IPv6 address to whatever starts here"
        )


@catalogue.stack(
    "NET-06",
    "Subnets of data and training have no way to the internet",
    severity=HIGH,
    on=SUBNETS,
    remedy="Give the isolated subnet a route table of its own without a route to a gateway.",
    references=References(nist=["SC-7"], pci=["1.3.2"], atlas=["AML.T0025"], aws_ai=["AISF-INFRA-08"]),
)
def isolated_subnets_have_no_way_out(subnet: Resource, stack: Stack) -> Outcomes:
    if is_isolated(subnet, stack):
        yield from each_route(subnet, stack, lambda route: _way_out(subnet, route))


_WAYS_OUT = (
    "natGatewayId",
    "egressOnlyGatewayId",
    "carrierGatewayId",
    "localGatewayId",
    "transitGatewayId",
    "coreNetworkArn",
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


def each_route(subnet: Resource, stack: Stack, judge: Callable[[Node], Outcomes]) -> Outcomes:
    """Judge every route that a subnet's traffic may take, wherever it is written."""
    associations = stack.referrers(subnet, "subnetId", ASSOCIATION)
    vpcs = stack.targets(subnet, "vpcId", *VPCS)
    # A subnet without an association has the main table of its VPC, and an association may name that one too.
    main = [vpc for link in associations for vpc in stack.targets(link, "routeTableId", *VPCS)]
    for vpc in main if associations else vpcs:
        yield from per_item(stack.referrers(vpc, "routeTableId", ROUTE), judge)
    tables = [
        table
        for vpc in (main if associations else vpcs)
        for table in (
            *stack.referrers(vpc, "defaultRouteTableId", DEFAULT_ROUTE_TABLE),
            *(
                table
                for link in stack.referrers(vpc, "vpcId", MAIN_ASSOCIATION)
                for table in stack.targets(link, "routeTableId", *ROUTE_TABLES)
            ),
        )
    ]
    for link in associations:
        found = stack.targets(link, "routeTableId", *ROUTE_TABLES)
        tables += found
        if not found and not stack.targets(link, "routeTableId", *VPCS):
            yield Undecided("routeTableId", urn=link.urn)
    if not associations and not vpcs:
        yield Undecided("vpcId", urn=subnet.urn)
    for table in tables:
        yield from per_item(stack.referrers(table, "routeTableId", ROUTE), judge)
        yield from guarded(partial(_inline_routes, table, judge))


def _inline_routes(table: Resource, judge: Callable[[Node], Outcomes]) -> Outcomes:
    return per_item(table.items("routes"), judge)


# Where databases stand. A cache in a private subnet is no database of record.
_DATABASE_SUBNETS = (
    "aws:rds/subnetGroup:SubnetGroup",
    "aws:docdb/subnetGroup:SubnetGroup",
    "aws:neptune/subnetGroup:SubnetGroup",
    "aws:redshift/subnetGroup:SubnetGroup",
)


def is_isolated(subnet: Resource, stack: Stack) -> bool:
    """Say whether a subnet is of the isolated tier: by its tag, or because a database stands in it."""
    if subnet.switch("tags.tier") == "isolated":
        return True
    return bool(stack.referrers(subnet, "subnetIds", *_DATABASE_SUBNETS))


@catalogue.stack(
    "NET-07",
    "S3 is reached through a gateway endpoint, and no endpoint's policy admits everybody to everything",
    severity=MEDIUM,
    on=VPCS,
    remedy="Add a gateway endpoint for S3, and give each endpoint a policy that names your account (aws:PrincipalAccount, aws:ResourceAccount).",
    references=References(nist=["SC-7"], pci=["1.4.1"]),
)
def s3_is_reached_inside(vpc: Resource, stack: Stack) -> Outcomes:
    doors = _doors(vpc, stack)
    if stack.referrers(vpc, "vpcId", *SUBNETS) and not _services(doors, _GATEWAY, only=["s3"]):
        yield vpc.violation("", "has no endpoint for S3")
    yield from per_item(doors, lambda door: _narrow_policy(door, stack))


_GATEWAY, _INTERFACE = "Gateway", "Interface"

_NARROWING = (
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "s3:ResourceAccount",
    "kms:CallerAccount",
)


def _doors(vpc: Resource, stack: Stack) -> list[Resource]:
    """Return the endpoints of AWS's own services; those of other people's services take no policy."""
    return [
        door
        for door in stack.referrers(vpc, "vpcId", ENDPOINT)
        if door.switch("vpcEndpointType", absent=_GATEWAY) in (_GATEWAY, _INTERFACE)
        and not str(door.reference("serviceName", absent="")).startswith("com.amazonaws.vpce.")
    ]


def _services(doors: Sequence[Resource], kind: str, only: Sequence[str]) -> set[str]:
    """Return which of the services ``only`` have an endpoint of a kind: ``ecr.api`` of ``com.amazonaws.….ecr.api``."""
    names = {
        ".".join(str(door.reference("serviceName", absent="")).split(".")[3:]).removesuffix("-fips")
        for door in doors
        if door.switch("vpcEndpointType", absent=_GATEWAY) == kind
    }
    return names.intersection(only)


def _narrow_policy(door: Node, stack: Stack) -> Outcomes:
    assert isinstance(door, Resource)  # noqa: S101 - per_item hands back what it was given
    separate = stack.referrers(door, "vpcEndpointId", ENDPOINT_POLICY)
    policies = [holder for holder in (door, *separate) if holder.has("policy")]
    if not policies or any(
        _admits_everybody(statement) for holder in policies for statement in statements(holder, "policy")
    ):
        yield door.violation("policy", "admits everybody to everything")


def _admits_everybody(statement: Statement) -> bool:
    return (
        statement.allows
        and (statement.everyone or bool(statement.not_principals))
        and any_resource(statement)
        and all(condition.negated for condition in statement.binding(*_NARROWING))
    )


NEEDED_BY_ISOLATED_NODES = ("ecr.api", "ecr.dkr", "sts", "logs", "kms", "eks", "ec2")


@catalogue.stack(
    "NET-08",
    "A VPC with isolated subnets has interface endpoints for what its nodes need",
    severity=MEDIUM,
    on=VPCS,
    remedy="Add interface endpoints for ecr.api, ecr.dkr, sts, logs, kms, eks and ec2.",
    references=References(fsbp=["EC2.10"], nist=["SC-7"]),
)
def isolated_nodes_reach_aws(vpc: Resource, stack: Stack) -> Outcomes:
    if not any(is_isolated(subnet, stack) for subnet in stack.referrers(vpc, "vpcId", *SUBNETS)):
        return
    present = _services(_doors(vpc, stack), _INTERFACE, only=NEEDED_BY_ISOLATED_NODES)
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
    def judge(rule: Rule, range_: Node, network: Network) -> Outcomes:
        if is_world(network) and rule.every_port():
            yield range_.violation("", "lets data out to anybody on every port")

    return per_rule(outbound_rules(resource), lambda rule: rule.per_range(partial(judge, rule)))


_ACLS = ("aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl")
_ADMINISTRATION = (22, 3389)


@catalogue.resource(
    "NET-10",
    "Network ACLs do not admit SSH and remote desktop from the internet",
    severity=MEDIUM,
    on=[*_ACLS, "aws:ec2/networkAclRule:NetworkAclRule"],
    remedy="Admit approved ranges only; where answers need a range that contains 3389, deny 3389 before it.",
    references=References(cis=["5.1"], fsbp=["EC2.21"], nist=["SC-7"], pci=["1.3.1"]),
)
def network_acls_keep_administration_out(acl: Resource) -> Outcomes:
    if acl.type in _ACLS:
        # AWS takes the first line that fits.
        lines = sorted(acl.items("ingress"), key=lambda line: line.number("ruleNo"))
        for position, line in enumerate(lines):
            yield from guarded(partial(_admits_administration, line, "action", lines[:position]))
    elif not acl.switch("egress", absent=False):
        yield from _admits_administration(acl, "ruleAction", [])


def _admits_administration(line: Node, action: str, earlier: Sequence[Node]) -> Outcomes:
    def judge(range_: Node) -> Outcomes:
        network = network_of(range_)
        for port in _ADMINISTRATION if is_world(network) else ():
            if _fits(line, port) and not any(_refuses(before, network, port) for before in earlier):
                yield range_.violation("", f"admits the internet on port {port}")

    # The provider takes actions in any letter case.
    if str(line.switch(action)).lower() == "allow":
        for key in _ACL_RANGES:
            yield from per_item(members(line, key), judge)


_ACL_RANGES = ("cidrBlock", "ipv6CidrBlock")


def _refuses(line: Node, network: Network, port: int) -> bool:
    """Say whether a line keeps all of a range out; one that refuses a half of it leaves the other."""
    return (
        str(line.switch("action")).lower() == "deny"
        and _fits(line, port)
        and any(contains(network_of(range_), network) for key in _ACL_RANGES for range_ in members(line, key))
    )


def _fits(line: Node, port: int) -> bool:
    protocol = str(line.switch("protocol", absent="-1")).lower()
    if protocol in ("-1", "all"):
        return True
    return protocol in ("tcp", "6") and line.number("fromPort", 0) <= port <= line.number("toPort", 65535)


@catalogue.resource(
    "NET-11",
    "Security groups and their rules say what they are for",
    severity=MEDIUM,
    on=RULE_CARRIERS,
    remedy="Write a description that a reviewer understands without the code.",
    references=References(nist=["CM-6"], pci=["1.2.5"]),
)
def rules_say_what_they_are_for(resource: Resource) -> Outcomes:
    if resource.type == GROUP and _says_nothing(resource):
        yield resource.violation("description", "says nothing")
    if resource.type != DEFAULT_GROUP:
        for rule in (*inbound_rules(resource), *outbound_rules(resource)):
            if _says_nothing(rule.node):
                yield rule.node.violation("description", "says nothing")


def _says_nothing(node: Node) -> bool:
    if not node.known("description"):
        return False
    return str(node.reference("description", absent="")).strip() in (
        "",
        "Managed by Pulumi",
        "Managed by Terraform",
    )


@catalogue.stack(
    "NET-12",
    "A VPC, and its isolated subnets, span as many zones as the profile asks for",
    severity=HIGH,
    on=VPC,
    remedy="Put subnets of each tier into two availability zones, in prod three.",
    references=References(nist=["CP-10"]),
)
def a_vpc_spans_zones(vpc: Resource, stack: Stack) -> Outcomes:
    subnets = stack.referrers(vpc, "vpcId", SUBNET)
    wanted = vpc.declared.floors.zones
    if subnets and _zones_of(subnets) < wanted:
        yield vpc.violation("", f"spans fewer than {wanted} availability zones")
        return
    isolated = [subnet for subnet in subnets if is_isolated(subnet, stack)]
    if isolated and _zones_of(isolated) < wanted:
        yield vpc.violation("", f"has isolated subnets in fewer than {wanted} availability zones")


def _zones_of(subnets: Sequence[Resource]) -> int:
    # A zone's name and its id may mean the same place, so the two do not add up.
    named, numbered = (
        {zone for subnet in subnets if (zone := str(subnet.reference(key, absent="")))}
        for key in ("availabilityZone", "availabilityZoneId")
    )
    return max(len(named), len(numbered))


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
        return
    for subnet in subnets:
        yield from each_route(subnet, stack, partial(_goes_out_at_home, subnet, stack))


def _goes_out_at_home(subnet: Resource, stack: Stack, route: Node) -> Outcomes:
    if not route.has("natGatewayId"):
        return
    if isinstance(route, Resource):
        gateways = stack.targets(route, "natGatewayId", NAT)
    else:
        gateways = [nat for nat in stack.named(str(route.reference("natGatewayId"))) if nat.type == NAT]
    if not gateways:
        yield Undecided(f"{route.path}.natGatewayId".lstrip("."), urn=subnet.urn)
    for nat in gateways:
        # A regional gateway is in every zone.
        if nat.switch("availabilityMode", absent="zonal") == "regional":
            continue
        if _zone(subnet) not in {_zone(place) for place in stack.targets(nat, "subnetId", SUBNET)}:
            yield subnet.violation("", "goes out through another zone's NAT gateway")


_PUBLIC_SWITCH = dict.fromkeys(
    (
        "aws:rds/instance:Instance",
        "aws:rds/cluster:Cluster",
        "aws:rds/clusterInstance:ClusterInstance",
        "aws:rds/shardGroup:ShardGroup",
        "aws:redshift/cluster:Cluster",
        "aws:redshiftserverless/workgroup:Workgroup",
        "aws:dms/replicationInstance:ReplicationInstance",
        "aws:dms/instanceProfile:InstanceProfile",
        "aws:docdb/clusterInstance:ClusterInstance",
        "aws:neptune/clusterInstance:ClusterInstance",
        "aws:lightsail/database:Database",
        "aws:mq/broker:Broker",
        "aws:timestreaminfluxdb/dbInstance:DbInstance",
        "aws:timestreaminfluxdb/dbCluster:DbCluster",
        "aws:m2/environment:Environment",
    ),
    "publiclyAccessible",
)
# AWS's default where the program says nothing (DMS API, "CreateReplicationInstance").
_PUBLIC_BY_DEFAULT = ("aws:dms/replicationInstance:ReplicationInstance",)

_SEARCH = ("aws:opensearch/domain:Domain", "aws:elasticsearch/domain:Domain")
_KAFKA = "aws:msk/cluster:Cluster"
_KAFKA_ACCESS = "brokerNodeGroupInfo.connectivityInfo.publicAccess.type"


@catalogue.resource(
    "NET-14",
    "Nothing but the edge is public",
    severity=HIGH,
    on=[*_PUBLIC_SWITCH, *LOAD_BALANCERS, CLASSIC_BALANCER, CLUSTER, *_SEARCH, _KAFKA],
    remedy="Make it private (publicly_accessible=False, internal=True, endpoint_public_access=False, vpc_options); users come through the edge.",
    references=References(cis=["2.3.3"], fsbp=["RDS.2", "EKS.1"], pci=["1.3.1"]),
)
def nothing_but_the_edge_is_public(resource: Resource) -> Outcomes:
    if key := _PUBLIC_SWITCH.get(resource.type):
        if resource.switch(key, absent=resource.type in _PUBLIC_BY_DEFAULT):
            yield resource.violation(key, "has a public address")
    elif resource.type == CLUSTER:
        yield from _public_api(resource)
    elif resource.type in _SEARCH:
        if not resource.has("vpcOptions"):
            yield resource.violation("vpcOptions", "is missing, which makes the endpoint public")
    elif resource.type == _KAFKA:
        if resource.switch(_KAFKA_ACCESS, absent="DISABLED") != "DISABLED":
            yield resource.violation(_KAFKA_ACCESS, "gives the brokers public addresses")
    # The edge is an application load balancer: the only kind that a web ACL can guard. One of type gateway has
    # no address of its own.
    elif not resource.switch("internal", absent=False) and (
        resource.type == CLASSIC_BALANCER
        or resource.switch("loadBalancerType", absent="application") not in ("application", "gateway")
    ):
        yield resource.violation("internal", "is a public load balancer that no web ACL can guard")


def _public_api(cluster: Resource) -> Outcomes:
    if not cluster.switch("vpcConfig.endpointPublicAccess", absent=True):
        return
    problem = "opens the Kubernetes API to the internet"
    # Without a list, AWS takes everybody.
    if not cluster.has("vpcConfig.publicAccessCidrs"):
        yield cluster.violation("vpcConfig.endpointPublicAccess", problem)
        return

    def judge(range_: Node) -> Outcomes:
        if is_world(network_of(range_)):
            yield range_.violation("", problem)

    yield from per_item(members(cluster, "vpcConfig.publicAccessCidrs"), judge)


@catalogue.stack(
    "NET-15",
    "A group that admits the internet belongs to a load balancer and to nothing else",
    severity=HIGH,
    on=RULE_CARRIERS,
    remedy="Give the load balancer a group of its own; machines and databases admit that group.",
    references=References(fsbp=["EC2.18"], nist=["SC-7"], pci=["1.3.1"]),
)
def only_load_balancers_meet_the_internet(carrier: Resource, stack: Stack) -> Outcomes:
    if not any(is_world(network) for rule in inbound_rules(carrier) for network in rule.known_ranges()):
        return
    groups = groups_of(carrier, stack)
    if not groups:
        # Whose group it is, and what wears it, is not in the program.
        yield Undecided("securityGroupId")
    for group in groups:
        wearers = stack.once(_wearers).get(group.urn, [])
        if not any(wearer.type in _BALANCERS for wearer in wearers):
            yield group.violation("", "admits the internet and belongs to no load balancer")
        if any(wearer.type not in _BALANCERS for wearer in wearers):
            yield group.violation("", "admits the internet to something that is not a load balancer")


_BALANCERS = (*LOAD_BALANCERS, CLASSIC_BALANCER)

# They speak of a group and do not wear it.
_SPEAKING = (*RULE_CARRIERS, "aws:ssm/parameter:Parameter")
_SPOKEN = ("tags", "tagsAll", "userData", "userDataBase64", "policy", "environment")


def _wearers(stack: Stack) -> dict[str, list[Resource]]:
    """Return what each group is attached to: whatever names it, since the ways to do so are many and grow."""
    groups = {name: group.urn for group in stack.of(*GROUPS) for name in (group.urn, *identifiers(group))}
    wearers: dict[str, list[Resource]] = {}
    for other in stack.matching("aws:"):
        if other.type not in _SPEAKING:
            for urn in {groups[name] for name in groups.keys() & _worn_by(other)}:
                wearers.setdefault(urn, []).append(other)
    return wearers


@remembered
def _worn_by(other: Resource) -> frozenset[str]:
    """Return every text by which a resource may name a group, and what its unknown properties are made of."""
    found: set[str] = set()
    for key, value in other.value.items():
        if key not in _SPOKEN:
            texts = [leaf for _, leaf in leaves(value)]
            found |= {text for text in texts if isinstance(text, str)}
            if any(text is UNKNOWN for text in texts):
                found |= set(other.property_dependencies.get(key, ()))
    return frozenset(found)


@catalogue.stack(
    "NET-16",
    "The rules of a group do not admit the internet in pieces",
    severity=CRITICAL,
    on=GROUPS,
    remedy="Admit another security group, or the few address ranges that you know.",
    references=References(fsbp=["EC2.18"], nist=["SC-7"], pci=["1.3.1"]),
)
def rules_do_not_add_up_to_the_internet(group: Resource, stack: Stack) -> Outcomes:
    # One range that is the world by itself is NET-01's; what cannot be read, it reports.
    pieces = [
        network
        for rule in rules_into(group, stack)
        for network in rule.known_ranges()
        if not is_world(network) and not rule.only(HTTPS)
    ]
    if make_up_the_world(pieces):
        yield group.violation("", "admits the internet in pieces")


@catalogue.stack(
    "NET-17",
    "A prefix list opens no more than its ranges might, written into the rule",
    severity=CRITICAL,
    on=RULE_CARRIERS,
    remedy="Take the wide ranges out of the prefix list, or name another security group in the rule.",
    references=References(cis=["5.2", "5.3"], fsbp=["EC2.18", "EC2.19"], nist=["SC-7"]),
)
def prefix_lists_open_no_more(carrier: Resource, stack: Stack) -> Outcomes:
    yield from _per_prefix_list(inbound_rules(carrier), stack, _admits_too_much)
    yield from _per_prefix_list(outbound_rules(carrier), stack, _lets_too_much_out)


def _per_prefix_list(
    rules: Sequence[Rule], stack: Stack, judge: Callable[[Rule, Node, Sequence[Network]], Outcomes]
) -> Outcomes:
    def each(rule: Rule, member: Node) -> Outcomes:
        lists = meant(rule, member, stack, PREFIX_LIST)
        if len(lists) == 1:
            yield from judge(rule, member, ranges_of(lists[0], stack))
        elif rule.inbound and not rule.only(HTTPS):
            # Nobody can say what is in it: bearable, but not on a guarded port.
            if not lists and (port := _guarded_port(rule)):
                yield member.violation("", f"opens port {port} to a prefix list that is not in the program")
            else:
                yield Undecided(member.path)

    return per_rule(rules, lambda rule: per_item(rule.prefix_lists(), partial(each, rule)))


def _admits_too_much(rule: Rule, member: Node, ranges: Sequence[Network]) -> Outcomes:
    if make_up_the_world(ranges) and not rule.only(HTTPS):
        yield member.violation("", "admits the whole internet by way of a prefix list")
    elif any(map(is_wider_than_listed, ranges)) and (port := _guarded_port(rule)):
        yield member.violation("", f"opens port {port} to a wide range by way of a prefix list")


def _lets_too_much_out(rule: Rule, member: Node, ranges: Sequence[Network]) -> Outcomes:
    if make_up_the_world(ranges) and rule.every_port():
        yield member.violation("", "lets data out to anybody on every port by way of a prefix list")


@catalogue.stack(
    "NET-18",
    "Port 80 is open to the internet only where a load balancer sends everybody on to TLS",
    severity=CRITICAL,
    on=RULE_CARRIERS,
    remedy="Put the group on a load balancer whose listener on port 80 only redirects to HTTPS, or admit 443 alone.",
    references=References(fsbp=["ELB.1"], nist=["SC-8"], pci=["4.2.1"]),
)
def plain_http_is_sent_on_to_tls(carrier: Resource, stack: Stack) -> Outcomes:
    def judge(rule: Rule, range_: Node, network: Network) -> Outcomes:
        if is_world(network) and rule.only(HTTP):
            groups = groups_of(carrier, stack)
            if not groups:
                yield Undecided("securityGroupId")
            if not all(_sends_on(group, stack) for group in groups):
                yield range_.violation("", "admits the internet to port 80, where nothing sends it on to TLS")

    return per_rule(inbound_rules(carrier), lambda rule: rule.per_range(partial(judge, rule)))


def _sends_on(group: Resource, stack: Stack) -> bool:
    listeners = [
        listener
        for balancer in stack.referrers(group, "securityGroups", *LOAD_BALANCERS)
        for listener in stack.referrers(balancer, "loadBalancerArn", *LISTENERS)
        if listener.number("port") == HTTP
    ]
    return bool(listeners) and all(_only_redirects(listener, stack) for listener in listeners)


def _only_redirects(listener: Resource, stack: Stack) -> bool:
    """Say whether a listener does nothing, by itself or by a rule of its own, but send people on to HTTPS."""
    rules = stack.referrers(listener, "listenerArn", *LISTENER_RULES)
    actions = [
        *listener.items("defaultActions"),
        *(action for rule in rules for action in rule.items("actions")),
    ]
    return bool(actions) and all(
        action.switch("type") == "redirect" and action.switch("redirect.protocol") == "HTTPS"
        for action in actions
    )
