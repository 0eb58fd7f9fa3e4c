"""JSON as it must be to be believed: bounded, each name once, no NaN, and of the shape that a model declares."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.modelchain.errors import ModelError

MOST_BYTES = 2**20
DEEPEST = 16

Shape = TypeVar("Shape", bound=BaseModel)


def loaded(data: bytes, where: str) -> Any:
    """Return what a JSON object says.

    Raises:
        ModelError: it is not one JSON object in UTF-8, too large or too deep, says a name twice, or holds a number
            that JSON has not.
    """
    if len(data) > MOST_BYTES:
        raise ModelError(f"{where}: has {len(data)} bytes; {MOST_BYTES} at most")
    if not data.lstrip(b" \t\r\n").startswith(b"{"):
        raise ModelError(f"{where}: is not a JSON object")
    try:
        said = json.loads(
            data.decode(), object_pairs_hook=_named_once, parse_constant=_no_number, parse_float=_number
        )
    except RecursionError:
        raise ModelError(f"{where}: is nested more than {DEEPEST} deep") from None
    except ValueError as error:
        raise ModelError(f"{where}: is not the JSON that is taken: {error}") from None
    _shallow(said, where)
    return said


def parsed(shape: type[Shape], data: bytes, where: str) -> Shape:
    """Return what a JSON object says, as the shape that it must have.

    Raises:
        ModelError: see ``loaded``; or it has another shape, and then which field is wrong.
    """
    loaded(data, where)
    try:
        return shape.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ModelError(
            f"{where}: {_at(first['loc'])}{first['msg'].removeprefix('Value error, ')}"
        ) from None


def written(said: BaseModel) -> bytes:
    """Return the JSON of a model, as people read it."""
    return (json.dumps(said.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()


def _at(location: Sequence[int | str]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members with one name, each reader may believe another (RFC 8259, section 4).
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return said


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError("a number is too large")
    return value


def _shallow(said: Any, where: str, depth: int = 1) -> None:
    if depth > DEEPEST:
        raise ModelError(f"{where}: is nested more than {DEEPEST} deep")
    for inner in said.values() if isinstance(said, dict) else said if isinstance(said, list) else ():
        _shallow(inner, where, depth + 1)
