"""Splits the address range of a VPC into the subnets of its tiers: arithmetic only, no resources."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

MIN_ZONES = 2
MAX_ZONES = 3

SMALLEST_VPC_PREFIX = 20
"""A /20 leaves 64 addresses to a public subnet and 512 to the pods of a zone; less is not worth a cluster."""
LARGEST_VPC_PREFIX = 16
"""The largest range of a VPC (VPC User Guide, "VPC CIDR blocks")."""


@dataclass(frozen=True, kw_only=True)
class TierPlan:
    """CIDR blocks by tier, one a zone, in the order of the zones."""

    public: tuple[str, ...]
    private: tuple[str, ...]
    isolated: tuple[str, ...]
    nat: tuple[str, ...]
    """For NAT gateways alone, so that routes through a firewall touch nothing else."""
    firewall: tuple[str, ...]
    """For the network firewall's endpoints, where there is one."""

    @staticmethod
    def split(cidr_block: str, *, zones: int) -> TierPlan:
        """Return the plan for ``cidr_block`` over ``zones`` zones.

        A quarter of the range goes to each zone and the last quarter stays free, so a third zone added later
        renumbers nothing. In a zone, half is private (every pod takes an address), a quarter isolated, a
        sixteenth each public, NAT and firewall; the last sixteenth stays free.

        Raises:
            ValueError: this is no IPv4 range, too small or too large, or there are not two or three zones.
        """
        network = _ipv4_range(cidr_block)
        if not MIN_ZONES <= zones <= MAX_ZONES:
            raise ValueError(f"{zones} zones; name two or three")
        if not LARGEST_VPC_PREFIX <= network.prefixlen <= SMALLEST_VPC_PREFIX:
            size = "too small" if network.prefixlen > SMALLEST_VPC_PREFIX else "too large"
            raise ValueError(
                f"{cidr_block} is {size} for three tiers over {zones} zones; "
                f"write a range between /{LARGEST_VPC_PREFIX} and /{SMALLEST_VPC_PREFIX}"
            )
        parts = [_zone(quarter) for quarter in list(network.subnets(prefixlen_diff=2))[:zones]]
        private, isolated, public, nat, firewall = zip(*parts, strict=True)
        return TierPlan(public=public, private=private, isolated=isolated, nat=nat, firewall=firewall)


def _ipv4_range(text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write an IPv4 range like 10.20.0.0/16") from None


def _zone(quarter: ipaddress.IPv4Network) -> tuple[str, str, str, str, str]:
    """Return the private, isolated, public, NAT and firewall blocks of one zone."""
    private, rest = quarter.subnets(prefixlen_diff=1)
    isolated, rest = rest.subnets(prefixlen_diff=1)
    public, nat, firewall, _spare = rest.subnets(prefixlen_diff=2)
    return str(private), str(isolated), str(public), str(nat), str(firewall)
