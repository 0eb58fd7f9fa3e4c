"""The command ``blueprint doctor``: looks at this machine and says which tasks it is ready for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint.errors import BadInput

_STYLES = {"found": "green", "missing": "yellow", "broken": "red"}


def add_to(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to the parser; ``parents`` hold the options that every command has."""
    parser = commands.add_parser(
        "doctor",
        parents=list(parents),
        help="what is missing on this machine for which task, and what to do about it",
        description="Look for what each task needs on this machine. Status 0, or 1 where a task that was named "
        "lacks something. Nothing is installed, and no cloud is asked unless --ask-aws says so.",
    )
    parser.add_argument(
        "tasks",
        metavar="TASK",
        nargs="*",
        help="preview, test, rehearse, train, deploy, …; all where none is named",
    )
    parser.add_argument(
        "--ask-aws", action="store_true", help="try the credentials: ask AWS which account they are of"
    )
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Row:
    """What was found of one requirement."""

    name: str
    state: str
    found: str
    remedy: str
    """Empty where nothing needs to be done."""
    tasks: tuple[str, ...]


def run(options: argparse.Namespace, errors: Console) -> int:
    """Run the command and return its exit code."""
    from blueprint.doctor.tasks import tasks
    from blueprint.graph import canonical_json

    known = tasks()
    for name in options.tasks:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(known)}"
            raise BadInput(f"no task {name!r:.40}: {hint}")
    chosen = {name: task for name, task in known.items() if not options.tasks or name in options.tasks}
    with errors.status("Looking at this machine"):
        rows = _looked(chosen, ask_aws=options.ask_aws)
    lacks = {
        name: [each for each in task.needs if rows[each].state != "found"] for name, task in chosen.items()
    }
    without = {
        name: [each for each in task.better_with if rows[each].state != "found"]
        for name, task in chosen.items()
    }
    if options.format == "json":
        value = {
            "schema": 1,
            "tasks": [
                {
                    "name": name,
                    "ready": not lacks[name],
                    "lacks": lacks[name],
                    "left_out_without": without[name],
                }
                for name in chosen
            ],
            "requirements": [row.__dict__ for row in rows.values()],
        }
        print(canonical_json(value))
    else:
        console = Console(highlight=False)
        console.print(_tasks_table(chosen, lacks, without))
        console.print()
        console.print(_requirements_table(rows))
    return 1 if options.tasks and any(lacks.values()) else 0


def _looked(chosen: Mapping[str, Any], *, ask_aws: bool) -> dict[str, Row]:
    from blueprint.doctor.requirements import requirements

    asked: dict[str, list[str]] = {}
    for name, task in chosen.items():
        for each in (*task.needs, *task.better_with):
            asked.setdefault(each, []).append(name)
    wanted = [each for each in requirements(ask_aws=ask_aws).values() if each.name in asked]
    with ThreadPoolExecutor(max_workers=4) as looking:
        found = list(looking.map(lambda each: each.look(), wanted))
    return {
        each.name: Row(
            name=each.name,
            state=seen.state,
            found=seen.what,
            remedy="" if seen.state == "found" else each.remedy,
            tasks=tuple(asked[each.name]),
        )
        for each, seen in zip(wanted, found, strict=True)
    }


def _tasks_table(
    chosen: Mapping[str, Any], lacks: Mapping[str, list[str]], without: Mapping[str, list[str]]
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("task", "is", "for"):
        table.add_column(column, no_wrap=column != "for")
    for name, task in chosen.items():
        state = Text("lacking", style="red") if lacks[name] else Text("ready", style="green")
        what = [task.does]
        if lacks[name]:
            what.append(f"lacks {', '.join(lacks[name])}")
        if without[name]:
            what.append(f"goes without {', '.join(without[name])}")
        table.add_row(name, state, Text("; ".join(what)))
    return table


def _requirements_table(rows: Mapping[str, Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("needed", "is", "where, which", "what to do"):
        table.add_column(column, no_wrap=column in ("needed", "is"), overflow="fold")
    for row in rows.values():
        table.add_row(row.name, Text(row.state, style=_STYLES[row.state]), Text(row.found), Text(row.remedy))
    return table
