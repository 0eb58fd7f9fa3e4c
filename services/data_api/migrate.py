"""Brings a database to what the service needs: roles, audit, ledger, and reading rights on declared columns."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from services.data_api.database import CONNECT_SECONDS, verify_full
from services.data_api.declarations import Dataset, DeclarationError, load, quoted
from services.data_api.query import table
from services.data_api.settings import Settings, read
from services.shared.settings import SettingsError

FOLDER = Path(__file__).parent / "migrations"


async def migrate(connection: asyncpg.Connection[Any], datasets: Iterable[Dataset]) -> None:
    """Run every migration (each may run again) and grant the declared columns, and no others."""
    for path in sorted(FOLDER.glob("*.sql")):
        await connection.execute(path.read_text())
    for dataset in datasets:
        schema = quoted(dataset.table.split(".")[0])
        columns = ", ".join(quoted(name) for name in [*dataset.columns, *dataset.filter_columns])
        await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO data_api")
        await connection.execute(f"REVOKE ALL ON {table(dataset)} FROM data_api")
        await connection.execute(f"GRANT SELECT ({columns}) ON {table(dataset)} TO data_api")


async def _run(settings: Settings, user: str, password: str) -> None:
    socket = settings.database_host.startswith("/")
    connection = await asyncpg.connect(
        host=settings.database_host,
        port=settings.database_port,
        database=settings.database_name,
        user=user,
        password=password,
        ssl=False if socket else verify_full(settings),
        timeout=CONNECT_SECONDS,
    )
    try:
        await migrate(connection, load(settings.datasets_folder).values())
    finally:
        await connection.close()


def _master(settings: Settings, secret_id: str) -> tuple[str, str]:
    """Return name and password of the master user, as RDS keeps them in AWS Secrets Manager."""
    import boto3

    client = boto3.client("secretsmanager", region_name=settings.aws_region)
    kept = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    return str(kept["username"]), str(kept["password"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate as the master user; the database is the one that the service's own settings name."""
    parser = argparse.ArgumentParser(
        prog="python -m services.data_api.migrate",
        description="Makes roles, audit and ledger, and grants the declared columns; may be run again at any time.",
    )
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--secret", metavar="ID", help="RDS's own secret of the master user (needs AWS)")
    who.add_argument("--user", help="the master user, with --password-file")
    parser.add_argument("--password-file", type=Path)
    asked = parser.parse_args(arguments)
    if asked.user and not asked.password_file:
        parser.error("--user needs --password-file")
    try:
        settings = read(os.environ)
        if asked.secret:
            user, password = _master(settings, asked.secret)
        else:
            user, password = asked.user, asked.password_file.read_text().strip()
        asyncio.run(_run(settings, user, password))
    except (SettingsError, DeclarationError, OSError, asyncpg.PostgresError, ValueError, KeyError) as error:
        # What the database says may hold SQL, and never holds data here: there is none in a migration.
        sys.stderr.write(f"migrate: {str(error).splitlines()[0] if str(error) else type(error).__name__}\n")
        return 2
    sys.stdout.write("migrated\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
