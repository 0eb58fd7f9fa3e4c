"""The models in memory: verified when they are loaded, swapped while queries go on, and never replaced by worse.

A release is copied, verified over the bytes that are then loaded, tried in a process of its own, loaded, written down,
and only then takes the place of the one that serves. Whatever fails on the way is written down, and the last good one
goes on. Its copy stays on the disk, so that a restart without the store serves it, verified anew.

Only the newest release counts: where it is bad, a gateway that serves keeps what it has, and one that has nothing
serves nothing. To look further back would let whoever can spoil the newest choose an older one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.gateway import served, trial
from services.gateway.inference import InferenceError
from services.gateway.marks import Marks
from services.gateway.messages import Reading
from services.gateway.served import Served
from services.gateway.serving import Serving
from services.gateway.store import Listing, Store, StoreError, copy
from services.modelchain.keys import Verifier
from services.modelchain.release import ModelError, Release, Unreadable, open_release
from services.shared.problems import Problem

AGAIN_SECONDS = 3600.0
"""A release that was refused is looked at again after so long, if it is still the same: clocks may have differed."""

WARN = timedelta(days=7)
"""So long before a verdict ends the log begins to say so, once a day."""

COPY = re.compile(r"([1-9][0-9]{0,15})-([0-9a-f]{16})")

Write = Callable[[Mapping[str, Any]], Awaitable[None]]


class StateError(Exception):
    """The gateway's own folder cannot be used; the message names it."""


class State:
    """The gateway's own folder: copies of the last good releases, a place to work in, and the marks."""

    def __init__(self, folder: Path) -> None:
        """Take the folder for this process alone, and clear what a process that was killed left behind.

        Raises:
            StateError: it cannot be written, is somebody else's, or another process uses it.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise StateError(f"{folder}: is not a folder that only this user writes to")
            self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.marks, self._copies, self._work = folder / "marks.json", folder / "releases", folder / "work"
            shutil.rmtree(self._work, ignore_errors=True)
            self._copies.mkdir(mode=0o700, exist_ok=True)
        except BlockingIOError:
            raise StateError(f"{folder}: another gateway uses it") from None
        except OSError as error:
            raise StateError(f"{folder}: cannot be used: {error.strerror}") from None

    def close(self) -> None:
        """Leave the folder to others."""
        os.close(self._lock)

    def place(self) -> Path:
        """Return a path to work at; nothing is there."""
        self._work.mkdir(mode=0o700, exist_ok=True)
        return self._work / secrets.token_hex(8)

    def copies(self, name: str) -> list[tuple[int, str, Path]]:
        """Return the copies of a model's releases, newest first: version, fingerprint, folder."""
        with suppress(FileNotFoundError):
            found = [
                (int(named[1]), named[2], path)
                for path in (self._copies / name).iterdir()
                if (named := COPY.fullmatch(path.name))
            ]
            return sorted(found, key=lambda each: (each[0], each[2].stat().st_mtime_ns), reverse=True)
        return []

    def keep(self, work: Path, name: str, version: int, fingerprint: str) -> Path:
        """Make a release in its place of work a copy, whole or not at all."""
        target = self._copies / name / f"{version}-{fingerprint}"
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if target.exists():
            # It was refused when it was opened, or else it would serve.
            shutil.rmtree(target)
        work.rename(target)
        os.utime(target)
        return target

    def forget_others(self, name: str, kept: Path) -> None:
        """Delete the copies that are older than the one that serves."""
        for _, _, path in self.copies(name):
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)


class Models:
    """Every model that the operator's file names."""

    def __init__(
        self,
        declared: Mapping[str, Serving],
        *,
        store: Store,
        state: State,
        marks: Marks,
        trainer: Verifier,
        redteam: Verifier,
        reading: Reading,
        write: Write,
    ) -> None:
        """Begin with nothing.

        Args:
            declared: How each is served.
            store: Where releases lie.
            state: The gateway's own folder.
            marks: How new each was.
            trainer: Who must have signed a model.
            redteam: Who must have signed its verdict.
            reading: Reads messages.
            write: Writes an event down, or raises ``Problem``.
        """
        self.declared = declared
        self._store, self._state, self._marks = store, state, marks
        self._trainer, self._redteam, self._reading, self._write = trainer, redteam, reading, write
        self._served: dict[str, Served] = {}
        self._refused: dict[str, tuple[str, str, float]] = {}
        """Fingerprint, reason, and when, of what was refused last."""
        self._warned: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    def served(self, name: str) -> Served | None:
        """Return the model of that name, if one is good."""
        return self._served.get(name)

    def is_ready(self) -> bool:
        """Say whether a model serves, and those that do not were looked for."""
        return bool(self._served) and all(
            name in self._served or name in self._refused for name in self.declared
        )

    async def begin(self) -> None:
        """Load the last good copies, newest first."""
        for name in self.declared:
            for version, fingerprint, path in await asyncio.to_thread(self._state.copies, name):
                if await self._loaded(name, version, fingerprint, path, fetched=None):
                    break

    async def look(self) -> None:
        """Look once for newer releases of every model, and at how long verdicts hold."""
        async with self._one_at_a_time:
            for name in self.declared:
                await self._look(name)
                await self._warn(name)

    async def _look(self, name: str) -> None:
        try:
            listing = await asyncio.to_thread(self._store.newest, name)
        except StoreError as error:
            await self._refuse(name, None, "", str(error))
            return
        if listing is None:
            if name not in self._served:
                await self._refuse(name, None, "", "the store holds no release of it")
            return
        serves = self._served.get(name)
        if serves and serves.fingerprint == listing.fingerprint:
            self._refused.pop(name, None)
            return
        fingerprint, _, at = self._refused.get(name, ("", "", 0.0))
        if fingerprint == listing.fingerprint and time.monotonic() - at < AGAIN_SECONDS:
            return
        try:
            path = await asyncio.to_thread(self._state.place)
        except OSError as error:
            await self._refuse(name, listing.version, "", f"no place to work: {error.strerror}")
        else:
            await self._loaded(name, listing.version, listing.fingerprint, path, fetched=listing)

    async def _loaded(
        self, name: str, version: int, fingerprint: str, path: Path, *, fetched: Listing | None
    ) -> bool:
        """Load a release and let it serve, or write down why not; say which.

        Args:
            name: Of the model.
            version: As the store or the copy calls it.
            fingerprint: Of the release in the store.
            path: Where it lies, or is to be copied to.
            fetched: What to copy; None for a copy.
        """
        kept = path
        try:
            release = await asyncio.to_thread(self._verified, name, version, path, fetched)
            made = await asyncio.to_thread(
                served.served, release, self.declared[name], fingerprint, self._reading
            )
            if fetched is not None:
                kept = await asyncio.to_thread(self._state.keep, path, name, version, fingerprint)
            await asyncio.to_thread(self._marks.raise_to, name, version, release.digest)
            await self._write(_event("model-loaded", name, version, release.digest, "allow", None))
        except (ModelError, InferenceError, trial.TrialError, ValueError) as error:
            # Looked at again before long only if it was not the release's own fault.
            fault = "" if isinstance(error, Unreadable) else fingerprint
            await self._refuse(name, version, fault, str(error))
        except (OSError, StoreError, MemoryError) as error:
            await self._refuse(name, version, "", str(error) or type(error).__name__)
        except Problem as problem:
            await self._refuse(name, version, "", problem.detail)
        else:
            self._served[name] = made
            self._refused.pop(name, None)
            await asyncio.to_thread(self._state.forget_others, name, kept)
            return True
        finally:
            if fetched is not None:
                await asyncio.to_thread(shutil.rmtree, path, True)
        return False

    def _verified(self, name: str, version: int, path: Path, fetched: Listing | None) -> Release:
        least = self.declared[name].least_version
        if version < least:
            raise ModelError(f"is older than least_version, {least}, in serving.yaml")
        # What is old is not worth a copy; what the signed schema says of itself is looked at below.
        mark = self._marks.of(name)
        if mark is not None and version < mark.version:
            raise ModelError(str(self._marks.objection(name, version, "")))
        if fetched is not None:
            copy(self._store, fetched, path)
        release = open_release(path, trainer=self._trainer, redteam=self._redteam, now=datetime.now(UTC))
        if (release.schema.name, release.schema.version) != (name, version):
            raise ModelError(
                f"is {release.schema.name} {release.schema.version} in the place of {name} {version}"
            )
        if objection := self._marks.objection(name, version, release.digest):
            raise ModelError(objection)
        trial.tried(release.graph, release.schema)
        return release

    async def _refuse(self, name: str, version: int | None, fingerprint: str, reason: str) -> None:
        """Write down once why something does not serve."""
        known = self._refused.get(name)
        self._refused[name] = (fingerprint, reason, time.monotonic())
        if known is None or known[:2] != (fingerprint, reason):
            with suppress(Problem):
                await self._write(_event("model-refused", name, version, None, "deny", reason))

    async def _warn(self, name: str) -> None:
        serves, now = self._served.get(name), datetime.now(UTC)
        today = now.date().isoformat()
        if serves is None or serves.verdict.holds_until - now > WARN or self._warned.get(name) == today:
            return
        self._warned[name] = today
        until = serves.verdict.holds_until.isoformat()
        with suppress(Problem):
            await self._write(
                _event(
                    "verdict-ends",
                    name,
                    serves.schema.version,
                    serves.digest,
                    "deny" if serves.expired(now) else "allow",
                    f"the verdict holds until {until}; then nothing is answered",
                )
            )


def _event(
    event: str, name: str, version: int | None, digest: str | None, decision: str, reason: str | None
) -> dict[str, Any]:
    return {
        "event": event,
        "principal": "gateway",
        "model": name,
        "model_version": version,
        "model_digest": digest,
        "decision": decision,
        "reason": reason,
    }
