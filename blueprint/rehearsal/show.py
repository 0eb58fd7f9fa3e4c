"""A rehearsal for people: progress while it runs, a table at the end, and how to look around."""

from __future__ import annotations

import shlex
import time
from types import TracebackType

from rich.console import Console
from rich.table import Table

from blueprint.rehearsal.emulator import Emulator
from blueprint.rehearsal.result import Rehearsal, grouped

_PHASES = {
    "init": "Asking the provider for its schema",
    "record": "Running the program",
    "validate": "Validating",
    "plan": "Planning",
    "apply": "Applying",
    "assert": "Looking at what is there",
    "second plan": "Planning again: nothing may change",
    "destroy": "Destroying",
}


class Progress:
    """Shows the phase, how much of it is done and the time; where nobody watches, a line for each phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("Rehearsing")
        self._started = time.monotonic()
        self._phase = ""

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Tell where the rehearsal is."""
        counted = f" {done}/{total}" if total else ""
        line = f"{_PHASES[phase]}{counted} ({time.monotonic() - self._started:.0f} s)"
        if self._console.is_terminal:
            self._status.update(line)
        elif phase != self._phase:
            self._console.print(line, markup=False)
        self._phase = phase


def table(result: Rehearsal, console: Console) -> None:
    """Print what became of the environment."""
    _reasons(console, "not planned", grouped(result.not_planned))
    _reasons(console, "planned, not applied", grouped(result.planned_only))
    if result.protected:
        held = ", ".join(name.partition(" (")[0] for name in result.protected)
        console.print(f"protected, because it holds data: {held}", markup=False, soft_wrap=True)
    for name, what in result.kept.items():
        console.print(f"stays behind on purpose: {name}: {what}", markup=False, soft_wrap=True)
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows.add_column("phase")
    rows.add_column("seconds", justify="right")
    rows.add_column("what it found")
    for phase, seconds in result.seconds.items():
        rows.add_row(phase, f"{seconds:.0f}", _found(result, phase))
    console.print(rows)
    verdict = "did not pass" if result.problems else "passed"
    console.print(f"{verdict}: {result.stack}, hashicorp/aws {result.provider}", markup=False)


def _found(result: Rehearsal, phase: str) -> str:
    failed = f", {len(result.failed[phase])} refused" if phase in result.failed else ""
    match phase:
        case "validate":
            return f"{len(result.failed.get(phase, [])) or 'nothing'} refused"
        case "plan":
            return f"{len(result.planned)} resources planned, {len(result.not_planned)} not{failed}"
        case "apply":
            share = len(result.applied) / max(1, len(result.planned))
            return f"{len(result.applied)} applied ({share:.0%}), {len(result.planned_only)} planned only{failed}"
        case "assert":
            hold = sum(each.holds for each in result.outcomes)
            looks = sum(each.looked_at for each in result.outcomes)
            return f"{hold} of {len(result.outcomes)} assertions hold, over {looks} looks{failed}"
        case "second plan":
            return f"{len(result.drift) or 'no'} changes{failed}"
        case "destroy":
            left = "" if failed else f", {len(result.left) or 'nothing'} left behind"
            return f"{result.destroyed} destroyed{left}{failed}"
    return ""


def _reasons(console: Console, title: str, reasons: dict[str, list[str]]) -> None:
    for why, names in reasons.items():
        shown = ", ".join(name.partition(" (")[0] for name in names)
        console.print(f"{title}: {why}: {shown}", markup=False, soft_wrap=True)


def how_to_look_around(emulator: Emulator, console: Console) -> None:
    """Print what the aws command needs to see the emulated account."""
    lines = {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    console.print("The emulated account stays. To look around in it:", markup=False)
    for name, value in lines.items():
        console.print(f"  export {name}={shlex.quote(value)}", markup=False, soft_wrap=True)
    console.print("  aws ec2 describe-vpcs --region us-east-1", markup=False)
    console.print(f"To end it: kill {emulator.pid}", markup=False)
