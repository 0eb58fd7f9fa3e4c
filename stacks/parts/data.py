"""The database, and the one security group that it admits."""

from __future__ import annotations

from components.data_api import DataApiBoundary
from components.database import Database
from stacks.parts.foundation import Foundation


def data_api_boundary(base: Foundation) -> DataApiBoundary:
    """Build the place of the data-access API in the network."""
    return DataApiBoundary(
        "data-api",
        vpc_id=base.network.vpc_id,
        endpoint_security_group_id=base.network.endpoint_security_group_id,
        opts=base.regions.at_home,
    )


def database_of(base: Foundation, data_api: DataApiBoundary) -> Database:
    """Build the database behind the data-access API."""
    return Database(
        f"{base.prefix}-database",
        identifier=base.prefix,
        vpc_id=base.network.vpc_id,
        subnet_ids=base.network.isolated_subnet_ids,
        client_security_group_id=data_api.security_group_id,
        data_key_arn=base.keys.data_arn,
        logs_key_arn=base.keys.logs_arn,
        instance_class=base.settings.database.instance_class,
        allocated_storage_gb=base.settings.database.allocated_storage_gb,
        max_allocated_storage_gb=base.settings.database.max_allocated_storage_gb,
        backup_retention_days=base.settings.database.backup_retention_days,
        standby=base.settings.database.standby,
        log_retention_days=base.settings.retention.log_days,
        alarm_topic_arn=base.alerts.arn,
        permissions_boundary_arn=base.roles.boundary_arn,
        account_id=base.settings.account_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )
