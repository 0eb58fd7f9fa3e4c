"""Asks a program for its version; one that hangs, floods or crashes is a finding, never an error of ours."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

SECONDS = 20.0
"""For one answer: a program that starts cold from a slow disk takes a few."""

_MOST_BYTES = 64 * 1024
_VERSION = re.compile(r"\d+(?:\.\d+)+")

_QUIET = {
    # None of these may look for news on the network.
    "CHECKPOINT_DISABLE": "1",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "DOCKER_CLI_HINTS": "false",
}

State = Literal["found", "missing", "broken"]


@dataclass(frozen=True)
class Found:
    """What became of one requirement."""

    state: State
    what: str
    """Version or place where it was found; what happened where it is broken."""


def first_of(names: Sequence[str]) -> str | None:
    """Return the path of the first of these programs that is on the PATH."""
    return next(filter(None, map(shutil.which, names)), None)


def version(
    program: str | None,
    *arguments: str,
    says: str = "",
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> Found:
    """Run a program and return the version in its answer.

    Args:
        program: Its path; ``None`` is missing.
        arguments: What makes it tell its version.
        says: What its answer must hold, for programs that share a name.
        environment: Variables beside those that are there.
        seconds: Bound on the run, ``SECONDS`` where it is left out.
    """
    if program is None:
        return Found("missing", "")
    try:
        code, answer = _answer(
            [program, *arguments], {**os.environ, **_QUIET, **(environment or {})}, seconds or SECONDS
        )
    except OSError as error:
        return Found("broken", f"cannot be started: {error.strerror}")
    if code is None:
        return Found("broken", "does not answer")
    line = next((line.strip() for line in answer.splitlines() if line.strip()), "nothing")[:120]
    if code != 0:
        return Found("broken", f"ends with {code} and says: {line}")
    if says not in answer:
        return Found("broken", f"is another program: {line}")
    found = _VERSION.search(answer)
    return Found("found", found[0]) if found else Found("broken", f"tells no version: {line}")


def _answer(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> tuple[int | None, str]:
    """Return the status and the beginning of the output; no status where it had to be ended."""
    process = subprocess.Popen(  # noqa: S603 - programs from the PATH, asked for their version
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A session of its own: what it starts ends with it.
        start_new_session=True,
    )
    ended = threading.Event()

    def end() -> None:
        ended.set()
        _kill(process.pid)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - opened with PIPE
        output = process.stdout.read(_MOST_BYTES)
        if len(output) == _MOST_BYTES:
            end()
        process.wait()
    finally:
        timer.cancel()
        # Whatever it left running goes too; its own number stays taken while the group lives.
        _kill(process.pid)
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    return None if ended.is_set() else process.returncode, output.decode(errors="replace")


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
