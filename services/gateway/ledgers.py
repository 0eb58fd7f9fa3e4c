"""Where the day's queries are counted for all replicas: DynamoDB in AWS, a file of SQLite on one machine.

A replica takes a share in advance and serves from it, so that most queries cost no call. What a replica took and did
not use is lost when it ends: to give it back could be done twice, and then somebody has more than he may.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

KEPT_DAYS = 2
"""A row stays so long after its day: clocks may differ, and one that is put back must find what was taken."""

_ATTEMPTS = 8


class LedgerAway(Exception):
    """The ledger gave no answer: nobody may be served on a guess."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What was granted, and what all replicas together have taken of the day since."""

    granted: int
    taken: int


class Ledger(Protocol):
    """Counts what was taken. Calls block; they may come from several threads."""

    def lease(self, day: date, principal: str, model: str, *, least: int, share: int, most: int) -> Lease:
        """Take ``share`` of the day, or what is left of it, and nothing where that is less than ``least``.

        Raises:
            Exception: of any kind; whether something was taken is then unknown, and nothing was granted.
        """


def row_id(day: date, principal: str, model: str) -> str:
    """Return the name of a row: of fixed length, whatever a principal calls himself."""
    named = json.dumps([day.isoformat(), model, principal])
    return hashlib.sha256(named.encode()).hexdigest()


class DynamoLedger:
    """A table whose hash key is ``account`` and whose TTL attribute is ``forget_at``."""

    def __init__(self, table: Any) -> None:
        """Take a boto3 resource of the table, with timeouts."""
        self._table = table

    def lease(self, day: date, principal: str, model: str, *, least: int, share: int, most: int) -> Lease:
        """Take a share, in one conditional update."""
        want = min(share, most)
        taken = 0
        for _ in range(_ATTEMPTS):
            if want < least:
                return Lease(0, taken)
            try:
                answer = self._table.update_item(
                    Key={"account": row_id(day, principal, model)},
                    UpdateExpression="SET taken = if_not_exists(taken, :zero) + :want, forget_at = :forget, "
                    "#day = :day, #model = :model, #principal = :principal",
                    ConditionExpression="attribute_not_exists(taken) OR taken <= :room",
                    ExpressionAttributeNames={"#day": "day", "#model": "model", "#principal": "principal"},
                    ExpressionAttributeValues={
                        ":zero": 0,
                        ":want": want,
                        ":room": most - want,
                        ":forget": _forget_at(day),
                        ":day": day.isoformat(),
                        ":model": model,
                        # For people who look; the row is named by all of it.
                        ":principal": ascii(principal)[:256],
                    },
                    ReturnValues="UPDATED_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                taken = int(error.response["Item"]["taken"]["N"])
                # Less than was wanted may be left; that is tried next.
                want = min(want, most - taken)
            else:
                return Lease(want, int(answer["Attributes"]["taken"]))
        raise LedgerAway("others were faster every time")


class SqliteLedger:
    """A file; several processes of one machine may share it."""

    def __init__(self, path: Path) -> None:
        """Make the file, for its owner alone, where there is none."""
        self._path = path
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(self._connection()) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY, day TEXT NOT NULL, count INTEGER NOT NULL)"
            )

    def lease(self, day: date, principal: str, model: str, *, least: int, share: int, most: int) -> Lease:
        """Take a share, in one transaction."""
        name = row_id(day, principal, model)
        with closing(self._connection()) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT count FROM taken WHERE id = ?", (name,)).fetchone()
            taken = int(row[0]) if row else 0
            want = min(share, most - taken)
            if want < least:
                return Lease(0, taken)
            connection.execute(
                "INSERT INTO taken VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET count = excluded.count",
                (name, day.isoformat(), taken + want),
            )
            oldest = (day - timedelta(days=KEPT_DAYS)).isoformat()
            connection.execute("DELETE FROM taken WHERE day < ?", (oldest,))
        return Lease(want, taken + want)

    def _connection(self) -> sqlite3.Connection:
        # A file that was taken away is not silently made anew: that would be a new budget.
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=2)


def _forget_at(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int((midnight + timedelta(days=1 + KEPT_DAYS)).timestamp())
