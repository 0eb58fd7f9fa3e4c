"""Object storage: one component for every bucket, private, versioned, encrypted and over TLS only.

There is one kind beside it, the bucket that receives access logs, S3's own and load balancers': AWS delivers those
only where the default encryption is S3's own (S3 User Guide, "Enabling Amazon S3 server access logging"; User Guide
for Application Load Balancers, "Enable access logs") and S3's only where nothing is locked ("Object Lock
considerations"). There the bucket policy refuses deletion instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.backup_tags import backup_tags
from components.documents import Conditions, Statement, policy_document
from components.keys import Domain

ABORT_UPLOADS_DAYS = 7
"""Parts of an upload that nobody finished cost money and are seen by no one."""


@dataclass(frozen=True, kw_only=True)
class ObjectLock:
    """Nobody deletes a version for ``days`` days; in mode ``COMPLIANCE`` not even the account's root user."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"]
    days: int


@dataclass(frozen=True, kw_only=True)
class Replication:
    """Where every new version is copied to: a versioned bucket in the backup region, under a key of that region."""

    destination_bucket_arn: pulumi.Input[str]
    destination_key_arn: pulumi.Input[str]


class SecureBucket(pulumi.ComponentResource):
    """A bucket that keeps its promises whatever is put into it.

    Attributes:
        bucket: Name of the bucket.
        arn: ARN of the bucket, once it keeps versions: nothing can be replicated here before.
    """

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        bucket_name: str,
        key_arn: pulumi.Input[str],
        data_domain: Domain,
        access_log_bucket: pulumi.Input[str],
        noncurrent_days: int,
        expire_days: int | None = None,
        lock: ObjectLock | None = None,
        replication: Replication | None = None,
        permissions_boundary_arn: pulumi.Input[str] | None = None,
        extra_statements: Sequence[Statement] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the bucket and everything that guards it.

        Args:
            name: Logical name.
            bucket_name: Globally unique name, 3 to 63 characters.
            key_arn: The key of the bucket's data domain; objects under another key are refused.
            data_domain: What is kept here; stands in a tag, and decides what else must hold.
            access_log_bucket: Name of the bucket (an ``AccessLogBucket``) that records who read what.
            noncurrent_days: After how many days an overwritten or deleted version is gone for good.
            expire_days: After how many days an object goes; without it, it stays.
            lock: Write once, read many, for as long as the lock says.
            replication: Copies every new version to another region.
            permissions_boundary_arn: Boundary of the replication's role; needed where there is replication.
            extra_statements: Further statements of the bucket policy, service deliveries for instance.

        Raises:
            ValueError: the name is none that S3 takes, a number of days is not positive, or there is
                replication without a boundary for its role.
        """
        super().__init__("secureml:storage:SecureBucket", name, None, opts)
        _check(bucket_name, noncurrent_days)
        if lock and lock.days < 1:
            raise ValueError(f"lock.days is {lock.days}; write one day or more")
        if expire_days is not None and expire_days < (lock.days if lock else 1):
            raise ValueError(
                f"expire_days is {expire_days}; write one day or more, and no less than the lock's"
            )
        if replication and permissions_boundary_arn is None:
            raise ValueError(
                "permissions_boundary_arn is missing; replication has a role, and every role a boundary"
            )
        self._name = name
        made = _bucket(self, name, bucket_name, data_domain, object_lock=lock is not None)
        versioning = _guards(self, name, made, noncurrent_days, expire_days)
        self.bucket = made.bucket
        self.arn = pulumi.Output.all(made.arn, versioning.id).apply(lambda known: str(known[0]))
        self._encrypt(made, key_arn)
        if lock:
            self._lock(made, lock, versioning)
        aws.s3.BucketLogging(
            f"{name}-access-log",
            bucket=made.bucket,
            target_bucket=access_log_bucket,
            target_prefix=f"{bucket_name}/",
            opts=pulumi.ResourceOptions(parent=self),
        )
        _policy(self, name, made, [*_refusals(made), *_only_under(made, key_arn), *extra_statements])
        if replication:
            self._replicate(made, replication, key_arn, permissions_boundary_arn, versioning)
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})

    def _encrypt(self, made: aws.s3.Bucket, key_arn: pulumi.Input[str]) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption",
            bucket=made.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key_arn,
                    },
                    # One data key a bucket instead of one an object: fewer calls to KMS, the same protection.
                    "bucket_key_enabled": True,
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _lock(self, made: aws.s3.Bucket, lock: ObjectLock, versioning: aws.s3.BucketVersioning) -> None:
        aws.s3.BucketObjectLockConfiguration(
            f"{self._name}-lock",
            bucket=made.bucket,
            object_lock_enabled="Enabled",
            rule={"default_retention": {"mode": lock.mode, "days": lock.days}},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )

    def _replicate(
        self,
        made: aws.s3.Bucket,
        replication: Replication,
        key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str] | None,
        versioning: aws.s3.BucketVersioning,
    ) -> None:
        role = self._replication_role(made, replication, key_arn, permissions_boundary_arn)
        aws.s3.BucketReplicationConfig(
            f"{self._name}-replication",
            bucket=made.bucket,
            role=role.arn,
            rules=[
                {
                    "id": "everything",
                    "status": "Enabled",
                    "priority": 1,
                    "filter": {"prefix": ""},
                    "delete_marker_replication": {"status": "Enabled"},
                    "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                    "destination": {
                        "bucket": replication.destination_bucket_arn,
                        "encryption_configuration": {"replica_kms_key_id": replication.destination_key_arn},
                    },
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )

    def _replication_role(
        self,
        made: aws.s3.Bucket,
        replication: Replication,
        key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str] | None,
    ) -> aws.iam.Role:
        role = aws.iam.Role(
            f"{self._name}-replication",
            description=pulumi.Output.concat("Copies new versions out of ", made.bucket),
            assume_role_policy=policy_document(
                Statement(
                    sid="ReplicationOfThisBucket",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["s3.amazonaws.com"]},
                    conditions={"ArnLike": {"aws:SourceArn": made.arn}},
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.iam.RolePolicy(
            f"{self._name}-replication",
            role=role.id,
            policy=policy_document(*_replication_statements(made, replication, key_arn)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role


class AccessLogBucket(pulumi.ComponentResource):
    """The bucket that receives the access logs of all other buckets of its region, and of load balancers.

    Attributes:
        bucket: Name of the bucket, once those who deliver may write: they try it when they are told of it.
        arn: ARN of the bucket.
    """

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        bucket_name: str,
        account_id: str,
        noncurrent_days: int,
        retention_days: int,
        extra_statements: Sequence[Statement] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the bucket; S3's own log delivery writes, for buckets of this account, and nobody deletes.

        A log goes ``retention_days`` after its delivery; what was put over it, ``noncurrent_days`` later.
        ``extra_statements`` are further statements of the bucket policy: other deliveries of access logs.

        Raises:
            ValueError: the name is none that S3 takes, or a number of days is not positive.
        """
        super().__init__("secureml:storage:AccessLogBucket", name, None, opts)
        _check(bucket_name, noncurrent_days)
        if retention_days < 1:
            raise ValueError(f"retention_days is {retention_days}; write one day or more")
        made = _bucket(self, name, bucket_name, "logs", object_lock=False)
        self.arn = made.arn
        _guards(self, name, made, noncurrent_days, retention_days)
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=made.bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = _policy(
            self,
            name,
            made,
            [
                *_refusals(made),
                _refuse_deletion(made),
                _log_delivery(made, account_id),
                *extra_statements,
            ],
        )
        self.bucket = pulumi.Output.all(made.bucket, policy.id).apply(lambda known: str(known[0]))
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})


def _check(bucket_name: str, noncurrent_days: int) -> None:
    # Without the dots that S3 admits: they break TLS host names (S3 User Guide, "Bucket naming rules").
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket_name):
        raise ValueError(
            f"bucket_name {bucket_name!r} is none that S3 takes; write 3 to 63 lower-case letters, digits or dashes"
        )
    if noncurrent_days < 1:
        raise ValueError(f"noncurrent_days is {noncurrent_days}; write one day or more")


def _bucket(
    parent: pulumi.ComponentResource, name: str, bucket_name: str, data_domain: Domain, *, object_lock: bool
) -> aws.s3.Bucket:
    return aws.s3.Bucket(
        name,
        bucket=bucket_name,
        force_destroy=False,
        # Can only be asked for at birth (S3 User Guide, "Configuring S3 Object Lock").
        object_lock_enabled=object_lock,
        tags={"data-domain": data_domain, **backup_tags(data_domain)},
        opts=pulumi.ResourceOptions(parent=parent, protect=True),
    )


def _guards(
    parent: pulumi.ComponentResource,
    name: str,
    made: aws.s3.Bucket,
    noncurrent_days: int,
    retention_days: int | None = None,
) -> aws.s3.BucketVersioning:
    """Close the bucket to the public, turn its ACLs off, keep versions, and let old ones go."""
    under = pulumi.ResourceOptions(parent=parent)
    aws.s3.BucketPublicAccessBlock(
        f"{name}-public-access",
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=under,
    )
    aws.s3.BucketOwnershipControls(
        f"{name}-ownership", bucket=made.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=under
    )
    versioning = aws.s3.BucketVersioning(
        f"{name}-versioning", bucket=made.bucket, versioning_configuration={"status": "Enabled"}, opts=under
    )
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=made.bucket,
        rules=_lifecycle(noncurrent_days, retention_days),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
    return versioning


def _lifecycle(
    noncurrent_days: int, retention_days: int | None
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """Return the rules for the whole bucket; without ``retention_days`` only what is outdated goes."""
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "abort-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": ABORT_UPLOADS_DAYS},
        },
        {
            "id": "expire-old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": noncurrent_days},
        },
    ]
    if retention_days is not None:
        rules.append(
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": retention_days},
            }
        )
    return rules


def _policy(
    parent: pulumi.ComponentResource, name: str, made: aws.s3.Bucket, statements: Sequence[Statement]
) -> aws.s3.BucketPolicy:
    return aws.s3.BucketPolicy(
        f"{name}-policy",
        bucket=made.bucket,
        policy=policy_document(*statements),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _objects(made: aws.s3.Bucket) -> pulumi.Output[str]:
    return pulumi.Output.concat(made.arn, "/*")


def _refusals(made: aws.s3.Bucket) -> list[Statement]:
    everything = [made.arn, _objects(made)]
    return [
        Statement(
            sid="RefusePlainHttp",
            effect="Deny",
            actions=["s3:*"],
            principals="*",
            resources=everything,
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
        Statement(
            sid="RefuseOldTls",
            effect="Deny",
            actions=["s3:*"],
            principals="*",
            resources=everything,
            conditions={"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        ),
    ]


def _only_under(made: aws.s3.Bucket, key_arn: pulumi.Input[str]) -> list[Statement]:
    """Refuse objects that name another encryption; those that name none fall under the bucket's default."""
    encryption = "s3:x-amz-server-side-encryption"
    by_customer = f"{encryption}-customer-algorithm"

    def refuse(sid: str, conditions: Conditions) -> Statement:
        return Statement(
            sid=sid,
            effect="Deny",
            actions=["s3:PutObject"],
            principals="*",
            resources=[_objects(made)],
            conditions=conditions,
        )

    return [
        refuse("RefuseOtherKeys", _named_but_not(f"{encryption}-aws-kms-key-id", key_arn)),
        # CloudTrail's digests are under S3's own key, whatever the trail's is (CloudTrail User Guide, "Encrypting
        # CloudTrail log files with AWS KMS keys"); it writes only where a bucket policy lets it.
        refuse(
            "RefuseOtherEncryption",
            {
                "StringNotEquals": {encryption: "aws:kms", "aws:PrincipalServiceName": _CLOUDTRAIL},
                "Null": {encryption: "false"},
            },
        ),
        # Whoever brings the key can take the data hostage with it.
        refuse("RefuseKeysOfTheCaller", {"Null": {by_customer: "false"}}),
    ]


_CLOUDTRAIL = "cloudtrail.amazonaws.com"


def _named_but_not(header: str, value: pulumi.Input[str]) -> Conditions:
    """Return what holds when a header is there with another value.

    Without ``Null`` it would also hold when the header is absent, with ``IfExists`` or without (IAM User Guide,
    "IAM JSON policy elements: Condition operators").
    """
    return {"StringNotEquals": {header: value}, "Null": {header: "false"}}


def _refuse_deletion(made: aws.s3.Bucket) -> Statement:
    """Leave deletion to the lifecycle rules, which no bucket policy binds."""
    return Statement(
        sid="RefuseDeletion",
        effect="Deny",
        actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
        principals="*",
        resources=[_objects(made)],
    )


def _log_delivery(made: aws.s3.Bucket, account_id: str) -> Statement:
    return Statement(
        sid="AccessLogsOfThisAccount",
        actions=["s3:PutObject"],
        principals={"Service": ["logging.s3.amazonaws.com"]},
        resources=[_objects(made)],
        conditions={"StringEquals": {"aws:SourceAccount": account_id}},
    )


def _replication_statements(
    made: aws.s3.Bucket, replication: Replication, key_arn: pulumi.Input[str]
) -> list[Statement]:
    destination = pulumi.Output.from_input(replication.destination_bucket_arn)
    return [
        Statement(
            sid="ReadTheSource",
            actions=["s3:GetReplicationConfiguration", "s3:ListBucket"],
            resources=[made.arn],
        ),
        Statement(
            sid="ReadVersions",
            actions=[
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
                "s3:GetObjectRetention",
                "s3:GetObjectLegalHold",
            ],
            resources=[_objects(made)],
        ),
        Statement(
            sid="WriteReplicas",
            actions=["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
            resources=[pulumi.Output.concat(destination, "/*")],
        ),
        Statement(sid="DecryptTheSource", actions=["kms:Decrypt"], resources=[key_arn]),
        Statement(
            sid="EncryptReplicas",
            actions=["kms:Encrypt", "kms:GenerateDataKey"],
            resources=[replication.destination_key_arn],
        ),
    ]
