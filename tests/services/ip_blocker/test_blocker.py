"""Who is blocked, who never is, and that neither order, repetition, company nor WAF's refusals change it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.ip_blocker.blocker import Blocker, Outcome
from services.ip_blocker.score import judge, length_minutes
from tests.services.ip_blocker.world import MINUTE, World, line, lines, world

ATTACKER, USER, V6 = "203.0.113.7", "203.0.113.8", "2001:db8:1:2::3"


def test_who_is_refused_often_is_blocked_and_who_seldom_is_not() -> None:
    with world() as there:
        outcome = there.blocker().learn(lines(ATTACKER, 20) + lines(USER, 11))
        assert there.blocked() == {f"{ATTACKER}/32"}
        (decision,) = outcome.decisions
        assert (decision.decision, decision.address, decision.times) == ("blocked", f"{ATTACKER}/32", 1)
        assert decision.until_minute == MINUTE + 60


def test_refusals_that_are_spread_out_are_no_offence() -> None:
    with world() as there:
        spread = [e for back in range(50) for e in lines(USER, 3, minute=MINUTE - back)]
        there.blocker().learn(spread)
        assert there.blocked() == set()


def test_an_attack_counts_for_more_than_a_refusal() -> None:
    with world() as there:
        there.blocker().learn(lines(ATTACKER, 4, terminatingRuleId="AWSManagedRulesSQLiRuleSet"))
        assert there.blocked() == {f"{ATTACKER}/32"}


def test_who_tries_many_doors_is_blocked_sooner() -> None:
    with world() as there:
        scan = [line(ATTACKER, n, request={"uri": f"/door-{n}"}) for n in range(14)]
        there.blocker().learn(scan + lines(USER, 14))
        assert there.blocked() == {f"{ATTACKER}/32"}


def test_who_is_answered_with_errors_is_held_to_it() -> None:
    with world() as there:
        failed = [line(ATTACKER, n, action="ALLOW", responseCodeSent=404) for n in range(20)]
        fine = [line(USER, n, action="ALLOW") for n in range(200)]
        outcome = there.blocker().learn(failed + fine)
        assert there.blocked() == {f"{ATTACKER}/32"}
        assert outcome.skipped["let through"] == 200


def test_a_new_address_in_the_same_network_is_the_same_client() -> None:
    with world() as there:
        there.blocker().learn([line(f"2001:db8:1:2::{n:x}", n) for n in range(20)])
        assert there.blocked() == {"2001:db8:1:2::/64"}


@pytest.mark.parametrize("own", ["198.51.100.9", "2001:db8:77::1", "::ffff:198.51.100.9"])
def test_the_organisations_own_addresses_are_never_blocked(own: str) -> None:
    with world() as there:
        outcome = there.blocker().learn(lines(own, 500))
        assert there.blocked() == set()
        assert outcome.skipped["ours"] == 500


def test_an_own_address_in_the_table_does_not_reach_the_set() -> None:
    """Whoever could write to the table could not use it against us either."""
    with world() as there:
        there.table.put_item(Item={"address": "198.51.100.9/32", "blocked_until": MINUTE + 600})
        there.table.put_item(Item={"address": "198.51.0.0/16", "blocked_until": MINUTE + 600})
        there.blocker().expire()
        assert there.blocked() == set()


def test_headers_cannot_put_the_blame_on_somebody_else() -> None:
    with world() as there:
        there.blocker().learn(lines(ATTACKER, 40))
        assert "203.0.113.250/32" not in there.blocked()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "0.0.0.0", "::1", "fe80::1", "224.0.0.1"])
def test_an_address_that_no_client_has_is_nobodys(address: str) -> None:
    with world() as there:
        outcome = there.blocker().learn(lines(address, 40))
        assert there.blocked() == set()
        assert outcome.skipped["nobody"] == 40


def test_knocking_at_a_shut_door_does_not_keep_it_shut() -> None:
    with world() as there:
        blocker = there.blocker()
        blocker.learn(lines(ATTACKER, 20))
        there.now += 50 * 60
        knocking = lines(ATTACKER, 100, minute=MINUTE + 50, terminatingRuleId="blocked-ipv4")
        assert blocker.learn(knocking).skipped["blocked already"] == 100
        there.now += 11 * 60
        blocker.expire()
        assert there.blocked() == set()


def test_each_time_is_twice_as_long_up_to_the_longest() -> None:
    with world() as there:
        blocker = there.blocker()
        lengths = []
        for _ in range(9):
            minute = int(there.now // 60)
            (decision,) = blocker.learn(lines(ATTACKER, 20, minute=minute)).decisions
            lengths.append(decision.until_minute - minute)
            there.now = (decision.until_minute + 200) * 60
            blocker.expire()
            assert there.blocked() == set()
        assert lengths == [60, 120, 240, 480, 960, 1920, 3840, 7680, 10080]
        assert length_minutes(10**9, there.settings.sentence) == 10080


def test_whose_time_is_over_is_let_go() -> None:
    with world() as there:
        blocker = there.blocker()
        blocker.learn(lines(ATTACKER, 20) + lines(V6, 20))
        assert len(there.blocked()) == 2
        there.now += 59 * 60
        assert blocker.expire().decisions == []
        there.now += 60
        released = blocker.expire().decisions
        assert {each.decision for each in released} == {"released"}
        assert there.blocked() == set()


def test_who_stands_in_a_set_without_a_reason_is_let_go() -> None:
    with world() as there:
        block_set = there.settings.block_sets["ipv4"]
        named = {"Name": block_set.name, "Scope": "REGIONAL", "Id": block_set.id}
        token = there.waf.get_ip_set(**named)["LockToken"]
        there.waf.update_ip_set(**named, Addresses=[f"{USER}/32"], LockToken=token)
        there.blocker().expire()
        assert there.blocked() == set()


def test_a_full_set_lets_go_whose_time_is_nearest_to_its_end() -> None:
    with world() as there:
        blocker = there.blocker(capacity=3)
        for back in range(5):
            blocker.learn(lines(f"203.0.113.{back}", 20, minute=MINUTE - back))
        assert there.blocked() == {f"203.0.113.{n}/32" for n in range(3)}
        evicted = [each for each in blocker.expire().decisions if each.decision == "evicted"]
        assert {each.address for each in evicted} == {"203.0.113.3/32", "203.0.113.4/32"}
        assert there.blocked() == {f"203.0.113.{n}/32" for n in range(3)}


def campaign(seed: int) -> list[dict[str, Any]]:
    """Return lines of 8 attackers and 40 users over half an hour."""
    chance = random.Random(seed)  # noqa: S311 - the same every time
    made = []
    for attacker in range(8):
        start = MINUTE - chance.randrange(2, 30)
        made += [
            line(f"203.0.113.{attacker}", number, minute=start + number % 3)
            for number in range(chance.randrange(25, 120))
        ]
    for user in range(40):
        made += [
            line(f"192.0.2.{user}", n, minute=MINUTE - chance.randrange(30))
            for n in range(chance.randrange(8))
        ]
    return made


def state(there: World) -> tuple[set[str], dict[str, int]]:
    """Return who is blocked, and until when."""
    blocker = there.blocker()
    until = {
        str(entry.network): judge(entry.record, there.settings.sentence).until_minute
        for entry in blocker.ledger.entries()
    }
    return there.blocked(), until


@pytest.mark.parametrize("seed", range(3))
def test_twice_and_shuffled_gives_the_same(seed: int) -> None:
    events = campaign(seed)
    with world() as there:
        there.blocker().learn(events)
        there.blocker().expire()
        once = state(there)
    assert len(once[0]) == 8
    chance = random.Random(seed)  # noqa: S311 - the same every time
    shuffled = events * 2
    chance.shuffle(shuffled)
    with world() as there:
        blocker = there.blocker()
        for begin in range(0, len(shuffled), 97):
            blocker.learn(shuffled[begin : begin + 97])
        blocker.expire()
        assert state(there) == once


def test_a_delivery_that_comes_again_decides_nothing_new() -> None:
    with world() as there:
        blocker = there.blocker()
        assert len(blocker.learn(lines(ATTACKER, 20)).decisions) == 1
        assert blocker.learn(lines(ATTACKER, 20)).decisions == []


class Grudging:
    """WAF, refusing now and then as it does."""

    def __init__(self, waf: Any, code: str, refusals: int) -> None:
        self._waf, self._code, self.left = waf, code, refusals

    def get_ip_set(self, **arguments: Any) -> Any:
        return self._waf.get_ip_set(**arguments)

    def update_ip_set(self, **arguments: Any) -> Any:
        if self.left:
            self.left -= 1
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "UpdateIPSet")
        return self._waf.update_ip_set(**arguments)


@pytest.mark.parametrize("code", ["WAFOptimisticLockException", "ThrottlingException"])
def test_refusals_of_waf_are_survived(code: str) -> None:
    with world() as there:
        outcome = there.blocker(Grudging(there.waf, code, 7)).learn(lines(ATTACKER, 20))
        assert outcome.failures == []
        assert there.blocked() == {f"{ATTACKER}/32"}


def test_what_waf_never_took_is_told_and_done_by_the_next_run() -> None:
    with world() as there:
        outcome = there.blocker(Grudging(there.waf, "ThrottlingException", 8)).learn(lines(ATTACKER, 20))
        assert len(outcome.failures) == 1
        assert there.blocked() == set()
        there.blocker().expire()
        assert there.blocked() == {f"{ATTACKER}/32"}


class Crossing(Grudging):
    """WAF, with somebody else who writes to the set between our reading and our writing."""

    def __init__(self, there: World) -> None:
        super().__init__(there.waf, "", 0)
        self._there, self._came = there, False

    def get_ip_set(self, **arguments: Any) -> Any:
        found = self._waf.get_ip_set(**arguments)
        if not self._came:
            self._came = True
            self._there.blocker().learn(lines("203.0.113.99", 20))
        return found


def test_who_was_added_meanwhile_stays() -> None:
    with world() as there:
        there.blocker(Crossing(there)).learn(lines(ATTACKER, 20))
        assert there.blocked() == {f"{ATTACKER}/32", "203.0.113.99/32"}


def test_runs_side_by_side_lose_nothing() -> None:
    with world() as there:

        def learn(part: int) -> Outcome:
            # Each run sees half of each attacker: only together is it enough.
            events = [e for n in range(6) for e in lines(f"203.0.113.{n}", 20)[part::2]]
            return there.blocker().learn(events)

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(learn, range(2)))
        assert [outcome.failures for outcome in outcomes] == [[], []]
        there.blocker().expire()
        assert there.blocked() == {f"203.0.113.{n}/32" for n in range(6)}


class Failing:
    """A table that fails for one address."""

    def __init__(self, blocker: Blocker, address: str) -> None:
        self._ledger, self._address = blocker.ledger, address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def add(self, network: Any, *arguments: Any) -> Any:
        if str(network) == self._address:
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "UpdateItem")
        return self._ledger.add(network, *arguments)


def test_one_address_that_fails_does_not_hold_up_the_others() -> None:
    with world() as there:
        blocker = there.blocker(ledger=Failing(there.blocker(), f"{USER}/32"))
        outcome = blocker.learn(lines(USER, 20) + lines(ATTACKER, 20))
        assert len(outcome.failures) == 1
        assert there.blocked() == {f"{ATTACKER}/32"}


def test_by_hand_somebody_is_blocked_and_let_go() -> None:
    with world() as there:
        blocker = there.blocker()
        network = next(iter(blocker.settings.never_blocked)).__class__(f"{USER}/32")
        blocker.ledger.block(network, MINUTE + 30)
        blocker.expire()
        assert there.blocked() == {f"{USER}/32"}
        blocker.learn(lines(USER, 40))
        blocker.ledger.pardon(network, MINUTE)
        blocker.expire()
        assert there.blocked() == set()
        # What was seen before counts no more; what comes after does.
        there.now += 60
        assert blocker.learn(lines(USER, 19, minute=MINUTE + 1)).decisions == []
        assert blocker.learn([line(USER, 99, minute=MINUTE + 1)]).decisions != []
