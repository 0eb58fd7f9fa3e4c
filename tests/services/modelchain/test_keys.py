"""Keys: in files that nobody else reads, in KMS that nobody takes them out of, and of one kind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from moto.kms.exceptions import AccessDeniedException
from moto.kms.responses import KmsResponse

from services.modelchain import keys
from services.modelchain.errors import Unreadable
from services.modelchain.keys import file_signer, file_verifier, kms_signer, kms_verifier, make_keys
from tests.services.modelchain import emulated
from tests.services.modelchain.emulated import REGION

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
OPEN = serialization.NoEncryption()


def kept(path: Path, key: Any, *, locked: bool = False) -> Path:
    how = serialization.BestAvailableEncryption(b"secret") if locked else OPEN
    path.write_bytes(key.private_bytes(PEM, PKCS8, how))
    path.chmod(0o600)
    return path


def published(path: Path, key: Any) -> Path:
    path.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


def test_a_new_pair_belongs_together_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path, "trainer")
    assert (private.name, public.name) == ("trainer.key", "trainer.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert file_signer(private).verifier.fingerprint == file_verifier(public).fingerprint
    assert b"PRIVATE" not in public.read_bytes()


@pytest.mark.parametrize("there", ["trainer.key", "trainer.pub"])
def test_a_key_is_never_overwritten_nor_half_made(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"precious")
    with pytest.raises(Unreadable, match=f"{there}: is already there"):
        make_keys(tmp_path, "trainer")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["", "../trainer", "a/b", "Trainer", "a" * 64, "a\0", "a\n"])
def test_the_name_of_a_pair_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unreadable, match="names no key"):
        make_keys(tmp_path, name)


def test_a_pair_cannot_be_made_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be written: No such file or directory"):
        make_keys(tmp_path / "nowhere", "trainer")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_private_key_that_others_may_reach_is_not_used(tmp_path: Path, mode: int) -> None:
    private, _ = make_keys(tmp_path, "trainer")
    private.chmod(mode)
    with pytest.raises(Unreadable, match="others may read this private key; chmod 600 it"):
        file_signer(private)


def test_only_keys_on_p256_are_taken(tmp_path: Path) -> None:
    edwards, numbers = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
    for number, (key, says) in enumerate(
        [
            (ec.generate_private_key(ec.SECP384R1()), "is a key on secp384r1; make one on P-256"),
            (ec.generate_private_key(ec.SECP256K1()), "is a key on secp256k1; make one on P-256"),
            (edwards, "is not a key on an elliptic curve"),
            (numbers, "is not a key on an elliptic curve"),
        ]
    ):
        with pytest.raises(Unreadable, match=says):
            file_signer(kept(tmp_path / f"{number}.key", key))
        with pytest.raises(Unreadable, match=says):
            file_verifier(published(tmp_path / f"{number}.pub", key))


def test_what_is_no_key_is_said_to_be_none(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path, "trainer")
    nothing, large = tmp_path / "nothing", tmp_path / "large"
    nothing.write_bytes(b"-----BEGIN NOTHING-----")
    large.write_bytes(b"-" * 20_000)
    os.mkfifo(pipe := tmp_path / "pipe")
    for path in (nothing, large):
        path.chmod(0o600)
    public.chmod(0o600)
    locked = kept(tmp_path / "locked", ec.generate_private_key(ec.SECP256R1()), locked=True)
    for make, path, says in [
        (file_signer, public, "is a public key; name the private one"),
        (file_verifier, private, "is a private key; name the public one"),
        (file_signer, nothing, "holds no private key in PEM"),
        (file_verifier, nothing, "holds no public key"),
        (file_signer, locked, "is locked by a password"),
        (file_signer, large, "is not a key in PEM"),
        (file_verifier, tmp_path, "cannot be read: Is a directory"),
        (file_verifier, pipe, "is not a key in PEM"),
        (file_verifier, tmp_path / "nowhere", "cannot be read: No such file"),
        (file_verifier, tmp_path / "a\0b", "cannot be read"),
    ]:
        with pytest.raises(Unreadable, match=says):
            make(path)


# KMS


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with emulated.kms() as client:
        yield client


def test_a_key_of_kms_is_the_one_that_its_arn_names(client: Any) -> None:
    arn = emulated.key(client)
    der = client.get_public_key(KeyId=arn)["PublicKey"]
    expected = keys.Verifier(serialization.load_der_public_key(der), "expected")  # type: ignore[arg-type]
    assert kms_verifier(arn, REGION).fingerprint == expected.fingerprint
    assert kms_signer(arn, REGION).verifier.fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("ECC_NIST_P384", "is a key on secp384r1; make one on P-256"),
        ("RSA_2048", "is not a key on an elliptic curve"),
    ],
)
def test_a_key_of_kms_is_of_the_one_kind(client: Any, spec: str, says: str) -> None:
    arn = emulated.key(client, spec)
    for make in (kms_signer, kms_verifier):
        with pytest.raises(Unreadable, match=says):
            make(arn, REGION)


def test_an_alias_is_not_taken_since_it_can_be_pointed_at_another_key(client: Any) -> None:
    client.create_alias(AliasName="alias/trainer", TargetKeyId=emulated.key(client))
    with pytest.raises(Unreadable, match="is not the ARN of a KMS key"):
        kms_verifier(f"arn:aws:kms:{REGION}:123456789012:alias/trainer", REGION)


@pytest.mark.parametrize(
    "arn", ["", "trainer", "arn:aws:s3:::bucket", f"arn:aws:kms:{REGION}:1:key/a", "arn:aws:kms\n"]
)
def test_what_is_no_arn_is_said_to_be_none(arn: str) -> None:
    with pytest.raises(Unreadable, match="is not the ARN of a KMS key"):
        kms_signer(arn, REGION)


def test_a_key_of_another_region_is_not_looked_for(client: Any) -> None:
    with pytest.raises(Unreadable, match="is a key of eu-central-1, not of us-east-1"):
        kms_signer(emulated.key(client), "us-east-1")


def test_a_key_that_is_gone_is_one_sentence(client: Any) -> None:
    with pytest.raises(Unreadable, match=r"KMS does not answer: .*NotFound"):
        kms_verifier(f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000", REGION)


def test_a_kms_that_stops_answering_is_one_sentence(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = kms_signer(emulated.key(client), REGION)

    def refused(_: Any) -> str:
        raise AccessDeniedException("not allowed to kms:Sign")

    monkeypatch.setattr(KmsResponse, "sign", refused)
    with pytest.raises(Unreadable, match=r"KMS does not answer: .*AccessDenied"):
        signer.private_key.sign(b"x", ec.ECDSA(hashes.SHA256()))


def test_kms_is_asked_with_time_limits(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    seen: dict[str, Any] = {}
    real = boto3.client

    def noted(*names: str, **more: Any) -> Any:
        seen.update(more)
        return real(*names, **more)

    monkeypatch.setattr(boto3, "client", noted)
    kms_verifier(emulated.key(client), REGION)
    config = seen["config"]
    assert config.connect_timeout == keys.CONNECT_SECONDS < 10
    assert config.read_timeout == keys.READ_SECONDS < 30
    assert config.retries["total_max_attempts"] == keys.TRIES < 5


def test_a_key_of_kms_signs_over_sha256_alone(client: Any) -> None:
    signer = kms_signer(emulated.key(client), REGION)
    with pytest.raises(Unreadable, match="signs over SHA-256 alone"):
        signer.private_key.sign(b"x", ec.ECDSA(hashes.SHA384()))
