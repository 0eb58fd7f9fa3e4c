"""Noise that nobody can foretell: AES-256 in counter mode (NIST SP 800-38A), keyed by the operating system.

Whoever knows what a generator drew can take the noise off the weights. Torch's Mersenne Twister can be computed from its
own output, and Opacus' secure mode needs a library that is no longer published, so noise and batches come from here. The
whole state is a key and the number of the next block, which makes a training that goes on draw what it would have drawn.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from scipy.special import ndtri

ABOUT = (
    "AES-256-CTR keyed by the operating system; normals by inversion, four summed (Holohan and Braghin, 2021)"
)
"""For ``privacy.json``."""

_BLOCK = 16
_MANTISSA = 53


class Keystream:
    """An endless row of uniform or normal numbers."""

    def __init__(self, key: bytes, block: int = 0) -> None:
        """Begin at a block of the stream of a key of 32 bytes."""
        self._key, self.block = key, block

    def uniforms(self, count: int) -> np.ndarray:
        """Return float64[count], each uniform among the middles of 2^53 parts of 0 to 1: never 0 and never 1."""
        stream = Cipher(AES(self._key), CTR(self.block.to_bytes(_BLOCK, "big"))).encryptor()
        words = np.frombuffer(stream.update(bytes(8 * count)), dtype="<u8")
        self.block += -(-8 * count // _BLOCK)
        return ((words >> np.uint64(64 - _MANTISSA)) + 0.5) * 2.0**-_MANTISSA

    def normals(self, count: int) -> np.ndarray:
        """Return float64[count], each standard normal.

        Each is half the sum of four, so that the gaps between floating-point numbers do not tell which sum the noise was
        added to (Holohan and Braghin, "Secure Random Sampling in Differential Privacy", ESORICS 2021).
        """
        return np.asarray(ndtri(self.uniforms(4 * count)).reshape(4, count).sum(0) / 2)
