"""What an attack found: numbers beside their thresholds, and pictures of how it looked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.modelchain.schema import Check

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Pictures side by side, with what stands before them and under each."""

    title: str
    images: Array
    """float[n, rows, columns] or [n, rows, columns, 3], between 0 and 1."""
    captions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Rows of pictures."""

    title: str
    about: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Points of one curve."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves over one axis."""

    title: str
    about: str
    x_name: str
    y_name: str
    lines: tuple[Line, ...]
    logarithmic: bool = False
    """Both axes, as for a ROC whose left end is what matters."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text."""

    title: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Exhibit = Gallery | Chart | Table


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A check, and which side of its threshold is the good one."""

    check: Check
    least: bool
    """It has to reach the threshold; else it has to stay under it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of one attack."""

    measured: tuple[Measured, ...]
    exhibits: tuple[Exhibit, ...] = ()


def at_least(name: str, value: float, threshold: float, about: str = "") -> Measured:
    """Return a check that passes from the threshold up; what is no number does not pass."""
    return Measured(check=_check(name, value, threshold, value >= threshold, about, worst=-1.0), least=True)


def at_most(name: str, value: float, threshold: float, about: str = "") -> Measured:
    """Return a check that passes up to the threshold; what is no number does not pass."""
    return Measured(check=_check(name, value, threshold, value <= threshold, about, worst=1e9), least=False)


def _check(name: str, value: float, threshold: float, passed: bool, about: str, *, worst: float) -> Check:
    # A verdict holds finite numbers alone.
    finite = math.isfinite(value)
    said = float(value) if finite else worst
    return Check(
        name=name,
        value=said,
        threshold=float(threshold),
        passed=finite and bool(passed),
        about=about[:500],
    )


def accuracy(answers: Array, labels: Array) -> float:
    """Return the share of answers whose largest probability is at the label."""
    return float((answers.argmax(axis=1) == labels).mean())


def percent(share: float) -> str:
    """Return a share as people read it."""
    return f"{100 * share:.1f}%"


def counted(count: int, what: str) -> str:
    """Return ``3 starts``, or ``1 start``."""
    return f"{count} {what if count == 1 else what + 's'}"


def passed(checks: Sequence[Check]) -> bool:
    """Return whether every check did; none at all is no pass."""
    return bool(checks) and all(check.passed for check in checks)
