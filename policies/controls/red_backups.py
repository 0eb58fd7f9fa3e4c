"""RED and DAT: backups of all there is, that nobody shortens or deletes and that come back; what databases stand on."""

from __future__ import annotations

import re

from controls.red import PLAN, VAULT
from machinery.buckets import BUCKET, is_replica
from machinery.control import HIGH, LOW, MEDIUM, Catalogue, References
from machinery.documents import statements
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, per_item

catalogue = Catalogue()

VAULT_POLICY = "aws:backup/vaultPolicy:VaultPolicy"
LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
SETTINGS = "aws:backup/regionSettings:RegionSettings"
SELECTION = "aws:backup/restoreTestingSelection:RestoreTestingSelection"
INSTANCE = "aws:rds/instance:Instance"
BUCKET_LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@catalogue.stack(
    "RED-08",
    "Backups are kept for as long as their vault is locked, on both sides",
    severity=MEDIUM,
    on=PLAN,
    remedy="Set delete_after of every rule and copy action to min_retention_days of the vault's lock or more, or leave it out.",
    references=References(fsbp=["Backup.4"], nist=["CP-9", "SI-12"], hipaa=["164.308(a)(7)(ii)(A)"]),
)
def backups_outlast_their_lock(plan: Resource, stack: Stack) -> Outcomes:
    floors = [lock.number("minRetentionDays") for lock in stack.of(LOCK)]
    floor = min(floors, default=0)
    for rule in plan.items("rules"):
        for node in (rule, *rule.items("copyActions")):
            days = node.number("lifecycle.deleteAfter")
            if 0 < days < floor:
                yield node.violation("lifecycle.deleteAfter", f"is less than the {floor} days of the lock")


@catalogue.stack(
    "RED-09",
    "Nobody deletes what is in a vault, nor the vault with what is in it",
    severity=HIGH,
    on=VAULT,
    remedy="Leave force_destroy False; deny everybody, in a VaultPolicy, backup:DeleteRecoveryPoint and backup:UpdateRecoveryPointLifecycle.",
    references=References(nist=["CP-9(8)", "AU-9"], pci=["10.3.2"], hipaa=["164.308(a)(7)(ii)(A)"]),
)
def vaults_are_not_emptied(vault: Resource, stack: Stack) -> Outcomes:
    if vault.switch("forceDestroy", absent=False):
        yield vault.violation("forceDestroy", "deletes backups with their vault")
    refusals = [
        statement
        for policy in stack.referrers(vault, "backupVaultName", VAULT_POLICY)
        for statement in statements(policy, "policy")
        if not statement.allows and statement.everyone and not statement.conditions
    ]
    for action in ("backup:deleterecoverypoint", "backup:updaterecoverypointlifecycle"):
        if not any(action in refusal.actions for refusal in refusals):
            yield vault.violation("", f"lets somebody {action.partition(':')[2]}")


_KINDS = ("Aurora", "DocumentDB", "DynamoDB", "EBS", "EC2", "EFS", "FSx", "Neptune", "RDS", "Redshift", "S3")


@catalogue.resource(
    "RED-10",
    "AWS Backup is opted in for every kind of data",
    severity=MEDIUM,
    on=SETTINGS,
    remedy="Set every kind in resource_type_opt_in_preference to True; a selection by tag passes over the others.",
    references=References(nist=["CP-9"], hipaa=["164.308(a)(7)(ii)(A)"]),
)
def every_kind_is_backed_up(settings: Resource) -> Outcomes:
    for kind in _KINDS:
        if not settings.switch(f"resourceTypeOptInPreference.{kind}", absent=False):
            yield settings.violation(f"resourceTypeOptInPreference.{kind}", "is not backed up")


_TRIED = ("RDS", "S3", "EBS")


@catalogue.stack(
    "RED-11",
    "Restores are tried of each kind of data, away from the public",
    severity=MEDIUM,
    on=PLAN,
    remedy="Add a RestoreTestingSelection for RDS, S3 and EBS; leave publiclyAccessible false in what databases are restored with.",
    references=References(nist=["CP-4", "CP-9(1)"], hipaa=["164.308(a)(7)(ii)(D)"]),
)
def restores_are_tried_of_each_kind(plan: Resource, stack: Stack) -> Outcomes:
    selections = stack.of(SELECTION)
    tried = {str(selection.switch("protectedResourceType")) for selection in selections}
    for kind in _TRIED:
        if kind not in tried:
            yield plan.violation("", f"restores no {kind} on trial")
    yield from per_item(selections, _in_private)


def _in_private(selection: Node) -> Outcomes:
    public = selection.switch("restoreMetadataOverrides.publiclyAccessible", absent="false")
    if str(public).lower() != "false":
        yield selection.violation("restoreMetadataOverrides.publiclyAccessible", "restores into the open")


@catalogue.stack(
    "RED-12",
    "Buckets of models are backed up, as buckets of data are",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Give the bucket the tag that the backup plan selects by (backup: daily, say).",
    references=References(nist=["CP-9"], atlas=["AML.M0025"]),
)
def models_are_backed_up(bucket: Resource, stack: Stack) -> Outcomes:
    tags = bucket.part("tags").value or {}
    if bucket.switch("tags.data-domain") not in ("models", "data") or not stack.of(PLAN):
        return
    chosen = [
        (str(tag.switch("key")), str(tag.switch("value")))
        for selection in stack.of("aws:backup/selection:Selection")
        for tag in selection.items("selectionTags")
    ]
    if chosen and not any(tags.get(key) == value for key, value in chosen) and not is_replica(bucket, stack):
        yield bucket.violation("tags", "hold no tag that a backup plan selects by")


@catalogue.resource(
    "DAT-16",
    "A database says which network and engine it stands on, and leaves its backups when it goes",
    severity=MEDIUM,
    on=INSTANCE,
    remedy="Set db_subnet_group_name, engine_version (PostgreSQL 13 or later) and master_user_secret_kms_key_id; leave delete_automated_backups False.",
    references=References(fsbp=["RDS.18", "RDS.40"], nist=["CM-2", "CP-9", "SI-2"]),
)
def databases_say_what_they_stand_on(database: Resource) -> Outcomes:
    if database.has("replicateSourceDb"):
        return
    if not database.has("dbSubnetGroupName"):
        yield database.violation("dbSubnetGroupName", "is missing, so it stands in the default network")
    if database.switch("deleteAutomatedBackups", absent=True):
        yield database.violation("deleteAutomatedBackups", "takes the backups away with the database")
    if database.switch("manageMasterUserPassword", absent=False) and not database.has(
        "masterUserSecretKmsKeyId"
    ):
        yield database.violation("masterUserSecretKmsKeyId", "is missing, so AWS's own key is used")
    major = re.match(r"\d+", str(database.switch("engineVersion", absent="")))
    if not major:
        yield database.violation("engineVersion", "is whatever AWS takes that day")
    elif str(database.switch("engine", absent="")).startswith("postgres") and int(major[0]) < _OLDEST:
        yield database.violation("engineVersion", "gets no updates any more")


_OLDEST = 13
"""PostgreSQL 12 went out of support in November 2024 (PostgreSQL, "Versioning Policy")."""


@catalogue.resource(
    "STO-17",
    "Lifecycle rules are on, abort what is left over within a month and end old versions within two years",
    severity=LOW,
    on=BUCKET_LIFECYCLE,
    remedy="Leave rules Enabled; set days_after_initiation to 30 or less and noncurrent_days to 730 or less.",
    references=References(fsbp=["S3.13"], nist=["SI-12"]),
)
def lifecycles_do_something(lifecycle: Resource) -> Outcomes:
    for rule in lifecycle.items("rules"):
        if rule.switch("status") != "Enabled":
            yield rule.violation("status", "is off")
        if rule.number("abortIncompleteMultipartUpload.daysAfterInitiation") > _DAYS_OF_A_MONTH:
            yield rule.violation("abortIncompleteMultipartUpload.daysAfterInitiation", "is years away")
        if rule.number("noncurrentVersionExpiration.noncurrentDays") > _DAYS_OF_TWO_YEARS:
            yield rule.violation("noncurrentVersionExpiration.noncurrentDays", "is years away")


_DAYS_OF_A_MONTH, _DAYS_OF_TWO_YEARS = 31, 731


@catalogue.resource(
    "STO-18",
    "No bucket and no repository goes away with what is in it",
    severity=MEDIUM,
    on=(BUCKET, "aws:ecr/repository:Repository"),
    remedy="Leave force_destroy and force_delete False, in dev as well: empty it by hand, knowing what goes.",
    references=References(nist=["CP-9", "SI-12"]),
)
def nothing_goes_with_its_contents(store: Resource) -> Outcomes:
    for path in ("forceDestroy", "forceDelete"):
        if store.switch(path, absent=False):
            yield store.violation(path, "deletes what is in it as well")


@catalogue.resource(
    "RES-07",
    "Buckets, databases and vaults say which data they hold",
    severity=LOW,
    on=(BUCKET, INSTANCE, VAULT),
    remedy="Tag it with its data-domain: data, models, logs, reports, backup, platform.",
    references=References(nist=["AC-16", "CM-8", "RA-2"]),
)
def stores_say_their_domain(store: Resource) -> Outcomes:
    if not store.word("tags.data-domain"):
        yield store.violation("tags.data-domain", "is missing")
