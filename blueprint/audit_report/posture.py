"""What became of each control: what it looked at, what it found, and what that says of the frameworks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from blueprint.audit_report.reading import Reader, kind
from blueprint.controls import FAMILIES, Catalogue, Control
from blueprint.graph import Resource
from blueprint.verdict import Undecided, Verdict, Violation, Waived

State = Literal["violated", "waived", "undecided", "holds", "nothing"]

STATES: dict[State, tuple[str, str]] = {
    "violated": ("✗", "violated"),
    "waived": ("!", "waived"),
    "undecided": ("?", "undecided"),
    "holds": ("✓", "satisfied"),
    "nothing": ("–", "not applicable"),
}
"""A sign and words for each state, the worst first: a colour alone says nothing to many."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Resources of one kind that a control looked at."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """One control with its evidence."""

    control: Control
    looked_at: tuple[Looked, ...]
    violations: tuple[Violation, ...]
    waived: tuple[Waived, ...]
    undecided: tuple[Undecided, ...]

    @property
    def state(self) -> State:
        """Return the worst that was found; ``nothing`` where the environment has nothing of the kind."""
        if self.violations:
            return "violated"
        if self.waived:
            return "waived"
        if self.undecided:
            return "undecided"
        return "holds" if self.looked_at or not self.control.types else "nothing"

    @property
    def evidence(self) -> str:
        """Return one sentence about what was looked at."""
        if not self.control.types:
            return "Looked at every resource of the environment."
        count = sum(len(each.names) for each in self.looked_at)
        what = f"{count} resource{'' if count == 1 else 's'}"
        beside = ", each beside all the others" if self.control.scope == "stack" else ""
        return f"Looked at {what}{beside}." if count else "The environment has no resource of these kinds."


@dataclass(frozen=True, kw_only=True)
class Family:
    """The controls of one family."""

    letters: str
    title: str
    controls: tuple[Assessed, ...]

    def count(self, state: State) -> int:
        """Return how many are in a state."""
        return sum(each.state == state for each in self.controls)


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a framework asks for under one number, and the controls that refer to it."""

    id: str
    controls: tuple[Assessed, ...]

    @property
    def state(self) -> State:
        """Return the worst state of its controls."""
        return _worst(each.state for each in self.controls)


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One framework: only what the controls refer to."""

    key: str
    title: str
    requirements: tuple[Requirement, ...]

    def count(self, state: State) -> int:
        """Return how many requirements are in a state."""
        return sum(each.state == state for each in self.requirements)


def _worst(states: Iterable[State]) -> State:
    order = list(STATES)
    return min(states, key=order.index)


def assessed(catalogue: Catalogue, verdict: Verdict, reader: Reader) -> tuple[Assessed, ...]:
    """Return every control of the catalogue with what was found of it."""
    by_type: dict[str, list[Resource]] = {}
    for resource in reader.graph.resources:
        by_type.setdefault(resource.type, []).append(resource)
    return tuple(
        Assessed(
            control=control,
            looked_at=tuple(
                Looked(kind=kind(type_), names=tuple(map(reader.name, by_type[type_])))
                for type_ in control.types
                if type_ in by_type
            ),
            violations=tuple(each for each in verdict.violations if each.control == control.id),
            waived=tuple(each for each in verdict.waived if each.control == control.id),
            undecided=tuple(each for each in verdict.undecided if each.control == control.id),
        )
        for control in catalogue.controls
    )


def families(controls: Iterable[Assessed]) -> tuple[Family, ...]:
    """Return the controls by family, in the catalogue's order."""
    found: dict[str, list[Assessed]] = {}
    for each in controls:
        found.setdefault(each.control.family, []).append(each)
    return tuple(
        Family(letters=letters, title=FAMILIES.get(letters, letters), controls=tuple(controls))
        for letters, controls in found.items()
    )


def frameworks(catalogue: Catalogue, controls: Iterable[Assessed]) -> tuple[Framework, ...]:
    """Return the requirements of each framework with the controls that refer to them."""
    found: dict[str, dict[str, list[Assessed]]] = {key: {} for key in catalogue.frameworks}
    for each in controls:
        for key, ids in each.control.references.items():
            for id_ in ids:
                found.setdefault(key, {}).setdefault(id_, []).append(each)
    return tuple(
        Framework(
            key=key,
            title=catalogue.frameworks.get(key, key),
            requirements=tuple(
                Requirement(id=id_, controls=tuple(asked[id_])) for id_ in sorted(asked, key=_by_number)
            ),
        )
        for key, asked in found.items()
        if asked
    )


def _by_number(id_: str) -> list[tuple[int, int, str]]:
    """Return what sorts ``SC-7`` before ``SC-12``."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", id_) if part
    ]
