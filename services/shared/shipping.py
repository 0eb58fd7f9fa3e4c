"""Lines that leave the service: to a file descriptor, whole and in order, and to a log group of CloudWatch."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Iterable

from services.shared.log_group import LogGroup


class Shipping:
    """Writes lines; what could not be written goes first the next time."""

    def __init__(self, descriptor: int, log_group: LogGroup | None = None) -> None:
        """Take where to write."""
        self._descriptor, self._log_group = descriptor, log_group
        self._unshipped: list[bytes] = []

    def check(self) -> None:
        """Refuse to go on while too much waits for the log group.

        Raises:
            Full: more waits than may, or for longer.
        """
        if self._log_group is not None:
            self._log_group.check()

    async def ship(self, lines: Iterable[str] = ()) -> None:
        """Return once the lines, and those of before, are written; the log group gets them soon.

        Raises:
            OSError: they could not be; they stay.
        """
        for line in lines:
            self._unshipped.append(line.encode() + b"\n")
            if self._log_group is not None:
                self._log_group.offer(line)
        if not self._unshipped:
            return
        if self._at_once():
            self._write()
        else:
            await asyncio.to_thread(self._write)

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
                self._unshipped.pop(0)
