"""Watches each client's queries for the pattern that stealing a model leaves: their distances are not those of data.

Two tests over the same numbers, the distance of each query to the nearest earlier one that got the same label:

- PRADA (Juuti, Szyller, Marchal and Asokan, "PRADA: Protecting Against DNN Model Stealing Attacks", EuroS&P 2019,
  section 5): among natural inputs these distances are about normal; where queries are made out of earlier ones they
  are not, and the Shapiro-Wilk statistic falls.
- Spread: noise, and one input moved about at random, fill all dimensions, so that distances are nearly equal (Beyer
  et al., "When Is Nearest Neighbor Meaningful?", ICDT 1999). They pass for normal, and PRADA misses them; the ratio of
  deviation to mean is too small. Where steps are small beside the distances of data, it is too large.

What neither sees: queries that are data, as of somebody who copies a model with inputs of the same kind (knockoff), or
mixes two inputs; steps as long as the distances of data; a client who hides among several names, or adds so many
ordinary queries that the others are lost among them (the authors of PRADA say so of it). Against those stand the budget
and the rounding of answers. What they may mistake for theft: inputs whose numbers differ in scale, so that one of them
is all of a distance; a stream that is sorted, frames of one film, messages out of one template.

A replica sees its share of a client's queries, and needs as many as if they were all.
"""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

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

WARM = 5
"""Distances of a class that are left out: among few earlier queries the nearest is far."""

MOST_ROWS = 512
"""Earlier queries of one client and model that are kept: 128 KB."""

MOST_ROWS_A_CLASS = 64

MOST_REPEATS = 1024
"""Queries of one client and model whose repetition is recognised."""

MOST_STREAMS = 1000
"""Clients and models that are watched."""

DRAWN = 8
"""Of so many, drawn at random, the one with the fewest queries makes room."""

SHAPIRO_LEAST = 0.90
"""What the authors' own program takes (github.com/SSGAalto/prada-protecting-against-dnn-model-stealing-attacks)."""

SPREAD = (0.14, 0.42)
"""Least and most of deviation over mean. Measured: natural digits 0.2 to 0.34, noise and jitter under 0.13, Jacobian
steps of a tenth of the range up to 0.53 (``tests/services/gateway/figures.py``)."""

SPREAD_OF_TEXTS = (0.0, 0.42)
"""Texts fill as many dimensions as noise does, 0.06 to 0.11: of them only too much says anything."""

HELD_SECONDS = 86_400.0
"""A suspicion stands for a day after the last test that confirmed it."""

Key = tuple[str, str]
Test = Literal["prada", "spread"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """Why a client's queries look like an extraction."""

    test: Test
    statistic: float
    threshold: float
    """What the statistic is on the wrong side of."""
    queries: int
    """Of this client to this model, repetitions left out."""
    news: bool
    """Whether this query raised it: then the event is written."""


class _Class:
    """Earlier queries that got one label."""

    def __init__(self) -> None:
        self.rows: Floats = np.empty((0, 0), np.float32)
        self.count = 0
        self.seen = 0
        self._accepted, self._mean, self._squares = 0, 0.0, 0.0
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


class _Stream:
    """What is remembered of one client's queries to one model."""

    def __init__(self, width: int, spread: tuple[float, float]) -> None:
        self.width, self.spread = width, spread
        self.queries = 0
        self.standing: Suspicion | None = None
        self.until = -math.inf
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

    def tested(self) -> tuple[Test, float, float] | None:
        """Return the test that fails, its statistic and what that had to be."""
        distances = self._distances[: min(self._measured, WINDOW)]
        mean, deviation = float(distances.mean()), float(distances.std())
        usual = distances[np.abs(distances - mean) <= 3 * deviation]
        spread = float(usual.std()) / mean if mean else 0.0
        # NaN lies nowhere; what does not surely pass has failed.
        least, most = self.spread
        if not least <= spread <= most:
            return "spread", spread, most if spread > most else least
        statistic = float(shapiro(usual).statistic)
        if not statistic >= SHAPIRO_LEAST:
            return "prada", statistic, SHAPIRO_LEAST
        return None


class Watch:
    """Every client's queries, in bounded memory.

    One that is watched is forgotten only when there are too many, and then hardly ever one with a past: of a few
    that are drawn at random, the one with the fewest queries goes. To be forgotten on purpose, a client would have
    to come under thousands of other names, all of them listed by the operator (``clients``).
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, most_streams: int = MOST_STREAMS
    ) -> None:
        """Begin."""
        self._clock, self._most = clock, most_streams
        self._streams: dict[Key, _Stream] = {}
        self._keys: list[Key] = []
        # Nobody can foresee who has to go.
        self._chance = random.SystemRandom()
        self._signs = np.random.default_rng(secrets.randbits(128))
        self._sign_of: dict[int, Floats] = {}

    def seen(self, principal: str, model: str, features: NDArray[Any], label: int | str) -> Suspicion | None:
        """Take note of a query, and return the suspicion that its client is under.

        Args:
            principal: Who asks.
            model: Which model.
            features: The input: numbers of any shape, on one scale, or ``text_features``.
            label: What the model said, before the answer was hardened.
        """
        x = self._sketch(features)
        spread = SPREAD_OF_TEXTS if isinstance(features, TextFeatures) else SPREAD
        stream = self._stream((principal, model), len(x), spread)
        now = self._clock()
        news = False
        if stream.add(x, label, self._chance) and (failed := stream.tested()):
            news = stream.standing is None or now >= stream.until
            test, statistic, threshold = failed
            stream.standing = Suspicion(
                test=test, statistic=statistic, threshold=threshold, queries=stream.queries, news=False
            )
            stream.until = now + HELD_SECONDS
        if stream.standing is None or now >= stream.until:
            return None
        return replace(stream.standing, news=True) if news else stream.standing

    def _stream(self, key: Key, width: int, spread: tuple[float, float]) -> _Stream:
        stream = self._streams.get(key)
        if stream is None:
            if len(self._keys) >= self._most:
                self._forget_one()
            self._keys.append(key)
            stream = self._streams[key] = _Stream(width, spread)
        elif (stream.width, stream.spread) != (width, spread):
            # The model takes another input now.
            stream = self._streams[key] = _Stream(width, spread)
        return stream

    def _forget_one(self) -> None:
        places = [self._chance.randrange(len(self._keys)) for _ in range(DRAWN)]
        place = min(places, key=lambda each: self._evidence(self._streams[self._keys[each]]))
        del self._streams[self._keys[place]]
        self._keys[place] = self._keys[-1]
        self._keys.pop()

    def _evidence(self, stream: _Stream) -> tuple[bool, int]:
        return self._clock() < stream.until, stream.queries

    def _sketch(self, features: NDArray[Any]) -> Floats:
        """Return at most ``WIDTH`` numbers whose distances are about those of the inputs.

        Numbers with signs drawn at random are added up in ``WIDTH`` sums (Charikar, Chen and Farach-Colton, "Finding
        Frequent Items in Data Streams", 2002). Who does not know the signs cannot move an input unseen.
        """
        flat = np.asarray(features, np.float32).ravel()
        if len(flat) <= WIDTH:
            return flat
        signs = self._sign_of.get(len(flat))
        if signs is None:
            signs = self._sign_of[len(flat)] = self._signs.choice(
                np.array([-1, 1], np.float32), size=len(flat)
            )
        summed = np.zeros(-(-len(flat) // WIDTH) * WIDTH, np.float32)
        np.multiply(flat, signs, out=summed[: len(flat)])
        sketch: Floats = summed.reshape(-1, WIDTH).sum(axis=0)
        return sketch


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
