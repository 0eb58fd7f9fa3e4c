"""Made-up rows of a dataset, from its declaration alone: they say nothing about anybody."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.data_api.declarations import Column, Dataset


def rows(dataset: Dataset, count: int) -> list[dict[str, Any]]:
    """Return rows, always the same for the same dataset."""
    chance = random.Random(dataset.name)  # noqa: S311 - nothing to guess
    return [{name: _value(column, chance) for name, column in dataset.columns.items()} for _ in range(count)]


def _value(column: Column, chance: random.Random) -> Any:
    if column.nullable and chance.random() < 0.1:
        return None
    if column.categories:
        return chance.choice(column.categories)
    lower, upper = column.bounds or (0, 1000)
    made: dict[str, Any] = {
        "integer": int(chance.uniform(lower, upper)),
        "number": chance.uniform(lower, upper),
        "boolean": chance.random() < 0.5,
        "text": f"text-{chance.randrange(100)}",
        "date": (date(2000, 1, 1) + timedelta(days=chance.randrange(9000))).isoformat(),
        "timestamp": (
            datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**8))
        ).isoformat(),
    }
    return made[column.type]
