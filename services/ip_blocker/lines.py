"""What a line of the web ACL's log says of whoever sent the request; a line that says nothing sound is counted.

Only fields that AWS writes itself are read: the address is the connection's, whatever headers claim. Everything else
in a line is an attacker's to choose, so it is bounded, hashed, and never printed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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

Kind = Literal["refused", "attack", "failed", "path"]

Skipped = Literal["malformed", "huge", "untimely", "ours", "nobody", "let through", "blocked already"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One request: from whom, in which minute, what is held against it, and a name by which it counts once."""

    network: Network
    minute: int
    """Since 1970."""
    kinds: tuple[Kind, ...]
    id: str
    path: str
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
        request, action, rule = line["httpRequest"], line["action"], line["terminatingRuleId"]
        address, uri, time_ms = request["clientIp"], request["uri"], line["timestamp"]
        name = request["requestId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "malformed"
    if not all(isinstance(each, str) for each in (action, rule, address, uri, name)):
        return "malformed"
    if isinstance(time_ms, bool) or not isinstance(time_ms, int) or not name:
        return "malformed"
    age_minutes = (now - time_ms / 1000) / 60
    if not -EARLIEST_MINUTES <= age_minutes <= LATEST_MINUTES:
        return "untimely"
    network = network_of(address)
    if network is None:
        return "nobody"
    if is_among(network, never_blocked):
        return "ours"
    if rule.startswith("blocked-"):
        # Whoever knocks while the door is shut is not held there longer for it.
        return "blocked already"
    kinds = _kinds(action, rule, line.get("responseCodeSent"))
    if not kinds:
        return "let through"
    return Sighting(network, time_ms // 60_000, kinds, _digest(name, 8), _digest(uri, 4))


def _kinds(action: str, rule: str, status: Any) -> tuple[Kind, ...]:
    if action == "BLOCK":
        return ("refused", "attack", "path") if rule in ATTACKS else ("refused", "path")
    if isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 500:
        return ("failed", "path")
    return ()


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
