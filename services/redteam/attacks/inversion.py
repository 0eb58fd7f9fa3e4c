"""Model inversion: what a class looks like to the model (Fredrikson et al., "MIFace", CCS 2015), beside the training data.

Two things may leak. The typical member of a class, which matters where a class is a person; and one training record,
which matters everywhere. The first is the likeness to the class's mean. The second is how much nearer the nearest
training record is than the nearest of as many held-out ones: a record that was never seen can be near by chance only.
"""

from __future__ import annotations

import numpy as np
from art.attacks.inference.model_inversion import MIFace

from services.redteam import findings, pictures
from services.redteam.data import Examples
from services.redteam.findings import Array, Gallery, Result, Row
from services.redteam.subject import TensorModel
from services.redteam.thresholds import Inversion

_RATE, _DRAWS, _SHOWN = 1.0, 50, 10


def attack(model: TensorModel, examples: Examples, asked: Inversion, chance: np.random.Generator) -> Result:
    """Invert every class that has examples, and compare."""
    members, held_out = examples.members, examples.held_out
    classes = np.intersect1d(np.unique(members.labels), np.unique(held_out.labels))
    inverted = invert(model, classes, asked.steps)
    centre, spread = _scale(model, members.inputs)

    def likeness(pictures_: Array, records: Array) -> Array:
        return correlation((pictures_ - centre) / spread, (records - centre) / spread)

    means = np.stack([members.inputs[members.labels == each].mean(axis=0) for each in classes])
    to_means = np.array([likeness(inverted[[n]], means[[n]])[0, 0] for n in range(len(classes))])
    to_members, to_others, nearest = [], [], []
    for n, each in enumerate(classes):
        own = members.inputs[members.labels == each]
        to_own = likeness(inverted[[n]], own)[0]
        to_other = likeness(inverted[[n]], held_out.inputs[held_out.labels == each])[0]
        nearest.append(own[to_own.argmax()])
        of_own, of_other = _nearest(to_own, to_other, chance)
        to_members.append(of_own)
        to_others.append(of_other)
    lead = np.array(to_members) - np.array(to_others)
    worst = int(lead.argmax())
    about = (
        f"class {pictures.name(model, int(classes[worst]))}: {to_members[worst]:.2f} to a training record, "
        f"{to_others[worst]:.2f} to a held-out one"
    )
    checks = (
        findings.at_most("inversion-likeness-to-means", float(to_means.mean()), asked.most_likeness_to_means),
        findings.at_most("inversion-lead-to-records", float(lead.max()), asked.most_lead_to_records, about),
    )
    if not model.image:
        return Result(measured=checks)
    rows = {"inverted": inverted, "mean of the class": means, "nearest training record": np.stack(nearest)}
    captions = [
        [f"{pictures.name(model, int(each))}" for each in classes],
        [f"likeness {each:.2f}" for each in to_means],
        [f"likeness {each:.2f}" for each in to_members],
    ]
    return Result(measured=checks, exhibits=(_gallery(model, rows, captions),))


def invert(model: TensorModel, classes: Array, steps: int) -> Array:
    """Return an input for each class that the model is sure of, float32[classes, *shape], from an empty one."""
    start = np.full((len(classes), *model.shape), model.range.low, dtype=np.float32)
    inversion = MIFace(
        model.white_box(softmax=True),
        max_iter=steps,
        window_length=min(100, steps),
        threshold=0.99,
        # The gradient is by the input's own unit, so the way to go grows with the square of the range.
        learning_rate=float(_RATE * model.range.width**2),
        batch_size=256,
        verbose=False,
    )
    found: Array = inversion.infer(start, classes)
    return found


def correlation(first: Array, second: Array) -> Array:
    """Return Pearson's correlation of each with each, float[first, second]; of a flat one it is 0."""
    flat = [each.reshape(len(each), -1).astype(np.float64) for each in (first, second)]
    flat = [each - each.mean(axis=1, keepdims=True) for each in flat]
    lengths = [np.linalg.norm(each, axis=1) for each in flat]
    found: Array = flat[0] @ flat[1].T / np.maximum(np.outer(*lengths), 1e-12)
    return found


def _scale(model: TensorModel, records: Array) -> tuple[Array, Array]:
    # Columns of a table have units of their own; values of an image have one.
    if model.image:
        return np.zeros(model.shape), np.ones(model.shape)
    return records.mean(axis=0), np.maximum(records.std(axis=0), 1e-6)


def _nearest(to_own: Array, to_other: Array, chance: np.random.Generator) -> tuple[float, float]:
    # The nearest of many is nearer than the nearest of few: of each, as many as there are of both.
    of = min(len(to_own), len(to_other))

    def expected(likeness: Array) -> float:
        if len(likeness) == of:
            return float(likeness.max())
        draws = chance.random((_DRAWS, len(likeness))).argsort(axis=1)[:, :of]
        return float(likeness[draws].max(axis=1).mean())

    return expected(to_own), expected(to_other)


def _gallery(model: TensorModel, rows: dict[str, Array], captions: list[list[str]]) -> Gallery:
    return Gallery(
        title="What the model gives away of its classes",
        about="An input that the model is sure of, sought from an empty one, beside what it was trained on.",
        rows=tuple(
            Row(title=title, images=pictures.shown(model, batch[:_SHOWN]), captions=tuple(under[:_SHOWN]))
            for (title, batch), under in zip(rows.items(), captions, strict=True)
        ),
    )
