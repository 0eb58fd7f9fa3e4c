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
is all of a distance; a stream that is sorted, frames of one film, messages out of one template. What is usual differs from
model to model (``Bounds``): of patches of photographs, some are sky and some are leaves.

A replica sees its share of a client's queries, and needs as many as if they were all.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from services.gateway.distances import Sketcher, Stream, TextFeatures

MOST_WATCHED = 1000
"""Clients and models that are remembered: 170 MB where models have ten classes."""

DRAWN = 8
"""Of so many, drawn at random, the one with the fewest queries makes room."""

HELD_SECONDS = 86_400.0
"""A suspicion stands for a day after the last test that confirmed it."""

Key = tuple[str, str]
Test = Literal["prada", "spread"]


class Bounds(BaseModel):
    """What is usual for a model's inputs; ``python -m services.gateway.calibration`` measures it.

    The defaults are measured on digits (scikit-learn's): among clients with digits of their own a Shapiro-Wilk
    statistic of 0.94 or more, and a spread of 0.19 to 0.30. Noise and jitter have a spread under 0.11; queries made
    out of a few in small steps, a statistic under 0.87 (``tests/services/gateway/figures.py``). 0.90 is also what the
    authors' own program takes (github.com/SSGAalto/prada-protecting-against-dnn-model-stealing-attacks).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    shapiro_least: Annotated[float, Field(ge=0.6, le=0.99)] = 0.90
    spread_least: Annotated[float, Field(ge=0, le=0.6)] = 0.15
    """Of deviation over mean."""
    spread_most: Annotated[float, Field(ge=0.15, le=1.5)] = 0.40


NUMBERS = Bounds()

TEXTS = Bounds(spread_least=0, spread_most=0.30)
"""Texts fill as many dimensions as noise does: of sentences that nobody made for the purpose the spread is 0.07 to 0.10,
of random letters no less. So of texts too little says nothing, and too much says more."""


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


def failed(usual: Bounds, spread: float, statistic: float) -> tuple[Test, float, float] | None:
    """Return which test fails, its statistic, and what that is on the wrong side of."""
    if not usual.spread_least <= spread <= usual.spread_most:
        return "spread", spread, usual.spread_most if spread > usual.spread_most else usual.spread_least
    if not statistic >= usual.shapiro_least:
        return "prada", statistic, usual.shapiro_least
    return None


class _Watched:
    """One client and model: the queries, and the suspicion that stands."""

    def __init__(self, width: int) -> None:
        self.stream = Stream(width)
        self._standing: Suspicion | None = None
        self._until = -math.inf

    def suspicion(self, now: float) -> Suspicion | None:
        """Return what stands."""
        return self._standing if now < self._until else None

    def suspect(self, wrong: tuple[Test, float, float], now: float) -> Suspicion:
        """Raise a suspicion, or confirm the one that stands; return it."""
        news = self.suspicion(now) is None
        test, statistic, threshold = wrong
        raised = Suspicion(
            test=test, statistic=statistic, threshold=threshold, queries=self.stream.queries, news=news
        )
        self._standing, self._until = replace(raised, news=False), now + HELD_SECONDS
        return raised

    def evidence(self, now: float) -> tuple[bool, int]:
        """Return how much would be lost with it."""
        return now < self._until, self.stream.queries


class Watch:
    """Every client's queries, in bounded memory.

    One that is watched is forgotten only when there are too many, and then hardly ever one with a past: of a few
    that are drawn at random, the one with the fewest queries goes. To be forgotten on purpose, a client would have
    to come under thousands of other names, all of them listed by the operator (``clients``).
    """

    def __init__(
        self,
        usual: Callable[[str], Bounds | None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_watched: int = MOST_WATCHED,
    ) -> None:
        """Begin.

        Args:
            usual: What is usual for a model; where nobody measured it, what is for digits and for texts.
            clock: Seconds, never running backwards.
            most_watched: Clients and models that are remembered.
        """
        self._usual, self._clock, self._most = usual, clock, most_watched
        self._sketch = Sketcher()
        self._watched: dict[Key, _Watched] = {}
        self._keys: list[Key] = []
        # Nobody can foresee who has to go.
        self._chance = random.SystemRandom()

    def seen(self, principal: str, model: str, features: NDArray[Any], label: int | str) -> Suspicion | None:
        """Take note of a query, and return the suspicion that its client is under.

        Args:
            principal: Who asks.
            model: Which model.
            features: The input: numbers of any shape, on one scale, or ``text_features``.
            label: What the model said, before the answer was hardened.
        """
        x, now = self._sketch(features), self._clock()
        watched = self._of((principal, model), len(x), now)
        if watched.stream.add(x, label, self._chance):
            usual = self._usual(model) or (TEXTS if isinstance(features, TextFeatures) else NUMBERS)
            if wrong := failed(usual, *watched.stream.statistics()):
                return watched.suspect(wrong, now)
        return watched.suspicion(now)

    def _of(self, key: Key, width: int, now: float) -> _Watched:
        watched = self._watched.get(key)
        if watched is None:
            if len(self._keys) >= self._most:
                self._forget_one(now)
            self._keys.append(key)
            watched = self._watched[key] = _Watched(width)
        elif watched.stream.width != width:
            # The model takes another input now.
            watched.stream = Stream(width)
        return watched

    def _forget_one(self, now: float) -> None:
        places = [self._chance.randrange(len(self._keys)) for _ in range(DRAWN)]
        place = min(places, key=lambda each: self._watched[self._keys[each]].evidence(now))
        del self._watched[self._keys[place]]
        self._keys[place] = self._keys[-1]
        self._keys.pop()
