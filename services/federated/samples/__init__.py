"""Handwritten digits, split among silos as no two hospitals are alike: each has more of some classes than of others.

1,797 images of 8 by 8 pixels (Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998; CC BY 4.0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

DIGITS = Path(__file__).with_name("digits.npz")

INPUTS, CLASSES = 64, 10
MOST_INK = 16
"""Of a pixel in the file."""

CONCENTRATION = 0.5
"""Of the Dirichlet distribution by which each class is shared out (Hsu, Qi and Brown, 2019); less is more uneven."""

EVERY = 5
"""One image in so many is held out."""

FEWEST = 10
"""Images of a silo."""

Examples = tuple[np.ndarray, np.ndarray]
"""float32[n, 64] between 0 and 1, int64[n] from 0 to 9."""


def training() -> Examples:
    """Return the images that silos share among themselves."""
    x, y = _all()
    kept = np.arange(len(y)) % EVERY != 0
    return x[kept], y[kept]


def held_out() -> Examples:
    """Return the images that no silo has, by which the server tells how good the model is."""
    x, y = _all()
    kept = np.arange(len(y)) % EVERY == 0
    return x[kept], y[kept]


def partition(number: int, silos: int, *, seed: int = 0, concentration: float = CONCENTRATION) -> Examples:
    """Return one silo's images; those of all silos together are ``training()``, each once.

    Args:
        number: Which silo, from 0.
        silos: How many there are.
        seed: The same one gives the same split.
        concentration: See ``CONCENTRATION``.
    """
    x, y = training()
    drawn = np.random.default_rng([seed, silos])
    owner = np.empty(len(y), np.int64)
    for label in range(CLASSES):
        rows = drawn.permutation(np.flatnonzero(y == label))
        shares = np.cumsum(drawn.dirichlet(np.full(silos, concentration)))[:-1]
        for silo, part in enumerate(np.split(rows, (shares * len(rows)).astype(int))):
            owner[part] = silo
    _nobody_starves(owner, silos)
    return x[owner == number], y[owner == number]


def _nobody_starves(owner: np.ndarray, silos: int) -> None:
    """Give silos that came away with fewer than ``FEWEST`` some of the largest one's."""
    for silo in range(silos):
        while (lacks := FEWEST - int((owner == silo).sum())) > 0:
            largest = int(np.bincount(owner, minlength=silos).argmax())
            owner[np.flatnonzero(owner == largest)[:lacks]] = silo


def _all() -> Examples:
    with np.load(DIGITS, allow_pickle=False) as file:
        return (file["x"] / MOST_INK).astype(np.float32), file["y"].astype(np.int64)
