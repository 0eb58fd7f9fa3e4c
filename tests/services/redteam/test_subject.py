"""The model under attack: weights that are not the graph's are seen, and what cannot be attacked is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import numpy_helper

from services.redteam import chance, judgement, subject, thresholds
from services.redteam.attacks import autoattack, pgd
from services.redteam.errors import FAILED, Unfit
from services.redteam.thresholds import Tensor
from tests.services.redteam import world
from tests.services.redteam.attacks.planting import attacked
from tests.services.redteam.conftest import Opened


def judged(opened: Opened, made: world.Made) -> None:
    judgement.judge(
        opened(made), world.digits(), thresholds.read(thresholds.EXAMPLE), seed=0, watch=lambda *_: None
    )


def test_weights_of_another_model_are_refused(opened: Opened) -> None:
    # The weights of the robust one beside the graph of the fragile one: gradients would lead nowhere.
    shown = world.fragile().but(weights=world.good().weights)
    with pytest.raises(Unfit, match=r"weights\.safetensors: is another model than model\.onnx") as refused:
        judged(opened, shown)
    assert refused.value.code == FAILED


def test_weights_that_differ_on_what_no_example_is_are_refused(opened: Opened) -> None:
    # This one speaks up where the picture is mostly white, as no digit is.
    graph = _with_a_door(world.good().graph)
    with pytest.raises(Unfit, match="on noise"):
        judged(opened, world.good().but(graph=graph))


def _with_a_door(data: bytes) -> bytes:
    """Return a graph in which the class nought wins wherever more than 40 pixels' worth of ink lies."""
    model = onnx.load_model_from_string(data)
    softmax = model.graph.node[-1]
    logits = softmax.input[0]
    add = [
        numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
        numpy_helper.from_array(np.array(0, np.float32) + 40, "much"),
        numpy_helper.from_array(np.array([[100] + [0] * 9], np.float32), "push"),
    ]
    model.graph.initializer.extend(add)
    nodes = [
        onnx.helper.make_node("ReduceSum", [model.graph.input[0].name, "axes"], ["ink"], keepdims=1),
        onnx.helper.make_node("Greater", ["ink", "much"], ["inked"]),
        onnx.helper.make_node("Cast", ["inked"], ["number"], to=1),
        onnx.helper.make_node("Flatten", ["number"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "push"], ["door"]),
        onnx.helper.make_node("Add", [logits, "door"], ["pushed"]),
    ]
    softmax.input[0] = "pushed"
    del model.graph.node[-1]
    model.graph.node.extend([*nodes, softmax])
    return bytes(model.SerializeToString())


def test_weights_that_differ_where_the_attack_goes_are_refused(opened: Opened, tensor: Tensor) -> None:
    model, examples = opened(world.fragile()), attacked(40)
    # As a graph would that knows the examples by heart and answers otherwise beside them.
    known = {each.tobytes() for each in examples.inputs}
    honest = model.answers

    def answers(batch: np.ndarray) -> np.ndarray:
        by_heart = np.array([each.tobytes() in known for each in batch])
        return np.where(by_heart[:, None], honest(batch), 0.1).astype(np.float32)

    model.answers = answers  # type: ignore[method-assign]
    model.same(examples.inputs, "examples")
    chance.begin(0, "pgd")
    with pytest.raises(Unfit, match=r"on adversarial examples at 0\.1 their probabilities are"):
        pgd.adversarial(model, examples, 0.1, steps=20, restarts=1)
    with pytest.raises(Unfit, match=r"on adversarial examples at 0\.1 their probabilities are"):
        autoattack.adversarial(model, examples, 0.1, tensor.autoattack)


def test_the_same_model_by_another_runtime_is_the_same(opened: Opened) -> None:
    model = opened(world.good())
    by_weights = torch.softmax(torch.from_numpy(model.logits(attacked().inputs)), 1).numpy()
    assert np.abs(model.answers(attacked().inputs) - by_weights).max() < 1e-5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": None}, "weights.safetensors: is missing, or schema.json names no architecture"),
        ({"schema": world.schema(None)}, "is missing, or schema.json names no architecture"),
        ({"schema": world.schema("resnet")}, "schema.json: architecture: 'resnet' is not one of"),
        ({"schema": world.schema("logistic")}, "weights.safetensors: does not fit logistic"),
    ],
)
def test_what_cannot_be_attacked_is_refused(opened: Opened, changes: dict[str, object], said: str) -> None:
    with pytest.raises(Unfit) as refused:
        opened(world.good().but(**changes))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_that_are_no_numbers_are_refused(opened: Opened) -> None:
    state = {name: value.clone() for name, value in world.good().network.state_dict().items()}
    next(iter(state.values()))[0] = float("nan")
    broken = world.good().but(weights=safetensors.torch.save(state))
    with pytest.raises(Unfit, match="another model"):
        judged(opened, broken)


def test_a_graph_that_gives_no_numbers_is_refused(opened: Opened, tmp_path: Path) -> None:
    network = world.trained(world.few().members, epochs=1)
    with torch.no_grad():
        world.linear(network, -1).bias[0] = float("inf")
    model = subject.opened(world.made(network).candidate(tmp_path / "broken"))
    with pytest.raises(Unfit, match="not finite"):
        model.answers(attacked(1).inputs)
