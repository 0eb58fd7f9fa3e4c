"""Buckets, in both regions: what each refuses and what it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account, Applied
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

storage = Assertions("storage")

BUCKET = "aws:s3/bucket:Bucket"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


def _buckets(account: Account) -> Iterator[tuple[str, Any]]:
    """Yield every bucket's name, with a client of its region."""
    for bucket in account.of(BUCKET):
        name = bucket.attributes["bucket"]
        yield name, _client(account, bucket)


def _client(account: Account, bucket: Applied) -> Any:
    return account.client("s3", bucket.attributes.get("region") or account.home_region)


def _policy(client: Any, name: str) -> list[Any]:
    found: list[Any] = json.loads(client.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    return found


@storage("Every bucket blocks public access in all four ways", about=BUCKET)
def buckets_block_public_access(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        blocks = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        yield name, len(blocks) == 4 and all(blocks.values())


@storage("Every bucket keeps versions", about=BUCKET)
def buckets_keep_versions(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        yield name, client.get_bucket_versioning(Bucket=name).get("Status") == "Enabled"


@storage("Every bucket is encrypted, by a key of ours unless it receives AWS's own logs", about=ENCRYPTION)
def buckets_are_encrypted(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        rules = client.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        default = rules[0]["ApplyServerSideEncryptionByDefault"]
        by_key = default["SSEAlgorithm"] == "aws:kms" and ":key/" in default.get("KMSMasterKeyID", "")
        yield name, by_key or (default["SSEAlgorithm"] == "AES256" and "-logs-" in name)


@storage("Every bucket refuses plain HTTP", about=BUCKET)
def buckets_refuse_plain_http(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        yield (
            name,
            any(
                statement["Effect"] == "Deny"
                and statement["Principal"] == "*"
                and statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false"
                for statement in _policy(client, name)
            ),
        )


@storage("No bucket policy allows everyone", about=BUCKET)
def buckets_allow_no_one_at_large(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        yield (
            name,
            not any(
                statement["Effect"] == "Allow"
                and statement["Principal"] in ("*", {"AWS": "*"})
                and not statement.get("Condition")
                for statement in _policy(client, name)
            ),
        )


@storage("ACLs are off", about="aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def acls_are_off(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        rules = client.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        yield name, rules[0]["ObjectOwnership"] == "BucketOwnerEnforced"


@storage("What must not be rewritten is locked", about=LOCK)
def audit_and_models_are_locked(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        if "-audit-" in name or "-models-" in name:
            lock = client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
            kept = lock["Rule"]["DefaultRetention"]
            yield name, kept["Mode"] in ("GOVERNANCE", "COMPLIANCE") and kept["Days"] >= 90


@storage(
    "Every bucket's readers are recorded in a bucket of logs", about="aws:s3/bucketLogging:BucketLogging"
)
def readers_are_recorded(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        if "access-logs" not in name:
            told = client.get_bucket_logging(Bucket=name).get("LoggingEnabled", {})
            yield name, "access-logs" in told.get("TargetBucket", "")


@storage("Every bucket drops unfinished uploads and old versions", about=BUCKET)
def buckets_are_tidied(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        rules = client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        yield (
            name,
            any("AbortIncompleteMultipartUpload" in rule for rule in rules)
            and any("NoncurrentVersionExpiration" in rule for rule in rules),
        )


@storage("Data and models are copied to the backup region", about=REPLICATION)
def data_is_replicated(account: Account) -> Iterator[Seen]:
    for name, client in _buckets(account):
        if "-replica-" not in name and ("-data-" in name or "-models-" in name):
            rules = client.get_bucket_replication(Bucket=name)["ReplicationConfiguration"]["Rules"]
            yield name, all(rule["Status"] == "Enabled" for rule in rules)
