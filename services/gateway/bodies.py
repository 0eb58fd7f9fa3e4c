"""The body of a query: JSON that is read one way only, uncompressed, with ``inputs`` and nothing else."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from services.shared.problems import Problem


def invalid(detail: str, field: str) -> Problem:
    """Return the answer to an input that is not of the kind that is taken; ``field`` is where, ``inputs.0.12``."""
    return Problem(422, "invalid", detail, fields=[field])


def check_headers(request: Request) -> None:
    """Refuse what is compressed (it may be a bomb) or not JSON, before a byte of it is read.

    Raises:
        Problem: 415.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "encoded", "Send the body as it is, without Content-Encoding.")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise Problem(415, "not-json", "Send JSON, with Content-Type: application/json.")


def inputs_of(body: bytes) -> list[Any]:
    """Return the list that a body holds as ``inputs``.

    Raises:
        Problem: 400, it is not JSON (NaN, Infinity, and a name that stands twice are not); 422, it holds
            something else.
    """
    try:
        said = json.loads(body.decode(), object_pairs_hook=_named_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # The parser's own words would hold some of the body.
        raise Problem(400, "not-json", "The body is not JSON: no NaN, no Infinity, each name once.") from None
    if not isinstance(said, dict) or said.keys() != {"inputs"}:
        raise invalid('The body has to be {"inputs": [...]} and nothing else.', "body")
    inputs = said["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise invalid("inputs has to be a list of one or more.", "inputs")
    return inputs


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members with one name, each reader may believe another (RFC 8259, section 4).
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return said


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
