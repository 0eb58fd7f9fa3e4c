"""What is remembered of each address, in DynamoDB: written so that neither order, repetition nor company matters.

Sightings are added to sets (``ADD``), which commutes and counts a name once. Each answer holds the whole item, so the
verdict is drawn from everything that anybody added before.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.ip_blocker.lines import LATEST_MINUTES, Kind, Sighting
from services.ip_blocker.score import MOST_NAMES, Record, Verdict
from services.ip_blocker.settings import Network, Sentence

KINDS: tuple[Kind, ...] = ("refused", "attack", "failed", "path", "extraction")

KEPT_MINUTES = 2 * LATEST_MINUTES
"""How long a minute is kept: nothing is added to one that is older than the latest line."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An address, what is known of it, and until when somebody blocked it by hand."""

    network: Network
    record: Record
    blocked_until: int
    """By hand, in minutes since 1970; 0 where nobody did."""


class Ledger:
    """The table."""

    def __init__(self, table: Any) -> None:
        """Take a boto3 resource of a table whose hash key is ``address``."""
        self._table = table

    def add(self, network: Network, sightings: Iterable[Sighting], now_minute: int) -> Entry:
        """Add what was seen of one address, and return all that is known of it."""
        names: dict[str, set[str]] = defaultdict(set)
        for each in sightings:
            for kind in each.kinds:
                names[f"{kind}:{each.minute}"].add(each.path if kind == "path" else each.id)
        sets = {key: set(sorted(found)[:MOST_NAMES]) for key, found in names.items()}
        places = {f"#s{index}": key for index, key in enumerate(sets)}
        values: dict[str, Any] = {f":s{index}": found for index, found in enumerate(sets.values())}
        answer = self._table.update_item(
            Key={"address": str(network)},
            UpdateExpression="ADD "
            + ", ".join(f"#s{index} :s{index}" for index in range(len(sets)))
            + " SET forget_at = if_not_exists(forget_at, :forget)",
            ExpressionAttributeNames=places,
            ExpressionAttributeValues={**values, ":forget": (now_minute + KEPT_MINUTES) * 60},
            ReturnValues="ALL_NEW",
        )
        return _entry(answer["Attributes"])

    def is_news(self, network: Network, verdict: Verdict, sentence: Sentence) -> bool:
        """Write down that an address is blocked for the how manieth time, and say whether nobody had yet.

        Until when follows from what was seen, and is not written: a line that comes late may move it.
        """
        return self._change(
            network,
            "SET told = :times, forget_at = :forget",
            {
                ":times": verdict.times,
                # Long enough to know a repeat offender by.
                ":forget": (verdict.until_minute + sentence.longest_block_minutes + KEPT_MINUTES) * 60,
            },
            condition="attribute_not_exists(told) OR told < :times",
        )

    def fold(self, entry: Entry, verdict: Verdict, now_minute: int) -> None:
        """Replace minutes that nothing can be added to any more by what followed from them."""
        old = [minute for minute in entry.record.seen if minute < now_minute - KEPT_MINUTES]
        if not old or verdict.until_minute > now_minute:
            # While a block runs, the minutes that it follows from are its reason.
            return
        places = {
            f"#o{index}": f"{kind}:{minute}"
            for index, (minute, kind) in enumerate((m, k) for m in old for k in entry.record.seen[m])
        }
        self._table.update_item(
            Key={"address": str(entry.network)},
            UpdateExpression="SET times = :times, until_minute = :until, pardoned_minute = :spent REMOVE "
            + ", ".join(places),
            ExpressionAttributeNames=places,
            ExpressionAttributeValues={
                ":times": verdict.times,
                ":until": verdict.until_minute,
                ":spent": max(*old, entry.record.pardoned_minute, verdict.since_minute),
            },
        )

    def block(self, network: Network, until_minute: int) -> None:
        """Block an address by hand."""
        self._change(
            network,
            "SET blocked_until = :until, forget_at = :forget",
            {":until": until_minute, ":forget": (until_minute + KEPT_MINUTES) * 60},
        )

    def pardon(self, network: Network, now_minute: int) -> None:
        """Let an address go by hand: what was seen of it until now counts no more."""
        self._change(
            network,
            "SET blocked_until = :zero, pardoned_minute = :now, until_minute = :zero, times = :zero, "
            "told = :zero, forget_at = :forget",
            {":zero": 0, ":now": now_minute, ":forget": (now_minute + KEPT_MINUTES) * 60},
        )

    def entries(self) -> Iterator[Entry]:
        """Yield everybody who is known, page by page."""
        arguments: dict[str, Any] = {"ConsistentRead": True}
        while True:
            page = self._table.scan(**arguments)
            yield from map(_entry, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _change(
        self, network: Network, expression: str, values: Mapping[str, Any], condition: str | None = None
    ) -> bool:
        """Change an item, and say whether its condition held."""
        guarded = {"ConditionExpression": condition} if condition else {}
        try:
            self._table.update_item(
                Key={"address": str(network)},
                UpdateExpression=expression,
                ExpressionAttributeValues=dict(values),
                **guarded,
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _entry(item: Mapping[str, Any]) -> Entry:
    seen: dict[int, dict[Kind, frozenset[str]]] = {}
    for key, found in item.items():
        kind, _, minute = key.partition(":")
        if minute and kind in KINDS:
            seen.setdefault(int(minute), {})[kind] = frozenset(found)
    return Entry(
        network=ipaddress.ip_network(item["address"]),
        record=Record(
            seen=seen,
            times=int(item.get("times", 0)),
            until_minute=int(item.get("until_minute", 0)),
            pardoned_minute=int(item.get("pardoned_minute", 0)),
        ),
        blocked_until=int(item.get("blocked_until", 0)),
    )
