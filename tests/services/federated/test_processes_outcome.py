"""What a run leaves becomes a candidate that the whole chain takes, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import numpy as np
import onnxruntime
import pytest
from moto import mock_aws

from services.federated import models, outcome, samples, settings
from services.federated.errors import FederatedError
from services.federated.local import MODES, terms
from services.federated.places import Server
from services.federated.rounds import Outcome, Round
from services.modelchain import signing
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer, file_signer, file_verifier, make_keys
from services.modelchain.schema import GRAPH

VERSION = 7


@pytest.fixture
def key(tmp_path: Path) -> Signer:
    return file_signer(make_keys(tmp_path, "federation")[0])


@pytest.fixture
def places(tmp_path: Path) -> Server:
    return Server(state_folder=tmp_path / "state", results_folder=tmp_path / "results")


def left(places: Server, mode: str = "secagg-dp", **other: object) -> settings.Settings:
    """Leave what a ServerApp leaves; return the terms."""
    agreed = terms(mode, silos=3, rounds=2).model_copy(update=other)
    network = models.network(agreed)
    drawn = np.random.default_rng(1)
    arrays = [drawn.normal(size=shape).astype(np.float32) for shape in network.shapes]
    private = agreed.privacy is not None
    rounds = [
        Round(
            round=number,
            silos=3,
            loss=2.0,
            accuracy=0.5,
            epsilon=1.5 if private else None,
            delta=1e-5 if private else None,
            bytes=1000,
            seconds=1.0,
        )
        for number in (1, 2)
    ]
    places.results.mkdir(parents=True)
    from dataclasses import asdict

    (places.results / "rounds.jsonl").write_text("".join(f"{json.dumps(asdict(each))}\n" for each in rounds))
    Outcome(arrays=arrays, rounds=rounds, stopped="rounds", settings=agreed).write(places.results)
    return agreed


def test_a_result_becomes_a_candidate_that_is_signed_and_says_what_the_federation_reveals(
    places: Server, key: Signer, tmp_path: Path
) -> None:
    agreed = left(places)
    made = Path(outcome.made(places, key, agreed, VERSION))
    found = signing.verify_candidate(made, file_verifier(tmp_path / "federation.pub"))
    assert (found.schema.name, found.schema.version) == ("federated", VERSION)
    assert found.privacy.epsilon == 1.5
    assert "none by itself" in found.card.limits
    assert found.statistics.novelty is not None
    x, _ = samples.held_out()
    (said,) = onnxruntime.InferenceSession(found.files[GRAPH]).run(None, {models.INPUT: x[:5]})
    assert np.allclose(said.sum(axis=1), 1, atol=1e-5)


def test_a_candidate_that_was_changed_is_not_the_federations(
    places: Server, key: Signer, tmp_path: Path
) -> None:
    made = Path(outcome.made(places, key, left(places), VERSION))
    card = made / "model" / "card.json"
    card.write_text(card.read_text().replace("none by itself", "every one"))
    with pytest.raises(ModelError, match="was changed"):
        signing.verify_candidate(made, file_verifier(tmp_path / "federation.pub"))


def test_without_rows_of_its_own_the_card_says_that_nothing_was_measured(
    places: Server, key: Signer, tmp_path: Path
) -> None:
    made = Path(outcome.made(places, key, left(places, "plain", held_out=None), VERSION))
    found = signing.verify_candidate(made, file_verifier(tmp_path / "federation.pub"))
    assert "nothing was measured" in found.card.limits
    assert found.privacy.epsilon is None
    assert found.statistics.novelty is None


def test_a_run_that_failed_or_broke_off_makes_no_candidate(places: Server, key: Signer) -> None:
    agreed = left(places)
    (places.results / "failed.txt").write_text("round 2: too few silos answered\n")
    with pytest.raises(FederatedError, match="too few silos answered"):
        outcome.made(places, key, agreed, VERSION)
    (places.results / "failed.txt").unlink()
    whole = (places.results / "model.safetensors").read_bytes()
    for broken in (whole[:100], b"", b"\0" * 64):
        (places.results / "model.safetensors").write_bytes(broken)
        with pytest.raises(FederatedError, match="is not what a ServerApp leaves"):
            outcome.made(places, key, agreed, VERSION)
    assert not (places.state_folder / "candidates" / str(VERSION)).exists()


def test_in_aws_it_goes_under_the_prefix_of_candidates_signature_last(
    places: Server, key: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    agreed = left(places)
    there = places.model_copy(update={"model_bucket": "models", "aws_region": "us-east-1"})
    with mock_aws():
        with pytest.raises(FederatedError, match="the candidate is not there yet"):
            outcome.made(there, key, agreed, VERSION)
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="models")
        assert outcome.made(there, key, agreed, VERSION) == f"s3://models/candidates/federated/{VERSION}/"
        names = [each["Key"] for each in s3.list_objects_v2(Bucket="models")["Contents"]]
    assert f"candidates/federated/{VERSION}/model.sig" in names
    assert f"candidates/federated/{VERSION}/model/{GRAPH}" in names


@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_mode_of_the_command_is_one_that_the_settings_take(mode: str) -> None:
    assert terms(mode, silos=5, rounds=2).silos == 5


def test_a_mode_that_cannot_be_is_refused_plainly() -> None:
    with pytest.raises(FederatedError, match="silos"):
        terms("secagg", silos=2, rounds=1)
