"""Keys, and who names them: in both regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account, Applied
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

encryption = Assertions("encryption")

KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
TOPIC = "aws:sns/topic:Topic"
SECRET = "aws:rds/instance:Instance"  # noqa: S105 - a type
EBS = "aws:ebs/encryptionByDefault:EncryptionByDefault"


def _kms(account: Account, key: Applied) -> Any:
    """Return a client of the region that a key is in."""
    return account.client("kms", str(key.attributes["arn"]).split(":")[3])


def _symmetric(account: Account) -> Iterator[Applied]:
    for key in account.of(KEY):
        if key.attributes.get("customer_master_key_spec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT":
            yield key


@encryption("Every key rotates", about=KEY)
def keys_rotate(account: Account) -> Iterator[Seen]:
    for key in _symmetric(account):
        yield key.name, _kms(account, key).get_key_rotation_status(KeyId=key.id)["KeyRotationEnabled"]


@encryption("No key admits everyone without a condition", about=KEY)
def keys_admit_no_one_at_large(account: Account) -> Iterator[Seen]:
    for key in account.of(KEY):
        policy = json.loads(_kms(account, key).get_key_policy(KeyId=key.id, PolicyName="default")["Policy"])
        wide = [
            statement
            for statement in policy["Statement"]
            if statement["Effect"] == "Allow"
            and statement["Principal"] in ("*", {"AWS": "*"})
            and not statement.get("Condition")
        ]
        yield key.name, not wide


@encryption("The account's root may administer keys and not use them", about=KEY)
def root_cannot_decrypt(account: Account) -> Iterator[Seen]:
    for key in _symmetric(account):
        policy = json.loads(_kms(account, key).get_key_policy(KeyId=key.id, PolicyName="default")["Policy"])
        use = [
            statement
            for statement in policy["Statement"]
            if statement["Effect"] == "Allow"
            and ":root" in json.dumps(statement["Principal"])
            and {"kms:Decrypt", "kms:*"} & set(statement["Action"])
            and "kms:ViaService" not in json.dumps(statement.get("Condition", {}))
        ]
        yield key.name, not use


@encryption("The key of backups can be used in another region", about=KEY)
def backups_have_a_multi_region_key(account: Account) -> Iterator[Seen]:
    for key in account.of(KEY):
        if key.name.endswith("-backup"):
            known = _kms(account, key).describe_key(KeyId=key.id)["KeyMetadata"]
            yield key.name, known["MultiRegion"]


@encryption("Every log group names a key of ours", about=LOG_GROUP)
def log_groups_name_a_key(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        for group in account.every("logs", "describe_log_groups", "logGroups", region):
            yield group["logGroupName"], bool(group.get("kmsKeyId"))


@encryption("Every log group forgets, and not too soon", about=LOG_GROUP)
def log_groups_have_a_retention(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        for group in account.every("logs", "describe_log_groups", "logGroups", region):
            yield group["logGroupName"], group.get("retentionInDays", 0) >= 90


@encryption("Topics are encrypted by a key of ours", about=TOPIC)
def topics_are_encrypted(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        for topic in account.every("sns", "list_topics", "Topics", region):
            attributes = account.client("sns", region).get_topic_attributes(TopicArn=topic["TopicArn"])
            key = attributes["Attributes"].get("KmsMasterKeyId", "")
            yield topic["TopicArn"], bool(key) and not key.startswith("alias/aws/")


@encryption("Topics refuse plain HTTP and strangers", about=TOPIC)
def topics_refuse_strangers(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        for topic in account.every("sns", "list_topics", "Topics", region):
            attributes = account.client("sns", region).get_topic_attributes(TopicArn=topic["TopicArn"])
            policy = json.loads(attributes["Attributes"]["Policy"])
            yield (
                topic["TopicArn"],
                all(
                    statement["Effect"] == "Deny"
                    or statement.get("Condition")
                    or statement["Principal"] != "*"
                    for statement in policy["Statement"]
                ),
            )


@encryption("New disks are encrypted, in both regions", about=EBS)
def new_disks_are_encrypted(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        yield region, account.client("ec2", region).get_ebs_encryption_by_default()["EbsEncryptionByDefault"]
