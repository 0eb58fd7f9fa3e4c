"""Attacks that copy a model, or draw its training data out of it, by asking: for the tests and for the figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from art.attacks.inference.model_inversion import MIFace
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from services.gateway.extraction import Suspicion, Watch
from services.gateway.outputs import LabelOnly, Rounded, TopK, hardened
from services.shared.architectures import build

# Nets this small only wait for each other on several threads.
torch.set_num_threads(1)

Floats = NDArray[np.float32]
Rule = LabelOnly | TopK | Rounded

CLASSES = tuple("0123456789")
PIXELS = 64

RULES: dict[str, Rule] = {
    "two decimals": Rounded(decimals=2),
    "one decimal": Rounded(decimals=1),
    "best three": TopK(k=3, decimals=1),
    "label": LabelOnly(),
}

Ask = Callable[[Floats], Floats]
"""From inputs [n, 64] to what the attacker reads as scores [n, 10]."""


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A model of digits as it would be served, and digits that it was not trained on."""

    network: nn.Module
    trained_on: Floats
    labels: NDArray[np.int64]
    """Of what it was trained on."""
    pool: Floats
    """What clients and attackers have."""
    held_out: Floats
    """What a copy is measured on."""

    def scores(self, inputs: Floats) -> Floats:
        """Return the probabilities as the model gives them."""
        return scores_of(self.network, inputs)

    def through(self, rule: Rule | None) -> Ask:
        """Return what an attacker gets who sees answers under a rule; without one, as the model gives them."""

        def ask(inputs: Floats) -> Floats:
            rows = self.scores(inputs)
            return rows if rule is None else np.stack([_read(hardened(row, CLASSES, rule)) for row in rows])

        return ask


def scores_of(network: nn.Module, inputs: Floats) -> Floats:
    """Return a network's probabilities."""
    with torch.no_grad():
        scores: Floats = torch.softmax(network(torch.from_numpy(inputs)), dim=1).numpy()
    return scores


def _read(answer: dict[str, Any]) -> Floats:
    """Return a whole row: what an answer leaves out is spread over the classes that it does not name."""
    named = answer["scores"] or {answer["label"]: 1.0}
    row = np.array([named.get(name, 0.0) for name in CLASSES], np.float32)
    unnamed = row == 0
    if unnamed.any():
        row[unnamed] = max(0.0, 1 - float(row.sum())) / unnamed.sum()
    whole: Floats = row / row.sum()
    return whole


def fitted(architecture: str, inputs: Floats, targets: NDArray[Any], *, steps: int, seed: int) -> nn.Module:
    """Return a network trained on labels or on scores."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture, shape=[PIXELS], classes=len(CLASSES), low=0, high=1)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
        for _ in range(steps):
            batch = torch.randint(len(x), (min(len(x), 128),))
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return network


@cache
def victim(architecture: str, seed: int) -> Victim:
    """Return a model trained on a third of the digits (scikit-learn's, 8 by 8, from 0 to 1)."""
    digits, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(digits))
    x, y = (digits[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    return Victim(
        network=fitted(architecture, x[:600], y[:600], steps=500, seed=seed),
        trained_on=x[:600],
        labels=y[:600],
        pool=x[600:1400],
        held_out=x[1400:],
    )


# What to ask.


def noise(count: int, chance: np.random.Generator) -> Floats:
    """Return images of noise."""
    return chance.random((count, PIXELS), dtype=np.float32)


def jitter(seeds: Floats, count: int, deviation: float, chance: np.random.Generator) -> Floats:
    """Return images that are a few moved about at random."""
    moved = seeds[chance.integers(0, len(seeds), count)] + chance.normal(
        0, deviation, (count, seeds.shape[1])
    )
    return np.clip(moved, 0, 1).astype(np.float32)


def mixed(seeds: Floats, count: int, chance: np.random.Generator) -> Floats:
    """Return images between two of a few."""
    first, second = seeds[chance.integers(0, len(seeds), (2, count))]
    share = chance.random((count, 1), dtype=np.float32)
    between: Floats = share * first + (1 - share) * second
    return between


def jacobian(
    ask: Ask, seeds: Floats, count: int, step: float, chance: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return images and their answers, each made out of an earlier one along the gradient of a copy.

    Papernot et al., "Practical Black-Box Attacks against Machine Learning" (Asia CCS 2017), section 4: from a few
    seeds, the set is doubled each round by a step in the sign of the copy's gradient.
    """
    inputs, answers = seeds, ask(seeds)
    while len(inputs) < count:
        copy = fitted("mlp", inputs, answers, steps=60, seed=1)
        x = torch.from_numpy(inputs).requires_grad_()
        labels = torch.from_numpy(answers.argmax(axis=1))
        (gradient,) = torch.autograd.grad(copy(x).gather(1, labels[:, None]).sum(), x)
        direction = step * chance.choice([-1, 1]) * np.sign(gradient.numpy())
        more = np.clip(inputs + direction, 0, 1).astype(np.float32)[: count - len(inputs)]
        inputs, answers = np.concatenate([inputs, more]), np.concatenate([answers, ask(more)])
    return inputs, answers


# What to make of the answers.


def agreement(copy: nn.Module, of: Victim) -> float:
    """Return on what share of held-out digits a copy says what the model says."""
    return float((scores_of(copy, of.held_out).argmax(1) == of.scores(of.held_out).argmax(1)).mean())


def copied(inputs: Floats, answers: Floats, of: Victim) -> float:
    """Train a copy of the same architecture on answers, and return its agreement."""
    return agreement(fitted("mlp", inputs, answers, steps=300, seed=9), of)


def solved(ask: Ask, count: int, of: Victim, chance: np.random.Generator) -> float:
    """Solve for the weights of a logistic model, and return the agreement of the solution.

    Tramèr et al. (USENIX Security 2016), section 4.1: logarithms of scores are linear in the weights, so that one
    query more than there are pixels is enough.
    """
    inputs = noise(count, chance)
    logs = np.log(np.maximum(ask(inputs), 1e-7).astype(np.float64))
    weights, *_ = np.linalg.lstsq(_with_one(inputs), logs - logs.mean(1, keepdims=True), rcond=None)
    said = (_with_one(of.held_out) @ weights).argmax(1)
    return float((said == of.scores(of.held_out).argmax(1)).mean())


def _with_one(inputs: Floats) -> NDArray[np.float64]:
    with_one: NDArray[np.float64] = np.c_[inputs, np.ones(len(inputs))].astype(np.float64)
    return with_one


def climbed(ask: Ask, target: int, queries: int, chance: np.random.Generator) -> tuple[Floats, Floats]:
    """Climb a class's score from grey by asking alone, and return the image and all that was asked.

    Fredrikson et al. (CCS 2015), section 5, with the gradient estimated from pairs of queries (Ilyas et al.,
    "Black-box Adversarial Attacks with Limited Queries and Information", ICML 2018, section 2.1).
    """
    image, pairs, asked = np.full(PIXELS, 0.5, np.float32), 20, []
    for _ in range(queries // (2 * pairs)):
        away = chance.normal(size=(pairs, PIXELS)).astype(np.float32)
        around = np.clip(np.concatenate([image + 0.1 * away, image - 0.1 * away]), 0, 1)
        scores = np.log(np.maximum(ask(around)[:, target], 1e-9))
        slope = (scores[:pairs] - scores[pairs:]) @ away
        image = np.clip(image + 0.05 * np.sign(slope), 0, 1).astype(np.float32)
        asked.append(around)
    return image, np.concatenate(asked)


def averaged(ask: Ask, queries: int, chance: np.random.Generator) -> Floats:
    """Return an image of each class: the average of noise, weighted by what the model says of it.

    Reverse correlation (Ahumada, "Perceptual vernier acuity measured by the method of classification images", 1996).
    """
    inputs = noise(queries, chance)
    scores = ask(inputs)
    images: Floats = (scores - scores.mean(axis=0)).T @ inputs
    return images


def likeness(images: Floats, of: Victim) -> float:
    """Return how much images [10, 64] are like the mean digits that the model was trained on, as a correlation."""
    found = []
    for digit, image in enumerate(images):
        mean = of.trained_on[of.labels == digit].mean(axis=0)
        found.append(float(np.corrcoef(image, mean)[0, 1]) if image.std() > 1e-9 else 0.0)
    return float(np.mean(found))


def inverted(of: Victim, steps: int) -> Floats:
    """Return an image of each class by an attacker who has the model itself: what asking can reach at best."""
    attack = MIFace(
        PyTorchClassifier(
            _InFloats(of.network), nn.CrossEntropyLoss(), (PIXELS,), len(CLASSES), clip_values=(0, 1)
        ),
        max_iter=steps,
        threshold=0.999,
        batch_size=len(CLASSES),
        verbose=False,
    )
    images: Floats = attack.infer(np.full((len(CLASSES), PIXELS), 0.5, np.float32), np.arange(len(CLASSES)))
    return images


class _InFloats(nn.Module):
    """The toolbox sends double numbers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.network(x.float())
        return scores


# Who notices.


def noticed(of: Victim, inputs: Floats) -> tuple[int, Suspicion] | None:
    """Return after how many queries the watch suspects their sender, and why; nothing if it does not."""
    watch = Watch()
    for number, (x, label) in enumerate(zip(inputs, of.scores(inputs).argmax(1), strict=True), 1):
        if suspicion := watch.seen("ward/client", "digits", x, int(label)):
            return number, suspicion
    return None
