"""A candidate: the trained model with everything that is said of it, signed, in a folder that is whole or not there."""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch

from services.modelchain import folder, signing
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer
from services.modelchain.schema import (
    MODEL,
    MODEL_SIGNATURE,
    Card,
    Output,
    Privacy,
    Schema,
    TensorInput,
)
from services.shared.randomness import ABOUT
from services.trainer import export, statistics
from services.trainer.checkpoints import State
from services.trainer.curves import svg
from services.trainer.errors import TrainerError
from services.trainer.examples import Declared, Examples
from services.trainer.job import Job
from services.trainer.manifest import Manifest
from services.trainer.private import ACCOUNTANT
from services.trainer.split import halves
from services.trainer.training import HIGH, LOW, Training

CANDIDATE, CURVES, EXAMPLES = "candidate", "curves.svg", "examples.npz"
"""Names in the folder that a job writes to; the last is what the red team judges with."""

MOST_COMPONENTS, LONGEST = 256, 64


class Made(NamedTuple):
    """What a candidate is made of."""

    job: Job
    declared: Declared
    manifest: Manifest
    training: Training
    members: Examples
    held_out: Examples
    state: State


def write(into: Path, made: Made, signer: Signer) -> str:
    """Write the candidate, the curves and the examples for the red team; return the model's digest.

    Raises:
        TrainerError: the model cannot be written, or the key cannot be used.
    """
    making = into / f".{CANDIDATE}"
    shutil.rmtree(making, ignore_errors=True)
    job, training = made.job, made.training
    shape = job.data.example_shape
    network = training.finished()
    graph = export.graph(network, shape)
    answers = export.Answers(graph)
    held = made.held_out.values.reshape(-1, *shape)
    export.same(answers, network, torch.from_numpy(held))
    learnt_from, drawn_from = (half.values.reshape(-1, *shape) for half in halves(made.held_out, job.seed))
    said, arrays = statistics.of(job, learnt_from, drawn_from, answers)
    try:
        folder.write(
            making,
            graph=graph,
            schema=_schema(made),
            statistics=said,
            arrays=arrays,
            card=_card(made),
            privacy=_privacy(made),
            weights=safetensors.torch.save(
                {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
            ),
        )
        digest = signing.sign_candidate(making, signer)
    except ModelError as error:
        raise TrainerError(str(error)) from None
    _file(into / CURVES, svg(training.curve, f"{job.name} {job.version}"), 0o644)
    _file(into / EXAMPLES, _npz(made, shape), 0o600)
    making.rename(into / CANDIDATE)
    return digest


def _schema(made: Made) -> Schema:
    return Schema(
        name=made.job.name,
        version=made.job.version,
        input=TensorInput(name=export.INPUT, shape=made.job.data.example_shape, low=LOW, high=HIGH),
        output=Output(name=export.OUTPUT, classes=made.declared.classes),
        architecture=made.job.model,
    )


def _privacy(made: Made) -> Privacy:
    asked, training = made.job.privacy, made.training
    if asked.budget is None:
        return Privacy(reason_for_none=asked.reason_for_none)
    return Privacy(
        epsilon=training.epsilon,
        delta=asked.delta,
        accountant=ACCOUNTANT,
        max_grad_norm=asked.max_grad_norm,
        noise_multiplier=training.noise_multiplier,
        noise_generator=ABOUT,
    )


def _card(made: Made) -> Card:
    job, last = made.job, made.training.curve[-1]
    figures = {
        "accuracy on held-out rows": last.accuracy,
        "loss on held-out rows": last.loss,
        "rows that trained": float(len(made.members)),
        "rows that were held out": float(len(made.held_out)),
    }
    if job.robustness:
        figures["trained against attacks of (L-infinity)"] = job.robustness.epsilon
    if made.training.noise_multiplier is not None:
        figures["sample rate"] = 1 / made.training.steps_per_epoch
        figures["steps"] = float(made.training.steps)
    return Card(
        title=job.title,
        intended_use=job.intended_use,
        limits=f"{job.limits}\n{_inputs(made)}\n{_covered(made)}",
        dataset=job.data.dataset,
        dataset_digest=made.manifest.digest,
        purpose=job.data.purpose,
        trained_at=made.state.started_at,
        seed=job.seed,
        figures=figures,
        components=components(),
    )


def _inputs(made: Made) -> str:
    """Say what scales a row to what the model takes."""
    bounds = made.declared.bounds
    if len(set(bounds)) == 1:
        low, high = bounds[0]
        return f"Inputs are the dataset's columns, {low:g} to {high:g}, scaled to 0 to 1."
    each = ", ".join(
        f"{name} {low:g} to {high:g}" for name, (low, high) in zip(made.job.data.columns, bounds, strict=True)
    )
    return f"Inputs are scaled to 0 to 1 from: {each}."[:600]


def _covered(made: Made) -> str:
    if made.job.privacy.budget is None:
        return "Nothing bounds what the weights reveal of the rows that trained."
    return (
        f"Epsilon covers the weights, for each {made.declared.unit} of those that trained, with one row each. Figures "
        "and statistics come from those that were held out; the screens, which saw all, choose rows outside of epsilon."
    )


def components() -> dict[str, str]:
    """Return the libraries that are installed here, with their versions, and Python's: the bill of materials."""
    found = {"python": platform.python_version()}
    for each in importlib.metadata.distributions():
        name = str(each.metadata["Name"] or "").lower().replace("_", "-")
        if 0 < len(name) <= LONGEST and 0 < len(each.version) <= LONGEST:
            found[name] = each.version
    return dict(sorted(found.items())[:MOST_COMPONENTS])


def _npz(made: Made, shape: tuple[int, ...]) -> bytes:
    data = io.BytesIO()
    np.savez_compressed(
        data,
        member_inputs=made.members.values.reshape(-1, *shape),
        member_labels=made.members.labels,
        held_out_inputs=made.held_out.values.reshape(-1, *shape),
        held_out_labels=made.held_out.labels,
    )
    return data.getvalue()


def _file(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def files(into: Path) -> Mapping[str, Path]:
    """Return what is uploaded, by its name there; the signature is last, so a candidate that has it is whole.

    The examples stay: the red team reads them at the data-access API, and rows lie in no bucket.
    """
    made = into / CANDIDATE
    named = {f"{MODEL}/{path.name}": path for path in sorted((made / MODEL).iterdir())}
    return {**named, CURVES: into / CURVES, MODEL_SIGNATURE: made / MODEL_SIGNATURE}
