"""One secret, many keys: each purpose has a key of its own, derived with HKDF (RFC 5869)."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LEAST_BYTES = 32


def derived(secret: bytes, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose.

    Raises:
        ValueError: the secret is shorter than 32 bytes.
    """
    if len(secret) < LEAST_BYTES:
        raise ValueError(f"the secret has {len(secret)} bytes; make one of {LEAST_BYTES} or more at random")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
