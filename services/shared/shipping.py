"""Lines that leave the service: to a file descriptor, whole and in order, and to a log group of CloudWatch."""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from collections.abc import Iterable

from services.shared.log_group import MOST_WAITING, Full, LogGroup


class Shipping:
    """Writes lines; what could not be written goes first the next time."""

    def __init__(self, descriptor: int, log_group: LogGroup | None = None) -> None:
        """Take where to write."""
        self._descriptor, self._log_group = descriptor, log_group
        self._unshipped: deque[bytes] = deque()
        self._taken = self._written = 0
        self._writer: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Refuse to go on while too much waits.

        Raises:
            Full: more waits than may, or for longer.
        """
        if len(self._unshipped) >= MOST_WAITING:
            raise Full
        if self._log_group is not None:
            self._log_group.check()

    async def ship(self, lines: Iterable[str] = ()) -> None:
        """Return once the lines, and those of before, are written; the log group gets them soon.

        Raises:
            OSError: they could not be; they stay.
        """
        for line in lines:
            self._unshipped.append(line.encode() + b"\n")
            self._taken += 1
            if self._log_group is not None:
                self._log_group.offer(line)
        mine = self._taken
        while self._written < mine:
            if self._writer is None or self._writer.done():
                if self._at_once():
                    self._write()
                    continue
                self._writer = asyncio.create_task(asyncio.to_thread(self._write))
                # Everybody who waits may have left.
                self._writer.add_done_callback(lambda done: done.cancelled() or done.exception())
            # Whoever leaves does not stop a write half way.
            await asyncio.shield(self._writer)

    async def close(self, seconds: float) -> None:
        """Wait for the log group, for so long at most."""
        if self._log_group is not None:
            await asyncio.to_thread(self._log_group.close, seconds)

    def _at_once(self) -> bool:
        """Say whether a write cannot wait: a pipe that is ready takes so much without blocking (pipe(7))."""
        return sum(map(len, self._unshipped)) <= select.PIPE_BUF and bool(
            select.select([], [self._descriptor], [], 0)[1]
        )

    def _write(self) -> None:
        while self._unshipped:
            written = os.write(self._descriptor, self._unshipped[0])
            if written < len(self._unshipped[0]):
                self._unshipped[0] = self._unshipped[0][written:]
            else:
                self._unshipped.popleft()
                self._written += 1
