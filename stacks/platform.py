"""The platform: which components there are, and what each is handed from the others."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.alerts import AlertTopic
from components.bastion import Bastion
from components.data_api import DataApiBoundary
from components.database import Database
from components.guardrails import AccountGuardrails, RegionGuardrails
from components.identity import PlatformRoles
from components.keys import Domain, KeyRing
from components.network import ExistingNetwork, Network, NetworkHandles
from components.storage import AccessLogBucket, ObjectLock, Replication, SecureBucket
from stacks.settings import Settings

PROJECT = "secure-ml-platform"


@dataclass(frozen=True)
class Regions:
    """The providers of the two regions, each pinned to its region and to the one account."""

    home: aws.Provider
    backup: aws.Provider

    @property
    def at_home(self) -> pulumi.ResourceOptions:
        """Options of what lives in the home region."""
        return pulumi.ResourceOptions(providers=[self.home])

    @property
    def at_backup(self) -> pulumi.ResourceOptions:
        """Options of what lives in the backup region."""
        return pulumi.ResourceOptions(providers=[self.backup])


def build(settings: Settings) -> None:
    """Build the whole platform for one environment."""
    regions = _regions(settings)
    roles = _roles(settings, regions)
    keys = _keys(settings, regions, roles)
    AccountGuardrails(
        "guardrails", ebs_key_arn=keys.platform_arn, account_id=settings.account_id, opts=regions.at_home
    )
    RegionGuardrails("guardrails-backup", ebs_key_arn=keys.backup_replica_arn, opts=regions.at_backup)
    alerts = AlertTopic(
        "alerts",
        key_arn=keys.logs_arn,
        email=settings.alerts.email,
        account_id=settings.account_id,
        region=settings.residency.home_region,
        opts=regions.at_home,
    )
    _buckets(settings, regions, roles, keys)
    network = _network(settings, regions, roles, keys)
    data_api = DataApiBoundary(
        "data-api",
        vpc_id=network.vpc_id,
        endpoint_security_group_id=network.endpoint_security_group_id,
        opts=regions.at_home,
    )
    bastion = _bastion(settings, regions, roles, keys, alerts, network)
    database = _database(settings, regions, roles, keys, alerts, network, data_api)

    pulumi.export("bastion_address", bastion.public_ip)
    pulumi.export("database_endpoint", database.endpoint_address)
    pulumi.export("database_master_secret_arn", database.master_secret_arn)
    pulumi.export("vpc_id", network.vpc_id)


def prefix_of(settings: Settings) -> str:
    """Return how the names of the environment's resources begin."""
    return f"{PROJECT}-{settings.environment}"


def _regions(settings: Settings) -> Regions:
    def provider(name: str, region: str) -> aws.Provider:
        return aws.Provider(
            name,
            region=region,
            allowed_account_ids=[settings.account_id],
            default_tags={"tags": _tags(settings)},
        )

    return Regions(
        home=provider("home", settings.residency.home_region),
        backup=provider("backup", settings.residency.backup_region),
    )


def _tags(settings: Settings) -> dict[str, str]:
    """Return the tags of everything: the policies read from them what the stack says it is."""
    return {
        "owner": settings.owner,
        "environment": settings.environment,
        "data-classification": "restricted",
        "profile": settings.profile,
        "jurisdiction": settings.residency.jurisdiction,
        "managed-by": PROJECT,
    }


def _roles(settings: Settings, regions: Regions) -> PlatformRoles:
    return PlatformRoles(
        "roles",
        account_id=settings.account_id,
        environment=settings.environment,
        resource_prefix=prefix_of(settings),
        bucket_prefix=f"{_SHORT}-{settings.environment}",
        home_region=settings.residency.home_region,
        backup_region=settings.residency.backup_region,
        people_principal_arns=settings.identity.people_principal_arns,
        github_repository=settings.identity.github_repository,
        permissions_boundary_arn=settings.identity.permissions_boundary_arn,
        opts=regions.at_home,
    )


def _keys(settings: Settings, regions: Regions, roles: PlatformRoles) -> KeyRing:
    return KeyRing(
        prefix_of(settings),
        account_id=settings.account_id,
        region=settings.residency.home_region,
        backup_region=settings.residency.backup_region,
        administrator_arns=[roles.role_arns["operator"], roles.role_arns["break-glass"]],
        deletion_window_days=settings.keys.deletion_window_days,
        backup_provider=regions.backup,
        existing=settings.keys.existing,
        opts=regions.at_home,
    )


def _buckets(settings: Settings, regions: Regions, roles: PlatformRoles, keys: KeyRing) -> None:
    """Make a bucket for data, models and the audit trail, and their replicas where the profile asks."""
    lock = ObjectLock(mode=settings.floors.lock_mode, days=settings.retention.audit_days)
    logs = _access_logs(settings, "access-logs", settings.residency.home_region, regions.at_home)
    replicas = _replicas(settings, regions, keys, lock) if settings.floors.redundant else {}
    for purpose, domain in _BUCKETS.items():
        SecureBucket(
            f"{purpose}-bucket",
            bucket_name=_bucket_name(settings, purpose, settings.residency.home_region),
            key_arn=keys.arns[domain],
            data_domain=domain,
            access_log_bucket=logs.bucket,
            noncurrent_days=settings.retention.noncurrent_days,
            lock=lock if domain in _LOCKED else None,
            replication=replicas.get(purpose),
            permissions_boundary_arn=roles.boundary_arn,
            opts=regions.at_home,
        )


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
            bucket_name=_bucket_name(settings, f"{purpose}-replica", region),
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
        bucket_name=_bucket_name(settings, purpose, region),
        account_id=settings.account_id,
        noncurrent_days=settings.retention.noncurrent_days,
        retention_days=settings.retention.audit_days,
        opts=opts,
    )


def _bucket_name(settings: Settings, purpose: str, region: str) -> str:
    """Return a name that nobody else has: the account and the region are in it."""
    return f"{_SHORT}-{settings.environment}-{purpose}-{settings.account_id}-{region}"


_SHORT = "smlp"
"""Bucket names have 63 characters at most."""


def _network(settings: Settings, regions: Regions, roles: PlatformRoles, keys: KeyRing) -> NetworkHandles:
    if existing := settings.network.existing:
        return ExistingNetwork(**existing.model_dump())
    return Network(
        prefix_of(settings),
        cidr_block=settings.network.cidr_block,
        zones=settings.zone_names,
        nat_gateways=settings.network.nat_gateways,
        flow_log_retention_days=settings.retention.log_days,
        logs_key_arn=keys.logs_arn,
        permissions_boundary_arn=roles.boundary_arn,
        account_id=settings.account_id,
        region=settings.residency.home_region,
        ssh_cidrs=settings.bastion.allowed_cidrs,
        allowed_egress_domains=settings.network.allowed_egress_domains,
        opts=regions.at_home,
    )


def _bastion(
    settings: Settings,
    regions: Regions,
    roles: PlatformRoles,
    keys: KeyRing,
    alerts: AlertTopic,
    network: NetworkHandles,
) -> Bastion:
    return Bastion(
        f"{prefix_of(settings)}-bastion",
        vpc_id=network.vpc_id,
        public_subnet_ids=network.public_subnet_ids,
        allowed_cidrs=settings.bastion.allowed_cidrs,
        public_keys=settings.bastion.public_keys,
        destination_cidrs=network.private_cidrs,
        s3_prefix_list_id=network.s3_prefix_list_id,
        endpoint_security_group_id=network.endpoint_security_group_id,
        key_arn=keys.platform_arn,
        logs_key_arn=keys.logs_arn,
        log_retention_days=settings.retention.log_days,
        alarm_topic_arn=alerts.arn,
        permissions_boundary_arn=roles.boundary_arn,
        account_id=settings.account_id,
        region=settings.residency.home_region,
        instance_type=settings.bastion.instance_type,
        idle_timeout_minutes=settings.bastion.idle_timeout_minutes,
        opts=regions.at_home,
    )


def _database(
    settings: Settings,
    regions: Regions,
    roles: PlatformRoles,
    keys: KeyRing,
    alerts: AlertTopic,
    network: NetworkHandles,
    data_api: DataApiBoundary,
) -> Database:
    return Database(
        f"{prefix_of(settings)}-database",
        identifier=prefix_of(settings),
        vpc_id=network.vpc_id,
        subnet_ids=network.isolated_subnet_ids,
        client_security_group_id=data_api.security_group_id,
        data_key_arn=keys.data_arn,
        logs_key_arn=keys.logs_arn,
        instance_class=settings.database.instance_class,
        allocated_storage_gb=settings.database.allocated_storage_gb,
        max_allocated_storage_gb=settings.database.max_allocated_storage_gb,
        backup_retention_days=settings.database.backup_retention_days,
        standby=settings.database.standby,
        log_retention_days=settings.retention.log_days,
        alarm_topic_arn=alerts.arn,
        permissions_boundary_arn=roles.boundary_arn,
        account_id=settings.account_id,
        region=settings.residency.home_region,
        opts=regions.at_home,
    )
