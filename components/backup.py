"""Backups: what carries the backup tag is copied into a locked vault, and from there to another region.

A vault keeps what it took for as long as its lock says, whoever asks for deletion. A restore is tried on a
schedule, since a backup that nobody ever restored is a hope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from components.backup_tags import BACKUP_TAG
from components.documents import Statement, partition_of, policy_document

SERVICE = "backup.amazonaws.com"

COOLING_OFF_DAYS = 3
"""How long a lock in compliance mode can still be taken off: the least that AWS admits (AWS Backup Developer
Guide, "AWS Backup Vault Lock"). A lock in governance mode has no such number: naming one makes it compliance."""

START_WITHIN_MINUTES = 60
"""The least that AWS admits."""

FAILURES: Mapping[str, Mapping[str, Any]] = {
    "backup-failed": {
        "source": ["aws.backup"],
        "detail-type": ["Backup Job State Change"],
        "detail": {"state": ["FAILED", "EXPIRED", "ABORTED"]},
    },
    "copy-failed": {
        "source": ["aws.backup"],
        "detail-type": ["Copy Job State Change"],
        "detail": {"state": ["FAILED"]},
    },
    "restore-failed": {
        "source": ["aws.backup"],
        "detail-type": ["Restore Job State Change"],
        # AWS's own examples call it now this, now that.
        "detail": {"$or": [{"status": ["FAILED", "ABORTED"]}, {"state": ["FAILED", "ABORTED"]}]},
    },
}
"""Events that people are told of (AWS Backup Developer Guide, "Monitoring AWS Backup events using EventBridge").
A job that did not begin in time is EXPIRED: nothing failed, and there is no backup."""


@dataclass(frozen=True, kw_only=True)
class VaultLock:
    """How long a vault keeps what it took: between ``min_days`` and ``max_days``, whoever asks.

    In mode ``COMPLIANCE`` nobody can take the lock off once the cooling-off time is over, AWS included.
    """

    mode: Literal["GOVERNANCE", "COMPLIANCE"]
    min_days: int
    max_days: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How often backups are made, and how long each kind stays."""

    every_hours: int
    complete_within_hours: int
    """Counted from the scheduled time; what takes longer is ended, and people are told."""
    retention_days: int
    weekly_retention_days: int
    monthly_retention_days: int

    @property
    def shortest_retention_days(self) -> int:
        """Retention of the backups that go first."""
        return min(self.retention_days, self.weekly_retention_days, self.monthly_retention_days)

    @property
    def longest_retention_days(self) -> int:
        """Retention of the backups that stay longest."""
        return max(self.retention_days, self.weekly_retention_days, self.monthly_retention_days)

    @property
    def rules(self) -> Mapping[str, tuple[str, int]]:
        """Name of each rule to its schedule (cron, UTC) and the retention of what it makes."""
        hours = "1" if self.every_hours == 24 else f"0/{self.every_hours}"
        return {
            "daily": (f"cron(0 {hours} ? * * *)", self.retention_days),
            "weekly": ("cron(0 3 ? * SUN *)", self.weekly_retention_days),
            "monthly": ("cron(0 3 1 * ? *)", self.monthly_retention_days),
        }


class BackupVault(pulumi.ComponentResource):
    """A vault under a key of its own, locked, whose policy refuses deletion to everybody.

    Attributes:
        arn: ARN of the vault, once it is locked.
        name: Name of the vault, once it is locked.
    """

    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        key_arn: pulumi.Input[str],
        lock: VaultLock,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the vault in the provider's region.

        Raises:
            ValueError: the lock's days are none, or its least is above its most.
        """
        super().__init__("secureml:backup:BackupVault", name, None, opts)
        if not 1 <= lock.min_days <= lock.max_days:
            raise ValueError(
                f"lock keeps {lock.min_days} to {lock.max_days} days; write one day or more, the least first"
            )
        under = pulumi.ResourceOptions(parent=self)
        vault = aws.backup.Vault(
            name,
            name=name,
            kms_key_arn=key_arn,
            force_destroy=False,
            tags={"data-domain": "backup"},
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        locked = aws.backup.VaultLockConfiguration(
            f"{name}-lock",
            backup_vault_name=vault.name,
            min_retention_days=lock.min_days,
            max_retention_days=lock.max_days,
            changeable_for_days=COOLING_OFF_DAYS if lock.mode == "COMPLIANCE" else None,
            opts=under,
        )
        aws.backup.VaultPolicy(
            f"{name}-policy",
            backup_vault_name=vault.name,
            policy=policy_document(_refuse_deletion()),
            opts=under,
        )
        self.arn = pulumi.Output.all(vault.arn, locked.id).apply(lambda known: str(known[0]))
        self.name = pulumi.Output.all(vault.name, locked.id).apply(lambda known: str(known[0]))
        self.register_outputs({"arn": self.arn, "name": self.name})


def _refuse_deletion() -> Statement:
    """Leave deletion to the lifecycle, which no policy binds; also of the vault itself while the policy stands."""
    return Statement(
        sid="RefuseDeletion",
        effect="Deny",
        actions=[
            "backup:DeleteBackupVault",
            "backup:DeleteRecoveryPoint",
            "backup:DisassociateRecoveryPoint",
            "backup:UpdateRecoveryPointLifecycle",
        ],
        principals="*",
        resources=["*"],
    )


class Backups(pulumi.ComponentResource):
    """The plan for everything that carries the backup tag, and the tests that restore from it.

    Attributes:
        plan_id: Id of the plan.
    """

    plan_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vault: BackupVault,
        copies: BackupVault,
        schedule: Schedule,
        recovery_point_hours: int,
        recovery_time_hours: int,
        database_subnet_group_name: pulumi.Input[str],
        recorder: pulumi.Resource,
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Start backing up.

        Args:
            name: Logical name.
            vault: Where backups go.
            copies: Where each of them is copied to: a vault in another region, under another key.
            schedule: How often, and for how long.
            recovery_point_hours: How old the newest backup may become before AWS reports it.
            recovery_time_hours: How long a restore may take before AWS reports it.
            database_subnet_group_name: Where a database is restored for a test: there is no default VPC.
            recorder: What records configurations: AWS judges the objectives by them.
            permissions_boundary_arn: Boundary of the roles.
            account_id: The account.
            region: The home region.
            opts: Options of the component.

        Raises:
            ValueError: the schedule cannot meet the recovery point.
        """
        super().__init__("secureml:backup:Backups", name, None, opts)
        if problem := recovery_point_problem(schedule, recovery_point_hours):
            raise ValueError(f"recovery_point_hours: {problem}")
        self._name = name
        self._account_id = account_id
        self._partition = partition_of(region)
        self._boundary_arn = permissions_boundary_arn
        self._under = pulumi.ResourceOptions(parent=self)

        _opt_in(name, self._under)
        backing_up, backup_rights = self._role("backup", "Backup", "S3Backup")
        plan = self._plan(vault, copies, schedule)
        tag_key, tag_value = BACKUP_TAG
        aws.backup.Selection(
            f"{name}-tagged",
            name=f"{name}-tagged",
            plan_id=plan.id,
            iam_role_arn=backing_up.arn,
            selection_tags=[{"type": "STRINGEQUALS", "key": tag_key, "value": tag_value}],
            opts=pulumi.ResourceOptions(parent=self, depends_on=backup_rights),
        )
        self._restore_tests(vault, database_subnet_group_name)
        self._objectives(recovery_point_hours, recovery_time_hours, recorder)
        self.plan_id = plan.id
        self.register_outputs({"plan_id": self.plan_id})

    def _role(
        self, purpose: str, service: str, bucket: str
    ) -> tuple[aws.iam.Role, list[aws.iam.RolePolicyAttachment]]:
        """Make a role with AWS's own policies for the work: what it needs changes with every service it learns."""
        role = aws.iam.Role(
            f"{self._name}-{purpose}",
            description=f"AWS Backup: {purpose}",
            assume_role_policy=policy_document(
                Statement(
                    sid="BackupOfThisAccount",
                    actions=["sts:AssumeRole"],
                    principals={"Service": [SERVICE]},
                    conditions={"StringEquals": {"aws:SourceAccount": self._account_id}},
                )
            ),
            permissions_boundary=self._boundary_arn,
            opts=self._under,
        )
        policies = {
            "services": f"service-role/AWSBackupServiceRolePolicyFor{service}",
            "buckets": f"AWSBackupServiceRolePolicyFor{bucket}",
        }
        return role, [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{purpose}-{what}",
                role=role.name,
                policy_arn=f"arn:{self._partition}:iam::aws:policy/{policy}",
                opts=self._under,
            )
            for what, policy in policies.items()
        ]

    def _plan(self, vault: BackupVault, copies: BackupVault, schedule: Schedule) -> aws.backup.Plan:
        return aws.backup.Plan(
            f"{self._name}-plan",
            name=f"{self._name}-plan",
            rules=[
                {
                    "rule_name": rule,
                    "target_vault_name": vault.name,
                    "schedule": cron,
                    "start_window": START_WITHIN_MINUTES,
                    "completion_window": schedule.complete_within_hours * 60,
                    "lifecycle": {"delete_after": days},
                    "copy_actions": [
                        {"destination_vault_arn": copies.arn, "lifecycle": {"delete_after": days}}
                    ],
                }
                for rule, (cron, days) in schedule.rules.items()
            ],
            opts=self._under,
        )

    def _restore_tests(self, vault: BackupVault, database_subnet_group_name: pulumi.Input[str]) -> None:
        restoring, restore_rights = self._role("restore", "Restores", "S3Restore")
        # AWS takes letters, digits and underscores here.
        name = self._name.replace("-", "_")
        tests = aws.backup.RestoreTestingPlan(
            f"{self._name}-restore-tests",
            name=f"{name}_restore_tests",
            schedule_expression="cron(0 6 ? * MON *)",
            start_window_hours=8,
            recovery_point_selection={
                "algorithm": "LATEST_WITHIN_WINDOW",
                "include_vaults": [vault.arn],
                "recovery_point_types": ["SNAPSHOT"],
                "selection_window_days": 7,
            },
            opts=self._under,
        )
        tag_key, tag_value = BACKUP_TAG
        overrides: Mapping[str, dict[str, pulumi.Input[str]]] = {
            "RDS": {"dbSubnetGroupName": database_subnet_group_name, "publiclyAccessible": "false"},
            "EBS": {},
            "S3": {},
        }
        for kind, metadata in overrides.items():
            aws.backup.RestoreTestingSelection(
                f"{self._name}-restore-{kind.lower()}",
                name=f"{name}_{kind.lower()}",
                restore_testing_plan_name=tests.name,
                protected_resource_type=kind,
                protected_resource_conditions={
                    "string_equals": [{"key": f"aws:ResourceTag/{tag_key}", "value": tag_value}]
                },
                restore_metadata_overrides=metadata or None,
                iam_role_arn=restoring.arn,
                validation_window_hours=1,
                opts=pulumi.ResourceOptions(parent=self, depends_on=restore_rights),
            )

    def _objectives(
        self, recovery_point_hours: int, recovery_time_hours: int, recorder: pulumi.Resource
    ) -> None:
        """Let AWS judge, day by day, whether the objectives are met (AWS Backup Audit Manager)."""
        tag_key, tag_value = BACKUP_TAG
        tagged: aws.backup.FrameworkControlScopeArgsDict = {"tags": {tag_key: tag_value}}
        controls: Sequence[tuple[str, dict[str, str]]] = (
            ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_PLAN", {}),
            ("BACKUP_RESOURCES_PROTECTED_BY_CROSS_REGION", {}),
            ("BACKUP_RESOURCES_PROTECTED_BY_BACKUP_VAULT_LOCK", {}),
            (
                "BACKUP_LAST_RECOVERY_POINT_CREATED",
                {"recoveryPointAgeUnit": "hours", "recoveryPointAgeValue": str(recovery_point_hours)},
            ),
            ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", {"maxRestoreTime": str(recovery_time_hours * 60)}),
        )
        aws.backup.Framework(
            f"{self._name}-objectives",
            name=f"{self._name.replace('-', '_')}_objectives",
            description="Recovery objectives: how much may be lost, how long a restore may take",
            controls=[
                {
                    "name": control,
                    "scope": tagged,
                    "input_parameters": [{"name": key, "value": value} for key, value in parameters.items()],
                }
                for control, parameters in controls
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[recorder]),
        )


def recovery_point_problem(schedule: Schedule, recovery_point_hours: int) -> str | None:
    """Return why a schedule cannot keep to the recovery point, or ``None`` where it can.

    Just before a backup completes, the newest one there is was begun one interval before it.
    """
    worst = schedule.every_hours + schedule.complete_within_hours
    if worst <= recovery_point_hours:
        return None
    return (
        f"{recovery_point_hours} cannot be met: with a backup every {schedule.every_hours} hours that may take "
        f"{schedule.complete_within_hours}, {worst} hours can be lost"
    )


PROTECTED_TYPES = (
    "Aurora",
    "CloudFormation",
    "DocumentDB",
    "DSQL",
    "DynamoDB",
    "EBS",
    "EC2",
    "EFS",
    "FSx",
    "Neptune",
    "Redshift",
    "Redshift Serverless",
    "RDS",
    "S3",
    "SAP HANA on Amazon EC2",
    "Storage Gateway",
    "VirtualMachine",
)


def _opt_in(name: str, opts: pulumi.ResourceOptions) -> None:
    """Let the tag alone decide: a service that is not opted in is passed over, tag or not."""
    aws.backup.RegionSettings(
        f"{name}-services",
        resource_type_opt_in_preference=dict.fromkeys(PROTECTED_TYPES, True),
        opts=opts,
    )
