"""Vaults in both regions, and the plan that fills them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

backup = Assertions("backup")

VAULT = "aws:backup/vault:Vault"
PLAN = "aws:backup/plan:Plan"


def _vaults(account: Account) -> Iterator[tuple[str, Any]]:
    """Yield region and vault."""
    for region in account.regions:
        client = account.client("backup", region)
        for each in client.list_backup_vaults()["BackupVaultList"]:
            yield region, client.describe_backup_vault(BackupVaultName=each["BackupVaultName"])


def _rules(account: Account) -> Iterator[Any]:
    client = account.client("backup")
    for plan in account.of(PLAN):
        yield from client.get_backup_plan(BackupPlanId=plan.id)["BackupPlan"]["Rules"]


@backup("There is a vault in each region, under a key of that region", about=VAULT)
def vaults_are_in_both_regions(account: Account) -> Iterator[Seen]:
    keys = {region: vault["EncryptionKeyArn"] for region, vault in _vaults(account)}
    for region in account.regions:
        yield region, f":kms:{region}:" in keys.get(region, "")


@backup("Every vault is locked", about=VAULT)
def vaults_are_locked(account: Account) -> Iterator[Seen]:
    for _, vault in _vaults(account):
        yield vault["BackupVaultName"], bool(vault.get("Locked")) and vault.get("MinRetentionDays", 0) >= 7


@backup("No vault refuses a backup of the plan", about=PLAN)
def vaults_take_what_is_made(account: Account) -> Iterator[Seen]:
    for _, vault in _vaults(account):
        for rule in _rules(account):
            days = rule["Lifecycle"]["DeleteAfterDays"]
            yield (
                f"{vault['BackupVaultName']} {rule['RuleName']}",
                vault["MinRetentionDays"] <= days <= vault["MaxRetentionDays"],
            )


@backup("Every backup is copied into the other region's vault", about=PLAN)
def backups_are_copied_away(account: Account) -> Iterator[Seen]:
    away = {vault["BackupVaultArn"] for region, vault in _vaults(account) if region == account.backup_region}
    for rule in _rules(account):
        copies = {copy["DestinationBackupVaultArn"] for copy in rule.get("CopyActions", [])}
        yield rule["RuleName"], bool(copies) and copies <= away


@backup("What cannot be made again carries the tag of the plan", about=VAULT)
def data_carries_the_tag(account: Account) -> Iterator[Seen]:
    for bucket in account.of("aws:s3/bucket:Bucket"):
        name = bucket.attributes["bucket"]
        if "-replica-" in name or not ("-data-" in name or "-models-" in name):
            continue
        tags = account.client("s3").get_bucket_tagging(Bucket=name)["TagSet"]
        yield name, {"Key": "backup", "Value": "daily"} in tags
    for database in account.client("rds").describe_db_instances()["DBInstances"]:
        yield database["DBInstanceIdentifier"], {"Key": "backup", "Value": "daily"} in database["TagList"]
