"""What the command line tells of a model: a table to read, or the same as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from services.modelchain.errors import plain
from services.modelchain.folder import Candidate
from services.modelchain.release import Release
from services.modelchain.schema import Privacy, Schema, Statistics, TensorInput

WIDEST = 100
"""Characters of a cell."""


def as_json(candidate: Candidate, vouched: dict[str, str]) -> dict[str, Any]:
    """Return everything about a model, for programs; ``vouched`` maps a role to its key's fingerprint."""
    said: dict[str, Any] = {
        "digest": candidate.digest,
        "schema": candidate.schema.model_dump(mode="json"),
        "statistics": candidate.statistics.model_dump(mode="json"),
        "privacy": candidate.privacy.model_dump(mode="json"),
        "card": candidate.card.model_dump(mode="json"),
        "files": {name: {"bytes": size, "sha256": sha} for name, size, sha in _files(candidate)},
        "vouched": vouched,
    }
    if isinstance(candidate, Release):
        said["verdict"] = candidate.verdict.model_dump(mode="json")
    return said


def as_text(candidate: Candidate, vouched: dict[str, str]) -> str:
    """Return what people want to know first, one thing a line, then the files."""
    card = candidate.card
    rows = [
        ("model", f"{candidate.schema.name} {candidate.schema.version}"),
        ("digest", candidate.digest),
        ("title", card.title),
        ("takes", _takes(candidate.schema)),
        ("gives", f"{candidate.schema.output.name}: {', '.join(candidate.schema.output.classes)}"),
        ("trained", f"{card.trained_at.isoformat(timespec='seconds')} on {card.dataset}"),
        ("figures", ", ".join(f"{name} {value:g}" for name, value in card.figures.items()) or "none"),
        ("privacy", _privacy(candidate.privacy)),
        ("screens", _screens(candidate.statistics)),
    ]
    if isinstance(candidate, Release):
        verdict = candidate.verdict
        rows.append(
            ("verdict", f"passed {len(verdict.checks)} checks, holds until {verdict.holds_until.isoformat()}")
        )
    rows += [(role, f"vouches for it with key {key}") for role, key in vouched.items()]
    files = [(name, f"{size:,} bytes", sha) for name, size, sha in _files(candidate)]
    return f"{table(rows)}\n\n{table(files)}\n"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows in columns."""
    cells = [[plain(cell[:WIDEST] + "…" * (len(cell) > WIDEST)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _files(candidate: Candidate) -> list[tuple[str, int, str]]:
    files = sorted(candidate.files.items())
    return [(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files]


def _takes(schema: Schema) -> str:
    taken = schema.input
    if isinstance(taken, TensorInput):
        shape = ", ".join(["batch", *map(str, taken.shape)])
        return f"{taken.name}: float32[{shape}] from {taken.low:g} to {taken.high:g}"
    return f"{taken.name}: text of {taken.most_characters} characters and {taken.most_images} images at most"


def _privacy(privacy: Privacy) -> str:
    if privacy.epsilon is None:
        return f"not bounded: {privacy.reason_for_none}"
    return f"epsilon {privacy.epsilon:g} at delta {privacy.delta:g} ({privacy.accountant})"


def _screens(statistics: Statistics) -> str:
    calibrated = {"novelty": statistics.novelty, "squeezing": statistics.squeezing}
    return (
        ", ".join(
            f"{name} ({each.false_positive_rate:.2%} false positives)"
            for name, each in calibrated.items()
            if each is not None
        )
        or "none that need training data"
    )
