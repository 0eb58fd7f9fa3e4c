"""The model under attack: ONNX answers, weights give gradients, and both have to be the same model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import safetensors.torch
import torch
from art.estimators.classification import BlackBoxClassifierNeuralNetwork, PyTorchClassifier
from torch import nn

from services.modelchain.folder import Candidate
from services.modelchain.schema import WEIGHTS, Schema, TensorInput
from services.redteam.errors import Unfit
from services.screens.text import normalised
from services.shared.architectures import ArchitectureError, build

Array = np.ndarray[Any, np.dtype[Any]]

MOST_APART = 1e-3
"""Largest difference between a probability by ONNX and the same by the weights. Another runtime's rounding makes 1e-6
of it; other weights make 0.1 and more."""

BATCH = 2048
"""Examples that are answered at a time."""


class Answers:
    """A model as its users meet it: what goes in, and probabilities."""

    def __init__(self, candidate: Candidate) -> None:
        """Load the graph that was verified.

        Raises:
            Unfit: ONNX Runtime does not take it.
        """
        self.schema: Schema = candidate.schema
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                candidate.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise Unfit(f"model.onnx: ONNX Runtime does not load it: {error}") from None
        self._input = self._session.get_inputs()[0].name

    def _answered(self, batch: Array) -> Array:
        try:
            parts = [
                self._session.run([self.schema.output.name], {self._input: batch[begin : begin + BATCH]})[0]
                for begin in range(0, len(batch), BATCH)
            ]
        except Exception as error:
            raise Unfit(f"model.onnx: gives no answer: {error}") from None
        answers = np.concatenate(parts) if parts else np.empty((0, self.classes), np.float32)
        if answers.shape != (len(batch), self.classes) or not np.isfinite(answers).all():
            raise Unfit(f"model.onnx: gives {answers.shape} numbers, or some that are not finite")
        return answers

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.schema.output.classes)


class TextModel(Answers):
    """A model of texts, behind the same screen as in the gateway."""

    def answers(self, texts: Array | Sequence[str]) -> Array:
        """Return probabilities, float32[texts, classes]."""
        screened = [normalised(text).text for text in texts]
        return self._answered(np.array(screened, dtype=object).reshape(-1, 1))


@dataclass(frozen=True, kw_only=True)
class Range:
    """From the least to the greatest value of an input."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Of the range."""
        return self.high - self.low


class TensorModel(Answers):
    """A model of numbers or images, with its gradients."""

    def __init__(self, candidate: Candidate) -> None:
        """Load graph and weights.

        Raises:
            Unfit: there are no weights, or they do not fit the architecture.
        """
        super().__init__(candidate)
        if not isinstance(candidate.schema.input, TensorInput):
            raise TypeError("a model of texts has no tensors")
        self.shape = candidate.schema.input.shape
        self.range = Range(low=candidate.schema.input.low, high=candidate.schema.input.high)
        self.network = _network(candidate, self.shape, self.range)

    @property
    def image(self) -> bool:
        """Whether an input has rows and columns."""
        return len(self.shape) >= 2

    def answers(self, batch: Array) -> Array:
        """Return probabilities by ONNX Runtime, float32[batch, classes]."""
        return self._answered(np.ascontiguousarray(batch, dtype=np.float32))

    def labels(self, batch: Array) -> Array:
        """Return the most probable class, int64[batch]."""
        found: Array = self.answers(batch).argmax(axis=1)
        return found

    def logits(self, batch: Array) -> Array:
        """Return logits by the weights, float32[batch, classes]."""
        with torch.no_grad():
            found: Array = self.network(
                torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32))
            ).numpy()
        return found

    def same(self, batch: Array, what: str) -> None:
        """Refuse weights that answer differently than the graph: attacks by their gradients would miss.

        Raises:
            Unfit: says on which inputs.
        """
        by_weights = torch.softmax(torch.from_numpy(self.logits(batch)).double(), dim=1).numpy()
        apart = float(np.abs(self.answers(batch) - by_weights).max(initial=0.0))
        if not apart <= MOST_APART:
            raise Unfit(
                f"{WEIGHTS}: is another model than model.onnx: on {what} their probabilities are up to {apart:.3f} "
                f"apart; {MOST_APART} at most. Export both from one network"
            )

    def white_box(self, *, softmax: bool = False) -> PyTorchClassifier:
        """Return the network for the toolbox's attacks by gradients."""
        inner = nn.Sequential(_AsFloat(), self.network, *([nn.Softmax(dim=1)] if softmax else []))
        return PyTorchClassifier(
            inner.eval(),
            loss=nn.NLLLoss() if softmax else nn.CrossEntropyLoss(),
            input_shape=self.shape,
            nb_classes=self.classes,
            clip_values=(self.range.low, self.range.high),
            device_type="cpu",
        )

    def black_box(self) -> BlackBoxClassifierNeuralNetwork:
        """Return the graph for the toolbox's attacks by questions."""
        return BlackBoxClassifierNeuralNetwork(
            self.answers,
            input_shape=self.shape,
            nb_classes=self.classes,
            clip_values=(self.range.low, self.range.high),
        )


class _AsFloat(nn.Module):
    """Some of the toolbox's attacks send float64."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.float()


def _network(candidate: Candidate, shape: tuple[int, ...], within: Range) -> nn.Sequential:
    schema = candidate.schema
    if candidate.weights is None or schema.architecture is None:
        raise Unfit(
            f"{WEIGHTS}: is missing, or schema.json names no architecture; a model of numbers is attacked by its "
            "gradients, so its trainer has to hand both over"
        )
    try:
        network = build(
            schema.architecture,
            shape=shape,
            classes=len(schema.output.classes),
            low=within.low,
            high=within.high,
        )
        network.load_state_dict(safetensors.torch.load(candidate.weights), strict=True)
    except ArchitectureError as error:
        raise Unfit(f"schema.json: {error}") from None
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise Unfit(f"{WEIGHTS}: does not fit {schema.architecture}: {first}") from None
    for weights in network.parameters():
        weights.requires_grad_(False)
    return network.eval()


def opened(candidate: Candidate) -> TensorModel | TextModel:
    """Return the model of a candidate whose signature was verified.

    Raises:
        Unfit: it cannot be attacked as it is.
    """
    return TensorModel(candidate) if isinstance(candidate.schema.input, TensorInput) else TextModel(candidate)
