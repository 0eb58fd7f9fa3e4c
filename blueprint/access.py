"""What roles may do now that they could not before: the question of a review, asked of two lists of roles.

Access is new where no statement of before, of the same role, allowed the same or more under the same conditions or
fewer. What became less, and what is said in other words, is not new. The question is that of IAM Access Analyzer's
CheckNoNewAccess, asked without an account; refusals are left out, so it may call new what something else refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from blueprint.errors import BadInput
from blueprint.roles import Role, Statement

MAX_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Access:
    """One thing that a role may do now."""

    role: str
    what: str

    def __str__(self) -> str:
        return f"{self.role}: {self.what}"


def read(path: Path) -> tuple[Role, ...]:
    """Return the roles that ``blueprint roles --format json`` wrote.

    Raises:
        BadInput: the file cannot be read, or is another.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: is larger than 16 MiB; write it with blueprint roles --format json")
        said = json.loads(path.read_text(encoding="utf-8"))
        # A list of another schema is none of the ones that can be read here.
        return tuple(map(_role, {1: said["roles"]}[said["schema"]]))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise BadInput(f"{path}: lists no roles; write it with blueprint roles --format json") from None


def _role(said: Mapping[str, Any]) -> Role:
    return Role(
        **{key: str(said[key]) for key in ("name", "arn", "about", "boundary")},
        trust=tuple(map(_statement, said["trust"])),
        rights=tuple(map(_statement, said["rights"])),
        managed=tuple(map(str, said["managed"])),
        pods=tuple(map(str, said["pods"])),
    )


def _statement(said: Mapping[str, Any]) -> Statement:
    lists = ("actions", "but_actions", "resources", "principals", "conditions")
    return Statement(
        sid=str(said["sid"]), effect=str(said["effect"]), **{key: tuple(map(str, said[key])) for key in lists}
    )


def new_access(now: Sequence[Role], before: Sequence[Role]) -> list[Access]:
    """Return what roles may do now that they could not before, and who may become them that could not."""
    known = {role.name: role for role in before}
    nobody = Role(name="", arn="", about="", trust=(), rights=(), managed=(), boundary="", pods=())
    return [
        Access(role=role.name, what=what)
        for role in now
        for what in _new_of(role, known.get(role.name, nobody), made=role.name not in known)
    ]


def _new_of(now: Role, before: Role, *, made: bool) -> Iterator[str]:
    for statement in _allowing(now.rights):
        new = [
            f"{'all but ' if statement.but_actions else ''}{action} on {resource}"
            for action in statement.but_actions or statement.actions
            for resource in statement.resources
            if not _allowed(statement, action, resource, before.rights)
        ]
        yield from (f"may {each}{_if(statement)}" for each in new)
    for statement in _allowing(now.trust):
        yield from (
            f"may be assumed by {principal}{_if(statement)}"
            for principal in statement.principals
            if not _allowed(statement, principal, principal, before.trust)
        )
    yield from (f"has {arn}" for arn in now.managed if arn not in before.managed)
    yield from (f"is worn by pods of {pod}" for pod in now.pods if pod not in before.pods)
    if not made and before.boundary and now.boundary != before.boundary:
        yield "has another boundary, or none"


def _allowing(statements: Iterable[Statement]) -> list[Statement]:
    return [statement for statement in statements if statement.allows]


def _if(statement: Statement) -> str:
    return f" if {' and '.join(statement.conditions)}" if statement.conditions else ""


def _allowed(now: Statement, action: str, resource: str, before: Iterable[Statement]) -> bool:
    """Say whether a statement of before allowed the same or more: its conditions are all among those of now."""
    return any(
        set(old.conditions) <= set(now.conditions)
        and (_names(old, action) if not now.but_actions else old.but_actions == now.but_actions)
        and (resource in old.principals or any(fnmatchcase(resource, pattern) for pattern in old.resources))
        for old in _allowing(before)
    )


def _names(old: Statement, action: str) -> bool:
    if action in old.principals:
        return True
    wanted = action.lower()
    if old.but_actions:
        return "*" not in wanted and not any(fnmatchcase(wanted, but.lower()) for but in old.but_actions)
    return any(fnmatchcase(wanted, pattern.lower()) for pattern in old.actions)
