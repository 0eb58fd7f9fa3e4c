"""What is done with a batch of numbers: the model's answers, and what each screen measures, in one run of the model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.gateway.inference import Session
from services.modelchain.schema import Statistics, TensorInput
from services.screens.findings import Finding
from services.screens.novelty import Novelty
from services.screens.squeezing import distances, squeezed

NOVELTY = Finding("novelty", "is unlike everything that the model was trained on")
SQUEEZING = Finding(
    "squeezing", "gets another answer once needless detail is taken away, as if made to deceive"
)


class Measured(NamedTuple):
    """A batch, answered and measured."""

    answers: NDArray[np.float32]
    """Probabilities, float32[batch, classes]."""
    novel: NDArray[np.bool_]
    """bool[batch]."""
    deceiving: NDArray[np.bool_]
    """bool[batch]."""


class Screens:
    """The screens of one model, over its session."""

    def __init__(self, session: Session, takes: TensorInput, statistics: Statistics, arrays: Any) -> None:
        """Take the model and what its screens were calibrated to.

        Raises:
            ValueError: the arrays do not fit together.
        """
        self._session, self._takes = session, takes
        self._novelty = Novelty(statistics.novelty, arrays) if statistics.novelty else None
        self._squeezing = statistics.squeezing

    def measured(self, batch: NDArray[Any], options: ort.RunOptions) -> Measured:
        """Answer and measure a batch, float32[batch, *shape] within the declared range."""
        rows = len(batch)
        nothing = np.zeros(rows, dtype=np.bool_)
        novel = self._novelty.scores(batch) > self._novelty.threshold if self._novelty else nothing
        if self._squeezing is None:
            return Measured(self._session.run(batch, options), novel, nothing)
        kinds = self._squeezing.squeezers
        together = np.concatenate([batch, *squeezed(batch, kinds, self._takes.low, self._takes.high)])
        answers = self._session.run(together, options)
        others = [answers[place : place + rows] for place in range(rows, len(answers), rows)]
        apart = distances(answers[:rows], others)
        return Measured(answers[:rows], novel, apart > self._squeezing.threshold)
