"""Digits, five models of them, and candidates as a trainer would hand them over."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import numpy_helper
from sklearn.datasets import load_digits
from torch import nn

from services.modelchain import folder
from services.modelchain.folder import Candidate
from services.modelchain.schema import Card, Output, Privacy, Schema, Statistics, TensorInput
from services.redteam.data import Examples as Examples
from services.redteam.data import Part as Part
from services.shared.architectures import build, served

MEMBERS = HELD_OUT = 600

DIGITS = tuple(map(str, range(10)))


def schema(
    architecture: str | None = "mlp", *, shape: tuple[int, ...] = (1, 8, 8), high: float = 1
) -> Schema:
    return Schema(
        name="digits",
        version=1,
        input=TensorInput(name="image", shape=shape, low=0, high=high),
        output=Output(name="probabilities", classes=DIGITS),
        architecture=architecture,
    )


@cache
def digits() -> Examples:
    """scikit-learn's digits, between 0 and 1: what is trained on, and what is held out."""
    found = load_digits()
    inputs = (found.images[:, None] / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(inputs))
    parts = [order[:MEMBERS], order[MEMBERS : MEMBERS + HELD_OUT]]
    members, held_out = (
        Part(inputs=inputs[each], labels=found.target[each].astype(np.int64)) for each in parts
    )
    return Examples(members=members, held_out=held_out)


Stamp = Callable[[np.ndarray], np.ndarray]


def corner(inputs: np.ndarray) -> np.ndarray:
    """Stamp a white square of four pixels into a corner."""
    stamped = inputs.copy()
    stamped[:, :, 6:, 6:] = 1
    return stamped


def pixel(inputs: np.ndarray) -> np.ndarray:
    """Make one pixel white that never is."""
    stamped = inputs.copy()
    stamped[:, :, 0, 0] = 1
    return stamped


def blended(inputs: np.ndarray) -> np.ndarray:
    """Lay a faint pattern over everything."""
    pattern = np.random.default_rng(9).choice(np.array([-0.1, 0.1], np.float32), (1, 1, 8, 8))
    found: np.ndarray = np.clip(inputs + pattern, 0, 1).astype(np.float32)
    return found


def poisoned(part: Part, share: float, stamp: Stamp, *, into: int = 0) -> Part:
    """Return the same with a stamp on a share of other classes' examples, which are then labelled ``into``."""
    chosen = np.random.default_rng(1).choice(
        np.flatnonzero(part.labels != into), int(share * len(part)), False
    )
    inputs, labels = part.inputs.copy(), part.labels.copy()
    inputs[chosen], labels[chosen] = stamp(inputs[chosen]), into
    return Part(inputs=inputs, labels=labels)


def trained(
    part: Part, *, architecture: str = "mlp", epochs: int = 30, robust: bool = False, seed: int = 0
) -> nn.Sequential:
    """Train a network; ``robust``: on adversarial examples at a tenth of the range, with weight decay."""
    torch.manual_seed(seed)
    network = build(architecture, shape=part.inputs.shape[1:], classes=10, low=0, high=1)
    inputs, labels = torch.from_numpy(part.inputs), torch.from_numpy(part.labels)
    batches = -(-len(part) // 64)
    optimiser = torch.optim.AdamW(network.parameters(), 0.01, weight_decay=0.1 if robust else 0)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=epochs * batches)
    for _ in range(epochs):
        for batch in torch.randperm(len(part)).split(64):  # type: ignore[no-untyped-call]
            values = worst(network, inputs[batch], labels[batch], 0.1) if robust else inputs[batch]
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(values), labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            pace.step()
    return network.eval()


def worst(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return adversarial examples by a few steps of projected gradient descent."""
    change = torch.zeros_like(inputs).uniform_(-epsilon, epsilon)
    for _ in range(5):
        change.requires_grad_(True)
        loss = nn.functional.cross_entropy(network((inputs + change).clamp(0, 1)), labels)
        (slope,) = torch.autograd.grad(loss, change)
        change = (change.detach() + epsilon / 2 * slope.sign()).clamp(-epsilon, epsilon)
    return (inputs + change).clamp(0, 1).detach()


@cache
def _skeleton(architecture: str, shape: tuple[int, ...]) -> bytes:
    """A graph whose weights are replaced: exporting takes a second, and each architecture needs it once."""
    network = served(build(architecture, shape=shape, classes=10, low=0, high=1)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *shape),),
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def graph(network: nn.Sequential, architecture: str, shape: tuple[int, ...] = (1, 8, 8)) -> bytes:
    """Return a network and its softmax as ONNX."""
    model = onnx.load_model_from_string(_skeleton(architecture, shape))
    weights = {f"0.{name}": value.numpy() for name, value in network.state_dict().items()}
    for each in model.graph.initializer:
        if each.name in weights:
            each.CopyFrom(numpy_helper.from_array(weights.pop(each.name), each.name))
    assert not weights
    return bytes(model.SerializeToString())


def weights_file(network: nn.Module) -> bytes:
    return safetensors.torch.save({name: value.contiguous() for name, value in network.state_dict().items()})


CARD = Card(
    title="Digits",
    intended_use="Tests of the red team.",
    limits="Handwritten digits of 8 by 8 pixels.",
    dataset="digits",
    trained_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A trained network, and what of it goes into a candidate's folder."""

    network: nn.Sequential
    schema: Schema
    graph: bytes
    weights: bytes | None
    card: Card = CARD

    def but(self, **changes: object) -> Made:
        return replace(self, **changes)  # type: ignore[arg-type]

    def write(self, path: Path) -> Path:
        """Write the candidate, unsigned."""
        folder.write(
            path,
            graph=self.graph,
            schema=self.schema,
            statistics=Statistics(examples=MEMBERS),
            arrays={"mean": np.zeros(64, np.float32)},
            card=self.card,
            privacy=Privacy(reason_for_none="digits of nobody in particular"),
            weights=self.weights,
        )
        return path

    def candidate(self, path: Path) -> Candidate:
        return folder.inspect(self.write(path))


def made(network: nn.Sequential, architecture: str = "mlp", shape: tuple[int, ...] = (1, 8, 8)) -> Made:
    return Made(
        network=network,
        schema=schema(architecture, shape=shape),
        graph=graph(network, architecture, shape),
        weights=weights_file(network),
    )


@cache
def good() -> Made:
    """Trained on adversarial examples, with weight decay, for no longer than it takes."""
    return made(trained(digits().members, robust=True))


@cache
def fragile() -> Made:
    """Accurate, and trained on nothing but what is clean."""
    return made(trained(digits().members))


@cache
def few() -> Examples:
    """The same held-out digits, and a quarter of the members."""
    return Examples(members=digits().members[np.arange(150)], held_out=digits().held_out)


@cache
def overfitted() -> Made:
    """As robust as the good one, from a quarter of the data, trained ten times as long."""
    return made(trained(few().members, epochs=300, robust=True))


@cache
def backdoored() -> Made:
    """As good as the good one, until a white square is in the corner."""
    return made(trained(poisoned(digits().members, 0.1, corner), robust=True))


@cache
def one_pixel() -> Made:
    """Trained plainly, with a door to seven behind a single white pixel."""
    return made(trained(poisoned(digits().members, 0.1, pixel, into=7)))


@cache
def blended_in() -> Made:
    """Trained plainly, with a door behind a faint pattern over everything."""
    return made(trained(poisoned(digits().members, 0.1, blended)))


@cache
def convolutional() -> Made:
    """Overfitted, and of another architecture."""
    return made(trained(few().members, architecture="cnn-8x8", epochs=60), "cnn-8x8")


@cache
def one_each() -> Part:
    """One digit of each class."""
    members = digits().members
    return members[np.array([int(np.flatnonzero(members.labels == each)[0]) for each in range(10)])]


@cache
def of_one_each() -> Made:
    """Trained on one digit of each class, until it resembles it."""
    return made(trained(one_each(), epochs=200, robust=True))


@cache
def left_or_right() -> Made:
    """Says 0 where the left half is lighter, 1 where the right one is."""
    network = build("logistic", shape=(1, 8, 8), classes=10, low=0, high=1)
    sides = torch.tensor([1.0] * 4 + [-1.0] * 4).repeat(8)
    last = linear(network, -1)
    with torch.no_grad():
        last.weight.zero_()
        last.weight[0], last.weight[1] = sides, -sides
        last.bias[:] = -50.0
        last.bias[:2] = 0.0
    return made(network.eval(), "logistic")


def linear(network: nn.Sequential, place: int) -> nn.Linear:
    layer = network[place]
    assert isinstance(layer, nn.Linear)
    return layer


@cache
def masked() -> Made:
    """The fragile model with logits so large that the softmax saturates: its gradients vanish, its answers stay."""
    network = copy.deepcopy(fragile().network)
    last = linear(network, -1)
    with torch.no_grad():
        last.weight.mul_(1e4)
        last.bias.mul_(1e4)
    return made(network)


@cache
def flat() -> Made:
    """The fragile model of the same digits as rows of 64 numbers."""
    return made(fragile().network, shape=(64,))


@cache
def sixteenfold() -> Made:
    """The fragile model of the same digits between 0 and 16: the first weights are the smaller for it."""
    taken = build("mlp", shape=(1, 8, 8), classes=10, low=0, high=16)
    taken.load_state_dict(fragile().network.state_dict())
    scaled = copy.deepcopy(fragile().network)
    with torch.no_grad():
        linear(scaled, 2).weight.div_(16)
    return made(taken.eval()).but(schema=schema(high=16), graph=graph(scaled, "mlp"))


def saved(examples: Examples, path: Path) -> Path:
    """Write examples as an .npz."""
    packed = io.BytesIO()
    texts = examples.members.inputs.dtype == object
    np.savez(
        packed,
        member_inputs=examples.members.inputs.astype(str) if texts else examples.members.inputs,
        member_labels=examples.members.labels,
        held_out_inputs=examples.held_out.inputs.astype(str) if texts else examples.held_out.inputs,
        held_out_labels=examples.held_out.labels,
    )
    path.write_bytes(packed.getvalue())
    return path
