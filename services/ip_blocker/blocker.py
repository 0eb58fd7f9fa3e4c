"""The two tasks: hold against addresses what the log says, and let go whose time is over."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.ip_blocker import lines, sets
from services.ip_blocker.addresses import family_of, is_among
from services.ip_blocker.ledger import Entry, Ledger
from services.ip_blocker.report import Decision
from services.ip_blocker.score import judge
from services.ip_blocker.settings import FAMILIES, Family, Network, Settings


class Unfinished(Exception):
    """Some of the work failed; all of it may be done again, and what was done already changes nothing then."""


@dataclass
class Outcome:
    """What a run did."""

    decisions: list[Decision] = field(default_factory=list)
    skipped: Counter[lines.Skipped] = field(default_factory=Counter)
    sightings: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """The program, with what it works on."""

    settings: Settings
    ledger: Ledger
    waf: Any
    clock: Callable[[], float] = time.time
    pause: Callable[[float], object] = time.sleep
    capacity: int = sets.CAPACITY

    def learn(self, events: Iterable[Mapping[str, Any]]) -> Outcome:
        """Hold against addresses what the events say, and block whoever it is enough for."""
        now = self.clock()
        minute = int(now // 60)
        outcome = Outcome()
        by_network: dict[Network, list[lines.Sighting]] = defaultdict(list)
        for each in lines.read(
            events, now=now, never_blocked=self.settings.never_blocked, skipped=outcome.skipped
        ):
            by_network[each.network].append(each)
            outcome.sightings += 1
        offenders: dict[Family, dict[Network, int]] = {family: {} for family in FAMILIES}
        for network, sightings in by_network.items():
            try:
                until = self._hear(network, sightings, minute, outcome)
            except (ClientError, BotoCoreError) as error:
                # The others are not to wait for this one.
                outcome.failures.append(f"{network}: {error}")
                continue
            if until > minute:
                offenders[family_of(network)][network] = until
        for family, found in offenders.items():
            if found:
                self._change(family, lambda before, found=found: before | set(found), outcome)  # type: ignore[misc]
        return outcome

    def expire(self) -> Outcome:
        """Make the sets hold exactly who is to be blocked now, and forget what is too old to matter."""
        minute = int(self.clock() // 60)
        outcome = Outcome()
        until: dict[Family, dict[Network, int]] = {family: {} for family in FAMILIES}
        for entry in self.ledger.entries():
            if is_among(entry.network, self.settings.never_blocked):
                continue
            ends = self._end(entry)
            if ends > minute:
                until[family_of(entry.network)][entry.network] = ends
            self.ledger.fold(entry, judge(entry.record, self.settings.sentence), minute)
        for family, found in until.items():
            stay = sets.fitting(found, self.capacity)
            outcome.decisions += [
                Decision.evicted(network, found[network]) for network in sorted(set(found) - stay, key=str)
            ]
            self._change(family, lambda _, stay=stay: set(stay), outcome)  # type: ignore[misc]
        return outcome

    def _hear(self, network: Network, sightings: list[lines.Sighting], minute: int, outcome: Outcome) -> int:
        entry = self.ledger.add(network, sightings, minute)
        verdict = judge(entry.record, self.settings.sentence)
        if verdict.until_minute > minute and self.ledger.is_news(network, verdict, self.settings.sentence):
            outcome.decisions.append(Decision.blocked(network, verdict))
        return max(verdict.until_minute, entry.blocked_until)

    def _end(self, entry: Entry) -> int:
        return max(entry.blocked_until, judge(entry.record, self.settings.sentence).until_minute)

    def _change(self, family: Family, change: sets.Change, outcome: Outcome) -> None:
        """Change a set within its capacity; who lost their place comes back when there is room again."""

        def within(before: set[Network]) -> set[Network]:
            after = change(before)
            if len(after) <= self.capacity:
                return after
            ends = {entry.network: self._end(entry) for entry in self.ledger.entries()}
            return sets.fitting({each: ends.get(each, 0) for each in after}, self.capacity)

        try:
            _, gone = sets.update(self.waf, self.settings.block_sets[family], within, pause=self.pause)
        except (sets.SetUnchanged, ClientError, BotoCoreError) as error:
            outcome.failures.append(str(error))
            return
        outcome.decisions += [Decision.released(network) for network in sorted(gone, key=str)]
