"""Keys of the two who vouch for a model: EC P-256, in files or in AWS KMS, where nobody can take them out."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.modelchain.errors import Unreadable

MOST_PEM_BYTES = 16_384

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")

KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]{1,64}")
"""Of a key, not of an alias: an alias can be pointed at another key."""

CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 10, 3
"""Of a call to KMS."""


class PrivateKey(Protocol):
    """What signs: a key in memory, or one that KMS keeps."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Return an ECDSA signature over SHA-256, in DER."""


class Verifier:
    """Somebody's public key."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, name: str) -> None:
        """Take the key, and where it came from."""
        if not isinstance(public_key.curve, ec.SECP256R1):
            raise Unreadable(f"{name}: is a key on {public_key.curve.name}; make one on P-256 (secp256r1)")
        self.public_key, self.name = public_key, name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key's PEM, in hex, as model-signing writes it into signatures."""
        return hashlib.sha256(_public_pem(self.public_key)).hexdigest()


class Signer:
    """Somebody's private key."""

    def __init__(self, private_key: PrivateKey, name: str) -> None:
        """Take the key, and where it came from."""
        self.private_key, self.name = private_key, name
        self.verifier = Verifier(private_key.public_key(), name)


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Make ``<name>.key``, which only its owner reads, and ``<name>.pub``; return both paths.

    Raises:
        Unreadable: the name is not one, a file is already there, or the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise Unreadable(f"{name!r} names no key; write lower-case letters, digits and hyphens")
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _create(private, pem, 0o600)
    try:
        _create(public, _public_pem(key.public_key()), 0o644)
    except Unreadable:
        private.unlink()
        raise
    return private, public


def file_signer(pem_path: Path) -> Signer:
    """Return the signer of a private key in a file.

    Raises:
        Unreadable: there is no P-256 private key in the file, or others may read it.
    """
    pem = _pem(pem_path, private=True)
    if b"PUBLIC KEY" in pem:
        raise Unreadable(f"{pem_path}: is a public key; name the private one")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise Unreadable(f"{pem_path}: is locked by a password, which nothing here asks for") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable(f"{pem_path}: holds no private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unreadable(f"{pem_path}: is not a key on an elliptic curve; make one on P-256 (secp256r1)")
    return Signer(key, str(pem_path))


def file_verifier(pem_path: Path) -> Verifier:
    """Return the verifier of a public key in a file.

    Raises:
        Unreadable: there is no P-256 public key in the file.
    """
    pem = _pem(pem_path, private=False)
    if b"PRIVATE KEY" in pem:
        raise Unreadable(f"{pem_path}: is a private key; name the public one")
    return Verifier(_public(serialization.load_pem_public_key, pem, str(pem_path)), str(pem_path))


def kms_signer(arn: str, region: str) -> Signer:
    """Return the signer of a key that KMS keeps (ECC_NIST_P256, SIGN_VERIFY).

    Raises:
        Unreadable: the ARN names no such key of that region, or KMS does not answer.
    """
    return Signer(_KmsKey(arn, region), arn)


def kms_verifier(arn: str, region: str) -> Verifier:
    """Return the verifier of a key that KMS keeps; KMS is asked for it once, now.

    Raises:
        Unreadable: see ``kms_signer``.
    """
    return Verifier(_KmsKey(arn, region).public_key(), arn)


class _KmsKey:
    """A private key that never leaves KMS."""

    def __init__(self, arn: str, region: str) -> None:
        self._arn = arn
        self._client = _kms(arn, region)
        said = _asked(arn, self._client.get_public_key, KeyId=arn)
        self._public_key = _public(serialization.load_der_public_key, said["PublicKey"], arn)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        if not isinstance(signature_algorithm.algorithm, hashes.SHA256):
            raise Unreadable(f"{self._arn}: signs over SHA-256 alone")
        digest = hashlib.sha256(data).digest()
        said = _asked(
            self._arn,
            self._client.sign,
            KeyId=self._arn,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return bytes(said["Signature"])


def _kms(arn: str, region: str) -> Any:
    named = KEY_ARN.fullmatch(arn)
    if named is None:
        raise Unreadable(f"{arn!r} is not the ARN of a KMS key: arn:aws:kms:REGION:ACCOUNT:key/ID")
    if named[1] != region:
        raise Unreadable(f"{arn}: is a key of {named[1]}, not of {region}")
    import boto3
    from botocore.config import Config

    bounded = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    return boto3.client("kms", region_name=region, config=bounded)


def _asked(arn: str, call: Any, **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**arguments)
    except (BotoCoreError, ClientError) as error:
        raise Unreadable(f"{arn}: KMS does not answer: {error}") from None


def _public(load: Any, encoded: bytes, name: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load(encoded)
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable(f"{name}: holds no public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unreadable(f"{name}: is not a key on an elliptic curve; make one on P-256 (secp256r1)")
    return key


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pem(path: Path, *, private: bool) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_PEM_BYTES:
                raise Unreadable(f"{path}: is not a key in PEM")
            if private and found.st_mode & 0o077:
                raise Unreadable(f"{path}: others may read this private key; chmod 600 it")
            return file.read(MOST_PEM_BYTES)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _create(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise Unreadable(f"{path}: is already there; keys are not overwritten") from None
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise Unreadable(f"{path}: cannot be written: {error.strerror}") from None
