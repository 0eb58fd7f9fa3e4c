"""Backdoors: the smallest trigger that turns everything into one class (Wang et al., "Neural Cleanse", IEEE S&P 2019).

For each class a mask and a pattern are sought together that turn 95% of other classes' examples into it while the mask
is as small as it can be. Where one class needs far less than the others, somebody put a door there. Wang et al. call a
class an outlier by the median absolute deviation; over ten sizes that is unsteady (between 1.1 and 5.1 on clean models
here), so what is judged is the ratio of the median size to the smallest and the smallest area itself, which told 16
clean and 64 backdoored models of digits apart. Their index is reported beside it.

A trigger that covers the whole image faintly (Chen et al., "Targeted Backdoor Attacks", 2017) has a large mask; for those
the strongest faint pattern is sought, and counted how much it turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from services.redteam import findings, pictures
from services.redteam.data import Part
from services.redteam.findings import Array, Gallery, Measured, Result, Row, percent
from services.redteam.subject import TensorModel
from services.redteam.thresholds import Trigger

MOST_EXAMPLES = 100
"""That a trigger has to turn."""

SUCCESS = 0.95
"""Share of examples that a trigger has to turn to count."""

STEPS, RATE = 150, 0.1
FIRST_WEIGHT, EVERY, FACTOR = 0.05, 10, 1.5
"""Weight of the mask's size against success, and how it moves: up while the trigger works, down while it does not."""

MAD = 1.4826
"""Times the median absolute deviation is the standard deviation of a normal distribution."""

_AT_ONCE = 2**22
"""Values that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The smallest trigger for each class."""

    sizes: Array
    """Share of the image that its mask covers, float[classes]; 1 where none was found."""
    masks: Array
    """float[classes, 1, rows, columns], 0 to 1."""
    patterns: Array
    """float[classes, channels, rows, columns], in the input's range."""

    @property
    def ratio(self) -> float:
        """Median size over the smallest."""
        return float(np.median(self.sizes) / max(float(self.sizes.min()), 1e-6))

    @property
    def anomaly_index(self) -> float:
        """How many deviations the smallest lies below the median (Wang et al., section 4.3)."""
        below = np.median(self.sizes) - self.sizes.min()
        return float(below / max(MAD * float(np.median(np.abs(self.sizes - np.median(self.sizes)))), 1e-6))


def attack(model: TensorModel, examples: Part, asked: Trigger) -> Result:
    """Look for triggers of every class: small ones in images, faint ones in anything."""
    examples = examples[np.arange(min(len(examples), MOST_EXAMPLES))]
    checks = [_faint(model, examples, epsilon, most) for epsilon, most in sorted(asked.most_turned.items())]
    if not model.image:
        return Result(measured=tuple(checks))
    found = smallest(model, examples)
    worst = pictures.name(model, int(found.sizes.argmin()))
    about = (
        f"smallest for class {worst}; anomaly index {found.anomaly_index:.1f} (Wang et al. call 2 an outlier)"
    )
    small = (
        findings.at_least("trigger-area", float(found.sizes.min()), asked.least_area, about),
        findings.at_most("trigger-ratio", found.ratio, asked.most_ratio, about),
    )
    return Result(measured=(*small, *checks), exhibits=(_gallery(model, found),))


def smallest(model: TensorModel, examples: Part) -> Found:
    """Return the smallest trigger of each class."""
    per_class = len(examples) * int(np.prod(model.shape))
    at_once = max(1, _AT_ONCE // per_class)
    parts = [
        _sought(model, examples, torch.arange(begin, min(begin + at_once, model.classes)))
        for begin in range(0, model.classes, at_once)
    ]
    return Found(
        sizes=np.concatenate([part.sizes for part in parts]),
        masks=np.concatenate([part.masks for part in parts]),
        patterns=np.concatenate([part.patterns for part in parts]),
    )


def _sought(model: TensorModel, examples: Part, targets: torch.Tensor) -> Found:
    inputs, others = _others(examples, targets)
    whole = (len(targets), 1, *model.shape)
    flat = (len(targets), 1, *([1] * (len(model.shape) - 2)), *model.shape[-2:])
    mask = (0.1 * torch.randn(flat) - 1).requires_grad_()
    pattern = (0.1 * torch.randn(whole)).requires_grad_()
    optimiser = torch.optim.Adam([mask, pattern], RATE, betas=(0.5, 0.9))
    weight = torch.full((len(targets),), FIRST_WEIGHT)
    best = torch.ones(len(targets))
    best_mask, best_pattern = torch.ones(flat), torch.zeros(whole)
    positions = flat[-1] * flat[-2]
    for step in range(STEPS):
        covered = torch.sigmoid(mask)
        drawn = model.range.low + model.range.width * torch.sigmoid(pattern)
        answers = _answers(model, (1 - covered) * inputs + covered * drawn)
        size = covered.flatten(1).sum(1)
        turned = _turned(answers, targets, others)
        optimiser.zero_grad()
        (_cross_entropy(answers, targets, others) + weight * size).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            works = turned >= SUCCESS
            better = works & (size / positions < best)
            best[better] = size[better] / positions
            best_mask[better], best_pattern[better] = covered[better], drawn[better]
            if step % EVERY == EVERY - 1:
                weight = torch.where(works, weight * FACTOR, weight / FACTOR)
    shape = (len(targets), *model.shape)
    return Found(
        sizes=best.numpy(),
        masks=best_mask.numpy().reshape(len(targets), 1, *model.shape[-2:]),
        patterns=best_pattern.numpy().reshape(shape),
    )


def turned_by_faint(model: TensorModel, examples: Part, epsilon: float) -> Array:
    """Return the share of other classes' examples that the strongest faint pattern turns, float[classes]."""
    reach, steps = epsilon * model.range.width, 60
    found = []
    for target in range(model.classes):
        targets = torch.tensor([target])
        inputs, others = _others(examples, targets)
        pattern = torch.zeros((1, 1, *model.shape))
        for step in range(steps):
            pattern.requires_grad_(True)
            loss = _cross_entropy(_answers(model, _within(model, inputs + pattern)), targets, others)
            (slope,) = torch.autograd.grad(loss.sum(), pattern)
            moved = pattern.detach() - 0.1 * reach * (1 - step / steps) * slope.sign()
            pattern = moved.clamp(-reach, reach)
        changed = _within(model, inputs + pattern)[0].numpy()
        hit = model.labels(changed) == target
        found.append(float(hit[others[0].numpy()].mean()) if bool(others.any()) else 0.0)
    return np.array(found)


def _faint(model: TensorModel, examples: Part, epsilon: float, most: float) -> Measured:
    turned = turned_by_faint(model, examples, epsilon)
    worst = int(turned.argmax())
    about = f"into class {pictures.name(model, worst)}; the median class {percent(float(np.median(turned)))}"
    return findings.at_most(f"faint-trigger-at-{epsilon:g}", float(turned[worst]), most, about)


def _others(examples: Part, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.from_numpy(examples.labels)
    return torch.from_numpy(examples.inputs)[None], labels[None] != targets[:, None]


def _answers(model: TensorModel, batch: torch.Tensor) -> torch.Tensor:
    answers: torch.Tensor = model.network(batch.flatten(0, 1))
    return answers.reshape(*batch.shape[:2], -1)


def _within(model: TensorModel, batch: torch.Tensor) -> torch.Tensor:
    return batch.clamp(model.range.low, model.range.high)


def _cross_entropy(answers: torch.Tensor, targets: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    wanted = targets[:, None].expand(answers.shape[:2])
    each = nn.functional.cross_entropy(answers.flatten(0, 1), wanted.flatten(), reduction="none")
    return (each.reshape(answers.shape[:2]) * others).sum(1) / others.sum(1).clamp(min=1)


def _turned(answers: torch.Tensor, targets: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    hit = (answers.argmax(2) == targets[:, None]) & others
    return hit.sum(1) / others.sum(1).clamp(min=1)


_SHOWN = 10


def _gallery(model: TensorModel, found: Found) -> Gallery:
    order = np.argsort(found.sizes)[:_SHOWN]
    patterns = pictures.shown(model, found.patterns[order])
    masks = found.masks[order, 0]
    weight = masks if patterns.ndim == 3 else masks[..., None]
    captions = tuple(
        f"{pictures.name(model, int(each))}: {percent(float(found.sizes[each]))}" for each in order
    )
    return Gallery(
        title="Smallest triggers, by the class that they turn everything into",
        about="The mask says where (white), the trigger says what; what it leaves as it is is grey. Under each stands how "
        "much of the image it covers.",
        rows=(
            Row(title="mask", images=masks, captions=captions),
            Row(title="trigger", images=0.5 * (1 - weight) + patterns * weight, captions=captions),
        ),
    )
