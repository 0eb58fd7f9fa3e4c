"""The public entrance, and who is kept out of it."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.addressing import TierPlan
from components.edge import Edge, Guard, PublicName, Targets
from components.ip_blocker import IpBlocker, Log, Sentence, Source
from components.serving import Entrance
from components.waf_rules import Limits
from stacks.parts.foundation import Foundation
from stacks.sections.edge import Edge as EdgeSettings

TARGET_PORT = 8443
"""Where the gateway's pods speak TLS."""

HEALTH_CHECK_PATH = "/ready"


def edge_of(base: Foundation, edge: EdgeSettings) -> Edge:
    """Build the load balancer and its web ACL."""
    return Edge(
        "edge",
        public_name=PublicName(
            domain_name=edge.domain_name,
            certificate_arn=edge.certificate_arn,
            hosted_zone_id=edge.hosted_zone_id,
        ),
        vpc_id=base.network.vpc_id,
        public_subnet_ids=base.network.public_subnet_ids,
        targets=Targets(
            cidrs=base.network.private_cidrs, port=TARGET_PORT, health_check_path=HEALTH_CHECK_PATH
        ),
        guard=Guard(
            limits=Limits(
                max_requests_per_5min=edge.max_requests_per_5min,
                path_max_requests_per_5min=edge.path_max_requests_per_5min,
                max_body_bytes=edge.max_body_bytes,
                upload_paths=edge.upload_paths,
            ),
            own_cidrs=edge.own_cidrs,
            monitor_cidrs=edge.monitor_cidrs,
            counted_until={entry.group: entry.until for entry in edge.count_mode},
            bot_control=edge.bot_control,
        ),
        shield=edge.shield,
        log_bucket=base.buckets.access_logs.bucket,
        logs_key_arn=base.keys.logs_arn,
        log_retention_days=base.settings.retention.log_days,
        account_id=base.settings.account_id,
        region=base.home_region,
        resource_prefix=base.prefix,
        opts=base.regions.at_home,
    )


SENTENCE = Sentence(refusals=20, window_minutes=5, block_minutes=60, longest_block_minutes=7 * 24 * 60)
"""A browser that misbehaves is refused a few times in five minutes; the second hour is two, the longest is a week."""


def ip_blocker_of(base: Foundation, edge: Edge, asked: EdgeSettings) -> IpBlocker:
    """Build what blocks who keeps being refused; nobody of ours can be, nor who may use the bastion."""
    settings = base.settings
    return IpBlocker(
        f"{base.prefix}-ip-blocker",
        source=Source(code=_program("ip_blocker"), handler="services.ip_blocker.handler.handler"),
        block_sets=edge.web_acl.block_sets,
        log=Log(group_name=edge.web_acl.log_group_name, group_arn=edge.web_acl.log_group_arn),
        never_blocked_cidrs=[
            *asked.own_cidrs,
            *asked.monitor_cidrs,
            *settings.bastion.allowed_cidrs,
        ],
        sentence=SENTENCE,
        key_arn=base.keys.platform_arn,
        logs_key_arn=base.keys.logs_arn,
        log_group_name=f"/{base.prefix}/services/ip-blocker",
        log_retention_days=settings.retention.log_days,
        alarm_topic_arn=base.alerts.arn,
        permissions_boundary_arn=base.roles.boundary_arn,
        account_id=settings.account_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )


def _program(service: str) -> pulumi.AssetArchive:
    """Return the modules of a service as a function's archive; Lambda's own runtime brings boto3."""
    folder = Path(__file__).resolve().parents[2] / "services"
    files = [folder / "__init__.py", *sorted((folder / service).glob("*.py"))]
    return pulumi.AssetArchive(
        {
            str(path.relative_to(folder.parent)): pulumi.FileAsset(str(path.relative_to(folder.parent)))
            for path in files
        }
    )


def entrance_of(base: Foundation, edge: Edge) -> Entrance:
    """Return what the gateway is told of the load balancer in front of it."""
    network = base.settings.network
    plan = TierPlan.split(network.cidr_block, zones=len(network.zones))
    return Entrance(
        target_group_arn=edge.target_group_arn,
        security_group_id=edge.security_group_id,
        cidrs=(network.cidr_block,) if network.existing else plan.public,
    )
