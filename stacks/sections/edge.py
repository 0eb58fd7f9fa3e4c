"""The public entrance: its name, who may ask for how much, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.waf_rules import (
    BOT_CONTROL,
    INSPECTED_BYTES,
    LEAST_REQUESTS,
    MAX_PATHS,
    BotControl,
    ManagedGroup,
)
from stacks.fields import arn, matching, network_of, wrong
from stacks.sections.section import Section

MOST_REQUESTS = 20_000
"""67 a second, for minutes, from one address: more than an office behind one address asks for. WAF itself counts
to two thousand million, which would be no limit at all."""

WIDEST_V4, WIDEST_V6 = 16, 32
"""What one organisation has: a class B network; the smallest allocation to a provider (RIPE-738, 5.1.1)."""

MAX_COUNT_DAYS = 60
"""Long enough to see a month's end in the log."""


def _range_of_ours(text: str) -> str:
    network = network_of(text)
    widest = WIDEST_V4 if network.version == 4 else WIDEST_V6
    if network.prefixlen == 0:
        raise ValueError(
            f"{text} is the whole internet; list the ranges that are yours, /{widest} or narrower"
        )
    if network.prefixlen < widest:
        raise ValueError(f"{text} is wider than /{widest}; list the ranges that are yours one by one")
    return str(network)


RangeOfOurs = Annotated[str, AfterValidator(_range_of_ours)]
PathBeginning = Annotated[
    str,
    matching(
        r"/[\w.~-]+(?:/[\w.~-]*)*", "is not how a path begins; write one like /v1/images, or nothing for all"
    ),
]
Requests = Annotated[int, Field(ge=LEAST_REQUESTS, le=MOST_REQUESTS)]


class CountMode(Section):
    """A managed group that only counts for now: a new rule is watched before it refuses somebody."""

    group: ManagedGroup
    until: date
    """The last day, ``2026-12-31``; from the next one on the stack cannot be previewed before this is gone."""
    reason: Annotated[str, Field(min_length=10, max_length=200)]

    @model_validator(mode="after")
    def _ends(self) -> CountMode:
        today = datetime.now(UTC).date()
        if self.until < today:
            raise wrong(
                "until", f"{self.until} is over; remove this entry, so that {self.group} refuses again"
            )
        if self.until > today + timedelta(days=MAX_COUNT_DAYS):
            raise wrong(
                "until", f"{self.until} is more than {MAX_COUNT_DAYS} days away; write an earlier day"
            )
        return self


class Edge(Section):
    """The public entrance."""

    domain_name: Annotated[
        str,
        matching(
            r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
            "is not a domain; write one in lower case, like api.example.org",
        ),
    ]
    """What clients call: ``api.example.org``."""
    certificate_arn: Annotated[str, arn("acm", "certificate/.+")] | None = None
    """A certificate of yours for the domain, in the home region."""
    hosted_zone_id: (
        Annotated[
            str,
            matching(r"Z[0-9A-Z]{5,31}", "is not a zone of Route 53; write one like Z0123456789ABCDEFGHIJ"),
        ]
        | None
    ) = None
    """A public zone of yours instead: the certificate is made and proved in it, and the name leads to the edge."""
    max_requests_per_5min: Requests = 2000
    """From one address, over all paths."""
    path_max_requests_per_5min: Annotated[Mapping[PathBeginning, Requests], Field(max_length=MAX_PATHS)] = (
        Field(default_factory=dict)
    )
    """From one address, by how the path begins: a model that is asked slowly is copied slowly."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=INSPECTED_BYTES)] = INSPECTED_BYTES
    upload_paths: Annotated[tuple[PathBeginning, ...], Field(max_length=MAX_PATHS)] = ()
    """Where larger bodies may go; the gateway looks at them, for WAF cannot."""
    own_cidrs: Annotated[tuple[RangeOfOurs, ...], Field(max_length=100)] = ()
    """Your organisation's own ranges: they can never be blocked by the IP blocker."""
    monitor_cidrs: Annotated[tuple[RangeOfOurs, ...], Field(max_length=20)] = ()
    """Your own monitors: they are let through, and can never be blocked either."""
    count_mode: tuple[CountMode, ...] = ()
    bot_control: BotControl = "none"
    shield: Literal["standard", "advanced"] = "standard"

    @model_validator(mode="after")
    def _certificate_comes_from_one_place(self) -> Edge:
        if self.certificate_arn is None and self.hosted_zone_id is None:
            raise wrong(
                "certificate_arn", "is missing; write it, or the hosted_zone_id of a zone to make one in"
            )
        if self.certificate_arn is not None and self.hosted_zone_id is not None:
            raise wrong("hosted_zone_id", "stands beside certificate_arn; keep one of the two")
        return self

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Edge:
        for path, limit in self.path_max_requests_per_5min.items():
            if limit >= self.max_requests_per_5min:
                raise wrong(
                    f"path_max_requests_per_5min.{path}",
                    f"{limit} is not below max_requests_per_5min, which holds before; write less",
                )
        return self

    @model_validator(mode="after")
    def _counts_each_group_once(self) -> Edge:
        for index, problem in self._count_problems():
            raise wrong(f"count_mode[{index}].group", problem)
        return self

    def _count_problems(self) -> Iterator[tuple[int, str]]:
        for index, entry in enumerate(self.count_mode):
            if entry.group in [earlier.group for earlier in self.count_mode[:index]]:
                yield index, "is named twice; keep one entry"
            if entry.group == BOT_CONTROL and self.bot_control == "none":
                yield index, "is off; set bot_control, or remove this entry"
