"""What a model is judged with: examples that it was trained on, and examples that it never saw.

Either an ``.npz`` with ``member_inputs``, ``member_labels``, ``held_out_inputs``, ``held_out_labels``, or an Arrow file
with columns ``member`` (boolean), ``label`` and ``input`` (a list of numbers, or a text). Labels are numbers of classes,
or their names.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.modelchain.schema import Schema, TensorInput
from services.redteam.errors import RedTeamError

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST = 100
"""Members, and held-out examples: with fewer, no share that is measured here means much."""

MOST_BYTES = 2**31
"""Of a file, unpacked."""

MOST_SHARED = 0.02
"""Share of held-out examples that may be members too, and are then left out; with more, the split is wrong."""

NAMES = ("member_inputs", "member_labels", "held_out_inputs", "held_out_labels")
"""Arrays of an ``.npz``."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Inputs, each with its label."""

    inputs: Array
    """float32[n, *shape], or texts."""
    labels: Array
    """int64[n], by number of the class."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.labels)

    def __getitem__(self, which: Array) -> Part:
        """Return some of them."""
        return Part(inputs=self.inputs[which], labels=self.labels[which])

    def sample(self, most: int, chance: np.random.Generator) -> Part:
        """Return so many at most, drawn at random."""
        return self[np.sort(chance.permutation(len(self))[:most])]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples to judge with."""

    members: Part
    held_out: Part
    left_out: int = 0
    """Held-out examples that were members too."""


def read(path: Path, schema: Schema) -> Examples:
    """Return the examples of a file, as the model takes them.

    Raises:
        RedTeamError: names the file and what is wrong in it.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RedTeamError(f"{path}: has more than {MOST_BYTES} bytes")
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        arrays = _npz(path) if packed else _arrow(path)
    except OSError as error:
        raise RedTeamError(f"{path}: cannot be read: {error.strerror or error}") from None
    return checked(arrays, schema, path.name)


def checked(arrays: Mapping[str, Array], schema: Schema, where: str) -> Examples:
    """Return examples out of four arrays, after each was held against the schema.

    Raises:
        RedTeamError: says which array is wrong, and how.
    """
    members, held_out = (
        Part(
            inputs=_inputs(arrays[f"{name}_inputs"], schema, f"{where}: {name}_inputs"),
            labels=_labels(arrays[f"{name}_labels"], schema, f"{where}: {name}_labels"),
        )
        for name in ("member", "held_out")
    )
    for name, part in (("member", members), ("held_out", held_out)):
        if len(part.inputs) != len(part.labels):
            raise RedTeamError(f"{where}: {name}: {len(part.inputs)} inputs and {len(part.labels)} labels")
        if len(part) < FEWEST:
            raise RedTeamError(f"{where}: {name}: {len(part)} examples; {FEWEST} at least, to say anything")
        if len(np.unique(part.labels)) < 2:
            raise RedTeamError(f"{where}: {name}_labels: are all one class; give examples of every class")
    return _apart(members, held_out, where)


def _apart(members: Part, held_out: Part, where: str) -> Examples:
    known = {_key(each) for each in members.inputs}
    fresh = np.array([_key(each) not in known for each in held_out.inputs])
    shared = int((~fresh).sum())
    if shared > MOST_SHARED * len(held_out):
        raise RedTeamError(
            f"{where}: held_out_inputs: {shared} of {len(held_out)} are members too; held-out examples are those "
            "that the model was not trained on"
        )
    return Examples(members=members, held_out=held_out[fresh], left_out=shared)


def _key(example: Any) -> Any:
    return example.tobytes() if isinstance(example, np.ndarray) else str(example)


def _inputs(array: Array, schema: Schema, where: str) -> Array:
    if not isinstance(schema.input, TensorInput):
        if (
            array.dtype.kind not in "UO"
            or array.ndim != 1
            or not all(isinstance(each, str) for each in array)
        ):
            raise RedTeamError(f"{where}: the model takes texts; give one text for each example")
        if max(map(len, array), default=0) > schema.input.most_characters:
            raise RedTeamError(
                f"{where}: a text is longer than the {schema.input.most_characters} characters taken"
            )
        return array.astype(object)
    shape, low, high = schema.input.shape, schema.input.low, schema.input.high
    if array.dtype.kind not in "fiub" or array.shape[1:] != tuple(shape):
        raise RedTeamError(
            f"{where}: is {array.dtype}{list(array.shape)}; the model takes numbers [n, {_said(shape)}]"
        )
    values = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        raise RedTeamError(f"{where}: holds NaN or infinities")
    if values.size and not (low <= values.min() and values.max() <= high):
        raise RedTeamError(
            f"{where}: goes from {values.min():g} to {values.max():g}; the model takes {low:g} to {high:g}"
        )
    return values


def _labels(array: Array, schema: Schema, where: str) -> Array:
    classes = schema.output.classes
    if array.ndim != 1:
        raise RedTeamError(f"{where}: is {list(array.shape)}; give one label for each example")
    if array.dtype.kind in "UO":
        number = {name: place for place, name in enumerate(classes)}
        unknown = next((str(each) for each in array if each not in number), None)
        if unknown is not None:
            raise RedTeamError(f"{where}: {unknown[:64]!r} is no class; {', '.join(classes[:20])} are")
        return np.array([number[each] for each in array], dtype=np.int64)
    if array.dtype.kind not in "iub":
        raise RedTeamError(f"{where}: is {array.dtype}; give numbers of classes, or their names")
    labels = array.astype(np.int64)
    if labels.size and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise RedTeamError(
            f"{where}: goes from {labels.min()} to {labels.max()}; classes are 0 to {len(classes) - 1}"
        )
    return labels


def _said(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _npz(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > MOST_BYTES:
                raise RedTeamError(f"{path}: unpacks to more than {MOST_BYTES} bytes")
        with np.load(path, allow_pickle=False) as opened:
            missing = [name for name in NAMES if name not in opened.files]
            if missing:
                raise RedTeamError(f"{path.name}: {missing[0]}: is missing; give {', '.join(NAMES)}")
            return {name: np.asarray(opened[name]) for name in NAMES}
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise RedTeamError(f"{path.name}: is not an .npz of numbers and texts: {error}") from None


def _arrow(path: Path) -> dict[str, Array]:
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid:
        try:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid as error:
            raise RedTeamError(f"{path.name}: is neither an .npz nor an Arrow file: {error}") from None
    return _columns(table, path.name)


def _columns(table: pa.Table, where: str) -> dict[str, Array]:
    missing = [name for name in ("member", "label", "input") if name not in table.schema.names]
    if missing:
        raise RedTeamError(f"{where}: column {missing[0]}: is missing; give member, label and input")
    if table["member"].type != pa.bool_() or any(
        table[name].null_count for name in ("member", "label", "input")
    ):
        raise RedTeamError(f"{where}: member is a boolean, and no row is empty")
    arrays = {}
    for name, chosen in (("member", table["member"]), ("held_out", pc.invert(table["member"]))):
        rows = table.filter(chosen)
        inputs = rows["input"].to_pylist()
        try:
            arrays[f"{name}_inputs"] = np.array(inputs, dtype=object if _textual(inputs) else np.float32)
        except (ValueError, TypeError):
            raise RedTeamError(f"{where}: input: rows have different lengths, or are no numbers") from None
        arrays[f"{name}_labels"] = np.array(rows["label"].to_pylist())
    return arrays


def _textual(inputs: list[Any]) -> bool:
    return bool(inputs) and isinstance(inputs[0], str)
