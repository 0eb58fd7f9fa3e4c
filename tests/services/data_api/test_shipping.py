"""Events reach the log group, in order and all of them; where they cannot, the service stops before too many wait."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from services.data_api.audit import Audit
from services.shared.log_group import LONGEST_WAIT_SECONDS, MOST_WAITING, Full, LogGroup
from services.shared.problems import Problem
from services.shared.shipping import Shipping
from tests.services.support import run, until

GROUP = "/secure-ml-platform-dev/data-api/audit"


class Away(Exception):
    """What a client raises while CloudWatch is away."""


class Recorder:
    """A client that keeps what it is sent, and can be away."""

    exceptions = SimpleNamespace(ResourceAlreadyExistsException=Away)

    def __init__(self) -> None:
        self.calls: list[Sequence[dict[str, Any]]] = []
        self.away = False

    def create_log_stream(self, **_: str) -> None:
        pass

    def put_log_events(self, **sent: Any) -> dict[str, Any]:
        if self.away:
            raise Away
        self.calls.append(sent["logEvents"])
        return {}

    @property
    def lines(self) -> list[str]:
        return [event["message"] for call in self.calls for event in call]


def group(client: Any, **more: Any) -> LogGroup:
    return LogGroup(client, GROUP, pause_seconds=0.005, **more)


def test_lines_reach_cloudwatch_in_order() -> None:
    with mock_aws():
        client = boto3.client("logs", region_name="eu-central-1")
        client.create_log_group(logGroupName=GROUP)
        shipped = group(client)
        for number in range(500):
            shipped.offer(json.dumps({"number": number}))
        shipped.close(20)
        found = client.filter_log_events(logGroupName=GROUP, limit=1000)["events"]
    assert [json.loads(event["message"])["number"] for event in found] == list(range(500))


def test_what_waited_while_it_was_away_is_sent_when_it_is_back() -> None:
    client = Recorder()
    client.away = True
    shipped = group(client)
    for number in range(50):
        shipped.offer(str(number))
    time.sleep(0.05)
    shipped.check()
    client.away = False
    shipped.close(10)
    assert client.lines == [str(number) for number in range(50)]


def test_a_stream_that_was_taken_away_is_made_again() -> None:
    with mock_aws():
        client = boto3.client("logs", region_name="eu-central-1")
        client.create_log_group(logGroupName=GROUP)
        shipped = group(client)

        def kept() -> list[str]:
            return [each["message"] for each in client.filter_log_events(logGroupName=GROUP)["events"]]

        shipped.offer("one")
        until(lambda: kept() == ["one"])
        (stream,) = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
        client.delete_log_stream(logGroupName=GROUP, logStreamName=stream["logStreamName"])
        shipped.offer("two")
        until(lambda: kept() == ["two"])
        shipped.close(10)


def _older(shipped: LogGroup, now: list[float]) -> None:
    shipped.offer("one")
    now[0] += LONGEST_WAIT_SECONDS + 1


def _many(shipped: LogGroup, now: list[float]) -> None:
    for number in range(MOST_WAITING):
        shipped.offer(str(number))


@pytest.mark.parametrize("wait", [_older, _many])
def test_too_much_that_waits_stops_whoever_writes(wait: Callable[[LogGroup, list[float]], None]) -> None:
    client, now = Recorder(), [1e9]
    client.away = True
    shipped = group(client, clock=lambda: now[0])
    shipped.check()
    wait(shipped, now)
    with pytest.raises(Full):
        shipped.check()
    client.away = False
    until(lambda: bool(client.lines))
    shipped.close(10)
    shipped.check()


def test_a_call_holds_no_more_than_cloudwatch_takes() -> None:
    client = Recorder()
    client.away = True
    shipped = group(client)
    for _ in range(30):
        shipped.offer("x" * 100_000)
    client.away = False
    shipped.close(10)
    sizes = [sum(len(event["message"]) + 26 for event in call) for call in client.calls]
    assert len(client.lines) == 30
    assert max(sizes) <= 1_048_576


class _Kept:
    """A database that keeps what is appended."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield self

    async def fetch(self, _text: str, bodies: list[str], _seals: list[str]) -> list[dict[str, Any]]:
        self.bodies += bodies
        return [{"at": number, "hash": "0" * 64} for number, _ in enumerate(bodies, 1)]


def test_an_event_that_is_kept_is_shipped_to_the_log_group_as_it_is_to_the_log(tmp_path: Path) -> None:
    client, log = Recorder(), tmp_path / "log"
    shipped = group(client)

    async def story() -> None:
        with log.open("wb") as into:
            audit = Audit(_Kept(), b"k" * 32, into.fileno(), log_group=shipped)  # type: ignore[arg-type]
            await audit.write({"event": "records"})
            audit.write_later({"event": "completed"})
            await audit.close(10)

    run(story())
    assert client.lines == log.read_text().splitlines()
    assert [json.loads(line)["event"] for line in client.lines] == ["records", "completed"]
    assert {"seal", "link", "sequence", "service", "time"} <= set(json.loads(client.lines[0]))


def test_while_too_much_waits_for_the_log_group_nothing_is_served(tmp_path: Path) -> None:
    client, now, kept = Recorder(), [1e9], _Kept()
    client.away = True
    shipped = group(client, clock=lambda: now[0])
    _older(shipped, now)

    async def story() -> None:
        with (tmp_path / "log").open("wb") as into:
            audit = Audit(kept, b"k" * 32, into.fileno(), log_group=shipped)  # type: ignore[arg-type]
            with pytest.raises(Problem, match="503"):
                await audit.write({"event": "records"})

    run(story())
    assert not kept.bodies
    client.away = False
    shipped.close(10)


def test_lines_stay_whole_and_in_order_while_a_pipe_is_full_and_writers_leave() -> None:
    into, out = os.pipe()
    read: list[bytes] = []

    def reader() -> None:
        time.sleep(0.1)
        while piece := os.read(into, 65_536):
            read.append(piece)

    async def story() -> None:
        shipping = Shipping(out)
        waiting = [
            asyncio.create_task(shipping.ship([f"{number:03d}" + "x" * 3000])) for number in range(100)
        ]
        await asyncio.sleep(0.05)
        for task in waiting[::2]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await shipping.ship(["100"])

    thread = threading.Thread(target=reader)
    thread.start()
    run(story())
    os.close(out)
    thread.join()
    os.close(into)
    assert [line[:3] for line in b"".join(read).decode().splitlines()] == [f"{n:03d}" for n in range(101)]


def test_a_line_that_could_not_be_written_goes_first_the_next_time(tmp_path: Path) -> None:
    into, out = os.pipe()
    os.close(into)

    async def story() -> None:
        shipping = Shipping(out)
        with pytest.raises(OSError, match="Broken pipe"):
            await shipping.ship(["one"])
        with (tmp_path / "log").open("wb") as log:
            os.dup2(log.fileno(), out)
        await shipping.ship(["two"])

    run(story())
    os.close(out)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
