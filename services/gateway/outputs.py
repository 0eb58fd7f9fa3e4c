"""What leaves of an answer: the label, the best few scores, or all of them, and never finer than a grid.

Scores are what attacks on a model feed on. Model inversion climbs them (Fredrikson, Jha and Ristenpart, "Model
Inversion Attacks that Exploit Confidence Information", CCS 2015; section 6 rounds them as the remedy), extraction
solves or learns from them (Tramèr et al., "Stealing Machine Learning Models via Prediction APIs", USENIX Security
2016; section 7 rounds or leaves them out). Every rule here is one of those remedies, and there is none that lets
scores through as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Decimals = Annotated[int, Field(ge=1, le=2)]
"""The grid is a tenth or a hundredth: at a thousandth the inversion of 2015 still works (its section 6)."""

SLACK = 1e-3
"""How far a row may miss being probabilities: float32 over a thousand classes."""


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    undecided_below: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Where the best score is below this, the answer is that there is none: nobody should act on it, and around
    there an answer tells most of where the model's boundaries are."""


class LabelOnly(_Rule):
    """The label and nothing else."""

    kind: Literal["label"] = "label"


class TopK(_Rule):
    """The label and the best ``k`` scores, rounded."""

    kind: Literal["top-k"] = "top-k"
    k: Annotated[int, Field(ge=1, le=10)]
    decimals: Decimals


class Rounded(_Rule):
    """The label and every score, rounded."""

    kind: Literal["rounded"] = "rounded"
    decimals: Decimals


OutputRule = Annotated[LabelOnly | TopK | Rounded, Field(discriminator="kind")]

LABEL_ONLY = LabelOnly()


def hardened(row: NDArray[Any], classes: Sequence[str], rule: LabelOnly | TopK | Rounded) -> dict[str, Any]:
    """Return what a caller gets to see: ``label``, and ``scores`` by class.

    Both keys are always there and one rule always gives the same number of scores. Everything is a function of the
    label and of scores on the grid: which classes are among the best, and in which order, is decided by the rounded
    scores, the label first, then the order of the classes. Rounded scores need not sum to one; to make them would
    tell what was rounded off.

    Args:
        row: Probabilities, float[classes].
        classes: Their names.
        rule: What the caller's class may see.

    Raises:
        ValueError: the row is no probabilities of these classes (logits, say, or NaN).
    """
    _check(row, len(classes))
    best = int(np.argmax(row))
    decided = bool(row[best] >= rule.undecided_below)
    label = classes[best] if decided else None
    if isinstance(rule, LabelOnly):
        return {"label": label, "scores": {}}
    steps = 10**rule.decimals
    grid = np.rint(np.clip(row, 0, 1).astype(np.float64) * steps).astype(np.int64).tolist()
    if not decided:
        grid, best = [0] * len(grid), 0
    order: Sequence[int] = range(len(classes))
    if isinstance(rule, TopK):
        order = sorted(order, key=lambda place: (-grid[place], place != best, place))[: rule.k]
    return {"label": label, "scores": {classes[place]: grid[place] / steps for place in order}}


def _check(row: NDArray[Any], count: int) -> None:
    if row.shape != (count,):
        raise ValueError(f"the model gave an answer of the shape {row.shape} for {count} classes")
    # NaN compares as false, so a row with one does not pass either.
    if not (row.min() >= -SLACK and row.max() <= 1 + SLACK and abs(float(row.sum()) - 1) <= SLACK):
        raise ValueError("the model gave something else than probabilities")
