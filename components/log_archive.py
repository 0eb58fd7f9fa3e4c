"""Log groups as files: what services and the web ACL write to CloudWatch, brought to where questions can be asked.

A log group forgets when its time is over, and a question over a year of it costs a fortune. Files in a bucket cost
little and stay: CloudWatch hands each event on to a Firehose stream, which lays it down by day, one event a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.audit_tables import Log
from components.documents import Statement, partition_of, policy_document


@dataclass(frozen=True, kw_only=True)
class ArchivePlace:
    """The archive's bucket and the role that writes there: known before either is made."""

    account_id: str
    region: str
    bucket_name: str
    writer_name: str

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{partition_of(self.region)}:s3:::{self.bucket_name}"

    @property
    def writer_arn(self) -> str:
        """ARN of the role that writes."""
        return f"arn:{partition_of(self.region)}:iam::{self.account_id}:role/{self.writer_name}"

    def url(self, log: Log) -> str:
        """Return where the files of a log lie."""
        return f"s3://{self.bucket_name}/{log}"


def archive_statements(place: ArchivePlace) -> list[Statement]:
    """Return what the archive's bucket must say: one role writes, and nobody deletes before the lifecycle does."""
    return [
        Statement(
            sid="RefuseOtherWriters",
            effect="Deny",
            actions=["s3:PutObject"],
            principals="*",
            resources=[f"{place.bucket_arn}/*"],
            conditions={"ArnNotEquals": {"aws:PrincipalArn": place.writer_arn}},
        ),
        Statement(
            sid="RefuseDeletion",
            effect="Deny",
            actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
            principals="*",
            resources=[f"{place.bucket_arn}/*"],
        ),
    ]


class LogArchive(pulumi.ComponentResource):
    """A stream for each kind of log; a log group joins one with ``take``."""

    def __init__(
        self,
        name: str,
        *,
        place: ArchivePlace,
        logs: Sequence[Log],
        key_arn: pulumi.Input[str],
        logs_key_arn: pulumi.Input[str],
        log_retention_days: int,
        permissions_boundary_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the streams.

        Args:
            name: Logical name, and how the names of the streams begin.
            place: The bucket, which admits the writer (``archive_statements``).
            logs: The kinds of log; each has a stream and a folder.
            key_arn: Key of the bucket and of what waits in the streams.
            logs_key_arn: Key of the log group that says what could not be delivered.
            log_retention_days: How long that log group keeps it.
            permissions_boundary_arn: Boundary of the roles.
            opts: Options of the component.
        """
        super().__init__("secureml:log_archive:LogArchive", name, None, opts)
        self._name = name
        self._place = place
        self._boundary_arn = permissions_boundary_arn
        self._key_arn = key_arn
        self._under = pulumi.ResourceOptions(parent=self)

        self._failures = aws.cloudwatch.LogGroup(
            f"{name}-failures",
            name=f"/archive/{name}",
            kms_key_id=logs_key_arn,
            retention_in_days=log_retention_days,
            opts=self._under,
        )
        writer, rights = self._writer()
        self._streams = {log: self._stream(log, writer, rights) for log in logs}
        self._sender, self._sending = self._sender_role()
        self.register_outputs({})

    def take(self, log: Log, log_group_name: pulumi.Input[str], *, name: str) -> None:
        """Bring everything that a log group of the home region hears into the archive.

        Args:
            log: A kind of log that the archive has.
            log_group_name: The log group.
            name: Name of the subscription; a log group has room for two.

        Raises:
            ValueError: the archive has no such kind.
        """
        if log not in self._streams:
            raise ValueError(f"log is {log!r}; the archive has {', '.join(self._streams)}")
        aws.cloudwatch.LogSubscriptionFilter(
            f"{self._name}-{name}",
            name=f"{self._name}-{name}",
            log_group=log_group_name,
            # Everything: what is left out here is never asked about again.
            filter_pattern="",
            destination_arn=self._streams[log].arn,
            role_arn=self._sender.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._sending]),
        )

    def _stream(
        self, log: Log, writer: aws.iam.Role, rights: aws.iam.RolePolicy
    ) -> aws.kinesis.FirehoseDeliveryStream:
        failures = aws.cloudwatch.LogStream(
            f"{self._name}-{log}", name=log, log_group_name=self._failures.name, opts=self._under
        )
        return aws.kinesis.FirehoseDeliveryStream(
            f"{self._name}-{log}",
            name=f"{self._name}-{log}",
            destination="extended_s3",
            server_side_encryption={
                "enabled": True,
                "key_type": "CUSTOMER_MANAGED_CMK",
                "key_arn": self._key_arn,
            },
            extended_s3_configuration={
                "role_arn": writer.arn,
                "bucket_arn": self._place.bucket_arn,
                "kms_key_arn": self._key_arn,
                "prefix": f"{log}/!{{timestamp:yyyy/MM/dd}}/",
                "error_output_prefix": f"failed/{log}/!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd}}/",
                "compression_format": "GZIP",
                "buffering_interval": 300,
                "buffering_size": 16,
                "processing_configuration": {"enabled": True, "processors": _PROCESSORS},
                "cloudwatch_logging_options": {
                    "enabled": True,
                    "log_group_name": self._failures.name,
                    "log_stream_name": failures.name,
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )

    def _writer(self) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        role = self._role(
            "writer",
            name=self._place.writer_name,
            trust=Statement(
                sid="StreamsOfThisAccount",
                actions=["sts:AssumeRole"],
                principals={"Service": ["firehose.amazonaws.com"]},
                conditions={"StringEquals": {"aws:SourceAccount": self._place.account_id}},
            ),
        )
        folders = [f"{self._place.bucket_arn}/*"]
        return role, self._rights(
            "writer",
            role,
            Statement(
                sid="WriteIntoTheArchive",
                actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                resources=folders,
            ),
            Statement(
                sid="LookAtTheArchive",
                actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                resources=[self._place.bucket_arn],
            ),
            Statement(
                sid="EncryptTheArchive",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self._key_arn],
            ),
            Statement(
                sid="SayWhatFailed",
                actions=["logs:PutLogEvents"],
                resources=[pulumi.Output.concat(self._failures.arn, ":log-stream:*")],
            ),
        )

    def _sender_role(self) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        region, account_id = self._place.region, self._place.account_id
        role = self._role(
            "sender",
            name=None,
            trust=Statement(
                sid="LogGroupsOfThisAccount",
                actions=["sts:AssumeRole"],
                principals={"Service": ["logs.amazonaws.com"]},
                conditions={
                    "StringEquals": {"aws:SourceAccount": account_id},
                    "ArnLike": {"aws:SourceArn": f"arn:{partition_of(region)}:logs:{region}:{account_id}:*"},
                },
            ),
        )
        return role, self._rights(
            "sender",
            role,
            Statement(
                sid="SendToTheStreams",
                actions=["firehose:PutRecord", "firehose:PutRecordBatch"],
                resources=[stream.arn for stream in self._streams.values()],
            ),
        )

    def _role(self, purpose: str, *, name: str | None, trust: Statement) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-{purpose}",
            name=name,
            description=f"Archive of logs: {purpose}",
            assume_role_policy=policy_document(trust),
            permissions_boundary=self._boundary_arn,
            opts=self._under,
        )

    def _rights(self, purpose: str, role: aws.iam.Role, *statements: Statement) -> aws.iam.RolePolicy:
        return aws.iam.RolePolicy(
            f"{self._name}-{purpose}",
            role=role.name,
            policy=policy_document(*statements),
            opts=self._under,
        )


_PROCESSORS: list[
    aws.kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorArgsDict
] = [
    {
        "type": "Decompression",
        "parameters": [{"parameter_name": "CompressionFormat", "parameter_value": "GZIP"}],
    },
    {
        "type": "CloudWatchLogProcessing",
        "parameters": [{"parameter_name": "DataMessageExtraction", "parameter_value": "true"}],
    },
    {
        "type": "AppendDelimiterToRecord",
        "parameters": [{"parameter_name": "Delimiter", "parameter_value": "\\n"}],
    },
]
"""CloudWatch wraps events into compressed bundles; out come the events alone, one a line (Amazon Data Firehose
Developer Guide, "Decompress CloudWatch Logs")."""
