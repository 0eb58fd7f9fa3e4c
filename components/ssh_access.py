"""Who may come in over SSH: from which addresses, and each person under a name and a key of their own."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Sequence

WIDEST_V4, WIDEST_V6 = 24, 56
"""An office network; one customer assignment (RFC 6177)."""

_INSIDE = tuple(
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""RFC 1918 and RFC 6598: what a VPC's subnets are made of."""

_PUBLIC_KEY = re.compile(
    r"(?P<kind>ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r" (?P<blob>[A-Za-z0-9+/]+={0,2})(?: (?P<name>[^@\r\n]*)(?:@[\w.-]+)?)?"
)
_ACCOUNT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RSA_3072_BYTES = 4 + 7 + 4 + 3 + 4 + 385
"""Length of an RSA key of 3,072 bits: kind, exponent and modulus behind their lengths (RFC 4253, 6.6)."""


def check_ranges(allowed_cidrs: Sequence[str]) -> None:
    """Refuse what is wider than an office, and what stands there twice.

    Raises:
        ValueError: with the range that is wrong, and what to write.
    """
    if not allowed_cidrs:
        raise ValueError("allowed_cidrs is empty; name the addresses of approved users")
    for index, cidr in enumerate(allowed_cidrs):
        network = _network(f"allowed_cidrs[{index}]", cidr)
        widest = WIDEST_V4 if network.version == 4 else WIDEST_V6
        if network.prefixlen < widest:
            raise ValueError(f"allowed_cidrs: {cidr} is wider than /{widest}; name the addresses one by one")
        if cidr in allowed_cidrs[:index]:
            raise ValueError(f"allowed_cidrs: {cidr} stands there twice; name it once")


def check_destinations(destination_cidrs: Sequence[str]) -> None:
    """Refuse ranges outside a VPC: who comes in over SSH must not go out into the world from here.

    Raises:
        ValueError: with the range that is wrong, and what to write.
    """
    for index, cidr in enumerate(destination_cidrs):
        network = _network(f"destination_cidrs[{index}]", cidr)
        if network.version == 6 or not any(network.subnet_of(inside) for inside in _INSIDE):
            raise ValueError(f"destination_cidrs: {cidr} is not inside a VPC; name private IPv4 ranges")


def _network(where: str, cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(cidr)
    except ValueError:
        raise ValueError(
            f"{where} is {cidr!r:.60}, which is no range; write one like 203.0.113.8/32"
        ) from None


def accounts_of(public_keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the keys of each person: the name behind a key is the account that it opens, and no account is shared.

    ``ssh-ed25519 AAAA... alice@laptop`` opens ``alice``. Somebody with two keys names them alike.

    Raises:
        ValueError: with the position of the first one that is wrong, and never with what stands there: it may be
            a private key.
    """
    if not public_keys:
        raise ValueError("public_keys is empty; name the OpenSSH public key of each approved user")
    accounts: dict[str, list[str]] = {}
    for index, key in enumerate(public_keys):
        try:
            accounts.setdefault(account_of(key), []).append(key.strip())
        except ValueError as error:
            raise ValueError(f"public_keys[{index}] {error}") from None
    return accounts


def account_of(key: str) -> str:
    """Return the account that a public key opens.

    Raises:
        ValueError: it opens none; the message never tells what stands there.
    """
    if "PRIVATE KEY" in key:
        raise ValueError(
            "is a private key; write the public key (the .pub file beside it), and replace the pair"
        )
    found = _PUBLIC_KEY.fullmatch(key.strip())
    if not found or not _is_of_kind(found["blob"], found["kind"]):
        raise ValueError("is not an OpenSSH public key; write ssh-ed25519 AAAA... name")
    name = found["name"] or ""
    if name == "root" or not _ACCOUNT.fullmatch(name):
        raise ValueError("names no account; write the person's behind the key, like alice")
    return name


def _is_of_kind(blob: str, kind: str) -> bool:
    """Say whether a key is what it says that it is (RFC 4253, 6.6), and long enough."""
    try:
        content = base64.b64decode(blob, validate=True)
    except binascii.Error:
        return False
    prefix = len(kind).to_bytes(4, "big") + kind.encode()
    return content.startswith(prefix) and (kind != "ssh-rsa" or len(content) >= _RSA_3072_BYTES)
