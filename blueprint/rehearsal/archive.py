"""Program code as the provider takes it: an archive of the graph's, written as a zip that is the same every time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blueprint.errors import BadInput
from blueprint.graph import ARCHIVE, ASSET, SIGNATURE

_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The first that a zip knows: the time of a checkout says nothing about what is in it."""


def is_archive(value: object) -> bool:
    """Say whether a value is an archive, as the engine writes one."""
    return isinstance(value, Mapping) and value.get(SIGNATURE) == ARCHIVE


def zipped(archive: Mapping[str, Any], root: Path) -> bytes:
    """Return the zip of an archive; its paths are relative to ``root``.

    Raises:
        BadInput: a file is not there, or the archive is of a kind that needs the network.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in sorted(_files(archive, root)):
            made.writestr(zipfile.ZipInfo(name, _NO_TIME), content)
    return buffer.getvalue()


def _files(value: Mapping[str, Any], root: Path, at: str = "") -> Iterator[tuple[str, bytes]]:
    if "text" in value:
        yield at, str(value["text"]).encode()
    elif "path" in value and value.get(SIGNATURE) == ASSET:
        yield at, _content(root / value["path"])
    elif "path" in value:
        folder = root / value["path"]
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield _joined(at, file.relative_to(folder).as_posix()), _content(file)
    elif "assets" in value:
        for name, inner in value["assets"].items():
            yield from _files(inner, root, _joined(at, name))
    else:
        raise BadInput("the rehearsal takes code from files of the repository, not from an address")


def _joined(at: str, name: str) -> str:
    return f"{at}/{name}" if at else name


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; the program's code is not there") from None
