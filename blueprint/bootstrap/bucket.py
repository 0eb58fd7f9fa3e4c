"""The bucket of the state: private, versioned, encrypted, locked, and open to who deploys alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from blueprint.bootstrap.cloud import Cloud, code_of, unless
from blueprint.bootstrap.documents import bucket_policy
from blueprint.bootstrap.target import Target
from blueprint.bootstrap.thing import Aspect, Thing, Whose, as_tags, document, only, tags_of

LOCK_DAYS = 30
"""So long even a stolen administrator cannot take the state's history away."""

HISTORY_DAYS = 365
"""So long a state that was written over is kept."""

ABORT_UPLOADS_DAYS = 7

_PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

_LOCK = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": LOCK_DAYS}},
}

_LIFECYCLE = [
    {
        "ID": "abort-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_UPLOADS_DAYS},
    },
    {
        "ID": "expire-old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": HISTORY_DAYS},
    },
]


class StateBucket(Thing):
    """The bucket that ``pulumi login`` names."""

    kind = "S3 bucket"

    def __init__(self, at: Target, cloud: Cloud, key_arn: Callable[[], str]) -> None:
        """Know its name; its key may be made later, so its ARN is asked for when it is needed."""
        self._at, self._cloud, self._s3 = at, cloud, cloud.client("s3", at.region)
        self._key_arn = key_arn
        self.name = at.bucket
        self._of = {"Bucket": at.bucket, "ExpectedBucketOwner": at.account_id}

    def look(self) -> tuple[Whose, str]:
        """Return whose it is; names of buckets are the whole world's, so it may be in another account."""
        try:
            tags = self._tags()
        except ClientError as error:
            if code_of(error) == "NoSuchBucket":
                return "nobody's", ""
            if code_of(error) in ("AccessDenied", "403") and not self._in_this_account():
                return "theirs", "the name is taken by a bucket of another account"
            raise
        if tags.get("managed-by") == self._at.mark and tags.get("environment") == self._at.environment:
            return "ours", ""
        return "theirs", f"it does not carry the tag managed-by={self._at.mark}"

    def make(self) -> None:
        """Make it with its tags and its lock, both in the same call."""
        place = {} if self._at.region == "us-east-1" else {"LocationConstraint": self._at.region}
        self._s3.create_bucket(
            Bucket=self.name,
            ObjectLockEnabledForBucket=True,
            CreateBucketConfiguration={**place, "Tags": as_tags(self._at.tags)},
        )

    def aspects(self) -> Sequence[Aspect]:
        """Return what closes it first, then what keeps what is in it."""
        s3, of = self._s3, self._of
        policy, encryption = bucket_policy(self._at, self._key_arn()), self._encryption()
        return [
            Aspect(
                name="public access block",
                wanted=_PRIVATE,
                read=self._ask(
                    s3.get_public_access_block,
                    "PublicAccessBlockConfiguration",
                    "NoSuchPublicAccessBlockConfiguration",
                ),
                write=lambda: s3.put_public_access_block(**of, PublicAccessBlockConfiguration=_PRIVATE),
            ),
            Aspect(
                name="object ownership",
                wanted={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                read=self._ask(
                    s3.get_bucket_ownership_controls, "OwnershipControls", "OwnershipControlsNotFoundError"
                ),
                write=lambda: s3.put_bucket_ownership_controls(
                    **of, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
                ),
            ),
            Aspect(
                name="policy",
                wanted=policy,
                read=lambda: document(
                    self._ask(s3.get_bucket_policy, "Policy", "NoSuchBucketPolicy")() or {}
                ),
                write=lambda: s3.put_bucket_policy(**of, Policy=json.dumps(policy)),
            ),
            Aspect(
                name="versioning",
                wanted="Enabled",
                read=self._ask(s3.get_bucket_versioning, "Status"),
                write=lambda: s3.put_bucket_versioning(**of, VersioningConfiguration={"Status": "Enabled"}),
            ),
            Aspect(
                name="encryption",
                wanted=encryption,
                read=self._read_encryption,
                write=lambda: s3.put_bucket_encryption(
                    **of, ServerSideEncryptionConfiguration={"Rules": [encryption]}
                ),
            ),
            Aspect(
                name="lock",
                wanted=_LOCK,
                read=self._read_lock,
                write=lambda: s3.put_object_lock_configuration(**of, ObjectLockConfiguration=_LOCK),
            ),
            Aspect(
                name="lifecycle",
                wanted=_LIFECYCLE,
                read=self._ask(
                    s3.get_bucket_lifecycle_configuration, "Rules", "NoSuchLifecycleConfiguration"
                ),
                write=lambda: s3.put_bucket_lifecycle_configuration(
                    **of, LifecycleConfiguration={"Rules": _LIFECYCLE}
                ),
            ),
            Aspect(
                name="tags",
                wanted=self._at.tags,
                read=lambda: only(self._at.tags, self._tags()),
                # The call replaces all of them.
                write=lambda: s3.put_bucket_tagging(
                    **of, Tagging={"TagSet": as_tags({**self._tags(), **self._at.tags})}
                ),
            ),
        ]

    def _tags(self) -> dict[str, str]:
        return tags_of(self._ask(self._s3.get_bucket_tagging, "TagSet", "NoSuchTagSet")())

    def _encryption(self) -> dict[str, Any]:
        return {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": self._key_arn(),
            },
            # One data key a bucket instead of one an object: fewer calls to KMS, the same protection.
            "BucketKeyEnabled": True,
        }

    def _read_encryption(self) -> Any:
        """Return the default encryption, without what AWS adds of its own (which kinds are blocked besides)."""
        asked = self._ask(
            self._s3.get_bucket_encryption,
            "ServerSideEncryptionConfiguration",
            "ServerSideEncryptionConfigurationNotFoundError",
        )()
        return [
            {key: rule.get(key) for key in ("ApplyServerSideEncryptionByDefault", "BucketKeyEnabled")}
            for rule in (asked or {}).get("Rules", [])
        ]

    def _read_lock(self) -> Any:
        """Return the lock: its retention counts in days or in years, and the other of the two is no difference."""
        told = self._ask(
            self._s3.get_object_lock_configuration,
            "ObjectLockConfiguration",
            "ObjectLockConfigurationNotFoundError",
        )()
        retention = ((told or {}).get("Rule") or {}).get("DefaultRetention") or {}
        return {
            "ObjectLockEnabled": (told or {}).get("ObjectLockEnabled"),
            "Rule": {"DefaultRetention": {key: value for key, value in retention.items() if value}},
        }

    def _ask(self, operation: Callable[..., Any], field: str, *absent: str) -> Callable[[], Any]:
        def ask() -> Any:
            told = unless(absent, lambda: operation(**self._of))
            return (told or {}).get(field)

        return ask

    def _in_this_account(self) -> bool:
        listed = self._cloud.every("s3", "list_buckets", "Buckets", self._at.region, Prefix=self.name)
        return any(each["Name"] == self.name for each in listed)
