"""Inputs that are made to deceive, by projected gradient descent (Madry et al., ICLR 2018)."""

from __future__ import annotations

import torch
from torch import nn


def pgd(
    network: nn.Module,
    inputs: torch.Tensor,
    answers: torch.Tensor,
    *,
    epsilon: float,
    steps: int,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Return inputs within ``epsilon`` of the given ones (L-infinity) and between 0 and 1, of a higher loss.

    Each depends on its own row and on the network alone, so that a private training stays one.

    Args:
        network: Gives logits.
        inputs: float32[batch, *shape], between 0 and 1.
        answers: int64[batch].
        epsilon: How far each value may be moved.
        steps: Of 2.5 times ``epsilon`` over ``steps`` each, so that the border can be reached from anywhere.
        generator: Of where it starts; torch's own if not given.
    """
    start = torch.rand(inputs.shape, generator=generator).to(inputs) * 2 - 1
    moved = (inputs + epsilon * start).clamp(0, 1)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        loss = nn.functional.cross_entropy(network(moved), answers, reduction="sum")
        (slope,) = torch.autograd.grad(loss, moved)
        moved = moved + 2.5 * epsilon / steps * slope.sign()
        moved = torch.minimum(torch.maximum(moved, inputs - epsilon), inputs + epsilon).clamp(0, 1)
    return moved.detach()
