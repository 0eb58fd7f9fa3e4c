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
    """What the statements name: the account, its partition and region, and how our names begin."""

    account_id: str
    partition: str
    region: str
    prefix: str
    bucket_prefix: str

    def bucket(self, purpose: str) -> str:
        """Return the ARN of our bucket for ``purpose``, in this account and any of the stack's regions."""
        return f"arn:{self.partition}:s3:::{self.bucket_prefix}-{purpose}-{self.account_id}-*"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account in the home region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def in_both_regions(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account anywhere; the boundary leaves the stack's two regions."""
        return f"arn:{self.partition}:{service}:*:{self.account_id}:{resource}"

    def iam(self, resource: str) -> str:
        """Return the ARN of a resource of IAM, which has no region."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"


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


def _read_logs(at: Surroundings, groups: str) -> list[Statement]:
    return [
        Statement(
            sid="ReadLogs",
            actions=["logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"],
            resources=[at.arn("logs", f"log-group:{groups}")],
        ),
        # A query is known by an id that only its maker gets; the log groups were decided when it started.
        Statement(sid="ReadOwnQueries", actions=["logs:GetQueryResults", "logs:StopQuery"], resources=["*"]),
    ]


def _services(at: Surroundings) -> str:
    """Return the log groups of the platform's services: none of the database's, which quote what was asked."""
    return f"/{at.prefix}/services/*"


def _never_use_keys(*, except_domains: Sequence[str] = ()) -> Statement:
    """Refuse the use of keys to who administers them, and so could write a grant into a key's policy."""
    return Statement(
        sid="AdministerKeysButNeverUseThem",
        effect="Deny",
        actions=["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        resources=["*"],
        conditions={"StringNotEquals": {"aws:ResourceTag/data-domain": list(except_domains)}}
        if except_domains
        else {},
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
        *_read_logs(at, _services(at)),
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


def _ask_the_logs(at: Surroundings) -> list[Statement]:
    """Run the audit's questions; the workgroup decides where answers go and how they are encrypted."""
    database = f"{at.prefix}-audit".replace("-", "_")
    return [
        Statement(
            sid="AskTheLogs",
            actions=[
                "athena:BatchGetNamedQuery",
                "athena:GetNamedQuery",
                "athena:GetQueryExecution",
                "athena:GetQueryResults",
                "athena:GetWorkGroup",
                "athena:ListNamedQueries",
                "athena:ListQueryExecutions",
                "athena:StartQueryExecution",
                "athena:StopQueryExecution",
            ],
            resources=[at.arn("athena", f"workgroup/{at.prefix}-audit")],
        ),
        Statement(
            sid="ReadTheTables",
            actions=["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"],
            resources=[
                at.arn("glue", "catalog"),
                at.arn("glue", f"database/{database}"),
                at.arn("glue", f"table/{database}/*"),
            ],
        ),
        *_read_bucket(at, "answers", "Answers"),
        Statement(
            sid="WriteAnswers",
            actions=["s3:AbortMultipartUpload", "s3:PutObject"],
            resources=[f"{at.bucket('answers')}/answers/*"],
        ),
        Statement(
            sid="FindTheAnswersBucket", actions=["s3:GetBucketLocation"], resources=[at.bucket("answers")]
        ),
        _use_keys_of(at, "reports", ["kms:Decrypt", "kms:GenerateDataKey"], "EncryptAnswers"),
    ]


def _auditor(at: Surroundings) -> list[Statement]:
    return [
        *_read_bucket(at, "audit", "AuditTrail"),
        *_read_bucket(at, "reports", "Reports"),
        *_read_bucket(at, "archive", "Archive"),
        *_ask_the_logs(at),
        *_read_bucket(at, "access-logs", "AccessLogs"),
        *_read_bucket(at, "replica-access-logs", "ReplicaAccessLogs"),
        _use_keys_of(at, "logs", ["kms:Decrypt"], "DecryptAuditTrail"),
        *_read_logs(at, "*"),
        Statement(
            sid="ReadFindings",
            actions=["access-analyzer:GetFinding", "access-analyzer:ListFindings"],
            resources=[at.in_both_regions("access-analyzer", "analyzer/*")],
        ),
        Statement(
            sid="ReadWhoMayDoWhat",
            actions=[
                "iam:GetPolicy",
                "iam:GetPolicyVersion",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListPolicyVersions",
                "iam:ListRolePolicies",
            ],
            resources=[at.iam("role/*"), at.iam("policy/*")],
        ),
        Statement(
            sid="ReadHowKeysAreSet",
            actions=["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants"],
            resources=[at.in_both_regions("kms", "key/*")],
        ),
        Statement(
            sid="ReadHowClustersAreSet",
            actions=[
                "eks:DescribeAccessEntry",
                "eks:DescribeAddon",
                "eks:DescribeCluster",
                "eks:DescribeNodegroup",
                "eks:DescribePodIdentityAssociation",
                "eks:ListAccessEntries",
                "eks:ListAddons",
                "eks:ListAssociatedAccessPolicies",
                "eks:ListNodegroups",
                "eks:ListPodIdentityAssociations",
            ],
            resources=[
                at.arn("eks", f"{kind}/{at.prefix}*")
                for kind in ("access-entry", "addon", "cluster", "nodegroup", "podidentityassociation")
            ],
        ),
        Statement(
            sid="ReadHowImagesAreKept",
            actions=[
                "ecr:DescribeImageScanFindings",
                "ecr:DescribeImages",
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
                "ecr:GetRepositoryPolicy",
            ],
            resources=[at.arn("ecr", f"repository/{at.prefix}/*")],
        ),
        Statement(
            # How a bucket is set, never what is in it.
            sid="ReadHowBucketsAreSet",
            actions=[
                "s3:GetBucketLocation",
                "s3:GetBucketLogging",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketPolicy",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetReplicationConfiguration",
            ],
            resources=[f"arn:{at.partition}:s3:::{at.bucket_prefix}-*"],
        ),
        Statement(
            sid="ReadConfiguration",
            actions=[
                "access-analyzer:ListAnalyzers",
                "backup:DescribeBackupVault",
                "backup:ListBackupJobs",
                "backup:ListRecoveryPointsByBackupVault",
                "backup:ListRestoreJobs",
                "cloudtrail:DescribeTrails",
                "cloudtrail:GetTrailStatus",
                "cloudtrail:ListPublicKeys",
                "cloudtrail:LookupEvents",
                "config:DescribeConfigurationRecorderStatus",
                "config:GetResourceConfigHistory",
                "ec2:DescribeFlowLogs",
                "ec2:DescribeNetworkAcls",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeVpcEndpoints",
                "ec2:DescribeVpcs",
                "ec2:GetEbsEncryptionByDefault",
                "ecr:GetRegistryScanningConfiguration",
                "eks:ListClusters",
                "guardduty:GetFindings",
                "guardduty:ListDetectors",
                "guardduty:ListFindings",
                "iam:GenerateCredentialReport",
                "iam:GetAccountPasswordPolicy",
                "iam:GetAccountSummary",
                "iam:GetCredentialReport",
                "iam:ListPolicies",
                "iam:ListRoles",
                "kms:ListAliases",
                "kms:ListKeys",
                "logs:DescribeLogGroups",
                "macie2:GetFindings",
                "macie2:ListFindings",
                "rds:DescribeDBInstances",
                "s3:GetAccountPublicAccessBlock",
                "s3:ListAllMyBuckets",
                "securityhub:GetFindings",
            ],
            resources=["*"],
        ),
    ]


def _operator(at: Surroundings) -> list[Statement]:
    return [
        *_read_logs(at, _services(at)),
        _enter_cluster(at),
        _never_use_keys(),
        Statement(
            sid="SeeWhatRuns",
            actions=[
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeInstanceRefreshes",
                "autoscaling:DescribeScalingActivities",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstances",
                "ec2:DescribeVolumes",
                "eks:ListClusters",
                "logs:DescribeLogGroups",
                "rds:DescribeDBInstances",
                "rds:DescribeEvents",
            ],
            resources=["*"],
        ),
        Statement(
            # A machine of a scaling group gets our provider's tags from nobody; its name is ours.
            sid="RestartOurMachines",
            actions=["ec2:RebootInstances"],
            resources=[at.arn("ec2", "instance/*")],
            conditions={"StringLike": {"aws:ResourceTag/Name": f"{at.prefix}-*"}},
        ),
        Statement(
            sid="ReplaceOurMachines",
            actions=["autoscaling:StartInstanceRefresh", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            resources=[_scaling_groups(at)],
        ),
        Statement(
            sid="FailOverOurDatabase",
            actions=["rds:RebootDBInstance"],
            resources=[at.arn("rds", f"db:{at.prefix}*")],
        ),
        Statement(
            # For maintenance. Alarms of security are nobody's to quiet.
            sid="QuietAlarmsOfTheDatabase",
            actions=["cloudwatch:DisableAlarmActions", "cloudwatch:EnableAlarmActions"],
            resources=[at.arn("cloudwatch", f"alarm:{at.prefix}-database*")],
        ),
    ]


def _break_glass(at: Surroundings) -> list[Statement]:
    """Return what stops an incident: read the trail, cut connections, freeze machines. It grants no data."""
    return [
        *_auditor(at),
        _never_use_keys(except_domains=["logs", "reports"]),
        Statement(
            # A key that is retagged as one of the logs would be a way around the refusal above.
            sid="NeverRetagKeys",
            effect="Deny",
            actions=["kms:TagResource", "kms:UntagResource"],
            resources=["*"],
        ),
        Statement(
            sid="FindWhatToStop",
            actions=[
                "autoscaling:DescribeAutoScalingGroups",
                "ec2:DescribeInstances",
                "ec2:DescribeVolumes",
            ],
            resources=["*"],
        ),
        Statement(
            sid="CutConnections",
            actions=["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
            resources=[at.arn("ec2", "security-group/*")],
        ),
        Statement(
            sid="FreezeMachines",
            actions=["ec2:StopInstances"],
            resources=[at.arn("ec2", "instance/*")],
        ),
        Statement(
            # ARNs of new snapshots have no account.
            sid="KeepEvidence",
            actions=["ec2:CreateSnapshot"],
            resources=[
                at.arn("ec2", "volume/*"),
                f"arn:{at.partition}:ec2:{at.region}::snapshot/*",
            ],
        ),
        Statement(
            # Without the suspended launch, the group would put a new machine where one was taken away.
            sid="CloseTheBastion",
            actions=[
                "autoscaling:ResumeProcesses",
                "autoscaling:SuspendProcesses",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
            ],
            resources=[_scaling_groups(at)],
        ),
    ]


def _scaling_groups(at: Surroundings) -> str:
    return at.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{at.prefix}*")


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
