"""Policy documents are read as AWS reads them, whatever form they come in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from machinery.documents import Condition, Principal, Statement, expanded, statements, takes_resources, writes
from machinery.subject import Malformed, Node, UnknownReference
from machinery.values import UNKNOWN


def read(*raw: Any, whole: Any = None) -> list[Statement]:
    document = whole if whole is not None else {"Statement": list(raw)}
    return statements(Node(value={"policy": json.dumps(document)}), "policy")


def one(**raw: Any) -> Statement:
    return read({"Effect": "Allow", **raw})[0]


def test_scalars_and_lists_are_the_same() -> None:
    assert (
        one(Action="s3:GetObject", Resource="*").actions
        == one(Action=["S3:getobject"], Resource=["*"]).actions
    )


def test_a_statement_need_not_be_in_a_list() -> None:
    assert len(read(whole={"Statement": {"Effect": "Deny", "Action": "*"}})) == 1


@pytest.mark.parametrize(
    ("raw", "principals"),
    [
        ("*", [Principal("AWS", "*")]),
        ({"AWS": "*"}, [Principal("AWS", "*")]),
        ({"AWS": ["111122223333", "*"]}, [Principal("AWS", "111122223333"), Principal("AWS", "*")]),
        ({"Service": "s3.amazonaws.com"}, [Principal("Service", "s3.amazonaws.com")]),
    ],
)
def test_principals_come_in_every_form(raw: Any, principals: list[Principal]) -> None:
    assert list(one(Action="*", Principal=raw).principals) == principals


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("111122223333", "111122223333"),
        ("arn:aws:iam::111122223333:role/x", "111122223333"),
        ("s3.amazonaws.com", None),
    ],
)
def test_a_principal_knows_its_account(name: str, account: str | None) -> None:
    assert Principal("AWS", name).account == account


@pytest.mark.parametrize(
    ("raw", "action", "granted"),
    [
        ({"Action": "IAM:PassRole"}, "iam:PassRole", True),
        ({"Action": "iam:Pass*"}, "iam:PassRole", True),
        ({"Action": "i?m:*"}, "iam:PassRole", True),
        ({"Action": "*"}, "iam:PassRole", True),
        ({"Action": "s3:*"}, "iam:PassRole", False),
        ({"NotAction": "s3:*"}, "iam:PassRole", True),
        ({"NotAction": ["iam:*"]}, "iam:PassRole", False),
    ],
)
def test_wildcards_and_exceptions_grant(raw: dict[str, Any], action: str, granted: bool) -> None:
    assert one(**raw).grants(action) is granted


def test_a_refusal_grants_nothing() -> None:
    assert not read({"Effect": "Deny", "Action": "*"})[0].grants("s3:GetObject")


@pytest.mark.parametrize(
    ("operator", "values", "binding"),
    [
        ("StringEquals", ("a",), True),
        ("StringLike", ("a*",), True),
        ("StringLike", ("*",), False),
        ("StringEqualsIfExists", ("a",), False),
        ("ForAllValues:StringEquals", ("a",), False),
        ("ForAnyValue:StringEquals", ("a",), True),
        ("Null", ("false",), False),
        ("StringEquals", (), False),
        ("StringEquals", ("a", "*"), False),
    ],
)
def test_a_condition_that_can_always_be_met_binds_nothing(
    operator: str, values: tuple[str, ...], binding: bool
) -> None:
    assert Condition(operator, "aws:x", values).binding is binding


def test_condition_keys_are_case_insensitive() -> None:
    statement = one(Action="*", Condition={"Bool": {"AWS:MultiFactorAuthPresent": True}})
    assert [c.values for c in statement.binding("aws:multifactorauthpresent")] == [("true",)]


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "3",
        "{}",
        '{"Statement": []}',
        '{"Statement": [3]}',
        '{"Statement": {"Effect": "Perhaps"}}',
        "not json",
        '{"Statement": {"Effect": "Allow", "Action": {"a": 1}}}',
        "[" * 100_000,
        " " * 100_000 + "{}",
    ],
)
def test_what_is_no_document_is_malformed(document: str) -> None:
    with pytest.raises(Malformed):
        statements(Node(value={"policy": document}), "policy")


@pytest.mark.parametrize(
    "value", [UNKNOWN, {"Statement": UNKNOWN}, {"Statement": [{"Effect": "Allow", "Action": UNKNOWN}]}]
)
def test_an_unknown_document_is_a_reference(value: Any) -> None:
    with pytest.raises((UnknownReference, Malformed)):
        statements(Node(value={"policy": value}), "policy")


def test_a_missing_document_says_nothing() -> None:
    assert statements(Node(value={}), "policy") == []


def test_the_iam_database_knows_what_an_action_does() -> None:
    assert writes("s3:putobject")
    assert not writes("s3:getobject")
    assert writes("nosuchservice:anything")
    assert takes_resources("s3:putobject")
    assert not takes_resources("ecr:getauthorizationtoken")
    assert "iam:passrole" in expanded("iam:pass*")
    assert expanded("s3:nosuchaction") == {"s3:nosuchaction"}
