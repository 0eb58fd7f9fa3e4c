"""Where images come from: a repository for each service and each mirrored tool, a cache of public ones, and the key that signs what may run.

Signatures are made with the key by ``cosign sign --key awskms:///<arn>``. Admission checks them against the same
ARN (Kyverno: ``keys.kms: awskms:///<arn>``), for which its pods need ``kms:GetPublicKey`` and ``kms:DescribeKey`` on it
and nothing else: so no public key has to be fetched while the program runs, and rotating the key is one change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document
from components.keys import administration

UPSTREAMS: Mapping[str, str] = {
    "ecr-public": "public.ecr.aws",
    "kubernetes": "registry.k8s.io",
    "quay": "quay.io",
}
"""Public registries that ask for no account (Amazon ECR User Guide, "Creating a pull through cache rule")."""

_UNTAGGED_DAYS = 14

_PUSH = (
    "ecr:BatchDeleteImage",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


class Registry(pulumi.ComponentResource):
    """Repositories of the platform's services, the cache, the scanner's rule and the signing key.

    Attributes:
        host: Host name of the registry; every image that may run comes from it.
        repository_urls: URL of each repository, without a tag.
        cache_urls: URL of each public registry's cache: ``quay`` to ``<host>/<prefix>/quay``.
        signing_key_arn: ARN of the key that signs images.
    """

    host: str
    repository_urls: dict[str, pulumi.Output[str]]
    cache_urls: dict[str, str]
    signing_key_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        cache_prefix: str,
        repositories: Sequence[str],
        key_arn: pulumi.Input[str],
        publisher_arns: Sequence[pulumi.Input[str]],
        administrator_arns: Sequence[pulumi.Input[str]],
        deletion_window_days: int,
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the registry.

        Args:
            name: Logical name.
            prefix: Before the names of the repositories: ``<prefix>/data-api``.
            cache_prefix: Before those of cached ones; ECR takes 30 characters with the registry's name.
            repositories: What is pushed here: names of services, and of what is mirrored.
            key_arn: Key of the images.
            publisher_arns: Roles that may push and sign: the pipeline's, and no person's.
            administrator_arns: Who may change the signing key; they may not sign with it.
            deletion_window_days: How long a deleted signing key can be saved, 7 to 30.
            permissions_boundary_arn: Boundary of the role that fills the cache.
            account_id: The account.
            region: The region.
            opts: Options of the component.

        Raises:
            ValueError: there are no repositories, nobody may publish, or a prefix is too long for ECR.
        """
        super().__init__("secureml:registry:Registry", name, None, opts)
        _check(repositories, publisher_arns, cache_prefix)
        self._name = name
        self._account_id = account_id
        self._partition = partition_of(region)
        self._region = region
        self._key_arn = key_arn
        self._publisher_arns = publisher_arns
        self._under = pulumi.ResourceOptions(parent=self)

        suffix = "amazonaws.com.cn" if self._partition == "aws-cn" else "amazonaws.com"
        self.host = f"{account_id}.dkr.ecr.{region}.{suffix}"
        self.repository_urls = {each: self._repository(prefix, each) for each in repositories}
        self._scanning()
        self.cache_urls = self._cache(cache_prefix, permissions_boundary_arn)
        self.signing_key_arn = self._signing_key(administrator_arns, deletion_window_days)
        self.register_outputs(
            {
                "host": self.host,
                "repository_urls": self.repository_urls,
                "signing_key_arn": self.signing_key_arn,
            }
        )

    def _repository(self, prefix: str, path: str) -> pulumi.Output[str]:
        called = f"{self._name}-{path.replace('/', '-')}"
        repository = aws.ecr.Repository(
            called,
            name=f"{prefix}/{path}",
            # A tag that was checked stays the image that was checked.
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": self._key_arn}],
            force_delete=False,
            opts=self._under,
        )
        aws.ecr.RepositoryPolicy(
            called,
            repository=repository.name,
            policy=policy_document(*self._own_account(), self._publishers_only()),
            opts=self._under,
        )
        aws.ecr.LifecyclePolicy(
            called, repository=repository.name, policy=_forget_untagged(), opts=self._under
        )
        return repository.repository_url

    def _own_account(self) -> list[Statement]:
        """Refuse every other account, whatever its own policies say."""
        return [
            Statement(
                sid="RefuseOtherAccounts",
                effect="Deny",
                actions=["ecr:*"],
                principals="*",
                conditions={
                    "StringNotEquals": {"aws:PrincipalAccount": self._account_id},
                    # Inspector and ECR itself belong to no account.
                    "Bool": {"aws:PrincipalIsAWSService": "false"},
                },
            )
        ]

    def _publishers_only(self) -> Statement:
        return Statement(
            sid="OnlyPublishersPush",
            effect="Deny",
            actions=_PUSH,
            principals="*",
            conditions={
                "ArnNotEquals": {"aws:PrincipalArn": list(self._publisher_arns)},
                "Bool": {"aws:PrincipalIsAWSService": "false"},
            },
        )

    def _scanning(self) -> None:
        """Let Inspector look at every image when it comes, and again whenever a new weakness becomes known."""
        aws.ecr.RegistryScanningConfiguration(
            f"{self._name}-scanning",
            scan_type="ENHANCED",
            rules=[
                {
                    "scan_frequency": "CONTINUOUS_SCAN",
                    "repository_filters": [{"filter": "*", "filter_type": "WILDCARD"}],
                }
            ],
            opts=self._under,
        )

    def _cache(self, prefix: str, permissions_boundary_arn: pulumi.Input[str]) -> dict[str, str]:
        """Let ECR fetch public images for machines that reach no other registry."""
        role, rights = self._cache_role(prefix, permissions_boundary_arn)
        urls = {}
        for upstream, url in UPSTREAMS.items():
            place = f"{prefix}/{upstream}"
            template = aws.ecr.RepositoryCreationTemplate(
                f"{self._name}-cache-{upstream}",
                prefix=place,
                description=f"Images of {url}",
                applied_fors=["PULL_THROUGH_CACHE"],
                custom_role_arn=role.arn,
                image_tag_mutability="IMMUTABLE",
                encryption_configurations=[{"encryption_type": "KMS", "kms_key": self._key_arn}],
                repository_policy=policy_document(*self._own_account()),
                lifecycle_policy=_forget_untagged(),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
            )
            aws.ecr.PullThroughCacheRule(
                f"{self._name}-cache-{upstream}",
                ecr_repository_prefix=place,
                upstream_registry_url=url,
                # The first image may come at once, and its repository must be as the template says.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[template]),
            )
            urls[upstream] = f"{self.host}/{place}"
        return urls

    def _cache_role(
        self, prefix: str, permissions_boundary_arn: pulumi.Input[str]
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """Make the role that ECR makes cached repositories with (Amazon ECR User Guide, "Create a custom policy for
        repository creation templates").
        """
        role = aws.iam.Role(
            f"{self._name}-cache",
            description="Makes the repositories of cached images",
            assume_role_policy=policy_document(
                Statement(
                    sid="RegistryOfThisAccount",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["ecr.amazonaws.com"]},
                    conditions={"StringEquals": {"aws:SourceAccount": self._account_id}},
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=self._under,
        )
        rights = aws.iam.RolePolicy(
            f"{self._name}-cache",
            role=role.id,
            policy=policy_document(
                Statement(
                    sid="MakeCachedRepositories",
                    actions=["ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource"],
                    resources=[
                        f"arn:{self._partition}:ecr:{self._region}:{self._account_id}:repository/{prefix}/*"
                    ],
                ),
                Statement(
                    sid="EncryptThem",
                    actions=["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"],
                    resources=[self._key_arn],
                ),
            ),
            opts=self._under,
        )
        return role, rights

    def _signing_key(
        self, administrator_arns: Sequence[pulumi.Input[str]], deletion_window_days: int
    ) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"{self._name}-signing",
            description="Signs images",
            key_usage="SIGN_VERIFY",
            customer_master_key_spec="ECC_NIST_P256",
            deletion_window_in_days=deletion_window_days,
            policy=policy_document(*self._signing_policy(administrator_arns)),
            tags={"data-domain": "signing"},
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        aws.kms.Alias(
            f"{self._name}-signing",
            name=f"alias/{self._name}-signing",
            target_key_id=key.key_id,
            opts=self._under,
        )
        return key.arn

    def _signing_policy(self, administrator_arns: Sequence[pulumi.Input[str]]) -> list[Statement]:
        root = f"arn:{self._partition}:iam::{self._account_id}:root"
        return [
            *administration(administrator_arns, root, never="Sign"),
            Statement(
                sid="AccountMayDelegateVerification",
                actions=["kms:DescribeKey", "kms:GetPublicKey", "kms:Verify"],
                principals={"AWS": [root]},
                resources=["*"],
            ),
            Statement(
                sid="PublishersSign",
                actions=["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign"],
                # Named in a condition: a principal would have to exist before the key.
                principals="*",
                resources=["*"],
                conditions={
                    "StringEquals": {"kms:CallerAccount": self._account_id},
                    "ArnEquals": {"aws:PrincipalArn": list(self._publisher_arns)},
                },
            ),
        ]


def _forget_untagged() -> str:
    """Return the rule that removes what no tag and no list of images names any more."""
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": _UNTAGGED_DAYS,
    }
    rule = {
        "rulePriority": 1,
        "description": f"Untagged images go after {_UNTAGGED_DAYS} days",
        "selection": selection,
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})


_LONGEST_CACHE_PREFIX = 30
"""Amazon ECR API Reference, "CreatePullThroughCacheRule"."""


def _check(
    repositories: Sequence[str], publisher_arns: Sequence[pulumi.Input[str]], cache_prefix: str
) -> None:
    if not repositories:
        raise ValueError("repositories is empty; name the services that have an image")
    if not publisher_arns:
        raise ValueError("publisher_arns is empty; name the role that may push and sign")
    longest = max(len(f"{cache_prefix}/{upstream}") for upstream in UPSTREAMS)
    if longest > _LONGEST_CACHE_PREFIX:
        raise ValueError(
            f"cache_prefix is {cache_prefix!r:.60}; ECR takes {_LONGEST_CACHE_PREFIX} characters"
        )
