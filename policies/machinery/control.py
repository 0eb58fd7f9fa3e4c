"""A control: one small function, and the metadata that documents it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import partial
from typing import Any

from machinery.stack import Stack
from machinery.subject import Outcome, Outcomes, Resource, Violation, guarded


class Severity(Enum):
    """How bad a violation is. Critical and high stop an update; medium and low advise."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def mandatory(self) -> bool:
        """Say whether a violation stops an update."""
        return self in (Severity.CRITICAL, Severity.HIGH)


CRITICAL, HIGH, MEDIUM, LOW = Severity


def _framework(name: str) -> Any:
    return field(default=(), metadata={"name": name})


@dataclass(frozen=True, kw_only=True)
class References:
    """Where public frameworks ask for the same, in their own numbering (text: ``1.10`` is not ``1.1``)."""

    cis: Sequence[str] = _framework("CIS AWS Foundations Benchmark 3.0")
    fsbp: Sequence[str] = _framework("AWS Foundational Security Best Practices (Security Hub)")
    nist: Sequence[str] = _framework("NIST SP 800-53 revision 5")
    hipaa: Sequence[str] = _framework("HIPAA, 45 CFR 164")
    pci: Sequence[str] = _framework("PCI DSS 4.0")
    atlas: Sequence[str] = _framework("MITRE ATLAS 5.6")
    owasp_ml: Sequence[str] = _framework("OWASP Machine Learning Security Top 10, 2023")
    kubernetes: Sequence[str] = _framework("CIS Kubernetes Benchmark 1.12")
    aws_ai: Sequence[str] = _framework("AWS AI Security Framework")
    ml_lens: Sequence[str] = _framework("AWS Well-Architected, Machine Learning Lens")


FRAMEWORKS: Mapping[str, str] = {each.name: each.metadata["name"] for each in fields(References)}
"""The names of the frameworks, by what references call them."""

ResourceRule = Callable[[Resource], Outcomes]
SubjectRule = Callable[[Resource, Stack], Outcomes]
StackRule = Callable[[Stack], Outcomes]

_ID = re.compile(r"[A-Z]{3}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class Control:
    """What must hold, for whom, how bad it is when it does not, and what to do then.

    ``on`` names the resource types that the control looks at; empty means every resource (for a rule on one
    resource) or the stack as a whole (for a stack rule).
    """

    id: str
    title: str
    severity: Severity
    remedy: str
    rule: Callable[..., Outcomes]
    on: tuple[str, ...] = ()
    needs_stack: bool = False
    references: References = field(default_factory=References)

    @property
    def family(self) -> str:
        """``NET``, ``IAM``, …"""
        return self.id.partition("-")[0]

    def judge_resource(self, resource: Resource) -> list[Outcome]:
        """Run a rule on one resource; every outcome carries its URN."""
        return _signed(guarded(lambda: self.rule(resource)), resource.urn)

    def judge_stack(self, stack: Stack) -> list[Outcome]:
        """Run a stack rule, once for each of its subjects or once for the whole."""
        if not self.on:
            return _signed(guarded(lambda: self.rule(stack)), "")
        return [outcome for subject in stack.of(*self.on) for outcome in self.judge_subject(subject, stack)]

    def judge_subject(self, subject: Resource, stack: Stack) -> list[Outcome]:
        """Run a stack rule on one of its subjects."""
        return _signed(guarded(partial(self.rule, subject, stack)), subject.urn)


def _signed(outcomes: Outcomes, urn: str) -> list[Outcome]:
    return [type(o)(**{**o.__dict__, "urn": o.urn or urn}) for o in outcomes]


class Catalogue:
    """The controls of one family, in the order in which its module defines them."""

    def __init__(self) -> None:
        self.controls: list[Control] = []

    def resource(
        self,
        id: str,
        title: str,
        *,
        severity: Severity,
        remedy: str,
        on: Sequence[str] | str = (),
        references: References | None = None,
    ) -> Callable[[ResourceRule], ResourceRule]:
        """Add a control that one resource decides by itself; it also runs before each resource is made."""
        return self._add(id, title, severity, remedy, on, references, needs_stack=False)

    def stack(
        self,
        id: str,
        title: str,
        *,
        severity: Severity,
        remedy: str,
        on: Sequence[str] | str = (),
        references: References | None = None,
    ) -> Callable[[Callable[..., Outcomes]], Callable[..., Outcomes]]:
        """Add a control that needs other resources too: per subject with ``on``, over the whole without."""
        return self._add(id, title, severity, remedy, on, references, needs_stack=True)

    def _add(
        self,
        id: str,
        title: str,
        severity: Severity,
        remedy: str,
        on: Sequence[str] | str,
        references: References | None,
        *,
        needs_stack: bool,
    ) -> Callable[[Any], Any]:
        if not _ID.fullmatch(id) or "\n" in title + remedy:
            raise ValueError(f"{id}: a control id looks like NET-01; title and remedy are one line each")

        def add(rule: Callable[..., Outcomes]) -> Callable[..., Outcomes]:
            self.controls.append(
                Control(
                    id=id,
                    title=title,
                    severity=severity,
                    remedy=remedy,
                    rule=rule,
                    on=(on,) if isinstance(on, str) else tuple(on),
                    needs_stack=needs_stack,
                    references=references or References(),
                )
            )
            return rule

        return add


def stack_violation(problem: str) -> Violation:
    """Return a violation of the stack as a whole: something that should exist does not."""
    return Violation(path="", problem=problem)
