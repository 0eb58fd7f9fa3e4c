"""How much is held against an address, and since when it is blocked: a pure function of what was seen.

What was seen is kept as sets of names, minute by minute. Sets do not mind the order in which they are filled, nor
that something comes twice; so neither does the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.ip_blocker.lines import Kind
from services.ip_blocker.settings import Sentence

MOST_NAMES = 128
"""Of one kind in one minute: more say nothing more."""

WEIGHTS: Mapping[Kind, int] = {"refused": 1, "attack": 4, "failed": 1, "extraction": 10}
"""A suspicion comes after some two hundred queries. One may be a mistake, and the gateway has answered it; two within a
window, of several names or several models from one address, are none."""

ORDINARY_PATHS = 8
"""A page and what belongs to it; who asks for many more that are refused is looking for a door."""

ORDINARY_A_MINUTE = 30
"""A program that retries twice a second; each request beyond counts twice."""

Seen = Mapping[int, Mapping[Kind, frozenset[str]]]
"""By minute and kind, the names of what was seen."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of an address."""

    seen: Seen = field(default_factory=dict)
    times: int = 0
    """How often it was blocked before the first minute of ``seen``."""
    until_minute: int = 0
    """Until when, for what was seen before."""
    pardoned_minute: int = 0
    """What was seen up to here counts no more: somebody let it go by hand."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Until when an address is blocked, and for the how manieth time."""

    until_minute: int
    times: int
    points: int
    """Of the last offence; 0 where there was none in what is kept."""
    since_minute: int = 0
    """The minute of the last offence."""


def points(seen: Seen, last: int, window_minutes: int) -> int:
    """Return what is held against an address in the window that ends with the minute ``last``."""
    minutes = [each for minute, each in seen.items() if last - window_minutes < minute <= last]
    total = sum(WEIGHTS[kind] * len(each.get(kind, ())) for each in minutes for kind in WEIGHTS)
    total += sum(max(0, _requests(each) - ORDINARY_A_MINUTE) for each in minutes)
    paths = frozenset[str]().union(*(each.get("path", frozenset()) for each in minutes))
    return total + max(0, len(paths) - ORDINARY_PATHS)


def _requests(minute: Mapping[Kind, frozenset[str]]) -> int:
    return len(minute.get("refused", ())) + len(minute.get("failed", ()))


def judge(record: Record, sentence: Sentence) -> Verdict:
    """Return the verdict on what is known, from the earliest minute on.

    Each offence begins a block; what is seen before the block ends counts for no second one. Each further block is
    twice as long as the one before, up to the longest.
    """
    until, times, last_points, since = record.until_minute, record.times, 0, 0
    spent = record.pardoned_minute
    for minute in sorted(record.seen):
        if minute <= spent or minute < until:
            continue
        fresh = {each: what for each, what in record.seen.items() if each > spent}
        found = points(fresh, minute, sentence.window_minutes)
        if found >= sentence.points:
            until, since, last_points = minute + length_minutes(times, sentence), minute, found
            times, spent = times + 1, minute
    return Verdict(until_minute=until, times=times, points=last_points, since_minute=since)


def length_minutes(times: int, sentence: Sentence) -> int:
    """Return how long a block is after so many earlier ones."""
    # Beyond 2^20 minutes every sentence is the longest: two years.
    return min(sentence.block_minutes << min(times, 20), sentence.longest_block_minutes)
