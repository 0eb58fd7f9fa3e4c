"""A stack that notes what is read of it, so that an edit asks again only those controls that could answer otherwise.

A control is a function of what it reads. Every run of one, and everything that runs share (who refers to whom,
what is made once for all), is a *node* that keeps the *keys* it read: a type, a prefix of types, a resource, an
identifier. An edit touches keys; what read one of them, directly or through another node, is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from machinery.control import Control
from machinery.stack import AWS_PROVIDER, Made, Stack, identifiers
from machinery.subject import Outcome, Resource

Key = tuple[Hashable, ...]

EVERYTHING: Key = ("everything",)


class Reads:
    """Who read what."""

    def __init__(self) -> None:
        self._readers: dict[Key, set[Key]] = {}
        self._prefixes: set[str] = set()
        self._open: list[Key] = []

    def note(self, key: Key, reader: Key | None = None) -> None:
        """Keep that the node at work (or ``reader``) read ``key``."""
        if reader is None:
            if not self._open:
                return
            reader = self._open[-1]
        if key[0] == "prefix":
            self._prefixes.add(str(key[1]))
        self._readers.setdefault(key, set()).add(reader)

    @contextmanager
    def by(self, node: Key) -> Iterator[None]:
        """Give what is read meanwhile to ``node``."""
        self._open.append(node)
        try:
            yield
        finally:
            self._open.pop()

    def stale(self, touched: Iterable[Key]) -> set[Key]:
        """Return every node that read one of the touched keys, or a node that did."""
        waiting = list(touched)
        found: set[Key] = set()
        while waiting:
            for reader in self._readers.get(waiting.pop(), ()):
                if reader not in found:
                    found.add(reader)
                    waiting.append(reader)
        return found

    def touched_by(self, before: Resource | None, after: Resource | None) -> Iterator[Key]:
        """Yield the keys that change when one resource becomes another, comes or goes."""
        one = after or before
        assert one is not None  # noqa: S101 - an edit is of something
        yield EVERYTHING
        yield "type", one.type
        yield "urn", one.urn
        yield from (("prefix", prefix) for prefix in self._prefixes if one.type.startswith(prefix))
        old = set(identifiers(before)) if before else set()
        new = set(identifiers(after)) if after else set()
        yield from (("index", identifier) for identifier in old ^ new)


class TracedStack(Stack):
    """A stack whose readers are noted."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self.reads = Reads()
        self._resources = list(resources)
        super().__init__(resources)
        self._urns = _NotedUrns(self._resources, self.reads.note)
        # Made now, when nobody reads: else whoever comes first would depend on everything.
        assert self._by_identifier is not None  # noqa: S101

    @property
    def resources(self) -> list[Resource]:
        """Every resource; whoever asks depends on all of them."""
        self.reads.note(EVERYTHING)
        return self._resources

    @resources.setter
    def resources(self, _: list[Resource]) -> None:
        """Let the base class set what is kept elsewhere."""

    @property
    def by_urn(self) -> dict[str, Resource]:
        """Every resource by its URN; each look-up is noted by itself."""
        return self._urns

    @property
    def declared(self) -> Any:
        """What the providers declare."""
        self.reads.note(("type", AWS_PROVIDER))
        return super().declared

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of these types."""
        for type_ in types:
            self.reads.note(("type", type_))
        return super().of(*types)

    def matching(self, prefix: str) -> Iterator[Resource]:
        """Return the resources whose type begins with ``prefix``."""
        self.reads.note(("prefix", prefix))
        return super().matching(prefix)

    def named(self, identifier: str) -> list[Resource]:
        """Return the resources that go by ``identifier``."""
        self.reads.note(("index", identifier))
        return super().named(identifier)

    def once(self, make: Callable[[Stack], Made]) -> Made:
        """Return what ``make`` makes; what it reads of the stack later on is noted for it too."""
        node: Key = ("once", make)
        self.reads.note(node)
        if make not in self._made:
            with self.reads.by(node):
                self._made[make] = make(_View(self, node))  # type: ignore[arg-type]
        made: Made = self._made[make]
        return made

    def referred(self, resource: Resource, path: str) -> frozenset[str]:
        """Return the URNs of the resources whose identifiers stand at ``path``."""
        node: Key = ("referred", resource.urn, path)
        self.reads.note(node)
        with self.reads.by(node):
            return super().referred(resource, path)

    def _referrers(self, type_: str, path: str) -> dict[str, list[Resource]]:
        node: Key = ("referrers", type_, path)
        self.reads.note(node)
        with self.reads.by(node):
            return super()._referrers(type_, path)

    def _look_up(self, resource: Resource, path: str) -> frozenset[str]:
        self.reads.note(("urn", resource.urn))
        return super()._look_up(resource, path)

    def _identified(self, leaf: str) -> set[str]:
        self.reads.note(("index", leaf))
        return super()._identified(leaf)

    def edited(self, resources: Sequence[Resource], stale: set[Key]) -> Stack:
        """Return the stack with other resources, and of what was worked out all that is not stale.

        What may hold on to the stack is made anew: it could read further.
        """
        stack = Stack(resources)
        stack._referred = dict(self._referred)
        stack._reverse = dict(self._reverse)
        stack._made = {make: made for make, made in self._made.items() if type(made) in _VALUES}
        kept: dict[Hashable, dict[Any, Any]] = {
            "referred": stack._referred,
            "referrers": stack._reverse,
            "once": stack._made,
        }
        for kind, *link in stale:
            kept.get(kind, {}).pop(link[0] if kind == "once" else tuple(link), None)
        return stack


_VALUES = (dict, list, tuple, set, frozenset, str, int, bool)


class _NotedUrns(dict[str, Resource]):
    """An index by URN that notes which URNs it was asked for."""

    def __init__(self, resources: Iterable[Resource], note: Callable[[Key], None]) -> None:
        super().__init__({resource.urn: resource for resource in resources})
        self._note = note

    def __getitem__(self, urn: str) -> Resource:
        self._note(("urn", urn))
        return super().__getitem__(urn)

    def __contains__(self, urn: object) -> bool:
        self._note(("urn", str(urn)))
        return super().__contains__(urn)

    def get(self, urn: str, default: Any = None) -> Any:
        self._note(("urn", urn))
        return super().get(urn, default)

    def __iter__(self) -> Iterator[str]:
        self._note(EVERYTHING)
        return super().__iter__()

    def keys(self) -> Any:
        self._note(EVERYTHING)
        return super().keys()

    def values(self) -> Any:
        self._note(EVERYTHING)
        return super().values()

    def items(self) -> Any:
        self._note(EVERYTHING)
        return super().items()


class _View:
    """The stack as something that is made once holds it: whatever it reads, and whenever, is noted for it."""

    def __init__(self, stack: TracedStack, node: Key) -> None:
        self._stack = stack
        self._node = node
        self.by_urn = _NotedUrns(stack._resources, lambda key: stack.reads.note(key, node))

    def __getattr__(self, name: str) -> Any:
        stack, node = self._stack, self._node
        with stack.reads.by(node):
            found = getattr(stack, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            with stack.reads.by(node):
                return found(*arguments)

        return call


class Judged:
    """Every control's outcomes on one stack, kept by run, and what an edit would make of them."""

    def __init__(self, resources: Sequence[Resource], controls: Sequence[Control]) -> None:
        self._controls = [control for control in controls if control.needs_stack]
        self._stack = TracedStack(resources)
        self._by_urn = {resource.urn: resource for resource in resources}
        self.outcomes: dict[Key, list[Outcome]] = {}
        for control in self._controls:
            for subject in self._subjects(control, self._stack):
                node = _node(control, subject)
                with self._stack.reads.by(node):
                    self.outcomes[node] = _run(control, subject, self._stack)

    def edited(self, changed: Sequence[Resource], dropped: Sequence[str]) -> dict[Key, list[Outcome]]:
        """Return the outcomes of each run that an edit makes stale, takes away (empty) or adds."""
        after: dict[str, Resource | None] = dict.fromkeys(dropped) | {r.urn: r for r in changed}
        reads = self._stack.reads
        touched = {key for urn, new in after.items() for key in reads.touched_by(self._by_urn.get(urn), new)}
        stale = reads.stale(touched)
        kept = [after.get(urn, resource) for urn, resource in self._by_urn.items()]
        added = [resource for resource in changed if resource.urn not in self._by_urn]
        stack = self._stack.edited([r for r in (*kept, *added) if r is not None], stale)
        found: dict[Key, list[Outcome]] = {}
        for control in self._controls:
            for subject in self._subjects(control, stack):
                node = _node(control, subject)
                if node in stale or node not in self.outcomes or (subject and subject.urn in after):
                    found[node] = _run(control, subject, stack)
        gone = (node for node in self.outcomes if node[2] in after and after[str(node[2])] is None)
        return found | {node: [] for node in gone}

    @staticmethod
    def _subjects(control: Control, stack: Stack) -> Sequence[Resource | None]:
        return stack.of(*control.on) if control.on else (None,)


def _node(control: Control, subject: Resource | None) -> Key:
    return "run", control.id, subject.urn if subject else ""


def _run(control: Control, subject: Resource | None, stack: Stack) -> list[Outcome]:
    return control.judge_stack(stack) if subject is None else control.judge_subject(subject, stack)
