"""The verdict: what the policies found, in an order that is the same every time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Waived:
    """One control that does not hold, and that somebody answers for until a day (``2027-01-31``, in UTC)."""

    control: str
    severity: str
    urn: str
    problem: str
    fix: str
    why: str
    owner: str
    expiry: str


Finding = Violation | Undecided | Waived


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Everything the pack said of one graph."""

    stack: str
    pack: str
    controls: tuple[str, ...]
    resource_count: int
    violations: tuple[Violation, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    waived: tuple[Waived, ...] = ()

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
            "counts": {**self.counts(), "undecided": len(self.undecided), "waived": len(self.waived)},
            "violations": [asdict(violation) for violation in self.violations],
            "undecided": [asdict(undecided) for undecided in self.undecided],
            "waived": [asdict(waived) for waived in self.waived],
        }


_VIOLATION = re.compile(
    r"(?P<control>[A-Z]{3}-\d{2}) (?P<severity>critical|high|medium|low): (?P<problem>.+)\n  Fix: (?P<fix>.+)"
)
_UNDECIDED = re.compile(r"(?P<control>[A-Z]{3}-\d{2}) undecided: (?P<waits_for>.+) is not known yet")
_WAIVED = re.compile(
    r"(?P<control>[A-Z]{3}-\d{2}) (?P<severity>critical|high|medium|low) waived until (?P<expiry>\d{4}-\d\d-\d\d) "
    r"by (?P<owner>[^:\s]+): (?P<problem>.+)\n  Why: (?P<why>.+)\n  Fix: (?P<fix>.+)"
)


def printable(text: str) -> str:
    """Return text that does nothing to a terminal: what a program names may hold control characters."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def read_message(text: str, *, urn: str, mandatory: bool) -> Finding | None:
    """Read one diagnostic of the pack; ``None`` where the wording is not the pack's."""
    text = "\n".join(map(printable, text.split("\n")))
    if match := _VIOLATION.fullmatch(text):
        return Violation(urn=urn, mandatory=mandatory, **match.groupdict())
    if match := _UNDECIDED.fullmatch(text):
        return Undecided(urn=urn, **match.groupdict())
    if match := _WAIVED.fullmatch(text):
        return Waived(urn=urn, **match.groupdict())
    return None


Of = TypeVar("Of", Violation, Undecided, Waived)


def ordered(findings: Iterable[Finding], kind: type[Of]) -> tuple[Of, ...]:
    """Return the findings of one kind, the same one once, in an order that is the same every time.

    The most severe comes first, then by control, resource and wording.
    """
    return tuple(sorted({each for each in findings if isinstance(each, kind)}, key=_rank))


def _rank(finding: Finding) -> tuple[int, str, str, str]:
    if isinstance(finding, Undecided):
        return 0, finding.control, finding.urn, finding.waits_for
    return SEVERITIES.index(finding.severity), finding.control, finding.urn, finding.problem
