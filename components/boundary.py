"""The permissions boundary: what no policy inside it can ever allow, however it was written."""

from __future__ import annotations

from collections.abc import Sequence

from components.documents import Statement
from components.personas import Surroundings

_GLOBAL_SERVICES = (
    "budgets:*",
    "iam:*",
    "organizations:*",
    "route53:*",
    "s3:ListAllMyBuckets",
    "sts:*",
    "support:*",
)
"""Answered from one place for the whole world, so their calls carry no region of ours (IAM User Guide, "Denies
access to AWS based on the requested Region"). Content delivery is left out: it would carry data away."""


def boundary_statements(at: Surroundings, regions: Sequence[str]) -> list[Statement]:
    """Return the boundary: this account's own, in ``regions`` only, never out from under the boundary itself."""
    return [*_allowances(at), _no_other_region(regions), *_no_way_out(at), *_no_blind_spot()]


def boundary_arn(at: Surroundings) -> str:
    """Return the ARN of the boundary, which it names itself."""
    return at.iam(f"policy/{at.prefix}-boundary")


def _allowances(at: Surroundings) -> list[Statement]:
    return [
        Statement(
            sid="WithinTheAccount",
            actions=["*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:ResourceAccount": at.account_id}},
        ),
        Statement(
            # Cluster add-ons come from Amazon's own registries, whose accounts differ by region.
            sid="PullImages",
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=[f"arn:{at.partition}:ecr:*:*:repository/*"],
        ),
        Statement(
            # For backups. A snapshot's ARN has no account, and the request names none; the copy is ours.
            sid="CopySnapshots",
            actions=["ec2:CopySnapshot"],
            resources=[f"arn:{at.partition}:ec2:*::snapshot/*"],
        ),
        Statement(
            sid="LookUpImagesOfMachines",
            actions=["ssm:GetParameter", "ssm:GetParameters"],
            resources=[f"arn:{at.partition}:ssm:*::parameter/aws/service/*"],
        ),
        Statement(
            # Its requests do not say whose volume it will be (IAM User Guide, "aws:ResourceAccount"); the ARN does.
            sid="MakeVolumes",
            actions=["ec2:CreateVolume"],
            resources=[at.in_both_regions("ec2", "volume/*"), f"arn:{at.partition}:ec2:*:*:snapshot/*"],
        ),
    ]


def _no_other_region(regions: Sequence[str]) -> Statement:
    return Statement(
        sid="NoOtherRegion",
        effect="Deny",
        not_actions=_GLOBAL_SERVICES,
        resources=["*"],
        conditions={"StringNotEquals": {"aws:RequestedRegion": list(regions)}},
    )


def _no_way_out(at: Surroundings) -> list[Statement]:
    """Refuse every way to a principal that the boundary does not hold."""
    return [
        Statement(
            sid="NoTouchingTheBoundary",
            effect="Deny",
            actions=[
                "iam:CreatePolicyVersion",
                "iam:DeletePolicy",
                "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion",
            ],
            resources=[boundary_arn(at)],
        ),
        Statement(
            # Also when the request names no boundary at all: a negated operator matches an absent key.
            sid="NoRoleOutsideTheBoundary",
            effect="Deny",
            actions=[
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
            ],
            resources=["*"],
            conditions={"StringNotEquals": {"iam:PermissionsBoundary": boundary_arn(at)}},
        ),
        Statement(
            # A role from before the boundary must not be told to trust somebody else.
            sid="NoLeavingTheBoundary",
            effect="Deny",
            actions=[
                "iam:DeleteRolePermissionsBoundary",
                "iam:DeleteUserPermissionsBoundary",
                "iam:UpdateAssumeRolePolicy",
            ],
            resources=["*"],
        ),
        Statement(
            sid="NoStoredCredentials",
            effect="Deny",
            actions=[
                "iam:AddUserToGroup",
                "iam:AttachGroupPolicy",
                "iam:AttachUserPolicy",
                "iam:CreateAccessKey",
                "iam:CreateLoginProfile",
                "iam:CreateServiceSpecificCredential",
                "iam:CreateUser",
                "iam:PutGroupPolicy",
                "iam:PutUserPolicy",
                "iam:UpdateLoginProfile",
            ],
            resources=["*"],
        ),
        Statement(
            sid="NoOtherWayToSignIn",
            effect="Deny",
            actions=[
                "ec2-instance-connect:SendSSHPublicKey",
                "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
                "iam:CreateOpenIDConnectProvider",
                "iam:CreateSAMLProvider",
                "iam:UpdateSAMLProvider",
            ],
            resources=["*"],
        ),
        Statement(
            # Whoever rules the cluster becomes any pod, and so any pod's role.
            sid="NoLettingOneselfIntoAClusterNorBecomingAPod",
            effect="Deny",
            actions=[
                "eks:AssociateAccessPolicy",
                "eks:CreateAccessEntry",
                "eks:CreatePodIdentityAssociation",
                "eks:UpdateAccessEntry",
                "eks:UpdatePodIdentityAssociation",
            ],
            resources=["*"],
        ),
        Statement(
            sid="NoLeavingTheOrganization",
            effect="Deny",
            actions=["account:CloseAccount", "organizations:LeaveOrganization"],
            resources=["*"],
        ),
    ]


def _no_blind_spot() -> list[Statement]:
    """Refuse to switch off whatever sees, records or keeps what happens."""
    return [
        Statement(
            sid="NoSwitchingOffTheTrail",
            effect="Deny",
            actions=[
                "access-analyzer:DeleteAnalyzer",
                "backup:DeleteBackupPlan",
                "backup:DeleteBackupSelection",
                "backup:DeleteBackupVault",
                "backup:DeleteBackupVaultAccessPolicy",
                "backup:DeleteBackupVaultLockConfiguration",
                "backup:DeleteRecoveryPoint",
                "backup:PutBackupVaultAccessPolicy",
                "backup:UpdateRecoveryPointLifecycle",
                "cloudtrail:DeleteTrail",
                "cloudtrail:PutEventSelectors",
                "cloudtrail:StopLogging",
                "cloudtrail:UpdateTrail",
                "config:DeleteConfigurationRecorder",
                "config:DeleteDeliveryChannel",
                "config:StopConfigurationRecorder",
                "ec2:DeleteFlowLogs",
                "guardduty:DeleteDetector",
                "guardduty:UpdateDetector",
                "inspector2:Disable",
                "logs:DeleteLogGroup",
                "logs:DeleteLogStream",
                "logs:DeleteMetricFilter",
                "macie2:DisableMacie",
                "macie2:UpdateMacieSession",
                "s3:BypassGovernanceRetention",
                "securityhub:BatchDisableStandards",
                "securityhub:DisableSecurityHub",
            ],
            resources=["*"],
        ),
    ]
