"""One run: mutants of the environments, judged, sorted, shown, and written into the page."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from blueprint import program
from blueprint.environments import ROOT
from blueprint.errors import BadInput
from blueprint.mutation.judging import judged
from blueprint.mutation.mutant import Mutant, without_numbers
from blueprint.mutation.mutants import mutants
from blueprint.mutation.survivors import LEAST_KILLED, Outcome, outcome, page, reasons

PAGE = ROOT / "docs" / "mutation.md"
_BEGIN = "<!-- made by make mutate -->"
_END = "<!-- end -->"


PLATFORMS = ["dev", "staging", "prod"]
"""What docs/mutation.md is about: the whole platform, at its three sizes."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to mutate: environments, and of their mutants a random ``sample`` (all, where it is ``None``)."""

    environments: Sequence[str]
    sample: int | None = None
    seed: int = 0


def run(wish: Wish, *, begun: Callable[[int], None], done: Callable[[int], None]) -> Outcome:
    """Make the mutants, have them judged and hold the survivors against the reasons."""
    known = reasons()
    graphs = [(environment, program.run(environment)) for environment in wish.environments]
    made = [(graph, list(mutants(environment, graph))) for environment, graph in graphs]
    if wish.sample is not None:
        chosen = sampled([mutant for _, those in made for mutant in those], wish.sample, wish.seed)
        made = [(graph, [mutant for mutant in those if mutant.key in chosen]) for graph, those in made]
    begun(sum(len(those) for _, those in made))
    return outcome(judged(made, done=done), known)


def sampled(those: Sequence[Mutant], count: int, seed: int) -> frozenset[str]:
    """Return the keys of a random choice, the same for the same seed."""
    chosen = random.Random(seed).sample(those, min(count, len(those)))  # noqa: S311 - a sample, no secret
    return frozenset(mutant.key for mutant in chosen)


def show(found: Outcome, console: Console) -> None:
    """Print what survives without a reason, and the totals."""
    if found.gaps:
        table = Table(title="What no control of the right family sees", title_justify="left")
        for column in ("Operator", "Resource", "Field", "Edit", "Seen by others"):
            table.add_column(column, overflow="fold")
        for gap in found.gaps[:200]:
            edit = gap.mutant.edit
            table.add_row(
                gap.mutant.operator,
                f"{gap.mutant.subject.name} ({gap.mutant.subject.type.rpartition(':')[2]})",
                without_numbers(edit.field),
                edit.what,
                ", ".join(sorted(gap.killed_by)),
            )
        console.print(table)
    explained = sum(map(len, found.explained.values()))
    console.print(
        f"{len(found.judged)} mutants: {found.killed} killed ({found.share:.1%}; {LEAST_KILLED:.0%} are asked for), "
        f"{explained} survive with a reason, {len(found.gaps)} without",
        soft_wrap=True,
    )


def as_json_value(found: Outcome) -> dict[str, Any]:
    """Return the outcome for machines."""
    return {
        "schema": 1,
        "mutants": len(found.judged),
        "killed": found.killed,
        "passed": found.passed,
        "explained": sum(map(len, found.explained.values())),
        "gaps": [
            {
                "environment": gap.mutant.environment,
                "operator": gap.mutant.operator,
                "urn": gap.mutant.subject.urn,
                "field": gap.mutant.edit.field,
                "edit": gap.mutant.edit.what,
                "seen_by": sorted(gap.killed_by),
            }
            for gap in found.gaps
        ],
    }


def write(found: Outcome, environments: Sequence[str], path: Path = PAGE) -> None:
    """Put the outcome into the page, between its marks.

    Raises:
        BadInput: the page or its marks are missing.
    """
    try:
        before, _, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
        _, mark, after = rest.partition(_END)
    except OSError as error:
        raise BadInput(f"{path.name}: cannot be read: {error.strerror}") from None
    if not mark:
        raise BadInput(f"{path.name}: has no marks {_BEGIN} and {_END}; write them where the outcome belongs")
    path.write_text(f"{before}{_BEGIN}\n{page(found, environments)}\n{_END}{after}", encoding="utf-8")
