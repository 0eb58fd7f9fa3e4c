"""Batches: company shares a run, nobody waits for it, and nobody pays for somebody else."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from services.gateway.batching import Batcher
from services.shared.problems import Problem
from tests.services.support import run, until


class Doubling:
    """Work that can be held up, and fails on -1."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.told_to_end: list[bool] = []
        self.going = threading.Event()
        self.going.set()

    def __call__(self, rows: np.ndarray, options: ort.RunOptions) -> tuple[np.ndarray, ...]:
        self.runs.append(rows.ravel().tolist())
        self.going.wait(10)
        self.told_to_end.append(options.terminate)
        if (rows == -1).any():
            raise ValueError("-1")
        return (rows * 2,)


def rows(*values: int) -> np.ndarray:
    return np.array([[value] for value in values])


def batcher(work: Any, *, most_rows: int = 8, most_waiting: int = 100) -> Batcher:
    return Batcher(work, most_rows=most_rows, most_waiting=most_waiting)


async def begun(work: Doubling, first: Batcher) -> asyncio.Task[Any]:
    """Return a run that has begun and is held up."""
    work.going.clear()
    task = asyncio.create_task(first.run(rows(0)))
    while not work.runs:
        await asyncio.sleep(0.001)
    return task


def test_whoever_waits_when_a_run_ends_shares_the_next_and_gets_their_own() -> None:
    work = Doubling()

    async def story() -> list[Any]:
        queue = batcher(work)
        first = await begun(work, queue)
        others = [asyncio.create_task(queue.run(rows(n, n + 10))) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        work.going.set()
        return [(await each)[0].ravel().tolist() for each in [first, *others]]

    assert run(story()) == [[0], [2, 22], [4, 24], [6, 26]]
    assert work.runs == [[0], [1, 11, 2, 12, 3, 13]]


def test_a_run_is_bounded_and_a_large_query_runs_alone() -> None:
    work = Doubling()

    async def story() -> None:
        queue = batcher(work, most_rows=4)
        first = await begun(work, queue)
        others = [asyncio.create_task(queue.run(rows(*each))) for each in ([1, 2], [3, 4], [5], range(6, 12))]
        await asyncio.sleep(0)
        work.going.set()
        await asyncio.gather(first, *others)

    run(story())
    assert [len(each) for each in work.runs] == [1, 4, 1, 6]


def test_whoever_leaves_is_not_worked_for() -> None:
    work = Doubling()

    async def story() -> None:
        queue = batcher(work)
        first = await begun(work, queue)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await queue.run(rows(1))
        stays = asyncio.create_task(queue.run(rows(2)))
        await asyncio.sleep(0)
        work.going.set()
        await asyncio.gather(first, stays)

    run(story())
    assert work.runs == [[0], [2]]


def test_a_run_that_nobody_waits_for_any_more_is_ended() -> None:
    work = Doubling()

    async def story() -> None:
        queue = batcher(work)
        first = await begun(work, queue)
        second = asyncio.create_task(queue.run(rows(1)))
        first.cancel()
        await asyncio.sleep(0.01)
        work.going.set()
        assert (await second)[0].tolist() == [[2]]

    run(story())
    assert work.told_to_end == [True, False]


def test_somebody_else_s_bad_query_fails_nobody_else() -> None:
    work = Doubling()

    async def story() -> list[Any]:
        queue = batcher(work)
        first = await begun(work, queue)
        others = [asyncio.create_task(queue.run(rows(n))) for n in (1, -1, 3)]
        await asyncio.sleep(0)
        work.going.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    _, good, bad, also_good = run(story())
    assert (good[0].tolist(), also_good[0].tolist()) == ([[2]], [[6]])
    assert isinstance(bad, ValueError)


def test_too_many_that_wait_are_told_so() -> None:
    work = Doubling()

    async def story() -> None:
        queue = batcher(work, most_waiting=3)
        first = await begun(work, queue)
        others = [asyncio.create_task(queue.run(rows(n))) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="503"):
            await queue.run(rows(4))
        work.going.set()
        await asyncio.gather(first, *others)
        await queue.run(rows(5))

    run(story())
    assert work.runs == [[0], [1, 2, 3], [5]]


def test_a_queue_that_nobody_knows_any_more_keeps_no_thread() -> None:
    def threads() -> int:
        return sum(each.name.startswith("inference") for each in threading.enumerate())

    before = threads()
    run(batcher(Doubling()).run(rows(1)))
    until(lambda: threads() <= before)


def test_a_run_of_onnx_runtime_ends_when_it_is_told(slow_graph: bytes) -> None:
    session = ort.InferenceSession(slow_graph, providers=["CPUExecutionProvider"])

    def work(batch: np.ndarray, options: ort.RunOptions) -> tuple[np.ndarray, ...]:
        return tuple(session.run(None, {"x": batch}, options))

    async def story() -> float:
        queue = batcher(work)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await queue.run(np.ones((2000, 700), np.float32))
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await queue.run(np.ones((2000, 700), np.float32))
        return time.monotonic() - began

    assert run(story()) < 5, "the run before it went on"
