"""Splits the address range of a VPC into the subnets of its three tiers: arithmetic only, no resources."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

MAX_ZONES = 3

SMALLEST_VPC_PREFIX = 20
"""A /20 leaves /28 to a public subnet, the smallest that AWS makes (VPC User Guide, "Subnet CIDR blocks")."""
LARGEST_VPC_PREFIX = 16
"""The largest range of a VPC (VPC User Guide, "VPC CIDR blocks")."""


@dataclass(frozen=True, kw_only=True)
class TierPlan:
    """CIDR blocks by tier, one a zone, in the order of the zones."""

    public: tuple[str, ...]
    private: tuple[str, ...]
    isolated: tuple[str, ...]
    firewall: tuple[str, ...]
    """For the network firewall's endpoints, where there is one."""

    @staticmethod
    def split(cidr_block: str, *, zones: int) -> TierPlan:
        """Return the plan for ``cidr_block`` over ``zones`` zones.

        A quarter of the range goes to each zone and the last quarter stays free, so a third zone added later
        renumbers nothing. In a zone, half is private (every pod takes an address), a quarter isolated, a
        sixteenth public and another one the firewall's; the rest stays free.

        Raises:
            ValueError: the range is too small or too large, or there are not two or three zones.
        """
        network = ipaddress.IPv4Network(cidr_block)
        if not LARGEST_VPC_PREFIX <= network.prefixlen <= SMALLEST_VPC_PREFIX:
            size = "too small" if network.prefixlen > SMALLEST_VPC_PREFIX else "too large"
            raise ValueError(
                f"{cidr_block} is {size} for three tiers over {zones} zones; "
                f"write a range between /{LARGEST_VPC_PREFIX} and /{SMALLEST_VPC_PREFIX}"
            )
        if not 2 <= zones <= MAX_ZONES:
            raise ValueError(f"{zones} zones; name two or three")
        parts = [_zone(quarter) for quarter in list(network.subnets(prefixlen_diff=2))[:zones]]
        private, isolated, public, firewall = zip(*parts, strict=True)
        return TierPlan(public=public, private=private, isolated=isolated, firewall=firewall)


def _zone(quarter: ipaddress.IPv4Network) -> tuple[str, str, str, str]:
    """Return the private, isolated, public and firewall blocks of one zone."""
    private, rest = quarter.subnets(prefixlen_diff=1)
    isolated, rest = rest.subnets(prefixlen_diff=1)
    sixteenths = list(rest.subnets(prefixlen_diff=2))
    return str(private), str(isolated), str(sixteenths[0]), str(sixteenths[1])
