"""A chain of audit events: each is sealed by its writer and linked to the one before it.

An event's body is sealed with HMAC-SHA-256, so whoever can change the table cannot make up an event; each writer
numbers its events inside the seal, so none can be taken out or moved, even if every link is computed anew. The
links (SHA-256 over the previous link and the sealed body) order the events of all writers. What is cut off at the
end shows against the shipped copy.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""The link before the first event."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One event as it is kept."""

    sequence: int
    body: str
    seal: str
    link: str


class Sealer:
    """One writer: numbers its events and seals them."""

    def __init__(self, key: bytes) -> None:
        """Take a new name, so that a restart is a new writer."""
        self._key = key
        self.renew()

    def renew(self) -> None:
        """Become a new writer: after a failure nobody knows whether the last events were kept."""
        self._writer, self.number = secrets.token_hex(8), 0

    def sealed(self, event: Mapping[str, Any]) -> tuple[str, str]:
        """Return the body of an event and its seal."""
        self.number += 1
        body = canonical({**event, "writer": self._writer, "number": self.number})
        return body, seal(self._key, body)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(event: Mapping[str, Any]) -> str:
    """Return the one spelling of an event (sorted names, no spaces, ASCII)."""
    return _encode(event)


def seal(key: bytes, body: str) -> str:
    """Return the seal of a body."""
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def linked(previous: str, body: str, sealed: str) -> str:
    """Return the link of an event, the same that ``audit.append`` computes in the database."""
    return hashlib.sha256(f"{previous}{body}{sealed}".encode()).hexdigest()


def shipped_line(body: str, sealed: str, sequence: int, link: str) -> str:
    """Return an event as it is shipped: what is said of its body stands behind the body's last member."""
    return f'{body[:-1]},"seal":"{sealed}","sequence":{sequence},"link":"{link}"}}'


def faults(links: Iterable[Link], key: bytes, *, head: tuple[int, str] | None = None) -> list[str]:
    """Return what is wrong with a chain, from its first event to its last; nothing if it is whole.

    Args:
        links: In the order of their sequence numbers.
        key: The writers' key.
        head: Sequence and link of the last event as written down elsewhere.
    """
    found: list[str] = []
    previous, expected = GENESIS, 1
    numbers: dict[str, int] = {}
    for kept in links:
        where = f"event {kept.sequence}"
        if kept.sequence != expected:
            found.append(f"{where}: {kept.sequence - expected} events before it are missing")
        if not hmac.compare_digest(seal(key, kept.body), kept.seal):
            found.append(f"{where}: its seal does not fit: it was edited or made up")
        if linked(previous, kept.body, kept.seal) != kept.link:
            found.append(f"{where}: its link does not fit: an event was edited, deleted or moved")
        found += _number_faults(where, kept.body, numbers)
        previous, expected = kept.link, kept.sequence + 1
    if head is not None and head != (expected - 1, previous):
        found.append(f"the end: the head is event {head[0]}, the last event kept is {expected - 1}")
    return found


def _number_faults(where: str, body: str, numbers: dict[str, int]) -> list[str]:
    try:
        event = json.loads(body)
        writer, number = event["writer"], event["number"]
    except (ValueError, KeyError, TypeError):
        return [f"{where}: is not an event"]
    last, numbers[writer] = numbers.get(writer, 0), number
    if number != last + 1:
        return [
            f"{where}: is number {number} of its writer after number {last}: an event was deleted or moved"
        ]
    return []


def missing_from(links: Sequence[Link], shipped: Iterable[str]) -> list[str]:
    """Return which shipped lines the chain does not hold as they were shipped."""
    kept = {link.sequence: link.link for link in links}
    found = []
    for line in shipped:
        try:
            event = json.loads(line)
            sequence, link = event["sequence"], event["link"]
        except (ValueError, KeyError, TypeError):
            continue
        if kept.get(sequence) != link:
            found.append(f"event {sequence}: was shipped, and is not kept as it was shipped")
    return found
