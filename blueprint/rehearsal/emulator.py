"""An emulated AWS on a free loopback port: moto's server in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from types import TracebackType

from blueprint.errors import BadInput
from blueprint.rehearsal.terraform import PhaseFailed

START_SECONDS = 60.0

# Keys that no account has: the emulator takes any, and AWS would take none.
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class Emulator:
    """Use it as a context manager: the process always ends, unless it is to be kept.

    It starts in the background; ``wait`` returns once it answers.
    """

    def __init__(self, *, account_id: str, port: int | None = None) -> None:
        self._account_id = account_id
        self._port = port or _free_port()
        # Closed with the emulator; where it is kept, its own handle stays open.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.keep = False

    @property
    def endpoint(self) -> str:
        """The URL that stands for every service of AWS."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id, for who keeps it and ends it later."""
        return self._process.pid

    def __enter__(self) -> Emulator:
        if _taken(self._port):
            raise PhaseFailed(
                f"emulator: port {self._port} is taken; name another with --port, or none for a free one"
            )
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "blueprint.rehearsal.mended", str(self._port)],
            env={
                **os.environ,
                "MOTO_ACCOUNT_ID": self._account_id,
                "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            # A signal to us must not end it before we are done with it.
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep or kind is not None:
            self._end()
        self._errors.close()

    def alive(self) -> bool:
        """Say whether the process still runs."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Return the last line that it wrote to its errors."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:300]

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            BadInput: moto's server is not installed.
            PhaseFailed: it does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive():
                raise BadInput(
                    "the rehearsal needs moto's server, which did not start: "
                    "pip install 'moto[server]', or use make rehearse, which does"
                )
            if _answers(self._port):
                return
            time.sleep(0.1)
        raise PhaseFailed(f"emulator: did not answer within {START_SECONDS:.0f} s")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _answers(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/moto-api/", timeout=5):
            return True
    except OSError:
        return False
