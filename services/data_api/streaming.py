"""Rows on their way out: block by block, the next one fetched while this one is sent, so memory stays flat."""

from __future__ import annotations

import asyncio
import io
import json
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from services.data_api.columnar import unpacked
from services.data_api.cursors import Cursors
from services.data_api.database import Database
from services.data_api.declarations import Dataset
from services.data_api.masking import Masker
from services.data_api.query import Condition, block

ARROW = "application/vnd.apache.arrow.stream"
JSON_LINES = "application/x-ndjson"

BLOCK_ROWS = 65_536

_FEW_ROWS = 4096
"""So many take less than the change to a thread."""

T = TypeVar("T")


@dataclass(kw_only=True)
class Read:
    """One read: what is asked, and how much of it was sent."""

    dataset: Dataset
    columns: list[str]
    conditions: Sequence[Condition]
    after: list[Any] | None
    limit: int
    bound_to: str
    rows: int = 0
    sent: int = 0
    ended: bool = field(default=False)


@dataclass(frozen=True)
class Block:
    """Masked rows, and the cursor after the last of them; none after the last of all."""

    batch: pa.RecordBatch
    cursor: str | None


class Reader:
    """Reads blocks of rows and masks them."""

    def __init__(self, database: Database, masker: Masker, cursors: Cursors) -> None:
        """Take what it works with."""
        self._database, self._masker, self._cursors = database, masker, cursors

    async def blocks(self, read: Read) -> AsyncIterator[Block]:
        """Yield the blocks of a read, all from one snapshot of the database."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._database.connection())
            left, after = read.limit, read.after
            if left > BLOCK_ROWS:
                await stack.enter_async_context(
                    connection.transaction(isolation="repeatable_read", readonly=True)
                )
            coming = asyncio.create_task(self._fetch(connection, read, after, left))
            try:
                while True:
                    row, asked = await coming
                    count = row[0]
                    left -= count
                    last = count < asked
                    columns, after = await _aside(count, _columns, read, row, after)
                    if not last and left > 0:
                        coming = asyncio.create_task(self._fetch(connection, read, after, left))
                    kinds = [read.dataset.columns[name].type for name in read.dataset.key]
                    cursor = (
                        None if last or after is None else self._cursors.sealed(after, kinds, read.bound_to)
                    )
                    yield Block(await _aside(count, self._masked, read, columns), cursor)
                    if last or left <= 0:
                        return
            finally:
                # Only the block that is under way is held: what was sent must not stay until the end.
                await _settled(coming)

    async def _fetch(self, connection: Any, read: Read, after: Any, left: int) -> tuple[Any, int]:
        rows = min(left, BLOCK_ROWS)
        text, arguments = block(read.dataset, read.columns, read.conditions, after, rows)
        return await connection.fetchrow(text, *arguments), rows

    def _masked(self, read: Read, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        return pa.record_batch(
            [self._masker.masked(read.dataset.columns[name], columns[name]) for name in read.columns],
            names=read.columns,
        )


async def _aside(rows: int, work: Callable[..., T], *arguments: Any) -> T:
    """Do the work of many rows in a thread, so that others are served meanwhile, and of few at once."""
    return await asyncio.to_thread(work, *arguments) if rows > _FEW_ROWS else work(*arguments)


async def _settled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


def _columns(read: Read, row: Any, after: list[Any] | None) -> tuple[dict[str, pa.Array], list[Any] | None]:
    columns = unpacked(read.dataset, read.columns, row)
    place = [columns[name][-1].as_py() for name in read.dataset.key] if row[0] else after
    return columns, place


class _Sink(io.RawIOBase):
    """Keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


class ArrowLines:
    """Writes blocks as an Arrow IPC stream; each batch's metadata holds the cursor after it."""

    def __init__(self) -> None:
        """Begin a stream."""
        self._sink = _Sink()
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def block(self, made: Block) -> bytes:
        """Return the bytes of one block."""
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._sink, made.batch.schema)
        self._writer.write_batch(made.batch, custom_metadata={"cursor": made.cursor or ""})
        return self._sink.taken()

    def end(self, _read: Read) -> bytes:
        """Return the end mark, without which a stream was cut off."""
        if self._writer is not None:
            self._writer.close()
        return self._sink.taken()


class JsonLines:
    """Writes rows as JSON, one a line; lines with ``@cursor`` tell where to go on, ``@end`` that all was sent."""

    def block(self, made: Block) -> bytes:
        """Return the lines of one block."""
        names = made.batch.schema.names
        columns = [_values(column) for column in made.batch.columns]
        lines = [_encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
        if made.cursor:
            lines.append(json.dumps({"@cursor": made.cursor}))
        return "".join(f"{line}\n" for line in lines).encode()

    def end(self, read: Read) -> bytes:
        """Return the last line."""
        return json.dumps({"@end": True, "@rows": read.rows}).encode() + b"\n"


def _values(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if not pa.types.is_floating(column.type):
        return values
    # JSON has no NaN and no infinity.
    return [None if v is None or not math.isfinite(v) else v for v in values]


def _text(value: Any) -> str:
    return str(value.isoformat())


_encode = json.JSONEncoder(default=_text).encode
"""Made once: ``json.dumps`` with an option makes an encoder for each row."""
