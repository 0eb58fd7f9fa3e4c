"""The network as it is: tiers, routes, groups and endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

network = Assertions("network")

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
WORLD = ("0.0.0.0/0", "::/0")


def _vpcs(account: Account) -> list[str]:
    return [each.id for each in account.of(VPC)]


def _in_our_vpcs(account: Account, operation: str, field: str) -> list[Any]:
    return [item for item in account.every("ec2", operation, field) if item.get("VpcId") in _vpcs(account)]


def _tier(subnet: Any) -> str:
    return next((tag["Value"] for tag in subnet.get("Tags", []) if tag["Key"] == "tier"), "")


def _routes(account: Account, subnet_id: str) -> list[Any]:
    """Return the routes that a subnet follows: its own table's, else the main table's."""
    tables = _in_our_vpcs(account, "describe_route_tables", "RouteTables")
    own = [t for t in tables if any(a.get("SubnetId") == subnet_id for a in t["Associations"])]
    main = [t for t in tables if any(a.get("Main") for a in t["Associations"])]
    return [route for table in (own or main) for route in table["Routes"]]


def _isolated(account: Account) -> list[Any]:
    return [
        subnet
        for subnet in _in_our_vpcs(account, "describe_subnets", "Subnets")
        if _tier(subnet) == "isolated"
    ]


def _rules(account: Account) -> Iterator[tuple[str, Any, str]]:
    """Yield group, rule and address range of everything that comes in."""
    for group in _in_our_vpcs(account, "describe_security_groups", "SecurityGroups"):
        for rule in group["IpPermissions"]:
            ranges = [each["CidrIp"] for each in rule.get("IpRanges", [])]
            ranges += [each["CidrIpv6"] for each in rule.get("Ipv6Ranges", [])]
            for cidr in ranges:
                yield group["GroupName"], rule, cidr


@network("Isolated subnets have no route to an internet or NAT gateway", about=SUBNET)
def isolated_subnets_have_no_way_out(account: Account) -> Iterator[Seen]:
    for subnet in _isolated(account):
        routes = _routes(account, subnet["SubnetId"])
        out = [
            route
            for route in routes
            if route.get("NatGatewayId")
            or route.get("GatewayId", "").startswith("igw-")
            or route.get("EgressOnlyInternetGatewayId")
            or route.get("DestinationCidrBlock") in WORLD
            or route.get("DestinationIpv6CidrBlock") in WORLD
        ]
        yield subnet["SubnetId"], not out


@network("Every isolated subnet follows a route table of its own, not the VPC's default", about=SUBNET)
def isolated_subnets_have_their_own_table(account: Account) -> Iterator[Seen]:
    tables = _in_our_vpcs(account, "describe_route_tables", "RouteTables")
    associated = {a.get("SubnetId") for table in tables for a in table["Associations"]}
    for subnet in _isolated(account):
        yield subnet["SubnetId"], subnet["SubnetId"] in associated


@network("No subnet gives public addresses on launch", about=SUBNET)
def no_public_addresses_on_launch(account: Account) -> Iterator[Seen]:
    for subnet in _in_our_vpcs(account, "describe_subnets", "Subnets"):
        yield subnet["SubnetId"], not subnet["MapPublicIpOnLaunch"]


@network("Each tier stands in at least two zones", about=SUBNET)
def tiers_span_zones(account: Account) -> Iterator[Seen]:
    zones: dict[str, set[str]] = {}
    for subnet in _in_our_vpcs(account, "describe_subnets", "Subnets"):
        zones.setdefault(_tier(subnet), set()).add(subnet["AvailabilityZone"])
    for tier in ("public", "private", "isolated"):
        yield tier, len(zones.get(tier, ())) >= 2


@network("The default security group of the VPC admits nothing and lets nothing out", about=VPC)
def default_group_is_empty(account: Account) -> Iterator[Seen]:
    for group in _in_our_vpcs(account, "describe_security_groups", "SecurityGroups"):
        if group["GroupName"] == "default":
            yield group["GroupId"], not group["IpPermissions"] and not group["IpPermissionsEgress"]


@network("Flow logs of the VPC keep all traffic", about=VPC)
def flow_logs_keep_everything(account: Account) -> Iterator[Seen]:
    logs = account.every("ec2", "describe_flow_logs", "FlowLogs")
    for vpc in _vpcs(account):
        yield vpc, any(log["ResourceId"] == vpc and log["TrafficType"] == "ALL" for log in logs)


@network("No security group admits the world, but to 443 and to the redirect of 80", about=GROUP)
def no_group_admits_the_world(account: Account) -> Iterator[Seen]:
    for group in _in_our_vpcs(account, "describe_security_groups", "SecurityGroups"):
        open_ports = [
            (rule.get("FromPort"), rule.get("ToPort"))
            for name, rule, cidr in _rules(account)
            if name == group["GroupName"] and cidr in WORLD
        ]
        yield group["GroupName"], all(ports in ((80, 80), (443, 443)) for ports in open_ports)


@network("The database is reached by groups alone, by no address", about="aws:rds/instance:Instance")
def database_admits_groups_only(account: Account) -> Iterator[Seen]:
    for database in account.every("rds", "describe_db_instances", "DBInstances"):
        ids = [each["VpcSecurityGroupId"] for each in database["VpcSecurityGroups"]]
        for group in account.every("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids):
            rules = group["IpPermissions"]
            by_group = [pair for rule in rules for pair in rule["UserIdGroupPairs"]]
            by_range = [
                each
                for rule in rules
                for each in (*rule["IpRanges"], *rule["Ipv6Ranges"], *rule["PrefixListIds"])
            ]
            yield group["GroupName"], len(by_group) == 1 and not by_range


@network("There are gateway endpoints for S3 with policies of their own", about=ENDPOINT)
def s3_gateway_endpoint(account: Account) -> Iterator[Seen]:
    for vpc in _vpcs(account):
        gateways = [
            each
            for each in _in_our_vpcs(account, "describe_vpc_endpoints", "VpcEndpoints")
            if each["VpcEndpointType"] == "Gateway" and each["ServiceName"].endswith(".s3")
        ]
        yield vpc, bool(gateways) and all("Condition" in each["PolicyDocument"] for each in gateways)


@network(
    "Endpoints answer under AWS's own names: interfaces, or a gateway of the same service", about=ENDPOINT
)
def endpoints_have_private_names(account: Account) -> Iterator[Seen]:
    endpoints = list(_in_our_vpcs(account, "describe_vpc_endpoints", "VpcEndpoints"))
    gateways = {
        (each["VpcId"], each["ServiceName"]) for each in endpoints if each["VpcEndpointType"] == "Gateway"
    }
    for each in endpoints:
        if each["VpcEndpointType"] == "Interface":
            by_gateway = (each["VpcId"], each["ServiceName"]) in gateways
            yield each["ServiceName"], each["PrivateDnsEnabled"] or by_gateway


@network("Network ACLs refuse administration ports from the world", about="aws:ec2/networkAcl:NetworkAcl")
def acls_refuse_administration(account: Account) -> Iterator[Seen]:
    for acl in _in_our_vpcs(account, "describe_network_acls", "NetworkAcls"):
        open_ = [
            entry
            for entry in acl["Entries"]
            if not entry["Egress"]
            and entry["RuleAction"] == "allow"
            and {entry.get("CidrBlock"), entry.get("Ipv6CidrBlock")} & set(WORLD)
        ]
        ports = [
            entry.get("PortRange", {"From": 0, "To": 65535}) for entry in open_ if entry["Protocol"] == "6"
        ]
        everything = any(entry["Protocol"] == "-1" for entry in open_)
        admitted = any(p["From"] <= port <= p["To"] for p in ports for port in (22, 3389))
        yield acl["NetworkAclId"], not everything and not admitted
