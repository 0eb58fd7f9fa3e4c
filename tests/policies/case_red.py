"""Cases of the family RED."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case, k8s

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-90ab-cdef-1234-567890abcdef"
ELSEWHERE = f"arn:aws:backup:eu-west-1:{ACCOUNT}:backup-vault:copies"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/backup"
TAG = {"backup": "daily"}
LABELS = {"app": "api"}


def plan(*, copied: bool = True, to: Any = ELSEWHERE) -> aws.backup.Plan:
    copies: Any = [{"destination_vault_arn": to, "lifecycle": {"delete_after": 35}}]
    rule: Any = {"rule_name": "daily", "target_vault_name": "vault", "schedule": "cron(0 3 * * ? *)"}
    if copied:
        rule["copy_actions"] = copies
    return aws.backup.Plan("plan", rules=[rule])


def selection(key: str = "backup", value: str = "daily") -> None:
    aws.backup.Selection(
        "selection",
        plan_id=plan().id,
        iam_role_arn=ROLE,
        selection_tags=[{"type": "STRINGEQUALS", "key": key, "value": value}],
    )


def database(tags: dict[str, str] | None = None, *, selected: bool = True) -> None:
    if selected:
        selection()
    aws.rds.Instance("database", instance_class="db.m7g.large", tags=tags)


def volume(tags: dict[str, str]) -> None:
    selection()
    aws.ebs.Volume("volume", availability_zone=f"{REGION}a", size=10, encrypted=True, tags=tags)


def copied_to(region: str) -> None:
    opts = None
    if region != REGION:
        opts = pulumi.ResourceOptions(provider=aws.Provider("backup", region=region))
    vault = aws.backup.Vault("copies", kms_key_arn=KEY, opts=opts)
    plan(to=vault.arn)


def vault(*, locked: bool = True, days: int = 30, final: int | None = None) -> None:
    made = aws.backup.Vault("vault", kms_key_arn=KEY)
    if locked:
        aws.backup.VaultLockConfiguration(
            "lock", backup_vault_name=made.name, min_retention_days=days, changeable_for_days=final
        )


def restores(*, planned: bool = True, selected: bool = True) -> None:
    plan()
    if planned:
        made = aws.backup.RestoreTestingPlan(
            "tests",
            name="tests",
            schedule_expression="cron(0 6 ? * MON *)",
            recovery_point_selection={
                "algorithm": "LATEST_WITHIN_WINDOW",
                "include_vaults": ["*"],
                "recovery_point_types": ["SNAPSHOT"],
            },
        )
        if selected:
            aws.backup.RestoreTestingSelection(
                "selected",
                name="selected",
                restore_testing_plan_name=made.name,
                protected_resource_type="RDS",
                iam_role_arn=ROLE,
            )


def failures(*, state: str = "FAILED", target: bool = True, source: str = "aws.backup") -> None:
    plan()
    pattern = json.dumps({"source": [source], "detail": {"state": [state]}})
    rule = aws.cloudwatch.EventRule("failed", event_pattern=pattern)
    if target:
        arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"
        aws.cloudwatch.EventTarget("told", rule=rule.name, arn=arn)


def notified(event: str) -> None:
    plan()
    aws.backup.VaultNotifications(
        "told",
        backup_vault_name="vault",
        backup_vault_events=[event],
        sns_topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts",
    )


WATCHED = (
    ("BACKUP_LAST_RECOVERY_POINT_CREATED", "recoveryPointAgeValue"),
    ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", "maxRestoreTime"),
)


def watched(*, without: str = "", value: str = "24") -> None:
    plan()
    controls: Any = [
        {"name": name, "input_parameters": [{"name": parameter, "value": value}]}
        for name, parameter in WATCHED
        if name != without
    ]
    aws.backup.Framework("objectives", name="objectives", controls=controls)


def service(
    replicas: int | None = 2,
    *,
    over: str = "topology.kubernetes.io/zone",
    budget: dict[str, str] | None = LABELS,
    place: str = "apps",
) -> None:
    spread = [{"maxSkew": 1, "topologyKey": over, "whenUnsatisfiable": "DoNotSchedule"}]
    pods = {"containers": [{"name": "api", "image": "x"}], "topologySpreadConstraints": spread}
    k8s.apps.v1.Deployment(
        "api",
        metadata={"name": "api", "namespace": "apps"},
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pods},
        },
    )
    if budget is not None:
        k8s.policy.v1.PodDisruptionBudget(
            "budget",
            metadata={"name": "api", "namespace": place},
            spec={"maxUnavailable": 1, "selector": {"matchLabels": budget}},
        )


UNBOUNDED: tuple[dict[str, Any], ...] = (
    {"budget": None},
    {"budget": {"app": "other"}},
    {"budget": {}},
    {"place": "other"},
)

CASES = [
    Case(
        control="RED-01",
        compliant=lambda: database(TAG),
        violating=lambda: database({"backup": "never"}),
        mentions="name no backup plan",
    ),
    Case(
        control="RED-01",
        compliant=lambda: database(TAG),
        violating=lambda: database(TAG, selected=False),
        mentions="name no backup plan",
    ),
    Case(
        control="RED-01",
        compliant=lambda: volume(TAG),
        violating=lambda: volume({}),
        mentions="name no backup plan",
    ),
    Case(
        control="RED-02",
        compliant=plan,
        violating=lambda: plan(copied=False),
        mentions="takes its backups along",
    ),
    Case(
        control="RED-02",
        compliant=lambda: copied_to("eu-west-1"),
        violating=lambda: copied_to(REGION),
        mentions="same region",
    ),
    Case(control="RED-03", compliant=vault, violating=lambda: vault(locked=False), mentions="not locked"),
    Case(
        control="RED-03",
        compliant=vault,
        violating=lambda: vault(days=29),
        mentions="shorter than the profile",
        tags={"profile": "hipaa"},
    ),
    Case(
        control="RED-03",
        compliant=lambda: vault(final=3),
        violating=vault,
        mentions="can be taken off",
        tags={"profile": "finance"},
    ),
    Case(
        control="RED-04",
        compliant=restores,
        violating=lambda: restores(planned=False),
        mentions="nobody tries",
    ),
    Case(
        control="RED-04",
        compliant=restores,
        violating=lambda: restores(selected=False),
        mentions="select nothing",
    ),
    *(
        Case(
            control="RED-05",
            compliant=failures,
            violating=lambda change=change: failures(**change),  # type: ignore[misc]
            mentions="without anybody hearing",
        )
        for change in ({"state": "COMPLETED"}, {"target": False}, {"source": "aws.ec2"})
    ),
    Case(
        control="RED-05",
        compliant=lambda: notified("BACKUP_JOB_FAILED"),
        violating=lambda: notified("BACKUP_JOB_COMPLETED"),
        mentions="without anybody hearing",
    ),
    Case(control="RED-06", compliant=service, violating=lambda: service(1), mentions="is one"),
    Case(control="RED-06", compliant=service, violating=lambda: service(None), mentions="is one"),
    Case(
        control="RED-06",
        compliant=service,
        violating=lambda: service(over="kubernetes.io/hostname"),
        mentions="into one zone",
    ),
    *(
        Case(
            control="RED-06",
            compliant=service,
            violating=lambda change=change: service(**change),  # type: ignore[misc]
            mentions="no disruption budget",
        )
        for change in UNBOUNDED
    ),
    *(
        Case(
            control="RED-07",
            compliant=watched,
            violating=lambda change=change: watched(**change),  # type: ignore[misc]
            mentions=mentions,
        )
        for change, mentions in (
            ({"without": WATCHED[0][0]}, "recovery point objective"),
            ({"without": WATCHED[1][0]}, "recovery time objective"),
            ({"value": "0"}, "recovery point objective"),
        )
    ),
]
