"""What a screen says: which screen, and why."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One objection."""

    screen: str
    reason: str
    """One plain sentence. It holds nothing of the input, since audit records carry it."""


def counted(count: int, what: str) -> str:
    """Return ``3 letters``, or ``1 letter``."""
    return f"{count} {what if count == 1 else what + 's'}"
