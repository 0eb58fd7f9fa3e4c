"""Cases of the family KEY."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case

ELSEWHERE = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-000000000000"


def key(**more: Any) -> Callable[[], object]:
    return lambda: aws.kms.Key("key", **more)


def policy(principal: Any, condition: Any = None) -> Callable[[], object]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:Decrypt", "Resource": "*"}
    if condition:
        statement["Condition"] = condition
    return key(policy=json.dumps({"Statement": [statement]}))


Named = Callable[[pulumi.Input[str] | None], object]


def stored(make: Named) -> dict[str, Callable[[], object]]:
    """Return the programs in which the key is ours, brought along, AWS's own, and missing."""
    return {
        "ours": lambda: make(aws.kms.Key("key").arn),
        "brought": lambda: make(ELSEWHERE),
        "amazons": lambda: make("alias/aws/sns"),
        "missing": lambda: make(None),
    }


TOPIC = stored(lambda arn: aws.sns.Topic("topic", kms_master_key_id=arn))
LOGS = stored(lambda arn: aws.cloudwatch.LogGroup("logs", kms_key_id=arn))
VOLUME = stored(lambda arn: aws.ebs.Volume("volume", availability_zone=f"{REGION}a", kms_key_id=arn))
DISK = stored(
    lambda arn: aws.ec2.LaunchTemplate(
        "template",
        block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"encrypted": "true", "kms_key_id": arn}}],
    )
)
ROOT = stored(
    lambda arn: aws.ec2.Instance(
        "machine", ami="ami-0abc", instance_type="t3.micro", root_block_device={"kms_key_id": arn}
    )
)
CLUSTER = stored(
    lambda arn: aws.eks.Cluster(
        "cluster",
        role_arn="arn:aws:iam::111122223333:role/c",
        vpc_config={"subnet_ids": []},
        encryption_config={"provider": {"key_arn": arn}, "resources": ["secrets"]} if arn else None,
    )
)


def by_alias() -> None:
    made = aws.kms.Key("key")
    alias = aws.kms.Alias("alias", name="alias/platform-logs", target_key_id=made.key_id)
    aws.sqs.Queue("queue", kms_master_key_id=alias.name)


def shared(other: str) -> Callable[[], object]:
    def program() -> None:
        made = aws.kms.Key("key", tags={"data-domain": "data"})
        aws.rds.Instance(
            "db", instance_class="db.m7g.large", kms_key_id=made.arn, tags={"data-domain": "data"}
        )
        bucket = aws.s3.Bucket("bucket", tags={"data-domain": other})
        aws.s3.BucketServerSideEncryptionConfiguration(
            "encryption",
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": made.arn,
                    }
                }
            ],
        )

    return program


def case(
    control: str, compliant: Callable[[], object], violating: Callable[[], object], mentions: str, **tags: str
) -> Case:
    return Case(control=control, compliant=compliant, violating=violating, mentions=mentions, tags=tags)


def unknown_switch() -> None:
    other = aws.ec2.Eip("address", domain="vpc")
    aws.kms.Key("key", enable_key_rotation=other.public_ip.apply(bool))


SIGNING = "RSA_4096"


ADMIN, USER = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("admin", "user"))
ACCOUNT_ROOT = f"arn:aws:iam::{ACCOUNT}:root"
EVERY_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"


def split(administrator: str, user: str, use: str = "kms:Decrypt") -> Callable[[], object]:
    """Return a key that one may administer and another may use."""
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": administrator},
            "Action": "kms:PutKeyPolicy",
            "Resource": "*",
        },
        {"Effect": "Allow", "Principal": {"AWS": user}, "Action": use, "Resource": "*"},
    ]
    return key(policy=json.dumps({"Statement": statements}))


def decrypting(resource: str, action: str = "kms:Decrypt", condition: Any = None) -> Callable[[], object]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return lambda: aws.iam.Policy("policy", policy=json.dumps({"Statement": statement}))


NOTEBOOK = stored(
    lambda arn: aws.sagemaker.NotebookInstance(
        "n", instance_type="ml.t3.medium", role_arn=f"arn:aws:iam::{ACCOUNT}:role/n", kms_key_id=arn
    )
)
CACHE = stored(lambda arn: aws.elasticache.ReplicationGroup("c", description="Cache", kms_key_id=arn))


CASES = [
    case("KEY-01", key(enable_key_rotation=True), key(), "enableKeyRotation"),
    case(
        "KEY-01",
        key(customer_master_key_spec=SIGNING, key_usage="SIGN_VERIFY"),
        key(enable_key_rotation=False),
        "enableKeyRotation",
    ),
    case("KEY-02", key(deletion_window_in_days=14), key(deletion_window_in_days=7), "14 days"),
    case("KEY-02", key(), key(deletion_window_in_days=29), "30 days", environment="prod"),
    case(
        "KEY-02",
        lambda: aws.kms.ReplicaKey("key", primary_key_arn=ELSEWHERE, deletion_window_in_days=30),
        lambda: aws.kms.ReplicaKey("key", primary_key_arn=ELSEWHERE, deletion_window_in_days=7),
        "14 days",
    ),
    case("KEY-03", policy({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), policy("*"), "policy.Statement[0]"),
    case(
        "KEY-03",
        policy({"AWS": "*"}, {"StringEquals": {"kms:CallerAccount": ACCOUNT}}),
        policy({"AWS": ["*"]}, {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}),
        "admits everybody",
    ),
    case(
        "KEY-03",
        policy({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        lambda: aws.kms.KeyPolicy(
            "policy",
            key_id=ELSEWHERE,
            policy=json.dumps(
                {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}}
            ),
        ),
        "admits everybody",
    ),
    *(
        case("KEY-04", forms[good], forms[bad], "key")
        for forms in (TOPIC, LOGS, VOLUME, DISK, ROOT, CLUSTER)
        for good, bad in (("ours", "missing"), ("brought", "amazons"))
    ),
    case("KEY-04", by_alias, lambda: aws.sqs.Queue("queue"), "kmsMasterKeyId"),
    case("KEY-05", shared("data"), shared("models"), "several data domains"),
]

CASES += [
    Case(
        control="KEY-06",
        compliant=split(ADMIN, USER),
        violating=split(ADMIN, ADMIN),
        mentions="who may also change",
    ),
    Case(
        control="KEY-06",
        compliant=split(ACCOUNT_ROOT, USER),
        violating=split(ADMIN, USER, use="kms:*"),
        mentions="who may also change",
    ),
    Case(
        control="KEY-06",
        compliant=split(ADMIN, USER),
        violating=split(ADMIN, ADMIN, use="kms:Sign"),
        mentions="who may also change",
    ),
    Case(control="KEY-07", compliant=decrypting(ELSEWHERE), violating=decrypting("*"), mentions="every key"),
    Case(
        control="KEY-07",
        compliant=decrypting("*", "kms:Encrypt"),
        violating=decrypting("*", "kms:*"),
        mentions="every key",
    ),
    Case(
        control="KEY-07",
        compliant=decrypting(EVERY_KEY, condition={"StringEquals": {"aws:ResourceTag/data-domain": "logs"}}),
        violating=decrypting(
            EVERY_KEY, condition={"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
        ),
        mentions="every key",
    ),
    *(
        Case(control="KEY-04", compliant=each["ours"], violating=each["missing"], mentions="missing")
        for each in (NOTEBOOK, CACHE)
    ),
]
