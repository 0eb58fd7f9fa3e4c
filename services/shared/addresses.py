"""The address of a caller: from the connection, or from a header that a trusted proxy wrote."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

UNKNOWN = "0.0.0.0"  # noqa: S104 - stands for no address; nothing listens on it


def caller_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the nearest address that no trusted proxy vouches for as another proxy.

    ``X-Forwarded-For`` is read from the right: each trusted hop vouches for the one before it, and the first
    that is not trusted is the caller. Whatever stands further left was written by the caller.

    Args:
        peer: The other end of the connection.
        forwarded_for: Values of the header, in the order they came.
        trusted: Proxies whose header is believed.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    address = peer or UNKNOWN
    while hops and is_within(address, trusted):
        claimed = hops.pop()
        if not _is_address(claimed):
            break
        address = claimed
    return str(ip_address(address)) if _is_address(address) else UNKNOWN


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Say whether an address is in one of the networks; what is no address is in none."""
    return _is_address(address) and any(ip_address(address) in network for network in networks)


@lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
