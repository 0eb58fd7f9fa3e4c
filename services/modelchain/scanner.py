"""The second line behind the allow-list: no file may also be an archive, or a pickle that reaches for anything.

A file can be two things at once: safetensors read from its start, and a zip, which is read from its end, to
``torch.load``. The scanner (picklescan) runs wherever a model is inspected, so that what would be refused when it is
served is refused when it is signed. It is no first line: pickles that use ``importlib``, ``timeit``, ``pydoc`` or
compression pass scanners, and are refused here because they are neither ONNX nor safetensors nor JSON.
"""

from __future__ import annotations

import io
import logging
import pickletools
import zipfile

from picklescan.scanner import scan_pickle_bytes

from services.modelchain.errors import ModelError

# It logs that a file is no pickle, which is what is hoped for.
logging.getLogger("picklescan").addHandler(logging.NullHandler())
logging.getLogger("picklescan").propagate = False


MOST_OPCODES = 1000
"""Read as pickles, the formats that are taken end after a few bytes; whatever goes on for longer was made to."""


def check(data: bytes, where: str) -> None:
    """Refuse a file that is an archive or a pickle besides what it claims to be.

    Raises:
        ModelError: says which.
    """
    if _archive(data):
        raise ModelError(f"{where}: is also a zip archive")
    if _goes_on(data):
        raise ModelError(f"{where}: is also a pickle of more than {MOST_OPCODES} steps")
    try:
        found = scan_pickle_bytes(io.BytesIO(data), where, strict=True)
    except Exception:
        raise ModelError(f"{where}: is also a pickle, and one that cannot be followed") from None
    if found.globals:
        named = found.globals[0]
        raise ModelError(f"{where}: is also a pickle, which calls {named.module}.{named.name}")


def _archive(data: bytes) -> bool:
    try:
        return zipfile.is_zipfile(io.BytesIO(data))
    except zipfile.BadZipFile:  # one that spans several disks
        return True


def _goes_on(data: bytes) -> bool:
    """Say whether a file reads as many opcodes; the scanner would keep each of them in memory."""
    stream, count = io.BytesIO(data), 0
    try:
        while stream.tell() < len(data):
            for _ in pickletools.genops(stream):
                count += 1
                if count > MOST_OPCODES:
                    return True
    except Exception:
        return False
    return False
