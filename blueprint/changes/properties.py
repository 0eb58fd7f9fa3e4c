"""Which properties differ between two versions of one resource, and what of them may be shown.

A place is always named. A value is shown only where it is a number, a yes or no, or a short word, and where neither
the place nor the value looks like a secret; whatever was marked as one is never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blueprint.graph import SECRET, SIGNATURE, UNKNOWN
from blueprint.verdict import printable

MAX_DEPTH = 12
"""Deeper than any document of AWS's; what differs below is named by its ancestor."""

_LONGEST_SHOWN = 48

_SENSITIVE = re.compile(
    r"passw|secret|token|credential|private|user_?data|environment|\benv\b|string_?data|connection|"
    r"access_?key|api_?key|auth|certificate|\bdata\b|\bbody\b|content|command|args",
    re.IGNORECASE,
)
"""Places that may hold a secret though nobody marked it: passwords, start scripts, environments of programs, …"""

_WORD = re.compile(r"[A-Za-z0-9_.:/ *,-]*")
_LIKE_A_KEY = re.compile(
    r"(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*\d)[A-Za-z0-9+/_-]{16,}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One property that differs; ``shown`` is ``before → after`` where that may be shown, else how it differs."""

    path: str
    shown: str

    def __str__(self) -> str:
        return f"{self.path}: {self.shown}"


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two sets of inputs, by path."""
    return tuple(sorted(_object("", before, after, 0), key=lambda change: (change.path, change.shown)))


def _object(path: str, before: dict[str, Any], after: dict[str, Any], depth: int) -> Iterator[Change]:
    for key in before.keys() | after.keys():
        at = f"{path}.{printable(key)}" if path else printable(key)
        if key not in before:
            yield Change(path=at, shown="is new")
        elif key not in after:
            yield Change(path=at, shown="is gone")
        else:
            yield from _value(at, before[key], after[key], depth + 1)


def _value(path: str, before: Any, after: Any, depth: int) -> Iterator[Change]:
    if _same(before, after):
        return
    if UNKNOWN in (before, after) or _secret(before) or _secret(after):
        yield Change(path=path, shown="differs")
        return
    before, after = _document(before), _document(after)
    if depth < MAX_DEPTH and isinstance(before, dict) and isinstance(after, dict):
        yield from _object(path, before, after, depth)
    elif depth < MAX_DEPTH and isinstance(before, list) and isinstance(after, list):
        yield from _list(path, before, after, depth)
    elif _may_be_shown(path, before) and _may_be_shown(path, after):
        yield Change(path=path, shown=f"{_word(before)} → {_word(after)}")
    else:
        yield Change(path=path, shown="differs")


def _list(path: str, before: list[Any], after: list[Any], depth: int) -> Iterator[Change]:
    if len(before) != len(after):
        yield Change(path=path, shown=f"{len(before)} → {len(after)} entries")
        return
    if sorted(map(_text, before)) == sorted(map(_text, after)):
        yield Change(path=path, shown="is in another order")
        return
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        yield from _value(f"{path}[{index}]", old, new, depth + 1)


def _same(before: Any, after: Any) -> bool:
    # In Python True is 1, and in a policy it is not.
    return type(before) is type(after) and before == after


def _secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def _document(value: Any) -> Any:
    """Return what is in a document that is written as text, such as a policy; any other value as it is."""
    if isinstance(value, str) and value[:1] in "{[" and value:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _may_be_shown(path: str, value: Any) -> bool:
    if _SENSITIVE.search(path):
        return False
    if isinstance(value, str):
        short = len(value) <= _LONGEST_SHOWN and _WORD.fullmatch(value) is not None
        return short and not _LIKE_A_KEY.search(value)
    return value is None or isinstance(value, bool | int | float)


def _word(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
