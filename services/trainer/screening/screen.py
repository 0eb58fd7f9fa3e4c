"""All screens over one dataset: which rows stay, which are suspect, and whether there are too many of these."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from services.trainer.examples import Examples
from services.trainer.job import Screening
from services.trainer.screening import backdoor, duplicates, mislabelled, outliers, plain
from services.trainer.screening.findings import Finding, Screen

FEWEST = 40
"""Fewer rows tell no screen anything."""

TAKEN_OUT: set[Screen] = {"out-of-bounds", "backdoor", "duplicate"}
"""Screens whose suspects never train. Outliers, and mostly labels, are for people to look at."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the screens said."""

    stays: np.ndarray
    """bool[n]: rows that may train."""
    findings: list[Finding]
    taken_out: set[Screen]
    """Screens whose suspects do not stay."""
    accused: dict[str, float]
    """Classes that somebody may have a backdoor to, each with the probability that chance did it."""
    excess: list[str]
    """What the job does not bear; nothing, where it may go on."""

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each screen suspects."""
        return dict(Counter(each.screen for each in self.findings))


def screened(examples: Examples, asked: Screening, seed: int) -> Outcome:
    """Look at all rows.

    Args:
        examples: All of them.
        asked: What the job bears.
        seed: Of the screens' own networks.
    """
    findings = outliers.out_of_bounds(examples.values)
    inside = np.ones(len(examples), dtype=bool)
    inside[[each.row for each in findings]] = False
    rows = np.flatnonzero(inside)
    values, labels = examples.values[rows], examples.labels[rows]
    accused: list[backdoor.Accused] = []
    if len(rows) >= FEWEST and len(np.unique(labels)) > 1:
        own, accused = _of_those_inside(values, labels, examples.classes, seed)
        findings += [
            Finding(row=int(rows[each.row]), screen=each.screen, score=each.score, reason=each.reason)
            for each in own
        ]
    taken_out = set(TAKEN_OUT)
    if asked.mislabelled == "quarantine":
        taken_out.add("mislabelled")
    stays = np.ones(len(examples), dtype=bool)
    stays[[each.row for each in findings if each.screen in taken_out]] = False
    return Outcome(
        stays=stays,
        findings=findings,
        taken_out=taken_out,
        accused={examples.classes[each.label]: each.probability for each in accused},
        excess=_excess(findings, len(examples), asked),
    )


def _of_those_inside(
    values: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], seed: int
) -> tuple[list[Finding], list[backdoor.Accused]]:
    network = plain.trained(values, labels, len(classes), seed)
    accused = backdoor.accused(network, values, labels, len(classes), seed)
    told = plain.out_of_fold(values, labels, len(classes), seed)
    findings = [
        Finding(
            row=int(row),
            screen="backdoor",
            score=round(1 - each.probability, 6),
            reason=f"a part of it turns other rows into {classes[each.label]}",
        )
        for each in accused
        for row in each.rows
    ]
    findings += mislabelled.found(told, labels, classes)
    findings += outliers.far(values, seed)
    findings += duplicates.found(values, labels, seed)
    return findings, accused


def _excess(findings: list[Finding], count: int, asked: Screening) -> list[str]:
    most: dict[Screen, float] = {
        "backdoor": asked.most_backdoored,
        "mislabelled": asked.most_mislabelled,
        "outlier": asked.most_outliers,
        "out-of-bounds": asked.most_outliers,
        "duplicate": asked.most_duplicates,
    }
    counts = Counter(each.screen for each in findings)
    return [
        f"{counts[screen] / count:.1%} {screen}, {most[screen]:.1%} at most"
        for screen in most
        if counts[screen] > most[screen] * count
    ]
