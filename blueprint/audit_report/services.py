"""What an environment uses of AWS outside its network, region by region, as cards for the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blueprint.audit_report.holdings import Holdings
from blueprint.audit_report.reading import KEY, REPLICA_KEY, Reader

COLUMNS = ("watching", "keys", "images", "reports", "data", "backups")
"""Columns of cards, the same in every region, so that a copy lies below what it is of."""

_MOST = 5
"""Lines of a card."""

_WATCHING = {
    "aws:cloudtrail/trail:Trail": "CloudTrail",
    "aws:guardduty/detector:Detector": "GuardDuty",
    "aws:securityhub/account:Account": "Security Hub",
    "aws:cfg/recorder:Recorder": "Config",
    "aws:inspector2/enabler:Enabler": "Inspector",
    "aws:macie2/account:Account": "Macie",
    "aws:accessanalyzer/analyzer:Analyzer": "Access Analyzer",
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """One box: a title, a few lines, and how it is copied to the other region."""

    column: int
    title: str
    lines: tuple[str, ...]
    copied: str = ""


def cards(reader: Reader, held: Holdings) -> Mapping[str, tuple[Card, ...]]:
    """Return the cards of each region."""
    return {region: tuple(_cards(reader, held, region)) for region in reader.regions}


def _cards(reader: Reader, held: Holdings, region: str) -> list[Card]:
    stores = [store for store in held.stores if store.region == region]
    writing = [store for store in stores if store.domain in ("logs", "reports")]
    data = [store for store in stores if store not in writing]
    logs = sum(where == region for _, where, _ in held.logs)
    vaults = [vault for vault in held.vaults if vault.region == region]
    found = {
        "data": ("Data and models", [store.name for store in data]),
        "reports": (
            "Logs and reports",
            [*(store.name for store in writing), *([f"{logs} log groups"] if logs else [])],
        ),
        "keys": ("Keys", _keys(reader, region)),
        "images": ("Images", _images(reader, region)),
        "watching": ("Watching", _watching(reader, region)),
        "backups": (
            "Backups",
            [line for vault in vaults for line in (reader.short(vault.name), f"locked {vault.locked}")],
        ),
    }
    copied = {
        "data": "replicated" if any(store.replica_region for store in data) else "",
        "backups": "copied" if any(copies for rule in held.rules for copies in rule.copies) else "",
    }
    return [
        Card(column=index, title=found[key][0], lines=_few(found[key][1]), copied=copied.get(key, ""))
        for index, key in enumerate(COLUMNS)
        if found[key][1]
    ]


def _few(lines: list[str]) -> tuple[str, ...]:
    return (*lines[: _MOST - 1], f"and {len(lines) - _MOST + 1} more") if len(lines) > _MOST else tuple(lines)


def _keys(reader: Reader, region: str) -> list[str]:
    found = [key for type_ in (KEY, REPLICA_KEY) for key in reader.graph.of(type_)]
    return [reader.name(key) for key in found if reader.region(key) == region]


def _images(reader: Reader, region: str) -> list[str]:
    kinds = {
        "aws:ecr/repository:Repository": "repositories",
        "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": "caches of public ones",
    }
    counted = {
        said: sum(reader.region(each) == region for each in reader.graph.of(type_))
        for type_, said in kinds.items()
    }
    return [f"{count} {said}" for said, count in counted.items() if count]


def _watching(reader: Reader, region: str) -> list[str]:
    return [
        name
        for type_, name in _WATCHING.items()
        if any(reader.region(each) == region for each in reader.graph.of(type_))
    ]
