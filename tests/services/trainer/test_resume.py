"""A training that is stopped after any step goes on to the same weights, the same account and the same curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from services.trainer import checkpoints
from services.trainer.errors import TrainerError
from services.trainer.training import Rows, Training, begun, rows
from tests.services.trainer.conftest import PLAIN, digits, examples, fresh, job

ROBUST: dict[str, Any] = {"robustness": {"epsilon": 0.1, "steps": 2}}
"""Attacks start at random places, so torch's own generator counts too."""

FEW: dict[str, Any] = {"training__epochs": 3, "training__batch_size": 50, "training__checkpoint_steps": 2}


@pytest.fixture(scope="module")
def data() -> Rows:
    values, labels = digits()
    return rows(examples(values[:300], labels[:300]), examples(values[300:350], labels[300:350]), (1, 8, 8))


class Stopped(Exception):
    """Somebody pulled the plug."""


def until_step(step: int | None) -> Any:
    def tell(training: Training) -> None:
        if training.step == step:
            raise Stopped

    return tell


@pytest.mark.parametrize("changes", [ROBUST, {**PLAIN, **ROBUST}, {"training__optimiser": "sgd"}])
def test_a_training_goes_on_from_where_it_was_stopped(
    data: Rows, tmp_path: Path, changes: dict[str, Any]
) -> None:
    asked = job(**{**changes, **FEW})
    whole = Training(asked, data, 10, begun(asked, fresh(), 300), {})
    (tmp_path / "whole").mkdir()
    whole.run(tmp_path / "whole", until_step(None))
    torch.rand(3)
    # Stopped between two checkpoints, at one, and before the first.
    for step in (1, 7, 12):
        folder = tmp_path / str(step)
        folder.mkdir()
        first = Training(asked, data, 10, begun(asked, fresh(), 300), {})
        first.save(folder)
        with pytest.raises(Stopped):
            first.run(folder, until_step(step))
        kept = checkpoints.read(folder)
        assert kept is not None
        assert kept[0].step == step - step % 2
        again = Training(asked, data, 10, *kept)
        again.run(folder, until_step(None))
        for one, other in zip(whole.plain.parameters(), again.plain.parameters(), strict=True):
            assert torch.equal(one, other), f"stopped after step {step}"
        assert again.epsilon == whole.epsilon
        assert again.curve == whole.curve


def test_a_checkpoint_runs_nothing_and_is_its_owners_alone(data: Rows, tmp_path: Path) -> None:
    asked = job(**FEW)
    Training(asked, data, 10, begun(asked, fresh(), 300), {}).save(tmp_path)
    path = tmp_path / checkpoints.NAME
    assert path.stat().st_mode & 0o077 == 0
    assert int.from_bytes(path.read_bytes()[:8], "little") < 10_000, "safetensors: a length, JSON, numbers"
    assert path.read_bytes()[8:9] == b"{"
    assert fresh().secret not in repr(checkpoints.read(tmp_path)), (
        "a secret does not get into logs by accident"
    )


def test_weights_that_are_no_numbers_make_no_model(data: Rows, tmp_path: Path) -> None:
    asked = job(**{**PLAIN, **FEW})

    def overflow(training: Training) -> None:
        with torch.no_grad():
            next(training.plain.parameters())[0, 0] = torch.inf

    with pytest.raises(TrainerError, match="the weights grew without bound"):
        Training(asked, data, 10, begun(asked, fresh(), 300), {}).run(tmp_path, overflow)
