"""The networks that a model may be: who trains and who judges build the same one from its name in ``schema.json``.

A network takes ``float32[batch, *shape]`` within ``low`` to ``high`` and gives logits ``float32[batch, classes]``; what
is served adds a softmax. None has batch normalisation, which mixes examples and so has no private gradient (Opacus
refuses it), and activations are bounded, which makes private training better (Papernot et al., "Tempered Sigmoid
Activations for Deep Learning with Differential Privacy", AAAI 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

HIDDEN = 64
"""Units of the hidden layer of ``mlp``."""


class ArchitectureError(Exception):
    """No such network, or it does not take inputs of that shape; the message says what to write instead."""


class Scaled(nn.Module):
    """Brings inputs from ``low`` to ``high`` to 0 to 1. The range is declared, not learnt, so it costs no privacy."""

    def __init__(self, low: float, high: float) -> None:
        """Keep the range; it is not a weight, and so in no file of weights."""
        super().__init__()
        self.low, self.width = low, high - low

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``(values - low) / (high - low)``."""
        return (values - self.low) / self.width


class AsImage(nn.Module):
    """Makes 8 by 8 images ``[batch, channels, 8, 8]`` of what has their size."""

    def __init__(self, channels: int) -> None:
        """Keep the number of channels."""
        super().__init__()
        self.channels = channels

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the images."""
        return values.reshape(-1, self.channels, 8, 8)


def _logistic(shape: Sequence[int], classes: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(math.prod(shape), classes)]


def _mlp(shape: Sequence[int], classes: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(math.prod(shape), HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, classes)]


def _cnn_8x8(shape: Sequence[int], classes: int) -> list[nn.Module]:
    channels, rest = divmod(math.prod(shape), 64)
    if rest or (len(shape) > 1 and tuple(shape[-2:]) != (8, 8)):
        raise ArchitectureError(f"cnn-8x8 takes images of 8 by 8, such as [1, 8, 8], not {list(shape)}")
    return [
        AsImage(channels),
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, classes),
    ]


ARCHITECTURES: dict[str, Callable[[Sequence[int], int], list[nn.Module]]] = {
    "logistic": _logistic,
    "mlp": _mlp,
    "cnn-8x8": _cnn_8x8,
}
"""By the name in ``schema.json``."""


def build(name: str, *, shape: Sequence[int], classes: int, low: float, high: float) -> nn.Sequential:
    """Return a network with weights drawn anew from torch's generator; its last layer gives logits.

    Args:
        name: One of ``ARCHITECTURES``.
        shape: Of one example, without the batch.
        classes: How many logits it gives.
        low: Least value of an input.
        high: Greatest value of an input.

    Raises:
        ArchitectureError: no such network, or not for that shape.
    """
    if name not in ARCHITECTURES:
        raise ArchitectureError(f"architecture: {name!r} is not one of {', '.join(ARCHITECTURES)}")
    if not low < high:
        raise ArchitectureError(f"low: {low} is not below high, {high}")
    return nn.Sequential(Scaled(low, high), *ARCHITECTURES[name](shape, classes))


def served(network: nn.Module) -> nn.Sequential:
    """Return what is exported to ONNX: the network and a softmax, which gives probabilities."""
    return nn.Sequential(network, nn.Softmax(dim=1))
