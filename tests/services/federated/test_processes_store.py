"""A silo's rows on its disk: sealed, bound to their silo, opened by the silo's key alone."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import numpy as np
import pytest
from moto import mock_aws

from services.federated import silo_store
from services.federated.certificates import private
from services.federated.errors import FederatedError
from services.federated.silo_store import EXAMPLES, Store

VALUES = np.random.default_rng(3).normal(size=(50, 8)).astype(np.float32)
LABELS = np.arange(50) % 10


def said(folder: Path, silo: str = "north", name: str = "key") -> dict[str, str]:
    """Return the environment of a silo, with a key that is made if it is not there."""
    key = folder / name
    if not key.exists():
        private(key, os.urandom(32))
    return {"SILO_NAME": silo, "STORE_KEY_FILE": str(key)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = silo_store.opened(tmp_path / "store", said(tmp_path))
    made.keep(VALUES, LABELS)
    return made


def test_what_was_kept_comes_back(store: Store) -> None:
    values, labels = store.examples()
    assert np.array_equal(values, VALUES)
    assert np.array_equal(labels, LABELS)


def test_nothing_of_a_row_is_readable_on_the_disk(store: Store, tmp_path: Path) -> None:
    sealed = (tmp_path / "store" / EXAMPLES).read_bytes()
    for mark in (b"NUMPY", b"values.npy", VALUES[0].tobytes(), VALUES[:, 0].tobytes(), LABELS.tobytes()[:64]):
        assert mark not in sealed
    np.savez(tmp_path / "plain.npz", values=VALUES)
    assert VALUES[0].tobytes() in (tmp_path / "plain.npz").read_bytes()
    assert (tmp_path / "store" / EXAMPLES).stat().st_mode & 0o077 == 0


def test_another_key_another_silo_and_a_changed_byte_open_nothing(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with pytest.raises(FederatedError, match="cannot be opened"):
        silo_store.opened(folder, said(tmp_path, name="other")).examples()
    with pytest.raises(FederatedError, match="it is not south's"):
        silo_store.opened(folder, said(tmp_path, "south")).examples()
    path = folder / EXAMPLES
    whole = path.read_bytes()
    for place in (len(whole) // 2, len(whole) - 10, 200):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(FederatedError, match="cannot be opened"):
            store.examples()
    path.write_bytes(whole[:-100])
    with pytest.raises(FederatedError, match="cannot be opened"):
        store.examples()
    path.unlink()
    with pytest.raises(FederatedError, match="cannot be read"):
        store.examples()


def test_a_key_that_is_none_is_refused_plainly(tmp_path: Path) -> None:
    good = said(tmp_path)
    (tmp_path / "short").write_bytes(b"x" * 16)
    (tmp_path / "open").write_bytes(b"x" * 32)
    (tmp_path / "open").chmod(0o644)
    for other, message in (
        ({"STORE_KEY_FILE": ""}, "STORE_KEY_FILE: give this or STORE_KEY_ARN"),
        ({"STORE_KEY_ARN": "arn:aws:kms:x"}, "STORE_KEY_FILE: give this or STORE_KEY_ARN"),
        ({"STORE_KEY_FILE": str(tmp_path / "none")}, "STORE_KEY_FILE: cannot be read"),
        ({"STORE_KEY_FILE": str(tmp_path / "short")}, "holds 16 bytes; write 32"),
        ({"STORE_KEY_FILE": str(tmp_path / "open")}, "chmod 600"),
        ({"SILO_NAME": ""}, "SILO_NAME: is not set"),
        ({"STORE_KEY_FILE": "", "STORE_KEY_ARN": "nonsense"}, "STORE_KEY_ARN"),
    ):
        with pytest.raises(FederatedError, match=message):
            silo_store.opened(tmp_path, {**good, **other})


def test_in_aws_a_key_of_kms_wraps_and_another_does_not_unwrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        kms = boto3.client("kms", region_name="eu-west-1")
        own, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
        store = silo_store.opened(tmp_path, {"SILO_NAME": "north", "STORE_KEY_ARN": own})
        store.keep(VALUES, LABELS)
        assert np.array_equal(store.examples()[0], VALUES)
        assert VALUES[0].tobytes() not in (tmp_path / EXAMPLES).read_bytes()
        with pytest.raises(FederatedError, match="cannot be opened"):
            silo_store.opened(tmp_path, {"SILO_NAME": "north", "STORE_KEY_ARN": other}).examples()
