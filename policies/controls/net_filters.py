"""NET: the second lines: network ACLs, the name service's firewall, endpoints, and where subnets belong."""

from __future__ import annotations

import ipaddress

from controls.iam_policies import ENDPOINT
from controls.net import ASSOCIATION, SUBNET, SUBNETS, VPC
from machinery.addresses import EGRESS_RULE, is_world
from machinery.control import HIGH, LOW, MEDIUM, Catalogue, References
from machinery.documents import statements, takes_resources
from machinery.grants import any_resource
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, per_item

catalogue = Catalogue()

NACL = "aws:ec2/networkAcl:NetworkAcl"
DEFAULT_NACL = "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl"
DEFAULT_TABLE = "aws:ec2/defaultRouteTable:DefaultRouteTable"
DNS_RULE = "aws:route53/resolverFirewallRule:ResolverFirewallRule"
DNS_CONFIG = "aws:route53/resolverFirewallConfig:ResolverFirewallConfig"
DNS_ASSOCIATION = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
PEERING = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
CLUSTER = "aws:eks/cluster:Cluster"


@catalogue.stack(
    "NET-19",
    "Every subnet says its tier, and has a route table and a network ACL of its own choice",
    severity=MEDIUM,
    on=SUBNET,
    remedy="Tag the subnet with its tier, and name it in one RouteTableAssociation and in a NetworkAcl.",
    references=References(nist=["SC-7", "CM-8"]),
)
def subnets_are_placed(subnet: Resource, stack: Stack) -> Outcomes:
    if subnet.switch("tags.tier") not in ("public", "private", "isolated"):
        yield subnet.violation("tags.tier", "says no tier")
    if len(stack.referrers(subnet, "subnetId", ASSOCIATION)) != 1:
        yield subnet.violation("", "has not exactly one route table")
    if not stack.referrers(subnet, "subnetIds", NACL):
        yield subnet.violation("", "has the network ACL that AWS made")


@catalogue.stack(
    "NET-20",
    "What AWS makes with a VPC is taken over and empty: its network ACL and its route table",
    severity=LOW,
    on=VPC,
    remedy="Add an aws.ec2.DefaultNetworkAcl and an aws.ec2.DefaultRouteTable for the VPC without rules and routes.",
    references=References(nist=["SC-7", "CM-6"]),
)
def defaults_are_taken_over(vpc: Resource, stack: Stack) -> Outcomes:
    acls = stack.referrers(vpc, "defaultNetworkAclId", DEFAULT_NACL)
    if not acls:
        yield vpc.violation("", "leaves its default network ACL as AWS made it, open")
    for acl in acls:
        if acl.has("ingress") or acl.has("egress"):
            yield vpc.violation("", "has a default network ACL with rules")
    if not stack.referrers(vpc, "defaultRouteTableId", DEFAULT_TABLE):
        yield vpc.violation("", "leaves its default route table as AWS made it")


_ANY = ("-1", "all")
_TLS, _HTTP, _NTP = 443, 80, 123
_EPHEMERAL = 1024
"""Answers come to ports from here on (Amazon VPC User Guide, "Ephemeral ports")."""


@catalogue.resource(
    "NET-21",
    "Network ACLs admit the world for the web and for answers alone, and shut out administration first",
    severity=MEDIUM,
    on=NACL,
    remedy="Name the ranges of the VPC; admit 0.0.0.0/0 on 80, 443 and ports from 1024; deny 3389 before what admits a span with it.",
    references=References(cis=["5.1"], fsbp=["EC2.21"], nist=["SC-7"]),
)
def acls_are_narrow(acl: Resource) -> Outcomes:
    for side in ("ingress", "egress"):
        entries = acl.items(side)
        denied = [e for e in entries if e.switch("action") == "deny"]
        yield from per_item(entries, lambda entry, denied=denied: _entry(entry, denied))  # type: ignore[misc]


def _entry(entry: Node, denied: list[Node]) -> Outcomes:
    if entry.switch("action") != "allow" or not _world(entry):
        return
    if entry.switch("protocol") in ("icmp", "1", "58"):
        return
    first, last = entry.number("fromPort"), entry.number("toPort")
    narrow = first == last and first in (_TLS, _HTTP, _NTP, 22, 53)
    if entry.switch("protocol") in _ANY or not (narrow or first >= _EPHEMERAL):
        yield entry.violation("cidrBlock", "admits the world on every port")
    elif first <= _RDP <= last and not any(
        d.number("ruleNo") < entry.number("ruleNo") and d.number("fromPort") <= _RDP <= d.number("toPort")
        for d in denied
        if _world(d)
    ):
        yield entry.violation("fromPort", "admits remote desktop among answers")


_RDP = 3389


def _world(entry: Node) -> bool:
    text = str(entry.switch("cidrBlock", absent="") or entry.switch("ipv6CidrBlock", absent=""))
    try:
        return is_world(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return False


@catalogue.stack(
    "NET-22",
    "What machines ask the name service passes a firewall that blocks, and fails closed",
    severity=MEDIUM,
    on=(VPC, DNS_RULE, DNS_CONFIG),
    remedy="Add a ResolverFirewallRuleGroupAssociation and a ResolverFirewallConfig (firewall_fail_open DISABLED) for the VPC; let rules BLOCK, or list what is allowed.",
    references=References(nist=["SC-7(4)", "SC-20", "SI-4"], atlas=["AML.T0024"]),
)
def names_pass_a_firewall(subject: Resource, stack: Stack) -> Outcomes:
    if subject.type == VPC:
        if not stack.referrers(subject, "vpcId", DNS_ASSOCIATION):
            yield subject.violation("", "asks for names without a firewall")
        if not stack.referrers(subject, "resourceId", DNS_CONFIG):
            yield subject.violation("", "does not say what happens when the firewall of names fails")
    elif subject.type == DNS_CONFIG and subject.switch("firewallFailOpen", absent="DISABLED") != "DISABLED":
        yield subject.violation("firewallFailOpen", "lets every name through when it fails")
    elif (
        subject.type == DNS_RULE
        and subject.has("dnsThreatProtection")
        and subject.switch("action") != "BLOCK"
    ):
        yield subject.violation("action", "lets through what it takes for an attack")


_WEB = (_HTTP, _TLS, _NTP, 53)


@catalogue.resource(
    "NET-23",
    "A group talks to the internet on the ports of the web, names and time alone",
    severity=MEDIUM,
    on=EGRESS_RULE,
    remedy="Name a group or a range of the VPC; to 0.0.0.0/0 go 443, 80, 53 and 123.",
    references=References(nist=["SC-7(5)"], pci=["1.3.2"]),
)
def groups_speak_to_the_web_alone(rule: Resource) -> Outcomes:
    text = str(rule.reference("cidrIpv4", absent="") or rule.reference("cidrIpv6", absent=""))
    try:
        world = is_world(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return
    first, last = rule.number("fromPort", -1), rule.number("toPort", -1)
    if world and not (first == last and first in _WEB):
        yield rule.violation("toPort", "reaches the whole internet on ports that are not the web's")


@catalogue.resource(
    "NET-24",
    "No network is joined to one of another account",
    severity=HIGH,
    on=PEERING,
    remedy="Share what is needed by PrivateLink or a resource policy that names the account.",
    references=References(nist=["AC-4", "SC-7"]),
)
def networks_are_not_joined(peering: Resource) -> Outcomes:
    if peering.has("peerOwnerId"):
        yield peering.violation("peerOwnerId", "joins the network to one of another account")


_WHO = ("aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:principalarn")
_WHOSE = ("aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "s3:resourceaccount")


@catalogue.resource(
    "NET-25",
    "What passes an endpoint is ours on both sides: who calls, and what is called",
    severity=MEDIUM,
    on=ENDPOINT,
    remedy="Bind statements on * by aws:PrincipalAccount and aws:ResourceAccount; name what belongs to AWS.",
    references=References(nist=["AC-4", "SC-7(10)"]),
)
def endpoints_are_ours_on_both_sides(door: Resource) -> Outcomes:
    for statement in statements(door, "policy"):
        if not statement.allows or not any_resource(statement):
            continue
        if statement.everyone and not statement.binding(*_WHO):
            yield door.violation(statement.path, "lets credentials of other accounts through")
        if any(map(takes_resources, statement.actions)) and not statement.binding(*_WHOSE):
            yield door.violation(statement.path, "leads to resources of other accounts")


@catalogue.stack(
    "NET-26",
    "Endpoints and control planes stand in subnets without a way in",
    severity=MEDIUM,
    on=(ENDPOINT, CLUSTER),
    remedy="Name subnets of the private or isolated tier.",
    references=References(nist=["SC-7"]),
)
def doors_stand_inside(door: Resource, stack: Stack) -> Outcomes:
    path = "subnetIds" if door.type == ENDPOINT else "vpcConfig.subnetIds"
    for subnet in stack.targets(door, path, *SUBNETS):
        if subnet.switch("tags.tier") == "public":
            yield door.violation(path, "name a public subnet")
            return
