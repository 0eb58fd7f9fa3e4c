"""The job on the cluster: a candidate out of the bucket, and back into it what withstood and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from services.modelchain import keys, release, signing
from services.modelchain.schema import VERDICT_FILE
from services.redteam import dataset, settings, thresholds
from services.redteam.__main__ import main
from services.redteam.bucket import Bucket
from services.redteam.errors import FAILED, PASSED, REFUSED
from tests.services.modelchain import emulated
from tests.services.redteam import world

BUCKET = "models"


class Cloud:
    """A bucket, two keys, and the job's environment."""

    def __init__(self, kms: Any) -> None:
        self.s3 = boto3.client("s3", region_name=emulated.REGION)
        where = {"LocationConstraint": emulated.REGION}
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        self.trainer, self.redteam = emulated.key(kms), emulated.key(kms)
        self.environment = {
            "MODEL_BUCKET": BUCKET,
            "CANDIDATE_PREFIX": "candidates/",
            "RELEASE_PREFIX": "released/",
            "SIGNING_KEY_ARN": self.redteam,
            "TRAINER_KEY_ARN": self.trainer,
            "AWS_REGION": emulated.REGION,
        }

    def hand_over(self, made: world.Made, folder: Path, where: str = "digits/1") -> None:
        """Upload a candidate as the trainer does."""
        candidate = made.write(folder)
        signing.sign_candidate(candidate, keys.kms_signer(self.trainer, emulated.REGION))
        for path in candidate.rglob("*"):
            if path.is_file():
                key = f"candidates/{where}/{path.relative_to(candidate).as_posix()}"
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
        self.s3.put_object(Bucket=BUCKET, Key=f"candidates/{where}/curves.svg", Body=b"<svg/>")

    def keys(self, prefix: str) -> list[str]:
        page = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in page.get("Contents", [])]

    def fetch(self, prefix: str, into: Path) -> Path:
        for key in self.keys(prefix):
            path = into / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        return into


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with emulated.kms() as kms:
        made = Cloud(kms)
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        # The data-access API has tests of its own (test_dataset.py); here it is in the way.
        monkeypatch.setattr(dataset, "job", lambda path: path)
        monkeypatch.setattr(dataset, "read", lambda *_: world.digits())
        yield made


def gate(*more: str) -> int:
    return main(["gate", "digits", "1", "--thresholds", str(thresholds.EXAMPLE), "--job", "job.yaml", *more])


def test_what_withstands_is_released_whole_and_once(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.hand_over(world.good(), tmp_path / "candidate")
    assert gate() == PASSED
    assert "released into s3://models/released/digits/1/" in capsys.readouterr().err
    opened = release.open_release(
        cloud.fetch("released/digits/1/", tmp_path / "release"),
        trainer=keys.kms_verifier(cloud.trainer, emulated.REGION),
        redteam=keys.kms_verifier(cloud.redteam, emulated.REGION),
        now=datetime.now(UTC),
    )
    assert opened.verdict.passed
    (page,) = [each for each in cloud.keys("released/_judged/digits/1/") if each.endswith("verdict.html")]
    assert page
    before = cloud.keys("released/digits/")
    assert gate() == REFUSED
    assert "is already there; a version is released once" in capsys.readouterr().err
    assert cloud.keys("released/digits/") == before


def test_the_verdicts_signature_is_put_last(cloud: Cloud, tmp_path: Path) -> None:
    order: list[str] = []
    bucket = Bucket(settings.read(cloud.environment))
    put = bucket._client.put_object

    def noted(**said: Any) -> None:
        order.append(said["Key"])
        put(**said)

    bucket._client.put_object = noted
    for name in ("verdict.sig", "verdict/verdict.json", "model/model.onnx", "model.sig"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    bucket.put(tmp_path, "digits/2")
    assert order[-1] == "released/digits/2/verdict.sig"
    assert len(order) == 4


def test_what_fails_is_not_released_and_its_verdict_is_there_to_read(cloud: Cloud, tmp_path: Path) -> None:
    cloud.hand_over(world.backdoored(), tmp_path / "candidate")
    assert gate() == FAILED
    assert cloud.keys("released/digits/") == []
    names = {each.rpartition("/")[2] for each in cloud.keys("released/_judged/digits/1/")}
    assert names == {VERDICT_FILE, "verdict.sig", "verdict.html"}


def test_a_candidate_under_another_models_name_is_not_released(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = world.schema().model_copy(update={"name": "letters"})
    cloud.hand_over(world.good().but(schema=schema), tmp_path / "candidate")
    assert gate() == FAILED
    assert "digits 1: is letters/1 by its own word" in capsys.readouterr().err
    assert cloud.keys("released/") == []


def test_a_candidate_that_is_not_there_or_not_signed_is_refused(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate() == REFUSED
    assert "s3://models/candidates/digits/1/: there is no candidate" in capsys.readouterr().err
    cloud.hand_over(world.good(), tmp_path / "candidate")
    cloud.s3.delete_object(Bucket=BUCKET, Key="candidates/digits/1/model.sig")
    assert gate() == FAILED
    assert "nobody vouches for model/" in capsys.readouterr().err
    assert cloud.keys("released/") == []


def test_a_file_that_is_too_large_is_not_fetched(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.redteam.bucket.MOST_TOTAL_BYTES", 1000)
    cloud.hand_over(world.good(), tmp_path / "candidate")
    assert gate() == REFUSED
    assert "is too large" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["MODEL_BUCKET", "SIGNING_KEY_ARN", "TRAINER_KEY_ARN", "AWS_REGION"])
def test_a_setting_that_is_missing_is_named(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    assert gate() == REFUSED
    assert f"redteam: {name}: is not set" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../up", "_judged", "Digits", ""])
def test_a_name_that_is_none_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gate", name, "1", "--thresholds", "t", "--job", "j"])
    assert ended.value.code == REFUSED
    assert "names no model" in capsys.readouterr().err
