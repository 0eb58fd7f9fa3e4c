"""SQL from declarations only: identifiers are the declaration's, and every value is a bound parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.data_api.declarations import Dataset, quoted
from services.shared.problems import Problem

Scalar = bool | int | float | Annotated[str, Field(max_length=1000)]

_SQL_TYPE = {
    "integer": "int8",
    "number": "float8",
    "boolean": "bool",
    "text": "text",
    "date": "date",
    "timestamp": "timestamptz",
}
_NOTHING = {
    "integer": "0",
    "number": "0",
    "boolean": "false",
    "text": "''",
    "date": "'2000-01-01'",
    "timestamp": "'2000-01-01'",
}
_OPERATOR = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Filter(BaseModel):
    """One condition; all of a request's hold together."""

    model_config = ConfigDict(extra="forbid")
    column: Annotated[str, Field(max_length=63)]
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "is_null", "not_null"]
    value: Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=1000)] | None = None


@dataclass(frozen=True)
class Condition:
    """A condition that was checked against the declaration."""

    column: str
    op: str
    value: Any


@dataclass
class Statement:
    """A statement under way: its text holds only declared names, its arguments the caller's values."""

    arguments: list[Any] = field(default_factory=list)

    def bind(self, value: Any, sql_type: str) -> str:
        """Bind a value and return its place."""
        self.arguments.append(value)
        return f"${len(self.arguments)}::{sql_type}"


def bad(kind: str, detail: str) -> Problem:
    """Return the answer to a query that the declaration does not admit."""
    return Problem(422, kind, detail)


def chosen(dataset: Dataset, columns: Sequence[str] | None) -> list[str]:
    """Return the columns that are asked for: all, if none are named."""
    names = list(columns) if columns else list(dataset.columns)
    if any(name not in dataset.columns for name in names):
        raise bad("unknown-column", "A column that you name is not in the dataset's schema.")
    if len(set(names)) != len(names):
        raise bad("repeated-column", "Name each column once.")
    return names


def checked(dataset: Dataset, filters: Sequence[Filter]) -> list[Condition]:
    """Return the conditions with values of the columns' types.

    A masked column cannot be filtered by: whoever may guess and see what matches needs no unmasking.
    """
    return [_condition(dataset, asked) for asked in filters]


def _condition(dataset: Dataset, asked: Filter) -> Condition:
    column = dataset.columns.get(asked.column)
    if column is None:
        raise bad("unknown-column", "A filter names a column that is not in the dataset's schema.")
    if column.mask is not None:
        raise bad("masked-column", "A masked column cannot be filtered by.")
    if asked.op in ("is_null", "not_null"):
        if asked.value is not None:
            raise bad("bad-filter", "is_null and not_null take no value.")
        return Condition(asked.column, asked.op, None)
    if asked.op == "in":
        if not isinstance(asked.value, list):
            raise bad("bad-filter", "The operator in takes a list.")
        return Condition(asked.column, "in", [_typed(value, column.type) for value in asked.value])
    if isinstance(asked.value, list):
        raise bad("bad-filter", "Only the operator in takes a list.")
    return Condition(asked.column, asked.op, _typed(asked.value, column.type))


def _typed(value: object, kind: str) -> Any:
    wrong = bad("bad-filter", f"A filter's value is not a {kind} as the column is.")
    try:
        if kind == "boolean" and isinstance(value, bool):
            return value
        if isinstance(value, bool):
            raise wrong
        if kind == "integer" and isinstance(value, int) and abs(value) < 2**63:
            return value
        if kind == "number" and isinstance(value, int | float) and math.isfinite(float(value)):
            return float(value)
        if isinstance(value, str) and kind == "text" and "\0" not in value:
            value.encode()
            return value
        if isinstance(value, str) and kind == "date":
            return date.fromisoformat(value)
        if isinstance(value, str) and kind == "timestamp":
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                moment.utctimetuple()
                return moment
    except (ValueError, OverflowError):
        raise wrong from None
    raise wrong


def where(
    statement: Statement,
    dataset: Dataset,
    conditions: Sequence[Condition],
    after: Sequence[Any] | None = None,
) -> str:
    """Return the WHERE clause: the declared row filter, the caller's conditions, and the place to go on from."""
    parts = [f"({dataset.row_filter})"] if dataset.row_filter else []
    parts += [_sql(statement, dataset, condition) for condition in conditions]
    if after is not None:
        keys = ", ".join(quoted(name) for name in dataset.key)
        places = [
            statement.bind(value, _SQL_TYPE[dataset.columns[name].type])
            for name, value in zip(dataset.key, after, strict=True)
        ]
        parts.append(f"({keys}) > ({', '.join(places)})")
    return f"WHERE {' AND '.join(parts)}" if parts else ""


def _sql(statement: Statement, dataset: Dataset, condition: Condition) -> str:
    name, kind = quoted(condition.column), _SQL_TYPE[dataset.columns[condition.column].type]
    if condition.op == "is_null":
        return f"{name} IS NULL"
    if condition.op == "not_null":
        return f"{name} IS NOT NULL"
    if condition.op == "in":
        return f"{name} = ANY ({statement.bind(condition.value, f'{kind}[]')})"
    return f"{name} {_OPERATOR[condition.op]} {statement.bind(condition.value, kind)}"


def table(dataset: Dataset) -> str:
    """Return the declared table as SQL."""
    schema, name = dataset.table.split(".")
    return f"{quoted(schema)}.{quoted(name)}"


def block(
    dataset: Dataset,
    columns: Sequence[str],
    conditions: Sequence[Condition],
    after: Sequence[Any] | None,
    rows: int,
) -> tuple[str, list[Any]]:
    """Return the statement of one block of rows, which comes back by columns in one row.

    PostgreSQL packs each column in its binary form (``array_send``), so that no object is made per value: nulls
    apart as flags, text as one string of bytes with lengths. ``services.data_api.columnar`` unpacks it.
    """
    statement = Statement()
    clause = where(statement, dataset, conditions, after)
    order = ", ".join(quoted(name) for name in dataset.key)
    wanted = list(dict.fromkeys([*columns, *dataset.key]))
    inner = ", ".join(
        f"{quoted(name)}::{_SQL_TYPE[dataset.columns[name].type]} AS {quoted(name)}" for name in wanted
    )
    limit = statement.bind(rows, "int8")
    packed = ", ".join(part for name in wanted for part in _packed(dataset, name))
    # Only declared names and numbered places are in the text.
    text = f"SELECT count(*), {packed} FROM (SELECT {inner} FROM {table(dataset)} {clause} ORDER BY {order} LIMIT {limit}) rows"  # noqa: S608
    return text, statement.arguments


def _packed(dataset: Dataset, name: str) -> list[str]:
    column, at = dataset.columns[name], quoted(name)
    full = f"coalesce({at}, {_NOTHING[column.type]})" if column.nullable else at
    nulls = [f"array_send(array_agg({at} IS NULL))"] if column.nullable else []
    if column.type == "text":
        raw = f"convert_to({full}, 'UTF8')"
        return [f"string_agg({raw}, ''::bytea)", f"array_send(array_agg(octet_length({raw})))", *nulls]
    return [f"array_send(array_agg({full}))", *nulls]


def values(
    dataset: Dataset, column: str | None, conditions: Sequence[Condition], most: int
) -> tuple[str, list[Any]]:
    """Return the statement of the values that an aggregate is made of, a bounded number for each privacy unit.

    Which rows of a unit count is settled by their key alone, so that one unit's rows never decide about another's.
    """
    statement = Statement()
    clause = where(statement, dataset, conditions)
    what = f"{quoted(column)}::{_SQL_TYPE[dataset.columns[column].type]}" if column else "1::int8"
    given = f"{clause} {'AND' if clause else 'WHERE'} {quoted(column)} IS NOT NULL" if column else clause
    order = ", ".join(quoted(name) for name in dataset.key)
    allowed, limit = statement.bind(dataset.privacy.most_rows, "int8"), statement.bind(most, "int8")
    text = f"SELECT array_agg(v) FROM (SELECT v FROM (SELECT {what} AS v, row_number() OVER (PARTITION BY {quoted(dataset.privacy.unit)} ORDER BY {order}) AS n FROM {table(dataset)} {given}) r WHERE n <= {allowed} LIMIT {limit}) s"  # noqa: S608
    return text, statement.arguments
