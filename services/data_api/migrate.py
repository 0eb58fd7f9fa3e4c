"""Brings a database to what the service needs: roles, audit, ledger, and reading rights on declared columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg

from services.data_api.declarations import Dataset, quoted
from services.data_api.query import table

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
