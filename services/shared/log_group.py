"""A log group of CloudWatch as the place that events are shipped to: in order, in batches, within a bounded backlog."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

MOST_WAITING = 10_000
"""Events that may wait; beyond that nothing more is taken."""

LONGEST_WAIT_SECONDS = 60.0
"""How old the first event that waits may become; beyond that nothing more is taken."""

_MOST_EVENTS, _MOST_BYTES, _EVENT_OVERHEAD = 10_000, 1_048_576, 26
"""Of one call (CloudWatch Logs API Reference, "PutLogEvents")."""

Event = tuple[int, str]
"""Milliseconds since 1970, and the line."""


class Full(Exception):
    """Too much waits: whoever wants to write down more has to stop."""


class LogGroup:
    """Sends lines to a stream of its own in a log group, from a thread of its own.

    A log group that cannot be reached stops nobody at once: what waits is bounded in number and in age, and past
    that ``check`` raises.
    """

    def __init__(
        self, client: Any, group: str, *, pause_seconds: float = 0.5, clock: Callable[[], float] = time.time
    ) -> None:
        """Begin.

        Args:
            client: boto3's client of CloudWatch Logs, with timeouts.
            group: Name of the log group.
            pause_seconds: Between two tries, and the longest that a lone event waits for company.
            clock: Seconds since 1970.
        """
        self._client, self._group, self._stream = client, group, secrets.token_hex(8)
        self._pause, self._clock = pause_seconds, clock
        self._waiting: deque[Event] = deque()
        self._wake, self._ending = threading.Event(), threading.Event()
        self._made = False
        self._thread = threading.Thread(target=self._run, name="log-group", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Refuse to go on while too much waits.

        Raises:
            Full: more waits than may, or for longer.
        """
        first = self._waiting[0][0] / 1000 if self._waiting else self._clock()
        if len(self._waiting) >= MOST_WAITING or self._clock() - first > LONGEST_WAIT_SECONDS:
            raise Full

    def offer(self, line: str) -> None:
        """Take a line along; it is sent soon."""
        self._waiting.append((int(self._clock() * 1000), line))
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Send what waits, for so long at most."""
        self._ending.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not (self._ending.is_set() and not self._waiting):
            if not self._waiting:
                self._wake.wait()
                self._wake.clear()
                continue
            try:
                batch = _first_batch(list(self._waiting))
                self._send(batch)
            except Exception as error:
                # Somebody may have taken the stream away.
                self._made = False
                # The line itself is not told: it may name whom it is about.
                sys.stderr.write(f"log group {self._group}: {type(error).__name__}; tried again\n")
                time.sleep(self._pause)
                continue
            for _ in batch:
                self._waiting.popleft()
            # Company for the next one: a call costs more than a line.
            self._ending.wait(self._pause)

    def _send(self, batch: Sequence[Event]) -> None:
        if not self._made:
            with suppress(self._client.exceptions.ResourceAlreadyExistsException):
                self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
            self._made = True
        answer = self._client.put_log_events(
            logGroupName=self._group,
            logStreamName=self._stream,
            logEvents=[{"timestamp": at, "message": line} for at, line in batch],
        )
        if rejected := answer.get("rejectedLogEventsInfo"):
            sys.stderr.write(f"log group {self._group}: refused some events: {sorted(rejected)}\n")


def _first_batch(waiting: Sequence[Event]) -> list[Event]:
    """Return what fits into one call, from the first on."""
    batch: list[Event] = []
    size = 0
    for at, line in waiting[:_MOST_EVENTS]:
        size += len(line.encode()) + _EVENT_OVERHEAD
        if size > _MOST_BYTES and batch:
            break
        batch.append((at, line))
    return batch


def log_group(name: str | None, region: str | None) -> LogGroup | None:
    """Return the log group of that name, where one is named."""
    if name is None:
        return None
    import boto3
    from botocore.config import Config

    bounded = Config(
        connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
    )
    return LogGroup(boto3.client("logs", region_name=region, config=bounded), name)
