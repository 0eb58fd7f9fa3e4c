"""Fifty attackers among five thousand users in a hundred thousand lines: all of the one, none of the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.services.ip_blocker.world import MINUTE, World, line, world

ATTACKERS, USERS, LINES = 50, 5_000, 100_000
WINDOW = 5


def address(number: int) -> str:
    return f"203.{number // 65536}.{number // 256 % 256}.{number % 256}"


def requests(chance: random.Random) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield minute and line: users are refused now and then, attackers again and again in one of four ways."""
    for number in range(LINES):
        minute = MINUTE - chance.randrange(4 * WINDOW)
        if number % 100 < 15:
            attacker = chance.randrange(ATTACKERS)
            changes: Any = [
                {},
                {"terminatingRuleId": "AWSManagedRulesSQLiRuleSet"},
                {"request": {"uri": f"/door/{number}"}},
                {"action": "ALLOW", "responseCodeSent": 404},
            ][attacker % 4]
            yield minute, line(address(attacker), number, minute=minute, **changes)
        else:
            user = ATTACKERS + chance.randrange(USERS)
            refused = chance.random() < 0.06
            yield (
                minute,
                line(address(user), number, minute=minute, action="BLOCK" if refused else "ALLOW"),
            )


def windows(there: World, seed: int) -> list[tuple[set[str], set[str]]]:
    """Return who is blocked and who attacked so far, after each window, deliveries as CloudWatch makes them."""
    by_window: dict[int, list[dict[str, Any]]] = {n: [] for n in range(4)}
    for minute, event in requests(random.Random(seed)):  # noqa: S311 - the same every time
        by_window[3 - (MINUTE - minute) // WINDOW].append(event)
    found = []
    blocker = there.blocker()
    attackers = {f"{address(n)}/32" for n in range(ATTACKERS)}
    for events in by_window.values():
        for begin in range(0, len(events), 5_000):
            blocker.learn(events[begin : begin + 5_000])
        found.append((there.blocked(), attackers))
    return found


def test_every_attacker_is_blocked_within_two_windows_and_no_user_ever() -> None:
    with world() as there:
        after = windows(there, seed=1)
    for blocked, attackers in after:
        assert blocked <= attackers, "a user was blocked"
    assert after[1][0] == after[1][1], "an attacker got through two windows"
