"""How new each model was: an older one is never served again, not even one that was properly signed.

The marks are kept in a sealed file. One that is damaged, or that somebody else wrote, stops the gateway: it would not
know any more what is old.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.modelchain.schema import Digest, Name
from services.shared.audit_chain import canonical, seal

MOST_BYTES = 2**20


class MarksError(Exception):
    """The file is damaged; the message names it."""


class Mark(BaseModel):
    """The newest release of one model that was served."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: Annotated[int, Field(ge=1, lt=2**53)]
    digest: Digest


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    marks: dict[Name, Mark]
    seal: str


class Marks:
    """The marks of all models, in a file."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Read the file; where there is none nothing was ever served.

        Raises:
            MarksError: the file is damaged, or sealed with another key.
        """
        self._path, self._key = path, key
        self._marks: dict[str, Mark] = self._read()

    def of(self, name: str) -> Mark | None:
        """Return the mark of a model."""
        return self._marks.get(name)

    def objection(self, name: str, version: int, digest: str) -> str | None:
        """Return why a release may not follow what was served before, in a sentence."""
        mark = self._marks.get(name)
        if mark is None or version > mark.version:
            return None
        if version < mark.version:
            return f"is older than version {mark.version}, which was served before"
        if digest != mark.digest:
            return "has another digest than what was served under the same version before"
        return None

    def raise_to(self, name: str, version: int, digest: str) -> None:
        """Move a mark up, on the disk first.

        Raises:
            OSError: it cannot be written; the mark is where it was.
        """
        mark = Mark(version=version, digest=digest)
        if self._marks.get(name) == mark:
            return
        marks = {**self._marks, name: mark}
        self._write(marks)
        self._marks = marks

    def _read(self) -> dict[str, Mark]:
        try:
            with self._path.open("rb") as file:
                data = file.read(MOST_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise MarksError(f"{self._path}: cannot be read: {error.strerror}") from None
        try:
            kept = _File.model_validate(json.loads(data))
        except (ValidationError, ValueError, RecursionError):
            raise MarksError(f"{self._path}: is damaged{_REMEDY}") from None
        if not hmac.compare_digest(kept.seal.encode(), self._seal(kept.marks).encode()):
            raise MarksError(f"{self._path}: is not as this gateway wrote it{_REMEDY}")
        return kept.marks

    def _seal(self, marks: Mapping[str, Mark]) -> str:
        return seal(self._key, _text(marks))

    def _write(self, marks: Mapping[str, Mark]) -> None:
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(f'{{"marks":{_text(marks)},"seal":"{self._seal(marks)}"}}\n'.encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


_REMEDY = (
    "; what was served before is not known. Look who changed it; then set least_version in serving.yaml for every "
    "model, and take the file away"
)


def _text(marks: Mapping[str, Mark]) -> str:
    return canonical({name: mark.model_dump() for name, mark in marks.items()})
