"""The quarantine: which rows are suspect and why, for people who may look them up; never what is in them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from services.modelchain import writing
from services.modelchain.errors import ModelError
from services.trainer.errors import TrainerError
from services.trainer.examples import Examples
from services.trainer.screening.screen import Outcome

REPORT, SUSPECTS = "report.json", "suspects.csv"


def write(folder: Path, examples: Examples, outcome: Outcome, *, dataset: str, manifest: str) -> None:
    """Write ``report.json`` and ``suspects.csv`` into a new folder.

    Raises:
        TrainerError: it is already there, or cannot be written.
    """
    report = {
        "dataset": dataset,
        "manifest": manifest,
        "rows": len(examples),
        "rows_that_stay": int(outcome.stays.sum()),
        "suspects": outcome.counts,
        "taken_out": sorted(outcome.taken_out),
        "accused_classes": outcome.accused,
        "stopped": outcome.excess,
    }
    try:
        writing.folder(
            folder,
            {
                REPORT: (json.dumps(report, indent=2, sort_keys=True) + "\n").encode(),
                SUSPECTS: _table(examples, outcome).encode(),
            },
        )
    except ModelError as error:
        raise TrainerError(str(error)) from None


def _table(examples: Examples, outcome: Outcome) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["key", "screen", "taken_out", "score", "reason"])
    for each in sorted(outcome.findings, key=lambda each: (each.screen, -each.score, each.row)):
        out = "yes" if each.screen in outcome.taken_out else "no"
        table.writerow([_cell(str(examples.keys[each.row])), each.screen, out, each.score, each.reason])
    return text.getvalue()


def _cell(text: str) -> str:
    # A spreadsheet runs what begins like this (OWASP, "CSV Injection"); a key may have been chosen by an attacker.
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
