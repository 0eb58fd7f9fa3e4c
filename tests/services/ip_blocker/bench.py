"""How many lines a second are read and held against somebody, beside a plain parse of the same lines."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable

from services.ip_blocker import lines
from services.ip_blocker.settings import read
from tests.services.ip_blocker.test_campaign import requests
from tests.services.ip_blocker.world import NOW, environment

ROUNDS = 5


def main() -> None:
    """Print lines a second of each, the best of five rounds side by side, and their ratio."""
    events = [event for _, event in requests(random.Random(1))]  # noqa: S311 - the same every time
    own = read(environment()).never_blocked

    def plain() -> None:
        for event in events:
            json.loads(event["message"])

    def whole() -> None:
        for _ in lines.read(events, now=NOW, never_blocked=own, skipped=Counter()):
            pass

    best = {"plain parse": 0.0, "read and judged": 0.0}
    for _ in range(ROUNDS):
        for name, run in (("plain parse", plain), ("read and judged", whole)):
            best[name] = max(best[name], len(events) / seconds(run))
    for name, rate in best.items():
        print(f"{name:16} {rate:>10,.0f} lines a second")
    print(f"ratio            {best['read and judged'] / best['plain parse']:>10.2f}")


def seconds(run: Callable[[], None]) -> float:
    """Return how long a run takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
