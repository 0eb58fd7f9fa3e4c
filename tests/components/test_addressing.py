"""The tiers of a VPC never overlap, and growing by a zone renumbers nothing."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.addressing import TierPlan

prefixes = st.integers(16, 20)
octets = st.integers(0, 255)
zone_counts = st.integers(2, 3)


def vpc(octet: int, prefix: int) -> str:
    return f"10.{octet}.0.0/{prefix}"


def blocks(plan: TierPlan) -> list[ipaddress.IPv4Network]:
    tiers = (plan.public, plan.private, plan.isolated, plan.nat, plan.firewall)
    return [ipaddress.IPv4Network(block) for tier in tiers for block in tier]


@given(octet=octets, prefix=prefixes, zones=zone_counts)
def test_blocks_lie_in_the_vpc_and_never_overlap(octet: int, prefix: int, zones: int) -> None:
    whole = ipaddress.IPv4Network(vpc(octet, prefix))
    found = blocks(TierPlan.split(str(whole), zones=zones))
    assert len(found) == 5 * zones
    assert all(block.subnet_of(whole) for block in found)
    assert not any(a.overlaps(b) for i, a in enumerate(found) for b in found[:i])


@given(octet=octets, prefix=prefixes)
def test_a_third_zone_moves_none_of_the_first_two(octet: int, prefix: int) -> None:
    two, three = (TierPlan.split(vpc(octet, prefix), zones=zones) for zones in (2, 3))
    for tier in ("public", "private", "isolated", "nat", "firewall"):
        assert getattr(three, tier)[:2] == getattr(two, tier)


@given(octet=octets, prefix=prefixes, zones=zone_counts)
def test_every_subnet_is_one_that_aws_makes(octet: int, prefix: int, zones: int) -> None:
    # VPC User Guide, "Subnet CIDR blocks": /28 at least, /16 at most.
    assert all(
        16 <= block.prefixlen <= 28 for block in blocks(TierPlan.split(vpc(octet, prefix), zones=zones))
    )


def test_pods_get_most_and_the_public_tier_little() -> None:
    plan = TierPlan.split("10.20.0.0/16", zones=2)
    assert plan.private == ("10.20.0.0/19", "10.20.64.0/19")
    assert plan.isolated == ("10.20.32.0/20", "10.20.96.0/20")
    assert plan.public == ("10.20.48.0/22", "10.20.112.0/22")


@pytest.mark.parametrize(("cidr", "says"), [("10.0.0.0/21", "too small"), ("10.0.0.0/15", "too large")])
def test_a_range_that_does_not_fit_is_refused(cidr: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"{says}.*between /16 and /20"):
        TierPlan.split(cidr, zones=2)


@pytest.mark.parametrize("cidr", ["10.0.0.1/16", "fd00::/56", "ten", ""])
def test_what_is_no_ipv4_range_is_refused_with_an_example(cidr: str) -> None:
    with pytest.raises(ValueError, match=r"write an IPv4 range like 10\.20\.0\.0/16"):
        TierPlan.split(cidr, zones=2)


@pytest.mark.parametrize("zones", [0, 1, 4])
def test_other_numbers_of_zones_are_refused(zones: int) -> None:
    with pytest.raises(ValueError, match="name two or three"):
        TierPlan.split("10.0.0.0/16", zones=zones)
