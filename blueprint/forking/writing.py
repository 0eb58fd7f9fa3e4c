"""Writes several files all or none: what was there comes back where one cannot be written."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from blueprint.errors import BadInput


def difference(place: str, before: str, after: str) -> str:
    """Return a unified diff, empty where nothing differs."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), place, place, n=1
    )
    return "".join(lines)


def replace(texts: Mapping[Path, str]) -> None:
    """Replace the content of files that are there, all of them or none.

    Raises:
        BadInput: one cannot be written; all are as they were.
    """
    prepared: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            prepared[path.resolve()] = _beside(path.resolve(), text)
        with _uninterrupted():
            _swap(prepared)
    except OSError as error:
        raise BadInput(
            f"{error.filename or 'the files'}: cannot be written: {error.strerror}; nothing was changed"
        ) from None
    finally:
        for temporary in prepared.values():
            temporary.unlink(missing_ok=True)


def _beside(path: Path, text: str) -> Path:
    """Write a text into a file beside another, with its permissions; it is on the disk when this returns."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _swap(prepared: Mapping[Path, Path]) -> None:
    before = {path: path.read_bytes() for path in prepared}
    done: list[Path] = []
    try:
        for path, temporary in prepared.items():
            os.replace(temporary, path)  # noqa: PTH105 - one call that is all or nothing
            done.append(path)
    except OSError:
        for path in done:
            path.write_bytes(before[path])
        raise


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until all files are replaced: some new and some old would be neither."""
    asked: list[int] = []
    # Handlers and not a mask: a mask is one thread's, and a signal to the process takes another.
    before = {
        each: signal.signal(each, lambda number, _: asked.append(number))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)
    for number in dict.fromkeys(asked):
        signal.raise_signal(number)
