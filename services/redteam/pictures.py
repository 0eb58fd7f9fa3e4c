"""Inputs as pictures: what was attacked beside what came of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from services.redteam.data import Part
from services.redteam.findings import Array, Gallery, Row
from services.redteam.subject import TensorModel


def shown(model: TensorModel, batch: Array) -> Array:
    """Return inputs as pictures, float[n, rows, columns] or [n, rows, columns, 3], between 0 and 1.

    Three channels are colours; of other numbers of channels the mean is shown.
    """
    scaled = np.clip((np.asarray(batch, dtype=np.float64) - model.range.low) / model.range.width, 0, 1)
    if scaled.ndim == 4 and scaled.shape[1] == 3:
        return np.moveaxis(scaled, 1, -1)
    grey: Array = scaled.mean(axis=tuple(range(1, scaled.ndim - 2)))
    return grey


def name(model: TensorModel, label: int) -> str:
    """Return a class's name."""
    return model.schema.output.classes[label]


def beside(model: TensorModel, examples: Part, changed: Mapping[float, Array], *, most: int) -> Gallery:
    """Return adversarial examples beside what they were made of, those first whose class was lost."""
    weakest = max(changed)
    right = model.labels(examples.inputs) == examples.labels
    lost = right & (model.labels(changed[weakest]) != examples.labels)
    chosen = np.argsort(~lost, kind="stable")[:most]
    rows = [
        _row("original", model, examples.inputs[chosen]),
        *(_row(f"epsilon {epsilon:g}", model, batch[chosen]) for epsilon, batch in sorted(changed.items())),
    ]
    return Gallery(
        title="Adversarial examples beside their originals",
        about="Under each picture stands what the model takes it for.",
        rows=tuple(rows),
    )


def _row(title: str, model: TensorModel, batch: Array) -> Row:
    captions = tuple(name(model, int(label)) for label in model.labels(batch))
    return Row(title=title, images=shown(model, batch), captions=captions)
