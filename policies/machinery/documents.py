"""Policy documents as AWS reads them: scalars or lists, any letter case of actions, every form of principal.

What an action does (its access level, whether it can be narrowed to resources) comes from the IAM database
that policy_sentry keeps from AWS's Service Authorization Reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from policy_sentry.querying.actions import (
    get_actions_that_support_wildcard_arns_only,
    get_actions_with_access_level,
)
from policy_sentry.querying.all import get_all_actions

from machinery.subject import Malformed, Node, UnknownReference
from machinery.values import UNKNOWN

EVERYONE = "*"

MAX_CHARACTERS = 65536
"""AWS takes 20,480 characters at most (IAM and STS quotas: bucket and role policies are smaller); more is hostile."""

READ_LEVELS = ("Read", "List")
WRITE_LEVELS = ("Write", "Permissions management", "Tagging")


@dataclass(frozen=True)
class Principal:
    """One principal: ``kind`` is ``AWS``, ``Service``, ``Federated`` or ``CanonicalUser``; everyone is ``AWS *``."""

    kind: str
    name: str

    @property
    def everyone(self) -> bool:
        """Say whether this is anybody at all."""
        return self.name == EVERYONE

    @property
    def account(self) -> str | None:
        """The twelve digits of the account, where the principal names one."""
        if self.name.isdigit() and len(self.name) == 12:
            return self.name
        parts = self.name.split(":")
        return parts[4] if len(parts) > 5 and parts[0] == "arn" and parts[4] else None


@dataclass(frozen=True)
class Condition:
    """One condition: operator as written, key in lower case, its values."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def binding(self) -> bool:
        """Say whether the condition can refuse: not when a missing key satisfies it, nor with a bare ``*``."""
        set_operator, _, operator = self.operator.lower().rpartition(":")
        # ForAllValues holds of the empty set too, so a request without the key passes (IAM User Guide,
        # "Set operators for multivalued context keys").
        if operator.endswith("ifexists") or operator == "null" or set_operator == "forallvalues":
            return False
        return bool(self.values) and not any(value.strip("*?") == "" for value in self.values)

    @property
    def negated(self) -> bool:
        """Say whether the operator is a ``Not`` one (``StringNotEquals``), which excludes instead of naming."""
        return "not" in self.operator.lower()


@dataclass(frozen=True)
class Statement:
    """One statement; actions in lower case, everything as tuples. ``path`` says where in the document."""

    path: str
    sid: str
    allows: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: tuple[Principal, ...]
    not_principals: tuple[Principal, ...]
    conditions: tuple[Condition, ...]

    @property
    def every_action(self) -> bool:
        """Say whether a bare wildcard stands among the actions."""
        return any(action.strip("*") in ("", ":") for action in self.actions)

    @property
    def every_resource(self) -> bool:
        """Say whether the statement is about any resource at all."""
        return EVERYONE in self.resources or any(_bare_arn(resource) for resource in self.resources)

    @property
    def everyone(self) -> bool:
        """Say whether the statement names everybody as principal."""
        return any(principal.everyone for principal in self.principals)

    def binding(self, *keys: str) -> list[Condition]:
        """Return the conditions that can refuse, on these keys (a trailing ``*`` matches the rest)."""
        return [
            condition
            for condition in self.conditions
            if condition.binding and any(fnmatchcase(condition.key, key.lower()) for key in keys or ("*",))
        ]

    def grants(self, action: str) -> bool:
        """Say whether ``action`` (``iam:PassRole``) is among those of an Allow, by wildcard or by ``NotAction``."""
        wanted = action.lower()
        if not self.allows:
            return False
        if self.not_actions:
            return not any(fnmatchcase(wanted, pattern) for pattern in self.not_actions)
        return any(fnmatchcase(wanted, pattern) for pattern in self.actions)


def statements(node: Node, path: str) -> list[Statement]:
    """Parse the document at ``path`` (JSON text, or an object where a provider takes one).

    Raises:
        UnknownReference: the document, or a part of it, is unknown.
        Malformed: it is not a policy document.
    """
    where = f"{node.path}.{path}" if node.path else path
    document = node.reference(path)
    if document is None:
        return []
    if isinstance(document, str):
        document = _parsed(document, where)
    if not isinstance(document, Mapping):
        raise Malformed(where)
    members = document.get("Statement")
    members = members if isinstance(members, list) else [members]
    if not members or not all(isinstance(member, Mapping) for member in members):
        raise Malformed(f"{where}.Statement")
    return [_statement(member, f"{where}.Statement[{index}]") for index, member in enumerate(members)]


def _parsed(text: str, where: str) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise Malformed(where)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed(where) from None


def _statement(raw: Mapping[str, Any], where: str) -> Statement:
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise Malformed(f"{where}.Effect")
    return Statement(
        path=where,
        sid=raw["Sid"] if isinstance(raw.get("Sid"), str) else "",
        allows=raw["Effect"] == "Allow",
        actions=tuple(action.lower() for action in _texts(raw, "Action", where)),
        not_actions=tuple(action.lower() for action in _texts(raw, "NotAction", where)),
        resources=_texts(raw, "Resource", where),
        not_resources=_texts(raw, "NotResource", where),
        principals=tuple(_principals(raw.get("Principal"), f"{where}.Principal")),
        not_principals=tuple(_principals(raw.get("NotPrincipal"), f"{where}.NotPrincipal")),
        conditions=tuple(_conditions(raw.get("Condition"), f"{where}.Condition")),
    )


def _texts(raw: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    return tuple(_list_of_texts(raw.get(key), f"{where}.{key}"))


def _list_of_texts(value: Any, where: str) -> Sequence[str]:
    if value is None:
        return ()
    if value is UNKNOWN:
        raise UnknownReference(where)
    members = value if isinstance(value, list) else [value]
    if any(member is UNKNOWN for member in members):
        raise UnknownReference(where)
    if not all(isinstance(member, str | int | bool) for member in members):
        raise Malformed(where)
    return [str(member).lower() if isinstance(member, bool) else str(member) for member in members]


def _principals(value: Any, where: str) -> Iterator[Principal]:
    if isinstance(value, str):
        yield Principal("AWS", value)
    elif isinstance(value, Mapping):
        for kind, names in value.items():
            for name in _list_of_texts(names, f"{where}.{kind}"):
                yield Principal(kind, name)
    elif value is not None:
        raise Malformed(where)


def _conditions(value: Any, where: str) -> Iterator[Condition]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise Malformed(where)
    for operator, keys in value.items():
        if not isinstance(keys, Mapping):
            raise Malformed(f"{where}.{operator}")
        for key, values in keys.items():
            yield Condition(operator, key.lower(), tuple(_list_of_texts(values, f"{where}.{operator}.{key}")))


def _bare_arn(resource: str) -> bool:
    return resource.startswith("arn:") and all(part in ("", "*") for part in resource.split(":")[2:])


@cache
def _access_levels() -> dict[str, str]:
    """Every action in lower case, and its access level."""
    return {
        action.lower(): level
        for level in (*READ_LEVELS, *WRITE_LEVELS)
        for action in get_actions_with_access_level("all", level)
    }


@cache
def _all_actions() -> frozenset[str]:
    return frozenset(action.lower() for action in get_all_actions())


@cache
def _without_resources() -> frozenset[str]:
    return frozenset(action.lower() for action in get_actions_that_support_wildcard_arns_only("all"))


@cache
def expanded(pattern: str) -> frozenset[str]:
    """Return the real actions that a lower-case pattern covers; one that AWS does not know stands for itself."""
    if "*" not in pattern and "?" not in pattern:
        return frozenset({pattern})
    service, _, _ = pattern.partition(":")
    candidates = _all_actions()
    if "*" not in service and "?" not in service:
        candidates = _actions_of(service)
    return frozenset(action for action in candidates if fnmatchcase(action, pattern))


@cache
def _actions_of(service: str) -> frozenset[str]:
    return frozenset(action for action in _all_actions() if action.startswith(f"{service}:"))


def writes(action: str) -> bool:
    """Say whether an action changes something; one that the database does not know counts as a write."""
    return _access_levels().get(action, "Write") in WRITE_LEVELS


def takes_resources(action: str) -> bool:
    """Say whether an action can be narrowed to resources: ``*`` is the only choice for those that cannot."""
    return action not in _without_resources()
