"""Where a screen draws its line: at a stated rate of false positives on clean examples that were held out."""

from __future__ import annotations

import math

import numpy as np

from services.modelchain.schema import Calibrated

MOST_FALSE_POSITIVES = 0.2
"""A screen that refuses more honest inputs than that is a fault of its own (``Calibrated`` has the same bound)."""


def calibrated(scores: np.ndarray, false_positive_rate: float) -> Calibrated:
    """Return the threshold above which at most that share of fresh clean examples scores.

    The k-th smallest of n held-out scores with k = ⌈(n + 1)(1 - rate)⌉: a fresh clean example lies above it with a
    probability of at most the rate, whatever the distribution (Vovk, Gammerman and Shafer, "Algorithmic Learning in
    a Random World", 2005; Angelopoulos and Bates, "Conformal Prediction: A Gentle Introduction", 2023, theorem D.1).

    Args:
        scores: Scores of held-out clean examples, float[n]; higher is stranger.
        false_positive_rate: Share of clean inputs that may be refused, above 0 and at most 0.2.

    Raises:
        ValueError: If there are too few scores for the rate, or one is not finite.
    """
    if not 0 < false_positive_rate <= MOST_FALSE_POSITIVES:
        raise ValueError(f"false_positive_rate: {false_positive_rate} is not above 0 and at most 0.2")
    scores = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if not np.isfinite(scores).all():
        raise ValueError("held_out: a score is not finite; look for NaN or infinities among the examples")
    rank = math.ceil((len(scores) + 1) * (1 - false_positive_rate))
    if rank > len(scores):
        fewest = math.ceil(1 / false_positive_rate) - 1
        raise ValueError(f"held_out: {len(scores)} examples; at least {fewest} are needed for that rate")
    return Calibrated(threshold=float(scores[rank - 1]), false_positive_rate=false_positive_rate)
