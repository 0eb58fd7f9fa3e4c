"""Every role may do what AWS knows and its program does, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache

import pytest
from policy_sentry.querying.actions import get_action_data
from policy_sentry.querying.all import get_all_actions

from blueprint import program
from blueprint.graph import Graph
from blueprint.roles import Role, Statement, documents_of, roles_of
from machinery.patterns import overlap
from tests.stacks.calls import ROOT, calls_of

ENVIRONMENTS = ["dev", "staging", "prod"]


@cache
def graph(environment: str) -> Graph:
    return program.run(environment)


@cache
def known() -> frozenset[str]:
    """Every action of AWS in lower case (policy_sentry, from the Service Authorization Reference)."""
    return frozenset(action.lower() for action in get_all_actions())


# --- what is written is known to AWS -----------------------------------------------------------------------


def written(environment: str) -> Iterator[tuple[str, str]]:
    """Yield ``(where, action)`` of every policy document of an environment."""
    for resource, path, statements in documents_of(graph(environment)):
        for statement in statements:
            for action in (*statement.actions, *statement.but_actions):
                yield f"{resource.name} {path} {statement.sid}", action


def exists(action: str) -> bool:
    return (
        any(fnmatchcase(each, action.lower()) for each in known())
        if "*" in action
        else action.lower() in known()
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_action_in_every_policy_exists(environment: str) -> None:
    found = list(written(environment))
    assert len(found) > 300
    assert [f"{where}: {action}" for where, action in found if not exists(action)] == []


def test_an_action_that_does_not_exist_is_told() -> None:
    assert not exists("s3:GetObjects")
    assert not exists("kms:Sing*")
    assert exists("kms:ReEncrypt*")


# --- an action stands beside something that it can be about ------------------------------------------------


@cache
def forms_of(action: str) -> tuple[str, ...]:
    """Return the forms of ARNs that an action can be about; none where it takes ``*`` alone."""
    service, _, name = action.partition(":")
    rows = get_action_data(service, name)[service]
    return tuple(sorted({row["resource_arn_format"] for row in rows} - {"*"}))


def can_mean(pattern: str, form: str) -> bool:
    """Say whether a resource in a policy may be of a form (``arn:${Partition}:s3:::${BucketName}``)."""
    # No bucket has a slash in its name, so whatever has one before its first wildcard is an object.
    if form.endswith("${BucketName}") and "/" in pattern.partition("*")[0]:
        return False
    ours, theirs = pattern.split(":", 5), re.sub(r"\$\{\w+\}", "*", form).split(":", 5)
    return len(ours) < 6 or all(map(overlap, ours, theirs))


def idle(role: Role) -> Iterator[str]:
    """Yield the actions of a role that no resource beside them can be about: they grant nothing."""
    for statement in role.rights:
        for action in statement.actions:
            forms = forms_of(action) if "*" not in action else ()
            if forms and not any(
                can_mean(resource, form) for resource in statement.resources for form in forms
            ):
                yield f"{role.name} {statement.sid}: {action}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_right_is_about_nothing(environment: str) -> None:
    roles = roles_of(graph(environment))
    assert len(roles) > 20
    assert [right for role in roles for right in idle(role)] == []


def test_a_right_about_the_wrong_kind_of_thing_is_told() -> None:
    statement = Statement(
        sid="s",
        effect="Allow",
        actions=("s3:ListBucket", "s3:GetObject"),
        but_actions=(),
        resources=("arn:aws:s3:::models/released/*",),
        principals=(),
        conditions=(),
    )
    role = Role(name="r", arn="a", about="", trust=(), rights=(statement,), managed=(), boundary="", pods=())
    assert list(idle(role)) == ["r s: s3:ListBucket"]


# --- what is granted is used, and what is used is granted --------------------------------------------------

PROGRAMS = {
    "data-api": "services.data_api.__main__",
    "gateway": "services.gateway.__main__",
    "ip-blocker": "services.ip_blocker.handler",
    "redteam": "services.redteam.__main__",
    "trainer": "services.trainer.__main__",
}
"""What runs under each role."""

GRANTED_ONLY = {
    ("ip-blocker", "logs:CreateLogStream"): "Lambda writes the function's log with the function's role",
    ("ip-blocker", "logs:PutLogEvents"): "Lambda writes the function's log with the function's role",
    (
        "ip-blocker",
        "sqs:SendMessage",
    ): "Lambda leaves what failed in the dead letters with the function's role",
}
"""What a role may do that no line of its program asks for, and why."""

CALLED_ONLY = {
    ("gateway", "kms:Sign"): "the keys' module signs for others; the gateway imports its verifiers alone",
}
"""What stands in a module that a program reaches, and is never called by it."""


def role_of(service: str) -> Role:
    """Return the role of a service's pods, or of its function."""
    made = graph("prod")
    if service == "ip-blocker":
        (function,) = made.of("aws:lambda/function:Function")
        assert function.inputs["handler"].startswith("services.ip_blocker.handler.")
        return next(role for role in roles_of(made) if role.arn == function.inputs["role"])
    (role,) = [role for role in roles_of(made) if any(pod.endswith(f"/{service}") for pod in role.pods)]
    return role


_USES_OF_KEYS = {"kms:Decrypt", "kms:GenerateDataKey"}
_VIA = re.compile(r"StringEquals kms:ViaService = (.+)")


def granted(service: str) -> set[str]:
    """Return what a role may do, but for the use of keys by way of the services that it calls anyway."""
    role = role_of(service)
    asked = {call.service for call in calls_of(PROGRAMS[service])}
    asked |= {action.partition(":")[0] for who, action in GRANTED_ONLY if who == service}
    found: set[str] = set()
    for statement in role.rights:
        via = next((m[1] for c in statement.conditions if (m := _VIA.fullmatch(c))), "")
        through = {each.partition(".")[0] for each in via.split(", ")} if via else set()
        found |= set(statement.actions) - (_USES_OF_KEYS if through and through <= asked else set())
    return found


@pytest.mark.parametrize("service", PROGRAMS)
def test_a_role_may_do_whatever_its_program_does(service: str) -> None:
    needed = {call.action for call in calls_of(PROGRAMS[service])}
    assert needed <= known_as_written(needed), "IAM calls an operation by another name; add it to calls.py"
    missing = needed - granted(service) - {action for who, action in CALLED_ONLY if who == service}
    assert missing == set()


def known_as_written(actions: set[str]) -> set[str]:
    return {action for action in actions if exists(action)}


@pytest.mark.parametrize("service", PROGRAMS)
def test_a_role_may_do_nothing_that_its_program_does_not(service: str) -> None:
    needed = {call.action for call in calls_of(PROGRAMS[service])}
    assert granted(service) - needed == {action for who, action in GRANTED_ONLY if who == service}


def test_what_is_called_only_is_still_reached() -> None:
    for service, action in CALLED_ONLY:
        assert action in {call.action for call in calls_of(PROGRAMS[service])}


def test_the_gateway_imports_nothing_that_signs() -> None:
    for path in (ROOT / "services" / "gateway").rglob("*.py"):
        if ".venv" in path.parts or path.name in ("local.py", "bench.py"):
            continue
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module == "services.modelchain.keys"
            for alias in node.names
        }
        assert not {"kms_signer", "file_signer", "Signer"} & names, path


WILDCARDS = {
    "kms:GenerateDataKey*": 'KMS Developer Guide, "Allows key users to use the KMS key": with a plain text and without',
    "kms:ReEncrypt*": "the same: from a key and to one",
}


def test_wildcards_of_actions_are_those_that_aws_writes_itself() -> None:
    wide = {
        action
        for environment in ENVIRONMENTS
        for role in roles_of(graph(environment))
        for statement in role.rights
        if statement.allows
        for action in statement.actions
        if "*" in action
    }
    assert wide == set(WILDCARDS)
