"""The verdict: what the policies found, in an order that is the same every time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One control that does not hold, and what to do about it."""

    control: str
    severity: str
    mandatory: bool
    urn: str
    problem: str
    fix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Undecided:
    """One control that waits for a value only AWS can give."""

    control: str
    urn: str
    waits_for: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Everything the pack said of one graph."""

    stack: str
    pack: str
    controls: tuple[str, ...]
    resource_count: int
    violations: tuple[Violation, ...] = ()
    undecided: tuple[Undecided, ...] = ()

    @property
    def passed(self) -> bool:
        """Say whether nothing stops an update."""
        return not any(violation.mandatory for violation in self.violations)

    def counts(self) -> dict[str, int]:
        """Return the number of violations by severity, most severe first."""
        return {s: sum(v.severity == s for v in self.violations) for s in SEVERITIES}

    def as_json_value(self) -> dict[str, Any]:
        """Return the verdict for machines; ``schema`` changes when a key changes its meaning."""
        return {
            "schema": 1,
            "stack": self.stack,
            "policy_pack": self.pack,
            "passed": self.passed,
            "resources": self.resource_count,
            "controls": len(self.controls),
            "counts": {**self.counts(), "undecided": len(self.undecided)},
            "violations": [
                {
                    "control": v.control,
                    "severity": v.severity,
                    "mandatory": v.mandatory,
                    "urn": v.urn,
                    "problem": v.problem,
                    "fix": v.fix,
                }
                for v in self.violations
            ],
            "undecided": [
                {"control": u.control, "urn": u.urn, "waits_for": u.waits_for} for u in self.undecided
            ],
        }


_VIOLATION = re.compile(
    r"(?P<control>[A-Z]{3}-\d{2}) (?P<severity>critical|high|medium|low): (?P<problem>.+)\n  Fix: (?P<fix>.+)"
)
_UNDECIDED = re.compile(r"(?P<control>[A-Z]{3}-\d{2}) undecided: (?P<waits_for>.+) is not known yet")


def read_message(text: str, *, urn: str, mandatory: bool) -> Violation | Undecided | None:
    """Read one diagnostic of the pack; ``None`` where the wording is not the pack's."""
    if match := _VIOLATION.fullmatch(text):
        return Violation(urn=urn, mandatory=mandatory, **match.groupdict())
    if match := _UNDECIDED.fullmatch(text):
        return Undecided(urn=urn, **match.groupdict())
    return None


def ordered(violations: list[Violation]) -> tuple[Violation, ...]:
    """Sort most severe first, then by control, resource and wording; the same finding counts once."""
    return tuple(
        sorted(set(violations), key=lambda v: (SEVERITIES.index(v.severity), v.control, v.urn, v.problem))
    )
