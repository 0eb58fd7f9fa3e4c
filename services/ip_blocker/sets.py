"""The block sets of the web ACL: made to hold exactly who is to be blocked, whoever else is writing.

WAF takes an update only with the token of the state that it changes. Whoever comes second is told, reads again, and
computes anew: nothing is lost and nothing comes back (AWS WAF API, "UpdateIPSet").
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from services.ip_blocker.settings import BlockSet, Network

CAPACITY = 10_000
"""What an IP set holds (AWS WAF Developer Guide, "AWS WAF quotas")."""

_ATTEMPTS = 8
_LONGEST_PAUSE_SECONDS = 4.0

_TRY_AGAIN = (
    "WAFOptimisticLockException",
    "WAFInternalErrorException",
    "WAFUnavailableEntityException",
    "ThrottlingException",
    "TooManyRequestsException",
)

Change = Callable[[set[Network]], set[Network]]
"""From who is in the set to who is to be."""


class SetUnchanged(Exception):
    """WAF took no update; what was to be blocked is in the ledger, and the next run tries again."""


def fitting(until: Mapping[Network, int], capacity: int = CAPACITY) -> set[Network]:
    """Return who has a place: where there are too many, those whose time is nearest to its end have none."""
    ordered = sorted(until, key=lambda network: (-until[network], str(network)))
    return set(ordered[:capacity])


def update(
    waf: Any, block_set: BlockSet, change: Change, *, pause: Callable[[float], object] = time.sleep
) -> tuple[set[Network], set[Network]]:
    """Change a set, and return who came and who went.

    Raises:
        SetUnchanged: WAF refused eight times.
    """
    named = {"Name": block_set.name, "Scope": "REGIONAL", "Id": block_set.id}
    for attempt in range(_ATTEMPTS):
        try:
            found = waf.get_ip_set(**named)
            before = {ipaddress.ip_network(each) for each in found["IPSet"]["Addresses"]}
            after = change(before)
            if after != before:
                waf.update_ip_set(**named, Addresses=_texts(after), LockToken=found["LockToken"])
            return after - before, before - after
        except ClientError as error:
            if error.response["Error"]["Code"] not in _TRY_AGAIN:
                raise
            # Full jitter: two that met once do not meet again (AWS Architecture Blog, "Exponential Backoff And Jitter").
            pause(random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.1 * 2**attempt)))  # noqa: S311 - no secret
    raise SetUnchanged(f"{block_set.name} took no update in {_ATTEMPTS} attempts")


def _texts(networks: Iterable[Network]) -> list[str]:
    return sorted(str(network) for network in networks)
