"""Kinds of text that settings are made of, each checked where it stands: accounts, addresses, keys, ARNs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from components.ssh_access import WIDEST_V4, WIDEST_V6, account_of


def arn(service: str, resource: str) -> AfterValidator:
    pattern = re.compile(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]*:\d{{12}}:{resource}")

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"is not an ARN of the form arn:aws:{service}:...:{resource.rstrip('.+')}...")
        return text

    return AfterValidator(check)


def matching(pattern: str, remedy: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(remedy)
        return text

    return AfterValidator(check)


def _ssh_range(text: str) -> str:
    network = network_of(text)
    widest = WIDEST_V4 if network.version == 4 else WIDEST_V6
    if network.prefixlen == 0:
        raise ValueError(
            f"{text} opens SSH to the world; list the addresses of approved users, /{widest} or narrower"
        )
    if network.prefixlen < widest:
        raise ValueError(f"{text} is wider than /{widest}; list the addresses of approved users one by one")
    return str(network)


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        repaired = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r:.60} is not a range of addresses; write one like 203.0.113.8/32") from None
    raise ValueError(f"{text} has host bits set; write {repaired}") from None


def _ssh_public_key(text: str) -> str:
    account_of(text)
    try:
        load_ssh_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        # Never echo what stands here.
        raise ValueError(
            "is not an OpenSSH public key; write one line like ssh-ed25519 AAAA... name"
        ) from None
    return text.strip()


AccountId = Annotated[str, matching(r"\d{12}", "is not an AWS account id; write its twelve digits in quotes")]
Email = Annotated[
    str, matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "is not an e-mail address; write one like team@example.org")
]
Range = Annotated[str, AfterValidator(lambda text: str(network_of(text)))]
SshRange = Annotated[str, AfterValidator(_ssh_range)]
SshPublicKey = Annotated[str, AfterValidator(_ssh_public_key)]
ZoneLetter = Annotated[str, matching(r"[a-f]", "is not the letter of a zone; write a, b or c")]
SubnetId = Annotated[
    str, matching(r"subnet-[0-9a-f]{8,17}", "is not a subnet id; write one like subnet-0abc1234")
]


def wrong(path: str, problem: str) -> PydanticCustomError:
    """Return the error for a mistake that stands at ``path`` below the section that notices it."""
    return PydanticCustomError("setting", "{problem}", {"path": path, "problem": problem})


@contextmanager
def standing_at(path: str) -> Iterator[None]:
    """Turn a ``ValueError`` into a mistake at ``path``."""
    try:
        yield
    except ValueError as error:
        raise wrong(path, str(error)) from None
