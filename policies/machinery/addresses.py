"""Address ranges and ports, as security groups and network ACLs write them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcome,
    Outcomes,
    Resource,
    UnknownReference,
    UnknownSwitch,
    guarded,
    per_item,
)
from machinery.values import UNKNOWN

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
LEGACY_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
PREFIX_LIST = "aws:ec2/managedPrefixList:ManagedPrefixList"
PREFIX_LIST_ENTRY = "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry"

GROUPS = (GROUP, DEFAULT_GROUP)
SEPARATE_RULES = (LEGACY_RULE, INGRESS_RULE, EGRESS_RULE)
RULE_CARRIERS = (*GROUPS, *SEPARATE_RULES)

SSH_WIDEST_V4, SSH_WIDEST_V6 = 24, 56
"""An office network; one customer assignment (RFC 6177)."""

_WORLD_V4, _WORLD_V6 = 8, 16
"""No single organisation has more than a /8 or a /16: what is wider is the world cut into pieces."""

_PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""RFC 1918 and RFC 6598: addresses that nobody has on the internet."""

_ALL_PROTOCOLS = ("-1", "all")
_WITHOUT_PORTS = ("icmp", "icmpv6", "1", "58")

_LAST_PORT = 65535
_MOST_PORTS = 1024
"""A group takes 60 rules (Amazon VPC quotas): with ranges no longer than this they do not make up all ports."""


@dataclass(frozen=True)
class _Form:
    """How one kind of rule calls its parts."""

    ranges: tuple[str, str]
    prefix_lists: str
    groups: str
    protocol: str


_INLINE = _Form(("cidrBlocks", "ipv6CidrBlocks"), "prefixListIds", "securityGroups", "protocol")
_LEGACY = _Form(("cidrBlocks", "ipv6CidrBlocks"), "prefixListIds", "sourceSecurityGroupId", "protocol")
_SEPARATE = _Form(("cidrIpv4", "cidrIpv6"), "prefixListId", "referencedSecurityGroupId", "ipProtocol")


@dataclass(frozen=True)
class Rule:
    """One rule of a security group, whichever of the four forms it was written in."""

    carrier: Resource
    node: Node
    form: _Form
    inbound: bool

    def per_range(self, judge: Callable[[Node, Network], Outcomes]) -> Iterator[Outcome]:
        """Judge each address range by itself: an unknown one hides nothing in another."""
        for key in self.form.ranges:
            yield from guarded(partial(self._judged, key, judge))

    def _judged(self, key: str, judge: Callable[[Node, Network], Outcomes]) -> Iterator[Outcome]:
        return per_item(members(self.node, key), lambda member: judge(member, network_of(member)))

    def known_ranges(self) -> list[Network]:
        """Return the ranges that can be read; the others are for ``per_range`` to report."""
        found: list[Network] = []

        def note(_member: Node, network: Network) -> Outcomes:
            found.append(network)
            return ()

        list(self.per_range(note))
        return found

    def prefix_lists(self) -> list[Node]:
        """Return the prefix lists that the rule names.

        Raises:
            UnknownReference: the list of them is unknown.
        """
        return members(self.node, self.form.prefix_lists)

    def groups(self) -> list[Node]:
        """Return the other groups that the rule names.

        Raises:
            UnknownReference: the list of them is unknown.
        """
        return members(self.node, self.form.groups)

    def every_port(self) -> bool:
        """Say whether the rule is about all ports, or so many that a few such rules make up all."""
        if self._protocol() in _WITHOUT_PORTS:
            return False
        first, last = self._ports()
        return last - first >= _MOST_PORTS

    def covers(self, port: int) -> bool:
        """Say whether the rule is about ``port``."""
        if self._protocol() in _WITHOUT_PORTS:
            return False
        first, last = self._ports()
        return first <= port <= last

    def only(self, port: int) -> bool:
        """Say whether the rule is about ``port`` and no other."""
        return self._protocol() in ("tcp", "6") and self._ports() == (port, port)

    def _protocol(self) -> str:
        return str(self.node.switch(self.form.protocol, absent="-1")).lower()

    def _ports(self) -> tuple[int, int]:
        """Return the first and the last port; one that is not written, or -1, leaves its end open."""
        if self._protocol() in _ALL_PROTOCOLS:
            return 0, _LAST_PORT
        first, last = self.node.number("fromPort", -1), self.node.number("toPort", -1)
        return max(first, 0), _LAST_PORT if last < 0 else last


def inbound_rules(resource: Resource) -> list[Rule]:
    """Return the rules of one of ``RULE_CARRIERS`` that let something in."""
    return list(_rules(resource, inbound=True))


def outbound_rules(resource: Resource) -> list[Rule]:
    """Return the rules of one of ``RULE_CARRIERS`` that let something out."""
    return list(_rules(resource, inbound=False))


def _rules(resource: Resource, *, inbound: bool) -> Iterator[Rule]:
    # Only the direction that is asked for is read: what is unknown in one hides nothing in the other.
    if resource.type in GROUPS:
        for node in resource.items("ingress" if inbound else "egress"):
            yield Rule(resource, node, _INLINE, inbound)
    elif resource.type == LEGACY_RULE:
        if (resource.switch("type") != "egress") is inbound:
            yield Rule(resource, resource, _LEGACY, inbound)
    elif (resource.type == INGRESS_RULE) is inbound:
        yield Rule(resource, resource, _SEPARATE, inbound)


def per_rule(rules: Iterable[Rule], judge: Callable[[Rule], Outcomes]) -> Iterator[Outcome]:
    """Judge each rule by itself: what is unknown in one hides nothing in another."""
    for rule in rules:
        yield from guarded(partial(judge, rule))


def groups_of(carrier: Resource, stack: Stack) -> list[Resource]:
    """Return the groups of the stack that a carrier's rules belong to; none where the group is somebody else's."""
    return [carrier] if carrier.type in GROUPS else stack.targets(carrier, "securityGroupId", *GROUPS)


def rules_into(group: Resource, stack: Stack) -> Iterator[Rule]:
    """Yield what can be read of the inbound rules of a group, its own and the separate ones."""
    for carrier in (group, *stack.referrers(group, "securityGroupId", LEGACY_RULE, INGRESS_RULE)):
        yield from _readable(carrier)


def _readable(carrier: Resource) -> list[Rule]:
    try:
        return inbound_rules(carrier)
    except (UnknownReference, UnknownSwitch, Malformed):
        return []


def meant(rule: Rule, member: Node, stack: Stack, *types: str) -> list[Resource]:
    """Return the resources of ``types`` that an identifier in a rule may mean; none where it is not the stack's.

    An identifier that is not known yet is traced through the property that it stands in: inside an inline
    rule those are all that any rule of the group refers to.
    """
    if member.value is UNKNOWN:
        return stack.targets(rule.carrier, member.path.partition("[")[0].partition(".")[0], *types)
    return [found for found in stack.named(_text(member)) if found.type in types]


def ranges_of(prefix_list: Resource, stack: Stack) -> list[Network]:
    """Return the ranges of a prefix list, those in separate entries too.

    Raises:
        UnknownReference: one of them is unknown.
    """
    entries = [
        *prefix_list.items("entries"),
        *stack.referrers(prefix_list, "prefixListId", PREFIX_LIST_ENTRY),
    ]
    return [network_of(member) for entry in entries for member in members(entry, "cidr")]


def members(node: Node, key: str) -> list[Node]:
    """Return what stands in the list at ``key`` (dots as in ``Node.switch``), each as a node; a single value counts as a list of one.

    Raises:
        UnknownReference: the list as a whole is unknown.
    """
    at = f"{node.path}.{key}" if node.path else key
    if isinstance(node.value, dict) and node.value.get(key) is UNKNOWN:
        return [Node(UNKNOWN, at)]
    found = node.reference(key)
    if isinstance(found, list):
        return [Node(member, f"{at}[{index}]") for index, member in enumerate(found)]
    return [] if found in (None, "") else [Node(found, at)]


def network_of(member: Node) -> Network:
    """Return the range that a node is.

    Raises:
        UnknownReference: it is unknown.
        Malformed: it is none, so it cannot be judged and does not pass.
    """
    try:
        return ipaddress.ip_network(_text(member).strip(), strict=False)
    except ValueError:
        raise Malformed(member.path) from None


def _text(member: Node) -> str:
    found = member.reference("")
    if not isinstance(found, str):
        raise Malformed(member.path)
    return found


def is_world(network: Network) -> bool:
    """Say whether a range is the internet, or a piece of it so large that a few make up the whole."""
    return network.prefixlen < (_WORLD_V4 if network.version == 4 else _WORLD_V6)


def make_up_the_world(networks: Iterable[Network]) -> bool:
    """Say whether ranges are the internet together: more addresses than any one organisation has."""
    networks = list(networks)
    v4 = [n for n in networks if isinstance(n, ipaddress.IPv4Network) and not _is_private(n)]
    v6 = [n for n in networks if isinstance(n, ipaddress.IPv6Network)]
    return (
        sum(n.num_addresses for n in ipaddress.collapse_addresses(v4)) > 1 << 32 - _WORLD_V4
        or sum(n.num_addresses for n in ipaddress.collapse_addresses(v6)) > 1 << 128 - _WORLD_V6
    )


def _is_private(network: ipaddress.IPv4Network) -> bool:
    return any(isinstance(block, ipaddress.IPv4Network) and network.subnet_of(block) for block in _PRIVATE)


def contains(outer: Network, inner: Network) -> bool:
    """Say whether every address of ``inner`` is in ``outer``; IPv4 and IPv6 share none."""
    if isinstance(outer, ipaddress.IPv4Network) and isinstance(inner, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(outer, ipaddress.IPv6Network) and isinstance(inner, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def is_wider_than_listed(network: Network) -> bool:
    """Say whether a range is wider than a list of approved users' addresses would be."""
    return network.prefixlen < (SSH_WIDEST_V4 if network.version == 4 else SSH_WIDEST_V6)
