"""Where Lambda calls: deliveries of logs, and the schedule that lets go."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from services.ip_blocker import lines
from services.ip_blocker.blocker import Blocker, Unfinished
from services.ip_blocker.ledger import Ledger
from services.ip_blocker.report import tell
from services.ip_blocker.settings import read

_CALLS = Config(connect_timeout=3, read_timeout=10, retries={"mode": "adaptive", "max_attempts": 6})


def handler(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """Do what the event asks for.

    Raises:
        ValueError: the event is none that is known; Lambda leaves it with the dead letters.
        Unfinished: some of the work failed; Lambda tries again, and what is done twice is done once.
    """
    blocker = _blocker()
    if event.get("task") == "expire":
        outcome = blocker.expire()
    elif isinstance(event.get("awslogs"), Mapping):
        outcome = blocker.learn(lines.unpack(str(event["awslogs"].get("data", ""))))
    else:
        raise ValueError("an event that is neither a delivery of a log nor the task expire")
    tell(outcome, now=time.time())
    if outcome.failures:
        raise Unfinished(f"{len(outcome.failures)} failed; the first: {outcome.failures[0]:.300}")
    return {"decisions": len(outcome.decisions), "sightings": outcome.sightings}


@cache
def _blocker() -> Blocker:
    settings = read(os.environ)
    table = boto3.resource("dynamodb", config=_CALLS).Table(settings.table_name)
    return Blocker(settings=settings, ledger=Ledger(table), waf=boto3.client("wafv2", config=_CALLS))
