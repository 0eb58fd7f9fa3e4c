"""What people see while a model trains: how far it is, how it does, and what it has revealed so far."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from services.trainer.training import Training


class Shown:
    """A bar at a terminal; a line after each epoch where there is none."""

    def __init__(self, name: str) -> None:
        """Write to standard error."""
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._name, self._task = name, self._progress.add_task(name, total=None, said="")

    def __enter__(self) -> Shown:
        """Begin."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._progress.stop()

    def __call__(self, training: Training) -> None:
        """Show one step."""
        ended = training.step % training.steps_per_epoch == 0
        said = _said(training) if training.curve else ""
        self._progress.update(self._task, total=training.steps, completed=training.step, said=said)
        if ended and not self._console.is_terminal:
            sys.stderr.write(f"{self._name}: epoch {training.curve[-1].epoch}: {said}\n")


def _said(training: Training) -> str:
    last = training.curve[-1]
    revealed = "" if last.epsilon is None else f", epsilon so far {last.epsilon:.2f}"
    return f"accuracy {last.accuracy:.1%}{revealed}"
