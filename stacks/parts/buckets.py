"""The buckets of data, models and the audit trail, and their replicas."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.identity import PlatformRoles
from components.keys import Domain, KeyRing
from components.load_balancer import log_delivery
from components.storage import AccessLogBucket, ObjectLock, Replication, SecureBucket
from stacks.parts.regions import SHORT, Regions
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """The buckets at home, and those that record who read them."""

    data: SecureBucket
    models: SecureBucket
    audit: SecureBucket
    access_logs: AccessLogBucket


def buckets_of(settings: Settings, regions: Regions, roles: PlatformRoles, keys: KeyRing) -> Buckets:
    """Make a bucket for data, models and the audit trail, and their replicas where the profile asks."""
    lock = ObjectLock(mode=settings.floors.lock_mode, days=settings.retention.audit_days)
    logs = _access_logs(settings, "access-logs", settings.residency.home_region, regions.at_home)
    replicas = _replicas(settings, regions, keys, lock) if settings.floors.redundant else {}
    made = {
        purpose: SecureBucket(
            f"{purpose}-bucket",
            bucket_name=bucket_name(settings, purpose, settings.residency.home_region),
            key_arn=keys.arns[domain],
            data_domain=domain,
            access_log_bucket=logs.bucket,
            noncurrent_days=settings.retention.noncurrent_days,
            lock=lock if domain in _LOCKED else None,
            replication=replicas.get(purpose),
            permissions_boundary_arn=roles.boundary_arn,
            opts=regions.at_home,
        )
        for purpose, domain in _BUCKETS.items()
    }
    return Buckets(**made, access_logs=logs)


_BUCKETS: dict[str, Domain] = {"data": "data", "models": "models", "audit": "logs"}

_LOCKED: tuple[Domain, ...] = ("logs", "models", "backup")
"""Training data may have to be erased (GDPR article 17), so it is versioned and not locked."""

_ERASABLE = ObjectLock(mode="GOVERNANCE", days=30)
"""Its copies are locked for no longer than an erasure may take: a month (GDPR article 12(3))."""


def _replicas(
    settings: Settings, regions: Regions, keys: KeyRing, lock: ObjectLock
) -> dict[str, Replication]:
    region = settings.residency.backup_region
    logs = _access_logs(settings, "replica-access-logs", region, regions.at_backup)
    replicas = {}
    for purpose in ("data", "models"):
        bucket = SecureBucket(
            f"{purpose}-replica",
            bucket_name=bucket_name(settings, f"{purpose}-replica", region),
            key_arn=keys.backup_replica_arn,
            data_domain="backup",
            access_log_bucket=logs.bucket,
            noncurrent_days=settings.retention.noncurrent_days,
            lock=lock if _BUCKETS[purpose] in _LOCKED else _ERASABLE,
            opts=regions.at_backup,
        )
        replicas[purpose] = Replication(
            destination_bucket_arn=bucket.arn, destination_key_arn=keys.backup_replica_arn
        )
    return replicas


def _access_logs(
    settings: Settings, purpose: str, region: str, opts: pulumi.ResourceOptions
) -> AccessLogBucket:
    return AccessLogBucket(
        f"{purpose}-bucket",
        bucket_name=bucket_name(settings, purpose, region),
        account_id=settings.account_id,
        noncurrent_days=settings.retention.noncurrent_days,
        retention_days=settings.retention.audit_days,
        extra_statements=[
            log_delivery(
                bucket_name=bucket_name(settings, purpose, region),
                account_id=settings.account_id,
                region=region,
            )
        ],
        opts=opts,
    )


def bucket_name(settings: Settings, purpose: str, region: str) -> str:
    """Return a name that nobody else has: the account and the region are in it."""
    return f"{SHORT}-{settings.environment}-{purpose}-{settings.account_id}-{region}"
