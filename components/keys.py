"""Encryption keys: one customer-managed KMS key for each data domain, so that a grant on one opens no other.

Administration and use are apart. Administrators may change a key but not decrypt with it; the account's own
roles may use it, each as far as its IAM policy goes, and only through the AWS services that store the domain's
data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.documents import Conditions, Statement, partition_of, policy_document

Domain = Literal["data", "logs", "platform", "models", "backup", "reports"]

DOMAINS: tuple[Domain, ...] = ("data", "logs", "platform", "models", "backup", "reports")

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
    "kms:ReplicateKey",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
)
"""AWS KMS Developer Guide, "Allows key administrators to administer the KMS key", without the use of it."""

_USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")

_SERVICES_OF: Mapping[Domain, tuple[str, ...]] = {
    "data": ("s3", "rds", "ec2", "secretsmanager"),
    "logs": ("s3", "logs", "sns", "sqs", "kinesis", "firehose"),
    "platform": ("dynamodb", "ec2", "ecr", "eks", "lambda", "secretsmanager", "sns", "sqs", "ssm"),
    "models": ("s3", "ecr"),
    "backup": ("s3", "backup", "rds", "ec2"),
    "reports": ("s3", "firehose"),
}
"""Through which services the keys of a domain may be used (KMS Developer Guide, "kms:ViaService")."""


def administration(
    administrator_arns: Sequence[pulumi.Input[str]], root: str, *, never: Literal["Use", "Sign"]
) -> list[Statement]:
    """Return who may administer a key: the administrators, and whoever IAM hands it on to; none may use it.

    Without the delegation nobody could deploy (KMS refuses a policy that its maker cannot change, and who deploys
    is not known here), and a key whose administrators are deleted would be locked for good.

    Args:
        administrator_arns: ARNs of the roles that administer it.
        root: ARN of the account's root, which stands for the account's IAM policies.
        never: What administrators may not do with it; names the statement.
    """
    return [
        Statement(
            sid=f"AdministratorsMayChangeButNot{never}",
            actions=ADMINISTRATION,
            principals={"AWS": administrator_arns},
            resources=["*"],
        ),
        Statement(
            sid="AccountMayDelegateAdministration",
            actions=ADMINISTRATION,
            principals={"AWS": [root]},
            resources=["*"],
        ),
    ]


class KeyRing(pulumi.ComponentResource):
    """The keys of every data domain, and what the backup region needs of them.

    Attributes:
        arns: ARN of the key of each domain; where the caller brought one, that one.
        backup_replica_arn: ARN of the backup key in the backup region.
        backup_region_logs_arn: ARN of the key of logs and alerts in the backup region. It is no replica: who is
            told there must not wait for the home region.
    """

    arns: dict[Domain, pulumi.Output[str]]
    backup_replica_arn: pulumi.Output[str]
    backup_region_logs_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        account_id: str,
        region: str,
        backup_region: str,
        administrator_arns: Sequence[pulumi.Input[str]],
        deletion_window_days: int,
        backup_provider: pulumi.ProviderResource,
        existing: Mapping[Domain, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the keys that ``existing`` (domain to ARN) does not bring.

        A brought backup key must be a multi-Region primary, since its replica is made here.

        Raises:
            ValueError: there is no administrator, the waiting time is not what KMS knows, or a brought key
                is of no domain, of two, or cannot have a replica.
        """
        super().__init__("secureml:keys:KeyRing", name, None, opts)
        brought = dict(existing or {})
        _check(administrator_arns, deletion_window_days, brought)
        self._name = name
        self._account_id = account_id
        self._partition = partition_of(region)
        self._administrator_arns = administrator_arns
        self._deletion_window_days = deletion_window_days

        self.arns = {
            domain: pulumi.Output.from_input(brought[domain])
            if domain in brought
            else self._key(domain, region)
            for domain in DOMAINS
        }
        self.backup_replica_arn = self._replica(backup_region, backup_provider)
        self.backup_region_logs_arn = self._key(
            "logs", backup_region, suffix="-backup-region", provider=backup_provider
        )
        self.register_outputs(
            {
                **{f"{domain}_arn": arn for domain, arn in self.arns.items()},
                "backup_replica_arn": self.backup_replica_arn,
                "backup_region_logs_arn": self.backup_region_logs_arn,
            }
        )

    @property
    def data_arn(self) -> pulumi.Output[str]:
        """Key of training data and of the database."""
        return self.arns["data"]

    @property
    def logs_arn(self) -> pulumi.Output[str]:
        """Key of logs, audit trails and alerts."""
        return self.arns["logs"]

    @property
    def platform_arn(self) -> pulumi.Output[str]:
        """Key of machines, images and clusters."""
        return self.arns["platform"]

    @property
    def models_arn(self) -> pulumi.Output[str]:
        """Key of trained models."""
        return self.arns["models"]

    @property
    def backup_arn(self) -> pulumi.Output[str]:
        """Key of backups in the home region."""
        return self.arns["backup"]

    @property
    def reports_arn(self) -> pulumi.Output[str]:
        """Key of what is reported about the platform: its configuration, findings, answers of the audit."""
        return self.arns["reports"]

    def _key(
        self,
        domain: Domain,
        region: str,
        *,
        suffix: str = "",
        provider: pulumi.ProviderResource | None = None,
    ) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"{self._name}-{domain}{suffix}",
            description=f"Data domain {domain}",
            enable_key_rotation=True,
            rotation_period_in_days=365,
            deletion_window_in_days=self._deletion_window_days,
            multi_region=domain == "backup",
            policy=self._policy(domain, region),
            tags={"data-domain": domain},
            opts=pulumi.ResourceOptions(parent=self, protect=True, provider=provider),
        )
        aws.kms.Alias(
            f"{self._name}-{domain}{suffix}",
            name=f"alias/{self._name}-{domain}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        return key.arn

    def _replica(self, region: str, provider: pulumi.ProviderResource) -> pulumi.Output[str]:
        replica = aws.kms.ReplicaKey(
            f"{self._name}-backup-replica",
            description="Data domain backup, in the backup region",
            primary_key_arn=self.arns["backup"],
            deletion_window_in_days=self._deletion_window_days,
            policy=self._policy("backup", region),
            tags={"data-domain": "backup"},
            opts=pulumi.ResourceOptions(parent=self, protect=True, provider=provider),
        )
        aws.kms.Alias(
            f"{self._name}-backup-replica",
            name=f"alias/{self._name}-backup",
            target_key_id=replica.key_id,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        return replica.arn

    def _policy(self, domain: Domain, region: str) -> pulumi.Output[str]:
        statements = [
            *administration(self._administrator_arns, self._root(), never="Use"),
            self._use(domain, region),
            self._grants(domain, region),
        ]
        if domain == "logs":
            statements += self._log_services(region)
        if domain == "platform":
            statements += [*self._auto_scaling(region), self._clusters_and_registries(region)]
        if domain == "data":
            statements.append(self._classification(region))
        if domain == "reports":
            statements += self._reporting_services(region)
        return policy_document(*statements)

    def _root(self) -> str:
        return f"arn:{self._partition}:iam::{self._account_id}:root"

    def _use(self, domain: Domain, region: str) -> Statement:
        return Statement(
            sid="AccountMayUseThroughServices",
            actions=_USE,
            principals={"AWS": [self._root()]},
            resources=["*"],
            conditions={"StringEquals": self._through(_SERVICES_OF[domain], region)},
        )

    def _grants(self, domain: Domain, region: str) -> Statement:
        # Volumes and databases hold their key by a grant, which only the service itself may ask for.
        return Statement(
            sid="ServicesMayHoldGrants",
            actions=["kms:CreateGrant"],
            principals={"AWS": [self._root()]},
            resources=["*"],
            conditions={
                "StringEquals": self._through(_SERVICES_OF[domain], region),
                "Bool": {"kms:GrantIsForAWSResource": "true"},
            },
        )

    def _through(self, services: Sequence[str], region: str) -> dict[str, str | list[str]]:
        return {
            "kms:CallerAccount": self._account_id,
            "kms:ViaService": [f"{service}.{region}.amazonaws.com" for service in services],
        }

    def _auto_scaling(self, region: str) -> list[Statement]:
        """Let auto-scaling groups start machines with encrypted disks.

        Their service-linked role has no IAM policy for our keys (EC2 Auto Scaling User Guide, "Required AWS
        KMS key policy for use with encrypted volumes"). It is named in a condition, since a principal would
        have to exist before the account's first group makes it.
        """
        role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        only: Conditions = {
            "ArnEquals": {"aws:PrincipalArn": f"arn:{self._partition}:iam::{self._account_id}:{role}"},
            "StringEquals": self._through(["ec2"], region),
        }
        return [
            Statement(
                sid="AutoScalingMayUse", actions=_USE, principals="*", resources=["*"], conditions=only
            ),
            Statement(
                sid="AutoScalingMayHoldGrants",
                actions=["kms:CreateGrant"],
                principals="*",
                resources=["*"],
                conditions={**only, "Bool": {"kms:GrantIsForAWSResource": "true"}},
            ),
        ]

    def _clusters_and_registries(self, region: str) -> Statement:
        """Let clusters and repositories hold the key.

        EKS does not know the mark of a grant for AWS (Amazon EKS User Guide, "Security considerations in Amazon
        EKS": ``kms:GrantIsForAWSResource`` is not supported for CreateCluster), and ECR gives its grants back in
        the name of who deletes a repository (Amazon ECR User Guide, "Encryption at rest").
        """
        return Statement(
            sid="ClustersAndRepositoriesMayHoldGrants",
            actions=["kms:CreateGrant", "kms:RetireGrant"],
            principals={"AWS": [self._root()]},
            resources=["*"],
            conditions={"StringEquals": self._through(["eks", "ecr"], region)},
        )

    def _log_services(self, region: str) -> list[Statement]:
        """Let the services that write logs and alerts use the key for this account's own only."""
        groups = f"arn:{self._partition}:logs:{region}:{self._account_id}:log-group:*"
        topics = f"arn:{self._partition}:sns:{region}:{self._account_id}:*"
        own: Conditions = {"StringEquals": {"aws:SourceAccount": self._account_id}}
        return [
            Statement(
                sid="LogGroupsOfThisAccount",
                actions=_USE,
                principals={"Service": [f"logs.{region}.amazonaws.com"]},
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            ),
            Statement(
                sid="AlarmsOfThisAccount",
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                principals={"Service": ["cloudwatch.amazonaws.com"]},
                resources=["*"],
                conditions=own,
            ),
            # EventBridge names no source account to KMS (SNS Developer Guide, "Managing Amazon SNS encryption
            # keys and costs"); the topic, whose policy asks for one, is this account's.
            Statement(
                sid="EventsToTopicsOfThisAccount",
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                principals={"Service": ["events.amazonaws.com"]},
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": topics}},
            ),
            Statement(
                sid="LogDeliveryOfThisAccount",
                actions=["kms:DescribeKey", "kms:GenerateDataKey*"],
                principals={"Service": ["delivery.logs.amazonaws.com"]},
                resources=["*"],
                conditions=own,
            ),
            *self._trail(region),
        ]

    def _trail(self, region: str) -> list[Statement]:
        """Let CloudTrail encrypt this account's trails (CloudTrail User Guide, "Configure AWS KMS key policies")."""
        trails = f"arn:{self._partition}:cloudtrail:{region}:{self._account_id}:trail/*"
        cloudtrail = {"Service": ["cloudtrail.amazonaws.com"]}
        return [
            Statement(
                sid="TrailsOfThisAccount",
                actions=["kms:GenerateDataKey*"],
                principals=cloudtrail,
                resources=["*"],
                conditions={
                    "ArnLike": {"aws:SourceArn": trails, "kms:EncryptionContext:aws:cloudtrail:arn": trails}
                },
            ),
            Statement(
                sid="TrailsLookAtTheKey",
                actions=["kms:DescribeKey"],
                principals=cloudtrail,
                resources=["*"],
                conditions={"ArnLike": {"aws:SourceArn": trails}},
            ),
        ]

    def _classification(self, region: str) -> Statement:
        """Let Macie read what it classifies (Macie User Guide, "Analyzing encrypted Amazon S3 objects").

        As with auto-scaling, its service-linked role is named in a condition: it is made with its first session.
        """
        role = "role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"
        return Statement(
            sid="ClassificationMayRead",
            actions=["kms:Decrypt"],
            principals="*",
            resources=["*"],
            conditions={
                "ArnEquals": {"aws:PrincipalArn": f"arn:{self._partition}:iam::{self._account_id}:{role}"},
                "StringEquals": self._through(["s3"], region),
            },
        )

    def _reporting_services(self, region: str) -> list[Statement]:
        """Let Config deliver history and Macie results, for this account only.

        Config writes under its own name, since its service-linked role may not (AWS Config Developer Guide,
        "Permissions for the KMS Key for the AWS Config Delivery Channel"), and from both regions.
        """
        macie = f"arn:{self._partition}:macie2:{region}:{self._account_id}"
        own = {"aws:SourceAccount": self._account_id}
        return [
            Statement(
                sid="ConfigurationHistoryOfThisAccount",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                principals={"Service": ["config.amazonaws.com"]},
                resources=["*"],
                conditions={"StringEquals": own},
            ),
            Statement(
                sid="ClassificationResultsOfThisAccount",
                actions=["kms:Encrypt", "kms:GenerateDataKey"],
                principals={"Service": ["macie.amazonaws.com"]},
                resources=["*"],
                conditions={
                    "StringEquals": own,
                    "ArnLike": {
                        "aws:SourceArn": [f"{macie}:export-configuration:*", f"{macie}:classification-job/*"]
                    },
                },
            ),
        ]


def _check(
    administrator_arns: Sequence[pulumi.Input[str]], deletion_window_days: int, brought: Mapping[Domain, str]
) -> None:
    if not administrator_arns:
        raise ValueError("administrator_arns is empty; name at least one role that may administer the keys")
    if not 7 <= deletion_window_days <= 30:
        raise ValueError(f"deletion_window_days is {deletion_window_days}; KMS knows 7 to 30")
    if unknown := sorted(set(brought) - set(DOMAINS)):
        raise ValueError(f"existing names {unknown[0]!r}; the domains are {', '.join(DOMAINS)}")
    if len(set(brought.values())) < len(brought):
        raise ValueError("existing names one key for two domains; bring one for each")
    if "backup" in brought and ":key/mrk-" not in brought["backup"]:
        raise ValueError("existing['backup'] is no multi-Region key (key/mrk-...), so it can have no replica")
