"""The platform: its parts, and what each is handed from the others."""

from __future__ import annotations

import pulumi

from components.serving import SUSPICION
from stacks.parts.access import bastion_of
from stacks.parts.audit import audit_of
from stacks.parts.backup import backups_of
from stacks.parts.cluster import cluster_of
from stacks.parts.data import data_api_boundary, database_of
from stacks.parts.edge import edge_of, entrance_of, ip_blocker_of
from stacks.parts.foundation import lay
from stacks.parts.services import services_of
from stacks.settings import Settings


def build(settings: Settings) -> None:
    """Build the whole platform for one environment."""
    base = lay(settings)
    data_api = data_api_boundary(base)
    bastion = bastion_of(base)
    database = database_of(base, data_api)
    cluster = cluster_of(base, data_api)
    edge = edge_of(base, settings.edge) if settings.edge else None
    blocker = ip_blocker_of(base, edge, settings.edge) if edge and settings.edge else None
    logs = services_of(base, cluster, data_api, database, entrance_of(base, edge) if edge else None)
    if blocker and logs.gateway:
        blocker.hear("suspected", logs.gateway, SUSPICION)
    audit = audit_of(base, refused=edge.web_acl.log_group_name if edge else None, asked=logs.by_service)
    backups_of(base, database, audit)

    pulumi.export("audit_workgroup", audit.room.workgroup)
    pulumi.export("bastion_address", bastion.public_ip)
    pulumi.export("cluster_endpoint", cluster.endpoint)
    pulumi.export("cluster_name", cluster.name)
    pulumi.export("database_endpoint", database.endpoint_address)
    pulumi.export("database_master_secret_arn", database.master_secret_arn)
    pulumi.export("image_signing_key_arn", cluster.signing_key_arn)
    pulumi.export("registry_host", cluster.registry_host)
    if edge:
        pulumi.export("edge_url", edge.url)
        pulumi.export("edge_target_group_arn", edge.target_group_arn)
    pulumi.export("trail_arn", audit.trail.arn)
    pulumi.export("vpc_id", base.network.vpc_id)
