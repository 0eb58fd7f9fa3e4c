"""Where releases lie: only what a release may hold is copied, bounded before and while, from a folder and from S3."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from moto import mock_aws

from services.gateway import store as stores
from services.gateway.store import FILES, Bucket, File, Folder, Listing, Store, StoreError, copy

BUCKET, PREFIX = "models", "released/"
GOOD = {"model/model.onnx": b"graph", "model/schema.json": b"{}", "model.sig": b"sig"}


class Place(Protocol):
    store: Store

    def put(self, path: str, data: bytes) -> None: ...

    def spoil(self) -> None: ...


class InFolder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "releases"
        self.store: Store = Folder(self.folder)
        self.folder.mkdir()

    def put(self, path: str, data: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(data)

    def spoil(self) -> None:
        self.folder.rename(self.folder.with_name("elsewhere"))


class InBucket:
    def __init__(self) -> None:
        self.client = boto3.client("s3", region_name="us-east-1")
        self.client.create_bucket(Bucket=BUCKET)
        self.store: Store = Bucket(self.client, BUCKET, PREFIX)

    def put(self, path: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=PREFIX + path, Body=data)

    def spoil(self) -> None:
        self.store = Bucket(self.client, "elsewhere", PREFIX)


@pytest.fixture(params=["folder", "bucket"])
def place(request: Any, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield InFolder(tmp_path)
        return
    with mock_aws():
        yield InBucket()


def put(place: Place, version: int | str, files: dict[str, bytes], name: str = "digits") -> None:
    for path, data in files.items():
        place.put(f"{name}/{version}/{path}", data)


def newest(place: Place) -> Listing:
    found = place.store.newest("digits")
    assert found is not None
    return found


def test_the_newest_is_the_greatest_number_and_nothing_else_counts(place: Place) -> None:
    for version in (9, 10, "latest", "012", "0", "-3", "11.tmp"):
        put(place, version, GOOD)
    put(place, 99, GOOD, name="digits-2")
    put(place, 99, GOOD, name="digit")
    assert newest(place).version == 10


def test_a_model_that_has_no_release_is_told_from_a_store_that_is_gone(place: Place) -> None:
    assert place.store.newest("digits") is None
    place.spoil()
    with pytest.raises(StoreError):
        place.store.newest("digits")


def test_a_release_is_copied_whole_and_for_nobody_else_to_read(place: Place, tmp_path: Path) -> None:
    put(place, 3, GOOD)
    copy(place.store, newest(place), tmp_path / "copy")
    copied = {
        each.relative_to(tmp_path / "copy").as_posix(): each.read_bytes()
        for each in (tmp_path / "copy").rglob("*")
        if each.is_file()
    }
    assert copied == GOOD
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0


def test_a_fingerprint_changes_with_every_file(place: Place) -> None:
    put(place, 3, GOOD)
    first = newest(place).fingerprint
    assert newest(place).fingerprint == first
    put(place, 3, {"model/schema.json": b"[]"})
    second = newest(place).fingerprint
    put(place, 3, {"verdict.sig": b""})
    assert len({first, second, newest(place).fingerprint}) == 3


@pytest.mark.parametrize(
    "stranger", ["model/run.sh", "model/model.onnx.data", "readme", "verdict/model.onnx", "model/model.sig"]
)
def test_what_a_release_does_not_have_is_not_copied(place: Place, stranger: str) -> None:
    put(place, 3, {**GOOD, stranger: b"x"})
    with pytest.raises(StoreError, match=r"does not belong there|more files"):
        newest(place)


def test_more_files_than_a_release_has_are_refused(place: Place) -> None:
    put(place, 3, {f"model/{number}": b"" for number in range(len(FILES) + 1)})
    with pytest.raises(StoreError, match="more files"):
        newest(place)


def test_what_is_too_large_is_refused_before_it_is_copied(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, 3, GOOD)
    monkeypatch.setattr(stores, "FILES", {**FILES, "model/model.onnx": 4})
    with pytest.raises(StoreError, match="has 5 bytes; 4 at most"):
        newest(place)
    monkeypatch.setattr(stores, "FILES", FILES)
    monkeypatch.setattr(stores, "MOST_TOTAL_BYTES", 9)
    with pytest.raises(StoreError, match="has 10 bytes; 9 at most"):
        newest(place)


def test_what_changes_after_it_was_listed_is_not_taken(place: Place, tmp_path: Path) -> None:
    put(place, 3, GOOD)
    listed = newest(place)
    put(place, 3, {"model/model.onnx": b"a graph that is much longer"})
    with pytest.raises(StoreError):
        copy(place.store, listed, tmp_path / "copy")


@pytest.mark.parametrize(("size", "says"), [(4, "is larger than"), (6, "is shorter than")])
def test_a_store_that_lies_about_sizes_is_cut_off(tmp_path: Path, size: int, says: str) -> None:
    place = InFolder(tmp_path)
    put(place, 3, GOOD)
    honest = newest(place)
    lie = Listing(name="digits", version=3, files={"model/model.onnx": File(size=size, tag="")})
    with pytest.raises(StoreError, match=says):
        copy(place.store, lie, tmp_path / "copy")
    copy(place.store, honest, tmp_path / "honest")


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_link, _pipe])
def test_links_and_pipes_are_not_followed(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place = InFolder(tmp_path)
    put(place, 3, GOOD)
    listed = newest(place)
    graph = place.folder / "digits/3/model/model.onnx"
    graph.unlink()
    make(graph)
    with pytest.raises(StoreError, match="is not a plain file"):
        newest(place)
    # Put there after it was listed.
    with pytest.raises(StoreError, match=r"is not a plain file|cannot be read"):
        copy(place.store, listed, tmp_path / "copy")


def test_a_link_to_a_folder_is_not_a_release(tmp_path: Path) -> None:
    place = InFolder(tmp_path)
    put(place, 3, GOOD)
    model = place.folder / "digits/3/model"
    model.rename(tmp_path / "elsewhere")
    model.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is not a plain file"):
        newest(place)
