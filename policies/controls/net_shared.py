"""NET: what others reach by a private link: whose endpoints are accepted, and from where calls come through them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from controls.net import LOAD_BALANCERS
from machinery.addresses import GROUPS, is_world, rules_into
from machinery.control import HIGH, Catalogue, References
from machinery.stack import Stack
from machinery.subject import Outcome, Outcomes, Resource, Violation

catalogue = Catalogue()

SERVICE = "aws:ec2/vpcEndpointService:VpcEndpointService"
PRINCIPAL = "aws:ec2/vpcEndpointServiceAllowedPrinciple:VpcEndpointServiceAllowedPrinciple"

_ENFORCED = "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
_SOMEBODY = re.compile(r"arn:aws[\w-]*:iam::\d{12}:\S+")


@catalogue.stack(
    "NET-27",
    "What is shared by a private link admits listed accounts, one endpoint after another, from listed ranges",
    severity=HIGH,
    on=(SERVICE, PRINCIPAL),
    remedy="Set acceptance_required, name principals by account, give the network load balancer a security group that admits the callers' ranges, and leave its inbound rules in force for the link.",
    references=References(nist=["AC-3", "AC-4", "SC-7"], pci=["1.3.1"], aws_ai=["AISF-ML-03"]),
)
def links_admit_listed_accounts(shared: Resource, stack: Stack) -> Outcomes:
    if shared.type == PRINCIPAL:
        if not _SOMEBODY.fullmatch(shared.word("principalArn")):
            yield shared.violation("principalArn", "lets anybody ask for an endpoint")
        return
    if shared.switch("acceptanceRequired", absent=False) is not True:
        yield shared.violation("acceptanceRequired", "is off, so who asks is in")
    for path, principal in shared.texts("allowedPrincipals"):
        if not _SOMEBODY.fullmatch(principal):
            yield shared.violation(path, "lets anybody ask for an endpoint")
    for balancer in stack.targets(shared, "networkLoadBalancerArns", *LOAD_BALANCERS):
        yield from _admits_listed_ranges(balancer, stack)


def _admits_listed_ranges(balancer: Resource, stack: Stack) -> Iterator[Outcome]:
    if not balancer.has("securityGroups"):
        yield Violation(
            "securityGroups", "are missing, so the link admits whoever is behind it", urn=balancer.urn
        )
        return
    if balancer.switch(_ENFORCED, absent="on") != "on":
        yield Violation(_ENFORCED, "is off, so the link admits whoever is behind it", urn=balancer.urn)
    for group in stack.targets(balancer, "securityGroups", *GROUPS):
        for rule in rules_into(group, stack):
            if any(map(is_world, rule.known_ranges())):
                yield Violation("", "admits every address to a private link", urn=rule.carrier.urn)
