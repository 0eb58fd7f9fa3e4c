"""Who may do what: every role of a graph with its trust, its rights and its boundary, as AWS reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint.errors import BadInput
from blueprint.graph import SECRET, SIGNATURE, UNKNOWN, Graph, Resource

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
POLICY = "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy document; lists, whatever form it was written in."""

    sid: str
    effect: str
    actions: tuple[str, ...]
    but_actions: tuple[str, ...]
    """Where it says ``NotAction``: everything but these."""
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    conditions: tuple[str, ...]
    """Each as ``StringEquals aws:ResourceTag/x = y, z``."""

    @property
    def allows(self) -> bool:
        """Say whether it allows, and does not refuse."""
        return self.effect == "Allow"

    def as_json_value(self) -> dict[str, Any]:
        """Return the statement for machines."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in self.__dict__.items()
        }


@dataclass(frozen=True, kw_only=True)
class Role:
    """One role: who becomes it, and what it may do then."""

    name: str
    """Its name in the program."""
    arn: str
    about: str
    trust: tuple[Statement, ...]
    rights: tuple[Statement, ...]
    managed: tuple[str, ...]
    """Policies of AWS's or of another stack that are attached to it."""
    boundary: str
    pods: tuple[str, ...]
    """Service accounts that wear it, ``namespace/account``."""

    def as_json_value(self) -> dict[str, Any]:
        """Return the role for machines."""
        return {
            **self.__dict__,
            "trust": [statement.as_json_value() for statement in self.trust],
            "rights": [statement.as_json_value() for statement in self.rights],
            "managed": list(self.managed),
            "pods": list(self.pods),
        }


def roles_of(graph: Graph) -> tuple[Role, ...]:
    """Return the roles of a graph, by name.

    Raises:
        BadInput: a policy is not known yet, or is no policy.
    """
    made = _Policies(graph)
    return tuple(sorted((made.role(each) for each in graph.of(ROLE)), key=lambda role: (role.name, role.arn)))


class _Policies:
    """The policies of a graph, by the role that they are on."""

    def __init__(self, graph: Graph) -> None:
        self._beside: dict[str, list[Resource]] = {}
        self._managed: dict[str, list[str]] = {}
        self._pods: dict[str, list[str]] = {}
        policies = {_text(policy.outputs.get("arn")): policy for policy in graph.of(POLICY)}
        for policy in graph.of(ROLE_POLICY):
            self._beside.setdefault(_text(policy.inputs.get("role")), []).append(policy)
        for attachment in graph.of(ATTACHMENT):
            role, arn = (_text(attachment.inputs.get(key)) for key in ("role", "policyArn"))
            if arn in policies:
                self._beside.setdefault(role, []).append(policies[arn])
            else:
                self._managed.setdefault(role, []).append(arn)
        for association in graph.of(ASSOCIATION):
            place = "/".join(_text(association.inputs.get(key)) for key in ("namespace", "serviceAccount"))
            self._pods.setdefault(_text(association.inputs.get("roleArn")), []).append(place)

    def role(self, role: Resource) -> Role:
        name, arn = (_text(role.outputs.get(key)) for key in ("name", "arn"))
        inline = role.inputs.get("inlinePolicies")
        documents = [policy.inputs.get("policy") for policy in self._beside.get(name, ())]
        documents += [each.get("policy") for each in (inline if isinstance(inline, list) else ())]
        rights = [statement for document in documents for statement in statements(document, role)]
        return Role(
            name=role.name,
            arn=arn,
            about=_text(role.inputs.get("description")),
            trust=tuple(statements(role.inputs.get("assumeRolePolicy"), role)),
            rights=tuple(rights),
            managed=tuple(
                sorted([*self._managed.get(name, ()), *_texts(role.inputs.get("managedPolicyArns"))])
            ),
            boundary=_text(role.inputs.get("permissionsBoundary")),
            pods=tuple(sorted(self._pods.get(arn, ()))),
        )


def documents_of(graph: Graph) -> Iterator[tuple[Resource, str, list[Statement]]]:
    """Yield every policy document of a graph: the resource, the property that it stands at, its statements.

    A document is what reads as one: JSON text with a ``Statement``.

    Raises:
        BadInput: one of them is no policy.
    """
    for resource in graph.resources:
        for path, text in _leaves(resource.inputs):
            if "Statement" in text and text.lstrip().startswith("{"):
                yield resource, path, list(statements(text, resource))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    waiting = [(path, value)]
    while waiting:
        at, found = waiting.pop()
        found = _plain(found)
        if isinstance(found, Mapping):
            waiting += [(f"{at}.{key}".strip("."), item) for key, item in found.items()]
        elif isinstance(found, list):
            waiting += [(f"{at}[{index}]", item) for index, item in enumerate(found)]
        elif isinstance(found, str):
            yield at, found


def statements(document: Any, holder: Resource) -> Iterator[Statement]:
    """Yield the statements of a policy document.

    Raises:
        BadInput: it is not known yet, or is no policy.
    """
    text = _plain(document)
    if text is None or text == "":
        return
    try:
        found = (json.loads(text) if isinstance(text, str) else text)["Statement"]
        yield from [_statement(each) for each in (found if isinstance(found, list) else [found])]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        known = "is not known before the update" if text == UNKNOWN else "is no policy document"
        raise BadInput(
            f"{holder.source or holder.urn}: a policy of {holder.name} {known}; write it as JSON with a Statement"
        ) from None


def _statement(raw: Mapping[str, Any]) -> Statement:
    principals = raw.get("Principal", raw.get("NotPrincipal", {}))
    if isinstance(principals, str):
        principals = {"AWS": principals}
    conditions = [
        f"{operator} {key} = {', '.join(_texts(values))}"
        for operator, keys in (raw.get("Condition") or {}).items()
        for key, values in keys.items()
    ]
    return Statement(
        sid=str(raw.get("Sid", "")),
        effect=str(raw["Effect"]),
        actions=_texts(raw.get("Action")),
        but_actions=_texts(raw.get("NotAction")),
        resources=_texts(raw.get("Resource", raw.get("NotResource"))),
        principals=tuple(f"{kind} {name}" for kind, names in principals.items() for name in _texts(names)),
        conditions=tuple(conditions),
    )


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value if isinstance(value, list) else [value]))


def _plain(value: Any) -> Any:
    secret = isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET
    return value.get("value") if secret else value


def _text(value: Any) -> str:
    found = _plain(value)
    return found if isinstance(found, str) else ""


# --- for people ------------------------------------------------------------------------------------------


def show(roles: Sequence[Role], console: Console) -> None:
    """Print a table for each role: one row for each statement, and who becomes it above."""
    for role in roles:
        console.print(_table(role))
        console.print()
    console.print(totals(roles), soft_wrap=True)


def _table(role: Role) -> Table:
    who = "\n".join((role.name, *_who(role)))
    table = Table(title=Text(who), title_justify="left", title_style="", show_lines=True, expand=True)
    for column, ratio in (("May", 2), ("On", 3), ("If", 2)):
        table.add_column(column, ratio=ratio, overflow="fold")
    for statement in role.rights:
        actions = (
            [f"all but {', '.join(statement.but_actions)}"] if statement.but_actions else statement.actions
        )
        refused = [] if statement.allows else ["never:"]
        table.add_row(_lines([*refused, *actions]), _lines(statement.resources), _lines(statement.conditions))
    for arn in role.managed:
        table.add_row(Text(f"what {arn.rpartition('/')[2]} allows"), Text(""), Text(""))
    if not role.rights and not role.managed:
        table.add_row(Text("nothing"), Text(""), Text(""))
    return table


def totals(roles: Iterable[Role]) -> str:
    """Return one line that says everything in numbers."""
    found = list(roles)
    allowed = [statement for role in found for statement in role.rights if statement.allows]
    free = sum(not statement.conditions and "*" in statement.resources for statement in allowed)
    return (
        f"{len(found)} roles, {len(allowed)} statements that allow, "
        f"{len({action for statement in allowed for action in statement.actions})} different actions; "
        f"{free} statements on any resource without a condition, "
        f"{sum(not role.boundary for role in found)} roles without a boundary"
    )


def _who(role: Role) -> list[str]:
    if role.pods:
        return [f"pods of {place}" for place in role.pods]
    return [
        line
        for statement in role.trust
        for line in (*statement.principals, *(f"if {condition}" for condition in statement.conditions))
    ]


def _lines(texts: Sequence[str]) -> Text:
    return Text("\n".join(texts))
