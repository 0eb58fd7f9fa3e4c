"""safetensors files: a bounded header of JSON, then numbers and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, deserialize

from services.modelchain import strict_json
from services.modelchain.errors import ModelError

HEADER_BYTES = 256 * 1024
MOST_TENSORS = 4096
LONGEST_NAME = 256

DTYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}

Arrays = dict[str, "np.ndarray[Any, np.dtype[Any]]"]


def check(data: bytes, where: str) -> None:
    """Refuse what is not safetensors through and through.

    Raises:
        ModelError: the header is too large or says something else, or numbers and header do not fit.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= min(HEADER_BYTES, len(data) - 8) or data[8:9] != b"{":
        raise ModelError(f"{where}: is not safetensors with a header of at most {HEADER_BYTES} bytes")
    header = strict_json.loaded(data[8 : 8 + size], where)
    if header.pop("__metadata__", {}) not in ({}, {"format": "pt"}, {"format": "np"}):
        raise ModelError(f"{where}: __metadata__ says more than the format; leave it out")
    if len(header) > MOST_TENSORS:
        raise ModelError(f"{where}: holds {len(header)} tensors; {MOST_TENSORS} at most")
    for name, about in header.items():
        if len(name) > LONGEST_NAME:
            raise ModelError(f"{where}: a name is longer than {LONGEST_NAME} characters")
        if not isinstance(about, dict) or about.get("dtype") not in DTYPES:
            raise ModelError(
                f"{where}: {name!r} has a type that is not taken; only {', '.join(sorted(DTYPES))}"
            )
    try:
        deserialize(data)
    except SafetensorError as error:
        raise ModelError(f"{where}: is not safetensors: {error}") from None


def arrays(data: bytes, where: str) -> Arrays:
    """Return the arrays of a safetensors file, which nobody can write to.

    Raises:
        ModelError: see ``check``; or a number is not finite.
    """
    check(data, where)
    try:
        found = safetensors.numpy.load(data)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{where}: cannot be loaded: {error}") from None
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise ModelError(f"{where}: {name!r} holds numbers that are not finite")
        array.flags.writeable = False
    return found


def written(named: Arrays) -> bytes:
    """Return the safetensors file of some arrays."""
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in named.items()})
