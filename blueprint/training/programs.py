"""Programs of the services, each by the Python of its own environment: some run to an end, some serve meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO

from blueprint.errors import BadInput, BlueprintError

ROOT = Path(__file__).resolve().parent.parent.parent

GRACE_SECONDS = 20
"""For a service to end by itself."""

LONGEST_LINE = 400

Words = Sequence[str | Path]
"""A module, and its arguments."""


class ChainError(BlueprintError):
    """A stage did not do what it must; the message says which, and what its program said."""


def python(service: str) -> Path:
    """Return the Python of a service's environment.

    Raises:
        BadInput: it has not been made.
    """
    found = ROOT / "services" / service / ".venv" / "bin" / "python"
    if not (found.parent.parent / ".ready").exists():
        raise BadInput(
            f"services/{service}/.venv: is not there; make services/{service}/.venv/.ready, or make train"
        )
    return found


class Programs:
    """Starts programs and keeps what they say in files; whatever still serves at the end is ended."""

    def __init__(self, logs: Path, *, deadline_seconds: float) -> None:
        """Keep logs in a folder that is there; everything together has so many seconds."""
        self._logs, self._ends = logs, monotonic() + deadline_seconds
        self._serving: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Programs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._serving):
            _end(process)

    @property
    def left(self) -> float:
        """Seconds that are left; never quite none, so that whoever waits is told by its own timeout."""
        return max(0.1, self._ends - monotonic())

    def run(
        self,
        service: str,
        words: Words,
        *,
        environment: Mapping[str, str] | None = None,
        expected: int = 0,
        hears: Callable[[str], object] | None = None,
    ) -> str:
        """Run ``python -m`` with some words to its end; return what it wrote to standard output.

        Args:
            service: Whose environment.
            words: The module, and its arguments.
            environment: Variables beside those that every program gets.
            expected: Exit code.
            hears: Is told each line of standard error.

        Raises:
            ChainError: it ended with another code, or not in time.
        """
        name, log, last = f"{service} {words[1]}", self._logs / f"{service}.log", "nothing"
        with (
            tempfile.TemporaryFile() as output,
            log.open("ab") as into,
            self._spawn(service, words, environment, stdout=output, stderr=subprocess.PIPE) as process,
        ):
            timer = threading.Timer(self.left, _end, [process])
            timer.start()
            try:
                for raw in process.stderr or ():
                    into.write(raw)
                    last = raw.decode(errors="replace").strip() or last
                    if hears is not None:
                        hears(last)
                process.wait()
            finally:
                timer.cancel()
                _end(process)
            if process.returncode != expected:
                if monotonic() >= self._ends:
                    raise ChainError(f"{name}: did not end in time; --timeout gives it more")
                raise ChainError(f"{name}: ended with {process.returncode} and said: {last[:LONGEST_LINE]}")
            output.seek(0)
            return output.read().decode(errors="replace")

    def serve(
        self, service: str, words: Words, *, environment: Mapping[str, str], ready: Callable[[], bool]
    ) -> None:
        """Start a program that serves, and wait until it is ready.

        Raises:
            ChainError: it ended instead, or is not ready in time.
        """
        log = self._logs / f"{service}.log"
        with log.open("ab") as into:
            process = self._spawn(service, words, environment, stdout=into, stderr=into)
        self._serving.append(process)
        while not ready():
            if process.poll() is not None:
                lines = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
                raise ChainError(f"{service}: ended at once and said: {lines[-1][:LONGEST_LINE]}")
            if monotonic() >= self._ends:
                raise ChainError(f"{service}: is not ready in time; --timeout gives it more")
            time.sleep(0.1)

    @staticmethod
    def _spawn(
        service: str,
        words: Words,
        environment: Mapping[str, str] | None,
        *,
        stdout: IO[bytes],
        stderr: IO[bytes] | int,
    ) -> subprocess.Popen[bytes]:
        # A session of its own: whatever it starts ends with it, and Ctrl-C reaches it through us.
        return subprocess.Popen(  # noqa: S603 - our own interpreters on our own modules
            [str(python(service)), "-m", *map(str, words)],
            cwd=ROOT,
            env={**_inherited(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def _inherited() -> dict[str, str]:
    # Not the caller's own: a variable that configures a service would change what is shown here.
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        if process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        if process.poll() is not None and not _lives(process.pid):
            return


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
