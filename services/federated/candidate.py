"""What a federation learned becomes a candidate like any other: inspected, signed, and judged by the same red team.

The screens' statistics come from rows that the server holds itself and no silo had, so they tell nothing of a silo.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from services.federated import models
from services.federated.errors import FederatedError
from services.federated.settings import Settings
from services.modelchain import folder, signing
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer
from services.modelchain.schema import Card, Output, Privacy, Schema, Statistics, TensorInput
from services.screens import novelty

LOGISTIC = "logistic"
"""What ``services/shared/architectures.py`` calls softmax regression; it gives the red team its gradients."""

FALSE_POSITIVES = 0.01
"""Clean inputs that the novelty screen refuses, of the server's own rows."""

MOST_COMPONENTS, LONGEST = 256, 64
"""Of a card's list of libraries, and of a name in it (``services/modelchain/schema.py``)."""

Examples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class About:
    """What the operator says of the model."""

    name: str
    version: int
    title: str
    intended_use: str
    dataset: str
    classes: tuple[str, ...]
    purpose: str | None = None


def write(
    into: Path, results: Path, agreed: Settings, about: About, held: Examples | None, signer: Signer
) -> str:
    """Write the candidate of a run that came to its end, and sign it; return the model's digest.

    Args:
        into: The candidate's folder, which must not be there.
        results: What the ServerApp left.
        agreed: The federation's terms.
        about: What the operator says of the model.
        held: Rows that the server holds, float32[n, inputs] between 0 and 1, and their classes, int64[n]. Where it
            holds none, the gateway has no screen for novel inputs, and the card says so.
        signer: Of who vouches for it.

    Raises:
        FederatedError: the run failed, or the model is not one that is taken.
    """
    result, rounds, arrays = _read(results)
    try:
        screens, statistics = _screens(held)
        folder.write(
            into,
            graph=models.onnx_graph(arrays),
            schema=_schema(agreed, about),
            statistics=screens,
            arrays=statistics,
            card=_card(agreed, about, result, rounds, screened=held is not None),
            privacy=Privacy.model_validate(result["privacy"]),
            weights=_weights(arrays),
        )
        return signing.sign_candidate(into, signer)
    except (ModelError, ValueError) as error:
        raise FederatedError(f"{results}: makes no candidate: {error}") from None


def _read(results: Path) -> tuple[dict[str, Any], list[dict[str, Any]], models.Arrays]:
    try:
        if (failed := results / "failed.txt").exists():
            raise FederatedError(failed.read_text().strip())
        result = json.loads((results / "result.json").read_bytes())
        rounds = [json.loads(line) for line in (results / "rounds.jsonl").read_text().splitlines()]
        named = load((results / "model.safetensors").read_bytes())
    except OSError as error:
        raise FederatedError(f"{results}: holds no whole result: {error.strerror}") from None
    except (ValueError, SafetensorError) as error:
        raise FederatedError(f"{results}: is not what a ServerApp leaves: {error}") from None
    layers = len(named) // 2
    return (
        result,
        rounds,
        [named[f"{kind}{each}"] for each in range(layers) for kind in ("weights", "biases")],
    )


def _schema(agreed: Settings, about: About) -> Schema:
    return Schema(
        name=about.name,
        version=about.version,
        input=TensorInput(name=models.INPUT, shape=(agreed.inputs,), low=0, high=1),
        output=Output(name=models.OUTPUT, classes=about.classes),
        architecture=LOGISTIC if agreed.model == "softmax" else None,
    )


def _weights(arrays: models.Arrays) -> bytes | None:
    """Return softmax regression's weights under the names that its network gives them; another's are in the graph."""
    if len(arrays) != 2:
        return None
    # torch's Linear has [outputs, inputs].
    return save({"2.weight": np.ascontiguousarray(arrays[0].T), "2.bias": np.ascontiguousarray(arrays[1])})


def _screens(held: Examples | None) -> tuple[Statistics, dict[str, np.ndarray]]:
    if held is None:
        return Statistics(examples=1), {}
    half = len(held[0]) // 2
    calibrated, arrays = novelty.calibrated(
        held[0][:half], held[0][half:], false_positive_rate=FALSE_POSITIVES
    )
    return Statistics(examples=half, novelty=calibrated), arrays


def _card(
    agreed: Settings,
    about: About,
    result: dict[str, Any],
    rounds: list[dict[str, Any]],
    *,
    screened: bool,
) -> Card:
    last = rounds[-1]
    ended = (
        "after the agreed rounds" if result["stopped"] == "rounds" else "when the privacy budget was spent"
    )
    figures = {
        "rounds": float(last["round"]),
        "silos in the last round": float(last["silos"]),
        "bytes of a round": float(last["bytes"]),
    }
    named = {"accuracy": "accuracy on held-out rows", "loss": "loss on held-out rows"}
    figures |= {named[key]: float(last[key]) for key in named if last[key] is not None}
    return Card(
        title=about.title,
        intended_use=about.intended_use,
        limits=(
            f"Learned by a federation of {agreed.silos} silos, whose rows stayed where they are; it ended {ended}. "
            f"{result['statement']}\nInputs are scaled to 0 to 1. "
            + (
                "Figures and screens come from rows of the server's own."
                if screened
                else "The server holds no rows, so nothing was measured, and no screen knows a novel input."
            )
        ),
        dataset=about.dataset,
        purpose=about.purpose,
        trained_at=datetime.now(UTC),
        seed=agreed.seed,
        figures=figures,
        components=_components(),
    )


def _components() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for each in importlib.metadata.distributions():
        name = str(each.metadata["Name"] or "").lower().replace("_", "-")
        if 0 < len(name) <= LONGEST and 0 < len(each.version) <= LONGEST:
            found[name] = each.version
    return dict(sorted(found.items())[:MOST_COMPONENTS])
