"""Backups: what carries the tag is copied away, kept whoever asks, restored on trial; people hear of failures."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.graph import Graph
from components.backup import Backups, BackupVault, Schedule, VaultLock, recovery_point_problem
from tests.components.evaluation import admitted
from tests.components.support import (
    ACCOUNT,
    BACKUP,
    BOUNDARY,
    HOME,
    built,
    key,
    named,
    one,
    statement,
    statements,
)

SCHEDULE = Schedule(
    every_hours=6,
    complete_within_hours=4,
    retention_days=35,
    weekly_retention_days=90,
    monthly_retention_days=400,
)
LOCK = VaultLock(mode="GOVERNANCE", min_days=30, max_days=400)
AWAY = f"arn:aws:kms:{BACKUP}:{ACCOUNT}:key/backup"

VAULT, PLAN, SELECTION = (
    f"aws:backup/{kind}" for kind in ("vault:Vault", "plan:Plan", "selection:Selection")
)
LOCKED = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
TESTED = "aws:backup/restoreTestingSelection:RestoreTestingSelection"


def backups(lock: VaultLock = LOCK, **changed: Any) -> Graph:
    def build(opts: pulumi.ResourceOptions, backup: aws.Provider) -> None:
        vault = BackupVault("vault", key_arn=key("backup"), lock=lock, opts=opts)
        copies = BackupVault(
            "copies", key_arn=AWAY, lock=lock, opts=pulumi.ResourceOptions(providers=[backup])
        )
        arguments: dict[str, Any] = {
            "schedule": SCHEDULE,
            "recovery_point_hours": 10,
            "recovery_time_hours": 8,
            "database_subnet_group_name": "isolated",
            "recorder": vault,
            "permissions_boundary_arn": BOUNDARY,
            "account_id": ACCOUNT,
            "region": HOME,
            **changed,
        }
        Backups("plat-b", vault=vault, copies=copies, **arguments, opts=opts)

    return built(build)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return backups()


# The vaults


def test_copies_are_in_another_region_under_another_key(graph: Graph) -> None:
    here, there = named(graph, VAULT, "vault"), named(graph, VAULT, "copies")
    assert (here.inputs["kmsKeyArn"], there.inputs["kmsKeyArn"]) == (key("backup"), AWAY)
    assert f":{HOME}:" in here.outputs["arn"]
    assert f":{BACKUP}:" in there.outputs["arn"]


def test_vaults_outlive_a_careless_destroy(graph: Graph) -> None:
    assert all(vault.protect and vault.inputs["forceDestroy"] is False for vault in graph.of(VAULT))


def test_vaults_are_locked_before_anything_is_put_into_them(graph: Graph) -> None:
    assert len(graph.of(LOCKED)) == 2
    for lock in graph.of(LOCKED):
        assert (lock.inputs["minRetentionDays"], lock.inputs["maxRetentionDays"]) == (30, 400)
        assert lock.urn in one(graph, PLAN).dependencies


def test_a_lock_in_governance_mode_names_no_cooling_off_time(graph: Graph) -> None:
    """With one it would turn into compliance mode, and never come off again."""
    assert all(lock.inputs.get("changeableForDays") is None for lock in graph.of(LOCKED))


def test_a_lock_in_compliance_mode_is_final_after_three_days() -> None:
    graph = backups(lock=VaultLock(mode="COMPLIANCE", min_days=30, max_days=400))
    assert {lock.inputs["changeableForDays"] for lock in graph.of(LOCKED)} == {3}


@pytest.mark.parametrize(
    "action",
    [
        "backup:DeleteRecoveryPoint",
        "backup:DisassociateRecoveryPoint",
        "backup:UpdateRecoveryPointLifecycle",
        "backup:DeleteBackupVault",
    ],
)
def test_nobody_deletes_a_backup_or_lets_it_end_early(action: str, graph: Graph) -> None:
    for policy in graph.of("aws:backup/vaultPolicy:VaultPolicy"):
        assert not admitted(statements(policy), action=action, resource="arn:aws:backup:::recovery-point:1")
        assert admitted(statements(policy), action="backup:StartRestoreJob", resource="arn:aws:backup:::x")


# The plan


def test_every_backup_is_copied_away_for_as_long(graph: Graph) -> None:
    away = named(graph, VAULT, "copies").outputs["arn"]
    rules = one(graph, PLAN).inputs["rules"]
    assert {rule["ruleName"] for rule in rules} == {"daily", "weekly", "monthly"}
    for rule in rules:
        (copy,) = rule["copyActions"]
        assert copy["destinationVaultArn"] == away
        assert copy["lifecycle"] == rule["lifecycle"]


def test_the_vault_refuses_no_backup_of_the_plan(graph: Graph) -> None:
    (lock, _) = graph.of(LOCKED)
    for rule in one(graph, PLAN).inputs["rules"]:
        days = rule["lifecycle"]["deleteAfter"]
        assert lock.inputs["minRetentionDays"] <= days <= lock.inputs["maxRetentionDays"]


@pytest.mark.parametrize(
    ("every_hours", "hours"),
    [(24, "1"), (12, "0/12"), (8, "0/8"), (6, "0/6"), (1, "0/1")],
)
def test_the_schedule_leaves_no_gap_at_midnight(every_hours: int, hours: str) -> None:
    schedule = Schedule(
        every_hours=every_hours,
        complete_within_hours=4,
        retention_days=35,
        weekly_retention_days=90,
        monthly_retention_days=400,
    )
    assert schedule.rules["daily"] == (f"cron(0 {hours} ? * * *)", 35)


def test_what_takes_too_long_is_ended(graph: Graph) -> None:
    for rule in one(graph, PLAN).inputs["rules"]:
        assert (rule["startWindow"], rule["completionWindow"]) == (60, 240)


def test_the_tag_alone_decides_what_is_backed_up(graph: Graph) -> None:
    selection = one(graph, SELECTION).inputs
    assert selection["selectionTags"] == [{"type": "STRINGEQUALS", "key": "backup", "value": "daily"}]
    assert "resources" not in selection
    assert "notResources" not in selection


def test_no_service_is_passed_over(graph: Graph) -> None:
    """A tag on a resource of a service that is not opted in is passed over in silence."""
    chosen = one(graph, "aws:backup/regionSettings:RegionSettings").inputs["resourceTypeOptInPreference"]
    assert {"RDS", "EBS", "S3", "EFS", "DynamoDB"} <= set(chosen)
    assert set(chosen.values()) == {True}


def test_roles_are_backups_own_and_inside_the_boundary(graph: Graph) -> None:
    roles = graph.of("aws:iam/role:Role")
    assert len(roles) == 2
    for role in roles:
        assert role.inputs["permissionsBoundary"] == BOUNDARY
        trust = statement(role, "BackupOfThisAccount", "assumeRolePolicy")
        assert trust["Principal"] == {"Service": ["backup.amazonaws.com"]}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_who_backs_up_cannot_restore_over_what_is_there(graph: Graph) -> None:
    attached = graph.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    backing = {a.inputs["policyArn"] for a in attached if "-backup-" in a.name}
    assert not any("Restore" in arn for arn in backing)
    assert any(arn.endswith("ForS3Backup") for arn in backing)


# Restores


def test_a_restore_of_every_kind_is_tried_every_week(graph: Graph) -> None:
    plan = one(graph, "aws:backup/restoreTestingPlan:RestoreTestingPlan")
    assert plan.inputs["scheduleExpression"] == "cron(0 6 ? * MON *)"
    assert plan.inputs["recoveryPointSelection"]["includeVaults"] == [
        named(graph, VAULT, "vault").outputs["arn"]
    ]
    selections = graph.of(TESTED)
    assert {s.inputs["protectedResourceType"] for s in selections} == {"RDS", "EBS", "S3"}
    for selection in selections:
        assert selection.inputs["protectedResourceConditions"]["stringEquals"] == [
            {"key": "aws:ResourceTag/backup", "value": "daily"}
        ]


def test_a_database_on_trial_is_not_public(graph: Graph) -> None:
    (database,) = [s.inputs for s in graph.of(TESTED) if s.inputs["protectedResourceType"] == "RDS"]
    assert database["restoreMetadataOverrides"] == {
        "dbSubnetGroupName": "isolated",
        "publiclyAccessible": "false",
    }


def test_names_are_what_aws_takes(graph: Graph) -> None:
    for type_ in (
        TESTED,
        "aws:backup/restoreTestingPlan:RestoreTestingPlan",
        "aws:backup/framework:Framework",
    ):
        for resource in graph.of(type_):
            assert resource.inputs["name"].replace("_", "").isalnum()


def test_aws_measures_both_objectives(graph: Graph) -> None:
    controls = {
        control["name"]: {p["name"]: p["value"] for p in control["inputParameters"]}
        for control in one(graph, "aws:backup/framework:Framework").inputs["controls"]
    }
    assert controls["BACKUP_LAST_RECOVERY_POINT_CREATED"] == {
        "recoveryPointAgeUnit": "hours",
        "recoveryPointAgeValue": "10",
    }
    assert controls["RESTORE_TIME_FOR_RESOURCES_MEET_TARGET"] == {"maxRestoreTime": "480"}


# Objectives


@pytest.mark.parametrize(("hours", "can_be_met"), [(10, True), (9, False), (6, False), (24, True)])
def test_a_recovery_point_counts_the_backup_that_is_still_being_made(hours: int, can_be_met: bool) -> None:
    assert (recovery_point_problem(SCHEDULE, hours) is None) is can_be_met


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"recovery_point_hours": 9}, "10 hours can be lost"),
        ({"lock": VaultLock(mode="GOVERNANCE", min_days=0, max_days=1)}, "one day or more"),
        ({"lock": VaultLock(mode="GOVERNANCE", min_days=9, max_days=8)}, "the least first"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        backups(**changed)
