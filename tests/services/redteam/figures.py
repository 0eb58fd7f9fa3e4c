"""Figures of the gate: five models, what each gate found, and how long it took (``python -m tests.services.redteam.figures``)."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from services.modelchain import keys, signing
from services.modelchain.errors import ModelError
from services.redteam import data, judgement, meaning, subject, thresholds
from services.redteam.judgement import Done
from tests.services.redteam import world

MODELS: dict[str, tuple[Callable[[], world.Made], Callable[[], data.Examples]]] = {
    "good": (world.good, world.digits),
    "fragile": (world.fragile, world.digits),
    "backdoored": (world.backdoored, world.digits),
    "overfitted": (world.overfitted, world.few),
}


def judged(name: str, folder: Path) -> tuple[list[Done], float]:
    """Return what was found of a model, and seconds."""
    make, examples = MODELS[name]
    candidate = make().candidate(folder / name)
    read = thresholds.read(thresholds.EXAMPLE)
    begun = time.monotonic()
    found = judgement.judge(subject.opened(candidate), examples(), read, seed=0, watch=lambda *_: None)
    return found, time.monotonic() - begun


def unsigned(folder: Path) -> str:
    """Return what is said of a model that nobody signed."""
    keys.make_keys(folder, "trainer")
    try:
        signing.verify_candidate(
            world.good().write(folder / "unsigned"), keys.file_verifier(folder / "trainer.pub")
        )
    except ModelError as error:
        return str(error)
    raise AssertionError("it was taken")


def main() -> int:
    """Print the table."""
    warnings.simplefilter("ignore")
    logging.getLogger("art").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {each: judged(each, folder) for each in MODELS}
        refused = unsigned(folder)
    table = Table(title="Five models of digits (8 by 8), one core", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("asked", justify="right", no_wrap=True)
    for each in MODELS:
        table.add_column(each, justify="right", no_wrap=True)
    measured = {
        each: [one for done in dones for one in done.result.measured] for each, (dones, _) in found.items()
    }
    for place, first in enumerate(measured["good"]):
        asked = f"{'≥' if first.least else '≤'} {meaning.shown(first.check)[1]}"
        row = [measured[each][place].check for each in MODELS]
        cells = [f"{'' if check.passed else '✗ '}{meaning.shown(check)[0]}" for check in row]
        table.add_row(first.check.name, asked, *cells)
    table.add_section()
    good = found["good"][1]
    table.add_row("time, as a ratio", "", *(f"{seconds / good:.2f}" for _, seconds in found.values()))
    console = Console(file=sys.stdout, width=max(110, Console().width))
    console.print(table)
    console.print(f"unsigned: {refused}", highlight=False)
    attacks = ", ".join(f"{done.attack.name} {done.seconds / good:.0%}" for done in found["good"][0])
    console.print(f"of the good one's {good:.1f} s: {attacks}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
