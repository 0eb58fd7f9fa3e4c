"""What is asserted of the services' roles holds of good ones and not of careless ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Outcome, ask
from blueprint.rehearsal.assertions.services import services as assertions
from blueprint.rehearsal.emulator import Emulator

PODS = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Principal": {"Service": "pods.eks.amazonaws.com"},
        }
    ]
}
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
USER = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-1/data_api"
CANDIDATES, RELEASED = "arn:aws:s3:::models/candidates/*", "arn:aws:s3:::models/released/*"

Right = tuple[str, str]

TRAINS: Right = ("s3:PutObject", CANDIDATES)
RELEASES: Right = ("s3:PutObject", RELEASED)
SIGNS: Right = ("kms:Sign", KEY)
SIGNS_ITS_OWN: Right = ("kms:Sign", KEY.replace("1111", "9999"))
READS: Right = ("rds-db:connect", USER)


@contextmanager
def account(**roles: list[Right]) -> Iterator[Account]:
    with Emulator(account_id="123456789012") as emulator:
        emulator.wait()
        made = Account(
            endpoint=emulator.endpoint, home_region="us-east-1", backup_region="us-west-2", applied=()
        )
        iam = made.client("iam")
        for name, rights in roles.items():
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(PODS))
            statements = [{"Effect": "Allow", "Action": a, "Resource": [r]} for a, r in rights]
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        yield made


def asked(made: Account, words: str) -> Outcome:
    (assertion,) = [each for each in assertions.found if words in each.sentence]
    return ask("services", assertion, made)


GOOD: dict[str, list[Right]] = {
    "trainer": [TRAINS, SIGNS_ITS_OWN],
    "redteam": [RELEASES, SIGNS],
    "api": [READS],
}

CARELESS: dict[str, tuple[str, dict[str, list[Right]]]] = {
    "a trainer that signs what serves": ("sign with no key", {"trainer": [TRAINS, SIGNS]}),
    "a trainer with every right of a key": ("sign with no key", {"trainer": [TRAINS, ("kms:*", KEY)]}),
    "a trainer with every key": (
        "sign with no key",
        {"trainer": [TRAINS, ("kms:Sign", "arn:aws:kms:*:*:key/*")]},
    ),
    "a release without a signature": ("Released models", {"other": [RELEASES]}),
    "a signer that releases nothing": ("Released models", {"other": [SIGNS]}),
    "who writes the whole bucket": ("Released models", {"other": [("s3:*", "arn:aws:s3:::models/*")]}),
    "two readers of the database": ("sign in to the database", {"other": [READS]}),
    "every user of the database": (
        "sign in to the database",
        {"api": [("rds-db:connect", USER.replace("data_api", "*"))]},
    ),
}


def test_good_roles_are_found_good() -> None:
    with account(**GOOD) as made:
        for words in ("sign with no key", "Released models", "sign in to the database"):
            outcome = asked(made, words)
            assert outcome.holds
            assert outcome.looked_at == 3


@pytest.mark.parametrize("case", CARELESS)
def test_careless_roles_are_found(case: str) -> None:
    words, roles = CARELESS[case]
    with account(**{**GOOD, **roles}) as made:
        assert not asked(made, words).holds


@pytest.mark.parametrize("actions", [["arn:aws:sns:us-east-1:123456789012:alerts"], []])
def test_a_count_that_nobody_hears_is_found(actions: list[str]) -> None:
    with account() as made:
        logs: Any = made.client("logs")
        logs.create_log_group(logGroupName="g")
        logs.put_metric_filter(
            logGroupName="g",
            filterName="refusals",
            filterPattern="deny",
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )
        made.client("cloudwatch").put_metric_alarm(
            AlarmName="a",
            Namespace="n",
            MetricName="m",
            Period=300,
            EvaluationPeriods=1,
            Threshold=1,
            Statistic="Sum",
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=actions,
        )
        assert asked(made, "raises an alarm").holds == bool(actions)


@pytest.mark.parametrize("condition", [{"StringEquals": {"aws:PrincipalTag/x": "y"}}, {}])
def test_a_key_that_lets_the_account_sign_is_found(condition: dict[str, Any]) -> None:
    sign = {"Effect": "Allow", "Principal": "*", "Action": "kms:Sign", "Resource": "*"}
    statement = {**sign, "Condition": condition} if condition else sign
    with account() as made:
        made.client("kms").create_key(
            KeyUsage="SIGN_VERIFY",
            KeySpec="ECC_NIST_P256",
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        assert asked(made, "delegate signing").holds == bool(condition)
