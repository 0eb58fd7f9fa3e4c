"""Who may act: a role for each persona and one for the pipeline, all under one boundary, none with stored keys."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.boundary import boundary_arn, boundary_statements
from components.documents import Statement, partition_of, policy_document
from components.personas import DUTIES, HOUR, Duty, Persona, Surroundings

GITHUB = "token.actions.githubusercontent.com"

_PERSON = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


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
        bucket_prefix: str | None = None,
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
            people_principal_arns: Users or roles that may take on a persona. Their session must say itself that
                it has a second factor (``aws:MultiFactorAuthPresent``): sessions of IAM users do, and of
                roles that they took on with a code; those of IAM Identity Center and of SAML do not.
            bucket_prefix: How the names of the platform's buckets begin, where that is shorter.
            github_repository: ``owner/name`` whose workflows deploy; without it there is no pipeline role.
            permissions_boundary_arn: A boundary of the caller's instead of ours.
            opts: Options of the component.

        Raises:
            ValueError: nobody may take on the personas, or everybody; or the repository is none.
        """
        super().__init__("secureml:identity:PlatformRoles", name, None, opts)
        _check_people(people_principal_arns)
        _check_repository(github_repository)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._at = Surroundings(
            account_id=account_id,
            partition=partition_of(home_region),
            region=home_region,
            prefix=resource_prefix,
            bucket_prefix=bucket_prefix or resource_prefix,
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
            {
                "boundary_arn": self.boundary_arn,
                "ci_role_arn": self.ci_role_arn,
                **{f"{persona}_role_arn": arn for persona, arn in self.role_arns.items()},
            }
        )

    def _boundary(self, regions: Sequence[str]) -> pulumi.Output[str]:
        boundary = aws.iam.Policy(
            f"{self._name}-boundary",
            # It names itself, so its name is known beforehand.
            name=boundary_arn(self._at).rpartition("/")[2],
            description="The most that any role of the platform can be allowed",
            policy=policy_document(*boundary_statements(self._at, regions)),
            opts=self._under,
        )
        return boundary.arn

    def _person(
        self, persona: Persona, duty: Duty, people_principal_arns: Sequence[str]
    ) -> pulumi.Output[str]:
        trust = Statement(
            sid="PeopleWithASecondFactor",
            actions=["sts:AssumeRole"],
            principals={"AWS": list(people_principal_arns)},
            conditions={
                "Bool": {"aws:MultiFactorAuthPresent": "true"},
                "NumericLessThan": {"aws:MultiFactorAuthAge": str(duty.session_seconds)},
            },
        )
        return self._role(
            persona,
            about=duty.about,
            trust=trust,
            session_seconds=duty.session_seconds,
            statements=duty.statements(self._at),
            tags={"persona": persona},
        )

    def _pipeline(self, repository: str, environment: str) -> pulumi.Output[str]:
        """Make the role that publishes: it pushes images and signs them.

        GitHub's provider of identities is the bootstrap's, as the role that deploys is: an account has one at most,
        and the first update already comes through it.
        """
        trust = Statement(
            sid="OneEnvironmentOfOneRepository",
            actions=["sts:AssumeRoleWithWebIdentity"],
            principals={"Federated": [self._at.iam(f"oidc-provider/{GITHUB}")]},
            conditions={
                "StringEquals": {
                    f"{GITHUB}:aud": "sts.amazonaws.com",
                    f"{GITHUB}:sub": f"repo:{repository}:environment:{environment}",
                }
            },
        )
        return self._role(
            "pipeline",
            about=f"Publishes images of {environment} from {repository}",
            trust=trust,
            session_seconds=HOUR,
            statements=_pipeline_statements(self._at),
        )

    def _role(
        self,
        purpose: str,
        *,
        about: str,
        trust: Statement,
        session_seconds: int,
        statements: Sequence[Statement],
        tags: dict[str, str] | None = None,
    ) -> pulumi.Output[str]:
        role = aws.iam.Role(
            f"{self._name}-{purpose}",
            name=f"{self._at.prefix}-{purpose}",
            description=about,
            assume_role_policy=policy_document(trust),
            max_session_duration=session_seconds,
            permissions_boundary=self.boundary_arn,
            tags=tags,
            opts=self._under,
        )
        aws.iam.RolePolicy(
            f"{self._name}-{purpose}",
            role=role.id,
            policy=policy_document(*statements),
            opts=self._under,
        )
        return role.arn


def _pipeline_statements(at: Surroundings) -> list[Statement]:
    return [
        Statement(sid="SignInToTheRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        Statement(
            sid="PushImages",
            actions=[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            resources=[at.arn("ecr", f"repository/{at.prefix}/*")],
        ),
        Statement(
            sid="SignImages",
            actions=["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign"],
            resources=[at.arn("kms", "key/*")],
            conditions={"StringEquals": {"aws:ResourceTag/data-domain": "signing"}},
        ),
    ]


def _check_people(principal_arns: Sequence[str]) -> None:
    if not principal_arns:
        raise ValueError(
            "people_principal_arns is empty; name the users or roles that may take on the personas"
        )
    for index, arn in enumerate(principal_arns):
        # "*" and an account's root are whole crowds, and a second factor is all that would stop them.
        if not _PERSON.fullmatch(arn):
            raise ValueError(
                f"people_principal_arns[{index}] is {arn!r:.80}; "
                "write one user or role in full, like arn:aws:iam::111122223333:user/alice"
            )


def _check_repository(repository: str | None) -> None:
    if repository is not None and not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"github_repository is {repository!r:.80}; write one repository as owner/name")
