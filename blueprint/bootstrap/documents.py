"""The policies around state and keys: who deploys, what stays out of their reach, who uses and who administers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blueprint.bootstrap.target import GITHUB, Target

Document = dict[str, Any]

SERVICES = (
    "access-analyzer",
    "acm",
    "athena",
    "autoscaling",
    "backup",
    "backup-storage",
    "budgets",
    "cloudtrail",
    "cloudwatch",
    "config",
    "dynamodb",
    "ec2",
    "ecr",
    "eks",
    "elasticloadbalancing",
    "events",
    "firehose",
    "glue",
    "guardduty",
    "iam",
    "inspector2",
    "kms",
    "lambda",
    "logs",
    "macie2",
    "network-firewall",
    "rds",
    "route53",
    "route53resolver",
    "s3",
    "scheduler",
    "secretsmanager",
    "securityhub",
    "sns",
    "sqs",
    "ssm",
    "sts",
    "tag",
    "wafv2",
)
"""The services of AWS that the platform is made of; who deploys may meet no other. A component that needs one more
adds it here, and the bootstrap is run again."""

ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""AWS KMS Developer Guide, "Allows key administrators to administer the KMS key", without the use of it."""

_BUCKET_SETTINGS = (
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)

_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject*",
    "s3:GetObject*",
    "s3:ListBucket*",
    "s3:ListMultipartUploadParts",
    "s3:PutObject*",
    "s3:ReplicateObject",
    "s3:RestoreObject",
)

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
access to AWS based on the requested Region")."""


def written(*statements: Mapping[str, Any]) -> Document:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": [dict(each) for each in statements]}


def deploy_trust(at: Target) -> Document:
    """Return who may take on the role that deploys: jobs of one deployment environment, and administrators."""
    return written(*_workflows(at, at.subject), *_administrators(at))


def preview_trust(at: Target) -> Document:
    """Return who may take on the role that looks."""
    return written(*_workflows(at, at.preview_subject))


def _workflows(at: Target, subject: str) -> list[Document]:
    if not at.repository:
        return []
    return [
        {
            "Sid": "OneEnvironmentOfOneRepository",
            "Effect": "Allow",
            "Principal": {"Federated": at.provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": subject}},
        }
    ]


def _administrators(at: Target) -> list[Document]:
    """Let administrators deploy, for the first update and for when GitHub is away: with a second factor.

    Sessions of IAM Identity Center carry none here; its own sign-in asks for it.
    """
    signed_in = [arn for arn in at.administrator_arns if ":role/aws-reserved/sso.amazonaws.com/" in arn]
    others = [arn for arn in at.administrator_arns if arn not in signed_in]
    return [
        # Named in a condition: as a principal, one that is deleted later would break the policy.
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": at.root_arn},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": arns}, **besides},
        }
        for sid, arns, besides in (
            ("AdministratorsWithASecondFactor", others, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
            ("AdministratorsFromIdentityCenter", signed_in, {}),
        )
        if arns
    ]


def deploy_policy() -> Document:
    """Return what who deploys is allowed: the platform's services, as far as the boundary lets them."""
    return written(
        {
            "Sid": "ThePlatformsServices",
            "Effect": "Allow",
            "Action": [f"{service}:*" for service in SERVICES],
            "Resource": "*",
        }
    )


def preview_policy(at: Target, state_key_arn: str, secrets_key_arn: str) -> Document:
    """Return what who looks is allowed: how everything is set up, the state, and none of the data."""
    bucket = _bucket(at)
    return written(
        {
            "Sid": "LookAtTheSetUp",
            "Effect": "Allow",
            "Action": [f"{service}:{verb}*" for service in SERVICES for verb in ("Describe", "Get", "List")],
            "Resource": "*",
        },
        {
            "Sid": "NoneOfTheData",
            "Effect": "Deny",
            "Action": [
                "athena:GetQueryResults*",
                "dynamodb:GetItem",
                "dynamodb:GetRecords",
                "ec2:GetConsole*",
                "ec2:GetPasswordData",
                "ecr:GetDownloadUrlForLayer",
                "logs:GetLogEvents",
                "logs:GetLogRecord",
                "logs:GetQueryResults",
                "secretsmanager:GetSecretValue",
                "sts:GetFederationToken",
                "sts:GetSessionToken",
            ],
            "Resource": "*",
        },
        {
            "Sid": "NoObjectsButTheState",
            "Effect": "Deny",
            "Action": "s3:GetObject*",
            "NotResource": f"{bucket}/*",
        },
        {
            # A preview writes no state; an update that runs meanwhile is respected by its lock.
            "Sid": "LockTheState",
            "Effect": "Allow",
            "Action": ["s3:DeleteObject", "s3:PutObject"],
            "Resource": f"{bucket}/.pulumi/locks/*",
        },
        {
            "Sid": "ReadTheState",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": [state_key_arn, secrets_key_arn],
        },
    )


def boundary(at: Target) -> Document:
    """Return the most that who deploys can ever do, whatever else they are allowed.

    Their roles stay under the platform's boundary; neither that nor what the bootstrap made is theirs to change;
    data stays unread.
    """
    return written(
        {"Sid": "AsAllowed", "Effect": "Allow", "Action": "*", "Resource": "*"},
        _refuse(
            "NoOtherRegion",
            not_actions=_GLOBAL_SERVICES,
            condition={
                "StringNotEquals": {"aws:RequestedRegion": sorted({at.region, at.backup_region})},
            },
        ),
        _refuse(
            "NoOtherAccount",
            actions=["kms:Encrypt", "s3:PutObject", "sns:Publish", "sqs:SendMessage", "sts:AssumeRole"],
            condition={"StringNotEquals": {"aws:ResourceAccount": at.account_id}},
        ),
        _refuse(
            # Also when the request names no boundary at all: a negated operator matches an absent key.
            "NoRoleOutsideThePlatformsBoundary",
            actions=[
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
            ],
            condition={"StringNotEquals": {"iam:PermissionsBoundary": at.platform_boundary_arn}},
        ),
        _refuse(
            "NoTouchingTheBoundaries",
            actions=[
                "iam:CreatePolicyVersion",
                "iam:DeletePolicy",
                "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion",
            ],
            resources=[at.platform_boundary_arn, at.boundary_arn],
        ),
        _refuse("NoLeavingABoundary", actions=["iam:Delete*PermissionsBoundary"]),
        _refuse(
            "NoTouchingWhoDeploys",
            actions=[
                "iam:Attach*",
                "iam:Delete*",
                "iam:Detach*",
                "iam:Put*",
                "iam:Tag*",
                "iam:Untag*",
                "iam:Update*",
            ],
            resources=[at.deploy_role_arn, at.preview_role_arn, at.provider_arn],
        ),
        _refuse(
            "NoOtherWayToSignIn",
            actions=[
                "iam:AddClientIDToOpenIDConnectProvider",
                "iam:AddUserToGroup",
                "iam:CreateAccessKey",
                "iam:CreateLoginProfile",
                "iam:CreateOpenIDConnectProvider",
                "iam:CreateSAMLProvider",
                "iam:CreateServiceSpecificCredential",
                "iam:CreateUser",
                "iam:DeleteOpenIDConnectProvider",
                "iam:RemoveClientIDFromOpenIDConnectProvider",
                "iam:UpdateLoginProfile",
                "iam:UpdateOpenIDConnectProviderThumbprint",
                "iam:UpdateSAMLProvider",
            ],
        ),
        _refuse(
            "NoTouchingTheState",
            actions=[*_BUCKET_SETTINGS, "s3:BypassGovernanceRetention", "s3:DeleteObjectVersion"],
            resources=[_bucket(at), f"{_bucket(at)}/*"],
        ),
        _refuse(
            "NoTouchingItsKeys",
            actions=[
                "kms:CreateGrant",
                "kms:Disable*",
                "kms:PutKeyPolicy",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
                "kms:UntagResource",
                "kms:UpdateAlias",
            ],
            condition={"StringEquals": {"aws:ResourceTag/managed-by": at.mark}},
        ),
        _refuse(
            "NoneOfTheData",
            actions=["s3:GetObject*"],
            resources=[
                f"arn:{at.partition}:s3:::{at.bucket_prefix}-{purpose}-{at.account_id}-*/*"
                for purpose in ("data", "models", "data-replica", "models-replica")
            ],
        ),
        _refuse(
            "NoSecretsNorRows",
            actions=[
                "dynamodb:*GetItem",
                "dynamodb:Query",
                "dynamodb:Scan",
                "rds-data:*",
                "rds-db:*",
                "secretsmanager:GetSecretValue",
            ],
        ),
        _refuse(
            "NoLeavingTheOrganization", actions=["account:CloseAccount", "organizations:LeaveOrganization"]
        ),
    )


def key_policy(at: Target, *, through_s3: bool) -> Document:
    """Return a key's policy: administrators change it and never use it; who deploys uses it and never changes it.

    Everybody is named in a condition on the account, so that a role may come later than the key. The account's
    root user is among the administrators: a key that nobody can administer is lost.
    """
    only = {"kms:ViaService": f"s3.{at.region}.amazonaws.com"} if through_s3 else {}
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"]
    look = ["kms:Decrypt", "kms:DescribeKey", *(["kms:GenerateDataKey*"] if through_s3 else [])]
    users = [(at.deploy_role_arn, "WhoDeploysMayUse", use)]
    if at.repository:
        users.append((at.preview_role_arn, "WhoLooksMayRead", look))
    return written(
        {
            "Sid": "AdministratorsMayChangeButNotUse",
            "Effect": "Allow",
            "Principal": {"AWS": at.root_arn},
            "Action": list(ADMINISTRATION),
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": [*at.administrator_arns, at.root_arn]}},
        },
        *(
            {
                "Sid": sid,
                "Effect": "Allow",
                "Principal": {"AWS": at.root_arn},
                "Action": actions,
                "Resource": "*",
                "Condition": {
                    "ArnEquals": {"aws:PrincipalArn": role},
                    **({"StringEquals": only} if only else {}),
                },
            }
            for role, sid, actions in users
        ),
    )


def bucket_policy(at: Target, key_arn: str) -> Document:
    """Return the state bucket's policy, which only refuses: what is allowed stands in the roles' own."""
    bucket = _bucket(at)
    everything, objects = [bucket, f"{bucket}/*"], [f"{bucket}/*"]
    encryption = "s3:x-amz-server-side-encryption"
    roles = [at.deploy_role_arn, at.break_glass_arn, *([at.preview_role_arn] if at.repository else [])]
    return written(
        _refuse_all("RefusePlainHttp", ["s3:*"], everything, {"Bool": {"aws:SecureTransport": "false"}}),
        _refuse_all("RefuseOldTls", ["s3:*"], everything, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        # Administrators take on the role that deploys: what they do then is told apart in the trail.
        _refuse_all(
            "OnlyWhoDeploysReachesTheState",
            list(_OBJECTS),
            everything,
            {"ArnNotEquals": {"aws:PrincipalArn": roles}},
        ),
        _refuse_all(
            "OnlyBreakGlassDeletesHistory",
            [
                "s3:BypassGovernanceRetention",
                "s3:DeleteObjectVersion",
                "s3:PutObjectLegalHold",
                "s3:PutObjectRetention",
            ],
            objects,
            {"ArnNotEquals": {"aws:PrincipalArn": at.break_glass_arn}},
        ),
        _refuse_all(
            "OnlyAdministratorsChangeTheBucket",
            list(_BUCKET_SETTINGS),
            [bucket],
            {"ArnNotEquals": {"aws:PrincipalArn": [*at.administrator_arns, at.root_arn]}},
        ),
        _refuse_all(
            "RefuseOtherKeys",
            ["s3:PutObject"],
            objects,
            {
                "StringNotEquals": {f"{encryption}-aws-kms-key-id": key_arn},
                "Null": {f"{encryption}-aws-kms-key-id": "false"},
            },
        ),
        _refuse_all(
            "RefuseOtherEncryption",
            ["s3:PutObject"],
            objects,
            {"StringNotEquals": {encryption: "aws:kms"}, "Null": {encryption: "false"}},
        ),
        # Whoever brings the key can take the state hostage with it.
        _refuse_all(
            "RefuseKeysOfTheCaller",
            ["s3:PutObject"],
            objects,
            {"Null": {f"{encryption}-customer-algorithm": "false"}},
        ),
    )


def _bucket(at: Target) -> str:
    return f"arn:{at.partition}:s3:::{at.bucket}"


def _refuse(
    sid: str,
    *,
    actions: Sequence[str] = (),
    not_actions: Sequence[str] = (),
    resources: Sequence[str] = ("*",),
    condition: Mapping[str, Any] | None = None,
) -> Document:
    return {
        "Sid": sid,
        "Effect": "Deny",
        **({"Action": list(actions)} if actions else {"NotAction": list(not_actions)}),
        "Resource": list(resources),
        **({"Condition": dict(condition)} if condition else {}),
    }


def _refuse_all(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any]
) -> Document:
    return {**_refuse(sid, actions=actions, resources=resources, condition=condition), "Principal": "*"}
