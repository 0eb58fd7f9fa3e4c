"""``make data-api``: the lines that it prints work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from services.shared.local import free_port
from tests.services.support import curl, until


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[list[str]]]:
    """Yield the curl lines of a service that runs, split into words."""
    told = tmp_path_factory.mktemp("local") / "stderr"
    with told.open("wb") as into:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.data_api.local"],
            env={**os.environ, "PORT": str(free_port())},
            stdout=subprocess.DEVNULL,
            stderr=into,
            start_new_session=True,
        )
    try:
        until(lambda: "Ctrl-C" in told.read_text() or process.poll() is not None)
        yield [shlex.split(line) for line in told.read_text().splitlines() if line.startswith("curl ")]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def test_every_line_that_is_printed_works(printed: list[list[str]]) -> None:
    assert len(printed) == 3

    def answers() -> bool:
        try:
            return curl(printed[0]).status_code == 200
        except httpx.TransportError:
            return False

    until(answers)
    rows, mean = curl(printed[1]), curl(printed[2])
    assert (rows.status_code, mean.status_code) == (200, 200), (rows.text, mean.text)
    assert len(re.findall('"sample"', rows.text)) == 3
    assert 0 <= mean.json()["value"] <= 30
