"""Signatures over folders, as OpenSSF model-signing makes them, and none that leaves anything out.

``model_signing verify key model --signature model.sig --public-key trainer.pub`` checks the same signature. Here it is
checked more narrowly: over bytes that were already read (what is verified is what is loaded), every file by its
SHA-256, nothing ignored, no link followed, and no other way of writing the same signature down.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidSignature
from model_signing import manifest
from model_signing._hashing.hashing import Digest as FileDigest
from model_signing._signing import sign_ec_key, sign_sigstore_pb
from model_signing._signing import signing as statements
from sigstore_models.bundle.v1 import Bundle

from services.modelchain import folder, reading, strict_json, writing
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.folder import Candidate
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import MODEL, MODEL_SIGNATURE, Digest

SERIALIZATION = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
"""How model-signing lists a folder: each file, by SHA-256, without ``ignore_paths``."""


def sign_candidate(candidate: Path, signer: Signer) -> Digest:
    """Write ``model.sig``, after the model was inspected; return its digest.

    Raises:
        ModelError: the model is not one that is taken, or the key cannot be used.
    """
    contents = reading.read(candidate)
    found = folder.sound(folder.inspected(contents.model))
    writing.file(candidate / MODEL_SIGNATURE, signature(contents.model, signer, MODEL))
    return found.digest


def verify_candidate(candidate: Path, verifier: Verifier) -> Candidate:
    """Return a candidate (or the model of a release) that somebody vouched for; signature first, then inspection.

    Raises:
        ModelError: it is not theirs, it was changed, or it is not one that is taken.
    """
    contents = reading.read(candidate)
    verify(contents.model, contents.model_signature, verifier, MODEL)
    return folder.inspected(contents.model)


def signature(files: Mapping[str, bytes], signer: Signer, name: str) -> bytes:
    """Return a Sigstore bundle over a folder of files; ``name`` is the folder's.

    Raises:
        Unreadable: the key cannot be used.
    """
    described = manifest.SerializationType.from_args(SERIALIZATION)
    items = [
        manifest.FileManifestItem(
            path=PurePosixPath(each), digest=FileDigest("sha256", hashlib.sha256(data).digest())
        )
        for each, data in files.items()
    ]
    payload = statements.Payload(manifest.Manifest(name, items, described))
    bundle: Bundle = _Signer(signer).sign(payload).bundle  # type: ignore[attr-defined]
    data = bundle.to_json().encode()
    try:
        verify(files, data, signer.verifier, name)
    except ModelError as error:
        raise Unreadable(f"{signer.name}: signed something else: {error}") from None
    return data


def verify(files: Mapping[str, bytes], data: bytes | None, verifier: Verifier, name: str) -> None:
    """Refuse files that somebody did not sign, all of them and to the byte.

    Args:
        files: Every file of the folder, by name.
        data: The signature's file, if there is one.
        verifier: Whose signature it must be.
        name: Of the folder, for what is said.

    Raises:
        ModelError: says what is wrong.
    """
    where = f"{name}.sig"
    if data is None:
        raise ModelError(f"{where}: is missing; nobody vouches for {name}/")
    bundle = _bundle(data, verifier, where)
    try:
        signed = _Verifier(verifier).verify(sign_sigstore_pb.Signature(Bundle.from_dict(bundle)))
    except InvalidSignature:
        raise ModelError(f"{where}: the signature is not right; {verifier.name} did not sign this") from None
    except Exception as error:
        # Signed by the right key, and yet not a statement about files: whatever it is, it vouches for nothing.
        raise ModelError(f"{where}: does not say what was signed: {error}") from None
    if signed.serialization_type != SERIALIZATION:
        raise ModelError(f"{where}: does not cover every file by its SHA-256")
    _same({each.identifier: each.digest for each in signed.resource_descriptors()}, files, name)


def _same(signed: Mapping[str, FileDigest], files: Mapping[str, bytes], name: str) -> None:
    for each in sorted(signed.keys() | files.keys()):
        if each not in files:
            raise ModelError(f"{name}/{each}: was signed, and is missing")
        if each not in signed:
            raise ModelError(f"{name}/{each}: was not signed")
        if signed[each] != FileDigest("sha256", hashlib.sha256(files[each]).digest()):
            raise ModelError(f"{name}/{each}: was changed after it was signed")


def _bundle(data: bytes, verifier: Verifier, where: str) -> dict[str, Any]:
    said = strict_json.loaded(data, where)
    try:
        envelope, hint = said["dsseEnvelope"], said["verificationMaterial"]["publicKey"]["hint"]
        payload, sig = envelope["payload"], envelope["signatures"][0]["sig"]
    except (LookupError, TypeError):
        raise ModelError(f"{where}: is not a signature by a key") from None
    if hint != verifier.fingerprint:
        raise ModelError(f"{where}: was made with another key than {verifier.name}")
    # What is not signed must not be chosen either: one signature has one way of being written.
    expected = {
        "mediaType": sign_sigstore_pb._BUNDLE_MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": payload,
            "payloadType": statements._IN_TOTO_JSON_PAYLOAD_TYPE,
            "signatures": [{"sig": sig, "keyid": ""}],
        },
    }
    if said != expected or not (_canonical(payload) and _canonical(sig)):
        raise ModelError(f"{where}: says more than a signature does")
    return expected


def _canonical(text: Any) -> bool:
    try:
        return (
            isinstance(text, str) and base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
        )
    except (binascii.Error, ValueError):
        return False


class _Signer(sign_ec_key.Signer):
    """model-signing's signer over a key that may be in KMS: the bundle is made by the very same code."""

    def __init__(self, signer: Signer) -> None:
        self._private_key = signer.private_key  # type: ignore[assignment]


class _Verifier(sign_ec_key.Verifier):
    """model-signing's verifier over a key that was already read."""

    def __init__(self, verifier: Verifier) -> None:
        self._public_key = verifier.public_key
