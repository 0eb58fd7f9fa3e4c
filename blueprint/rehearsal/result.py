"""What a rehearsal found, for people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blueprint.rehearsal.assertions.assertion import Outcome

LEAST_APPLIED = 0.85
"""Share of the planned resources that must have been applied for the rehearsal to mean something."""


@dataclass(kw_only=True)
class Rehearsal:
    """What became of every resource of one environment; names are Pulumi's, with the type in brackets."""

    stack: str
    provider: str = ""
    planned: list[str] = field(default_factory=list)
    not_planned: dict[str, str] = field(default_factory=dict)
    """What this version of the provider does not know, and why."""
    applied: list[str] = field(default_factory=list)
    planned_only: dict[str, str] = field(default_factory=dict)
    """What the emulator cannot hold, and why."""
    failed: dict[str, list[str]] = field(default_factory=dict)
    """Phase to what went wrong in it, in the provider's own words."""
    outcomes: list[Outcome] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)
    """Assertions about what this environment does not have."""
    drift: list[str] = field(default_factory=list)
    """What the second plan would change."""
    protected: list[str] = field(default_factory=list)
    """What ``pulumi destroy`` refuses to remove until it is unprotected by name."""
    kept: dict[str, str] = field(default_factory=dict)
    """What stays behind on purpose."""
    left: list[str] = field(default_factory=list)
    """What stays behind and should not."""
    destroyed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall-clock time by phase."""

    @property
    def problems(self) -> list[str]:
        """Every reason why the rehearsal does not pass, each with its phase."""
        found = [f"{phase}: {what}" for phase, all_ in self.failed.items() for what in all_]
        found += [
            f"assert: {outcome.sentence}: does not hold of {', '.join(outcome.broken)}"
            for outcome in self.outcomes
            if not outcome.holds
        ]
        found += [f"second plan: {what}" for what in self.drift]
        found += [f"destroy: left behind: {what}" for what in self.left]
        if "apply" in self.seconds and len(self.applied) < LEAST_APPLIED * len(self.planned):
            found.append(
                f"apply: only {len(self.applied)} of {len(self.planned)} were applied: under {LEAST_APPLIED:.0%}"
            )
        return found

    def as_json_value(self) -> dict[str, Any]:
        """Return everything for machines."""
        return {
            "schema": 2,
            "stack": self.stack,
            "provider": f"hashicorp/aws {self.provider}",
            "passed": not self.problems,
            "problems": self.problems,
            "planned": sorted(self.planned),
            "not_planned": self.not_planned,
            "applied": sorted(self.applied),
            "planned_only": self.planned_only,
            "failed": self.failed,
            "assertions": [
                {
                    "topic": each.topic,
                    "sentence": each.sentence,
                    "looked_at": each.looked_at,
                    "holds": each.holds,
                    "broken": list(each.broken),
                }
                for each in self.outcomes
            ],
            "not_asked": self.not_asked,
            "second_plan": self.drift,
            "destroyed": self.destroyed,
            "protected": sorted(self.protected),
            "kept_on_purpose": self.kept,
            "left_behind": self.left,
            "seconds": {phase: round(seconds, 1) for phase, seconds in self.seconds.items()},
        }


def grouped(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names under each reason."""
    found: dict[str, list[str]] = {}
    for name, why in sorted(reasons.items()):
        found.setdefault(why, []).append(name)
    return found
