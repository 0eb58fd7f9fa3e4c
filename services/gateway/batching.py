"""Queries of one model that come at the same time are answered in one run.

Whatever waits when a run ends is the next run: a query that comes alone never waits for company, and many pay for one
call. Whoever leaves, or is past the deadline, is dropped; a run that nobody waits for any more is ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.shared.problems import unavailable

Array = NDArray[Any]

Work = Callable[[Array, ort.RunOptions], tuple[Array, ...]]
"""What is done with a batch: arrays whose first dimension is the batch's."""


@dataclass(kw_only=True, eq=False)
class _Waiting:
    rows: Array
    done: asyncio.Future[tuple[Array, ...]]


class _EndsWithTheLast:
    """Ends a run when the last of those who wait for it has left."""

    def __init__(self, options: ort.RunOptions, waiting: int) -> None:
        self._options, self._left = options, waiting

    def __call__(self, _done: asyncio.Future[Any]) -> None:
        self._left -= 1
        if not self._left:
            self._options.terminate = True


class Batcher:
    """The queue of one model, and its one thread, which ends when nobody knows the queue any more."""

    def __init__(self, work: Work, *, most_rows: int, most_waiting: int, is_quick: bool = False) -> None:
        """Begin.

        Args:
            work: Runs in a thread of its own.
            most_rows: Of one run; a query that has more runs alone.
            most_waiting: Rows that may wait; beyond that nobody may join.
            is_quick: The work takes less than it costs to hand it to a thread: it runs on the event loop, and those
                who came in one turn of the loop share a run.
        """
        self._is_quick = is_quick
        self._work, self._most_rows, self._most_waiting = work, most_rows, most_waiting
        self._queue: deque[_Waiting] = deque()
        self._rows_waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._runner: asyncio.Task[None] | None = None

    async def run(self, rows: Array) -> tuple[Array, ...]:
        """Return what the work made of these rows.

        Raises:
            Problem: 503, too many wait.
            Exception: what the work raised.
        """
        if self._rows_waiting + len(rows) > self._most_waiting and self._queue:
            raise unavailable("Too many queries wait for this model.", retry_after_seconds=1)
        waiting = _Waiting(rows=rows, done=asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._rows_waiting += len(rows)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await waiting.done

    async def _run(self) -> None:
        while batch := self._next():
            if not await self._answered(batch) and len(batch) > 1:
                # Whose query it was that failed is found out one by one: nobody fails for somebody else's.
                for each in batch:
                    if not each.done.done():
                        await self._answered([each])

    async def _answered(self, batch: list[_Waiting]) -> bool:
        """Run a batch; say whether everybody has an answer, which for one alone may be an error."""
        options = ort.RunOptions()
        ending = _EndsWithTheLast(options, len(batch))
        for each in batch:
            each.done.add_done_callback(ending)
        rows = batch[0].rows if len(batch) == 1 else np.concatenate([each.rows for each in batch])
        try:
            made = await self._worked(rows, options)
        except Exception as error:
            if len(batch) == 1 and not batch[0].done.done():
                batch[0].done.set_exception(error)
            for each in batch:
                each.done.remove_done_callback(ending)
            return False
        place = 0
        for each in batch:
            end = place + len(each.rows)
            if not each.done.done():
                each.done.set_result(tuple(array[place:end] for array in made))
            place = end
        return True

    async def _worked(self, rows: Array, options: ort.RunOptions) -> tuple[Array, ...]:
        if self._is_quick:
            return self._work(rows, options)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, rows, options)

    def _next(self) -> list[_Waiting]:
        """Return who is next, without those who left."""
        batch: list[_Waiting] = []
        rows = 0
        while self._queue:
            if self._queue[0].done.done():
                self._rows_waiting -= len(self._queue.popleft().rows)
                continue
            if batch and rows + len(self._queue[0].rows) > self._most_rows:
                break
            batch.append(self._queue.popleft())
            rows += len(batch[-1].rows)
        self._rows_waiting -= rows
        return batch
