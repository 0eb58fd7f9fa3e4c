"""Handwritten digits: scikit-learn's 8 by 8 images, a small network, trained on examples that attack it.

The training is Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018): each batch is
first moved, within ``EPSILON``, to where it does most harm.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import safetensors.torch
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from services.gateway.samples.judged import Sample, at_least, components
from services.modelchain.schema import (
    BitDepth,
    Card,
    Output,
    Privacy,
    Schema,
    Squeezer,
    Statistics,
    TensorInput,
)
from services.screens import novelty, squeezing
from services.shared.architectures import build, served

Array = np.ndarray[Any, np.dtype[Any]]

INPUT, OUTPUT = "values", "probabilities"
ARCHITECTURE, SHAPE, CLASSES = "cnn-8x8", (1, 8, 8), 10
LOW, HIGH = 0.0, 1.0

SEED = 7
TRAINED_ON, CALIBRATED_ON = 1000, 300
"""Of 1,797 images; the rest judges."""
EPOCHS, BATCH, RATE = 40, 64, 1e-2
"""The rate is the highest of one cycle (Smith and Topin, "Super-Convergence", 2019)."""
EPSILON, STEPS = 0.1, 3
"""Of the attacks in training: the largest change of a pixel, which half of the epochs lead up to, and steps there."""
ATTACK_STEPS = 40
"""Of those that judge (Madry et al. take as many on MNIST)."""

SQUEEZERS: tuple[Squeezer, ...] = (BitDepth(bits=2), BitDepth(bits=3))
"""Of the paper's, those that found most on these images (``python -m tests.services.gateway.screens.figures``). Median
filters, the paper's choice for digits of 28 by 28, tell nothing here: a stroke is one or two pixels wide, and clean digits
do not outlive them."""
NOVEL, DECEIVING = 0.01, 0.05
"""Shares of clean digits that the two screens may take for others."""


class Data(NamedTuple):
    """Images float32[n, 1, 8, 8] from 0 to 1, and digits int64[n]."""

    images: Array
    labels: Array


def data() -> tuple[Data, Data, Data]:
    """Return what trains, what calibrates and what judges; always the same."""
    found = load_digits()
    order = np.random.default_rng(SEED).permutation(len(found.target))
    images = (found.images[order] / 16).astype(np.float32).reshape(-1, *SHAPE)
    labels = found.target[order].astype(np.int64)
    cuts = [TRAINED_ON, TRAINED_ON + CALIBRATED_ON]
    parts = zip(np.split(images, cuts), np.split(labels, cuts), strict=True)
    trains, calibrates, judges = (Data(*part) for part in parts)
    return trains, calibrates, judges


def trained(on: Data, *, epsilon: float = EPSILON) -> nn.Sequential:
    """Return the network, which gives logits.

    Args:
        on: What trains.
        epsilon: Largest change of a pixel by the attacks in training; 0 for none.
    """
    with alone():
        network = build(ARCHITECTURE, shape=SHAPE, classes=CLASSES, low=LOW, high=HIGH)
        optimizer = torch.optim.Adam(network.parameters(), RATE)
        images, labels = torch.from_numpy(on.images), torch.from_numpy(on.labels)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, RATE, epochs=EPOCHS, steps_per_epoch=math.ceil(len(images) / BATCH)
        )
        for epoch in range(1, EPOCHS + 1):
            reach = epsilon * min(1, 2 * epoch / EPOCHS)
            for batch in torch.randperm(len(images)).split(BATCH):
                shown, wanted = images[batch], labels[batch]
                if epsilon:
                    shown = attacked(network, shown, wanted, reach, STEPS)
                optimizer.zero_grad()
                functional.cross_entropy(network(shown), wanted).backward()
                optimizer.step()
                cycle.step()
    return network.eval()


@contextmanager
def alone() -> Iterator[None]:
    """Draw from a generator that nobody else draws from, in one thread: so small a network waits longer for two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            yield
    finally:
        torch.set_num_threads(threads)


def attacked(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float, steps: int
) -> torch.Tensor:
    """Return images after projected gradient ascent on the loss, each pixel changed by ``epsilon`` at most."""
    step = 2.5 * epsilon / steps
    moved = (images + torch.empty_like(images).uniform_(-epsilon, epsilon)).clamp(LOW, HIGH)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        (slope,) = torch.autograd.grad(functional.cross_entropy(network(moved), labels), moved)
        moved = (images + (moved + step * slope.sign() - images).clamp(-epsilon, epsilon)).clamp(LOW, HIGH)
    return moved.detach()


def graph(network: nn.Module) -> bytes:
    """Return the ONNX graph of a network with a softmax."""
    # The exporter reports on what it does to people at a terminal.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            served(network).eval(),
            (torch.zeros(2, *SHAPE),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None  # noqa: S101 - with dynamo there is one
    return bytes(program.model_proto.SerializeToString())


def predictor(onnx: bytes) -> Callable[[Array], Array]:
    """Return probabilities float32[n, 10] of images float32[n, 1, 8, 8], by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    return lambda batch: np.asarray(session.run([OUTPUT], {INPUT: batch})[0])


def made(version: int) -> Sample:
    """Train and judge."""
    trains, calibrates, judges = data()
    network = trained(trains)
    onnx = graph(network)
    predict = predictor(onnx)
    half = CALIBRATED_ON // 2
    novel, arrays = novelty.calibrated(
        np.concatenate([trains.images, calibrates.images[:half]]),
        calibrates.images[half:],
        false_positive_rate=NOVEL,
    )
    squeezed = squeezing.calibrated(
        predict, calibrates.images, SQUEEZERS, LOW, HIGH, false_positive_rate=DECEIVING
    )
    checks = [at_least("accuracy", _accuracy(predict, judges), f"{len(judges.labels)} digits")]
    for epsilon in (0.05, 0.1):
        with alone():
            images, labels = torch.from_numpy(judges.images), torch.from_numpy(judges.labels)
            moved = attacked(network, images, labels, epsilon, ATTACK_STEPS).numpy()
        about = f"projected gradient, {ATTACK_STEPS} steps, of {epsilon:g} a pixel"
        checks.append(
            at_least(f"accuracy-pgd-{epsilon:g}", _accuracy(predict, Data(moved, judges.labels)), about)
        )
    return Sample(
        written={
            "graph": onnx,
            "schema": Schema(
                name="digits",
                version=version,
                input=TensorInput(name=INPUT, shape=SHAPE, low=LOW, high=HIGH),
                output=Output(name=OUTPUT, classes=tuple(map(str, range(CLASSES)))),
                architecture=ARCHITECTURE,
            ),
            "statistics": Statistics(examples=len(trains.labels) + half, novelty=novel, squeezing=squeezed),
            "arrays": arrays,
            "card": Card(
                title="Handwritten digits, 8 by 8",
                intended_use="To try the gateway with.",
                limits="Digits of 43 people of 1998, centred and upright; nothing else was shown to it.",
                dataset="scikit-learn: digits (UCI, Optical Recognition of Handwritten Digits)",
                trained_at=datetime.now(UTC),
                seed=SEED,
                figures={check.name: check.value for check in checks},
                components=components("torch", "numpy", "scikit-learn", "onnx", "onnxscript"),
            ),
            "privacy": Privacy(reason_for_none="The images are public, and nobody is named with them."),
            "weights": safetensors.torch.save({k: v.contiguous() for k, v in network.state_dict().items()}),
        },
        checks=tuple(checks),
    )


def _accuracy(predict: Callable[[Array], Array], on: Data) -> float:
    return float((predict(on.images).argmax(axis=1) == on.labels).mean())
