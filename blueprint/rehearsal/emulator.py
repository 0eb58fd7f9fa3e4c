"""An emulated AWS on a free loopback port: moto's server in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from types import TracebackType

from blueprint.errors import BadInput
from blueprint.rehearsal.terraform import PhaseFailed

START_SECONDS = 30.0

# Keys that no account has: the emulator takes any, and AWS would take none.
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class Emulator:
    """Use it as a context manager: the process always ends, unless it is to be kept."""

    def __init__(self, *, port: int | None = None) -> None:
        self._port = port or _free_port()
        self.keep = False

    @property
    def endpoint(self) -> str:
        """The URL that stands for every service of AWS."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Emulator:
        if _answers(self._port):
            raise PhaseFailed(f"emulator: port {self._port} is taken; name another with --port, or none")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "AWS_DEFAULT_REGION": "us-east-1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep:
            self._end()

    def alive(self) -> bool:
        """Say whether the process still runs."""
        return self._process.poll() is None

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive():
                raise BadInput(
                    "the rehearsal needs moto's server: pip install 'moto[server]', or make rehearse, which does"
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


def _answers(port: int) -> bool:
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=2):
            return True
    except OSError:
        return False
