"""Rows as a model takes them: numbers between 0 and 1, one label each, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.trainer.errors import TrainerError
from services.trainer.job import Data

MOST_CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a dataset's declaration says of the columns that a job reads; nothing here was learnt from data."""

    key: tuple[str, ...]
    unit: str
    """The column that says whose a row is: a person, mostly."""
    bounds: tuple[tuple[float, float], ...]
    """Of each column of the job, in its order."""
    classes: tuple[str, ...]
    """Names of the labels, by their number."""
    label_low: int
    """What an integer label is counted from."""
    public: bool
    """No column is sensitive or identifying: there is nobody whose privacy a budget would keep."""

    @property
    def extra(self) -> tuple[str, ...]:
        """What is read beside columns and label."""
        return tuple(dict.fromkeys((*self.key, self.unit)))


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows, column by column."""

    keys: np.ndarray
    """What names a row to whoever may look it up, text[n]."""
    units: np.ndarray
    """Whose it is, text[n]."""
    values: np.ndarray
    """float32[n, columns], between 0 and 1 where the row keeps its bounds."""
    labels: np.ndarray
    """int64[n], by number of the class."""
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.labels)

    def __getitem__(self, which: np.ndarray) -> Examples:
        """Return some of them, by mask or by number."""
        return Examples(
            keys=self.keys[which],
            units=self.units[which],
            values=self.values[which],
            labels=self.labels[which],
            classes=self.classes,
        )


def declared(said: Mapping[str, Any], data: Data, where: str) -> Declared:
    """Return what the data-access API's declaration says of the columns that a job names.

    Raises:
        TrainerError: a column is not there, or is none that a model can take.
    """
    columns: Mapping[str, Mapping[str, Any]] = said["columns"]
    if data.purpose not in said["purposes"]:
        allowed = ", ".join(said["purposes"])
        raise TrainerError(f"{where}: data.purpose: {data.purpose} is none of {data.dataset}: {allowed}")
    for field, name in (*(("columns", name) for name in data.columns), ("label", data.label)):
        if name not in columns:
            raise TrainerError(f"{where}: data.{field}: {data.dataset} has no column {name}")
    if "privacy_unit" not in said:
        raise TrainerError(f"{data.dataset}: the data-access API does not say whose the rows are; update it")
    classes, low = _classes(columns[data.label], data.label, where)
    read = [columns[name] for name in (*data.columns, data.label)]
    return Declared(
        key=tuple(said["key"]),
        unit=str(said["privacy_unit"]),
        bounds=tuple(_bounds(columns[name], name, where) for name in data.columns),
        classes=classes,
        label_low=low,
        public=all(each["classification"] in ("public", "internal") for each in read),
    )


def _bounds(column: Mapping[str, Any], name: str, where: str) -> tuple[float, float]:
    if column["mask"] is not None:
        raise TrainerError(f"{where}: data.columns: {name} is masked; a model cannot take it")
    if column["type"] == "boolean":
        return 0.0, 1.0
    if column["bounds"] is None or column["type"] not in ("integer", "number"):
        raise TrainerError(
            f"{where}: data.columns: {name} has no bounds; declare them, from knowledge of the field, or leave it out"
        )
    low, high = column["bounds"]
    return float(low), float(high)


def _classes(column: Mapping[str, Any], name: str, where: str) -> tuple[tuple[str, ...], int]:
    if column["mask"] is None and column["type"] == "boolean":
        return ("false", "true"), 0
    if column["mask"] is None and column["type"] == "text" and column["categories"]:
        return tuple(column["categories"]), 0
    if column["mask"] is None and column["type"] == "integer" and column["bounds"]:
        low, high = (int(bound) for bound in column["bounds"])
        if high - low < MOST_CLASSES:
            return tuple(str(number) for number in range(low, high + 1)), low
    raise TrainerError(
        f"{where}: data.label: {name} is no label; take a boolean, a text with declared categories, "
        f"or an integer with bounds at most {MOST_CLASSES} apart"
    )


def examples(batches: Iterable[pa.RecordBatch], data: Data, declared: Declared) -> Examples:
    """Return the rows of all batches; those that break their bounds are kept, for the screen to take out.

    Raises:
        TrainerError: there is no row, a value is missing or no number, or there is one class alone.
    """
    parts = [_part(batch, data, declared) for batch in batches]
    if not parts:
        raise TrainerError(
            f"{data.dataset}: has no rows for the purpose {data.purpose}; there is nothing to learn"
        )
    keys, units, values, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    made = Examples(keys=keys, units=units, values=values, labels=labels, classes=declared.classes)
    several_classes(made, data)
    return made


def several_classes(made: Examples, data: Data) -> None:
    """Refuse examples of one class.

    Raises:
        TrainerError: names the label.
    """
    if len(np.unique(made.labels)) < 2:
        raise TrainerError(
            f"{data.dataset}: {data.label} has one value in all rows; there is nothing to tell apart"
        )


def _part(
    batch: pa.RecordBatch, data: Data, declared: Declared
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    values = np.stack(
        [
            (_numbers(batch.column(name), name, data.dataset) - low) / (high - low)
            for name, (low, high) in zip(data.columns, declared.bounds, strict=True)
        ],
        axis=1,
    )
    keys = [batch.column(name).cast(pa.string()).to_pylist() for name in declared.key]
    return (
        np.array(["/".join(map(str, key)) for key in zip(*keys, strict=True)], dtype=str),
        np.array(batch.column(declared.unit).cast(pa.string()).to_pylist(), dtype=str),
        values.astype(np.float32),
        _labels(batch.column(data.label), data, declared),
    )


def _numbers(column: pa.Array, name: str, dataset: str) -> np.ndarray:
    if column.null_count:
        raise TrainerError(f"{dataset}: {name} has rows without a value; leave the column or the rows out")
    numbers = column.cast(pa.float64()) if not pa.types.is_boolean(column.type) else column.cast(pa.uint8())
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    if not np.isfinite(values).all():
        raise TrainerError(f"{dataset}: {name} holds NaN or infinities; mend the data where it comes from")
    return values


def _labels(column: pa.Array, data: Data, declared: Declared) -> np.ndarray:
    if column.null_count:
        raise TrainerError(f"{data.dataset}: {data.label} has rows without a value; only labelled rows train")
    if pa.types.is_string(column.type):
        found = pc.index_in(column, value_set=pa.array(declared.classes))
    elif pa.types.is_boolean(column.type):
        found = column.cast(pa.int64())
    else:
        found = pc.subtract(column.cast(pa.int64()), declared.label_low)
    labels: np.ndarray = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    if labels.min() < 0 or labels.max() >= len(declared.classes):
        raise TrainerError(f"{data.dataset}: {data.label} has values that its declaration does not know")
    return labels


def one_for_each_unit(made: Examples) -> np.ndarray:
    """Return a mask of the first row of each unit.

    Noise hides one row. Where a person has several, it would hide the person less (Dwork and Roth, "The Algorithmic
    Foundations of Differential Privacy", 2014, theorem 2.2: group privacy), so each has one.
    """
    mask = np.zeros(len(made), dtype=bool)
    mask[np.unique(made.units, return_index=True)[1]] = True
    return mask
