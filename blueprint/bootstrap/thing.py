"""What a bootstrap makes, seen alike: whose is it, what differs from what is wanted, and how it is put right."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Whose = Literal["nobody's", "ours", "theirs", "shared"]
"""``shared``: somebody else's, good enough to be used, and never changed."""


@dataclass(frozen=True, kw_only=True)
class Aspect:
    """One property of a thing that AWS sets by a call of its own."""

    name: str
    wanted: Any
    read: Callable[[], Any]
    write: Callable[[], object]

    def right(self) -> bool:
        """Say whether it is as it should be."""
        return same(self.read(), self.wanted)


class Thing(ABC):
    """One thing to be there. ``kind`` and ``name`` are what a person is shown."""

    kind: str
    name: str

    @abstractmethod
    def look(self) -> tuple[Whose, str]:
        """Return whose it is, and why where it is somebody else's. Changes nothing."""

    @abstractmethod
    def make(self) -> None:
        """Make it, marked as ours in the same call: a run that is killed right after knows it again."""

    @abstractmethod
    def aspects(self) -> Sequence[Aspect]:
        """Return its properties, those first without which it would be open."""


def same(one: Any, other: Any) -> bool:
    """Compare as AWS does: a list of one is its item, and the order in a list means nothing."""
    return bool(_plain(one) == _plain(other))


def document(text: str | Mapping[str, Any]) -> Any:
    """Return a policy document as a value; ``None`` where it is none."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item) for item in value]
        return (
            items[0] if len(items) == 1 else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        )
    return value


def tags_of(listed: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Return tags as a mapping; KMS has its own names for key and value."""
    return {
        str(each.get("Key") or each.get("TagKey")): str(each.get("Value") or each.get("TagValue") or "")
        for each in listed or ()
    }


def only(keys: Iterable[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of these keys: others that somebody put there are no concern of ours."""
    return {key: tags[key] for key in keys if key in tags}


def as_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a mapping as most of AWS takes tags."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
