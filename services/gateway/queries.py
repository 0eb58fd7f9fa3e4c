"""The query log: one line for each query, sealed and chained, and written before the answer leaves.

``python -m services.gateway.queries verify FILE`` checks lines that were shipped: any edit, deletion or move is named.
What is in an input is not in a line; its keyed digest is, by which equal inputs can be told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.gateway import settings as configuration
from services.shared.audit_chain import (
    GENESIS,
    Link,
    Sealer,
    canonical,
    faults,
    linked,
    shipped_line,
)
from services.shared.keys import derived
from services.shared.log_group import Full
from services.shared.problems import Problem
from services.shared.settings import SettingsError
from services.shared.shipping import Shipping

KEY_PURPOSE = "queries"

SERVICE = "gateway"
"""Under this name the log of all services knows its events."""


class Unwritten(Problem):
    """503: a line could not be written, so nothing may be answered."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(503, "unavailable", "The query log cannot be written.", headers={"Retry-After": "2"})


class Queries:
    """Writes lines; each process is a writer of its own, whose chain begins anew."""

    def __init__(self, key: bytes, shipping: Shipping, *, seconds: float) -> None:
        """Take the sealing key, where lines go, and how long an answer waits for its line."""
        self._sealer, self._shipping, self._seconds = Sealer(key), shipping, seconds
        self._sequence, self._link = 0, GENESIS

    async def write(self, event: Mapping[str, Any]) -> None:
        """Return once the line is written.

        Raises:
            Unwritten: 503, it could not be: nothing may be answered.
        """
        try:
            self._shipping.check()
            body, sealed = self._sealer.sealed(
                {"service": SERVICE, **event, "time": datetime.now(UTC).isoformat()}
            )
            self._sequence += 1
            self._link = linked(self._link, body, sealed)
            async with asyncio.timeout(self._seconds):
                await self._shipping.ship([shipped_line(body, sealed, self._sequence, self._link)])
        except (Full, OSError, TimeoutError):
            raise Unwritten from None

    def check(self) -> None:
        """Refuse while the log cannot take more.

        Raises:
            Unwritten: 503.
        """
        try:
            self._shipping.check()
        except Full:
            raise Unwritten from None

    async def close(self, seconds: float) -> None:
        """Wait for what is under way."""
        await self._shipping.close(seconds)


def verify(lines: Iterable[str], key: bytes) -> list[str]:
    """Return what is wrong with lines that were shipped, in the order that they were, of however many writers.

    What was cut off at the end of a writer's chain does not show: the archive has it, which nobody can cut.
    """
    found: list[str] = []
    chains: dict[str, list[Link]] = defaultdict(list)
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            writer = event["writer"]
            kept = {name: event.pop(name) for name in ("seal", "sequence", "link")}
            chains[writer].append(Link(body=canonical(event), **kept))
        except (ValueError, KeyError, TypeError):
            found.append(f"line {number}: is not a line of the query log")
    for writer, chain in chains.items():
        found += [f"writer {writer}: {fault}" for fault in faults(chain, key)]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Check shipped lines; exit with 1 if they are not whole."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.queries")
    parser.add_argument("command", choices=["verify"])
    parser.add_argument("file", type=Path, help="JSON lines that the gateway shipped")
    asked = parser.parse_args(arguments)
    try:
        key = derived(configuration.root_secret(configuration.read(os.environ)), KEY_PURPOSE)
        with asked.file.open() as lines:
            found = verify(lines, key)
    except (SettingsError, OSError, ValueError) as error:
        sys.stderr.write(f"queries: {error}\n")
        return 2
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("the query log is whole\n" if not found else f"{len(found)} faults\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
