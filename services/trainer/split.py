"""Who trains and who is held out: decided for each person by a hash, so it can be told again without a list."""

from __future__ import annotations

import hashlib

import numpy as np

from services.trainer.examples import Examples


def held_out(units: np.ndarray, seed: int, share: float) -> np.ndarray:
    """Return a mask of the rows that are held out, all rows of one unit together.

    A unit is held out where the first 8 bytes of SHA-256 over ``seed/unit``, as a fraction, are below ``share``.

    Args:
        units: text[n].
        seed: The job's.
        share: Of all units, about.
    """
    each, back = np.unique(units, return_inverse=True)
    fractions = np.array([_fraction(f"{seed}/{unit}") for unit in each])
    return np.asarray((fractions < share)[back.reshape(-1)])


def halves(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """Return two halves of what is held out: one that the gateway's screens learn from, one that draws their line."""
    order = np.random.default_rng(seed).permutation(len(examples))
    middle = len(order) // 2
    return examples[np.sort(order[:middle])], examples[np.sort(order[middle:])]


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
