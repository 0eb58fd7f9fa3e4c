"""Homomorphic encryption of the linear model's updates: the server adds what it cannot read.

CKKS (Cheon et al., 2017) by TenSEAL. All updates have to be under one key to be added, so whoever holds that key and sees
a ciphertext reads the update in it. Hence the two are kept apart:

- the server sees every ciphertext and holds no key. It adds with a context of its own: adding takes parameters, no keys;
- the silos hold the key and see no ciphertext but their own, and one of them, per round, the sum, which it opens.

A silo opens one sum a round, and only where ``threshold`` updates are said to be in it. That is the server's word: one that
lies, and hands over a single ciphertext, has it opened; so has one that is in league with a silo. Secure aggregation
withstands both, is smaller and faster, and takes any model. This is for who is not permitted to let masked numbers out
but encrypted ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tenseal

from services.federated.errors import FederatedError
from services.federated.settings import MOST_ENCRYPTED

DEGREE = 8192
"""Of the polynomials; with ``MODULI``, 128 bits of security (Homomorphic Encryption Standard, 2018, table 1: 218)."""

MODULI = (60, 40, 60)
"""Bits of the coefficient moduli, 160 in all."""

SCALE = 2.0**40
"""Values are rounded to one part in so many."""

MOST_BYTES = 4 * 2**20
"""Of a ciphertext or key; a fresh ciphertext has about 230 KB."""


def make_key(path: Path) -> None:
    """Write a new secret key for silos, which one of them gives to the others and none of them to the server."""
    context = _context()
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(
        context.serialize(
            save_public_key=True, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
        )
    )


class KeyHolder:
    """A silo: encrypts its own update, opens sums."""

    def __init__(self, path: Path) -> None:
        """Read a key.

        Raises:
            FederatedError: the file holds none.
        """
        try:
            self._context = tenseal.context_from(path.read_bytes())
            private = self._context.is_private()
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise FederatedError(
                f"homomorphic-key: cannot be read from {path}: {type(error).__name__}"
            ) from None
        if not private:
            raise FederatedError(f"homomorphic-key: {path} holds no secret key")

    def encrypt(self, vector: np.ndarray) -> bytes:
        """Return the ciphertext of float[size]."""
        if len(vector) > MOST_ENCRYPTED:
            raise FederatedError(
                f"model: has {len(vector)} parameters; {MOST_ENCRYPTED} fit into a ciphertext"
            )
        return bytes(tenseal.ckks_vector(self._context, vector.tolist()).serialize())

    def open(self, ciphertext: bytes) -> np.ndarray:
        """Return float64[size], which is right to about 1e-7.

        Raises:
            FederatedError: it is no ciphertext.
        """
        return np.array(_vector(self._context, ciphertext).decrypt(), np.float64)


class Adder:
    """The server: adds ciphertexts, without a key of theirs."""

    def __init__(self) -> None:
        """Make a context with the parameters that everybody uses; its own key is thrown away."""
        self._context = _context()
        self._context.make_context_public()

    def fits(self, ciphertext: bytes, size: int) -> bool:
        """Return whether it is a ciphertext of so many values that can be added to others."""
        try:
            vector = _vector(self._context, ciphertext)
            # What adds to an honest one, of this context, adds to the others.
            _ = vector + tenseal.ckks_vector(self._context, [0.0] * size)
        except (FederatedError, ValueError, RuntimeError):
            return False
        return bool(vector.size() == size)

    def add(self, ciphertexts: Sequence[bytes]) -> bytes:
        """Return the ciphertext of the sum.

        Raises:
            FederatedError: there is none, or something else among them.
        """
        vectors = [_vector(self._context, each) for each in ciphertexts]
        if not vectors:
            raise FederatedError("round: there is nothing to add")
        if len({vector.size() for vector in vectors}) > 1:
            raise FederatedError("update: one of the ciphertexts holds another number of values")
        total = vectors[0]
        for vector in vectors[1:]:
            total = total + vector
        return bytes(total.serialize())


def _context() -> Any:
    made = tenseal.context(tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(MODULI))
    made.global_scale = SCALE
    return made


def _vector(context: Any, ciphertext: bytes) -> Any:
    if len(ciphertext) > MOST_BYTES:
        raise FederatedError(f"update: a ciphertext is larger than {MOST_BYTES} bytes")
    try:
        return tenseal.ckks_vector_from(context, ciphertext)
    except (ValueError, RuntimeError, TypeError):
        raise FederatedError("update: is no ciphertext of the agreed parameters") from None
