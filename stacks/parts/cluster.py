"""The cluster, its registry and its GPUs, and the handles by which services are deployed into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes

from components import signatures, target_registration
from components.cluster import Cluster
from components.cluster_limits import service_range
from components.data_api import DataApiBoundary
from components.documents import partition_of
from components.gpu_budget import GpuBudget
from components.personas import Persona
from components.registry import Registry
from components.training import Pool, Training
from stacks.parts.foundation import Foundation
from stacks.parts.regions import SHORT
from stacks.sections.cluster import TrainingPool

SERVICES = ("data-api", "federated", "gateway", "ip-blocker", "redteam", "trainer")
"""What has an image of its own: the folders of ``services``."""

NAMESPACES: Mapping[Persona, tuple[str, ...]] = {
    "data-scientist": ("training",),
    "ml-engineer": ("training", "redteam", "serving"),
}
"""Where a persona may look, of those that do not see the whole cluster."""

DATA_API_PORT = 8443


@dataclass(frozen=True, kw_only=True)
class ClusterHandles:
    """What services are handed of the cluster.

    RoleBindings name a persona by its group, ``components.cluster_access.GROUP_PREFIX`` before its name.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    kubernetes: pulumi_kubernetes.Provider
    """Deploys into the cluster, once its add-ons run."""
    cluster_security_group_id: pulumi.Output[str]
    """Of the control plane."""
    node_security_group_id: pulumi.Output[str]
    """Of the system machines. Pods with a group of their own admit probes from it, and ask it for names on 53."""
    training_security_group_id: pulumi.Output[str]
    """Of the GPU machines."""
    registry_host: str
    """Every image that may run comes from here."""
    repository_urls: Mapping[str, pulumi.Output[str]]
    """By service, without a tag or digest."""
    cache_urls: Mapping[str, str]
    """By public registry: ``quay`` stands for ``quay.io``."""
    signing_key_arn: pulumi.Output[str]
    """For admission: ``awskms:///<arn>``; its pods need ``kms:GetPublicKey`` and ``kms:DescribeKey`` on it."""


def cluster_of(base: Foundation, data_api: DataApiBoundary) -> ClusterHandles:
    """Build the cluster, its registry and its pools of GPUs."""
    registry = _registry(base)
    cluster = _cluster(base)
    training = _training(base, cluster, data_api)
    _budget(base)
    return ClusterHandles(
        name=cluster.name,
        arn=cluster.arn,
        endpoint=cluster.endpoint,
        certificate_authority=cluster.certificate_authority,
        oidc_issuer=cluster.oidc_issuer,
        kubernetes=cluster.kubernetes,
        cluster_security_group_id=cluster.cluster_security_group_id,
        node_security_group_id=cluster.node_security_group_id,
        training_security_group_id=training.security_group_id,
        registry_host=registry.host,
        repository_urls=registry.repository_urls,
        cache_urls=registry.cache_urls,
        signing_key_arn=registry.signing_key_arn,
    )


def _deployer(base: Foundation) -> str:
    """Return the role that deploys: the bootstrap's, unless the settings name another one."""
    role = f"arn:{partition_of(base.home_region)}:iam::{base.settings.account_id}:role/{base.prefix}-deploy"
    return base.settings.cluster.deployer_role_arn or role


def _registry(base: Foundation) -> Registry:
    return Registry(
        f"{base.prefix}-registry",
        prefix=base.prefix,
        cache_prefix=f"{SHORT}-{base.settings.environment}",
        repositories=(*SERVICES, *signatures.MIRRORED, *target_registration.MIRRORED),
        key_arn=base.keys.platform_arn,
        # Without a pipeline, who deploys also publishes.
        publisher_arns=[base.roles.ci_role_arn or _deployer(base)],
        administrator_arns=[base.roles.role_arns["operator"], base.roles.role_arns["break-glass"]],
        deletion_window_days=base.settings.keys.deletion_window_days,
        permissions_boundary_arn=base.roles.boundary_arn,
        account_id=base.settings.account_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )


def _cluster(base: Foundation) -> Cluster:
    settings = base.settings.cluster
    return Cluster(
        base.prefix,
        kubernetes_version=settings.kubernetes_version,
        vpc_id=base.network.vpc_id,
        private_subnet_ids=base.network.private_subnet_ids,
        service_cidr=service_range(base.settings.network.cidr_block),
        endpoint_security_group_id=base.network.endpoint_security_group_id,
        s3_prefix_list_id=base.network.s3_prefix_list_id,
        api_cidrs=settings.endpoint,
        key_arn=base.keys.platform_arn,
        logs_key_arn=base.keys.logs_arn,
        log_retention_days=base.settings.retention.log_days,
        deployer_role_arn=_deployer(base),
        deployer_security_group_id=settings.deployer_security_group_id,
        role_arns=base.roles.role_arns,
        namespaces=NAMESPACES,
        permissions_boundary_arn=base.roles.boundary_arn,
        region=base.home_region,
        instance_type=settings.system.instance_type,
        min_nodes=settings.system.min_nodes,
        max_nodes=settings.system.max_nodes,
        disk_gb=settings.system.disk_gb,
        opts=base.regions.at_home,
    )


def _training(base: Foundation, cluster: Cluster, data_api: DataApiBoundary) -> Training:
    return Training(
        f"{base.prefix}-training",
        pools=[_pool(base, pool) for pool in base.settings.training.pools],
        cluster_name=cluster.name,
        kubernetes_version=base.settings.cluster.kubernetes_version,
        cluster_security_group_id=cluster.cluster_security_group_id,
        node_security_group_id=cluster.node_security_group_id,
        data_api_security_group_id=data_api.security_group_id,
        data_api_port=DATA_API_PORT,
        endpoint_security_group_id=base.network.endpoint_security_group_id,
        s3_prefix_list_id=base.network.s3_prefix_list_id,
        vpc_id=base.network.vpc_id,
        key_arn=base.keys.platform_arn,
        permissions_boundary_arn=base.roles.boundary_arn,
        region=base.home_region,
        after=cluster.ready_for_nodes,
        opts=base.regions.at_home,
    )


def _budget(base: Foundation) -> None:
    training = base.settings.training
    if training.pools and training.monthly_budget_usd:
        GpuBudget(
            f"{base.prefix}-gpus",
            monthly_usd=training.monthly_budget_usd,
            instance_types=[each for pool in training.pools for each in pool.instance_types],
            email=base.settings.alerts.email,
            opts=base.regions.at_home,
        )


def _pool(base: Foundation, pool: TrainingPool) -> Pool:
    zones = base.settings.network.zones
    return Pool(
        name=pool.name,
        instance_types=pool.instance_types,
        max_nodes=pool.max_nodes,
        capacity=pool.capacity,
        subnet_id=base.network.isolated_subnet_ids[zones.index(pool.zone) if pool.zone else 0],
        disk_gb=pool.disk_gb,
        capacity_reservation_id=pool.capacity_reservation_id,
    )
