"""The run on a terminal: what is being tried now, and at the end one line for each check."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.modelchain.schema import Verdict
from services.redteam import meaning
from services.redteam.judgement import Attack, Done


class Watched:
    """Shows a run while it goes on, on standard error; where that is no terminal, one line when an attack is done."""

    def __init__(self, count: int) -> None:
        """Begin with so many attacks to come."""
        self._console = Console(stderr=True)
        self._shown = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._shown.add_task("Looking", total=count)

    def __enter__(self) -> Watched:
        """Begin to show."""
        self._shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to show."""
        self._shown.stop()

    def __call__(self, attack: Attack, done: Done | None) -> None:
        """Hear of an attack."""
        if done is None:
            self._shown.update(self._task, description=attack.title)
            return
        self._shown.advance(self._task)
        failed = [each.check.name for each in done.result.measured if not each.check.passed]
        found = f"[red]✗ {', '.join(failed)}[/red]" if failed else "[green]✓[/green]"
        self._console.print(
            f"{attack.title:<28} {done.seconds:5.1f} s  {found}", highlight=False, soft_wrap=True
        )


WIDE = 130
"""Columns of a terminal that has room for the remarks too."""


def report(verdict: Verdict, found: list[Done], where: str) -> None:
    """Print the table of checks, and what follows."""
    console = Console(file=sys.stdout)
    wide = console.width >= WIDE
    table = Table(title=f"{verdict.model} {verdict.version}", title_justify="left", header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("asked", justify="right", no_wrap=True)
    table.add_column("")
    if wide:
        table.add_column("about", style="dim")
    for done in found:
        for each in done.result.measured:
            check = each.check
            value, threshold = meaning.shown(check)
            mark = "[green]✓[/green]" if check.passed else "[red]✗ failed[/red]"
            about = [escape(check.about)] if wide else []
            table.add_row(check.name, value, f"{'≥' if each.least else '≤'} {threshold}", mark, *about)
    console.print(table)
    passed = sum(check.passed for check in verdict.checks)
    said = "[green]withstood[/green]" if verdict.passed else "[red]must not serve[/red]"
    console.print(
        f"{said}: {passed} of {len(verdict.checks)} checks passed; {escape(where)}/verdict.html shows how",
        highlight=False,
        soft_wrap=True,
    )
