"""Backups of everything that carries the tag, in both regions, and who is told when one fails."""

from __future__ import annotations

from components.backup import FAILURES, Backups, BackupVault, VaultLock
from components.database import Database
from components.findings import EventAlerts
from stacks.parts.audit import Audit
from stacks.parts.foundation import Foundation


def backups_of(base: Foundation, database: Database, audit: Audit) -> Backups:
    """Build both vaults, the plan, the restore tests and the alarms."""
    settings = base.settings.backup
    lock = VaultLock(
        mode=base.settings.floors.lock_mode,
        min_days=settings.vault_lock_days,
        max_days=settings.schedule.longest_retention_days,
    )
    vault = BackupVault(
        f"{base.prefix}-vault", key_arn=base.keys.backup_arn, lock=lock, opts=base.regions.at_home
    )
    copies = BackupVault(
        f"{base.prefix}-copies", key_arn=base.keys.backup_replica_arn, lock=lock, opts=base.regions.at_backup
    )
    for name, topic, opts in (
        (f"{base.prefix}-vault", base.alerts, base.regions.at_home),
        (f"{base.prefix}-copies", base.backup_region_alerts, base.regions.at_backup),
    ):
        EventAlerts(name, patterns=FAILURES, topic_arn=topic.arn, opts=opts)
    return Backups(
        f"{base.prefix}-backups",
        vault=vault,
        copies=copies,
        schedule=settings.schedule,
        recovery_point_hours=settings.recovery_point_hours,
        recovery_time_hours=settings.recovery_time_hours,
        database_subnet_group_name=database.subnet_group_name,
        recorder=audit.recorder,
        permissions_boundary_arn=base.roles.boundary_arn,
        account_id=base.settings.account_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )
