"""Waivers: which finding is accepted on which resource, why, who answers for it and until when.

A waiver is exact. One that has expired, that waives nothing, that matches another number of resources than it
names, or that lets a critical finding stand for longer than thirty days is itself a violation. A finding that
is waived is still reported, with the reason beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from machinery.control import CRITICAL, HIGH, Control
from machinery.stack import Stack
from machinery.subject import Outcome, Outcomes, Violation

STACK_TYPE = "pulumi:pulumi:Stack"

CRITICAL_DAYS = 30
"""A critical finding is open to anybody: who lets one stand has a month to mend it."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """One entry of the file; ``place`` says where it stands, ``stacks/waivers.yaml: waivers[0]``."""

    control: str
    stacks: tuple[str, ...]
    resource: str
    """``type::name`` as a URN ends, where ``*`` in the name stands for anything."""
    count: int
    reason: str
    owner: str
    expiry: date
    """The last day on which it holds, in UTC."""
    place: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(".*".join(map(re.escape, self.resource.split("*"))), re.DOTALL)

    def matches(self, urn: str) -> bool:
        """Say whether the waiver is about the resource with this URN, in the stack that it belongs to."""
        return stack_of(urn) in self.stacks and self._pattern.fullmatch(tail_of(urn)) is not None


def stack_of(urn: str) -> str:
    """Return the stack in a URN."""
    return urn.partition("::")[0].removeprefix("urn:pulumi:")


def tail_of(urn: str) -> str:
    """Return ``type::name``, which a waiver names a resource by."""
    types, _, name = urn.rpartition("::")
    return f"{types.rpartition('::')[2].rpartition('$')[2]}::{name}"


def root_of(stack: Stack) -> str:
    """Return the URN of the stack itself, which the engine makes out of its name and the project's."""
    parts = next((resource.urn.split("::") for resource in stack.resources), [])
    if len(parts) < 4:
        return ""
    return f"{parts[0]}::{parts[1]}::{STACK_TYPE}::{parts[1]}-{stack_of(parts[0])}"


def utc_today() -> date:
    """Return the day it is in UTC."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Waivers:
    """What the file says (``entries``) and what is wrong with it (``problems``: where it stands, and what).

    Where something is wrong with the file nothing of it is applied.
    """

    entries: Sequence[Waiver] = ()
    problems: Sequence[Violation] = ()
    controls: Mapping[str, Control] = field(default_factory=dict)
    """Every control that an entry names, by its id."""
    today: Callable[[], date] = utc_today
    _seen: set[Waiver] = field(default_factory=set)
    """What was of use to a resource by itself: the engine shows those one by one, and the stack at the end."""

    def over(self, control: Control, outcome: Outcome, urn: str) -> Waiver | None:
        """Return the waiver under which a violation stands; nothing waives what is undecided."""
        for waiver in self._about(control, urn):
            self._seen.add(waiver)
            if isinstance(outcome, Violation):
                return waiver
        return None

    def _about(self, control: Control, urn: str) -> Iterator[Waiver]:
        for waiver in self.entries:
            if waiver.control == control.id and self._holds(waiver) and waiver.matches(urn):
                yield waiver

    def _holds(self, waiver: Waiver) -> bool:
        return not self.expired(waiver) and not self.too_long(waiver)

    def expired(self, waiver: Waiver) -> bool:
        """Say whether its last day is over."""
        return waiver.expiry < self.today()

    def too_long(self, waiver: Waiver) -> bool:
        """Say whether it lets a critical finding stand for longer than may be."""
        critical = self.controls[waiver.control].severity is CRITICAL
        return critical and waiver.expiry > self.today() + timedelta(days=CRITICAL_DAYS)

    def judged(self, stack: Stack) -> list[tuple[Control, Outcome]]:
        """Return what is wrong with the waivers of this stack, once everything in it was judged."""
        name = stack_of(root_of(stack))
        own = [waiver for waiver in self.entries if name in waiver.stacks]
        held = _Held(self, own, stack)
        return [(control, outcome) for control in WAIVER_CONTROLS for outcome in control.rule(held)]

    def used(self, waiver: Waiver, stack: Stack) -> bool:
        """Say whether the waiver stands over a finding, or over something that is still undecided.

        What a resource decides by itself is asked again here: in an update of a few targets the engine does
        not show the others one by one.
        """
        if waiver in self._seen:
            return True
        control = self.controls[waiver.control]
        return not control.needs_stack and any(
            control.judge_resource(resource)
            for resource in stack.resources
            if waiver.matches(resource.urn) and (not control.on or resource.type in control.on)
        )


@dataclass(frozen=True)
class _Held:
    """The waivers of one stack, held against what is in it."""

    waivers: Waivers
    entries: Sequence[Waiver]
    stack: Stack

    def matched(self, waiver: Waiver) -> int:
        """Return how many resources the waiver matches, the stack itself among them."""
        urns = {resource.urn for resource in self.stack.resources}
        return sum(map(waiver.matches, urns | {root_of(self.stack)}))


def _file_is_right(held: _Held) -> Outcomes:
    return held.waivers.problems


def _none_has_expired(held: _Held) -> Outcomes:
    for waiver in filter(held.waivers.expired, held.entries):
        yield Violation(waiver.place, f"expired on {waiver.expiry.isoformat()}")


def _none_is_idle(held: _Held) -> Outcomes:
    for waiver in _in_force(held):
        if not held.waivers.used(waiver, held.stack):
            yield Violation(waiver.place, f"waives nothing: {waiver.control} finds nothing there")


def _none_is_too_broad(held: _Held) -> Outcomes:
    for waiver in _in_force(held):
        if (matched := held.matched(waiver)) and matched != waiver.count:
            yield Violation(waiver.place, f"matches {matched} resources, but its count names {waiver.count}")


def _critical_is_short(held: _Held) -> Outcomes:
    for waiver in filter(held.waivers.too_long, held.entries):
        yield Violation(
            f"{waiver.place}.expiry", f"lets a critical finding stand for more than {CRITICAL_DAYS} days"
        )


def _in_force(held: _Held) -> Iterable[Waiver]:
    return [w for w in held.entries if not held.waivers.expired(w) and not held.waivers.too_long(w)]


WAIVER_CONTROLS = (
    Control(
        id="WAV-01",
        title="The file of waivers is right",
        severity=CRITICAL,
        remedy="Mend the file there; until then nothing is waived.",
        rule=_file_is_right,
        needs_stack=True,
    ),
    Control(
        id="WAV-02",
        title="No waiver has expired",
        severity=HIGH,
        remedy="Mend what the waiver is about and take it out, or have its owner decide again.",
        rule=_none_has_expired,
        needs_stack=True,
    ),
    Control(
        id="WAV-03",
        title="No waiver waives nothing",
        severity=HIGH,
        remedy="Take the waiver out, or this stack from its list of stacks.",
        rule=_none_is_idle,
        needs_stack=True,
    ),
    Control(
        id="WAV-04",
        title="A waiver matches what it names, and no more",
        severity=HIGH,
        remedy="Name the resource in full, or write as count how many resources the pattern is meant for.",
        rule=_none_is_too_broad,
        needs_stack=True,
    ),
    Control(
        id="WAV-05",
        title="A critical finding is waived for thirty days at most",
        severity=HIGH,
        remedy=f"Write an expiry within {CRITICAL_DAYS} days, and mend the finding by then.",
        rule=_critical_is_short,
        needs_stack=True,
    ),
)
"""They are the pack's own and hold for every stack; nothing waives them."""
