"""What several workloads may do in AWS, written once: secrets, objects under a prefix, signatures, a log."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.documents import Statement, partition_of


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects under one prefix of one bucket, and the key that they lie under."""

    bucket_arn: pulumi.Input[str]
    prefix: str
    """With its slash: ``released/``."""
    key_arn: pulumi.Input[str]

    def __post_init__(self) -> None:
        """Raise ValueError where the prefix is none: it would be the whole bucket, or a neighbour's too."""
        if not self.prefix.endswith("/") or self.prefix == "/" or "*" in self.prefix:
            raise ValueError(f"prefix {self.prefix!r:.60} is none; write one like released/")

    def readable(self, region: str) -> list[Statement]:
        """Return the right to read them as they are now, and to see which there are."""
        return [
            Statement(sid="ReadObjects", actions=["s3:GetObject"], resources=[self._objects]),
            Statement(
                sid="ListObjects",
                actions=["s3:ListBucket"],
                resources=[self.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{self.prefix}*"}},
            ),
            _key("DecryptObjects", ["kms:Decrypt"], self.key_arn, "s3", region),
        ]

    def writable(self, region: str) -> list[Statement]:
        """Return the right to add to them. Nothing is deleted: a new version stands before the old one."""
        return [
            Statement(sid="WriteObjects", actions=["s3:PutObject"], resources=[self._objects]),
            # A large object is sent in parts, which S3 decrypts to put together (S3 User Guide, "Uploading and
            # copying objects using multipart upload").
            _key("EncryptObjects", ["kms:Decrypt", "kms:GenerateDataKey"], self.key_arn, "s3", region),
        ]

    @property
    def _objects(self) -> pulumi.Output[str]:
        return pulumi.Output.concat(self.bucket_arn, "/", self.prefix, "*")


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The secrets of one service, by the beginning of their names; somebody else puts their values there."""

    prefix: str
    """With its slash: ``secure-ml-platform-dev/data-api/``."""
    account_id: str
    region: str
    key_arn: pulumi.Input[str]

    def name(self, secret: str) -> str:
        """Return the full name of a secret, which programs are told instead of its value."""
        return f"{self.prefix}{secret}"

    def readable(self) -> list[Statement]:
        """Return the right to read them."""
        where = f"arn:{partition_of(self.region)}:secretsmanager:{self.region}:{self.account_id}"
        return [
            Statement(
                sid="ReadOwnSecrets",
                actions=["secretsmanager:GetSecretValue"],
                resources=[f"{where}:secret:{self.prefix}*"],
            ),
            _key("DecryptOwnSecrets", ["kms:Decrypt"], self.key_arn, "secretsmanager", self.region),
        ]


def signs(key_arn: pulumi.Input[str]) -> Statement:
    """Return the right to sign with a key, as far as the key's own policy lets these pods."""
    return Statement(sid="Sign", actions=["kms:GetPublicKey", "kms:Sign"], resources=[key_arn])


def verifies(*key_arns: pulumi.Input[str]) -> Statement:
    """Return the right to fetch the public keys, which check signatures by themselves, and to sign nothing."""
    return Statement(sid="Verify", actions=["kms:GetPublicKey"], resources=list(key_arns))


def writes_log(group_arn: pulumi.Input[str]) -> Statement:
    """Return the right to add to one log group, and neither to read nor to empty it."""
    return Statement(
        sid="WriteOwnLog",
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[pulumi.Output.concat(group_arn, ":log-stream:*")],
    )


def through(service: str, key_arn: pulumi.Input[str], region: str) -> Statement:
    """Return the right to use a key for what lies in a service, and only by way of that service."""
    return _key(
        f"UseTheKeyOf{service.capitalize()}", ["kms:Decrypt", "kms:GenerateDataKey"], key_arn, service, region
    )


def _key(sid: str, actions: list[str], key_arn: pulumi.Input[str], service: str, region: str) -> Statement:
    return Statement(
        sid=sid,
        actions=actions,
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{region}.amazonaws.com"}},
    )
