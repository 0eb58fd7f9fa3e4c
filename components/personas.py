"""What each kind of person may do: one persona, one short list of statements, no more than the work needs.

Nobody here reads the database or the data bucket: data comes through the data-access API alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from components.documents import Statement

Persona = Literal["data-scientist", "ml-engineer", "auditor", "operator", "break-glass"]

HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the statements name: the account, its partition and region, and how our resources' names begin."""

    account_id: str
    partition: str
    region: str
    prefix: str

    def bucket(self, purpose: str) -> str:
        """Return the ARN of our bucket for ``purpose``, in this account and any of the stack's regions."""
        return f"arn:{self.partition}:s3:::{self.prefix}-{purpose}-{self.account_id}-*"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account in the home region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True, kw_only=True)
class Duty:
    """What a persona is for, what it may do, and for how long at a time."""

    about: str
    session_seconds: int
    statements: Callable[[Surroundings], Sequence[Statement]]


def _read_bucket(at: Surroundings, purpose: str, sid: str) -> list[Statement]:
    return [
        Statement(sid=f"List{sid}", actions=["s3:ListBucket"], resources=[at.bucket(purpose)]),
        Statement(
            sid=f"Read{sid}",
            actions=["s3:GetObject", "s3:GetObjectVersion"],
            resources=[f"{at.bucket(purpose)}/*"],
        ),
    ]


def _use_keys_of(at: Surroundings, domain: str, actions: Sequence[str], sid: str) -> Statement:
    return Statement(
        sid=sid,
        actions=actions,
        resources=[at.arn("kms", "key/*")],
        conditions={"StringEquals": {"aws:ResourceTag/data-domain": domain}},
    )


def _enter_cluster(at: Surroundings) -> Statement:
    # Only finds the cluster; what a person may do inside is the cluster's own access entry.
    return Statement(
        sid="FindTheCluster",
        actions=["eks:DescribeCluster"],
        resources=[at.arn("eks", f"cluster/{at.prefix}*")],
    )


def _read_own_logs(at: Surroundings) -> Statement:
    return Statement(
        sid="ReadServiceLogs",
        actions=["logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"],
        resources=[at.arn("logs", f"log-group:/{at.prefix}/services/*")],
    )


def _data_scientist(at: Surroundings) -> list[Statement]:
    return [
        *_read_bucket(at, "models", "Models"),
        _use_keys_of(at, "models", ["kms:Decrypt"], "DecryptModels"),
        _enter_cluster(at),
    ]


def _ml_engineer(at: Surroundings) -> list[Statement]:
    return [
        *_data_scientist(at),
        _read_own_logs(at),
        Statement(
            sid="ReadImages",
            actions=[
                "ecr:BatchGetImage",
                "ecr:DescribeImageScanFindings",
                "ecr:DescribeImages",
                "ecr:ListImages",
            ],
            resources=[at.arn("ecr", f"repository/{at.prefix}/*")],
        ),
    ]


def _auditor(at: Surroundings) -> list[Statement]:
    return [
        *_read_bucket(at, "audit", "AuditTrail"),
        *_read_bucket(at, "access-logs", "AccessLogs"),
        _use_keys_of(at, "logs", ["kms:Decrypt"], "DecryptAuditTrail"),
        Statement(
            sid="ReadEveryLog",
            actions=["logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"],
            resources=[at.arn("logs", "log-group:*")],
        ),
        Statement(
            sid="ReadFindings",
            actions=["access-analyzer:GetFindingV2", "access-analyzer:ListFindingsV2"],
            resources=[at.arn("access-analyzer", "analyzer/*")],
        ),
        Statement(
            sid="ReadConfiguration",
            actions=[
                "access-analyzer:ListAnalyzers",
                "cloudtrail:DescribeTrails",
                "cloudtrail:GetTrailStatus",
                "cloudtrail:LookupEvents",
                "ec2:DescribeFlowLogs",
                "ec2:DescribeNetworkAcls",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeVpcs",
                "iam:GetAccountPasswordPolicy",
                "iam:GetAccountSummary",
                "iam:ListPolicies",
                "iam:ListRoles",
                "kms:ListKeys",
                "logs:DescribeLogGroups",
                "logs:GetQueryResults",
                "rds:DescribeDBInstances",
                "s3:GetAccountPublicAccessBlock",
                "s3:ListAllMyBuckets",
            ],
            resources=["*"],
        ),
    ]


def _operator(at: Surroundings) -> list[Statement]:
    ours = {"StringEquals": {"aws:ResourceTag/managed-by": at.prefix.rpartition("-")[0]}}
    return [
        _read_own_logs(at),
        _enter_cluster(at),
        Statement(
            sid="SeeWhatRuns",
            actions=[
                "autoscaling:DescribeAutoScalingGroups",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstances",
                "ec2:DescribeVolumes",
                "eks:ListClusters",
                "rds:DescribeDBInstances",
                "rds:DescribeEvents",
            ],
            resources=["*"],
        ),
        Statement(
            sid="RestartOurMachines",
            actions=["ec2:RebootInstances", "ec2:StopInstances", "ec2:StartInstances"],
            resources=[at.arn("ec2", "instance/*")],
            conditions=ours,
        ),
        Statement(
            sid="FailOverOurDatabase",
            actions=["rds:RebootDBInstance"],
            resources=[at.arn("rds", f"db:{at.prefix}*")],
        ),
        Statement(
            sid="QuietAlarms",
            actions=["cloudwatch:DisableAlarmActions", "cloudwatch:EnableAlarmActions"],
            resources=[at.arn("cloudwatch", f"alarm:{at.prefix}*")],
        ),
    ]


def _break_glass(at: Surroundings) -> list[Statement]:
    """Return what stops an incident: cut connections, revoke sessions, freeze machines. It grants no data."""
    return [
        *_auditor(at),
        Statement(
            sid="CutConnections",
            actions=[
                "ec2:AuthorizeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
            ],
            resources=[at.arn("ec2", "security-group/*")],
        ),
        Statement(
            sid="FreezeMachines",
            actions=["ec2:StopInstances", "ec2:CreateSnapshot"],
            resources=[at.arn("ec2", "instance/*"), at.arn("ec2", "volume/*"), at.arn("ec2", "snapshot/*")],
        ),
        Statement(
            sid="StopTheBastion",
            actions=["autoscaling:SetDesiredCapacity", "autoscaling:SuspendProcesses"],
            resources=[at.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{at.prefix}*")],
        ),
    ]


DUTIES: Mapping[Persona, Duty] = {
    "data-scientist": Duty(
        about="Explores models and submits training jobs",
        session_seconds=8 * HOUR,
        statements=_data_scientist,
    ),
    "ml-engineer": Duty(about="Builds and ships models", session_seconds=8 * HOUR, statements=_ml_engineer),
    "auditor": Duty(
        about="Reads every trail and changes nothing", session_seconds=8 * HOUR, statements=_auditor
    ),
    "operator": Duty(about="Keeps the platform running", session_seconds=8 * HOUR, statements=_operator),
    "break-glass": Duty(about="Stops an incident", session_seconds=HOUR, statements=_break_glass),
}
