"""The trail: every call to AWS in every region of the account, and every read and write of data and models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document

SERVICE = "cloudtrail.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class TrailPlace:
    """Where a trail is and where it writes: known before either is made, since each names the other."""

    account_id: str
    region: str
    name: str
    bucket_name: str

    @property
    def arn(self) -> str:
        """ARN of the trail."""
        return f"arn:{self.partition}:cloudtrail:{self.region}:{self.account_id}:trail/{self.name}"

    @property
    def partition(self) -> str:
        """ARN partition of the region."""
        return partition_of(self.region)

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket_name}"

    @property
    def logs_url(self) -> str:
        """Where the log files of all regions lie."""
        return f"s3://{self.bucket_name}/AWSLogs/{self.account_id}/CloudTrail"


def delivery_statements(place: TrailPlace) -> list[Statement]:
    """Return what the trail's bucket must say: this trail writes, and nobody else ever does.

    CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail". Without the ARN of the trail anybody's trail
    could write here; without the refusal anybody with ``s3:PutObject`` could put false records beside the true ones.
    """
    this_trail = {"aws:SourceArn": place.arn}
    return [
        Statement(
            sid="ThisTrailLooksAtTheBucket",
            actions=["s3:GetBucketAcl"],
            principals={"Service": [SERVICE]},
            resources=[place.bucket_arn],
            conditions={"StringEquals": this_trail},
        ),
        Statement(
            sid="ThisTrailWrites",
            actions=["s3:PutObject"],
            principals={"Service": [SERVICE]},
            resources=[f"{place.bucket_arn}/AWSLogs/{place.account_id}/*"],
            conditions={"StringEquals": {**this_trail, "s3:x-amz-acl": "bucket-owner-full-control"}},
        ),
        refuse_other_writers(place.bucket_arn, [SERVICE]),
    ]


def refuse_other_writers(bucket_arn: str, services: Sequence[str]) -> Statement:
    """Return the refusal of whoever is none of ``services``; a person's call carries no service's name at all."""
    return Statement(
        sid="RefuseOtherWriters",
        effect="Deny",
        actions=["s3:PutObject"],
        principals="*",
        resources=[f"{bucket_arn}/*"],
        conditions={"StringNotEquals": {"aws:PrincipalServiceName": list(services)}},
    )


class Trail(pulumi.ComponentResource):
    """A multi-region trail with its log group.

    Attributes:
        arn: ARN of the trail.
        log_group_name: Where events arrive within minutes, for alarms.
    """

    arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        place: TrailPlace,
        bucket: pulumi.Resource,
        watched_bucket_arns: Sequence[pulumi.Input[str]],
        key_arn: pulumi.Input[str],
        log_retention_days: int,
        permissions_boundary_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Start the trail.

        Args:
            name: Logical name.
            place: The trail's name, its region, and the bucket that admits it (``delivery_statements``).
            bucket: What makes the bucket and its policy; CloudTrail refuses a bucket that refuses it.
            watched_bucket_arns: Buckets whose every object read and written is an event.
            key_arn: Key of log files and log group.
            log_retention_days: How long the log group keeps events; the bucket has a lock of its own.
            permissions_boundary_arn: Boundary of the role that writes into the log group.
            opts: Options of the component.

        Raises:
            ValueError: no bucket is watched.
        """
        super().__init__("secureml:trail:Trail", name, None, opts)
        if not watched_bucket_arns:
            raise ValueError("watched_bucket_arns is empty; name the buckets of data and models")
        self._name = name
        self._place = place
        self._under = pulumi.ResourceOptions(parent=self)

        group = aws.cloudwatch.LogGroup(
            f"{name}-events",
            name=f"/trail/{place.name}",
            kms_key_id=key_arn,
            retention_in_days=log_retention_days,
            opts=self._under,
        )
        role, rights = self._delivery(group, permissions_boundary_arn)
        trail = aws.cloudtrail.Trail(
            name,
            name=place.name,
            s3_bucket_name=place.bucket_name,
            kms_key_id=key_arn,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            enable_logging=True,
            cloud_watch_logs_group_arn=pulumi.Output.concat(group.arn, ":*"),
            cloud_watch_logs_role_arn=role.arn,
            advanced_event_selectors=_selectors(watched_bucket_arns),
            # Bursts of calls or of errors: somebody tries doors (CloudTrail User Guide, "Logging Insights events").
            insight_selectors=[
                {"insight_type": "ApiCallRateInsight"},
                {"insight_type": "ApiErrorRateInsight"},
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[bucket, rights]),
        )
        self.arn, self.log_group_name = trail.arn, group.name
        self.register_outputs({"arn": self.arn, "log_group_name": self.log_group_name})

    def _delivery(
        self, group: aws.cloudwatch.LogGroup, permissions_boundary_arn: pulumi.Input[str]
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        role = aws.iam.Role(
            f"{self._name}-events",
            description="Brings the trail's events into its log group",
            assume_role_policy=policy_document(
                Statement(
                    sid="ThisTrail",
                    actions=["sts:AssumeRole"],
                    principals={"Service": [SERVICE]},
                    conditions={
                        "StringEquals": {
                            "aws:SourceAccount": self._place.account_id,
                            "aws:SourceArn": self._place.arn,
                        }
                    },
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=self._under,
        )
        # CloudTrail's stream is named after account and region (CloudTrail User Guide, "Role policy document for
        # CloudTrail to use CloudWatch Logs for monitoring").
        stream = f":log-stream:{self._place.account_id}_CloudTrail_{self._place.region}*"
        rights = aws.iam.RolePolicy(
            f"{self._name}-events",
            role=role.name,
            policy=policy_document(
                Statement(
                    sid="WriteTheTrailsEvents",
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[pulumi.Output.concat(group.arn, stream)],
                )
            ),
            opts=self._under,
        )
        return role, rights


def _selectors(
    watched_bucket_arns: Sequence[pulumi.Input[str]],
) -> list[aws.cloudtrail.TrailAdvancedEventSelectorArgsDict]:
    objects = [pulumi.Output.concat(arn, "/") for arn in watched_bucket_arns]
    return [
        {
            "name": "Every call that manages something",
            "field_selectors": [{"field": "eventCategory", "equals": ["Management"]}],
        },
        {
            "name": "Every read and write of data and models",
            "field_selectors": [
                {"field": "eventCategory", "equals": ["Data"]},
                {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                {"field": "resources.ARN", "starts_withs": objects},
            ],
        },
    ]
