"""What tests of several services need: patience, a loop, and what curl does."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")


def until(true: Callable[[], bool], *, seconds: float = 30) -> None:
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
