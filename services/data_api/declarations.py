"""Datasets as they are declared in files: what is not declared cannot be reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Relation = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")]
ColumnType = Literal["integer", "number", "boolean", "text", "date", "timestamp"]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pseudonym(_Declared):
    """A keyed HMAC: equal values stay equal within the domain, and nobody without the key can tell which."""

    kind: Literal["pseudonym"]
    domain: Name


class Redact(_Declared):
    """Nothing is left."""

    kind: Literal["redact"]


class Prefix(_Declared):
    """The first characters only."""

    kind: Literal["prefix"]
    characters: Annotated[int, Field(ge=1, le=16)]


class Year(_Declared):
    """The first day of the year."""

    kind: Literal["year"]


class Rounded(_Declared):
    """The nearest multiple."""

    kind: Literal["round"]
    to: Annotated[float, Field(gt=0)]


Mask = Annotated[Pseudonym | Redact | Prefix | Year | Rounded, Field(discriminator="kind")]

_FITS: dict[str, set[str]] = {
    "pseudonym": {"text", "integer"},
    "redact": {"text"},
    "prefix": {"text"},
    "year": {"date"},
    "round": {"number"},
}


class Column(_Declared):
    """One column. An identifying column must be masked."""

    type: ColumnType
    classification: Literal["public", "internal", "sensitive", "identifying"]
    mask: Mask | None = None
    nullable: bool = False
    bounds: tuple[float, float] | None = None
    """Least and greatest value that counts in aggregates; from knowledge of the field, not from the data."""
    categories: list[str] | None = None

    @model_validator(mode="after")
    def _is_protected(self) -> Column:
        if self.classification == "identifying" and self.mask is None:
            raise ValueError("is identifying; give it a mask")
        if self.mask and self.type not in _FITS[self.mask.kind]:
            raise ValueError(f"the mask {self.mask.kind} does not fit the type {self.type}")
        if self.bounds and (self.type not in ("integer", "number") or self.bounds[0] >= self.bounds[1]):
            raise ValueError("bounds are the least and the greatest value of a number")
        return self


class Privacy(_Declared):
    """Whose privacy is kept, and how many rows of theirs count at most."""

    unit: Name
    most_rows: Annotated[int, Field(ge=1, le=10_000)]


class Budget(_Declared):
    """Thousandths of epsilon that one caller, and all together, may spend."""

    caller_milli_epsilon: Annotated[int, Field(ge=1)]
    dataset_milli_epsilon: Annotated[int, Field(ge=1)]
    dataset_pico_delta: Annotated[int, Field(ge=0, lt=10**12)] = 0
    """Trillionths of delta that all trainings together may spend; unless it says so nobody may train privately on it."""


class Dataset(_Declared):
    """One dataset."""

    name: Name
    title: str
    table: Relation
    key: Annotated[list[Name], Field(min_length=1, max_length=4)]
    """Columns that are unique together, not null, and indexed: rows come in their order."""
    row_filter: str | None = None
    """A condition in SQL, by whoever declares the dataset."""
    filter_columns: list[Name] = []
    """Columns that the row filter reads beside the declared ones; callers never see them."""
    purposes: Annotated[list[str], Field(min_length=1)]
    privacy: Privacy
    budget: Budget
    columns: Annotated[dict[Name, Column], Field(min_length=1)]

    @model_validator(mode="after")
    def _hangs_together(self) -> Dataset:
        for name in (*self.key, self.privacy.unit):
            if name not in self.columns:
                raise ValueError(f"{name} is not among the columns")
        for name in (*self.key, self.privacy.unit):
            if self.columns[name].nullable:
                raise ValueError(f"{name} must not be nullable")
        if self.row_filter and (";" in self.row_filter or "--" in self.row_filter):
            raise ValueError("row_filter is one condition")
        return self


class DeclarationError(Exception):
    """A declaration is wrong; the message says where and what."""


def load(folder: Path) -> dict[str, Dataset]:
    """Return the datasets of a folder by name.

    Raises:
        DeclarationError: a file is wrong, or two declare the same name.
    """
    found: dict[str, Dataset] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            dataset = Dataset.model_validate(yaml.safe_load(path.read_text()))
        except (ValidationError, yaml.YAMLError) as error:
            message = (
                error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "is not YAML"}
            )
            where = ".".join(str(part) for part in message["loc"])
            raise DeclarationError(f"{path}: {where}: {message['msg']}") from None
        if dataset.name in found:
            raise DeclarationError(f"{path}: {dataset.name} is declared twice")
        found[dataset.name] = dataset
    if not found:
        raise DeclarationError(f"{folder}: declares no dataset; write one file for each, NAME.yaml")
    return found


def quoted(name: str) -> str:
    """Return a declared name as an identifier of SQL."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise ValueError("no declared name")
    return f'"{name}"'
