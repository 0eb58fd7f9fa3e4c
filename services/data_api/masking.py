"""Masks of columns: pseudonyms by keyed HMAC, and ways to say less."""

from __future__ import annotations

import hmac

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.data_api.declarations import Column, Mask, Prefix, Pseudonym, Redact, Rounded
from services.shared.keys import derived

PSEUDONYM_CHARACTERS = 32
"""128 bits of the HMAC, in hexadecimal: no two values meet by accident."""


class Masker:
    """Masks columns with keys derived from one secret, one for each domain."""

    def __init__(self, secret: bytes) -> None:
        """Take the secret."""
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    def masked(self, column: Column, values: pa.Array) -> pa.Array:
        """Return what callers may see of a column."""
        return values if column.mask is None else self._masked(column.mask, values)

    def _masked(self, mask: Mask, values: pa.Array) -> pa.Array:
        if isinstance(mask, Pseudonym):
            return self._pseudonyms(mask.domain, values)
        if isinstance(mask, Redact):
            return pa.nulls(len(values), pa.large_string())
        if isinstance(mask, Prefix):
            return pc.utf8_slice_codeunits(values, 0, mask.characters)
        if isinstance(mask, Rounded):
            return pc.multiply(pc.round(pc.divide(values, mask.to)), mask.to)
        return pc.floor_temporal(values, unit="year")

    def _pseudonyms(self, domain: str, values: pa.Array) -> pa.Array:
        key = self._keys.get(domain) or self._keys.setdefault(
            domain, derived(self._secret, f"pseudonym:{domain}")
        )
        # Each distinct value of a block is computed once.
        encoded = values.dictionary_encode()
        distinct = [str(value).encode() for value in encoded.dictionary.to_pylist()]
        digests = b"".join(hmac.digest(key, value, "sha256")[:16] for value in distinct)
        offsets = np.arange(len(distinct) + 1, dtype=np.int64) * PSEUDONYM_CHARACTERS
        names = pa.Array.from_buffers(
            pa.large_string(),
            len(distinct),
            [None, pa.py_buffer(offsets), pa.py_buffer(digests.hex().encode())],
        )
        return names.take(encoded.indices)
