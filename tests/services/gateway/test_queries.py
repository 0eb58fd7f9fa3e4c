"""The query log: a line for every query before its answer leaves, whole, and without what was asked."""

from __future__ import annotations

import hmac
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.gateway.queries import KEY_PURPOSE, Queries, verify
from services.shared.keys import derived
from services.shared.log_group import LONGEST_WAIT_SECONDS, LogGroup
from services.shared.problems import Problem
from services.shared.shipping import Shipping
from tests.services.gateway.world import World, digits_model, image
from tests.services.support import run

KEY = b"k" * 32

COLUMNS = {
    "time",
    "service",
    "event",
    "principal",
    "source_address",
    "model",
    "decision",
    "rows",
    "request_id",
    "model_digest",
    "model_version",
    "input_digest",
    "latency_ms",
    "flags",
}
"""Of every query, beside ``reason`` where one was refused."""


def test_every_query_is_a_line_with_all_columns_and_not_with_its_input(world: World) -> None:
    text = "a sentence that nobody else writes"
    answer = world.predict([{"text": text}], "spam")
    line = world.line_of(answer)
    assert set(line) >= COLUMNS
    assert (line["service"], line["event"], line["principal"]) == ("gateway", "predict", "training/trainer")
    assert (line["decision"], line["rows"], line["model_digest"]) == ("allow", 1, answer.json()["digest"])
    log = world.log.read_text()
    assert text not in log
    assert json.dumps(image()[0])[1:-1] not in log


def test_equal_inputs_have_equal_digests_and_nobody_without_the_key_can_make_one(world: World) -> None:
    first, same, other = (
        world.line_of(world.predict([each]))["input_digest"] for each in (image(0), image(0), image(1))
    )
    assert first == same != other
    key = derived((world.folder / "secret").read_bytes(), "input digests")
    assert first == hmac.new(key, np.array([image(0)], np.float32).tobytes(), "sha256").hexdigest()


def test_the_log_of_a_running_gateway_is_whole(world: World) -> None:
    world.predict([image()])
    assert verified(world, world.log) == (0, "the query log is whole\n")


def verified(world: World, log: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "services.gateway.queries", "verify", str(log)],
        env={"PATH": os.environ["PATH"], **world.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout or done.stderr


def lines(count: int, tmp_path: Path) -> list[str]:
    path = tmp_path / "log"

    async def story() -> None:
        with path.open("wb") as log:
            queries = Queries(KEY, Shipping(log.fileno()), seconds=5)
            for number in range(count):
                await queries.write({"event": "predict", "rows": number, "latency_ms": 0.1})

    run(story())
    return path.read_text().splitlines()


def edited(whole: list[str]) -> list[str]:
    return [line.replace('"rows":2', '"rows":3') for line in whole]


def deleted(whole: list[str]) -> list[str]:
    return [*whole[:2], *whole[3:]]


def first_deleted(whole: list[str]) -> list[str]:
    return whole[1:]


def moved(whole: list[str]) -> list[str]:
    return [whole[0], whole[2], whole[1], *whole[3:]]


def told_again(whole: list[str]) -> list[str]:
    return [*whole[:3], *whole[2:]]


def of_another_key(whole: list[str]) -> list[str]:
    return [line.replace('"seal":"', '"seal":"0')[:-1] + "}" for line in whole]


def not_json(whole: list[str]) -> list[str]:
    return [*whole, "Traceback (most recent call last):"]


@pytest.mark.parametrize(
    "change",
    [edited, deleted, first_deleted, moved, told_again, of_another_key, not_json],
    ids=lambda f: f.__name__,
)
def test_a_change_of_shipped_lines_is_named(tmp_path: Path, change: Callable[[list[str]], list[str]]) -> None:
    whole = lines(5, tmp_path)
    assert verify(whole, KEY) == []
    assert verify(change(whole), KEY)


def test_lines_of_several_writers_are_told_apart(tmp_path: Path) -> None:
    one, other = lines(3, tmp_path), lines(3, tmp_path)
    together = [line for pair in zip(one, other, strict=True) for line in pair]
    assert verify(together, KEY) == []


def test_verify_says_what_is_wrong_with_its_own_settings(world: World, tmp_path: Path) -> None:
    status, said = verified(world, tmp_path / "nowhere")
    assert status == 2
    assert said.startswith("queries: ")
    assert "Traceback" not in said


def test_a_log_that_cannot_be_written_is_no_answer(own: World) -> None:
    own.release(digits_model())
    # Nobody reads: after the model was loaded and written down, the pipe breaks.
    into, out = os.pipe()
    own.start_into(out)
    assert own.predict([image()]).status_code == 200
    os.close(into)
    answer = own.predict([image()])
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:unavailable")
    assert "outputs" not in answer.text
    assert own.call("GET", "/health").status_code == 200


def test_a_log_that_takes_nothing_any_more_is_no_answer(tmp_path: Path) -> None:
    into, out = os.pipe()
    os.set_blocking(out, False)
    while True:
        try:
            os.write(out, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(out, True)

    async def story() -> None:
        queries = Queries(KEY, Shipping(out), seconds=0.1)
        with pytest.raises(Problem, match="503"):
            await queries.write({"event": "predict"})
        os.close(into)  # lets the thread that writes end

    run(story())
    os.close(out)


class Slow:
    """A client of CloudWatch that gives no answer."""

    exceptions = SimpleNamespace(ResourceAlreadyExistsException=KeyError)

    def __init__(self) -> None:
        self.back = threading.Event()

    def create_log_stream(self, **_: str) -> None:
        self.back.wait(30)

    def put_log_events(self, **_: Any) -> dict[str, Any]:
        return {}


def test_a_log_group_that_is_away_for_too_long_is_no_answer(tmp_path: Path) -> None:
    now = [1e9]
    client = Slow()
    group = LogGroup(client, "/gateway", clock=lambda: now[0])

    async def story() -> None:
        with (tmp_path / "log").open("wb") as log:
            queries = Queries(KEY, Shipping(log.fileno(), group), seconds=5)
            await queries.write({"event": "predict"})
            queries.check()
            now[0] += LONGEST_WAIT_SECONDS + 1
            with pytest.raises(Problem, match="503"):
                await queries.write({"event": "predict"})
            with pytest.raises(Problem, match="503"):
                queries.check()
            client.back.set()
            await queries.close(10)

    run(story())
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_the_key_of_the_log_is_no_other_key() -> None:
    assert len({derived(KEY, purpose) for purpose in (KEY_PURPOSE, "input digests", "marks")}) == 3
