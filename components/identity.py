"""Who may act: a role for each persona and one for the pipeline, all under one boundary, none with stored keys."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document
from components.personas import DUTIES, Duty, Persona, Surroundings

GITHUB = "token.actions.githubusercontent.com"

MFA_AGE_SECONDS = 12 * 3600
"""A sign-in with a second factor counts for a working day."""

_GLOBAL_SERVICES = (
    "budgets:*",
    "cloudfront:*",
    "iam:*",
    "organizations:*",
    "route53:*",
    "route53domains:*",
    "shield:*",
    "sts:*",
    "support:*",
    "waf:*",
    "wafv2:*",
)
"""Answered from one place for the whole world, so they carry no region of ours (IAM User Guide, "Denies access
to AWS based on the requested Region")."""


class PlatformRoles(pulumi.ComponentResource):
    """The boundary, the personas' roles and the pipeline's role.

    Attributes:
        boundary_arn: The permissions boundary that every role of the platform carries.
        role_arns: ARN of each persona's role.
        ci_role_arn: ARN of the pipeline's role; ``None`` without a repository.
    """

    boundary_arn: pulumi.Output[str]
    role_arns: dict[Persona, pulumi.Output[str]]
    ci_role_arn: pulumi.Output[str] | None

    def __init__(
        self,
        name: str,
        *,
        account_id: str,
        environment: str,
        resource_prefix: str,
        home_region: str,
        backup_region: str,
        people_principal_arns: Sequence[str],
        github_repository: str | None = None,
        permissions_boundary_arn: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the roles.

        Args:
            name: Logical name.
            account_id: The account.
            environment: Name of the pipeline's deployment environment that may take on its role.
            resource_prefix: How the names of the platform's resources begin.
            home_region: Where the platform runs.
            backup_region: Where its backups go; no role may act in any other region.
            people_principal_arns: Who may take on a persona, with a second factor.
            github_repository: ``owner/name`` whose workflows deploy; without it there is no pipeline role.
            permissions_boundary_arn: A boundary of the caller's instead of ours.

        Raises:
            ValueError: nobody may take on the personas.
        """
        super().__init__("secureml:identity:PlatformRoles", name, None, opts)
        if not people_principal_arns:
            raise ValueError("people_principal_arns is empty; name the roles of your single sign-on")
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._at = Surroundings(
            account_id=account_id,
            partition=partition_of(home_region),
            region=home_region,
            prefix=resource_prefix,
        )
        self.boundary_arn = (
            pulumi.Output.from_input(permissions_boundary_arn)
            if permissions_boundary_arn
            else self._boundary([home_region, backup_region])
        )
        self.role_arns = {
            persona: self._person(persona, duty, people_principal_arns) for persona, duty in DUTIES.items()
        }
        self.ci_role_arn = self._pipeline(github_repository, environment) if github_repository else None
        self.register_outputs(
            {"boundary_arn": self.boundary_arn, **{f"{p}_role_arn": arn for p, arn in self.role_arns.items()}}
        )

    def _boundary(self, regions: Sequence[str]) -> pulumi.Output[str]:
        """Return the outer wall of every role: what no policy inside it can ever allow."""
        boundary = aws.iam.Policy(
            f"{self._name}-boundary",
            name=f"{self._at.prefix}-boundary",
            description="The most that any role of the platform can be allowed",
            policy=policy_document(
                Statement(
                    sid="WithinTheAccount",
                    actions=["*"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:ResourceAccount": self._at.account_id}},
                ),
                Statement(
                    sid="AmazonsOwnImagesAndPolicies",
                    actions=[
                        "ecr:BatchGetImage",
                        "ecr:GetDownloadUrlForLayer",
                        "s3:GetObject",
                        "ssm:GetParameter",
                    ],
                    resources=["*"],
                ),
                *_boundary_refusals(self._at, regions),
            ),
            opts=self._under,
        )
        return boundary.arn

    def _person(
        self, persona: Persona, duty: Duty, people_principal_arns: Sequence[str]
    ) -> pulumi.Output[str]:
        role = aws.iam.Role(
            f"{self._name}-{persona}",
            name=f"{self._at.prefix}-{persona}",
            description=duty.about,
            assume_role_policy=policy_document(
                Statement(
                    sid="PeopleWithASecondFactor",
                    actions=["sts:AssumeRole"],
                    principals={"AWS": list(people_principal_arns)},
                    conditions={
                        "Bool": {"aws:MultiFactorAuthPresent": "true"},
                        "NumericLessThan": {
                            "aws:MultiFactorAuthAge": str(min(duty.session_seconds, MFA_AGE_SECONDS))
                        },
                    },
                )
            ),
            max_session_duration=duty.session_seconds,
            permissions_boundary=self.boundary_arn,
            tags={"persona": persona},
            opts=self._under,
        )
        aws.iam.RolePolicy(
            f"{self._name}-{persona}",
            role=role.id,
            policy=policy_document(*duty.statements(self._at)),
            opts=self._under,
        )
        return role.arn

    def _pipeline(self, repository: str, environment: str) -> pulumi.Output[str]:
        """Make the role that deploys: it takes on the bootstrap's deployment role and may do nothing else."""
        provider = aws.iam.OpenIdConnectProvider(
            f"{self._name}-github",
            url=f"https://{GITHUB}",
            client_id_lists=["sts.amazonaws.com"],
            opts=self._under,
        )
        role = aws.iam.Role(
            f"{self._name}-pipeline",
            name=f"{self._at.prefix}-pipeline",
            description=f"Deploys {environment} from {repository}",
            assume_role_policy=policy_document(
                Statement(
                    sid="OneEnvironmentOfOneRepository",
                    actions=["sts:AssumeRoleWithWebIdentity"],
                    principals={"Federated": [provider.arn]},
                    conditions={
                        "StringEquals": {
                            f"{GITHUB}:aud": "sts.amazonaws.com",
                            f"{GITHUB}:sub": f"repo:{repository}:environment:{environment}",
                        }
                    },
                )
            ),
            max_session_duration=3600,
            permissions_boundary=self.boundary_arn,
            opts=self._under,
        )
        aws.iam.RolePolicy(
            f"{self._name}-pipeline",
            role=role.id,
            policy=policy_document(*_pipeline_statements(self._at)),
            opts=self._under,
        )
        return role.arn


def _boundary_refusals(at: Surroundings, regions: Sequence[str]) -> list[Statement]:
    own_boundary = f"arn:{at.partition}:iam::{at.account_id}:policy/{at.prefix}-boundary"
    return [
        Statement(
            sid="NoOtherRegion",
            effect="Deny",
            not_actions=_GLOBAL_SERVICES,
            resources=["*"],
            conditions={"StringNotEquals": {"aws:RequestedRegion": list(regions)}},
        ),
        Statement(
            sid="NoTouchingTheBoundary",
            effect="Deny",
            actions=[
                "iam:CreatePolicyVersion",
                "iam:DeletePolicy",
                "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion",
            ],
            resources=[own_boundary],
        ),
        Statement(
            sid="NoLeavingTheBoundary",
            effect="Deny",
            actions=["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"],
            resources=["*"],
        ),
        Statement(
            sid="NoStoredCredentials",
            effect="Deny",
            actions=[
                "iam:CreateAccessKey",
                "iam:CreateLoginProfile",
                "iam:CreateUser",
                "iam:UpdateLoginProfile",
            ],
            resources=["*"],
        ),
        Statement(
            sid="NoSwitchingOffTheTrail",
            effect="Deny",
            actions=[
                "access-analyzer:DeleteAnalyzer",
                "cloudtrail:DeleteTrail",
                "cloudtrail:StopLogging",
                "cloudtrail:UpdateTrail",
                "config:DeleteConfigurationRecorder",
                "config:StopConfigurationRecorder",
                "ec2:DeleteFlowLogs",
                "guardduty:DeleteDetector",
                "guardduty:UpdateDetector",
                "s3:BypassGovernanceRetention",
                "securityhub:DisableSecurityHub",
            ],
            resources=["*"],
        ),
        Statement(
            sid="NoLeavingTheOrganization",
            effect="Deny",
            actions=["organizations:LeaveOrganization", "account:CloseAccount"],
            resources=["*"],
        ),
    ]


def _pipeline_statements(at: Surroundings) -> list[Statement]:
    return [
        Statement(
            sid="TakeOnTheDeploymentRole",
            actions=["sts:AssumeRole"],
            resources=[f"arn:{at.partition}:iam::{at.account_id}:role/{at.prefix}-deploy"],
        ),
        Statement(
            sid="ReadAndWriteTheState",
            actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            resources=[f"{at.bucket('state')}/*"],
        ),
        Statement(sid="ListTheState", actions=["s3:ListBucket"], resources=[at.bucket("state")]),
        Statement(
            sid="SealStackSecrets",
            actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            resources=[at.arn("kms", "key/*")],
            conditions={"StringEquals": {"aws:ResourceTag/data-domain": "state"}},
        ),
    ]
