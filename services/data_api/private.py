"""Differentially private answers by OpenDP: every answer has a measured cost, and its noise follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import opendp.prelude as opendp
from pydantic import BaseModel, ConfigDict, Field

from services.data_api.declarations import Dataset
from services.data_api.query import Filter, bad

dp: Any = opendp
"""Its functions are made at run time and carry no types."""

dp.enable_features("contrib")

Kind = Literal["count", "sum", "mean", "histogram", "quantile"]

_CANDIDATES = 256
"""Places among which a quantile is chosen: its resolution is 1/255 of the declared bounds."""


class Aggregate(BaseModel):
    """What is asked, and what it may cost."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    column: Annotated[str, Field(max_length=63)] | None = None
    filters: Annotated[list[Filter], Field(max_length=32)] = []
    milli_epsilon: Annotated[int, Field(ge=1, le=10_000)]
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    quantile: Annotated[float, Field(ge=0.01, le=0.99)] = 0.5


@lru_cache(maxsize=512)
def _measurement(
    kind: str,
    lower: float,
    upper: float,
    categories: tuple[str, ...],
    bins: int,
    at: float,
    rows: int,
    milli: int,
) -> Any:
    """Return the OpenDP measurement that costs at most ``milli``/1000 when one unit has ``rows`` rows (25 ms to build)."""
    epsilon = milli / 1000

    def fit(make: Any) -> Any:
        return dp.binary_search_chain(make, d_in=rows, d_out=epsilon)

    if kind == "count":
        counted = (dp.vector_domain(dp.atom_domain(T=int)), dp.symmetric_distance()) >> dp.t.then_count()
        return fit(lambda scale: counted >> dp.m.then_laplace(scale))
    if kind == "histogram" and categories:
        names = (dp.vector_domain(dp.atom_domain(T=str)), dp.symmetric_distance())
        by_name = names >> dp.t.then_count_by_categories(categories=list(categories), null_category=False)
        return fit(lambda scale: by_name >> dp.m.then_laplace(scale))
    numbers = (dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.symmetric_distance())
    if kind == "sum":
        total = numbers >> dp.t.then_clamp((lower, upper)) >> dp.t.then_sum()
        return fit(lambda scale: total >> dp.m.then_laplace(scale))
    if kind == "histogram":
        inner = edges(lower, upper, bins)[1:-1]
        binned = (
            numbers
            >> dp.t.then_find_bin(edges=inner)
            >> dp.t.then_count_by_categories(categories=list(range(bins)), null_category=False)
        )
        return fit(lambda scale: binned >> dp.m.then_laplace(scale))
    places = edges(lower, upper, _CANDIDATES - 1)
    scored = numbers >> dp.t.then_quantile_score_candidates(candidates=places, alpha=at)
    return fit(lambda scale: scored >> dp.m.then_noisy_max(dp.max_divergence(), scale, negate=True))


def edges(lower: float, upper: float, bins: int) -> list[float]:
    """Return the borders of bins of one width."""
    return [lower + (upper - lower) * i / bins for i in range(bins + 1)]


def _parts(dataset: Dataset, asked: Aggregate) -> list[tuple[Any, int]]:
    """Return the measurements of a query, each with its share of the cost."""
    column = dataset.columns.get(asked.column or "")
    rows = dataset.privacy.most_rows

    def part(kind: str, milli: int) -> tuple[Any, int]:
        lower, upper = (
            (column.bounds if column and column.bounds else (0.0, 0.0)) if kind != "count" else (0.0, 0.0)
        )
        names = tuple(column.categories or ()) if column and kind == "histogram" else ()
        bins = asked.bins if kind == "histogram" else 0
        at = asked.quantile if kind == "quantile" else 0.0
        return _measurement(kind, lower, upper, names, bins, at, rows, milli), milli

    if asked.kind == "mean":
        # Two answers out of one budget.
        half = asked.milli_epsilon // 2
        return [part("sum", asked.milli_epsilon - half), part("count", half)]
    return [part(asked.kind, asked.milli_epsilon)]


def check(dataset: Dataset, asked: Aggregate) -> None:
    """Refuse what the declaration does not admit.

    Raises:
        Problem: 422.
    """
    if asked.kind == "count":
        if asked.column is not None:
            raise bad("bad-aggregate", "A count takes no column; filter with not_null.")
        return
    column = dataset.columns.get(asked.column or "")
    if column is None:
        raise bad("unknown-column", "The aggregate's column is not in the dataset's schema.")
    if column.mask is not None:
        raise bad("masked-column", "A masked column has no aggregates.")
    if column.bounds is None and not (asked.kind == "histogram" and column.categories):
        raise bad(
            "no-bounds", "The column's declaration has no bounds, so that its aggregate cannot be private."
        )
    if asked.kind == "mean" and asked.milli_epsilon < 2:
        raise bad("bad-aggregate", "A mean costs two thousandths or more.")


def cost_milli(dataset: Dataset, asked: Aggregate) -> int:
    """Return the cost by OpenDP's accounting: the composition of the parts, rounded up to whole thousandths."""
    whole = dp.c.make_composition([m for m, _ in _sharing_domain(dataset, asked)])
    measured = whole.map(dataset.privacy.most_rows)
    return max(asked.milli_epsilon, math.ceil(round(float(measured) * 1000, 6)))


def _sharing_domain(dataset: Dataset, asked: Aggregate) -> list[tuple[Any, int]]:
    parts = _parts(dataset, asked)
    if len(parts) == 1:
        return parts
    # OpenDP composes measurements over one domain: count the numbers themselves.
    numbers = (dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.symmetric_distance())
    counted = numbers >> dp.t.then_count()
    half = dp.binary_search_chain(
        lambda scale: counted >> dp.m.then_laplace(scale),
        d_in=dataset.privacy.most_rows,
        d_out=parts[1][1] / 1000,
    )
    return [parts[0], (half, parts[1][1])]


def answer(dataset: Dataset, asked: Aggregate, values: Sequence[Any]) -> dict[str, Any]:
    """Return the noisy answer; ``values`` hold at most ``most_rows`` of each privacy unit, and no nulls."""
    parts = [measurement for measurement, _ in _parts(dataset, asked)]
    column = dataset.columns.get(asked.column or "")
    if asked.kind == "count":
        return {"value": parts[0]([1] * len(values))}
    if asked.kind == "histogram" and column and column.categories:
        return {"categories": column.categories, "counts": parts[0]([str(value) for value in values])}
    assert column is not None  # noqa: S101 - for the type checker; check() ran
    assert column.bounds is not None  # noqa: S101 - the same
    lower, upper = column.bounds
    numbers = [float(value) for value in values if value == value]
    if asked.kind == "sum":
        return {"value": parts[0](numbers)}
    if asked.kind == "mean":
        total, count = parts[0](numbers), parts[1]([1] * len(numbers))
        return {"value": min(upper, max(lower, total / max(1, count)))}
    if asked.kind == "histogram":
        return {"edges": edges(lower, upper, asked.bins), "counts": parts[0](numbers)}
    return {"value": edges(lower, upper, _CANDIDATES - 1)[parts[0](numbers)]}
