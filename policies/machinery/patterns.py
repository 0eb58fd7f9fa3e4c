"""Patterns of IAM, with ``*`` and ``?``: whether two of them may mean the same thing, and whether one is inside another."""

from __future__ import annotations

from functools import cache

from machinery.subject import Malformed

LONGEST = 2048
"""No ARN is longer (IAM and STS quotas, "Resource name": 512 at most, and what stands before it)."""


def covers(outer: str, inner: str) -> bool:
    """Say whether everything that ``inner`` matches is matched by ``outer`` too.

    A wildcard of ``inner`` has to fall under one of ``outer``. Where two patterns mean the same in different
    words it may say no, never yes where they do not.
    """
    return _matches(_bounded(outer), _bounded(inner), both=False)


def overlap(one: str, other: str) -> bool:
    """Say whether something is matched by both patterns."""
    return _matches(_bounded(one), _bounded(other), both=True)


def _bounded(pattern: str) -> str:
    if len(pattern) > LONGEST:
        raise Malformed("Resource")
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    return pattern


@cache
def _matches(outer: str, inner: str, *, both: bool) -> bool:
    """Walk ``inner`` through ``outer``, one row of possible places at a time; with ``both`` its wildcards count too."""
    row = [True] + [False] * len(outer)
    _skip_stars(row, outer)
    for letter in inner:
        row = _step(row, outer, letter, both=both)
        if not any(row):
            return False
    return row[-1]


def _step(row: list[bool], outer: str, letter: str, *, both: bool) -> list[bool]:
    if both and letter == "*":
        # It may stand for nothing, and for anything that comes.
        first = row.index(True)
        return [place >= first for place in range(len(row))]
    found = [False] * len(row)
    for place, pattern in enumerate(outer):
        if pattern == "*":
            found[place + 1] = row[place + 1] or row[place]
        elif row[place]:
            found[place + 1] = (
                pattern == letter or (pattern == "?" and letter != "*") or (both and letter == "?")
            )
    _skip_stars(found, outer)
    return found


def _skip_stars(row: list[bool], outer: str) -> None:
    for place, pattern in enumerate(outer):
        if pattern == "*" and row[place]:
            row[place + 1] = True
