"""The record of how everything was configured, and when it changed: AWS Config."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of
from components.trail import refuse_other_writers

SERVICE = "config.amazonaws.com"
CLASSIFICATION = "macie.amazonaws.com"

HISTORY, CLASSIFIED = "config", "macie"
"""Prefixes of the bucket of reports."""


@dataclass(frozen=True, kw_only=True)
class ReportsPlace:
    """The bucket of reports, and whose reports it takes."""

    account_id: str
    region: str
    bucket_name: str

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{partition_of(self.region)}:s3:::{self.bucket_name}"


def report_statements(place: ReportsPlace) -> list[Statement]:
    """Return what the bucket of reports must say: Config and Macie write for this account; nobody deletes.

    It cannot be locked: Config delivers into no bucket with a default retention (AWS Config Developer Guide,
    "Managing the Delivery Channel").
    """
    own = {"aws:SourceAccount": place.account_id}
    macie = f"arn:{partition_of(place.region)}:macie2:{place.region}:{place.account_id}"
    these_jobs = [f"{macie}:export-configuration:*", f"{macie}:classification-job/*"]
    return [
        Statement(
            sid="ConfigLooksAtTheBucket",
            actions=["s3:GetBucketAcl", "s3:ListBucket"],
            principals={"Service": [SERVICE]},
            resources=[place.bucket_arn],
            conditions={"StringEquals": own},
        ),
        Statement(
            sid="ConfigWrites",
            actions=["s3:PutObject"],
            principals={"Service": [SERVICE]},
            resources=[f"{place.bucket_arn}/{HISTORY}/AWSLogs/{place.account_id}/Config/*"],
            conditions={"StringEquals": {**own, "s3:x-amz-acl": "bucket-owner-full-control"}},
        ),
        Statement(
            sid="MacieLooksAtTheBucket",
            actions=["s3:GetBucketLocation"],
            principals={"Service": [CLASSIFICATION]},
            resources=[place.bucket_arn],
            conditions={"StringEquals": own, "ArnLike": {"aws:SourceArn": these_jobs}},
        ),
        Statement(
            sid="MacieWrites",
            actions=["s3:PutObject"],
            principals={"Service": [CLASSIFICATION]},
            resources=[f"{place.bucket_arn}/{CLASSIFIED}/*"],
            conditions={"StringEquals": own, "ArnLike": {"aws:SourceArn": these_jobs}},
        ),
        refuse_other_writers(place.bucket_arn, [SERVICE, CLASSIFICATION]),
        Statement(
            sid="RefuseDeletion",
            effect="Deny",
            actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
            principals="*",
            resources=[f"{place.bucket_arn}/*"],
        ),
    ]


def recorder_role(name: str, opts: pulumi.ResourceOptions) -> aws.iam.ServiceLinkedRole:
    """Make Config's service-linked role, one for the account and both its regions.

    Security Hub asks for this one and no other (FSBP Config.1).
    """
    return aws.iam.ServiceLinkedRole(
        name, aws_service_name=SERVICE, description="AWS Config records with it", opts=opts
    )


class ConfigurationRecorder(pulumi.ComponentResource):
    """A recorder of every type of resource in one region, and where its history goes."""

    def __init__(
        self,
        name: str,
        *,
        role_arn: pulumi.Input[str],
        bucket: pulumi.Resource,
        bucket_name: str,
        key_arn: pulumi.Input[str],
        records_global: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Start recording in the provider's region.

        Args:
            name: Logical name.
            role_arn: Config's service-linked role.
            bucket: What makes the bucket and its policy; Config refuses a bucket that refuses it.
            bucket_name: The bucket of reports.
            key_arn: Key of the bucket.
            records_global: Whether IAM and its like are recorded here: in one region of the account, or each
                change is recorded and paid for twice.
            opts: Options of the component.
        """
        super().__init__("secureml:recorder:ConfigurationRecorder", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        recorder = aws.cfg.Recorder(
            f"{name}-recorder",
            name="default",
            role_arn=role_arn,
            recording_group={
                "all_supported": True,
                "include_global_resource_types": records_global,
            },
            opts=under,
        )
        channel = aws.cfg.DeliveryChannel(
            f"{name}-channel",
            name="default",
            s3_bucket_name=bucket_name,
            s3_key_prefix=HISTORY,
            s3_kms_key_arn=key_arn,
            snapshot_delivery_properties={"delivery_frequency": "TwentyFour_Hours"},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[recorder, bucket]),
        )
        aws.cfg.RecorderStatus(
            f"{name}-status",
            name=recorder.name,
            is_enabled=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[channel]),
        )
        self.register_outputs({})
