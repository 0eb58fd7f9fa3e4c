"""What a dataset was when somebody vouched for it: a digest for each batch of rows, their order and count, signed.

A manifest is a folder: ``manifest.json`` and ``manifest.sig``. Training reads the dataset anew and stops at the first
batch that is not the one that was signed, so nobody can put rows in, take some out, change or reorder any in between.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from services.modelchain import signing, strict_json, writing
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import Digest
from services.trainer.errors import TrainerError

NAME, SIGNATURE, SIGNED = "manifest.json", "manifest.sig", "manifest"
"""Two files of the folder, and what the signature calls what it signs."""

BATCH_ROWS = 4096
"""Rows of a batch: the API may cut an answer anywhere, so batches are cut anew before they are digested."""

MOST_BATCHES = 8192
"""33 million rows: more would not fit into a signed JSON file of 1 MiB."""


class Manifest(BaseModel):
    """``manifest.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    dataset: str
    purpose: str
    columns: tuple[str, ...]
    rows: Annotated[int, Field(ge=1)]
    batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = BATCH_ROWS
    batches: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=MOST_BATCHES)]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: which data a model was trained on."""
        return f"sha256:{hashlib.sha256(strict_json.written(self)).hexdigest()}"


def batches(read: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of ``rows``; only the last may have fewer."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in read:
        start = 0
        while count + batch.num_rows - start >= rows:
            held.append(batch.slice(start, rows - count))
            yield _joined(held)
            start, held, count = start + rows - count, [], 0
        if start < batch.num_rows:
            held.append(batch.slice(start))
            count += batch.num_rows - start
    if count:
        yield _joined(held)


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches(parts).combine_chunks().to_batches()
    return batch


def digest(batch: pa.RecordBatch) -> str:
    """Return the SHA-256 of what a batch says: names, types, nulls and values, however Arrow keeps them."""
    hashed = hashlib.sha256(struct.pack("<q", batch.num_rows))
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        for part in (name.encode(), str(column.type).encode(), _nulls(column), *_values(column)):
            hashed.update(struct.pack("<q", len(part)))
            hashed.update(part)
    return f"sha256:{hashed.hexdigest()}"


def _nulls(column: pa.Array) -> bytes:
    return np.packbits(pc.is_null(column).to_numpy(zero_copy_only=False)).tobytes()


def _values(column: pa.Array) -> tuple[bytes, ...]:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        return (values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes(),)
    if pa.types.is_boolean(column.type):
        return (np.packbits(pc.fill_null(column, False).to_numpy(zero_copy_only=False)).tobytes(),)
    texts = [text.encode() for text in pc.fill_null(column.cast(pa.string()), "").to_pylist()]
    return np.array([len(text) for text in texts], dtype="<i8").tobytes(), b"".join(texts)


def made(dataset: str, purpose: str, read: Iterable[pa.RecordBatch]) -> Manifest:
    """Return the manifest of what is read.

    Raises:
        TrainerError: there is no row, or there are too many.
    """
    digests: list[str] = []
    rows, columns = 0, ()
    for batch in batches(read):
        if len(digests) == MOST_BATCHES:
            raise TrainerError(
                f"{dataset}: has over {MOST_BATCHES * BATCH_ROWS} rows; read fewer by a purpose"
            )
        digests.append(digest(batch))
        rows, columns = rows + batch.num_rows, tuple(batch.schema.names)
    if not digests:
        raise TrainerError(f"{dataset}: has no rows for the purpose {purpose}; there is nothing to vouch for")
    return Manifest(dataset=dataset, purpose=purpose, columns=columns, rows=rows, batches=tuple(digests))


def write(folder: Path, manifest: Manifest, signer: Signer) -> None:
    """Write the folder of a manifest, signed.

    Raises:
        TrainerError: it is already there, or cannot be written or signed.
    """
    data = strict_json.written(manifest)
    try:
        made = {NAME: data, SIGNATURE: signing.signature({NAME: data}, signer, SIGNED)}
        writing.folder(folder, made)
    except ModelError as error:
        raise TrainerError(str(error)) from None


def opened(folder: Path, verifier: Verifier) -> Manifest:
    """Return a manifest that somebody vouched for.

    Raises:
        TrainerError: it is missing, changed, or another's.
    """
    try:
        data, said = _bytes(folder / NAME), _bytes(folder / SIGNATURE)
        signing.verify({NAME: data}, said, verifier, SIGNED)
        return strict_json.parsed(Manifest, data, str(folder / NAME))
    except ModelError as error:
        raise TrainerError(str(error)) from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(strict_json.MOST_BYTES + 1)
    except OSError as error:
        raise TrainerError(
            f"{path}: cannot be read: {error.strerror}; make one with python -m services.trainer manifest"
        ) from None


def checked(
    manifest: Manifest, *, dataset: str, purpose: str, columns: Sequence[str], read: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a dataset, each after it was found to be the one that was signed.

    Raises:
        TrainerError: the manifest is about something else, or a batch differs, is missing or is too many.
    """
    for what, signed, asked in (
        ("dataset", manifest.dataset, dataset),
        ("purpose", manifest.purpose, purpose),
        ("columns", manifest.columns, tuple(columns)),
    ):
        if signed != asked:
            raise TrainerError(
                f"{NAME}: {what}: was signed for something else than the job reads; make a new one"
            )
    count, number = len(manifest.batches), 0
    for number, batch in enumerate(batches(read, manifest.batch_rows), 1):
        if number > count:
            raise TrainerError(f"{NAME}: the dataset goes on after the {manifest.rows} rows that were signed")
        if digest(batch) != manifest.batches[number - 1]:
            raise TrainerError(
                f"{NAME}: batch {number} of {count} is not the one that was signed; "
                "find out who changed the data before you sign anew"
            )
        yield batch
    if number < count:
        raise TrainerError(f"{NAME}: {count} batches were signed and the dataset ends after {number}")
