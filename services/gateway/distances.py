"""How far each query of a client lies from its earlier ones: what is kept of them, in bounded room, and its statistics."""

from __future__ import annotations

import math
import random
import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import shapiro

Floats = NDArray[np.float32]

WIDTH = 64
"""Numbers that are kept of an input; longer ones are sketched."""

WINDOW = 256
"""Distances that are tested: the last ones, so that a long harmless past lends nobody credit."""

LEAST = 100
"""Distances without which nothing is said (PRADA, section 5.2)."""

EVERY = 32
"""Queries between two tests."""

SAME = 1e-6
"""A spread below this is none: distances that differ by rounding errors."""

WARM = 5
"""Distances of a class that are left out: among few earlier queries the nearest is far."""

MOST_ROWS = 512
"""Earlier queries of one client and model that are kept: 128 KB."""

MOST_ROWS_A_CLASS = 64

MOST_REPEATS = 1024
"""Queries of one client and model whose repetition is recognised."""


class Sketcher:
    """Makes of any input at most ``WIDTH`` numbers whose distances are about those of the inputs.

    Numbers with signs drawn at random are added up in ``WIDTH`` sums (Charikar, Chen and Farach-Colton, "Finding
    Frequent Items in Data Streams", 2002). Who does not know the signs cannot move an input unseen.
    """

    def __init__(self) -> None:
        """Draw the signs when they are needed, as many as an input has numbers."""
        self._drawn = np.random.default_rng(secrets.randbits(128))
        self._signs: dict[int, Floats] = {}

    def __call__(self, features: NDArray[Any]) -> Floats:
        """Return the sketch of an input of any shape."""
        flat = np.asarray(features, np.float32).ravel()
        if len(flat) <= WIDTH:
            return flat
        signs = self._signs.get(len(flat))
        if signs is None:
            drawn = self._drawn.choice(np.array([-1, 1], np.float32), size=len(flat))
            signs = self._signs[len(flat)] = drawn
        summed = np.zeros(-(-len(flat) // WIDTH) * WIDTH, np.float32)
        np.multiply(flat, signs, out=summed[: len(flat)])
        sketch: Floats = summed.reshape(-1, WIDTH).sum(axis=0)
        return sketch


class _Class:
    """Earlier queries that got one label."""

    def __init__(self) -> None:
        self.rows: Floats = np.empty((0, 0), np.float32)
        self.count = 0
        self.seen = 0
        # The first query counts as one at no distance (PRADA, algorithm 3): else the second would set the bar for all.
        self._accepted, self._mean, self._squares = 1, 0.0, 0.0
        self._threshold = 0.0

    def nearest(self, x: Floats) -> float:
        """Return the distance to the nearest earlier query (L2)."""
        away = self.rows[: self.count] - x
        return math.sqrt(float(np.einsum("ij,ij->i", away, away).min()))

    def is_new(self, distance: float) -> bool:
        """Say whether a query is far enough from earlier ones to be kept, and move the threshold if it is."""
        if not distance > self._threshold:
            return False
        # Welford's update of mean and squared deviations of what was accepted.
        self._accepted += 1
        moved = distance - self._mean
        self._mean += moved / self._accepted
        self._squares += moved * (distance - self._mean)
        self._threshold = max(self._threshold, self._mean - math.sqrt(self._squares / self._accepted))
        return True

    def keep(self, x: Floats, place: int) -> None:
        """Keep a query at a place, the next one or one that is taken."""
        if place >= len(self.rows):
            more = np.empty((max(2, 2 * place), len(x)), np.float32)
            if self.count:
                more[: self.count] = self.rows[: self.count]
            self.rows = more
        self.rows[place] = x
        self.count = max(self.count, place + 1)


class Stream:
    """What is remembered of one client's queries to one model."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.queries = 0
        self._classes: dict[int | str, _Class] = {}
        self._kept = 0
        self._distances = np.zeros(WINDOW)
        self._measured = 0
        self._repeats: dict[int, None] = {}

    def add(self, x: Floats, label: int | str, chance: random.Random) -> bool:
        """Take note of a query, and say whether it is time for a test."""
        name = hash(x.tobytes())
        if name in self._repeats:
            # The answer was told already.
            return False
        self._repeats[name] = None
        if len(self._repeats) > MOST_REPEATS:
            del self._repeats[next(iter(self._repeats))]
        self.queries += 1
        of_class = self._classes.get(label)
        if of_class is None:
            of_class = self._classes[label] = _Class()
        if not of_class.count:
            self._keep(of_class, x, chance)
            return False
        distance = of_class.nearest(x)
        if of_class.is_new(distance):
            self._keep(of_class, x, chance)
        of_class.seen += 1
        if of_class.seen <= WARM:
            return False
        self._distances[self._measured % WINDOW] = distance
        self._measured += 1
        return self._measured >= LEAST and self._measured % EVERY == 0

    def _keep(self, of_class: _Class, x: Floats, chance: random.Random) -> None:
        """Keep a query; where there is no room, in place of one drawn at random."""
        if self._kept < MOST_ROWS and of_class.count < MOST_ROWS_A_CLASS:
            of_class.keep(x, of_class.count)
            self._kept += 1
        elif of_class.count:
            of_class.keep(x, chance.randrange(of_class.count))
        else:
            largest = max(self._classes.values(), key=lambda each: each.count)
            largest.count -= 1
            of_class.keep(x, 0)

    def statistics(self) -> tuple[float, float]:
        """Return the spread and the Shapiro-Wilk statistic of the last distances, outliers left out.

        Outliers are what lies beyond three deviations, as in PRADA.
        """
        distances = self._distances[: min(self._measured, WINDOW)]
        if not np.isfinite(distances).all():
            # Numbers that no model is served with (above 1e18): nobody hides behind them.
            return math.inf, 0.0
        mean, deviation = float(distances.mean()), float(distances.std())
        usual = distances[np.abs(distances - mean) <= 3 * deviation]
        spread = float(usual.std()) / mean if mean else 0.0
        # All the same has no shape to be tested.
        return spread, float(shapiro(usual).statistic) if spread > SAME else 0.0


class TextFeatures(np.ndarray[Any, np.dtype[np.float32]]):
    """A text as numbers; the watch knows them from others, since texts lie otherwise."""


def text_features(text: str) -> TextFeatures:
    """Return a text as numbers: how often each run of three characters stands in it, hashed, of length one.

    Distances of class probabilities would do for a model of many classes; of two, as a spam filter has, they are
    distances on a line, and what is natural there nobody can tell.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(codes) < 3:
        codes = np.concatenate([codes, np.zeros(3 - len(codes), np.uint32)])
    # Multiply-shift hashing (Dietzfelbinger et al., 1997); odd multipliers of our own.
    grams = codes[:-2] * _ODD[0] + codes[1:-1] * _ODD[1] + codes[2:] * _ODD[2]
    counted = np.bincount(grams >> np.uint32(32 - _TEXT_BITS), minlength=2**_TEXT_BITS)
    roots = np.sqrt(counted).astype(np.float32)
    return (roots / np.float32(np.linalg.norm(roots))).view(TextFeatures)


_TEXT_BITS = 9
_ODD = np.array([secrets.randbits(32) | 1 for _ in range(3)], np.uint32)
