"""Plain values out of the SDK's proxies, with the unknown as a value of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pulumi_policy.proxy import UnknownValueError


class Unknown:
    """What only the cloud can say; there is one of it."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __bool__(self) -> bool:
        # Truth of an unknown is a question that no control may ask by accident.
        raise TypeError("an unknown value is neither true nor false; read it with switch() or reference()")


UNKNOWN: Final = Unknown()


def plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists and scalars.

    The SDK hands out proxies that are neither dict nor list and that raise on any touch of an unknown. Whole
    numbers become ``int`` (the wire has only floating point), assets and archives stay as they are.
    """
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence):
        return [_item(value, index) for index in range(len(value))]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield ``(path, scalar)`` for everything inside ``value``; ``a.b[0].c``, unknowns included."""
    waiting = [("", value)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, dict):
            waiting += [(f"{path}.{key}" if path else str(key), item) for key, item in found.items()]
        elif isinstance(found, list):
            waiting += [(f"{path}[{index}]", item) for index, item in enumerate(found)]
        else:
            yield path, found
