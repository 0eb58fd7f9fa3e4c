"""The network that the screens ask: small, plain, trained on everything, and thrown away afterwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from services.shared import architectures

EPOCHS, BATCH, LEARNING_RATE = 40, 64, 0.005
FEWEST_STEPS = 600
"""Of a small dataset: until a trigger in one row of a hundred is learnt (tried on digits and on breast cancer data)."""
FOLD_EPOCHS, FOLD_STEPS = 12, 200
"""Of a network that judges labels: it should know what rows have in common, and not each row by heart."""
MOST_STEPS = 20_000
"""Of a large one: it need not see every row forty times."""

Predict = Callable[[np.ndarray], np.ndarray]


def trained(
    values: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int,
    *,
    epochs: int = EPOCHS,
    fewest_steps: int = FEWEST_STEPS,
) -> nn.Sequential:
    """Return an ``mlp`` trained without privacy; it must not leave the job.

    Args:
        values: float32[n, columns], between 0 and 1.
        labels: int64[n].
        classes: How many there are.
        seed: Of weights and order. Torch's own generator is left as it was.
        epochs: How often each row is seen.
        fewest_steps: However few rows there are.
    """
    drawn = torch.random.get_rng_state()
    try:
        torch.manual_seed(seed)
        network = architectures.build("mlp", shape=values.shape[1:], classes=classes, low=0, high=1)
        optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        inputs, answers = torch.from_numpy(values), torch.from_numpy(labels)
        steps = min(max(epochs * (len(values) // BATCH + 1), fewest_steps), MOST_STEPS)
        while steps > 0:
            for which in torch.split(torch.randperm(len(inputs)), BATCH)[:steps]:
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(inputs[which]), answers[which]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                steps -= 1
    finally:
        torch.random.set_rng_state(drawn)
    return network


def probabilities(network: nn.Module, values: np.ndarray) -> np.ndarray:
    """Return float32[n, classes]."""
    with torch.no_grad():
        return np.asarray(torch.softmax(network(torch.from_numpy(values)), 1))


def out_of_fold(
    values: np.ndarray, labels: np.ndarray, classes: int, seed: int, folds: int = 4
) -> np.ndarray:
    """Return probabilities float32[n, classes] of each row by a network that did not see it."""
    fold = np.random.default_rng(seed).permutation(len(values)) % folds
    found = np.empty((len(values), classes), dtype=np.float32)
    for number in range(folds):
        away = fold == number
        network = trained(
            values[~away],
            labels[~away],
            classes,
            seed + number,
            epochs=FOLD_EPOCHS,
            fewest_steps=FOLD_STEPS,
        )
        found[away] = probabilities(network, values[away])
    return found
