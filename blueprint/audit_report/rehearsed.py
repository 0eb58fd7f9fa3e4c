"""The outcome of a rehearsal, as ``blueprint rehearse --format json`` wrote it, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint.errors import BadInput

MAX_BYTES = 16 * 1024 * 1024
SCHEMA = 2
"""Of ``blueprint.rehearsal.result.Rehearsal.as_json_value``."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One assertion: what was asked of the emulated account, and of how many things."""

    topic: str
    sentence: str
    looked_at: int
    broken: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What a report says of a rehearsal."""

    provider: str
    passed: bool
    planned: int
    applied: int
    destroyed: int
    problems: tuple[str, ...]
    asked: tuple[Asked, ...]
    not_asked: tuple[str, ...]
    not_applied: Mapping[str, str]
    """What could only be planned, or not even that, and why."""
    seconds: Mapping[str, float]

    @property
    def applied_at_all(self) -> bool:
        """Say whether it went further than a plan."""
        return "apply" in self.seconds

    @property
    def summary(self) -> str:
        """Return one sentence."""
        if not self.applied_at_all:
            return f"planned only: {self.planned} resources"
        held = sum(not each.broken for each in self.asked)
        return (
            f"{self.applied} of {self.planned} resources applied to an emulated AWS, "
            f"{held} of {len(self.asked)} assertions held, {self.destroyed} destroyed"
        )


def read(path: Path, environment: str) -> Rehearsed:
    """Return the rehearsal in a file.

    Raises:
        BadInput: the file cannot be read, is no rehearsal, or is one of another environment.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: is larger than 16 MiB; a rehearsal is some hundred kilobytes")
        said = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}; name a file") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path}: is not JSON; {_HOW}") from None
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        raise BadInput(f"{path}: is no rehearsal, or one of another version; {_HOW}")
    if said.get("stack") != environment:
        raise BadInput(f"{path}: is a rehearsal of {said.get('stack')!r:.40}, not of {environment}")
    try:
        return _rehearsed(said)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadInput(f"{path}: is not a whole rehearsal; {_HOW}") from None


_HOW = "write it with blueprint rehearse ENV --format json > FILE"


def _rehearsed(said: Mapping[str, Any]) -> Rehearsed:
    return Rehearsed(
        provider=str(said["provider"]),
        passed=said["passed"] is True and not said["problems"],
        planned=len(said["planned"]),
        applied=len(said["applied"]),
        destroyed=int(said["destroyed"]),
        problems=tuple(map(str, said["problems"])),
        asked=tuple(
            Asked(
                topic=str(each["topic"]),
                sentence=str(each["sentence"]),
                looked_at=_count(each["looked_at"]),
                broken=tuple(map(str, each["broken"])) or (() if each["holds"] is True else ("not said",)),
            )
            for each in said["assertions"]
        ),
        not_asked=tuple(map(str, said["not_asked"])),
        not_applied={
            str(name): str(why) for key in ("not_planned", "planned_only") for name, why in said[key].items()
        },
        seconds={str(phase): float(seconds) for phase, seconds in said["seconds"].items()},
    )


def _count(looked_at: Any) -> int:
    return len(looked_at) if isinstance(looked_at, list) else int(looked_at)
