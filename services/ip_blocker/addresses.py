"""Who is meant by an address: one IPv4 host, or one IPv6 network of a customer, and never one of ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from services.ip_blocker.settings import Family, Network

V6_PREFIX = 64
"""What one customer changes at will: a host has 2^64 addresses (RFC 4291, section 2.5.1)."""

LONGEST = 45
"""Characters of an address as text (RFC 4291, section 2.2)."""

NOBODYS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
        "::/127",
        "64:ff9b::/96",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Ranges that no client on the internet has (RFC 6890): a line that names one is wrong, or a trap."""


@lru_cache(maxsize=65_536)
def network_of(text: str) -> Network | None:
    """Return whom an address stands for; ``None`` where it is none, or nobody's on the internet."""
    if len(text) > LONGEST or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return network_of(str(address.ipv4_mapped))
        network: Network = ipaddress.IPv6Network((int(address), V6_PREFIX), strict=False)
    else:
        network = ipaddress.IPv4Network(int(address))
    return None if is_among(network, NOBODYS) else network


def is_among(network: Network, ranges: Iterable[Network]) -> bool:
    """Say whether a network touches one of the ranges: to block it would block some of them."""
    return any(each.version == network.version and each.overlaps(network) for each in ranges)


def family_of(network: Network) -> Family:
    """Return the family, as the block sets are named."""
    return "ipv4" if network.version == 4 else "ipv6"
