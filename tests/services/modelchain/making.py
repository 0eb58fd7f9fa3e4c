"""Tiny models, of numbers and of text, whole or broken in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from services.modelchain import strict_json, tensors
from services.modelchain.schema import (
    ARRAYS,
    CARD,
    GRAPH,
    PRIVACY,
    SCHEMA,
    STATISTICS,
    WEIGHTS,
    Calibrated,
    Card,
    Check,
    Output,
    Privacy,
    Schema,
    Statistics,
    TensorInput,
    TextInput,
    Verdict,
)

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)

SCHEMA_OF_NUMBERS = Schema(
    name="tiny",
    version=3,
    input=TensorInput(name="image", shape=(2, 2), low=0, high=1),
    output=Output(name="scores", classes=("cat", "dog", "owl")),
    architecture="linear",
)
SCHEMA_OF_TEXT = Schema(
    name="tiny-text",
    version=1,
    input=TextInput(name="message"),
    output=Output(name="scores", classes=("ham", "spam")),
)
CARD_OF_ALL = Card(
    title="Tiny",
    intended_use="Tests",
    limits="Knows nothing",
    dataset="made up",
    trained_at=NOW - timedelta(days=1),
    figures={"accuracy": 0.5},
)
PRIVACY_OF_ALL = Privacy(epsilon=3.0, delta=1e-5, accountant="prv")
STATISTICS_OF_NUMBERS = Statistics(examples=10, novelty=Calibrated(threshold=4.0, false_positive_rate=0.01))
ARRAYS_OF_NUMBERS: tensors.Arrays = {
    "mean": np.zeros(4, dtype=np.float32),
    "whitening": np.eye(4, dtype=np.float32)[:, :2],
    "residual": np.ones(1, dtype=np.float32),
}


def tensor(name: str, values: Any, dtype: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def graph_of_numbers() -> ModelProto:
    """float32[batch, 2, 2] to float32[batch, 3]."""
    weights = [[0.1 * row + column for column in range(3)] for row in range(4)]
    return model(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        ],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [tensor("weights", weights)],
    )


def graph_of_text() -> ModelProto:
    """string[batch, 1] to float32[batch, 2], by a tokenizer that ONNX itself has not."""
    return model(
        [
            helper.make_node(
                "Tokenizer",
                ["message"],
                ["tokens"],
                domain="com.microsoft",
                mark=0,
                mincharnum=1,
                pad_value="#",
                tokenexp="[a-z]+",
            ),
            helper.make_node("Flatten", ["tokens"], ["words"], axis=1),
            helper.make_node(
                "TfIdfVectorizer",
                ["words"],
                ["counts"],
                mode="TF",
                min_gram_length=1,
                max_gram_length=1,
                max_skip_count=0,
                ngram_counts=[0],
                ngram_indexes=[0, 1],
                pool_strings=["hello", "free"],
            ),
            helper.make_node("MatMul", ["counts", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        ],
        [helper.make_tensor_value_info("message", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [tensor("weights", np.eye(2))],
        {"": 20, "com.microsoft": 1},
    )


def model(
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    initializers: list[TensorProto],
    operator_sets: Mapping[str, int] | None = None,
) -> ModelProto:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    sets = [helper.make_opsetid(domain, version) for domain, version in (operator_sets or {"": 20}).items()]
    return helper.make_model(graph, opset_imports=sets, ir_version=10)


def files_of_numbers() -> dict[str, bytes]:
    """Every file of ``model/``, by name."""
    return {
        GRAPH: graph_of_numbers().SerializeToString(),
        SCHEMA: strict_json.written(SCHEMA_OF_NUMBERS),
        STATISTICS: strict_json.written(STATISTICS_OF_NUMBERS),
        ARRAYS: tensors.written(ARRAYS_OF_NUMBERS),
        CARD: strict_json.written(CARD_OF_ALL),
        PRIVACY: strict_json.written(PRIVACY_OF_ALL),
        WEIGHTS: tensors.written({"linear.weight": np.ones((4, 3), dtype=np.float32)}),
    }


def files_of_text() -> dict[str, bytes]:
    return {
        GRAPH: graph_of_text().SerializeToString(),
        SCHEMA: strict_json.written(SCHEMA_OF_TEXT),
        STATISTICS: strict_json.written(Statistics(examples=10)),
        ARRAYS: tensors.written({"counts": np.ones(2, dtype=np.float32)}),
        CARD: strict_json.written(CARD_OF_ALL),
        PRIVACY: strict_json.written(PRIVACY_OF_ALL),
    }


def laid(path: Path, files: Mapping[str, bytes]) -> Path:
    """Lay files into a folder, unasked and unchecked, as an attacker would; names may hold slashes."""
    for name, data in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def within(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


def everything(path: Path) -> dict[str, bytes]:
    """Return what lies in a folder, by relative name."""
    return {
        os.path.relpath(found, path): found.read_bytes()
        for found in sorted(path.rglob("*"))
        if found.is_file()
    }


def verdict(digest: str, **changes: Any) -> Verdict:
    check = Check(name="pgd accuracy", value=0.7, threshold=0.5, passed=True)
    usual: dict[str, Any] = {
        "model": SCHEMA_OF_NUMBERS.name,
        "version": SCHEMA_OF_NUMBERS.version,
        "model_digest": digest,
        "passed": True,
        "checks": (check,),
        "judged_at": NOW - timedelta(hours=1),
        "holds_until": NOW + timedelta(days=90),
        "thresholds_digest": "sha256:" + "0" * 64,
    }
    return Verdict(**{**usual, **changes})
