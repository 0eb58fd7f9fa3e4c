"""What tests of several services need: patience, a loop, and what curl does."""

from __future__ import annotations

import asyncio
import itertools
import os
import shlex
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from services.shared.local import free_port

T = TypeVar("T")


def until(true: Callable[[], bool], *, seconds: float = 90) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def run(work: Awaitable[T]) -> T:
    async def inner() -> T:
        return await work

    return asyncio.run(inner())


def curl(words: list[str]) -> httpx.Response:
    """Do what curl does with these words."""
    options = dict(itertools.pairwise(words))
    address = next(word for word in words if word.startswith("https://"))
    name, _, value = options["-H"].partition(": ")
    headers = {name: value}
    more: dict[str, Any] = {}
    if "--json" in options:
        # As curl's manual has it: Content-Type and Accept are application/json.
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
        more["content"] = options["--json"]
    trusted = ssl.create_default_context(cafile=Path(options["--cacert"]))
    with httpx.Client(verify=trusted, timeout=30) as client:
        return client.request("POST" if more else "GET", address, headers=headers, **more)


@contextmanager
def printing(module: str, folder: Path) -> Iterator[list[list[str]]]:
    """Run ``python -m module``, and yield the curl lines that it prints, in words, once the first of them answers."""
    told = folder / "stderr"
    with told.open("wb") as into:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, "PORT": str(free_port())},
            stdout=subprocess.DEVNULL,
            stderr=into,
            start_new_session=True,
        )

    def lines() -> list[list[str]]:
        return [shlex.split(line) for line in told.read_text().splitlines() if line.startswith("curl ")]

    def answers() -> bool:
        try:
            return curl(lines()[0]).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(lambda: "Ctrl-C" in told.read_text() or process.poll() is not None, seconds=90)
        assert process.poll() is None, told.read_text()
        until(answers)
        yield lines()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
