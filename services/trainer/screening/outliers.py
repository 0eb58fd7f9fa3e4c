"""Rows that break their declared bounds, and rows that lie far from all others."""

from __future__ import annotations

import numpy as np

from services.trainer.screening.findings import Finding
from services.trainer.screening.neighbours import Pool

NEIGHBOURS = 5

FAR = 6.0
"""Robust standard deviations (1.4826 times the median deviation) of the logarithm of the distance to the neighbours.
Of a normal distribution one row in a billion lies so far out; of distances, which have a longer tail, about one in a
thousand did (digits, breast cancer data)."""


def out_of_bounds(values: np.ndarray) -> list[Finding]:
    """Return rows with a value outside its declared bounds, which are 0 and 1 here."""
    broken = ((values < 0) | (values > 1)).sum(1)
    return [
        Finding(
            row=int(row),
            screen="out-of-bounds",
            score=float(broken[row]),
            reason=f"{broken[row]} values lie outside the bounds that the dataset declares",
        )
        for row in np.flatnonzero(broken)
    ]


def far(values: np.ndarray, seed: int) -> list[Finding]:
    """Return rows that lie far from all others.

    Args:
        values: float32[n, columns], between 0 and 1.
        seed: Of the pool of rows that are compared with.
    """
    if len(values) <= NEIGHBOURS:
        return []
    _, distances = Pool(values, seed).nearest(np.arange(len(values)), NEIGHBOURS)
    logarithms = np.log(np.maximum(distances.mean(1), 1e-6))
    middle = np.median(logarithms)
    spread = 1.4826 * np.median(np.abs(logarithms - middle))
    out = (logarithms - middle) / max(float(spread), 1e-6)
    return [
        Finding(
            row=int(row),
            screen="outlier",
            score=round(float(out[row]), 2),
            reason=f"lies {out[row]:.1f} deviations farther from its neighbours than rows do",
        )
        for row in np.flatnonzero(out > FAR)
    ]
