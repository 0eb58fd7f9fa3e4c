"""The data-access API as it is, over digits and breast cancer data; jobs, keys and a trainer's environment."""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_digits

from services.data_api.declarations import load
from services.data_api.local import admin, environment, prepare
from services.data_api.postgres import Postgres
from services.data_api.settings import AUDIENCE, HERE
from services.modelchain.keys import make_keys
from services.shared.local import Issuer, certificates, free_port
from services.trainer import job as jobs
from services.trainer.__main__ import main
from services.trainer.checkpoints import State
from services.trainer.examples import Examples
from services.trainer.job import Job
from services.trainer.training import Training, begun, rows
from tests.services.data_api.conftest import World

SAMPLES = Path(jobs.__file__).parent / "samples"

ROWS = 700
"""Rows of the smaller digits: enough to learn, few enough to be quick."""

VARIANTS = {
    "digits_few": f"sample < {ROWS}",
    "digits_poor": "sample < 400",
    "digits_none": "sample < 0",
    "digits_threes": "digit = 3",
    "digits_flipped": f"sample >= 10000 AND sample < {10000 + ROWS}",
}
"""Datasets over the same table, by which rows they have."""

Patched = dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return float32[1797, 64] between 0 and 1 and int64[1797], in an order that follows nothing."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return (data.data[order] / 16).astype(np.float32), data.target[order].astype(np.int64)


def examples(values: np.ndarray, labels: np.ndarray, classes: int = 10) -> Examples:
    names = np.arange(len(labels)).astype(str)
    return Examples(
        keys=names,
        units=names,
        values=values,
        labels=labels.astype(np.int64),
        classes=tuple(str(number) for number in range(classes)),
    )


def said(**changes: Any) -> Patched:
    """Return the sample's job with changes, ``a__b`` for ``a.b``; what is None is left out."""
    made: Patched = yaml.load((SAMPLES / "job.yaml").read_bytes(), jobs._Loader)  # noqa: S506
    made = copy.deepcopy(made)
    for path, value in changes.items():
        *folders, last = path.split("__")
        place = made
        for folder in folders:
            place = place.setdefault(folder, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return made


def job(**changes: Any) -> Job:
    return jobs.parsed(yaml.safe_dump(said(**changes)).encode(), "job.yaml")


PLAIN: Patched = {
    "privacy": {"reason_for_none": "The digits are public."},
    "training__batch_size": 64,
    "training__learning_rate": 0.005,
}
"""Changes that make a job plain."""


def fresh(secret: str = "1" * 64) -> State:
    return State(job="0" * 64, name="digits", version=1, started_at=datetime.now(UTC), step=0, secret=secret)


def trained(
    asked: Job,
    values: np.ndarray,
    labels: np.ndarray,
    held_values: np.ndarray,
    held_labels: np.ndarray,
    *,
    state: State | None = None,
) -> Training:
    """Train in this process, without data-access API and signatures."""
    training = rows(examples(values, labels), examples(held_values, held_labels), asked.data.example_shape)
    learnt = Training(asked, training, 10, begun(asked, state or fresh(), len(labels)), {})
    with tempfile.TemporaryDirectory() as folder:
        learnt.run(Path(folder), lambda _: None)
    return learnt


@dataclass
class Site:
    """Everything that a trainer needs."""

    world: World
    folder: Path
    environment: dict[str, str]

    def write(self, into: Path, **changes: Any) -> Path:
        """Write a job's file."""
        path = into / "job.yaml"
        path.write_text(yaml.safe_dump(said(**changes)))
        return path

    def vouch(self, path: Path) -> Path:
        """Vouch for the data of a job; return the manifest's folder."""
        folder = path.parent / "manifest"
        shutil.rmtree(folder, ignore_errors=True)
        arguments = [str(path), "--key", str(self.folder / "steward.key"), "--out", str(folder)]
        assert main(["manifest", *arguments]) == 0
        return folder

    def run(self, path: Path, *, manifest: Path | None = None, out: Path | None = None) -> int:
        folder = manifest or self.vouch(path)
        return main(["run", str(path), "--manifest", str(folder), "--out", str(out or path.parent / "out")])

    def spent(self, dataset: str) -> int:
        found = self.world.sql(
            "SELECT spent_milli FROM budget.account WHERE dataset = $1 AND principal = '*'", dataset
        )
        return int(found[0][0]) if found else 0


def declarations(into: Path) -> Path:
    """Write the declarations of all datasets."""
    shutil.copytree(HERE / "datasets", into)
    sample = (SAMPLES / "digits.yaml").read_text()
    for name, rows_of in VARIANTS.items():
        made = yaml.safe_load(sample) | {"name": name, "row_filter": rows_of}
        (into / f"{name}.yaml").write_text(yaml.safe_dump(made))
    return into


async def _load(server: Postgres) -> None:
    data = load_digits()
    generator = np.random.default_rng(5)
    pixels = ", ".join(f"p{row}{column} bigint NOT NULL" for row in range(8) for column in range(8))
    flipped = data.target.copy()
    which = generator.permutation(ROWS)[: ROWS // 4]
    flipped[which] = (flipped[which] + generator.integers(1, 10, len(which))) % 10
    records = [
        (first + number, *(int(value) for value in image), int(labels[number]))
        for first, labels in ((0, data.target), (10000, flipped))
        for number, image in enumerate(data.data[: None if first == 0 else ROWS])
    ]
    connection = await admin(server)
    try:
        await connection.execute(
            f"CREATE SCHEMA learning; CREATE TABLE learning.digits (sample bigint PRIMARY KEY, {pixels}, "
            "digit bigint NOT NULL)"
        )
        await connection.copy_records_to_table("digits", schema_name="learning", records=records)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "database").mkdir()
        server = Postgres(folder / "database")
        server.start()
        issuer, port = Issuer(folder, AUDIENCE), free_port()
        certificate, key = certificates(folder / "service-ca.pem")
        (folder / "service.pem").write_bytes(certificate + key)
        datasets = declarations(folder / "datasets")
        serving = environment(server, issuer, folder) | {
            "TLS_FILE": str(folder / "service.pem"),
            "PORT": str(port),
            "DATASETS_FOLDER": str(datasets),
        }
        world = World(folder, server, issuer, serving, port, None)  # type: ignore[arg-type]
        keys = folder / "keys"
        keys.mkdir()
        for who in ("steward", "trainer", "stranger"):
            make_keys(keys, who)
        (keys / "token").write_text(issuer.token())
        settings = {
            "DATA_API_URL": world.address,
            "DATA_API_TOKEN_FILE": str(keys / "token"),
            "DATA_API_CA_FILE": str(folder / "service-ca.pem"),
            "DP_EPSILON": "10",
            "DP_DELTA": "0.001",
            "MANIFEST_KEY_FILE": str(keys / "steward.pub"),
            "SIGNING_KEY_FILE": str(keys / "trainer.key"),
        }
        try:
            asyncio.run(_load(server))
            asyncio.run(prepare(server, load(datasets)))
            world.start()
            yield Site(world, keys, settings)
        finally:
            if world.process is not None:
                world.stop()
            server.stop()


@pytest.fixture
def trainer(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site, in the environment of this process."""
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    return site


def report(folder: Path) -> Any:
    return json.loads((folder / "quarantine" / "report.json").read_text())


Refusal = Callable[..., str]


@pytest.fixture
def refused(trainer: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Return what a job is refused with: one line, code 2, and nothing charged."""

    def refused(*, code: int = 2, manifest: Path | None = None, **changes: Any) -> str:
        path = trainer.write(tmp_path, **changes)
        dataset = said(**changes)["data"]["dataset"]
        before = trainer.spent(dataset)
        capsys.readouterr()
        found = trainer.run(path, manifest=manifest)
        told = capsys.readouterr().err
        assert found == code, told
        assert trainer.spent(dataset) == before, "a job that is refused costs nothing"
        last = told.splitlines()[-1]
        assert last.startswith("trainer: "), told
        assert "Traceback" not in told
        return last.removeprefix("trainer: ")

    return refused
