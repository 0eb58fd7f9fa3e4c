"""Memory stays flat: of a long read, only the block that is sent and the one that comes are held."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from services.data_api import streaming
from services.data_api.streaming import BLOCK_ROWS, Read, Reader
from tests.services.support import run


class Row(list[int]):
    """What the database answers; it can be asked whether it is still there."""


class _Transaction:
    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class _Database:
    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(transaction=lambda **_: _Transaction())


def test_a_block_that_was_sent_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[weakref.ref[Row]] = []

    async def fetch(*_: object) -> tuple[Row, int]:
        row = Row([BLOCK_ROWS])
        fetched.append(weakref.ref(row))
        return row, BLOCK_ROWS

    monkeypatch.setattr(streaming, "_columns", lambda *_: ({}, [1]))
    monkeypatch.setattr(Reader, "_fetch", fetch)
    monkeypatch.setattr(Reader, "_masked", lambda *_: pa.record_batch([pa.array([1])], names=["one"]))
    cursors: Any = SimpleNamespace(sealed=lambda *_: "cursor")
    reader = Reader(_Database(), SimpleNamespace(), cursors)  # type: ignore[arg-type]
    dataset: Any = SimpleNamespace(key=[], columns={})
    read = Read(dataset=dataset, columns=[], conditions=[], after=None, limit=20 * BLOCK_ROWS, bound_to="")

    async def held() -> list[int]:
        most = []
        async for _ in reader.blocks(read):
            gc.collect()
            most.append(sum(each() is not None for each in fetched))
        return most

    counts = run(held())
    assert len(counts) == 20
    assert max(counts) <= 2
