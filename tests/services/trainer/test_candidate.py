"""The candidate: a graph that answers as torch does, statistics of nobody who trained, and a bucket that holds it whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import boto3
import numpy as np
import onnx
import pytest
import torch
from moto import mock_aws

from services.shared.architectures import ARCHITECTURES, build
from services.trainer import bucket, export
from services.trainer.checkpoints import Point
from services.trainer.curves import svg
from services.trainer.errors import TrainerError, TryAgain
from services.trainer.settings import Settings
from services.trainer.split import halves, held_out
from tests.services.trainer.conftest import digits, examples


def settings(**more: str) -> Settings:
    told = {"data_api_url": "https://a", "data_api_token_file": "t", "most_epsilon": 1, "most_delta": 0.1}
    return Settings.model_validate({**told, **more})


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_network_is_exported_and_answers_the_same(name: str) -> None:
    torch.manual_seed(1)
    network = build(name, shape=(1, 8, 8), classes=10, low=0, high=1)
    graph = export.graph(network, (1, 8, 8))
    inputs = torch.rand(37, 1, 8, 8)
    export.same(export.Answers(graph), network, inputs)
    # Another model's graph is found out.
    other = build(name, shape=(1, 8, 8), classes=10, low=0, high=1)
    with pytest.raises(TrainerError, match="answers otherwise than torch"):
        export.same(export.Answers(graph), other, inputs)
    (taken,) = onnx.load_model_from_string(graph).graph.input
    assert taken.type.tensor_type.shape.dim[0].dim_param, "batches of any size"


def test_a_unit_is_held_out_whole_and_always_the_same() -> None:
    units = np.array([f"patient-{number % 500}" for number in range(1500)])
    mask = held_out(units, 7, 0.2)
    for unit in ("patient-0", "patient-250"):
        assert len(set(mask[units == unit])) == 1
    assert 0.15 < mask.mean() < 0.25
    assert np.array_equal(held_out(units[::-1], 7, 0.2)[::-1], mask), "whatever the order"
    assert not np.array_equal(held_out(units, 8, 0.2), mask)
    # As the page says: the first 8 bytes of SHA-256 over seed/unit. The red team tells it again from that alone.
    fractions = [int(hashlib.sha256(f"7/{unit}".encode()).hexdigest()[:16], 16) / 2**64 for unit in units]
    assert np.array_equal(mask, np.array(fractions) < 0.2)


def test_halves_have_nobody_in_common() -> None:
    made = examples(*digits())[np.arange(101)]
    one, other = halves(made, 3)
    assert (len(one), len(other)) == (50, 51)
    assert not set(one.keys) & set(other.keys)


def test_curves_are_the_same_picture_again_and_have_labels() -> None:
    curve = [Point(epoch=n, loss=1 / n, accuracy=1 - 0.5 / n, epsilon=0.3 * n) for n in range(1, 9)]
    picture = svg(curve, "digits 1")
    assert picture == svg(curve, "digits 1")
    for words in (b"epsilon so far", b"accuracy, held out", b"digits 1"):
        assert words in picture
    plain = [point.model_copy(update={"epsilon": None}) for point in curve]
    assert b"epsilon so far" not in svg(plain, "digits 1")


def test_a_candidate_is_uploaded_whole_and_its_signature_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    files = {}
    for name in ("model/model.onnx", "curves.svg", "model.sig"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        files[name] = path
    told = settings(model_bucket="models", aws_region="eu-west-1")
    assert bucket.upload(settings(), "digits", 3, files) is None
    with mock_aws():
        client = boto3.client("s3", region_name="eu-west-1")
        with pytest.raises(TryAgain, match="MODEL_BUCKET: the candidate is not there yet"):
            bucket.upload(told, "digits", 3, files)
        client.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        assert bucket.upload(told, "digits", 3, files) == "s3://models/candidates/digits/3/"
        put = [each["Key"] for each in client.list_objects_v2(Bucket="models")["Contents"]]
        assert sorted(put) == sorted(f"candidates/digits/3/{name}" for name in files)
        kept = client.get_object(Bucket="models", Key="candidates/digits/3/model.sig")
        assert kept["Body"].read() == b"model.sig"
