"""Signatures: model-signing's own to the byte, nothing left out, and each forgery refused with its reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import model_signing
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing._signing.sign_sigstore_pb import pae

from services.modelchain import folder, keys, signing
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import CARD, GRAPH, MODEL, MODEL_SIGNATURE
from services.modelchain.signing import sign_candidate, verify_candidate
from tests.services.modelchain import emulated, making
from tests.services.modelchain.conftest import People
from tests.services.modelchain.emulated import REGION
from tests.services.modelchain.making import laid, within


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with emulated.kms() as client:
        yield client


def public(verifier: Verifier, path: Path) -> Path:
    path.write_bytes(keys._public_pem(verifier.public_key))
    return path


def by_model_signing(place: Path, key: Path) -> None:
    """Verify as everybody does who has model-signing and not this package."""
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key)
    config.verify(place / MODEL, place / MODEL_SIGNATURE)


def test_what_is_signed_is_verified_here_and_by_model_signing(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    laid(place, within(MODEL, files))
    digest = sign_candidate(place, people.trainer)
    found = verify_candidate(place, people.trainer.verifier)
    assert found.digest == digest == folder.digest(files)
    by_model_signing(place, people.folder / "trainer.pub")
    with pytest.raises(ValueError, match="Key mismatch"):
        by_model_signing(place, people.folder / "stranger.pub")


def test_what_model_signing_signs_is_verified_here(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    laid(place, within(MODEL, files))
    hashing = model_signing.hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=people.folder / "trainer.key")
    config.set_hashing_config(hashing).sign(place / MODEL, place / MODEL_SIGNATURE)
    assert verify_candidate(place, people.trainer.verifier).digest == folder.digest(files)


def test_what_kms_signs_is_the_same_kind_of_signature(
    client: Any, files: dict[str, bytes], place: Path, people: People
) -> None:
    arn = emulated.key(client)
    laid(place, within(MODEL, files))
    sign_candidate(place, keys.kms_signer(arn, REGION))
    verifier = keys.kms_verifier(arn, REGION)
    verify_candidate(place, verifier)
    key = public(verifier, place.parent / "kms.pub")
    by_model_signing(place, key)
    verify_candidate(place, keys.file_verifier(key))
    with pytest.raises(ModelError, match="was made with another key"):
        verify_candidate(place, people.trainer.verifier)
    of_kms, of_file = (
        json.loads(each)
        for each in ((place / MODEL_SIGNATURE).read_bytes(), people.signed(files)[MODEL_SIGNATURE])
    )
    assert shape(of_kms) == shape(of_file)
    payloads = [json.loads(base64.b64decode(each["dsseEnvelope"]["payload"])) for each in (of_kms, of_file)]
    assert payloads[0] == payloads[1]


def shape(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: shape(inner) for name, inner in said.items()}
    return [shape(inner) for inner in said] if isinstance(said, list) else type(said)


def test_a_signer_whose_key_signs_something_else_writes_nothing(files: dict[str, bytes], place: Path) -> None:
    class Wrong:
        """A key that is not what it says it is, as an alias that was pointed elsewhere would be."""

        def public_key(self) -> ec.EllipticCurvePublicKey:
            return said

        def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
            return ec.generate_private_key(ec.SECP256R1()).sign(data, signature_algorithm)

    said = ec.generate_private_key(ec.SECP256R1()).public_key()
    laid(place, within(MODEL, files))
    with pytest.raises(Unreadable, match="wrong: signed something else"):
        sign_candidate(place, Signer(Wrong(), "wrong"))
    assert not (place / MODEL_SIGNATURE).exists()


def test_what_is_not_taken_is_not_signed(people: People, files: dict[str, bytes], place: Path) -> None:
    laid(place, within(MODEL, {**files, GRAPH: files[GRAPH][:-1]}))
    with pytest.raises(ModelError, match=f"^{MODEL}/{GRAPH}: "):
        sign_candidate(place, people.trainer)
    assert not (place / MODEL_SIGNATURE).exists()


def test_an_unsound_graph_is_not_signed(people: People, files: dict[str, bytes], place: Path) -> None:
    model = making.graph_of_numbers()
    model.graph.node[0].input[0] = "nowhere"
    laid(place, within(MODEL, {**files, GRAPH: model.SerializeToString()}))
    with pytest.raises(ModelError, match="is not a sound graph"):
        sign_candidate(place, people.trainer)


def test_signing_again_takes_the_place_of_the_old_signature(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    laid(place, people.signed(files, people.stranger))
    sign_candidate(place, people.trainer)
    verify_candidate(place, people.trainer.verifier)
    assert sorted(path.name for path in place.iterdir()) == [MODEL, MODEL_SIGNATURE]


def test_a_signature_that_cannot_be_written_is_one_sentence(
    people: People, files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, within(MODEL, files))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Unreadable, match=r"model.sig: cannot be written: No space left on device"):
        sign_candidate(place, people.trainer)
    assert sorted(path.name for path in place.parent.iterdir() if path.is_file()) == []
    assert [path.name for path in place.iterdir()] == [MODEL]


# Files that are not those that were signed


def test_every_change_of_a_file_is_noticed(people: People, files: dict[str, bytes], place: Path) -> None:
    good = people.signed(files)
    for name in files:
        laid(place, {**good, f"{MODEL}/{name}": files[name] + b"\n"})
        with pytest.raises(ModelError, match=f"^{MODEL}/{name}: was changed after it was signed"):
            verify_candidate(place, people.trainer.verifier)


def test_a_file_that_was_not_signed_is_noticed(people: People, files: dict[str, bytes], place: Path) -> None:
    fewer = {name: data for name, data in files.items() if name != CARD}
    laid(place, {**people.signed(fewer), f"{MODEL}/{CARD}": files[CARD]})
    with pytest.raises(ModelError, match=f"^{MODEL}/{CARD}: was not signed"):
        verify_candidate(place, people.trainer.verifier)


def test_a_file_that_was_signed_and_is_missing_is_noticed(people: People, place: Path) -> None:
    files = making.files_of_numbers()
    laid(place, people.signed(files))
    (place / MODEL / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights.safetensors: was signed, and is missing"):
        verify_candidate(place, people.trainer.verifier)


def test_an_unsigned_candidate_is_said_to_be_unsigned(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    laid(place, within(MODEL, files))
    with pytest.raises(ModelError, match=r"^model.sig: is missing; nobody vouches for model/"):
        verify_candidate(place, people.trainer.verifier)


def test_nothing_is_parsed_before_the_signature_is_right(
    people: People, files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, people.signed(files, people.stranger))
    monkeypatch.setattr(folder, "inspected", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(ModelError, match="was made with another key"):
        verify_candidate(place, people.trainer.verifier)


def test_what_was_verified_is_what_is_returned_whoever_swaps_the_files_meanwhile(
    people: People, files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, people.signed(files))
    real = signing.verify

    def verify_and_swap(*arguments: Any) -> None:
        real(*arguments)
        laid(place, within(MODEL, {**files, CARD: b"{}", GRAPH: b"evil"}))

    monkeypatch.setattr(signing, "verify", verify_and_swap)
    found = verify_candidate(place, people.trainer.verifier)
    assert (place / MODEL / GRAPH).read_bytes() == b"evil"
    assert dict(found.files) == files


# Signatures that are not what they seem


def envelope(payload: bytes, signer: Signer) -> dict[str, Any]:
    """Return a bundle over any payload, as whoever holds a key may make it."""
    sig = signer.private_key.sign(pae(payload), ec.ECDSA(hashes.SHA256()))
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": signer.verifier.fingerprint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": base64.b64encode(sig).decode(), "keyid": ""}],
        },
    }


def statement(people: People, files: dict[str, bytes]) -> Any:
    said = json.loads(people.signed(files)[MODEL_SIGNATURE])
    return json.loads(base64.b64decode(said["dsseEnvelope"]["payload"]))


def refused(place: Path, people: People, files: dict[str, bytes], bundle: Any, says: str) -> None:
    data = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    laid(place, {**within(MODEL, files), MODEL_SIGNATURE: data})
    with pytest.raises(ModelError, match=f"^{MODEL_SIGNATURE}: .*{says}"):
        verify_candidate(place, people.trainer.verifier)


def test_a_bundle_made_by_hand_is_taken_if_it_is_right(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    """Otherwise the forgeries below would show nothing."""
    bundle = envelope(json.dumps(statement(people, files)).encode(), people.trainer)
    laid(place, {**within(MODEL, files), MODEL_SIGNATURE: json.dumps(bundle, indent=3).encode()})
    verify_candidate(place, people.trainer.verifier)


def test_a_signature_of_a_stranger_under_the_trainers_name_is_not_right(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    bundle = envelope(json.dumps(statement(people, files)).encode(), people.stranger)
    bundle["verificationMaterial"]["publicKey"]["hint"] = people.trainer.verifier.fingerprint
    refused(place, people, files, bundle, "the signature is not right; .*trainer.key did not sign this")


def test_another_payload_under_the_same_signature_is_not_right(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    said = statement(people, files)
    bundle = envelope(json.dumps(said).encode(), people.trainer)
    said["predicate"]["resources"][0]["digest"] = "0" * 64
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(said).encode()).decode()
    refused(place, people, files, bundle, "the signature is not right")


def _second_signature(bundle: Any) -> None:
    bundle["dsseEnvelope"]["signatures"].append(bundle["dsseEnvelope"]["signatures"][0])


def _without_hint(bundle: Any) -> None:
    bundle["verificationMaterial"]["publicKey"] = {"hint": ""}


def _certificate(bundle: Any) -> None:
    bundle["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []}


def _loose_base64(bundle: Any) -> None:
    bundle["dsseEnvelope"]["payload"] = "!" + bundle["dsseEnvelope"]["payload"]


FORGED: dict[str, tuple[Callable[[Any], None], str]] = {
    "a second signature": (_second_signature, "says more than a signature does"),
    "no hint at the key": (_without_hint, "was made with another key"),
    "a certificate": (_certificate, "is not a signature by a key"),
    "no envelope": (lambda said: said.pop("dsseEnvelope"), "is not a signature by a key"),
    "no signatures": (lambda said: said["dsseEnvelope"].update(signatures=[]), "is not a signature by a key"),
    "an envelope of numbers": (lambda said: said.update(dsseEnvelope=7), "is not a signature by a key"),
    "a payload of numbers": (
        lambda said: said["dsseEnvelope"].update(payload=7),
        "says more than a signature",
    ),
    "base64 with more in it": (_loose_base64, "says more than a signature does"),
    "a key's name": (lambda said: said["dsseEnvelope"]["signatures"][0].update(keyid="x"), "says more than"),
    "another kind of payload": (
        lambda said: said["dsseEnvelope"].update(payloadType="text"),
        "says more than",
    ),
    "another kind of bundle": (lambda said: said.update(mediaType="v0.1"), "says more than a signature does"),
    "a log": (
        lambda said: said["verificationMaterial"].update(tlogEntries=[{}]),
        "says more than a signature",
    ),
    "a remark": (lambda said: said.update(remark="hello"), "says more than a signature does"),
    "an empty signature": (
        lambda said: said["dsseEnvelope"]["signatures"][0].update(sig=""),
        "the signature is not right",
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_bundle_has_one_way_of_being_written(
    people: People, files: dict[str, bytes], place: Path, how: str
) -> None:
    change, says = FORGED[how]
    bundle = json.loads(people.signed(files)[MODEL_SIGNATURE])
    change(bundle)
    refused(place, people, files, bundle, says)


def _ignores_a_file(said: Any) -> None:
    said["predicate"]["serialization"]["ignore_paths"] = [CARD]
    said["predicate"]["resources"] = [each for each in said["predicate"]["resources"] if each["name"] != CARD]


def _old(said: Any) -> None:
    """The format of model-signing 0.2, which says nothing of what may be missing."""
    said["predicateType"] = "https://model_signing/Digests/v0.1"
    said["subject"] = [
        {"name": each["name"], "digest": {"sha256": each["digest"]}}
        for each in said["predicate"]["resources"]
    ]


def _other_hash(said: Any) -> None:
    said["predicate"]["serialization"]["hash_type"] = "blake2b"
    for each in said["predicate"]["resources"]:
        each["algorithm"] = "blake2b"


def _shards(said: Any) -> None:
    said["predicate"]["serialization"] = {
        "method": "shards",
        "hash_type": "sha256",
        "shard_size": 10,
        "allow_symlinks": False,
    }
    for each in said["predicate"]["resources"]:
        each["name"] += ":0:10"


SAID: dict[str, tuple[Callable[[Any], None], str]] = {
    "a file is ignored": (_ignores_a_file, "does not cover every file by its SHA-256"),
    "links are allowed": (
        lambda said: said["predicate"]["serialization"].update(allow_symlinks=True),
        "does not cover every file by its SHA-256",
    ),
    "an old statement": (_old, "does not cover every file|does not say what was signed"),
    "another hash": (_other_hash, "does not cover every file by its SHA-256"),
    "shards": (_shards, "does not cover every file|does not say what was signed"),
    "another statement": (lambda said: said.update(predicateType="slsa"), "does not say what was signed"),
    "no statement": (lambda said: said.pop("predicate"), "does not say what was signed"),
    "another type": (lambda said: said.update(_type="x"), "does not say what was signed"),
    "a digest that does not follow": (
        lambda said: said["subject"][0]["digest"].update(sha256="0" * 64),
        "does not say what was signed",
    ),
}


@pytest.mark.parametrize("how", SAID)
def test_even_the_trainer_cannot_sign_less_than_everything(
    people: People, files: dict[str, bytes], place: Path, how: str
) -> None:
    change, says = SAID[how]
    said = statement(people, files)
    change(said)
    if how == "a file is ignored":
        files = {**files, CARD: files[CARD] + b" "}
        said["subject"][0]["digest"]["sha256"] = _root(said)
    refused(place, people, files, envelope(json.dumps(said).encode(), people.trainer), says)


def _root(said: Any) -> str:
    import hashlib

    return hashlib.sha256(
        b"".join(bytes.fromhex(each["digest"]) for each in said["predicate"]["resources"])
    ).hexdigest()


def test_model_signing_itself_would_ignore_what_the_signature_tells_it_to(
    people: People, files: dict[str, bytes], place: Path
) -> None:
    """Why it is not left to judge alone."""
    said = statement(people, files)
    _ignores_a_file(said)
    said["subject"][0]["digest"]["sha256"] = _root(said)
    bundle = envelope(json.dumps(said).encode(), people.trainer)
    laid(place, {**within(MODEL, {**files, CARD: b"anything"}), MODEL_SIGNATURE: json.dumps(bundle).encode()})
    by_model_signing(place, people.folder / "trainer.pub")


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_a_payload_that_is_no_statement_is_refused(
    people: People, files: dict[str, bytes], place: Path, payload: bytes
) -> None:
    refused(place, people, files, envelope(payload, people.trainer), "does not say what was signed|says more")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\x80\x04N.", b'{"a": 1, "a": 2}', b'{"a":' * 100_000])
def test_a_signature_that_is_none_is_refused(
    people: People, files: dict[str, bytes], place: Path, data: bytes
) -> None:
    refused(place, people, files, data, "")
