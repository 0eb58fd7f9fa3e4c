"""Softmax regression and a small network with one hidden layer, as lists of arrays, and the graph that they become.

Written in numpy because privacy needs the gradient of each row by itself, which has a closed form here: in a layer, the
gradient of a row is the outer product of what came in and of how wrong what went out was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.federated.settings import Settings

Arrays = list[np.ndarray]
"""Parameters, layer by layer: weights [inputs, outputs], biases [outputs], in float32."""

HIDDEN = 32
OPSET = 21
INPUT, OUTPUT = "values", "probabilities"
"""Names in the graph and in ``schema.json``."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """What goes in, what comes out, and the hidden layers between."""

    inputs: int
    classes: int
    hidden: tuple[int, ...] = ()

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the parameters, in order."""
        sides = (self.inputs, *self.hidden, self.classes)
        return [shape for a, b in pairwise(sides) for shape in ((a, b), (b,))]

    @property
    def size(self) -> int:
        """Parameters in all."""
        return sum(int(np.prod(shape)) for shape in self.shapes)


def network(settings: Settings) -> Network:
    """Return the network that the settings' ``model`` stands for."""
    hidden = (HIDDEN,) if settings.model == "mlp" else ()
    return Network(inputs=settings.inputs, classes=settings.classes, hidden=hidden)


def initial(net: Network, seed: int) -> Arrays:
    """Return the first parameters: zeros without a hidden layer, else Glorot's uniform weights and zero biases."""
    if not net.hidden:
        return [np.zeros(shape, np.float32) for shape in net.shapes]
    drawn = np.random.default_rng(seed)
    return [
        drawn.uniform(-1, 1, shape).astype(np.float32) * np.float32(np.sqrt(6 / sum(shape)))
        if len(shape) == 2
        else np.zeros(shape, np.float32)
        for shape in net.shapes
    ]


def flat(arrays: Arrays) -> np.ndarray:
    """Return float64[size]: all arrays in one."""
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


def shaped(vector: np.ndarray, shapes: list[tuple[int, ...]]) -> Arrays:
    """Return a vector as float32 arrays of those shapes."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [
        part.reshape(shape).astype(np.float32)
        for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)
    ]


def probabilities(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    """Return float64[n, classes], each row summing to one, for float[n, inputs]."""
    return _softmax(_forward(arrays, x)[-1])


def loss_and_accuracy(arrays: Arrays, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the mean cross-entropy in nats, and the share that is classified rightly."""
    said = probabilities(arrays, x)
    return float(-np.log(said[np.arange(len(y)), y] + 1e-12).mean()), float((said.argmax(1) == y).mean())


def gradient_sum(
    arrays: Arrays, x: np.ndarray, y: np.ndarray, *, record_norm: float | None = None
) -> np.ndarray:
    """Return float64[size]: the sum over rows of the gradient of the cross-entropy.

    Args:
        arrays: Parameters.
        x: Rows, float[n, inputs].
        y: Their classes, int[n].
        record_norm: L2 norm that each row's gradient is cut to before it is added; none is if not given.
    """
    into, wrong = _backward(arrays, x, y)
    if record_norm is not None and len(x):
        squared = sum(((a**2).sum(1) + 1) * (d**2).sum(1) for a, d in zip(into, wrong, strict=True))
        cut = np.minimum(1, record_norm / np.maximum(np.sqrt(squared), 1e-12))
        wrong = [d * cut[:, None] for d in wrong]
    return np.concatenate(
        [part for a, d in zip(into, wrong, strict=True) for part in ((a.T @ d).ravel(), d.sum(0))]
    )


def onnx_graph(arrays: Arrays) -> bytes:
    """Return the ONNX graph of a network, which gives probabilities for float32[batch, inputs]."""
    nodes, constants, name = [], [], INPUT
    layers = [(arrays[i], arrays[i + 1]) for i in range(0, len(arrays), 2)]
    for number, (weights, biases) in enumerate(layers):
        named = [f"weights{number}", f"biases{number}"]
        constants += [
            numpy_helper.from_array(np.asarray(array, np.float32), each)
            for array, each in zip((weights, biases), named, strict=True)
        ]
        nodes.append(helper.make_node("Gemm", [name, *named], [f"layer{number}"]))
        name = f"layer{number}"
        if number < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"active{number}"]))
            name = f"active{number}"
    nodes.append(helper.make_node("Softmax", [name], [OUTPUT], axis=1))
    sides = (layers[0][0].shape[0], layers[-1][0].shape[1])
    values, said = (
        helper.make_tensor_value_info(each, TensorProto.FLOAT, ["batch", side])
        for each, side in zip((INPUT, OUTPUT), sides, strict=True)
    )
    graph = helper.make_graph(nodes, "federated", [values], [said], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _forward(arrays: Arrays, x: np.ndarray) -> list[np.ndarray]:
    """Return what comes out of each layer, before its activation."""
    said: list[np.ndarray] = []
    came = np.asarray(x, np.float64)
    for i in range(0, len(arrays), 2):
        said.append(came @ np.asarray(arrays[i], np.float64) + arrays[i + 1])
        came = np.maximum(said[-1], 0)
    return said


def _backward(arrays: Arrays, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what came into each layer, and the gradient at what went out of it, row by row."""
    said = _forward(arrays, x)
    into = [np.asarray(x, np.float64), *(np.maximum(each, 0) for each in said[:-1])]
    wrong = [_softmax(said[-1])]
    wrong[0][np.arange(len(y)), y] -= 1
    for layer in range(len(said) - 1, 0, -1):
        back = wrong[0] @ np.asarray(arrays[2 * layer], np.float64).T
        wrong.insert(0, back * (said[layer - 1] > 0))
    return into, wrong


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
