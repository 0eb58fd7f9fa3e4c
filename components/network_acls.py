"""The coarse wall around each tier: network ACLs, which know ports and ranges; security groups are the fine one.

ACLs keep no state, so each must let answers in by their port range. Where a subnet talks to the internet (or to
S3, whose gateway endpoint answers from public addresses) that range is open to the world at the ACL; what
may start a conversation there is left to the security groups and the route tables.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from components.addressing import TierPlan

WORLD = "0.0.0.0/0"
HTTP = 80
HTTPS = 443
SSH = 22

MAX_SSH_RANGES = 13
"""An ACL holds 20 rules a direction (VPC User Guide, "Amazon VPC quotas"); the public tier's others take seven."""

WIDEST_SSH_PREFIX = 24

_RDP = 3389
_ANSWER_PORTS = ((1024, _RDP - 1), (_RDP + 1, 65535))
"""Where answers arrive (VPC User Guide, "Ephemeral ports"), the port of remote desktop left out: a NAT gateway
that draws this one of its 64,512 ports loses that connection, and the client's retry draws another."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One ACL rule; the ports mean nothing to protocols that have none."""

    cidr_block: str
    action: Literal["allow", "deny"] = "allow"
    protocol: Literal["tcp", "icmp", "-1"] = "tcp"
    from_port: int = 0
    to_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0


@dataclass(frozen=True, kw_only=True)
class Wall:
    """The rules of one tier, in the order in which they are tried; what matches none is dropped."""

    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


def public_wall(vpc_cidr: str, ssh_cidrs: Sequence[str]) -> Wall:
    """TLS from anybody, and plain HTTP to be sent on to TLS; SSH from the approved IPv4 ranges.

    Raises:
        ValueError: a range for SSH is wider than /24, or there are more than an ACL holds.
    """
    return Wall(
        ingress=(
            _everything(vpc_cidr),
            _port(WORLD, HTTPS),
            _port(WORLD, HTTP),
            *(_port(cidr_block, SSH) for cidr_block in _ssh_ranges(ssh_cidrs)),
            *_answers(WORLD),
        ),
        egress=(_everything(vpc_cidr), _port(WORLD, HTTPS), *_answers(WORLD)),
    )


def private_wall(vpc_cidr: str) -> Wall:
    """Anything inside the VPC; TLS out."""
    return Wall(
        ingress=(_everything(vpc_cidr), *_answers(WORLD)),
        egress=(_everything(vpc_cidr), _port(WORLD, HTTPS)),
    )


def isolated_wall(plan: TierPlan) -> Wall:
    """The private and isolated tiers only. TLS out is for S3 and DynamoDB: no route leads anywhere else."""
    neighbours = tuple(_everything(cidr_block) for cidr_block in (*plan.private, *plan.isolated))
    strangers = tuple(Rule(cidr_block=cidr_block, action="deny", protocol="-1") for cidr_block in plan.public)
    return Wall(
        ingress=(*strangers, *neighbours, *_answers(WORLD)),
        egress=(*strangers, *neighbours, _port(WORLD, HTTPS)),
    )


def passage_wall(plan: TierPlan) -> Wall:
    """NAT gateways and the firewall: TLS from the private tier to the world, and the answers to it."""
    return Wall(
        ingress=(*(_port(cidr_block, HTTPS) for cidr_block in plan.private), *_answers(WORLD)),
        egress=(_port(WORLD, HTTPS), *(rule for cidr_block in plan.private for rule in _answers(cidr_block))),
    )


def network_acl(
    name: str,
    wall: Wall,
    *,
    vpc_id: pulumi.Input[str],
    subnet_ids: Sequence[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.NetworkAcl:
    """Put ``wall`` around the subnets."""
    return aws.ec2.NetworkAcl(
        name,
        vpc_id=vpc_id,
        subnet_ids=subnet_ids,
        ingress=[
            aws.ec2.NetworkAclIngressArgs(**_arguments(rule, number))
            for number, rule in enumerate(wall.ingress, 1)
        ],
        egress=[
            aws.ec2.NetworkAclEgressArgs(**_arguments(rule, number))
            for number, rule in enumerate(wall.egress, 1)
        ],
        tags={"Name": name},
        opts=opts,
    )


def _arguments(rule: Rule, number: int) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        # Steps of ten leave room for a rule that an incident calls for.
        "rule_no": number * 10,
        "action": rule.action,
        "protocol": rule.protocol,
        "cidr_block": rule.cidr_block,
        "from_port": rule.from_port,
        "to_port": rule.to_port,
    }
    if rule.protocol == "icmp":
        arguments |= {"icmp_type": rule.icmp_type, "icmp_code": rule.icmp_code}
    return arguments


def _everything(cidr_block: str) -> Rule:
    return Rule(cidr_block=cidr_block, protocol="-1")


def _port(cidr_block: str, port: int) -> Rule:
    return Rule(cidr_block=cidr_block, from_port=port, to_port=port)


def _answers(cidr_block: str) -> tuple[Rule, ...]:
    """TCP answers, and "fragmentation needed" (RFC 1191), without which large packets vanish."""
    return (
        *(Rule(cidr_block=cidr_block, from_port=first, to_port=last) for first, last in _ANSWER_PORTS),
        Rule(cidr_block=cidr_block, protocol="icmp", icmp_type=3, icmp_code=4),
    )


def _ssh_ranges(cidr_blocks: Sequence[str]) -> list[str]:
    """Return the IPv4 ranges, neighbours merged. The VPC has no IPv6, so IPv6 ranges need no rule."""
    try:
        networks = [ipaddress.ip_network(text) for text in cidr_blocks]
    except ValueError as error:
        raise ValueError(f"ssh_cidrs: {error}; write ranges like 203.0.113.8/32") from None
    ranges = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    for network in ranges:
        if network.prefixlen < WIDEST_SSH_PREFIX:
            raise ValueError(
                f"ssh_cidrs: {network} is wider than /{WIDEST_SSH_PREFIX}; list the approved addresses one by one"
            )
    merged = [str(network) for network in ipaddress.collapse_addresses(ranges)]
    if len(merged) > MAX_SSH_RANGES:
        raise ValueError(
            f"ssh_cidrs: {len(merged)} IPv4 ranges; a network ACL has room for {MAX_SSH_RANGES}: "
            "approve the addresses of an office or a VPN instead of each user's"
        )
    return merged
