"""Inputs that are numbers: of the declared shape, finite, within the declared range; else the field is named."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.gateway.bodies import invalid
from services.modelchain.schema import TensorInput

Floats = NDArray[np.float32]


def rows_of(inputs: list[Any], takes: TensorInput, *, most: int) -> Floats:
    """Return the inputs of a query, float32[rows, *shape].

    Args:
        inputs: As the body has them.
        takes: What the model takes.
        most: Rows of one query.

    Raises:
        Problem: 422, naming the field.
    """
    if len(inputs) > most:
        raise invalid(f"inputs holds {len(inputs)} inputs; {most} at most.", "inputs")
    shape = (len(inputs), *takes.shape)
    try:
        given = np.asarray(inputs)
    except ValueError:
        # Rows of different lengths, or nested too deep.
        given = np.asarray(None)
    # Truth values among numbers would pass for 0 and 1; numbers that are too large come as objects.
    if given.shape != shape or given.dtype.kind not in "fiu" or _holds_truth(inputs):
        raise _misfit(inputs, takes.shape, "inputs")
    # What is NaN is not within anything.
    within = (given >= takes.low) & (given <= takes.high)
    if not within.all():
        place = np.argwhere(~within)[0]
        field = ".".join(["inputs", *map(str, place)])
        raise invalid(f"{field} is not between {takes.low:g} and {takes.high:g}.", field)
    return given.astype(np.float32)


def _holds_truth(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    return bool in kinds or (
        list in kinds and any(_holds_truth(each) for each in values if isinstance(each, list))
    )


def _misfit(values: Any, shape: tuple[int, ...], field: str) -> Exception:
    """Return what says where a nested list first is not of a shape; the first dimension is open at the top."""
    return _found(values, (len(values), *shape), field) or invalid("inputs is of another shape.", "inputs")


def _found(values: Any, shape: tuple[int, ...], field: str) -> Exception | None:
    if not shape:
        if isinstance(values, bool) or not isinstance(values, int | float):
            return invalid(f"{field} has to be a number.", field)
        if isinstance(values, int) and abs(values) >= 2**63:
            return invalid(f"{field} is too large a number.", field)
        return None
    if not isinstance(values, list):
        return invalid(f"{field} has to be a list of {shape[0]}.", field)
    if len(values) != shape[0]:
        return invalid(f"{field} holds {len(values)} values; the model takes {shape[0]}.", field)
    found = (_found(each, shape[1:], f"{field}.{place}") for place, each in enumerate(values))
    return next((each for each in found if each is not None), None)
