"""A silo's rows at rest: each file sealed by a data key of its own, which a key of the silo's wraps (an envelope).

The AWS Encryption SDK makes the envelope: AES-256-GCM with key commitment and a signature over the whole
(``CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT``). In AWS the wrapping key is one of KMS, named by its ARN, and every
use of it is in the trail; on one's own machine it is 32 bytes in a file. What a file is of is bound to it as its
encryption context, so files of two silos or two names cannot be swapped.

Which key unwraps comes from the environment (``STORE_KEY_ARN`` or ``STORE_KEY_FILE``), never from the store.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient, StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.base import MasterKeyProvider
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from numpy.typing import NDArray

from services.federated.errors import FederatedError
from services.federated.places import Silo, kept

EXAMPLES = "examples.npz.sealed"

KEY_BYTES, MOST_BYTES = 32, 2**30
"""Of the wrapping key in a file; of a sealed file, of which no more is read."""

NAMED = ("AWS_REGION", "SILO_NAME", "STORE_KEY_ARN", "STORE_KEY_FILE")
"""What the environment says of the store."""


class Store:
    """A folder of sealed files."""

    def __init__(self, folder: Path, silo: str, keys: MasterKeyProvider) -> None:
        """Take the folder, whose it is, and what wraps and unwraps data keys."""
        self._folder, self._silo, self._keys = folder, silo, keys
        self._client = EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, max_encrypted_data_keys=1
        )

    def keep(self, values: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Seal the silo's examples.

        Args:
            values: ``[examples, *shape]``.
            labels: ``[examples]``.
        """
        plain = io.BytesIO()
        np.savez(plain, values=values, labels=labels)
        sealed, _ = self._client.encrypt(
            source=plain.getvalue(), key_provider=self._keys, encryption_context=self._context(EXAMPLES)
        )
        kept(self._folder, EXAMPLES, sealed)

    def examples(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the silo's examples, values and labels.

        Raises:
            FederatedError: they are not there, were changed, or are another's.
        """
        path = self._folder / EXAMPLES
        try:
            with path.open("rb") as file:
                plain, header = self._client.decrypt(source=file.read(MOST_BYTES), key_provider=self._keys)
        except OSError as error:
            raise FederatedError(f"{path}: cannot be read: {error.strerror}") from None
        except Exception as error:
            # The SDK's errors, cryptography's, botocore's: whatever it is, nothing was opened.
            raise FederatedError(f"{path}: cannot be opened: {type(error).__name__}") from None
        expected = self._context(EXAMPLES)
        if {name: header.encryption_context.get(name) for name in expected} != expected:
            raise FederatedError(f"{path}: was sealed as something else; it is not {self._silo}'s {EXAMPLES}")
        with np.load(io.BytesIO(plain), allow_pickle=False) as arrays:
            return arrays["values"].astype(np.float32), arrays["labels"].astype(np.int64)

    def holds(self) -> bool:
        """Return whether something was kept."""
        return (self._folder / EXAMPLES).exists()

    def _context(self, name: str) -> dict[str, str]:
        return {"silo": self._silo, "file": name}


def opened(folder: Path, environment: Mapping[str, str] | None = None) -> Store:
    """Return the store in a folder, with the key that the environment names.

    Raises:
        FederatedError: no key is named, or it cannot be used.
    """
    said = os.environ if environment is None else environment
    arn, file, silo = said.get("STORE_KEY_ARN"), said.get("STORE_KEY_FILE"), said.get("SILO_NAME", "")
    if bool(arn) == bool(file):
        raise FederatedError("STORE_KEY_FILE: give this or STORE_KEY_ARN, and not both")
    if not silo:
        raise FederatedError("SILO_NAME: is not set")
    return Store(folder, silo, _kms(arn) if arn else _local(Path(str(file))))


def named(places: Silo) -> dict[str, str]:
    """Return what the ClientApp's environment must say of the store."""
    said = {
        "AWS_REGION": places.aws_region,
        "SILO_NAME": places.silo_name,
        "STORE_KEY_ARN": places.store_key_arn,
        "STORE_KEY_FILE": str(places.store_key_file) if places.store_key_file else None,
    }
    return {name: value for name, value in said.items() if value}


def _kms(arn: str) -> MasterKeyProvider:
    try:
        return StrictAwsKmsMasterKeyProvider(key_ids=[arn])
    except AWSEncryptionSDKClientError as error:
        raise FederatedError(f"STORE_KEY_ARN: {arn!r:.100} cannot be used: {error}") from None


class _File(RawMasterKeyProvider):  # type: ignore[misc] # the SDK has no types
    """One wrapping key, in memory; another name is refused."""

    provider_id = "federated-file"
    wrapping: bytes = b""

    def _get_raw_key(self, key_id: bytes) -> WrappingKey:  # noqa: ARG002 - there is one key
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=self.wrapping,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def _local(path: Path) -> MasterKeyProvider:
    try:
        key = path.read_bytes()
        private = path.stat().st_mode & 0o077 == 0
    except OSError as error:
        raise FederatedError(f"STORE_KEY_FILE: cannot be read: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise FederatedError(f"STORE_KEY_FILE: holds {len(key)} bytes; write {KEY_BYTES} random ones")
    if not private:
        raise FederatedError(f"{path}: others may read this key; chmod 600 it")
    # The SDK makes providers by keyword arguments of its own.
    provider = _File()
    provider.wrapping = key
    provider.add_master_key(b"store")
    return provider
