"""How people come in: the bastion."""

from __future__ import annotations

from components.bastion import Bastion
from stacks.parts.foundation import Foundation


def bastion_of(base: Foundation) -> Bastion:
    """Build the one way in over SSH."""
    return Bastion(
        f"{base.prefix}-bastion",
        vpc_id=base.network.vpc_id,
        public_subnet_ids=base.network.public_subnet_ids,
        allowed_cidrs=base.settings.bastion.allowed_cidrs,
        public_keys=base.settings.bastion.public_keys,
        destination_cidrs=base.network.private_cidrs,
        s3_prefix_list_id=base.network.s3_prefix_list_id,
        endpoint_security_group_id=base.network.endpoint_security_group_id,
        key_arn=base.keys.platform_arn,
        logs_key_arn=base.keys.logs_arn,
        log_retention_days=base.settings.retention.log_days,
        alarm_topic_arn=base.alerts.arn,
        permissions_boundary_arn=base.roles.boundary_arn,
        account_id=base.settings.account_id,
        region=base.home_region,
        instance_type=base.settings.bastion.instance_type,
        idle_timeout_minutes=base.settings.bastion.idle_timeout_minutes,
        opts=base.regions.at_home,
    )
