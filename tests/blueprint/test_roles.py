"""Who may do what, said of every role as AWS reads its policies."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws
import pytest

from blueprint.errors import BadInput
from blueprint.roles import documents_of, roles_of, totals
from tests.blueprint.commands import blueprint
from tests.policies.cases import recorded

TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}


def text(*statements: Any) -> str:
    return json.dumps({"Statement": list(statements)})


def of_a_role(*, inline: str | None = None, beside: str | None = None, attached: str | None = None) -> Any:
    def program() -> None:
        blocks: Any = [{"name": "p", "policy": inline}] if inline else None
        role = aws.iam.Role("role", assume_role_policy=text(TRUST), inline_policies=blocks)
        if beside:
            aws.iam.RolePolicy("beside", role=role.id, policy=beside)
        if attached:
            policy = aws.iam.Policy("policy", policy=attached)
            aws.iam.RolePolicyAttachment("attached", role=role.name, policy_arn=policy.arn)
        aws.iam.RolePolicyAttachment(
            "aws", role=role.name, policy_arn="arn:aws:iam::aws:policy/ReadOnlyAccess"
        )

    return program


def test_a_role_may_what_stands_inside_beside_and_attached() -> None:
    def allows(action: str) -> str:
        return text({"Effect": "Allow", "Action": action, "Resource": "*"})

    program = of_a_role(
        inline=allows("s3:Get*"), beside=allows("kms:Sign"), attached=allows("sqs:SendMessage")
    )
    (role,) = roles_of(recorded(program))
    assert {action for statement in role.rights for action in statement.actions} == {
        "s3:Get*",
        "kms:Sign",
        "sqs:SendMessage",
    }
    assert role.managed == ("arn:aws:iam::aws:policy/ReadOnlyAccess",)
    assert role.trust[0].principals == ("Service ec2.amazonaws.com",)
    assert "3 statements on any resource without a condition, 1 roles without a boundary" in totals([role])


def test_what_is_refused_and_what_is_excepted_is_said_so() -> None:
    policy = text(
        {"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*", "Condition": {"Bool": {"a": "b"}}}
    )
    (role,) = roles_of(recorded(of_a_role(beside=policy)))
    (statement,) = role.rights
    assert (statement.effect, statement.but_actions, statement.conditions) == (
        "Deny",
        ("iam:*",),
        ("Bool a = b",),
    )


@pytest.mark.parametrize(
    "policy",
    [
        "[]",
        "{}",
        '{"Statement": 3}',
        "no json",
        '{"Statement": {"Effect": "Allow", "Condition": [1]}}',
        "[" * 9999,
    ],
)
def test_what_is_no_policy_gets_one_message(policy: str) -> None:
    with pytest.raises(
        BadInput, match="a policy of role is no policy document; write it as JSON with a Statement"
    ):
        roles_of(recorded(of_a_role(beside=policy)))


def test_every_document_is_found_wherever_it_stands() -> None:
    def program() -> None:
        aws.sns.TopicPolicy("topic", arn="arn:aws:sns:x", policy=text(TRUST))
        of_a_role(inline=text(TRUST))()

    found = {(resource.name, path) for resource, path, _ in documents_of(recorded(program))}
    assert found == {
        ("topic", "policy"),
        ("role", "assumeRolePolicy"),
        ("role", "inlinePolicies[0].policy"),
    }


def test_the_command_says_who_may_do_what() -> None:
    listed = blueprint("roles", "dev", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    said = json.loads(listed.stdout)
    roles = {role["name"]: role for role in said["roles"]}
    assert said["schema"] == 1
    assert roles["gateway-identity-role"]["pods"] == ["serving/gateway"]
    assert all(role["boundary"] for role in roles.values())
    shown = blueprint("roles", "dev")
    assert "trainer-identity-role" in shown.stdout
    assert shown.stdout.strip().splitlines()[-1].endswith("0 roles without a boundary")


def test_an_environment_that_is_not_there_gets_one_message() -> None:
    ran = blueprint("roles", "prd")
    assert ran.returncode == 2
    assert "did you mean prod?" in ran.stderr
