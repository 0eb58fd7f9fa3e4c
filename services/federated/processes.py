"""Programs that one process starts, watches and ends: where one is over, all are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from services.federated.errors import FederatedError

STOP_SECONDS = 10
"""How long a program may take to end by itself; Flower's takes two to five."""

POLL_SECONDS = "0.2"
"""Between two looks of a SuperExec for work; Flower's own second is most of a small round."""


class Processes:
    """Programs under one roof; ends all of them on leaving, and whatever they started."""

    def __init__(self) -> None:
        """Begin with none."""
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them all."""
        self.stop()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program, in a group of its own; ``log`` takes what it says, else it says it here."""
        out = log.open("ab") if log else None
        try:
            started = subprocess.Popen(  # noqa: S603 - our own programs and Flower's
                list(command), env=dict(environment), stdout=out, stderr=out, start_new_session=True
            )
        finally:
            if out:
                out.close()
        self._running[name] = started
        return started

    def ended(self) -> str | None:
        """Return the name of a program that is over, if one is."""
        return next((name for name, each in self._running.items() if each.poll() is not None), None)

    def stop(self, *names: str) -> None:
        """End programs by name, or all: asked first, then made to."""
        ending = [self._running.pop(name) for name in (names or tuple(self._running))]
        for each in ending:
            _signal(each, signal.SIGTERM)
        for each in ending:
            with suppress(subprocess.TimeoutExpired):
                each.wait(STOP_SECONDS)
            # Whatever it left behind in its group goes too.
            _signal(each, signal.SIGKILL)
            each.wait(STOP_SECONDS)

    def kill(self, name: str) -> None:
        """End a program as a crash would."""
        gone = self._running.pop(name)
        _signal(gone, signal.SIGKILL)
        gone.wait(STOP_SECONDS)


def tool(name: str) -> str:
    """Return where one of Flower's programs is.

    Raises:
        FederatedError: it is not installed.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if found is None:
        raise FederatedError(f"{name}: is not installed; services/federated/requirements.lock names flwr")
    return found


def environment(home: Path) -> dict[str, str]:
    """Return what Flower's programs run with: a home of their own, and nobody told of them."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join((beside, os.environ.get("PATH", ""))),
        "PYTHONPATH": os.pathsep.join(
            (str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")]))
        ),
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": POLL_SECONDS,
        # Parameters are small: threads for sums would only get in each other's way.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
