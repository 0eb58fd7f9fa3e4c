"""What is new in who may do what: more actions, resources, principals, or fewer conditions; and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blueprint.access import new_access, read
from blueprint.errors import BadInput
from blueprint.roles import Role, Statement
from tests.blueprint.commands import blueprint


def allow(action: str, resource: str = "arn:aws:s3:::models/released/*", *conditions: str) -> Statement:
    return Statement(
        sid="",
        effect="Allow",
        actions=(action,),
        but_actions=(),
        resources=(resource,),
        principals=(),
        conditions=conditions,
    )


def trust(principal: str, *conditions: str) -> Statement:
    return replace(allow("sts:AssumeRole", "", *conditions), resources=(), principals=(principal,))


def role(*rights: Statement, name: str = "r", **more: object) -> Role:
    base = Role(
        name=name,
        arn="a",
        about="",
        trust=(trust("AWS x"),),
        rights=rights,
        managed=(),
        boundary="b",
        pods=(),
    )
    return replace(base, **more)  # type: ignore[arg-type]


READ = allow("s3:GetObject")


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (role(READ, allow("s3:PutObject")), "may s3:PutObject on"),
        (role(allow("s3:*")), "may s3:* on"),
        (role(allow("s3:GetObject", "*")), "may s3:GetObject on *"),
        (role(allow("s3:GetObject", "arn:aws:s3:::models/*")), "on arn:aws:s3:::models/*"),
        (role(replace(READ, actions=(), but_actions=("iam:*",))), "may all but iam:*"),
        (role(READ, trust=(trust("AWS y"),)), "may be assumed by AWS y"),
        (role(READ, managed=("arn:aws:iam::aws:policy/AdministratorAccess",)), "AdministratorAccess"),
        (role(READ, boundary=""), "another boundary, or none"),
        (role(READ, pods=("ml/other",)), "is worn by pods of ml/other"),
        (role(READ, name="other"), "other: may s3:GetObject"),
    ],
)
def test_what_a_role_may_do_beyond_before_is_told(now: Role, says: str) -> None:
    found = new_access([now], [role(READ)])
    assert any(says in str(each) for each in found), found


def test_a_condition_that_is_taken_out_makes_access_new() -> None:
    narrow = allow("kms:Decrypt", "*", "StringEquals kms:ViaService = s3")
    assert new_access([role(allow("kms:Decrypt", "*"))], [role(narrow)])
    assert new_access([role(narrow)], [role(allow("kms:Decrypt", "*"))]) == []
    assert new_access([role(trust=(trust("AWS x"),))], [role(trust=(trust("AWS x", "Bool mfa = true"),))])


@pytest.mark.parametrize(
    "now",
    [
        role(READ),
        role(),
        role(allow("S3:getobject", "arn:aws:s3:::models/released/digits")),
        role(READ, replace(allow("s3:DeleteObject"), effect="Deny")),
        role(allow("s3:GetObject", READ.resources[0], "Bool aws:SecureTransport = true")),
    ],
)
def test_what_became_less_or_is_said_otherwise_is_not_new(now: Role) -> None:
    assert new_access([now], [role(READ)]) == []


def test_the_command_compares_with_an_earlier_list(tmp_path: Path) -> None:
    listed = blueprint("roles", "dev", "--format", "json")
    file = tmp_path / "roles.json"
    file.write_text(listed.stdout)
    same = blueprint("roles", "dev", "--against", str(file))
    assert (same.returncode, same.stdout) == (0, f"0 new since {file}\n")
    file.write_text(listed.stdout.replace('"s3:PutObject"', '"s3:PutObjectTagging"'))
    more = blueprint("roles", "dev", "--against", str(file))
    assert more.returncode == 1
    assert "trainer-identity-role: may s3:PutObject on" in more.stdout


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"schema": 2, "roles": []}', '{"schema": 1, "roles": [{}]}', "[" * 99999]
)
def test_a_file_that_lists_no_roles_gets_one_message(text: str, tmp_path: Path) -> None:
    file = tmp_path / "roles.json"
    file.write_text(text)
    with pytest.raises(BadInput, match="lists no roles; write it with blueprint roles --format json"):
        read(file)


def test_a_file_that_is_not_there_gets_one_message(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read(tmp_path / "none.json")
