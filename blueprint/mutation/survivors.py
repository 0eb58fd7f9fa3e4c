"""What no control sees, and why that is so: each survivor has its reason in ``explained.yaml``, or it is a gap."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blueprint.errors import BadInput
from blueprint.mutation.judging import Judgement
from blueprint.mutation.mutant import Mutant, without_numbers
from blueprint.mutation.operators import OPERATORS

EXPLAINED = Path(__file__).with_name("explained.yaml")

LEAST_KILLED = 0.97
"""A pack below that share has a gap that no list of reasons makes up for."""


class Reason(BaseModel):
    """Why the mutants that fit survive; in ``type``, ``field`` and ``what`` a ``*`` stands for anything.

    ``field`` is written without numbers (``rules[].status``).
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    operator: Annotated[str, Field(min_length=1)]
    type: Annotated[str, Field(min_length=1)]
    field: str = "*"
    what: str = "*"
    because: Annotated[str, Field(min_length=20, max_length=400)]

    def fits(self, mutant: Mutant) -> bool:
        """Say whether the reason is about this mutant."""
        return (
            mutant.operator == self.operator
            and _like(self.type, mutant.subject.type)
            and _like(self.field, without_numbers(mutant.edit.field))
            and _like(self.what, mutant.edit.what)
        )


def reasons(path: Path = EXPLAINED) -> list[Reason]:
    """Read the reasons.

    Raises:
        BadInput: the file cannot be used; the message says where.
    """
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [Reason.model_validate(each) for each in listed or []]
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise BadInput(f"{path.name}: cannot be read: {str(error).splitlines()[0]}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How many mutants there were, and what of them nobody saw."""

    judged: Sequence[Judgement]
    explained: Mapping[Reason, Sequence[Judgement]]
    gaps: Sequence[Judgement]

    @property
    def killed(self) -> int:
        """The number of mutants that a control of the right family sees."""
        return sum(judgement.killed for judgement in self.judged)

    @property
    def share(self) -> float:
        """The share of mutants that are killed; of none it is all."""
        return self.killed / len(self.judged) if self.judged else 1.0

    @property
    def passed(self) -> bool:
        """Say whether nothing survives without a reason, and few with one."""
        return not self.gaps and self.share >= LEAST_KILLED


def outcome(judged: Sequence[Judgement], known: Sequence[Reason]) -> Outcome:
    """Sort the survivors by the first reason that fits."""
    explained: dict[Reason, list[Judgement]] = {reason: [] for reason in known}
    gaps: list[Judgement] = []
    for judgement in judged:
        if not judgement.killed:
            fitting = next((reason for reason in known if reason.fits(judgement.mutant)), None)
            (explained[fitting] if fitting else gaps).append(judgement)
    return Outcome(judged=judged, explained=explained, gaps=gaps)


def page(found: Outcome, environments: Iterable[str]) -> str:
    """Return the generated part of ``docs/mutation.md``."""
    lines = [
        f"{len(found.judged)} mutants of {', '.join(environments)}: {found.killed} killed "
        f"({found.share:.1%}) by a control of the right family, {len(found.judged) - found.killed} survive.",
        "",
        "| operator | idea | mutants | killed |",
        "|---|---|---:|---:|",
    ]
    total, killed = Counter[str](), Counter[str]()
    for judgement in found.judged:
        total[judgement.mutant.operator] += 1
        killed[judgement.mutant.operator] += judgement.killed
    lines += [
        f"| {each.name} | {each.idea} | {total[each.name]} | {killed[each.name]} |"
        for each in OPERATORS
        if total[each.name]
    ]
    lines += ["", "## What survives, and why", ""]
    lines += ["| operator | resource | field | edit | survivors | why |", "|---|---|---|---|---:|---|"]
    lines += [
        f"| {reason.operator} | `{reason.type}` | `{reason.field}` | {cell(reason.what)} | {len(those)} | "
        f"{cell(reason.because)} |"
        for reason, those in found.explained.items()
        if those
    ]
    for gap in found.gaps:
        edit = gap.mutant.edit
        lines.append(
            f"| {gap.mutant.operator} | `{gap.mutant.subject.type}` | `{edit.field}` | {cell(edit.what)} | 1 | "
            "**no reason yet** |"
        )
    return "\n".join(lines)


def cell(text: str) -> str:
    """Return text as a cell of a table of Markdown."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
