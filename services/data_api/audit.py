"""The audit: every access is an event, kept before data leaves and completed after.

``python -m services.data_api.audit verify`` checks the chain (``--shipped FILE`` also against shipped lines).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.data_api import settings as configuration
from services.data_api.database import Database
from services.shared.audit_chain import Link, Sealer, faults, missing_from, shipped_line
from services.shared.keys import derived
from services.shared.log_group import LogGroup
from services.shared.problems import Problem, unavailable
from services.shared.settings import SettingsError
from services.shared.shipping import Shipping

KEY_PURPOSE = "audit"
SERVICE = "data-api"
"""Under this name the log of all services knows its events."""

MOST_PER_APPEND = 256

COMPANY_SECONDS = 0.02
"""How long an event that nobody waits for waits for company."""


class Audit:
    """Appends events to the chain in the database, then ships them as lines; many at once cost one commit."""

    def __init__(
        self,
        database: Database,
        key: bytes,
        descriptor: int = 1,
        *,
        log_group: LogGroup | None = None,
    ) -> None:
        """Take the database, the sealing key and the file descriptor and log group to ship to."""
        self._database, self._sealer = database, Sealer(key)
        self._shipping = Shipping(descriptor, log_group)
        self._waiting: list[tuple[Mapping[str, Any], asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._later: set[asyncio.Task[None]] = set()

    async def write(self, event: Mapping[str, Any]) -> None:
        """Return once the event is kept and shipped.

        Raises:
            Problem: 503, it could not be: nothing may be served.
        """
        done = self._queue(event)
        self._start()
        await asyncio.shield(done)

    def _queue(self, event: Mapping[str, Any]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        named = {"service": SERVICE, **event, "time": datetime.now(UTC).isoformat()}
        self._waiting.append((named, done))
        return done

    def _start(self) -> None:
        if self._waiting and (self._sender is None or self._sender.done()):
            self._sender = asyncio.create_task(self._send())

    def write_later(self, event: Mapping[str, Any]) -> None:
        """Keep an event as soon as it can be: what was served is completed even while the database is away.

        It waits a moment for an event that somebody waits for, and goes with it: two in one commit.
        """
        task = asyncio.create_task(self._persist(event))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def close(self, seconds: float) -> None:
        """Wait for the events that are under way."""
        if self._later:
            await asyncio.wait(self._later, timeout=seconds)
        await self._shipping.close(seconds)

    async def _persist(self, event: Mapping[str, Any]) -> None:
        pause = 0.05
        done = self._queue(event)
        asyncio.get_running_loop().call_later(COMPANY_SECONDS, self._start)
        while True:
            try:
                return await asyncio.shield(done)
            except Problem:
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)
                done = self._queue(event)
                self._start()

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_PER_APPEND], self._waiting[MOST_PER_APPEND:]
            error: Exception | None = None
            try:
                await self._append([event for event, _ in batch])
            except Exception as raised:
                error = raised
            for _, done in batch:
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(unavailable("The audit cannot be written."))
                    done.exception()  # the caller may have left

    async def _append(self, events: Sequence[Mapping[str, Any]]) -> None:
        # What was kept and could not be shipped goes first: shipping is as ordered and whole as the table.
        await self._shipping.ship()
        self._shipping.check()
        try:
            sealed = [self._sealer.sealed(event) for event in events]
            async with self._database.connection() as connection:
                rows = await connection.fetch(
                    "SELECT * FROM audit.append($1, $2)",
                    [body for body, _ in sealed],
                    [seal for _, seal in sealed],
                )
        except Exception:
            # Whether the events were kept is unknown: a new writer leaves no gap in the numbers.
            self._sealer.renew()
            raise
        await self._shipping.ship(
            shipped_line(body, seal, row["at"], row["hash"])
            for (body, seal), row in zip(sealed, rows, strict=True)
        )


async def verify(database: Database, key: bytes, shipped: Path | None) -> list[str]:
    """Return what is wrong with the chain that is kept, against its head and the shipped lines."""
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read"):
        rows = await connection.fetch("SELECT sequence, body, seal, link FROM audit.event ORDER BY sequence")
        head = await connection.fetchrow("SELECT sequence, link FROM audit.head")
    links = [Link(sequence=r["sequence"], body=r["body"], seal=r["seal"], link=r["link"]) for r in rows]
    found = faults(links, key, head=(head["sequence"], head["link"]) if head else (0, ""))
    if shipped is not None:
        with shipped.open() as lines:
            found += missing_from(links, lines)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the chain with a login that may read it; exit with 1 if it is not whole."""
    parser = argparse.ArgumentParser(prog="python -m services.data_api.audit")
    parser.add_argument("command", choices=["verify"])
    parser.add_argument("--shipped", type=Path, help="JSON lines that the service shipped")
    asked = parser.parse_args(arguments)
    try:
        settings = configuration.read(os.environ)
        key = derived(configuration.root_secret(settings), KEY_PURPOSE)
        found = asyncio.run(verify(Database(settings), key, asked.shipped))
    except (SettingsError, Problem, OSError) as error:
        sys.stderr.write(f"audit: {error}\n")
        return 2
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("the audit is whole\n" if not found else f"{len(found)} faults\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
