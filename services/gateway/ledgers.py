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

from botocore.config import Config
from botocore.exceptions import ClientError

KEPT_DAYS = 2
"""A row stays so long after its day: clocks may differ, and one that is put back must find what was taken."""

_ATTEMPTS = 8

_CALL_SECONDS = 2
_START_SECONDS = 60
"""How long the file's other users are waited for: by a caller no longer than he waits for us, by a start patiently."""


class LedgerError(Exception):
    """The ledger cannot be used, or gave no answer; the message says where."""


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

    def __init__(self, client: Any, table: str) -> None:
        """Take boto3's client of DynamoDB, with timeouts, and the name of the table.

        A client may be used from several threads, a resource may not (boto3, "Multithreading or multiprocessing
        with resources").
        """
        self._client, self._table = client, table

    def lease(self, day: date, principal: str, model: str, *, least: int, share: int, most: int) -> Lease:
        """Take a share, in one conditional update."""
        want, taken = min(share, most), 0
        for _ in range(_ATTEMPTS):
            if want < least:
                return Lease(0, taken)
            try:
                return Lease(want, self._add(day, principal, model, want, most - want))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                taken = int(error.response["Item"]["taken"]["N"])
                # Less than was wanted may be left; that is tried next.
                want = min(want, most - taken)
        raise LedgerError("others were faster every time")

    def _add(self, day: date, principal: str, model: str, want: int, room: int) -> int:
        """Add to what was taken, if that is no more than ``room``, and return it."""
        answer = self._client.update_item(
            TableName=self._table,
            Key={"account": {"S": row_id(day, principal, model)}},
            UpdateExpression="ADD taken :want SET forget_at = :forget, #day = :day, #model = :model, #who = :who",
            ConditionExpression="attribute_not_exists(taken) OR taken <= :room",
            ExpressionAttributeNames={"#day": "day", "#model": "model", "#who": "principal"},
            ExpressionAttributeValues={
                ":want": {"N": str(want)},
                ":room": {"N": str(room)},
                ":forget": {"N": str(_forget_at(day))},
                ":day": {"S": day.isoformat()},
                ":model": {"S": model},
                # For people who look; the row is named by all of it.
                ":who": {"S": principal.encode("ascii", "backslashreplace").decode()[:256]},
            },
            ReturnValues="UPDATED_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return int(answer["Attributes"]["taken"]["N"])


def dynamo(table: str, region: str | None) -> DynamoLedger:
    """Return the ledger in a table of AWS."""
    import boto3

    # A try that was lost may have counted: the client has less then, never more.
    bounded = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
    return DynamoLedger(boto3.client("dynamodb", region_name=region, config=bounded), table)


class SqliteLedger:
    """A file; several processes of one machine may share it."""

    def __init__(self, path: Path) -> None:
        """Make the file, for its owner alone, where there is none.

        Raises:
            LedgerError: it cannot be made, or is something else.
        """
        self._path = path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(self._connection(_START_SECONDS)) as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS taken (account TEXT PRIMARY KEY, day TEXT NOT NULL, count INTEGER NOT NULL)"
                )
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path}: cannot hold the budget: {error}") from None

    def lease(self, day: date, principal: str, model: str, *, least: int, share: int, most: int) -> Lease:
        """Take a share, in one transaction."""
        account = row_id(day, principal, model)
        with closing(self._connection(_CALL_SECONDS)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT count FROM taken WHERE account = ?", (account,)).fetchone()
            taken = int(row[0]) if row else 0
            want = min(share, most - taken)
            if want < least:
                return Lease(0, taken)
            connection.execute(
                "INSERT INTO taken VALUES (?, ?, ?) ON CONFLICT (account) DO UPDATE SET count = excluded.count",
                (account, day.isoformat(), taken + want),
            )
            oldest = (day - timedelta(days=KEPT_DAYS)).isoformat()
            connection.execute("DELETE FROM taken WHERE day < ?", (oldest,))
        return Lease(want, taken + want)

    def _connection(self, waits: float) -> sqlite3.Connection:
        # A file that was taken away is not silently made anew: that would be a new budget.
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=waits)


def _forget_at(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int((midnight + timedelta(days=1 + KEPT_DAYS)).timestamp())
