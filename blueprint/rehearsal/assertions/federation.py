"""A federation as it is: who may ask for a private link, who is let in, and from where calls come through it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

federation = Assertions("federation")

SERVICE = "aws:ec2/vpcEndpointService:VpcEndpointService"

_SOMEBODY = re.compile(r"arn:aws[\w-]*:iam::\d{12}:\S+")


def _services(account: Account) -> Iterator[Any]:
    for made in account.of(SERVICE):
        told = account.client("ec2").describe_vpc_endpoint_service_configurations(ServiceIds=[made.id])
        yield from told["ServiceConfigurations"]


@federation("Who asks for a private link waits until somebody accepts", about=SERVICE)
def links_wait(account: Account) -> Iterator[Seen]:
    for service in _services(account):
        yield service["ServiceId"], service["AcceptanceRequired"] is True


@federation("A private link may be asked for by accounts that are named, and by nobody else", about=SERVICE)
def links_are_for_named_accounts(account: Account) -> Iterator[Seen]:
    for service in _services(account):
        told = account.client("ec2").describe_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"])
        for each in told["AllowedPrincipals"]:
            yield each["Principal"], _SOMEBODY.fullmatch(each["Principal"]) is not None


@federation(
    "What a private link leads to admits private ranges of VPCs on one port, and nothing else", about=SERVICE
)
def links_come_from_known_ranges(account: Account) -> Iterator[Seen]:
    balancers = {
        each["LoadBalancerArn"]: each
        for each in account.every("elbv2", "describe_load_balancers", "LoadBalancers")
    }
    for service in _services(account):
        for arn in service["NetworkLoadBalancerArns"]:
            groups = balancers[arn].get("SecurityGroups", [])
            rules = [rule for group in groups for rule in _inbound(account, group)]
            yield arn, bool(rules) and all(map(_is_narrow, rules))


def _inbound(account: Account, group: str) -> list[Any]:
    (found,) = account.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return list(found["IpPermissions"])


def _is_narrow(rule: Any) -> bool:
    ranges = [each["CidrIp"] for each in rule.get("IpRanges", [])]
    return (
        rule.get("FromPort") == rule.get("ToPort") == 443
        and not rule.get("Ipv6Ranges")
        and all(int(each.rpartition("/")[2]) >= 16 for each in ranges)
    )
