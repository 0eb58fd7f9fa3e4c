"""What every part of the platform stands on: the regions, roles, keys, buckets, alerts and the network."""

from __future__ import annotations

from dataclasses import dataclass

from components.alerts import AlertTopic
from components.guardrails import AccountGuardrails, RegionGuardrails
from components.identity import PlatformRoles
from components.keys import KeyRing
from components.network import ExistingNetwork, Network, NetworkHandles
from stacks.parts.buckets import Buckets, buckets_of
from stacks.parts.regions import SHORT, Regions, prefix_of, regions_of
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """What the parts are handed; ``lay`` builds it."""

    settings: Settings
    regions: Regions
    roles: PlatformRoles
    keys: KeyRing
    alerts: AlertTopic
    backup_region_alerts: AlertTopic
    """The same people, told from the backup region: rules and alarms reach topics of their own region only."""
    buckets: Buckets
    network: NetworkHandles

    @property
    def prefix(self) -> str:
        """How the names of the environment's resources begin."""
        return prefix_of(self.settings)

    @property
    def home_region(self) -> str:
        """The region where everything lives."""
        return self.settings.residency.home_region

    @property
    def backup_region(self) -> str:
        """The region of copies and backups."""
        return self.settings.residency.backup_region


def lay(settings: Settings) -> Foundation:
    """Build what every part stands on."""
    regions = regions_of(settings)
    roles = _roles(settings, regions)
    keys = _keys(settings, regions, roles)
    AccountGuardrails(
        "guardrails", ebs_key_arn=keys.platform_arn, account_id=settings.account_id, opts=regions.at_home
    )
    RegionGuardrails("guardrails-backup", ebs_key_arn=keys.backup_replica_arn, opts=regions.at_backup)
    return Foundation(
        settings=settings,
        regions=regions,
        roles=roles,
        keys=keys,
        alerts=AlertTopic(
            "alerts",
            key_arn=keys.logs_arn,
            emails=[settings.alerts.email],
            account_id=settings.account_id,
            region=settings.residency.home_region,
            opts=regions.at_home,
        ),
        backup_region_alerts=AlertTopic(
            "alerts-backup-region",
            key_arn=keys.backup_region_logs_arn,
            emails=[settings.alerts.email],
            account_id=settings.account_id,
            region=settings.residency.backup_region,
            opts=regions.at_backup,
        ),
        buckets=buckets_of(settings, regions, roles, keys),
        network=_network(settings, regions, roles, keys),
    )


def _roles(settings: Settings, regions: Regions) -> PlatformRoles:
    return PlatformRoles(
        "roles",
        account_id=settings.account_id,
        environment=settings.environment,
        resource_prefix=prefix_of(settings),
        bucket_prefix=f"{SHORT}-{settings.environment}",
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
