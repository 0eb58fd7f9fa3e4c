"""The buckets of data, models, the audit trail and reports, and their replicas."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.documents import Statement
from components.identity import PlatformRoles
from components.keys import Domain, KeyRing
from components.load_balancer import log_delivery
from components.log_archive import ArchivePlace, archive_statements
from components.recorder import ReportsPlace, report_statements
from components.storage import AccessLogBucket, ObjectLock, Replication, SecureBucket
from components.trail import TrailPlace, delivery_statements
from stacks.parts.regions import SHORT, Regions, prefix_of
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """The buckets at home, those that record who read them, and the copies in the backup region."""

    data: SecureBucket
    models: SecureBucket
    audit: SecureBucket
    reports: SecureBucket
    """How the platform was configured, and where personal data was found."""
    archive: SecureBucket
    """What services and the web ACL logged."""
    answers: SecureBucket
    """What the questions of the audit found."""
    access_logs: AccessLogBucket
    replicas: tuple[SecureBucket, ...]

    @property
    def watched_arns(self) -> list[pulumi.Output[str]]:
        """Buckets whose every read and write is an event of the trail."""
        return [bucket.arn for bucket in (self.data, self.models, *self.replicas)]


def buckets_of(settings: Settings, regions: Regions, roles: PlatformRoles, keys: KeyRing) -> Buckets:
    """Make every bucket at home, and the replicas where the profile asks."""
    lock = ObjectLock(mode=settings.floors.lock_mode, days=settings.retention.audit_days)
    logs = _access_logs(settings, "access-logs", settings.residency.home_region, regions.at_home)
    replicas = _replicas(settings, regions, keys, lock) if settings.floors.redundant else {}
    statements: dict[str, list[Statement]] = {
        "audit": delivery_statements(trail_place(settings)),
        "reports": report_statements(reports_place(settings)),
        "archive": archive_statements(archive_place(settings)),
    }
    expiry = {"answers": ANSWERS_DAYS, "archive": settings.retention.audit_days}
    made = {
        purpose: SecureBucket(
            f"{purpose}-bucket",
            bucket_name=bucket_name(settings, purpose, settings.residency.home_region),
            key_arn=keys.arns[domain],
            data_domain=domain,
            access_log_bucket=logs.bucket,
            noncurrent_days=settings.retention.noncurrent_days,
            expire_days=expiry.get(purpose),
            lock=lock if domain in _LOCKED else None,
            replication=_to(replicas[purpose], keys) if purpose in replicas else None,
            permissions_boundary_arn=roles.boundary_arn,
            extra_statements=statements.get(purpose, ()),
            opts=regions.at_home,
        )
        for purpose, domain in _BUCKETS.items()
    }
    return Buckets(**made, access_logs=logs, replicas=tuple(replicas.values()))


def trail_place(settings: Settings) -> TrailPlace:
    """Return where the trail is and writes to."""
    return TrailPlace(
        account_id=settings.account_id,
        region=settings.residency.home_region,
        name=f"{prefix_of(settings)}-trail",
        bucket_name=bucket_name(settings, "audit", settings.residency.home_region),
    )


def reports_place(settings: Settings) -> ReportsPlace:
    """Return where reports about the platform go."""
    return ReportsPlace(
        account_id=settings.account_id,
        region=settings.residency.home_region,
        bucket_name=bucket_name(settings, "reports", settings.residency.home_region),
    )


def archive_place(settings: Settings) -> ArchivePlace:
    """Return where logs of services and of the web ACL go."""
    return ArchivePlace(
        account_id=settings.account_id,
        region=settings.residency.home_region,
        bucket_name=bucket_name(settings, "archive", settings.residency.home_region),
        writer_name=f"{prefix_of(settings)}-archive",
    )


def load_balancer_logs_url(settings: Settings) -> str:
    """Return where load balancers deliver their access logs, beside those of the buckets."""
    region = settings.residency.home_region
    bucket = bucket_name(settings, "access-logs", region)
    return f"s3://{bucket}/load-balancer/AWSLogs/{settings.account_id}/elasticloadbalancing/{region}"


_BUCKETS: dict[str, Domain] = {
    "data": "data",
    "models": "models",
    "audit": "logs",
    "reports": "reports",
    "archive": "reports",
    "answers": "reports",
}

_LOCKED: tuple[Domain, ...] = ("logs", "models", "backup")
"""Training data may have to be erased (GDPR article 17), so it is versioned and not locked. Reports cannot be
(``components/recorder.py``), and Firehose promises no delivery into a locked bucket: theirs refuse deletion."""

_ERASABLE = ObjectLock(mode="GOVERNANCE", days=30)
"""Its copies are locked for no longer than an erasure may take: a month (GDPR article 12(3))."""

ANSWERS_DAYS = 30
"""An answer is an excerpt of the logs, and can be asked for again."""


def _replicas(
    settings: Settings, regions: Regions, keys: KeyRing, lock: ObjectLock
) -> dict[str, SecureBucket]:
    region = settings.residency.backup_region
    logs = _access_logs(settings, "replica-access-logs", region, regions.at_backup)
    return {
        purpose: SecureBucket(
            f"{purpose}-replica",
            bucket_name=bucket_name(settings, f"{purpose}-replica", region),
            key_arn=keys.backup_replica_arn,
            data_domain="backup",
            access_log_bucket=logs.bucket,
            noncurrent_days=settings.retention.noncurrent_days,
            lock=lock if _BUCKETS[purpose] in _LOCKED else _ERASABLE,
            opts=regions.at_backup,
        )
        for purpose in ("data", "models")
    }


def _to(replica: SecureBucket, keys: KeyRing) -> Replication:
    return Replication(destination_bucket_arn=replica.arn, destination_key_arn=keys.backup_replica_arn)


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
