"""What the gateway suspects: one may be a mistake, two within a window are none, and nobody of ours is ever blocked."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ip_blocker import lines
from tests.services.ip_blocker.world import MINUTE, NOW, line, suspicion, world
from tests.services.ip_blocker.world import lines as refusals

THIEF, USER = "203.0.113.7", "203.0.113.8"


def test_one_suspicion_may_be_a_mistake_and_two_are_none() -> None:
    with world() as there:
        outcome = there.blocker().learn([suspicion(THIEF, 1), suspicion(THIEF, 2), suspicion(USER, 1)])
        assert there.blocked() == {f"{THIEF}/32"}
        (decision,) = outcome.decisions
        assert (decision.address, decision.points) == (f"{THIEF}/32", 20)
        assert outcome.sightings == 3


def test_one_that_is_told_twice_is_one() -> None:
    with world() as there:
        for _ in range(5):
            there.blocker().learn([suspicion(USER, 1)] * 3)
        assert there.blocked() == set()


def test_suspicions_that_are_hours_apart_are_no_offence() -> None:
    with world() as there:
        there.blocker().learn([suspicion(USER, back, minute=MINUTE - back) for back in range(0, 50, 6)])
        assert there.blocked() == set()


def test_a_suspicion_weighs_with_what_the_web_acl_says() -> None:
    with world() as there:
        there.blocker().learn([suspicion(THIEF, 1), *refusals(THIEF, 10), *refusals(USER, 10)])
        assert there.blocked() == {f"{THIEF}/32"}


@pytest.mark.parametrize("own", ["198.51.100.9", "2001:db8:77::1", "::ffff:198.51.100.9"])
def test_nobody_of_ours_is_blocked_whatever_the_gateway_suspects(own: str) -> None:
    with world() as there:
        blocker = there.blocker()
        outcome = blocker.learn([suspicion(own, number) for number in range(200)])
        blocker.expire()
        assert there.blocked() == set()
        assert outcome.skipped["ours"] == 200


@pytest.mark.parametrize("inside", ["10.0.3.7", "0.0.0.0", "127.0.0.1", "100.64.0.1"])
def test_a_client_inside_the_cluster_has_no_address_to_block(inside: str) -> None:
    with world() as there:
        outcome = there.blocker().learn([suspicion(inside, number) for number in range(200)])
        assert there.blocked() == set()
        assert outcome.skipped["nobody"] == 200


GOOD = json.loads(suspicion(THIEF, 1)["message"])


def skipped(**changes: Any) -> Counter[lines.Skipped]:
    counted: Counter[lines.Skipped] = Counter()
    odd = {
        "message": json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value != ...})
    }
    found = list(lines.read([odd, suspicion(THIEF, 2)], now=NOW, never_blocked=(), skipped=counted))
    assert len(found) == 1, "the good line beside it is read"
    return counted


@pytest.mark.parametrize("name", ["source_address", "request_id", "time"])
@pytest.mark.parametrize("value", [None, 7, True, [], {}, ""])
def test_a_malformed_suspicion_is_counted_and_passed_over(name: str, value: Any) -> None:
    (reason,) = skipped(**{name: value})
    assert reason == ("nobody" if (name, value) == ("source_address", "") else "malformed")


@pytest.mark.parametrize(
    "time",
    ["now", "2027-01-15T08:00:00", "2027-01-15", "12:00", "1e9", "0001-01-01T00:00:00+23:59", "x" * 5000],
)
def test_a_time_that_is_none_or_of_no_zone_is_malformed(time: str) -> None:
    (reason,) = skipped(time=time)
    assert reason in ("malformed", "untimely")
    assert datetime.fromtimestamp(NOW, UTC).isoformat() == "2027-01-15T08:00:00+00:00"


@pytest.mark.parametrize("minutes", [-61, -100_000, 6, 100_000])
def test_a_suspicion_of_another_time_is_passed_over(minutes: int) -> None:
    at = datetime.fromtimestamp((MINUTE + minutes) * 60, UTC).isoformat()
    assert skipped(time=at) == {"untimely": 1}


def test_other_events_of_the_gateway_are_held_against_nobody() -> None:
    assert skipped(event="predict") == {"malformed": 1}
    assert skipped(event=["extraction-suspected"]) == {"malformed": 1}


def test_what_a_client_sends_does_not_make_a_line_of_the_web_acl_a_suspicion() -> None:
    """Names inside a request are the client's; the event is read at the top, where the gateway writes it."""
    claimed = {"event": "extraction-suspected", "source_address": USER, "request_id": "1"}
    with world() as there:
        there.blocker().learn([line(THIEF, number, request=claimed) for number in range(20)])
        assert there.blocked() == {f"{THIEF}/32"}


THIEVES, CLIENTS = 8, 400


@pytest.mark.parametrize("seed", [1, 2])
def test_a_campaign_of_thieves_is_blocked_and_no_client_with_one_false_alarm(seed: int) -> None:
    """Thieves spread their queries over names at one address each; a client in twenty is suspected once, wrongly."""
    chance = random.Random(seed)  # noqa: S311 - the same every time
    events = []
    for thief in range(THIEVES):
        start = MINUTE - chance.randrange(5, 40)
        events += [
            suspicion(f"203.0.113.{thief}", name, minute=start + chance.randrange(4))
            for name in range(chance.randrange(2, 6))
        ]
    for client in range(CLIENTS):
        address = f"192.0.{client // 256}.{client % 256}"
        if client % 20 == 0:
            events.append(suspicion(address, client, minute=MINUTE - chance.randrange(50)))
        events += [
            line(address, number, minute=MINUTE - chance.randrange(50))
            for number in range(chance.randrange(3))
        ]
    events += chance.sample(events, 100)
    chance.shuffle(events)
    with world() as there:
        blocker = there.blocker()
        for begin in range(0, len(events), 500):
            blocker.learn(events[begin : begin + 500])
        assert there.blocked() == {f"203.0.113.{thief}/32" for thief in range(THIEVES)}
