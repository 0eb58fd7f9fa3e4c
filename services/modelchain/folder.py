"""A model's folder: what is taken, and what is refused whatever its name claims."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.modelchain import graphs, reading, scanner, soundness, strict_json, tensors, writing
from services.modelchain.errors import ModelError as ModelError
from services.modelchain.errors import Unreadable as Unreadable
from services.modelchain.schema import (
    ARRAYS,
    CARD,
    GRAPH,
    MODEL,
    PRIVACY,
    SCHEMA,
    STATISTICS,
    WEIGHTS,
    Card,
    Digest,
    Privacy,
    Schema,
    Statistics,
    TextInput,
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that was inspected; its bytes are those that were."""

    schema: Schema
    statistics: Statistics
    privacy: Privacy
    card: Card
    digest: Digest
    arrays: tensors.Arrays = field(repr=False)
    """Of ``statistics.safetensors``; nobody can write to them."""
    files: Mapping[str, bytes] = field(repr=False)
    """Every file of ``model/``, by name: whatever is loaded comes from here and not from the disk again."""

    @property
    def graph(self) -> bytes:
        """The ONNX graph."""
        return self.files[GRAPH]

    @property
    def weights(self) -> bytes | None:
        """The safetensors file for gradients, where there is one."""
        return self.files.get(WEIGHTS)


def inspect(path: Path) -> Candidate:
    """Return a candidate (or the model of a release) after everything in it was looked at; no signature is.

    Raises:
        ModelError: says what is not taken.
    """
    return sound(inspected(reading.read(path).model))


def sound(candidate: Candidate) -> Candidate:
    """Return the candidate if onnx's checker finds its graph sound, too; before anybody signs it.

    Raises:
        ModelError: it is not.
    """
    soundness.check(candidate.graph, f"{MODEL}/{GRAPH}")
    return candidate


def inspected(files: Mapping[str, bytes]) -> Candidate:
    """Return a model from the files of its folder, by name.

    Nothing here runs code that a hostile file can bring down: what may serve is looked at with this alone, since its
    graph was found sound before its trainer and the red team signed it.

    Raises:
        ModelError: it is not one that is taken.
    """
    schema = strict_json.parsed(Schema, files[SCHEMA], f"{MODEL}/{SCHEMA}")
    statistics = strict_json.parsed(Statistics, files[STATISTICS], f"{MODEL}/{STATISTICS}")
    privacy = strict_json.parsed(Privacy, files[PRIVACY], f"{MODEL}/{PRIVACY}")
    card = strict_json.parsed(Card, files[CARD], f"{MODEL}/{CARD}")
    arrays = tensors.arrays(files[ARRAYS], f"{MODEL}/{ARRAYS}")
    if WEIGHTS in files:
        tensors.check(files[WEIGHTS], f"{MODEL}/{WEIGHTS}")
    graphs.check(files[GRAPH], schema, f"{MODEL}/{GRAPH}")
    _screens(statistics, schema, arrays)
    for name, data in files.items():
        scanner.check(data, f"{MODEL}/{name}")
    return Candidate(
        schema=schema,
        statistics=statistics,
        privacy=privacy,
        card=card,
        digest=digest(files),
        arrays=arrays,
        files=files,
    )


def _screens(statistics: Statistics, schema: Schema, arrays: tensors.Arrays) -> None:
    """Refuse screens that would fail on the first input: those of another kind of input, or of another size."""
    if isinstance(schema.input, TextInput):
        if statistics.novelty is not None or statistics.squeezing is not None:
            raise ModelError(f"{MODEL}/{STATISTICS}: screens of numbers for a model of text")
        return
    if statistics.novelty is None:
        return
    values = math.prod(schema.input.shape)
    for name, dimensions, length in (("mean", 1, values), ("whitening", 2, values), ("residual", 1, 1)):
        array = arrays.get(name)
        if array is None or array.ndim != dimensions or len(array) != length:
            raise ModelError(
                f"{MODEL}/{ARRAYS}: {name!r} is not there, or not of {length} values for an input of {values}"
            )


def digest(files: Mapping[str, bytes]) -> Digest:
    """Return the digest of a folder: what ``LC_ALL=C sha256sum * | sha256sum`` prints inside it."""
    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def arrays(path: Path) -> tensors.Arrays:
    """Return the arrays of ``statistics.safetensors``.

    Raises:
        ModelError: see ``inspect``.
    """
    return inspect(path).arrays


def write(
    path: Path,
    *,
    graph: bytes,
    schema: Schema,
    statistics: Statistics,
    arrays: tensors.Arrays,
    card: Card,
    privacy: Privacy,
    weights: bytes | None,
) -> None:
    """Write a candidate, unsigned: the folder ``model/`` inside ``path``.

    The graph loses the notes of its exporter (paths and stack traces of the machine that trained).

    Raises:
        ModelError: what was to be written would not be taken, or a candidate is already there.
    """
    files = {
        GRAPH: graphs.bare(graph, f"{MODEL}/{GRAPH}"),
        SCHEMA: strict_json.written(schema),
        STATISTICS: strict_json.written(statistics),
        ARRAYS: tensors.written(arrays),
        CARD: strict_json.written(card),
        PRIVACY: strict_json.written(privacy),
    }
    if weights is not None:
        files[WEIGHTS] = weights
    inspected(files)
    writing.folder(path / MODEL, files)
