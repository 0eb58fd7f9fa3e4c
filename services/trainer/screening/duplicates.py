"""Rows that are there twice, to the value or nearly: whoever repeats a row gives it more weight than one person has."""

from __future__ import annotations

import numpy as np

from services.trainer.screening.findings import Finding
from services.trainer.screening.neighbours import Pool

NEAR = 0.05
"""A copy with a little noise lies nearer than this share of the median distance between nearest neighbours."""


def found(values: np.ndarray, labels: np.ndarray, seed: int) -> list[Finding]:
    """Return repeated rows; of each set of exact copies the first stays, unless their labels contradict each other.

    Args:
        values: float32[n, columns].
        labels: int64[n].
        seed: Of the pool of rows that are compared with.
    """
    _, first, inverse = np.unique(values, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    lowest = np.full(len(first), np.iinfo(np.int64).max)
    highest = np.full(len(first), -1)
    np.minimum.at(lowest, inverse, labels)
    np.maximum.at(highest, inverse, labels)
    torn = (lowest != highest)[inverse]
    copy = first[inverse] != np.arange(len(values))
    exact = [
        Finding(
            row=int(row),
            screen="duplicate",
            score=1.0,
            reason="is there again with another label" if torn[row] else "repeats another row to the value",
        )
        for row in np.flatnonzero(torn | copy)
    ]
    return exact + _near(values, np.flatnonzero(~torn & ~copy), seed)


def _near(values: np.ndarray, rows: np.ndarray, seed: int) -> list[Finding]:
    """Return rows that nearly repeat an earlier one."""
    if len(rows) < 3:
        return []
    apart = values[rows]
    nearest, distances = Pool(apart, seed).nearest(np.arange(len(rows)), 1)
    line = NEAR * float(np.median(distances))
    return [
        Finding(
            row=int(rows[each]),
            screen="duplicate",
            score=round(1 - float(distances[each, 0]) / line, 4),
            reason="repeats another row but for a little noise",
        )
        for each in np.flatnonzero(distances[:, 0] < line)
        if nearest[each, 0] < each
    ]
