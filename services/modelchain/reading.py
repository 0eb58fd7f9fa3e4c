"""Reads a candidate or a release once: every byte that is judged later is the byte that was read here.

Names come from a closed list; files are plain, have one name and bounded sizes, and are opened relative to folders
that are already open, so nobody can put a link in between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.modelchain import strict_json
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.schema import (
    ARRAYS,
    CARD,
    GRAPH,
    MODEL,
    MODEL_SIGNATURE,
    PRIVACY,
    SCHEMA,
    STATISTICS,
    VERDICT,
    VERDICT_FILE,
    VERDICT_SIGNATURE,
    WEIGHTS,
)

MIB = 2**20

MODEL_FILES = {
    GRAPH: 512 * MIB,
    SCHEMA: strict_json.MOST_BYTES,
    STATISTICS: strict_json.MOST_BYTES,
    ARRAYS: 256 * MIB,
    CARD: strict_json.MOST_BYTES,
    PRIVACY: strict_json.MOST_BYTES,
    WEIGHTS: 512 * MIB,
}
"""The files of ``model/``, with the most bytes of each."""

OPTIONAL = {WEIGHTS}

VERDICT_FILES = {VERDICT_FILE: strict_json.MOST_BYTES}

SIGNATURE_BYTES = strict_json.MOST_BYTES

MOST_TOTAL_BYTES = 1024 * MIB
"""Of everything together: it is held in memory while it is verified."""

FOLDERS = {MODEL: MODEL_FILES, VERDICT: VERDICT_FILES}
SIGNATURES = (MODEL_SIGNATURE, VERDICT_SIGNATURE)

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What lies in a candidate or a release, read once."""

    model: Mapping[str, bytes]
    model_signature: bytes | None
    verdict: Mapping[str, bytes] | None
    verdict_signature: bytes | None


def read(path: Path) -> Contents:
    """Return everything that lies in a candidate or release; every file is looked at before the first is read.

    Raises:
        Unreadable: there is no such folder, or it may not be read.
        ModelError: something lies there that is not taken, or something is missing.
    """
    with ExitStack() as opened:
        root = opened.enter_context(_opened(path))
        present = _names(root, str(path), [*FOLDERS, *SIGNATURES])
        if MODEL not in present:
            raise ModelError(f"{path}: holds no folder {MODEL}/")
        files = [_File(root, name, name, SIGNATURE_BYTES) for name in SIGNATURES if name in present]
        for name in (each for each in FOLDERS if each in present):
            folder = opened.enter_context(_inside(root, name))
            files += [
                _File(folder, each, f"{name}/{each}", FOLDERS[name][each])
                for each in _names(folder, name, FOLDERS[name])
            ]
        missing = {f"{MODEL}/{each}" for each in MODEL_FILES.keys() - OPTIONAL} - {
            each.where for each in files
        }
        if missing:
            raise ModelError(f"{min(missing)}: is missing")
        if sum(each.size for each in files) > MOST_TOTAL_BYTES:
            raise ModelError(f"{path}: all files together have more than {MOST_TOTAL_BYTES} bytes")
        data = {each.where: each.read() for each in files}
    return Contents(
        model=_under(MODEL, data),
        model_signature=data.get(MODEL_SIGNATURE),
        verdict=_under(VERDICT, data) if VERDICT in present else None,
        verdict_signature=data.get(VERDICT_SIGNATURE),
    )


def _under(folder: str, data: Mapping[str, bytes]) -> dict[str, bytes]:
    start = f"{folder}/"
    return {where.removeprefix(start): each for where, each in data.items() if where.startswith(start)}


def document(path: Path) -> bytes:
    """Return a JSON file that somebody named.

    Raises:
        Unreadable: it is not there, not a plain file, or too large.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable(f"{path}: is not a plain file")
            data = file.read(strict_json.MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: cannot be read: {_reason(error)}") from None
    if len(data) > strict_json.MOST_BYTES:
        raise Unreadable(f"{path}: has more than {strict_json.MOST_BYTES} bytes")
    return data


class _File:
    """A file in a folder that is open; looked at once, then read."""

    def __init__(self, folder: int, name: str, where: str, most: int) -> None:
        self._folder, self._name, self.where, self._most = folder, name, where, most
        with _refused(where):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        self.size = _is_plain(found, where, most)

    def read(self) -> bytes:
        with _refused(self.where), os.fdopen(os.open(self._name, _OPEN, dir_fd=self._folder), "rb") as file:
            _is_plain(os.fstat(file.fileno()), self.where, self._most)
            data = file.read(self.size + 1)
        if len(data) != self.size:
            raise ModelError(f"{self.where}: changed while it was read")
        return data


def _is_plain(found: os.stat_result, where: str, most: int) -> int:
    if stat.S_ISLNK(found.st_mode):
        raise ModelError(f"{where}: is a symbolic link; put the file itself there")
    if not stat.S_ISREG(found.st_mode):
        raise ModelError(f"{where}: is not a plain file")
    if found.st_nlink != 1:
        raise ModelError(f"{where}: has another name elsewhere (a hard link); copy the file")
    if found.st_size > most:
        raise ModelError(f"{where}: has {found.st_size} bytes; {most} at most")
    return found.st_size


def _names(folder: int, where: str, allowed: Iterable[str]) -> list[str]:
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in allowed:
                raise ModelError(f"{where}: {entry.name!r} does not belong there; only {', '.join(allowed)}")
            found.append(entry.name)
    return sorted(found)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unreadable(f"{path}: there is no such folder") from None
    except NotADirectoryError:
        raise Unreadable(f"{path}: is not a folder; name the one that holds {MODEL}/") from None
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: cannot be read: {_reason(error)}") from None
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _inside(root: int, name: str) -> Iterator[int]:
    with _refused(name):
        if not stat.S_ISDIR(os.stat(name, dir_fd=root, follow_symlinks=False).st_mode):
            raise ModelError(f"{name}: is not a folder")
        folder = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=root)
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _refused(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreadable(f"{where}: cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
