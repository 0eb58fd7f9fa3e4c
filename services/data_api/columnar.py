"""Blocks of rows as Arrow columns, straight from PostgreSQL's binary arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from services.data_api.declarations import Dataset

_HEADER_BYTES = 20
"""Of a one-dimensional array: dimensions, has-nulls, element type, length, lower bound (array_send in arrayfuncs.c)."""

_WIRE = {"integer": ">i8", "number": ">f8", "boolean": "?", "date": ">i4", "timestamp": ">i8"}
_ARROW: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.large_string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_EPOCH_DAYS = 10_957
"""PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01."""


def unpacked(dataset: Dataset, columns: Sequence[str], row: Sequence[Any]) -> dict[str, pa.Array]:
    """Return the columns of a block, the key's among them, before any masking."""
    parts = iter(row)
    count = next(parts)
    wanted = list(dict.fromkeys([*columns, *dataset.key]))
    return {
        name: _column(dataset.columns[name].type, dataset.columns[name].nullable, count, parts)
        for name in wanted
    }


def _column(kind: str, nullable: bool, count: int, parts: Any) -> pa.Array:
    if kind == "text":
        data, lengths = next(parts), _elements(next(parts), ">i4", count)
        nulls = _elements(next(parts), "?", count) if nullable else None
        offsets = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return pa.Array.from_buffers(
            _ARROW["text"], count, [_validity(nulls), pa.py_buffer(offsets), pa.py_buffer(data or b"")]
        )
    values = _elements(next(parts), _WIRE[kind], count)
    nulls = _elements(next(parts), "?", count) if nullable else None
    if kind == "date":
        return pa.array(values.astype(np.int32) + _EPOCH_DAYS, pa.int32(), mask=nulls).cast(_ARROW[kind])
    if kind == "timestamp":
        return pa.array(values.astype(np.int64) + _EPOCH_DAYS * 86_400_000_000, pa.int64(), mask=nulls).cast(
            _ARROW[kind]
        )
    native = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("="))
    return pa.array(native, _ARROW[kind], mask=nulls)


def _validity(nulls: np.ndarray[Any, Any] | None) -> pa.Buffer | None:
    return None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))


def _elements(sent: bytes | None, wire: str, count: int) -> np.ndarray[Any, Any]:
    """Return the elements of an array without nulls: each is a length of four bytes and a value."""
    if sent is None:
        return np.zeros(0, dtype=wire)
    pairs = np.frombuffer(sent, dtype=[("length", ">i4"), ("value", wire)], offset=_HEADER_BYTES)
    if len(pairs) != count:
        raise ValueError("the array is not as long as the block")
    return pairs["value"]
