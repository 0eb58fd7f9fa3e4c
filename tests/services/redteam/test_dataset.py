"""Examples from the data-access API as it is: those that a model was trained on, by the trainer's rule and not its word."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from services.data_api.declarations import load
from services.data_api.local import admin, environment, prepare
from services.data_api.postgres import Postgres
from services.data_api.settings import AUDIENCE
from services.modelchain.folder import Candidate
from services.redteam import dataset, settings
from services.redteam.errors import FAILED, REFUSED, RedTeamError
from services.redteam.settings import Settings
from services.shared.local import Issuer, certificates, free_port
from tests.services.data_api.conftest import World
from tests.services.modelchain import emulated
from tests.services.redteam import world

SEED, SHARE = 7, 0.25

PIXELS = [f"p{row}{column}" for row in range(8) for column in range(8)]

DECLARED: dict[str, Any] = {
    "name": "digits",
    "title": "Digits, some by the same hand",
    "table": "learning.digits",
    "key": ["sample"],
    "purposes": ["model-training"],
    "privacy": {"unit": "writer", "most_rows": 4},
    "budget": {"caller_milli_epsilon": 1000, "dataset_milli_epsilon": 1000},
    "columns": {
        "sample": {"type": "integer", "classification": "internal"},
        "writer": {"type": "integer", "classification": "internal"},
        "digit": {"type": "integer", "classification": "internal", "bounds": [0, 9]},
        **{name: {"type": "integer", "classification": "internal", "bounds": [0, 16]} for name in PIXELS},
    },
}

JOB: dict[str, Any] = {
    "name": "digits",
    "version": 1,
    "data": {
        "dataset": "digits",
        "purpose": "model-training",
        "columns": PIXELS,
        "label": "digit",
        "shape": [1, 8, 8],
    },
    "seed": SEED,
    "calibration": {"share": SHARE},
    "model": "mlp",
    "training": {"epochs": 3},
}


@dataclass
class Site:
    """A data-access API with digits, four rows to a writer."""

    world: World
    folder: Path
    told: Settings


async def _load(server: Postgres) -> None:
    found = load_digits()
    columns = ", ".join(f"{name} bigint NOT NULL" for name in PIXELS)
    rows = [
        (number, number // 4, *(int(each) for each in image), int(label))
        for number, (image, label) in enumerate(zip(found.data, found.target, strict=True))
    ]
    connection = await admin(server)
    try:
        await connection.execute(
            "CREATE SCHEMA learning; CREATE TABLE learning.digits (sample bigint PRIMARY KEY, "
            f"writer bigint NOT NULL, {columns}, digit bigint NOT NULL)"
        )
        await connection.copy_records_to_table("digits", schema_name="learning", records=rows)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for inner in ("database", "datasets"):
            (folder / inner).mkdir()
        server = Postgres(folder / "database")
        server.start()
        issuer, port = Issuer(folder, AUDIENCE), free_port()
        certificate, key = certificates(folder / "service-ca.pem")
        (folder / "service.pem").write_bytes(certificate + key)
        (folder / "datasets" / "digits.yaml").write_text(yaml.safe_dump(DECLARED))
        serving = environment(server, issuer, folder) | {
            "TLS_FILE": str(folder / "service.pem"),
            "PORT": str(port),
            "DATASETS_FOLDER": str(folder / "datasets"),
        }
        made = World(folder, server, issuer, serving, port, None)  # type: ignore[arg-type]
        (folder / "token").write_text(issuer.token("redteam:redteam"))
        told = settings.read(
            {
                "DATA_API_URL": made.address,
                "DATA_API_TOKEN_FILE": str(folder / "token"),
                "DATA_API_CA_FILE": str(folder / "service-ca.pem"),
            }
        )
        try:
            asyncio.run(_load(server))
            asyncio.run(prepare(server, load(folder / "datasets")))
            made.start()
            yield Site(made, folder, told)
        finally:
            if made.process is not None:
                made.stop()
            server.stop()


def candidate(tmp_path: Path, **card: Any) -> Candidate:
    said = {"purpose": "model-training", "seed": SEED, **card}
    return world.good().but(card=world.CARD.model_copy(update=said)).candidate(tmp_path / "candidate")


def job(tmp_path: Path, **changes: Any) -> dataset.Job:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({**JOB, **changes}))
    return dataset.job(path)


def refusal(site: Site, tmp_path: Path, told: Settings | None = None, **changes: Any) -> RedTeamError:
    with pytest.raises(RedTeamError) as refused:
        dataset.read(told or site.told, job(tmp_path, **changes), candidate(tmp_path))
    assert "\n" not in str(refused.value)
    return refused.value


def test_rows_are_split_by_the_rule(site: Site, tmp_path: Path) -> None:
    read = dataset.read(site.told, job(tmp_path), candidate(tmp_path))
    found = load_digits()
    inputs = (found.images[:, None] / 16).astype(np.float32)
    writers = np.arange(len(inputs)) // 4
    held = {
        writer
        for writer in range(writers.max() + 1)
        if int.from_bytes(hashlib.sha256(f"{SEED}/{writer}".encode()).digest()[:8], "big") < SHARE * 2**64
    }
    outside = [number for number, writer in enumerate(writers) if writer in held]
    first = [number for number, writer in enumerate(writers) if writer not in held and number % 4 == 0]
    assert np.array_equal(read.held_out.inputs, inputs[outside])
    assert np.array_equal(read.members.inputs, inputs[first])
    assert np.array_equal(read.members.labels, found.target[first])
    assert len(held) == pytest.approx(SHARE * 450, rel=0.25)


def test_what_another_training_read_is_no_measure(site: Site, tmp_path: Path) -> None:
    for changes, said in (
        ({"seed": 8}, "seed: is 8 in the job and 7 in the candidate"),
        ({"version": 2}, "version: is 2 in the job and 1 in the candidate"),
        ({"data": {**JOB["data"], "dataset": "others"}}, "data.dataset: is others in the job"),
    ):
        refused = refusal(site, tmp_path, **changes)
        assert said in str(refused)
        assert refused.code == FAILED
        for path in tmp_path.glob("candidate/model/*"):
            path.unlink()
        (tmp_path / "candidate" / "model").rmdir()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {**JOB["data"], "columns": ["p99"]}}, "digits: has no column p99"),
        (
            {"data": {**JOB["data"], "columns": ["writer"], "shape": None}},
            "writer is masked or has no bounds",
        ),
        ({"data": {**JOB["data"], "shape": None}}, "the model takes numbers [n, 1, 8, 8]"),
    ],
)
def test_rows_that_the_model_does_not_take_are_refused(
    site: Site, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    refused = refusal(site, tmp_path, **changes)
    assert said in str(refused)
    assert refused.code == REFUSED


def test_an_api_that_refuses_or_is_away_is_said(site: Site, tmp_path: Path) -> None:
    stranger = tmp_path / "token"
    stranger.write_text(site.world.issuer.token("analysis:stranger"))
    told = site.told.model_copy(update={"data_api_token_file": stranger})
    assert "digits cannot be read: 403" in str(refusal(site, tmp_path, told))


def test_an_api_with_another_authoritys_certificate_is_not_read(site: Site, tmp_path: Path) -> None:
    certificates(tmp_path / "other-ca.pem")
    told = site.told.model_copy(update={"data_api_ca_file": tmp_path / "other-ca.pem"})
    assert "digits cannot be read: [SSL: CERTIFICATE_VERIFY_FAILED]" in str(refusal(site, tmp_path, told))


def test_the_authority_comes_from_secrets_manager_on_the_cluster(site: Site) -> None:
    with emulated.kms():
        client = boto3.client("secretsmanager", region_name=emulated.REGION)
        pem = (site.folder / "service-ca.pem").read_text()
        client.create_secret(Name="redteam/data-api-ca", SecretString=pem)
        told = {"DATA_API_CA_SECRET_ID": "redteam/data-api-ca", "AWS_REGION": emulated.REGION}
        assert len(settings.trusted(settings.read(told)).get_ca_certs()) == 1
        missing = settings.read({**told, "DATA_API_CA_SECRET_ID": "redteam/other"})
        with pytest.raises(RedTeamError, match="DATA_API_CA_SECRET_ID: cannot be read from AWS"):
            settings.trusted(missing)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_api_url": None}, "DATA_API_URL: is not set"),
        ({"data_api_token_file": Path("missing")}, "DATA_API_TOKEN_FILE: cannot be read: No such file"),
        ({"data_api_ca_file": Path("missing")}, "DATA_API_CA_FILE: holds no certificates in PEM"),
    ],
)
def test_a_setting_that_is_missing_is_named(
    site: Site, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert said in str(refusal(site, tmp_path, site.told.model_copy(update=changes)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1", "name: field required"),
        ("- 1", "input should be an object"),
        ("a: [", "is not the YAML that is taken"),
        (yaml.safe_dump({**JOB, "seed": -1}), "seed: input should be greater than or equal to 0"),
        (yaml.safe_dump({**JOB, "calibration": {"share": 1}}), "calibration.share"),
        (yaml.safe_dump({**JOB, "data": {**JOB["data"], "columns": ["x; drop"]}}), "data.columns.0"),
    ],
)
def test_what_is_no_job_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(RedTeamError) as refused:
        dataset.job(path)
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(path))


def test_the_address_has_to_be_https() -> None:
    with pytest.raises(RedTeamError, match="DATA_API_URL: is not an https:// address"):
        settings.read({"DATA_API_URL": "http://data-api"})
