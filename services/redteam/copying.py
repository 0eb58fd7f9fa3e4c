"""A copy of a model, trained on nothing but its answers: the thief's, and the attacker's who wants gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from services.redteam.subject import Array, TensorModel
from services.shared.architectures import build

EPOCHS, BATCH, RATE = 80, 32, 0.01


def copied(model: TensorModel, inputs: Array, answers: Array) -> nn.Sequential:
    """Return a network that was taught the answers, float[n, classes]; a thief knows not the architecture: ``mlp``."""
    network = build(
        "mlp", shape=model.shape, classes=model.classes, low=model.range.low, high=model.range.high
    )
    values, wanted = torch.from_numpy(inputs), torch.from_numpy(answers.astype(np.float32))
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(values)).split(BATCH):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(values[batch]), wanted[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    for weights in network.parameters():
        weights.requires_grad_(False)
    return network.eval()
