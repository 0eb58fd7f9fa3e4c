"""What the function is told by its environment, checked once when it starts."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["ipv4", "ipv6"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")


class WrongSettings(Exception):
    """A setting is missing or is none; the message says which, and what to write."""


@dataclass(frozen=True, kw_only=True)
class BlockSet:
    """An IP set of the web ACL, as WAF names it."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """When an address is blocked, and for how long."""

    points: int
    """So many points (``score``)..."""
    window_minutes: int
    """...within so many minutes."""
    block_minutes: int
    """The first time; each further time twice as long."""
    longest_block_minutes: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the function is told."""

    table_name: str
    block_sets: Mapping[Family, BlockSet]
    never_blocked: tuple[Network, ...]
    sentence: Sentence


NAMES = (
    "TABLE_NAME",
    "NEVER_BLOCKED_CIDRS",
    "REFUSALS",
    "WINDOW_MINUTES",
    "BLOCK_MINUTES",
    "LONGEST_BLOCK_MINUTES",
    "BLOCK_SET_IPV4_ID",
    "BLOCK_SET_IPV4_NAME",
    "BLOCK_SET_IPV6_ID",
    "BLOCK_SET_IPV6_NAME",
)
"""The variables that are read, and no others."""


def read(environment: Mapping[str, str]) -> Settings:
    """Read the environment.

    Raises:
        WrongSettings: a variable is missing, is no number or no range.
    """
    missing = [name for name in NAMES if name not in environment]
    if missing:
        raise WrongSettings(f"{missing[0]} is missing from the environment of the function")
    sentence = Sentence(
        points=_number(environment, "REFUSALS"),
        window_minutes=_number(environment, "WINDOW_MINUTES"),
        block_minutes=_number(environment, "BLOCK_MINUTES"),
        longest_block_minutes=_number(environment, "LONGEST_BLOCK_MINUTES"),
    )
    if sentence.longest_block_minutes < sentence.block_minutes:
        raise WrongSettings(f"LONGEST_BLOCK_MINUTES is below BLOCK_MINUTES; write {sentence.block_minutes}")
    return Settings(
        table_name=environment["TABLE_NAME"],
        block_sets={
            family: BlockSet(
                id=environment[f"BLOCK_SET_{family.upper()}_ID"],
                name=environment[f"BLOCK_SET_{family.upper()}_NAME"],
            )
            for family in FAMILIES
        },
        never_blocked=tuple(_networks(environment["NEVER_BLOCKED_CIDRS"])),
        sentence=sentence,
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not text.isdecimal() or int(text) < 1:
        raise WrongSettings(f"{name} is {text!r:.40}; write a whole number, 1 or more")
    return int(text)


def _networks(text: str) -> list[Network]:
    found = []
    for each in filter(None, text.split(",")):
        try:
            found.append(ipaddress.ip_network(each))
        except ValueError:
            # Whoever must never be blocked is not left unprotected for a slip of the pen.
            raise WrongSettings(f"NEVER_BLOCKED_CIDRS names {each!r:.60}, which is no range") from None
    return found
