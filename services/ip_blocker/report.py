"""What the function tells: an event for each decision, and counts of each run, one JSON object a line.

CloudWatch reads the counts out of the log itself (CloudWatch User Guide, "Embedded metric format").
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from services.ip_blocker.settings import Network

if TYPE_CHECKING:
    from services.ip_blocker.blocker import Outcome
    from services.ip_blocker.score import Verdict

NAMESPACE = "IpBlocker"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who is blocked, evicted or let go."""

    decision: Literal["blocked", "evicted", "released"]
    address: str
    until_minute: int = 0
    times: int = 0
    points: int = 0

    @classmethod
    def blocked(cls, network: Network, verdict: Verdict) -> Decision:
        """Return the decision to block."""
        return cls(
            decision="blocked",
            address=str(network),
            until_minute=verdict.until_minute,
            times=verdict.times,
            points=verdict.points,
        )

    @classmethod
    def evicted(cls, network: Network, until_minute: int) -> Decision:
        """Return that a set had no place for an address."""
        return cls(decision="evicted", address=str(network), until_minute=until_minute)

    @classmethod
    def released(cls, network: Network) -> Decision:
        """Return that an address left a set."""
        return cls(decision="released", address=str(network))


def tell(outcome: Outcome, *, now: float, into: TextIO | None = None) -> None:
    """Write the events and the counts; nothing in them is a client's own words."""
    out = into or sys.stdout
    for decision in outcome.decisions:
        _write(out, {"event": "decision", **asdict(decision)})
    counts = {"sightings": outcome.sightings, "failures": len(outcome.failures)}
    for name in ("blocked", "evicted", "released"):
        counts[name] = sum(each.decision == name for each in outcome.decisions)
    for reason, count in outcome.skipped.items():
        counts[f"skipped {reason}".replace(" ", "_")] = count
    metrics = [{"Name": name, "Unit": "Count"} for name in counts]
    directive = {"Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": metrics}
    _write(out, {"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}, **counts})


def _write(out: TextIO, said: Mapping[str, Any]) -> None:
    # JSON escapes line ends, so one event is one line whatever is in it.
    out.write(json.dumps(said, sort_keys=True) + "\n")
