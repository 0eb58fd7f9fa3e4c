"""Examples straight from the data-access API, so that who trained does not also choose what the model is judged with.

The job says what was read and how it was split; the rule is the trainer's (docs/training.md): a unit, such as a person,
is held out where the first 8 bytes of SHA-256 over ``seed/unit``, as a fraction, lie below the share, and of a unit that
trains it is the first row that does. Rows that the trainer's screens took out count as members here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.modelchain.folder import Candidate
from services.redteam import data, settings
from services.redteam.data import Array, Examples
from services.redteam.errors import RedTeamError, Unfit
from services.redteam.settings import Settings
from services.shared import strict_yaml
from services.shared.data_client import DataApiClient, DataApiError

ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class _Said(BaseModel):
    # The trainer holds the whole file against its own model; here counts what says which rows.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Source(_Said):
    """What was read."""

    dataset: ColumnName
    purpose: Annotated[str, Field(max_length=64)]
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=4096)]
    label: ColumnName
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=4)] | None = None


class Calibration(_Said):
    """What was held out."""

    share: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2


class Job(_Said):
    """A training job, as far as it says which rows a model was trained on."""

    name: str
    version: int
    data: Source
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    calibration: Calibration = Calibration()


def job(path: Path) -> Job:
    """Return the job in a file.

    Raises:
        RedTeamError: names the file and the key.
    """
    try:
        said = strict_yaml.read(path)
        return Job.model_validate_json(json.dumps(said, default=str), strict=True)
    except strict_yaml.YamlError as error:
        raise RedTeamError(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(map(str, first["loc"]))
        raise RedTeamError(f"{path}: {at}: {first['msg'].lower()}") from None


def read(told: Settings, asked: Job, candidate: Candidate) -> Examples:
    """Return what a candidate was trained on and what was held out, row by row from the API.

    Raises:
        Unfit: the candidate's card speaks of another training than the job.
        RedTeamError: the API refuses or does not answer, or its rows are not what the model takes.
    """
    _about(asked, candidate)
    client = DataApiClient(
        settings.needed(told, "DATA_API_URL"), token=lambda: settings.token(told), tls=settings.trusted(told)
    )
    try:
        said = client.schema(asked.data.dataset)
        rows = _Rows(said, asked)
        batches = client.batches(asked.data.dataset, purpose=asked.data.purpose, columns=rows.names)
        arrays = rows.split(batches)
    except (DataApiError, httpx.HTTPError, OSError) as error:
        raise RedTeamError(f"DATA_API_URL: {asked.data.dataset} cannot be read: {error}") from None
    finally:
        client.close()
    return data.checked(arrays, candidate.schema, asked.data.dataset)


def _about(asked: Job, candidate: Candidate) -> None:
    card, schema = candidate.card, candidate.schema
    for what, told, found in (
        ("name", asked.name, schema.name),
        ("version", asked.version, schema.version),
        ("data.dataset", asked.data.dataset, card.dataset),
        ("data.purpose", asked.data.purpose, card.purpose),
        ("seed", asked.seed, card.seed),
    ):
        if told != found:
            raise Unfit(
                f"{what}: is {told} in the job and {found} in the candidate; it is another training's"
            )


class _Rows:
    """Turns rows of one dataset into what a model takes."""

    def __init__(self, said: Mapping[str, Any], asked: Job) -> None:
        self._asked, columns = asked.data, said["columns"]
        missing = [name for name in (*asked.data.columns, asked.data.label) if name not in columns]
        if missing:
            raise RedTeamError(f"{asked.data.dataset}: has no column {missing[0]}")
        self._seed, self._share = asked.seed, asked.calibration.share
        self._unit = str(said["privacy_unit"])
        self._bounds = [_bounds(columns[name], name) for name in asked.data.columns]
        self._label = columns[asked.data.label]
        extra = dict.fromkeys((*said["key"], self._unit))
        self.names = list(dict.fromkeys((*extra, *asked.data.columns, asked.data.label)))

    def split(self, batches: Iterable[pa.RecordBatch]) -> dict[str, Array]:
        """Return the four arrays that ``data.checked`` takes."""
        parts = [(self._values(each), self._labels(each), self._units(each)) for each in batches]
        if not parts:
            raise RedTeamError(f"{self._asked.dataset}: has no rows for {self._asked.purpose}")
        values, labels, units = (np.concatenate(each) for each in zip(*parts, strict=True))
        each, first, back = np.unique(units, return_index=True, return_inverse=True)
        held = np.array([_fraction(f"{self._seed}/{unit}") < self._share for unit in each])
        chosen = {"member": np.sort(first[~held]), "held_out": np.flatnonzero(held[back.reshape(-1)])}
        shaped = values.reshape(-1, *(self._asked.shape or (len(self._asked.columns),)))
        inside = np.isfinite(values).all(axis=1) & (values >= 0).all(axis=1) & (values <= 1).all(axis=1)
        kept = {name: rows[inside[rows]] for name, rows in chosen.items()}
        inputs = {f"{name}_inputs": shaped[rows] for name, rows in kept.items()}
        return {**inputs, **{f"{name}_labels": labels[rows] for name, rows in kept.items()}}

    def _values(self, batch: pa.RecordBatch) -> Array:
        scaled = [
            (_numbers(batch.column(name)) - low) / (high - low)
            for name, (low, high) in zip(self._asked.columns, self._bounds, strict=True)
        ]
        return np.stack(scaled, axis=1).astype(np.float32)

    def _units(self, batch: pa.RecordBatch) -> Array:
        return np.array(batch.column(self._unit).cast(pa.string()).to_pylist(), dtype=str)

    def _labels(self, batch: pa.RecordBatch) -> Array:
        column, said = batch.column(self._asked.label), self._label
        if pa.types.is_string(column.type):
            found = pc.index_in(column, value_set=pa.array(said["categories"] or []))
        elif pa.types.is_boolean(column.type):
            found = column.cast(pa.int64())
        else:
            found = pc.subtract(column.cast(pa.int64()), int((said["bounds"] or [0])[0]))
        labels: Array = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        return labels


def _bounds(column: Mapping[str, Any], name: str) -> tuple[float, float]:
    if column["type"] == "boolean":
        return 0.0, 1.0
    if column["bounds"] is None or column["mask"] is not None:
        raise RedTeamError(f"data.columns: {name} is masked or has no bounds; a model cannot take it")
    low, high = column["bounds"]
    return float(low), float(high)


def _numbers(column: pa.Array) -> Array:
    whole = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
    found: Array = whole.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
