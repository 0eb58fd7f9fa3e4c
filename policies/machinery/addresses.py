"""Address ranges and ports, as security groups and network ACLs write them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from machinery.subject import Malformed, Node, Resource

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
LEGACY_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"

RULE_CARRIERS = (GROUP, DEFAULT_GROUP, LEGACY_RULE, INGRESS_RULE, EGRESS_RULE)

SSH_WIDEST_V4, SSH_WIDEST_V6 = 24, 56
"""An office network; one customer assignment (RFC 6177)."""

_WORLD_V4, _WORLD_V6 = 8, 16
"""No single organisation has more than a /8 or a /16: what is wider is the world cut into pieces."""

_ALL_PROTOCOLS = ("-1", "all")
_WITHOUT_PORTS = ("icmp", "icmpv6", "1", "58")


@dataclass(frozen=True)
class Rule:
    """One rule of a security group, whichever of the four forms it was written in."""

    node: Node
    inbound: bool
    range_keys: tuple[str, ...]
    protocol_key: str

    def ranges(self) -> list[tuple[str, Network]]:
        """Return ``(path, range)`` of each address range."""
        return [(path, parsed(text, path)) for key in self.range_keys for path, text in self.node.texts(key)]

    def every_port(self) -> bool:
        """Say whether the rule is about all ports."""
        if str(self.node.switch(self.protocol_key, absent="-1")).lower() in _ALL_PROTOCOLS:
            return True
        return self.covers(1) and self.covers(65535)

    def covers(self, port: int) -> bool:
        """Say whether the rule is about ``port``."""
        protocol = str(self.node.switch(self.protocol_key, absent="-1")).lower()
        if protocol in _ALL_PROTOCOLS:
            return True
        if protocol in _WITHOUT_PORTS:
            return False
        first, last = self.node.number("fromPort"), self.node.number("toPort")
        return first <= port <= last or (first, last) == (-1, -1)

    def only(self, port: int) -> bool:
        """Say whether the rule is about ``port`` and no other."""
        protocol = str(self.node.switch(self.protocol_key, absent="-1")).lower()
        return protocol in ("tcp", "6") and self.node.number("fromPort") == self.node.number("toPort") == port


_LISTED = ("cidrBlocks", "ipv6CidrBlocks")
_SINGLE = ("cidrIpv4", "cidrIpv6")


def rules_of(resource: Resource) -> Iterator[Rule]:
    """Yield the rules that a resource of ``RULE_CARRIERS`` carries."""
    if resource.type in (GROUP, DEFAULT_GROUP):
        for direction in ("ingress", "egress"):
            for node in resource.items(direction):
                yield Rule(node, direction == "ingress", _LISTED, "protocol")
    elif resource.type == LEGACY_RULE:
        yield Rule(resource, resource.switch("type") == "ingress", _LISTED, "protocol")
    else:
        yield Rule(resource, resource.type == INGRESS_RULE, _SINGLE, "ipProtocol")


def inbound_rules(resource: Resource) -> list[Rule]:
    """Return the rules that let something in."""
    return [rule for rule in rules_of(resource) if rule.inbound]


def outbound_rules(resource: Resource) -> list[Rule]:
    """Return the rules that let something out."""
    return [rule for rule in rules_of(resource) if not rule.inbound]


def parsed(text: str, path: str) -> Network:
    """Return a range; what is none cannot be judged, so it does not pass."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Malformed(path) from None


def is_world(network: Network) -> bool:
    """Say whether a range is the internet, or a piece of it so large that a few make up the whole."""
    if network.prefixlen == 0:
        return True
    widest = _WORLD_V4 if network.version == 4 else _WORLD_V6
    return network.prefixlen < widest


def is_wider_than_listed(network: Network) -> bool:
    """Say whether a range is wider than a list of approved users' addresses would be."""
    return network.prefixlen < (SSH_WIDEST_V4 if network.version == 4 else SSH_WIDEST_V6)
