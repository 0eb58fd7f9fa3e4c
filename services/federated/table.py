"""What people see of a federation while it learns: a line when something begins, and a row of a table for each round."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

COLUMNS = ("round", "silos", "loss", "accuracy", "epsilon", "traffic", "seconds")
"""Epsilon so far; traffic is what all silos sent and received in the round."""


class Shown:
    """A table that grows at a terminal; lines on standard error where there is none."""

    def __init__(self, *, quiet: bool) -> None:
        """Show on standard error; ``quiet`` shows nothing but what begins."""
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._at_terminal = self._console.is_terminal and not quiet

    def __enter__(self) -> Shown:
        """Begin."""
        if self._at_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._at_terminal:
            self._live.stop()

    def begins(self, said: str, rounds: list[dict[str, Any]] | None = None) -> None:
        """Say what begins, under the rounds so far."""
        if self._at_terminal:
            below = Spinner("dots", said)
            grid = Table.grid()
            for each in [table(rounds)] if rounds else []:
                grid.add_row(each)
            grid.add_row(below)
            self._live.update(grid)
        elif not rounds:
            sys.stderr.write(f"{said}\n")

    def round(self, rounds: list[dict[str, Any]], of: int) -> None:
        """Show that one more round is over."""
        if self._at_terminal:
            self.begins(f"round {len(rounds) + 1} of {of}", rounds)
        elif not self._quiet:
            sys.stderr.write(
                "  ".join(f"{name} {value}" for name, value in zip(COLUMNS, row(rounds[-1]), strict=True))
                + "\n"
            )


def table(rounds: list[dict[str, Any]]) -> Table:
    """Return the table of rounds."""
    made = Table(header_style="bold")
    for name in COLUMNS:
        made.add_column(name, justify="right", no_wrap=True)
    for each in rounds:
        made.add_row(*row(each))
    return made


def row(said: dict[str, Any]) -> tuple[str, ...]:
    """Return a round as it is shown."""
    return (
        str(said["round"]),
        str(said["silos"]),
        "-" if said["loss"] is None else f"{said['loss']:.3f}",
        "-" if said["accuracy"] is None else f"{said['accuracy']:.1%}",
        "-" if said["epsilon"] is None else f"{said['epsilon']:.2f}",
        f"{said['bytes'] / 1024:.0f} KiB",
        f"{said['seconds']:.1f}",
    )


def rounds_in(results: Path) -> list[dict[str, Any]]:
    """Return the rounds that a ServerApp wrote down so far; half a line is not one yet."""
    path = results / "rounds.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
