"""Writes whole or not at all: into a place of its own first, to the disk, then under its name."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.modelchain.errors import Unreadable

Files = Mapping[str, bytes | Mapping[str, bytes]]
"""Names, with what is in the file or in the folder."""


def free(path: Path) -> None:
    """Refuse to write where something is already.

    Raises:
        Unreadable: something is there.
    """
    with _failing(path):
        if os.path.lexists(path):
            raise Unreadable(f"{path}: is already there, and nothing is overwritten")


def folder(path: Path, files: Files, *, check: Callable[[Path], object] | None = None) -> None:
    """Write a new folder; ``check`` sees it before it gets its name, and may raise.

    Raises:
        Unreadable: something is already there, or it cannot be written.
    """
    with _failing(path):
        free(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.parent / f".{path.name}.{secrets.token_hex(8)}"
        try:
            _folder(beside, files)
            if check is not None:
                check(beside)
            beside.rename(path)  # onto a folder that is not empty it fails (rename(2))
            _to_disk(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def file(path: Path, data: bytes) -> None:
    """Write a file, in place of what had its name.

    Raises:
        Unreadable: it cannot be written.
    """
    with _failing(path):
        # Not beside it: in the folder itself a file that is left over would not belong there.
        beside = path.parent.parent / f".{path.name}.{secrets.token_hex(8)}"
        try:
            _file(beside, data)
            beside.replace(path)
            _to_disk(path.parent)
        finally:
            beside.unlink(missing_ok=True)


def _folder(path: Path, files: Files) -> None:
    path.mkdir()
    for name, inner in files.items():
        if isinstance(inner, bytes):
            _file(path / name, inner)
        else:
            _folder(path / name, inner)
    _to_disk(path)


def _file(path: Path, data: bytes) -> None:
    with path.open("xb") as new:
        new.write(data)
        new.flush()
        os.fsync(new.fileno())


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
