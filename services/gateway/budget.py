"""The daily budget of queries of each client and model, kept for all replicas and cheap to ask."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from services.gateway.ledgers import Ledger
from services.shared.problems import Problem, unavailable

SHARES = 100
"""A replica takes a hundredth of the day at a time: so much may lie unused at each of them when all is gone."""

MOST_SHARE = 1000

MOST_KEPT = 10_000
"""Clients and models that are remembered; the longest unseen is forgotten, with what was left of its share."""

LONGEST_WAIT_SECONDS = 2.0

PAUSE_SECONDS = 1.0
"""After a failure nobody asks for this client before so long: a ledger that is away is not worth a wait each time."""

_Key = tuple[date, str, str]


@dataclass(slots=True)
class _Share:
    """What a replica holds of one client's day."""

    left: int = 0
    taken: int = 0
    """By all replicas, when the ledger was last asked."""
    waiting: int = 0
    """Queries that wait for the ledger's answer."""
    failed_at: float = -math.inf


class Budget:
    """Takes queries from the day; the day is UTC's."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the ledger and the clocks."""
        self._ledger, self._clock, self._monotonic = ledger, clock, monotonic
        self._shares: OrderedDict[_Key, _Share] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[bool]] = {}

    async def take(self, principal: str, model: str, n: int, most: int) -> int:
        """Take ``n`` queries of the ``most`` that a client has a day, and return how many remain.

        What remains is as of the last word of the ledger: other replicas may have taken since.

        Raises:
            Problem: 429, less than ``n`` is left, and nothing was taken; 503, the ledger is away.
        """
        if n < 1:
            raise ValueError(f"{n} queries are none")
        while True:
            # Looked up anew after each wait: midnight may have passed.
            day = self._today()
            share = self._share((day, principal, model))
            if n > share.left + most - share.taken:
                raise self._exhausted(share, most)
            if share.left >= n:
                share.left -= n
                return share.left + most - share.taken
            await self._more((day, principal, model), share, n, most)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    def _share(self, key: _Key) -> _Share:
        share = self._shares.pop(key, None) or _Share()
        self._shares[key] = share
        if len(self._shares) > MOST_KEPT:
            self._shares.popitem(last=False)
        return share

    async def _more(self, key: _Key, share: _Share, n: int, most: int) -> None:
        """Ask the ledger, once for all who wait for the same."""
        if self._monotonic() - share.failed_at < PAUSE_SECONDS:
            raise unavailable("The budget cannot be kept.")
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, share, n, most))
        share.waiting += n
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                # Whoever leaves does not take along what comes for the others.
                answered = await asyncio.shield(task)
        except TimeoutError:
            share.failed_at, answered = self._monotonic(), False
        finally:
            share.waiting -= n
        if not answered:
            raise unavailable("The budget cannot be kept.")

    async def _ask(self, key: _Key, share: _Share, n: int, most: int) -> bool:
        """Ask the ledger for a share, and say whether it answered."""
        day, principal, model = key
        least = n - share.left
        # Whoever waits already will use what they wait for: it is no share that may lie unused.
        wanted = max(least, min(MOST_SHARE, max(math.ceil(most / SHARES), share.waiting)))
        try:
            lease = await asyncio.to_thread(
                self._ledger.lease, day, principal, model, least=least, share=wanted, most=most
            )
        except Exception as error:
            # What went wrong may name a client; what kind of thing it was does not.
            sys.stderr.write(f"budget: {type(error).__name__}; nobody is served on a guess\n")
            share.failed_at = self._monotonic()
            return False
        finally:
            del self._asking[key]
        share.left += lease.granted
        share.taken = max(share.taken, lease.taken)
        return True

    def _exhausted(self, share: _Share, most: int) -> Problem:
        return Problem(
            429,
            "budget-exhausted",
            "Today's budget of queries does not cover this; it is new at midnight UTC.",
            headers={"Retry-After": str(self._seconds_left())},
            remaining_queries=max(0, share.left + most - share.taken),
        )

    def _seconds_left(self) -> int:
        now = datetime.fromtimestamp(self._clock(), UTC)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        return max(1, math.ceil((midnight - now).total_seconds()))
