"""One model in memory: an ONNX Runtime session with bounded threads that has answered before anybody asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.modelchain.schema import Schema, TensorInput

SLACK = 1e-3
"""How far a row may miss being probabilities: float32 over a thousand classes."""

TEXTS = ("", "a", "Meet me at noon.", "WIN 1000 EUR now!!! http://example.com", "日本語 \U0001f600 \x00")
"""What a model of texts must have an answer to."""


class InferenceError(Exception):
    """The model cannot be loaded, or does not answer as its schema says; one sentence."""


class Session:
    """A graph that runs."""

    def __init__(self, graph: bytes, schema: Schema, *, threads: int = 1) -> None:
        """Load a graph. It was verified and inspected before.

        Raises:
            InferenceError: ONNX Runtime does not take it.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        # A thread that waits for the next query by spinning takes the processor from those who have work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        ort.disable_telemetry_events()
        self.schema = schema
        self._input, self._output = schema.input.name, [schema.output.name]
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InferenceError(f"ONNX Runtime does not load it: {_first_line(error)}") from None

    def run(self, batch: NDArray[Any], options: ort.RunOptions | None = None) -> NDArray[np.float32]:
        """Return probabilities, float32[batch, classes].

        Args:
            batch: float32[batch, *shape], or texts, object[batch, 1].
            options: With ``terminate`` somebody else can end the run.

        Raises:
            InferenceError: the graph failed, was ended, or gave something else.
        """
        try:
            (answers,) = self._session.run(self._output, {self._input: batch}, options)
        except Exception as error:
            raise InferenceError(f"does not run: {_first_line(error)}") from None
        if answers.shape != (len(batch), len(self.schema.output.classes)):
            raise InferenceError(f"answers {len(batch)} inputs with an array of shape {answers.shape}")
        made: NDArray[np.float32] = answers
        return made


def self_test(session: Session) -> None:
    """Let a model answer inputs of the kind that it takes; this warms it up too.

    Raises:
        InferenceError: an answer is no row of probabilities, or depends on what else is in the batch: who else asks
            at the same time must not matter, and must not show.
    """
    batch = _examples(session.schema)
    together = session.run(batch)
    if (
        not np.isfinite(together).all()
        or together.min() < -SLACK
        or np.abs(together.sum(axis=1) - 1).max() > SLACK
    ):
        raise InferenceError("gives something else than probabilities")
    alone = np.concatenate([session.run(batch[place : place + 1]) for place in range(len(batch))])
    if np.abs(alone - together).max() > SLACK:
        raise InferenceError("answers an input differently when others are in the same batch")


def _examples(schema: Schema) -> NDArray[Any]:
    if not isinstance(schema.input, TensorInput):
        return np.array([[text] for text in TEXTS], dtype=object)
    low, high, shape = schema.input.low, schema.input.high, schema.input.shape
    chance = np.random.default_rng(0)
    rows = [np.full(shape, value) for value in (low, high, (low + high) / 2)]
    return np.stack([*rows, chance.uniform(low, high, shape)]).astype(np.float32)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
