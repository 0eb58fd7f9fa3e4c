"""How far an input lies from the training data: the Mahalanobis distance, in a space that a few directions span.

Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks" (NeurIPS
2018), measure inputs so, by class and in a network's layers; the simpler form that looks at the input alone and at no
class does as well on inputs from elsewhere (Kamoi and Kobayashi, "Why is the Mahalanobis Distance Effective for
Anomaly Detection?", 2020), and needs nothing from the model. The covariance is that of probabilistic PCA (Tipping and
Bishop, 1999): the largest principal components each with a variance of its own, all other directions with one
together. So an input that leaves the components' plane is far away too, and what lies in a corner that the training
data never uses (a border that is always black) is the first thing to be noticed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from services.modelchain.schema import Calibrated
from services.screens import thresholds

MOST_COMPONENTS = 128
"""Bounds the cost of a score: two products with so many columns."""

SMALLEST_VARIANCE = 1e-3
"""Share of the mean variance that every direction has at least: directions in which nothing ever varied would
otherwise make a rounding error look like an attack."""

MEAN, WHITENING, RESIDUAL = "mean", "whitening", "residual"
"""Names of the arrays: float32[values], float32[values, components], float32[1]."""


class Novelty:
    """Scores inputs by their distance from the training data."""

    def __init__(self, calibrated: Calibrated, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what ``calibrated`` returned.

        Raises:
            ValueError: If an array is missing, of another shape than its companions, or not finite.
        """
        missing = {MEAN, WHITENING, RESIDUAL} - set(arrays)
        if missing:
            raise ValueError(f"statistics: array {min(missing)} is missing")
        self.threshold = calibrated.threshold
        self._mean, self._whitening = arrays[MEAN], arrays[WHITENING]
        (values,) = self._mean.shape if self._mean.ndim == 1 else (-1,)
        if self._whitening.ndim != 2 or self._whitening.shape[0] != values or arrays[RESIDUAL].shape != (1,):
            raise ValueError("statistics: mean, whitening and residual do not fit together")
        if not all(np.isfinite(arrays[name]).all() for name in (MEAN, WHITENING, RESIDUAL)):
            raise ValueError("statistics: an array holds NaN or infinities")
        variances = 1 / np.square(self._whitening, dtype=np.float64).sum(axis=0)
        self._residual = float(arrays[RESIDUAL][0])
        if self._residual <= 0 or not np.isfinite(variances).all():
            raise ValueError("statistics: a variance is not above zero")
        # Seen in the plane, the residual variance has been counted too much: by so much for each component.
        self._excess = (variances / self._residual).astype(np.float32)

    def scores(self, batch: np.ndarray) -> np.ndarray:
        """Return the distance of each example, float32[batch]; above ``threshold`` it is novel.

        Args:
            batch: Finite numbers, float[batch, *shape].
        """
        centred = batch.reshape(len(batch), -1).astype(np.float32, copy=False) - self._mean
        inside = np.square(centred @ self._whitening)
        outside = np.einsum("nv,nv->n", centred, centred) / self._residual - inside @ self._excess
        return np.asarray(np.sqrt(inside.sum(axis=1) + np.maximum(outside, 0)))


def calibrated(
    examples: np.ndarray, held_out: np.ndarray, *, false_positive_rate: float
) -> tuple[Calibrated, dict[str, np.ndarray]]:
    """Return the threshold, and the arrays that ``Novelty`` needs.

    Args:
        examples: Training examples, float[n, *shape].
        held_out: Clean examples that are not among them, float[m, *shape].
        false_positive_rate: Share of clean inputs that may be called novel.

    Raises:
        ValueError: If there are fewer than two examples, all are the same, or ``held_out`` is too small.
    """
    arrays = _fitted(np.asarray(examples, dtype=np.float64).reshape(len(examples), -1))
    undecided = Calibrated(threshold=0, false_positive_rate=false_positive_rate)
    scores = Novelty(undecided, arrays).scores(held_out)
    return thresholds.calibrated(scores, false_positive_rate), arrays


def _fitted(flat: np.ndarray) -> dict[str, np.ndarray]:
    count, values = flat.shape
    if count < 2:
        raise ValueError(f"examples: {count}; at least 2 are needed")
    mean = flat.mean(axis=0)
    # Eigenvalues of the covariance, largest first; directions that no example uses have none.
    _, singular, directions = np.linalg.svd(flat - mean, full_matrices=False)
    variances = np.square(singular) / (count - 1)
    total = variances.sum()
    if not total > 0:
        raise ValueError("examples: all are the same, or one is not finite")
    smallest = SMALLEST_VARIANCE * total / values
    kept = min(MOST_COMPONENTS, int((variances > smallest).sum()))
    others = values - kept
    residual = max(float(variances[kept:].sum()) / others if others else 0.0, smallest)
    whitening = directions[:kept].T / np.sqrt(np.maximum(variances[:kept], residual))
    made = {MEAN: mean, WHITENING: whitening, RESIDUAL: np.array([residual])}
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in made.items()}
