"""Keys, and a gateway that serves digits and spam."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.services.gateway.world import People, World, digits_model, graph, spam_model


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People.made(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, people: People) -> Iterator[World]:
    """A gateway that runs; nobody may change what it serves."""
    made = World.made(tmp_path_factory.mktemp("world"), people)
    made.release(digits_model())
    made.release(spam_model())
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def own(tmp_path: Path, people: People) -> Iterator[World]:
    """A gateway of one's own, not started: digits alone are declared, and nothing is released."""
    made = World.made(tmp_path, people)
    (made.folder / "serving.yaml").write_text("models: {digits: }\n")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def slow_graph() -> bytes:
    """A graph that takes many seconds for a thousand inputs: a product with one matrix, again and again."""
    nodes = [
        helper.make_node("MatMul", [f"x{n}" if n else "x", "w"], [f"x{n + 1}" if n < 399 else "y"])
        for n in range(400)
    ]
    weights = {"w": np.full((700, 700), 1e-3, np.float32)}
    return graph(nodes, ("x", (700,)), ("y", 700), weights)
