"""Where releases lie, ``<name>/<version>/``: in a folder, or in S3. What is fetched is bounded in names, number and size.

A release is copied into a place of the gateway's own before anything in it is believed: what is verified is then what
is loaded, and the last good one is still at hand when the store is gone.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.gateway.settings import Settings
from services.modelchain.reading import FOLDERS, MOST_TOTAL_BYTES, SIGNATURE_BYTES, SIGNATURES

FILES: Mapping[str, int] = {
    **{f"{folder}/{name}": most for folder, files in FOLDERS.items() for name, most in files.items()},
    **dict.fromkeys(SIGNATURES, SIGNATURE_BYTES),
}
"""Every file that a release may have, with the most bytes of it."""

MOST_VERSIONS = 10_000
"""Of one model that are looked at: more than a release an hour for a year."""

PIECE_BYTES = 2**20

VERSION = re.compile(r"[1-9][0-9]{0,15}")


class StoreError(Exception):
    """The store cannot be reached, or holds what is no release; the message says where."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a release: how large it is, and what changes with its content."""

    size: int
    tag: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One release in the store."""

    name: str
    version: int
    files: Mapping[str, File]

    @property
    def fingerprint(self) -> str:
        """What changes when a file of it does: 16 hexadecimal digits."""
        told = sorted((path, file.size, file.tag) for path, file in self.files.items())
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


class Store(Protocol):
    """Calls block. Each raises ``StoreError``."""

    def newest(self, name: str) -> Listing | None:
        """Return the newest release of a model, good or not."""

    def pieces(self, listing: Listing, path: str) -> Generator[bytes, None, None]:
        """Yield one file of a release."""


def copy(store: Store, listing: Listing, into: Path) -> None:
    """Copy a release into a new folder.

    Raises:
        StoreError: the store cannot be reached, or a file is larger than it may be or than it was said to be.
        OSError: it cannot be written.
    """
    into.mkdir(mode=0o700)
    for path, file in listing.files.items():
        target = into / path
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with target.open("xb") as copied, closing(store.pieces(listing, path)) as pieces:
            left = file.size
            for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise StoreError(f"{_where(listing)}{path}: is larger than it was said to be")
                copied.write(piece)
            if left:
                raise StoreError(f"{_where(listing)}{path}: is shorter than it was said to be")
            copied.flush()
            os.fsync(copied.fileno())


def _where(listing: Listing) -> str:
    return f"{listing.name}/{listing.version}/"


def _listing(name: str, version: int, files: Mapping[str, File]) -> Listing:
    """Return a listing of what may be copied; refuse the rest."""
    made = Listing(name=name, version=version, files=files)
    for path, file in files.items():
        if path not in FILES:
            raise StoreError(f"{_where(made)}: {path!r:.80} does not belong there")
        if file.size > FILES[path]:
            raise StoreError(f"{_where(made)}{path}: has {file.size} bytes; {FILES[path]} at most")
    total = sum(file.size for file in files.values())
    if total > MOST_TOTAL_BYTES:
        raise StoreError(f"{_where(made)}: has {total} bytes; {MOST_TOTAL_BYTES} at most")
    return made


class Folder:
    """Releases in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self._folder = folder

    def newest(self, name: str) -> Listing | None:
        """Return the newest release of a model."""
        with _reading(self._folder / name):
            try:
                with os.scandir(self._folder / name) as entries:
                    versions = [int(entry.name) for entry in entries if VERSION.fullmatch(entry.name)]
            except FileNotFoundError:
                if self._folder.is_dir():
                    return None
                raise
            return self._listed(name, max(versions)) if versions else None

    def _listed(self, name: str, version: int) -> Listing:
        root = self._folder / name / str(version)
        files: dict[str, File] = {}
        for path in _paths(root):
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{path}: is not a plain file")
            tag = f"{found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"
            files[path.relative_to(root).as_posix()] = File(size=found.st_size, tag=tag)
        return _listing(name, version, files)

    def pieces(self, listing: Listing, path: str) -> Generator[bytes, None, None]:
        """Yield one file of a release."""
        place = self._folder / listing.name / str(listing.version) / path
        with _reading(place):
            # Neither a link nor a pipe, whatever has been put there since.
            handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise StoreError(f"{place}: is not a plain file")
                while piece := file.read(PIECE_BYTES):
                    yield piece


def _paths(root: Path) -> list[Path]:
    """Return the files of a release's folder; one too many is enough to refuse it."""
    found: list[Path] = []
    for entry in sorted(root.iterdir()):
        inside = sorted(entry.iterdir()) if entry.is_dir() and not entry.is_symlink() else [entry]
        found += inside
        if len(found) > len(FILES):
            raise StoreError(f"{root}: holds more files than a release has")
    return found


@contextmanager
def _reading(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{place}: cannot be read: {error.strerror}") from None


class Bucket:
    """Releases in S3, below one prefix."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        """Take boto3's client of S3, with timeouts, the bucket, and the prefix with its slash."""
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def newest(self, name: str) -> Listing | None:
        """Return the newest release of a model."""
        below = f"{self._prefix}{name}/"
        versions: list[int] = []
        with self._asking():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=below, Delimiter="/", PaginationConfig={"MaxItems": MOST_VERSIONS}
            )
            for page in pages:
                folders = (each["Prefix"][len(below) : -1] for each in page.get("CommonPrefixes", ()))
                versions += [int(folder) for folder in folders if VERSION.fullmatch(folder)]
            if len(versions) >= MOST_VERSIONS:
                raise StoreError(f"{below}: holds {MOST_VERSIONS} releases or more; take old ones away")
            return self._listed(name, max(versions)) if versions else None

    def _listed(self, name: str, version: int) -> Listing:
        below = f"{self._prefix}{name}/{version}/"
        page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=below, MaxKeys=len(FILES) + 1)
        if page.get("IsTruncated") or len(page.get("Contents", ())) > len(FILES):
            raise StoreError(f"{below}: holds more files than a release has")
        return _listing(
            name,
            version,
            {
                each["Key"][len(below) :]: File(
                    size=each["Size"], tag=f"{each['ETag']} {each['LastModified']}"
                )
                for each in page.get("Contents", ())
            },
        )

    def pieces(self, listing: Listing, path: str) -> Generator[bytes, None, None]:
        """Yield one file of a release."""
        key = f"{self._prefix}{_where(listing)}{path}"
        with self._asking():
            # The object that was listed, not one that has taken its place since.
            etag = listing.files[path].tag.partition(" ")[0]
            body = self._client.get_object(Bucket=self._bucket, Key=key, IfMatch=etag)["Body"]
            with closing(body):
                yield from body.iter_chunks(PIECE_BYTES)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"s3://{self._bucket}/{self._prefix}: does not answer: {error}") from None


def store_of(settings: Settings) -> Store:
    """Return the store that the settings name."""
    if settings.model_folder is not None:
        return Folder(settings.model_folder)
    import boto3
    from botocore.config import Config

    bounded = Config(
        connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
    )
    client = boto3.client("s3", region_name=settings.aws_region, config=bounded)
    return Bucket(client, str(settings.model_bucket), settings.model_prefix)
