"""Text as a person reads it: what is hidden, disguised or taken apart is put right, and every repair says why."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class Finding(NamedTuple):
    """What a screen found."""

    screen: str
    reason: str
    """One plain sentence; holds nothing of the text itself, since audit records carry it."""


class Normalised(NamedTuple):
    """A text put right."""

    text: str
    findings: tuple[Finding, ...]


def normalised(text: str) -> Normalised:
    """Return the text as a person reads it, and what had to be repaired."""
    kept = "".join(character for character in text if unicodedata.category(character) != "Cf")
    removed = len(text) - len(kept)
    findings = (Finding("zero-width", f"{removed} invisible characters"),) if removed else ()
    return Normalised(unicodedata.normalize("NFKC", kept), findings)
