"""RED: what is still there after a machine, a zone, a region or a person failed."""

from __future__ import annotations

from collections.abc import Iterator

from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.manifests import Manifest, each, mapping, objects
from machinery.stack import Stack
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()

PLAN = "aws:backup/plan:Plan"
SELECTION = "aws:backup/selection:Selection"
VAULT = "aws:backup/vault:Vault"
LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
RESTORE_PLAN = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
RESTORE_SELECTION = "aws:backup/restoreTestingSelection:RestoreTestingSelection"
NOTIFICATIONS = "aws:backup/vaultNotifications:VaultNotifications"
FRAMEWORK = "aws:backup/framework:Framework"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"

DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster", "aws:efs/fileSystem:FileSystem")
VOLUME = "aws:ebs/volume:Volume"


@catalogue.stack(
    "RED-01",
    "A backup plan covers every database, file system and volume, by its tag",
    severity=HIGH,
    on=(*DATABASES, VOLUME),
    remedy="Add an aws.backup.Plan with a Selection by tag, and give the resource that tag.",
    references=References(
        fsbp=["RDS.26", "EC2.28"], nist=["CP-9"], hipaa=["164.308(a)(7)(ii)(A)"], pci=["10.3.3"]
    ),
)
def data_is_backed_up(resource: Resource, stack: Stack) -> Outcomes:
    wanted = [
        (tag.word("key"), tag.word("value"))
        for selection in stack.of(SELECTION)
        for tag in selection.items("selectionTags")
    ]
    said = mapping(resource, "tags")
    if not any(said.get(key) == value for key, value in wanted):
        yield resource.violation("tags", "name no backup plan's selection")


@catalogue.stack(
    "RED-02",
    "Every backup is copied to another region, under another key",
    severity=HIGH,
    on=PLAN,
    remedy="Give each rule of the plan a copy action to a vault in the backup region, which has a key of its own there.",
    references=References(nist=["CP-6", "CP-9"], hipaa=["164.308(a)(7)(ii)(A)"], pci=["10.3.3"]),
)
def backups_are_copied_away(plan: Resource, stack: Stack) -> Outcomes:
    for rule in plan.items("rules"):
        if not rule.has("copyActions"):
            yield rule.violation("copyActions", "are missing: a region that fails takes its backups along")
    vaults = stack.targets(plan, "rules", VAULT)
    if vaults and all(vault.provider_urn == plan.provider_urn for vault in vaults):
        yield plan.violation("rules", "copy to a vault of the same region")


@catalogue.stack(
    "RED-03",
    "Vaults are locked, for as long as the profile keeps backups",
    severity=HIGH,
    on=VAULT,
    remedy="Add an aws.backup.VaultLockConfiguration with min_retention_days at the profile's floor; changeable_for_days makes it final, which COMPLIANCE asks for.",
    references=References(
        fsbp=["Backup.1"], nist=["CP-9", "SI-12"], hipaa=["164.308(a)(7)(ii)(A)"], pci=["10.3.2"]
    ),
)
def vaults_are_locked(vault: Resource, stack: Stack) -> Outcomes:
    locks = stack.referrers(vault, "backupVaultName", LOCK)
    floors = stack.declared.floors
    if not locks:
        yield vault.violation("", "is not locked: whoever may delete backups can delete all")
    for lock in locks:
        if lock.number("minRetentionDays") < floors.backup_retention_days:
            yield lock.violation("minRetentionDays", "is shorter than the profile keeps backups")
        if floors.lock_mode == "COMPLIANCE" and not lock.has("changeableForDays"):
            yield lock.violation("changeableForDays", "is missing, so the lock can be taken off again")


@catalogue.stack(
    "RED-04",
    "Restores are tried on a schedule",
    severity=MEDIUM,
    on=PLAN,
    remedy="Add an aws.backup.RestoreTestingPlan with a schedule, and a RestoreTestingSelection for it.",
    references=References(nist=["CP-4", "CP-9(1)"], hipaa=["164.308(a)(7)(ii)(D)"]),
)
def restores_are_tried(plan: Resource, stack: Stack) -> Outcomes:
    tests = [test for test in stack.of(RESTORE_PLAN) if test.has("scheduleExpression")]
    if not tests:
        yield plan.violation("", "makes backups that nobody tries to restore")
    elif not stack.of(RESTORE_SELECTION):
        yield plan.violation("", "has restore tests that select nothing")


@catalogue.stack(
    "RED-05",
    "Somebody is told of backups that failed",
    severity=MEDIUM,
    on=PLAN,
    remedy="Add an aws.cloudwatch.EventRule on aws.backup for state FAILED, with a target; or VaultNotifications for BACKUP_JOB_FAILED.",
    references=References(nist=["CP-9", "IR-6"]),
)
def failed_backups_are_heard(plan: Resource, stack: Stack) -> Outcomes:
    by_event = any(
        "aws.backup" in rule.word("eventPattern")
        and "FAILED" in rule.word("eventPattern")
        and stack.referrers(rule, "rule", EVENT_TARGET)
        for rule in stack.of(EVENT_RULE)
    )
    by_vault = any(
        "BACKUP_JOB_FAILED" in [text for _, text in notifications.texts("backupVaultEvents")]
        for notifications in stack.of(NOTIFICATIONS)
    )
    if not by_event and not by_vault:
        yield plan.violation("", "fails without anybody hearing of it")


@catalogue.stack(
    "RED-06",
    "Services run twice, over zones, and are not all taken away at once",
    severity=MEDIUM,
    remedy="Set replicas to 2 or more, a topology spread over topology.kubernetes.io/zone, and a PodDisruptionBudget that selects the pods.",
    references=References(nist=["CP-10", "SC-36"]),
)
def services_survive_a_machine(stack: Stack) -> Outcomes:
    found = objects(stack)
    return each(found.of("Deployment", groups=("apps",)), lambda deployment: _survives(deployment, stack))


def _survives(deployment: Manifest, stack: Stack) -> Outcomes:
    place = objects(stack).place(deployment)
    if place is not None and place.system:
        return
    if deployment.number("spec.replicas", absent=1) < 2:
        yield deployment.violation("spec.replicas", "is one, so a machine that fails takes the service along")
    spread = {
        constraint.word("topologyKey")
        for constraint in deployment.items("spec.template.spec.topologySpreadConstraints")
    }
    if "topology.kubernetes.io/zone" not in spread:
        yield deployment.violation("spec.template.spec", "may put every pod into one zone")
    if not any(_bounds(deployment, stack)):
        yield deployment.violation("", "has no disruption budget, so all pods may be taken away at once")


def _bounds(deployment: Manifest, stack: Stack) -> Iterator[bool]:
    place = objects(stack).place(deployment)
    labels = mapping(deployment, "spec.template.metadata.labels")
    for budget in objects(stack).of("PodDisruptionBudget", groups=("policy",)):
        selected = mapping(budget, "spec.selector.matchLabels")
        same = objects(stack).place(budget) == place
        yield same and bool(selected) and selected.items() <= labels.items()


_OBJECTIVES = (
    ("BACKUP_LAST_RECOVERY_POINT_CREATED", "recoveryPointAgeValue", "recovery point objective"),
    ("RESTORE_TIME_FOR_RESOURCES_MEET_TARGET", "maxRestoreTime", "recovery time objective"),
)
"""Control and parameter of AWS Backup Audit Manager that hold each objective."""


@catalogue.stack(
    "RED-07",
    "The recovery objectives are stated, and AWS watches day by day whether they are met",
    severity=MEDIUM,
    on=PLAN,
    remedy="Add an aws.backup.Framework with BACKUP_LAST_RECOVERY_POINT_CREATED (how old the newest backup may be) and RESTORE_TIME_FOR_RESOURCES_MEET_TARGET (how long a restore may take), each with its number.",
    references=References(nist=["CP-2", "CP-9", "CP-10"], hipaa=["164.308(a)(7)(ii)(B)"]),
)
def objectives_are_watched(plan: Resource, stack: Stack) -> Outcomes:
    controls = [control for framework in stack.of(FRAMEWORK) for control in framework.items("controls")]
    for name, parameter, said in _OBJECTIVES:
        values = [
            stated.word("value")
            for control in controls
            if control.word("name") == name
            for stated in control.items("inputParameters")
            if stated.word("name") == parameter
        ]
        if not any(value.isdecimal() and int(value) > 0 for value in values):
            yield plan.violation("", f"states no {said} that is watched")
