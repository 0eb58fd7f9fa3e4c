"""What a screen says of one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Screen = Literal["out-of-bounds", "backdoor", "mislabelled", "outlier", "duplicate"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row that is suspect to one screen."""

    row: int
    screen: Screen
    score: float
    """How suspect; each screen has a scale of its own."""
    reason: str
    """What is wrong, without a value of the row."""
