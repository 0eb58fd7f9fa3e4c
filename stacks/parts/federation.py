"""A federation: the server of one's own with its door and its operator's jobs, or the node in somebody else's."""

from __future__ import annotations

import pulumi

from components.addressing import TierPlan
from components.federation import FLEET_PORT, Doorway, Federation, Outcome, Runs, Surroundings
from components.federation_door import FederationDoor, Ground, Silo
from components.namespaces import Quota
from components.pod_network import Pods
from components.pods import Size
from components.silo import FederationLink, Membership, Reading, SiloKey, SiloNode
from stacks.parts.cluster import ClusterHandles
from stacks.parts.foundation import Foundation
from stacks.sections.federation import Coordinates, Joins

SERVER, OPERATOR, SILO = "federation", "federation-operator", "silo"
"""Namespaces. A job beside the server could be the server, so the operator's run elsewhere."""

OPERATOR_SIZE = Size(cpu="500m", memory="1Gi")
OPERATOR_QUOTA = Quota(cpu="500m", memory="1Gi", pods=1)
"""One run at a time."""


def door_of(base: Foundation, cluster: ClusterHandles, asked: Coordinates) -> FederationDoor:
    """Build what enrolled silos ask for an endpoint."""
    door = FederationDoor(
        "federation",
        silos=[
            Silo(
                name=silo.name,
                account_id=silo.account_id,
                region=silo.region,
                cidr=silo.cidr_block,
                endpoint_id=silo.endpoint_id,
            )
            for silo in asked.silos
        ],
        ground=Ground(
            vpc_id=base.network.vpc_id,
            subnet_ids=base.network.public_subnet_ids,
            node_security_group_id=cluster.node_security_group_id,
        ),
        port=FLEET_PORT,
        region=base.home_region,
        opts=base.regions.at_home,
    )
    pulumi.export("federation_service_name", door.service_name)
    return door


def door_cidrs(base: Foundation) -> tuple[str, ...]:
    """Return where the door's load balancer stands: the tier that no pod is in."""
    network = base.settings.network
    if network.existing:
        return (network.cidr_block,)
    return TierPlan.split(network.cidr_block, zones=len(network.zones)).public


def federation_of(
    asked: Coordinates,
    *,
    server: Surroundings,
    operator: Surroundings,
    doorway: Doorway,
    outcome: Outcome,
    opts: pulumi.ResourceOptions,
) -> Federation:
    """Build the server and its operator's job."""
    return Federation(
        "federation",
        server=server,
        operator=operator,
        doorway=doorway,
        outcome=outcome,
        node_keys={silo.name: silo.public_key for silo in asked.silos},
        runs=Runs(
            terms=asked.terms,
            app_entity=asked.app_entity,
            deadline_seconds=asked.deadline_hours * 3600,
        ),
        opts=opts,
    )


def silo_of(
    base: Foundation,
    cluster: ClusterHandles,
    asked: Joins,
    *,
    surroundings: Surroundings,
    data_api: Pods,
    opts: pulumi.ResourceOptions,
) -> SiloNode:
    """Build the way to somebody else's federation, and the node that goes it."""
    link = FederationLink(
        f"{base.prefix}-federation",
        service_name=asked.service_name,
        service_region=asked.service_region,
        domain_name=asked.domain_name,
        vpc_id=base.network.vpc_id,
        subnet_ids=base.network.private_subnet_ids,
        node_security_group_id=cluster.node_security_group_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )
    key = SiloKey(
        f"{base.prefix}-silo",
        cluster_name=cluster.name,
        namespace=SILO,
        administrator_arns=[base.roles.role_arns["operator"], base.roles.role_arns["break-glass"]],
        deletion_window_days=base.settings.keys.deletion_window_days,
        account_id=base.settings.account_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )
    pulumi.export("federation_endpoint_id", link.endpoint_id)
    return SiloNode(
        "silo",
        surroundings=surroundings,
        membership=Membership(
            domain_name=asked.domain_name,
            silo=asked.silo,
            trusted_entities=asked.trusted_entities,
            terms=asked.terms,
        ),
        store_key_arn=key.arn,
        reading=Reading(
            data_api=data_api,
            dataset=asked.reads.dataset,
            purpose=asked.reads.purpose,
            columns=asked.reads.columns,
            label=asked.reads.label,
        ),
        opts=opts,
    )


def server_size(asked: Coordinates) -> Size:
    """Return the size of the server."""
    return Size(cpu=f"{asked.cpu_millicores}m", memory=f"{asked.memory_mb}Mi")


def server_quota(asked: Coordinates) -> Quota:
    """Return room for the one server."""
    return Quota(cpu=f"{asked.cpu_millicores}m", memory=f"{asked.memory_mb}Mi", pods=1)


def silo_size(asked: Joins) -> Size:
    """Return the size of the node."""
    return Size(cpu=f"{asked.cpu_millicores}m", memory=f"{asked.memory_mb}Mi", disk=f"{asked.scratch_gb}Gi")


def silo_quota(asked: Joins) -> Quota:
    """Return room for the one node."""
    return Quota(cpu=f"{asked.cpu_millicores}m", memory=f"{asked.memory_mb}Mi", pods=1)
