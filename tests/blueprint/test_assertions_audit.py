"""What is asserted of the archive holds where every log reaches it whole, and not where one is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Outcome, ask
from blueprint.rehearsal.assertions.audit import audit as assertions
from blueprint.rehearsal.emulator import Emulator

ID = "123456789012"
ROLE = f"arn:aws:iam::{ID}:role/archive"
GROUPS = ("aws-waf-logs-edge", "/platform/data-api/audit", "/platform/gateway/queries")


@contextmanager
def account(*, left_out: str = "", pattern: str = "") -> Iterator[Account]:
    with Emulator(account_id=ID) as emulator:
        emulator.wait()
        made = Account(
            endpoint=emulator.endpoint, home_region="us-east-1", backup_region="us-west-2", applied=()
        )
        made.client("s3").create_bucket(Bucket="archive")
        stream = made.client("firehose").create_delivery_stream(
            DeliveryStreamName="archive",
            ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::archive"},
        )["DeliveryStreamARN"]
        logs = made.client("logs")
        for name in (*GROUPS, "/platform/other"):
            logs.create_log_group(logGroupName=name)
            if name not in (left_out, "/platform/other"):
                logs.put_subscription_filter(
                    logGroupName=name,
                    filterName="archive",
                    filterPattern=pattern,
                    destinationArn=stream,
                    roleArn=ROLE,
                )
        yield made


def asked(made: Account) -> Outcome:
    (assertion,) = [each for each in assertions.found if "into the archive" in each.sentence]
    return ask("audit", assertion, made)


def test_every_log_that_auditors_ask_about_is_archived() -> None:
    with account() as made:
        outcome = asked(made)
    assert (outcome.looked_at, outcome.broken) == (len(GROUPS), ())


@pytest.mark.parametrize("left_out", GROUPS)
def test_a_log_that_is_left_out_is_told(left_out: str) -> None:
    with account(left_out=left_out) as made:
        assert asked(made).broken == (left_out,)


def test_a_part_of_a_log_is_not_enough() -> None:
    with account(pattern="{ $.decision = deny }") as made:
        assert set(asked(made).broken) == set(GROUPS)
