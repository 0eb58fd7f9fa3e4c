"""What a control looks at: a resource, or a part of one, read with the care that unknowns need.

A control says with every read what kind of value it is after. A *switch* (encrypted, public, a port, a
retention) must be written in the program, so an unknown one is a violation. A *reference* (an ARN, an id, a
document that holds one) may be unknown until AWS has made it, so an unknown one leaves the control undecided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from machinery.declarations import Declarations
from machinery.values import UNKNOWN

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Violation:
    """A control does not hold: where in the resource, and what is wrong. The value itself is never told."""

    path: str
    problem: str
    urn: str = ""


@dataclass(frozen=True)
class Undecided:
    """A control needs a value that only the cloud can give."""

    path: str
    urn: str = ""


Outcome = Violation | Undecided
Outcomes = Iterable[Outcome]


class UnknownSwitch(Exception):
    """A switch was read whose value is not in the program."""


class UnknownReference(Exception):
    """A reference was read that is not known yet."""


class Malformed(Exception):
    """A value has a shape that the provider would not take."""


@dataclass(frozen=True, eq=False)
class Node:
    """A resource's properties, or an object inside them, at ``path``."""

    value: Any
    path: str = ""

    def switch(self, path: str, absent: Any = None) -> Any:
        """Return the literal at ``path`` (dots and ``[n]``), ``absent`` where it is missing or null.

        Raises:
            UnknownSwitch: it is unknown, or a list that something unknown stands in.
        """
        found = self._read(path, absent, UnknownSwitch)
        if isinstance(found, list) and any(member is UNKNOWN for member in found):
            raise UnknownSwitch(self._at(path))
        return found

    def reference(self, path: str, absent: Any = None) -> Any:
        """Return the reference at ``path``, ``absent`` where it is missing or null."""
        return self._read(path, absent, UnknownReference)

    def number(self, path: str, absent: int = 0) -> int:
        """Return the switch at ``path`` as a whole number; the provider takes digits in a text as well."""
        found = self.switch(path, absent)
        if isinstance(found, str) and found.isdecimal() and len(found) < 10:
            return int(found)
        if isinstance(found, bool) or not isinstance(found, int):
            raise Malformed(self._at(path))
        return found

    def word(self, path: str, absent: str = "") -> str:
        """Return the switch at ``path`` as a text."""
        found = self.switch(path, absent)
        if not isinstance(found, str):
            raise Malformed(self._at(path))
        return found

    def known(self, path: str) -> bool:
        """Say whether the value at ``path`` can be read (a missing value can)."""
        try:
            self.reference(path)
        except UnknownReference:
            return False
        return True

    def has(self, path: str) -> bool:
        """Say whether something stands at ``path``, known or not; an empty text or list is nothing."""
        try:
            return self.reference(path) not in (None, "", [], {})
        except UnknownReference:
            return True

    def items(self, path: str) -> list[Node]:
        """Return the objects of the list at ``path``; one object counts as a list of one.

        Raises:
            UnknownReference: the list as a whole is unknown.
        """
        found = self.reference(path)
        if found is None:
            return []
        members = found if isinstance(found, list) else [found]
        nodes = [
            Node(
                value=member, path=f"{self._at(path)}[{index}]" if isinstance(found, list) else self._at(path)
            )
            for index, member in enumerate(members)
        ]
        for node in nodes:
            if node.value is not UNKNOWN and not isinstance(node.value, Mapping):
                raise Malformed(node.path)
        return nodes

    def part(self, path: str) -> Node:
        """Return what stands at ``path`` as a node of its own; a missing part has nothing in it.

        Raises:
            UnknownReference: it is unknown.
        """
        return Node(self.reference(path), self._at(path))

    def texts(self, path: str) -> list[tuple[str, str]]:
        """Return ``(path, text)`` of each text in the list at ``path``; one text counts as a list of one.

        Raises:
            UnknownReference: the list or one of its members is unknown.
        """
        found = self.reference(path)
        if found is None:
            return []
        members = found if isinstance(found, list) else [found]
        at = self._at(path)
        texts = [
            (f"{at}[{i}]" if isinstance(found, list) else at, member) for i, member in enumerate(members)
        ]
        for where, member in texts:
            if member is UNKNOWN:
                raise UnknownReference(where)
            if not isinstance(member, str):
                raise Malformed(where)
        return texts

    def violation(self, path: str, problem: str) -> Violation:
        """Return a violation at ``path`` below this node."""
        return Violation(path=self._at(path), problem=problem)

    def _at(self, path: str) -> str:
        return f"{self.path}.{path}" if self.path and path else self.path or path

    def _read(self, path: str, absent: Any, unknown: type[Exception]) -> Any:
        value = self.value
        for name, index in _STEP.findall(path):
            if value is UNKNOWN:
                raise unknown(self._at(path))
            if value is None:
                return absent
            value = self._step(value, name, index, path)
        if value is UNKNOWN:
            raise unknown(self._at(path))
        return absent if value is None else value

    def _step(self, value: Any, name: str, index: str, path: str) -> Any:
        if index:
            if not isinstance(value, list):
                raise Malformed(self._at(path))
            return value[int(index)] if int(index) < len(value) else None
        # A block that may stand once is an object in one schema version and a list of one in another.
        if isinstance(value, list):
            value = value[0] if value else None
        if value is None or value is UNKNOWN:
            return value
        if not isinstance(value, Mapping):
            raise Malformed(self._at(path))
        return value.get(name)


@dataclass(frozen=True, eq=False)
class Resource(Node):
    """One resource as the engine shows it; ``type`` is canonical (the SDK's ``...V2`` doubles are folded)."""

    urn: str = ""
    type: str = ""
    name: str = ""
    protect: bool = False
    parent: str = ""
    provider_urn: str = ""
    provider: Mapping[str, Any] = field(default_factory=dict)
    declared: Declarations = field(default_factory=Declarations)
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def per_item(nodes: Iterable[Node], judge: Callable[[Node], Outcomes]) -> Iterator[Outcome]:
    """Judge every node by itself, so that an unknown in one hides nothing in another.

    What is found in a resource is reported on that resource, whoever asked.
    """
    for node in nodes:
        for outcome in guarded(lambda node=node: judge(node)):  # type: ignore[misc]
            yield replace(outcome, urn=outcome.urn or node.urn) if isinstance(node, Resource) else outcome


Worked = TypeVar("Worked")


def remembered(work: Callable[..., Worked]) -> Callable[..., Worked]:
    """Let what ``work(resource, *more)`` gives be worked out once, as long as the resource lives.

    A resource never changes, so a control that goes through every text of a stack has most of it done when it is
    asked about an edit of one resource. ``more`` is hashable and ``work`` gives a value, not an iterator.
    """
    known: WeakKeyDictionary[Resource, dict[tuple[Any, ...], Worked]] = WeakKeyDictionary()

    @wraps(work)
    def remembering(resource: Resource, *more: Any) -> Worked:
        answers = known.setdefault(resource, {})
        if more not in answers:
            answers[more] = work(resource, *more)
        return answers[more]

    return remembering


def guarded(judge: Callable[[], Outcomes]) -> Iterator[Outcome]:
    """Run ``judge`` and turn what it could not read into outcomes: nothing unread counts as passed."""
    try:
        yield from judge()
    except UnknownSwitch as unknown:
        yield Violation(
            str(unknown), "is not known before the update; write the value itself into the program"
        )
    except UnknownReference as unknown:
        yield Undecided(str(unknown))
    except Malformed as malformed:
        yield Violation(str(malformed), "has a shape that the provider does not take")
