"""A model's way for people: the stage that runs with what its program says, and a table at the end."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.table import Table

from blueprint.training.chain import Stage, Way


class Shown:
    """Shows what runs; where nobody watches, a line for each stage that is done."""

    def __init__(self, console: Console) -> None:
        self._console, self._status = console, console.status("Beginning")
        self._stage, self._begun = "", time.monotonic()

    def __enter__(self) -> Shown:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def stage(self, name: str) -> None:
        """Hear of a stage that begins."""
        self._stage = name
        self.line("")

    def line(self, text: str) -> None:
        """Hear a line of a program that runs."""
        if self._console.is_terminal:
            # Brackets in what a program says are no markup of ours.
            said = f"  [dim]{text[:100].replace('[', chr(92) + '[')}[/dim]" if text else ""
            self._status.update(f"{self._stage} ({time.monotonic() - self._begun:.0f} s){said}")

    def done(self, stage: Stage) -> None:
        """Hear of a stage that is done."""
        line = f"{stage.name:<20} {stage.seconds:4.0f} s  {stage.found}"
        self._console.print(line, markup=False, soft_wrap=True)


def table(way: Way, console: Console) -> None:
    """Print what became of the model."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows.add_column("stage", no_wrap=True)
    rows.add_column("seconds", justify="right")
    rows.add_column("what happened", overflow="fold")
    for stage in way.stages:
        rows.add_row(stage.name, f"{stage.seconds:.0f}", stage.found)
    console.print(rows)
    total = sum(stage.seconds for stage in way.stages)
    console.print(f"passed: from rows in a database to an answer in {total:.0f} s", markup=False)
