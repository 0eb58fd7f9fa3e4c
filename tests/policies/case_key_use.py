"""Cases of the family KEY about which key something names, whose it is and how it is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case

OURS = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-000000000000"
THEIRS = OURS.replace(ACCOUNT, "999999999999")
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def channel(**more: Any) -> Callable[[], object]:
    return lambda: aws.cfg.DeliveryChannel("channel", s3_bucket_name="b", **more)


def stream(**more: Any) -> Callable[[], object]:
    return lambda: aws.kinesis.FirehoseDeliveryStream(
        "stream",
        destination="extended_s3",
        extended_s3_configuration={
            "bucket_arn": "arn:aws:s3:::b",
            "role_arn": "arn:aws:iam::1:role/r",
            "kms_key_arn": OURS,
        },
        **more,
    )


def table(encryption: Any) -> Callable[[], object]:
    return lambda: aws.dynamodb.Table(
        "table",
        hash_key="id",
        attributes=[{"name": "id", "type": "S"}],
        server_side_encryption=encryption,
    )


SEALED = {"enabled": True, "key_type": "CUSTOMER_MANAGED_CMK", "key_arn": OURS}


def topic(key: str) -> Callable[[], object]:
    return lambda: aws.sns.Topic("topic", kms_master_key_id=key)


def vault(domain: str) -> Callable[[], object]:
    def program() -> None:
        key = aws.kms.Key("key", tags={"data-domain": "backup"})
        aws.backup.Vault("vault", kms_key_arn=key.arn, tags={"data-domain": domain})

    return program


def bucket(domain: str) -> Callable[[], object]:
    def program() -> None:
        key = aws.kms.Key("key", tags={"data-domain": "models"})
        made = aws.s3.Bucket("bucket", tags={"data-domain": domain})
        aws.s3.BucketServerSideEncryptionConfiguration(
            "encryption",
            bucket=made.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    }
                }
            ],
        )

    return program


def policy(principal: Any, condition: Any = None) -> Callable[[], object]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:Decrypt", "Resource": "*"}
    if condition:
        statement["Condition"] = condition
    return lambda: aws.kms.Key("key", policy=json.dumps({"Statement": [statement]}))


def grant(account: str) -> Callable[[], object]:
    return lambda: aws.kms.Grant(
        "grant", key_id="k", grantee_principal=f"arn:aws:iam::{account}:role/r", operations=["Decrypt"]
    )


CASES = [
    Case(
        control="KEY-08",
        compliant=table({"enabled": True, "kms_key_arn": OURS}),
        violating=table({"enabled": False}),
        mentions="DynamoDB's own key",
    ),
    Case(
        control="KEY-08",
        compliant=channel(s3_kms_key_arn=OURS),
        violating=channel(),
        mentions="is missing",
    ),
    Case(
        control="KEY-08",
        compliant=stream(server_side_encryption=SEALED),
        violating=stream(),
        mentions="serverSideEncryption",
    ),
    Case(
        control="KEY-08",
        compliant=stream(server_side_encryption=SEALED),
        violating=stream(server_side_encryption={**SEALED, "enabled": False}),
        mentions="is off",
    ),
    Case(control="KEY-09", compliant=topic(OURS), violating=topic(THEIRS), mentions="of another account"),
    Case(
        control="KEY-09",
        compliant=topic(OURS),
        violating=topic("alias/aws/sns"),
        mentions="AWS's own key",
    ),
    Case(control="KEY-10", compliant=vault("backup"), violating=vault("logs"), mentions="key of backup"),
    Case(control="KEY-10", compliant=bucket("models"), violating=bucket("logs"), mentions="key of models"),
    Case(
        control="KEY-11",
        compliant=lambda: aws.kms.Key("key", tags={"data-domain": "logs"}),
        violating=lambda: aws.kms.Key("key"),
        mentions="is missing",
    ),
    Case(
        control="KEY-12",
        compliant=policy(ROOT, {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}),
        violating=policy(ROOT, {"StringEquals": {"kms:CallerAccount": ACCOUNT}}),
        mentions="use the key directly",
    ),
    Case(
        control="KEY-12",
        compliant=policy({"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"}),
        violating=policy(ROOT),
        mentions="use the key directly",
    ),
    Case(
        control="KEY-13",
        compliant=grant(ACCOUNT),
        violating=grant("999999999999"),
        mentions="of another account",
    ),
]
