"""Runs filter patterns of CloudWatch Logs on events, as far as the alarms use their language.

CloudWatch Logs User Guide, "Filter pattern syntax for metric filters": selectors, ``=``, ``!=``, ``NOT EXISTS``,
asterisks, parentheses, ``&&`` before ``||``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

_TOKEN = re.compile(
    r'\s*(?:(?P<sign>&&|\|\||!=|=|[(){}])|(?P<gone>NOT EXISTS)|"(?P<quoted>[^"]*)"|(?P<word>[^\s()={}!&|"]+))'
)


class Unreadable(ValueError):
    """The pattern is none."""


def matches(pattern: str, event: Mapping[str, Any]) -> bool:
    """Say whether a pattern matches an event.

    Raises:
        Unreadable: CloudWatch Logs would refuse the pattern.
    """
    reader = _Reader(_tokens(pattern), event)
    reader.take("{")
    found = reader.any_of()
    reader.take("}")
    if reader.rest:
        raise Unreadable(f"{reader.rest[0]} comes after the end")
    return found


def _tokens(pattern: str) -> list[str]:
    tokens, position = [], 0
    while pattern[position:].strip():
        found = _TOKEN.match(pattern, position)
        if not found:
            raise Unreadable(pattern[position:])
        tokens.append(next(text for text in found.groups() if text is not None))
        position = found.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[str], event: Mapping[str, Any]) -> None:
        self.rest = tokens
        self._event = event

    def take(self, expected: str | None = None) -> str:
        if not self.rest or (expected and self.rest[0] != expected):
            raise Unreadable(f"{expected or 'more'} is missing before {self.rest[:1]}")
        return self.rest.pop(0)

    def any_of(self) -> bool:
        found = self._all_of()
        while self.rest[:1] == ["||"]:
            self.take()
            found = self._all_of() or found
        return found

    def _all_of(self) -> bool:
        found = self._one()
        while self.rest[:1] == ["&&"]:
            self.take()
            found = self._one() and found
        return found

    def _one(self) -> bool:
        if self.rest[:1] == ["("]:
            self.take()
            found = self.any_of()
            self.take(")")
            return found
        selector, sign = self.take(), self.take()
        value = self._value(selector)
        if sign == "NOT EXISTS":
            return value is None
        if sign not in ("=", "!="):
            raise Unreadable(f"{sign} compares nothing")
        wanted = self.take()
        return value is not None and fnmatchcase(str(value), wanted) is (sign == "=")

    def _value(self, selector: str) -> Any:
        if not selector.startswith("$."):
            raise Unreadable(f"{selector} selects nothing")
        value: Any = self._event
        for step in selector.removeprefix("$.").split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value
