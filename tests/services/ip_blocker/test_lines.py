"""Hostile, broken and huge lines: counted and passed over, whatever is in them; and what Lambda is told."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ip_blocker import handler, lines
from services.ip_blocker.blocker import Outcome
from services.ip_blocker.report import Decision, tell
from services.ip_blocker.settings import WrongSettings, read
from tests.services.ip_blocker.world import MINUTE, NOW, delivery, environment, line, world
from tests.services.ip_blocker.world import lines as many

GOOD = json.loads(line("203.0.113.7", 1)["message"])


def skipped(message: Any) -> Counter[lines.Skipped]:
    counted: Counter[lines.Skipped] = Counter()
    found = list(
        lines.read([{"message": message}, line("203.0.113.7", 1)], now=NOW, never_blocked=(), skipped=counted)
    )
    assert len(found) == 1, "the good line beside it is read"
    return counted


def changed(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def requested(**changes: Any) -> str:
    return changed(httpRequest={**GOOD["httpRequest"], **changes})


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not json",
        "[]",
        "null",
        "3",
        "{}",
        "[" * 20_000,
        '{"a":' * 9_000,
        changed(httpRequest=[]),
        changed(httpRequest=None),
        changed(timestamp="now"),
        changed(timestamp=True),
        changed(timestamp=1e300),
        changed(timestamp=10**400),
        changed(action={}),
        requested(clientIp=7),
        requested(clientIp=None),
        requested(uri=None),
        requested(requestId=""),
        requested(requestId=["x"]),
        None,
        7,
        {},
    ],
    ids=str,
)
def test_a_malformed_line_is_counted_and_passed_over(message: Any) -> None:
    assert skipped(message) == {"malformed": 1}


@pytest.mark.parametrize(
    "address", ["", "somebody", "203.0.113.7/24", "203.0.113.256", "1" * 5000, "fe80::1%eth0", "0x7f000001"]
)
def test_what_is_no_address_is_nobody(address: str) -> None:
    assert skipped(requested(clientIp=address)) == {"nobody": 1}


def test_a_huge_line_is_not_even_read() -> None:
    assert skipped(requested(uri="/" + "x" * lines.MOST_BYTES)) == {"huge": 1}


@pytest.mark.parametrize("minutes", [-61, -100_000, 6, 100_000])
def test_a_line_of_another_time_is_passed_over(minutes: int) -> None:
    assert skipped(changed(timestamp=(MINUTE + minutes) * 60_000)) == {"untimely": 1}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | _JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from([*GOOD, *GOOD["httpRequest"]]), _JSON).map(
        lambda odd: json.dumps({**GOOD, **odd, "httpRequest": {**GOOD["httpRequest"], **odd}})
    )
)
def test_no_line_stops_the_others(message: str) -> None:
    found = list(
        lines.read(
            [{"message": message}, line("203.0.113.7", 1)], now=NOW, never_blocked=(), skipped=Counter()
        )
    )
    assert found[-1].network.num_addresses == 1


def test_what_an_attacker_writes_is_not_repeated() -> None:
    evil = '/"}\n{"event":"decision","decision":"released","address":"203.0.113.7/32"}'
    with world() as there:
        outcome = there.blocker().learn([line("203.0.113.7", n, request={"uri": evil}) for n in range(40)])
    out = io.StringIO()
    tell(outcome, now=NOW, into=out)
    events = [json.loads(each) for each in out.getvalue().splitlines()]
    assert [each.get("decision") for each in events] == ["blocked", None]
    assert "released" not in out.getvalue().replace('"released": 0', "").replace('"Name": "released"', "")


def test_every_run_is_counted_and_every_decision_told() -> None:
    out = io.StringIO()
    decision = Decision(decision="evicted", address="203.0.113.7/32", until_minute=5)
    tell(Outcome(decisions=[decision], sightings=3, skipped=Counter({"let through": 2})), now=NOW, into=out)
    event, counts = map(json.loads, out.getvalue().splitlines())
    assert event == {
        "event": "decision",
        "decision": "evicted",
        "address": "203.0.113.7/32",
        "until_minute": 5,
        "times": 0,
        "points": 0,
    }
    assert (counts["sightings"], counts["evicted"], counts["skipped_let_through"]) == (3, 1, 2)
    (metrics,) = counts["_aws"]["CloudWatchMetrics"]
    assert {each["Name"] for each in metrics["Metrics"]} == set(counts) - {"_aws"}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "***",
        base64.b64encode(b"not gzip").decode(),
        base64.b64encode(gzip.compress(b"not json")).decode(),
        base64.b64encode(gzip.compress(b"[]")).decode(),
        base64.b64encode(gzip.compress(b"[" * 200_000)).decode(),
    ],
    ids=["nothing", "no base64", "no gzip", "no json", "a list", "deep"],
)
def test_what_is_no_delivery_goes_to_the_dead_letters(data: str) -> None:
    with pytest.raises(ValueError, match="no delivery of CloudWatch Logs"):
        lines.unpack(data)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = base64.b64encode(gzip.compress(b" " * (lines.MOST_PAYLOAD_BYTES + 1) + b"{}")).decode()
    with pytest.raises(ValueError, match="no delivery"):
        lines.unpack(bomb)


def test_a_test_message_of_cloudwatch_is_no_harm() -> None:
    body = json.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": []})
    assert lines.unpack(base64.b64encode(gzip.compress(body.encode())).decode()) == []


def test_lambda_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as there:
        monkeypatch.setattr(handler, "_blocker", there.blocker)
        assert handler.handler(delivery(many("203.0.113.7", 20)), None) == {"decisions": 1, "sightings": 20}
        assert there.blocked() == {"203.0.113.7/32"}
        there.now += 61 * 60
        assert handler.handler({"task": "expire"}, None)["decisions"] == 1
        assert there.blocked() == set()
        for odd in ({}, {"task": "forget"}, {"awslogs": "x"}):
            with pytest.raises(ValueError, match="neither a delivery of a log nor"):
                handler.handler(odd, None)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REFUSALS", "0", "write a whole number"),
        ("WINDOW_MINUTES", "-5", "write a whole number"),
        ("BLOCK_MINUTES", "an hour", "write a whole number"),
        ("LONGEST_BLOCK_MINUTES", "5", "below BLOCK_MINUTES"),
        ("NEVER_BLOCKED_CIDRS", "198.51.100.0/24,ours", "is no range"),
        ("NEVER_BLOCKED_CIDRS", "198.51.100.9/24", "is no range"),
    ],
)
def test_a_wrong_setting_stops_the_start(name: str, value: str, words: str) -> None:
    with pytest.raises(WrongSettings, match=words):
        read(environment(**{name: value}))


@pytest.mark.parametrize("name", sorted(environment()))
def test_a_missing_setting_stops_the_start(name: str) -> None:
    said = environment()
    del said[name]
    with pytest.raises(WrongSettings, match=f"{name} is missing"):
        read(said)
