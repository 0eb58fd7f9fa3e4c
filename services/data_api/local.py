"""The service on one's own machine: a database, a sample, a token, and lines to try (``make data-api``)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from services.data_api.declarations import Dataset, load
from services.data_api.migrate import migrate
from services.data_api.postgres import NoPostgres, Postgres
from services.data_api.settings import AUDIENCE, HERE
from services.shared.local import ISSUER, Issuer, certificates

SAMPLE = """
CREATE SCHEMA IF NOT EXISTS clinical;
CREATE TABLE clinical.breast_cancer (
    sample bigint PRIMARY KEY, patient text NOT NULL, postcode text NOT NULL, born date NOT NULL,
    mean_radius float8 NOT NULL, mean_texture float8 NOT NULL, mean_area float8 NOT NULL,
    mean_smoothness float8 NOT NULL, malignant boolean NOT NULL, ward text, consented boolean NOT NULL
);
"""


async def admin(server: Postgres) -> asyncpg.Connection[Any]:
    """Return a connection of the database's master user."""
    return await asyncpg.connect(host=str(server.folder), port=server.port, user="admin", database="postgres")


async def prepare(server: Postgres, datasets: dict[str, Dataset]) -> None:
    """Load the sample, migrate, and give the service its password."""
    connection = await admin(server)
    try:
        await connection.execute(SAMPLE)
        await connection.copy_records_to_table("breast_cancer", schema_name="clinical", records=sample_rows())
        await migrate(connection, datasets.values())
        # The password is our own, made of letters, digits, - and _.
        await connection.execute(f"ALTER ROLE data_api PASSWORD '{server.password}'")
        # Who may read the audit is another login, on this machine too.
        await connection.execute(
            f"CREATE ROLE auditor LOGIN PASSWORD '{server.password}' IN ROLE data_api_auditor"
        )
    finally:
        await connection.close()


def sample_rows() -> list[tuple[Any, ...]]:
    """Return scikit-learn's breast cancer data, with a made-up patient for each row."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    places = [
        list(data.feature_names).index(f"mean {name}") for name in ("radius", "texture", "area", "smoothness")
    ]
    return [
        (
            number,
            f"patient-{number % 400:04d}",
            f"{10_000 + number * 37 % 80_000}",
            date(1930, 1, 1) + timedelta(days=number * 31),
            *(float(row[place]) for place in places),
            bool(target == 0),
            (None, "north", "south", "west")[number % 4],
            number % 10 != 0,
        )
        for number, (row, target) in enumerate(zip(data.data, data.target, strict=True))
    ]


def environment(server: Postgres, issuer: Issuer, folder: Path) -> dict[str, str]:
    """Return the settings of a local service."""
    secret = folder / "pseudonyms"
    secret.write_bytes(os.urandom(32).hex().encode())
    return {
        "DATABASE_HOST": server.host,
        "DATABASE_PORT": str(server.port),
        "DATABASE_PASSWORD_FILE": str(server.password_file),
        **({"DATABASE_CA_FILE": str(server.ca_file)} if server.tls else {}),
        "CALLER_ISSUER": ISSUER,
        "CALLER_KEYS_FILE": str(issuer.keys_file),
        "PSEUDONYM_SECRET_FILE": str(secret),
    }


async def digits(server: Postgres) -> None:
    """Load scikit-learn's handwritten digits, a pixel a column, for who learns from them."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = ", ".join(f"p{row}{column} bigint NOT NULL" for row in range(8) for column in range(8))
    rows = [
        (number, *(int(value) for value in image), int(digit))
        for number, (image, digit) in enumerate(zip(data.data, data.target, strict=True))
    ]
    connection = await admin(server)
    try:
        await connection.execute(
            f"CREATE SCHEMA learning; CREATE TABLE learning.digits (sample bigint PRIMARY KEY, {pixels}, "
            "digit bigint NOT NULL)"
        )
        await connection.copy_records_to_table("digits", schema_name="learning", records=rows)
    finally:
        await connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m services.data_api.local", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="where keys, tokens and settings go, for other programs; must be empty"
    )
    parser.add_argument(
        "--digits", type=Path, metavar="FILE", help="declare and load the digits too; FILE declares them"
    )
    asked = parser.parse_args(arguments)
    try:
        if asked.folder is None:
            with tempfile.TemporaryDirectory() as name:
                return _run(Path(name), asked.digits, tell=True)
        return _run(asked.folder, asked.digits, tell=False)
    except NoPostgres as error:
        sys.stderr.write(f"data-api: {error}\n")
        return 2


def _run(folder: Path, declared: Path | None, *, tell: bool) -> int:
    datasets = folder / "datasets"
    shutil.copytree(HERE / "datasets", datasets)
    if declared is not None:
        shutil.copy(declared, datasets / "digits.yaml")
    # Where we are root, the database is another user's, and must be reached by it wherever ``folder`` is.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "database").mkdir()
        server = Postgres(Path(name) / "database")
        server.start()
        try:
            if declared is not None:
                asyncio.run(digits(server))
            asyncio.run(prepare(server, load(datasets)))
            settings = _settings(server, folder) | {"DATASETS_FOLDER": str(datasets)}
            if tell:
                _say(folder)
            subprocess.run(
                [sys.executable, "-m", "services.data_api"], env={**os.environ, **settings}, check=False
            )
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()
    return 0


def _settings(server: Postgres, folder: Path) -> dict[str, str]:
    """Return the settings of the service, and leave them and tokens in files for other programs."""
    issuer = Issuer(folder, AUDIENCE)
    certificate, key = certificates(folder / "service-ca.pem")
    (folder / "service.pem").write_bytes(certificate + key)
    settings = {**environment(server, issuer, folder), "TLS_FILE": str(folder / "service.pem")}
    for subject in ("training:trainer", "redteam:redteam"):
        (folder / f"{subject.partition(':')[2]}.token").write_text(issuer.token(subject))
    (folder / "settings.json").write_text(json.dumps(settings))
    return settings


def _say(folder: Path) -> None:
    say = sys.stderr.write
    token = (folder / "trainer.token").read_text()
    call = f"curl --cacert {folder}/service-ca.pem -H 'Authorization: Bearer {token}'"
    at = f"https://localhost:{os.environ.get('PORT', '8443')}/v1/datasets"
    say(
        f'\n{call} {at}\n\n{call} {at}/breast_cancer/records --json \'{{"purpose": "research", "limit": 3}}\'\n\n'
    )
    say(f'{call} {at}/breast_cancer/aggregates --json \'{{"purpose": "research", "kind": "mean", ')
    say('"column": "mean_radius", "milli_epsilon": 500}\'\n\nAudit events follow; Ctrl-C ends it.\n')


if __name__ == "__main__":
    raise SystemExit(main())
