"""What the ServerApp leaves: a line a round, the model, what is to be said of it; or one sentence on why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flwr.serverapp.grid import Grid
from safetensors.numpy import load

from services.federated import models, samples
from services.federated.apps import server
from services.federated.errors import FederatedError
from services.federated.settings import Settings
from services.modelchain.schema import Privacy
from tests.services.federated.inprocess import Silos, privacy, settings

MASKED = settings(protection="secure-aggregation", rounds=2, privacy=privacy())


def run(agreed: Settings, folder: Path, **environment: str) -> Silos:
    silos = Silos(agreed)
    silos.server.run_config["results"] = str(folder)
    server.run(cast(Grid, silos), silos.server, environment)
    return silos


def test_a_run_leaves_its_rounds_its_model_and_what_to_say_of_it(tmp_path: Path) -> None:
    run(MASKED, tmp_path / "results")
    rounds = [json.loads(line) for line in (tmp_path / "results" / "rounds.jsonl").read_text().splitlines()]
    assert [each["round"] for each in rounds] == [1, 2]
    assert rounds[0]["epsilon"] < rounds[1]["epsilon"] < 8
    assert all(each["silos"] == 3 and each["bytes"] > 10_000 for each in rounds)
    arrays = load((tmp_path / "results" / "model.safetensors").read_bytes())
    assert {name: array.shape for name, array in arrays.items()} == {"weights0": (64, 10), "biases0": (10,)}
    said = json.loads((tmp_path / "results" / "result.json").read_text())
    assert said["stopped"] == "rounds"
    assert Privacy.model_validate(said["privacy"]).epsilon == rounds[1]["epsilon"]
    assert "hides one record" in said["statement"]
    accuracy = models.loss_and_accuracy([arrays["weights0"], arrays["biases0"]], *samples.held_out())[1]
    assert accuracy == rounds[1]["accuracy"]
    assert np.isfinite(arrays["weights0"]).all()


def test_without_privacy_it_says_that_there_is_none(tmp_path: Path) -> None:
    run(settings(rounds=1), tmp_path, FEDERATED_SECURE_AGGREGATION="optional")
    said = json.loads((tmp_path / "result.json").read_text())
    assert Privacy.model_validate(said["privacy"]).reason_for_none
    assert json.loads((tmp_path / "rounds.jsonl").read_text())["epsilon"] is None


@pytest.mark.parametrize("environment", [{}, {"FEDERATED_SECURE_AGGREGATION": "required"}])
def test_a_server_takes_no_run_in_clear_unless_it_is_told_to(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with pytest.raises(FederatedError, match="takes secure-aggregation alone"):
        run(settings(rounds=1), tmp_path, **environment)
    assert "takes secure-aggregation alone" in (tmp_path / "failed.txt").read_text()
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    "said", ["", "{}", '{"rounds": 1, "silos": 3, "threshold": 1, "protection": "clear"}']
)
def test_terms_that_are_none_leave_one_sentence(tmp_path: Path, said: str) -> None:
    silos = Silos(MASKED)
    silos.server.run_config.update({"results": str(tmp_path), "settings": said})
    with pytest.raises(FederatedError):
        server.run(cast(Grid, silos), silos.server, {})
    assert (tmp_path / "failed.txt").read_text().startswith("settings")
    assert silos.sent == []


def test_an_older_runs_results_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    run(MASKED, tmp_path)
    broken = Silos(MASKED, gone=lambda silo, _message: silo < 2)
    broken.server.run_config["results"] = str(tmp_path)
    with pytest.raises(FederatedError):
        server.run(cast(Grid, broken), broken.server, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failed.txt"]


def test_a_folder_is_needed() -> None:
    silos = Silos(MASKED)
    silos.server.run_config["results"] = ""
    with pytest.raises(FederatedError, match="FEDERATED_RESULTS is not set"):
        server.run(cast(Grid, silos), silos.server, {})


def test_where_the_server_holds_no_rows_it_says_nothing_of_quality() -> None:
    agreed = settings(rounds=1, inputs=3, classes=2, held_out=None)
    rows: Any = (np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
    outcome = Silos(agreed, lambda _number: rows).federate()
    assert outcome.rounds[0].accuracy is None
    assert [array.shape for array in outcome.arrays] == [(3, 2), (2,)]
