"""What a line of a log says of whoever sent the request; a line that says nothing sound is counted.

Lines come from the web ACL, and from the gateway where it suspects that a model is being copied. Of the one, only fields
that AWS writes itself are read, of the other only what the gateway does: the address is the connection's, whatever
headers claim. Everything else in a line is an attacker's to choose, so it is bounded, hashed, and never printed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.ip_blocker.addresses import is_among, network_of
from services.ip_blocker.settings import Network

MOST_BYTES = 64 * 1024
"""Of one line. WAF's own are below 20 KB: it keeps 8 KB of headers at most."""

MOST_PAYLOAD_BYTES = 64 * 1024 * 1024
"""Of one delivery, unpacked: CloudWatch Logs packs 1 MB at most, and text does not pack better than 1 to 64."""

LATEST_MINUTES = 60
"""How old a line may be: an hour-old attack is no reason to block somebody now."""

EARLIEST_MINUTES = 5
"""How far ahead a clock may be."""

ATTACKS = ("AWSManagedRulesSQLiRuleSet", "AWSManagedRulesKnownBadInputsRuleSet")
"""Managed groups whose refusals nobody earns by accident (AWS WAF Developer Guide, "Baseline rule groups")."""

SUSPICION = "extraction-suspected"
"""The event in the gateway's query log; it is written once a day of each client and model."""

Kind = Literal["refused", "attack", "failed", "path", "extraction"]

Skipped = Literal["malformed", "huge", "untimely", "ours", "nobody", "let through", "blocked already"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One request: from whom, in which minute, what is held against it, and a name by which it counts once."""

    network: Network
    minute: int
    """Since 1970."""
    kinds: tuple[Kind, ...]
    id: str
    path: str = ""
    """A digest, 8 hexadecimal digits."""


def unpack(data: str) -> list[Mapping[str, Any]]:
    """Return the log events of a delivery of CloudWatch Logs.

    Raises:
        ValueError: it is no delivery, or unpacks to more than any delivery holds.
    """
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(base64.b64decode(data, validate=True), MOST_PAYLOAD_BYTES)
        body = json.loads(text if not unpacker.unconsumed_tail else b"")
        events = body["logEvents"] if body["messageType"] == "DATA_MESSAGE" else []
    except (ValueError, zlib.error, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no delivery of CloudWatch Logs: {type(error).__name__}") from None
    return events if isinstance(events, list) else [events]


def read(
    events: Iterable[Mapping[str, Any]],
    *,
    now: float,
    never_blocked: tuple[Network, ...],
    skipped: Counter[Skipped],
) -> Iterator[Sighting]:
    """Yield what is held against somebody, and count in ``skipped`` what is not.

    Args:
        events: Log events, each with a ``message``.
        now: Seconds since 1970.
        never_blocked: Ranges that nothing is held against.
        skipped: Counts of lines that were passed over, by reason.
    """
    for event in events:
        found = _sighting(event, now, never_blocked)
        if isinstance(found, Sighting):
            yield found
        else:
            skipped[found] += 1


def _sighting(event: Any, now: float, never_blocked: tuple[Network, ...]) -> Sighting | Skipped:
    message = event.get("message") if isinstance(event, Mapping) else None
    if not isinstance(message, str):
        return "malformed"
    if len(message) > MOST_BYTES:
        return "huge"
    try:
        line = json.loads(message)
        said = _suspected(line) if line.get("event") == SUSPICION else _requested(line)
        age_minutes = (now - said.time_ms / 1000) / 60
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return "malformed"
    if not -EARLIEST_MINUTES <= age_minutes <= LATEST_MINUTES:
        return "untimely"
    network = network_of(said.address)
    if network is None:
        return "nobody"
    if is_among(network, never_blocked):
        return "ours"
    if said.rule.startswith("blocked-"):
        # Whoever knocks while the door is shut is not held there longer for it.
        return "blocked already"
    if not said.kinds:
        return "let through"
    path = _digest(said.uri, 4) if "path" in said.kinds else ""
    return Sighting(network, int(said.time_ms // 60_000), said.kinds, _digest(said.name, 8), path)


@dataclass(frozen=True, slots=True)
class _Said:
    """What is read of a line."""

    address: str
    time_ms: float
    name: str
    kinds: tuple[Kind, ...]
    uri: str = ""
    rule: str = ""


def _requested(line: Mapping[str, Any]) -> _Said:
    """Read a line of the web ACL."""
    request, action, rule = line["httpRequest"], line["action"], line["terminatingRuleId"]
    address, uri, name = request["clientIp"], request["uri"], request["requestId"]
    time_ms = line["timestamp"]
    _texts(action, rule, address, uri, name)
    if isinstance(time_ms, bool) or not isinstance(time_ms, int) or not name:
        raise TypeError
    return _Said(address, time_ms, name, _kinds(action, rule, line.get("responseCodeSent")), uri, rule)


def _suspected(line: Mapping[str, Any]) -> _Said:
    """Read a line of the gateway."""
    address, name, time = line["source_address"], line["request_id"], line["time"]
    _texts(address, name, time)
    at = datetime.fromisoformat(time)
    if at.tzinfo is None or not name:
        raise ValueError
    return _Said(address, at.timestamp() * 1000, name, ("extraction",))


def _texts(*fields: object) -> None:
    """Refuse what is no text."""
    if not all(isinstance(each, str) for each in fields):
        raise TypeError


def _kinds(action: str, rule: str, status: Any) -> tuple[Kind, ...]:
    if action == "BLOCK":
        return ("refused", "attack", "path") if rule in ATTACKS else ("refused", "path")
    if isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 500:
        return ("failed", "path")
    return ()


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
