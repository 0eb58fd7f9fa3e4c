"""Training: pools of GPU machines in the isolated tier, which reach the data API, AWS and each other, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.documents import partition_of
from components.gpu_families import GPU_TYPES, type_problem
from components.nodes import HTTPS, NodeRole, between_groups, launch_template, node_role, to_aws

Capacity = Literal["on-demand", "spot", "capacity-block"]

TAINT_KEY = "nvidia.com/gpu"
"""Pods that ask for a GPU tolerate it; all others stay away."""

LARGEST_POOL = 100
"""A pool beyond it is a mistake sooner than a wish: 800 of the largest GPUs."""

_CAPACITY_TYPES: Mapping[Capacity, str] = {
    "on-demand": "ON_DEMAND",
    "spot": "SPOT",
    "capacity-block": "CAPACITY_BLOCK",
}

_KUBELET = 10250
_DNS = 53


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Machines of a kind, in one zone: close to each other, or none at all.

    ``capacity_reservation_id`` is the block of capacity that was bought, and goes with ``capacity-block`` alone.
    """

    name: str
    instance_types: tuple[str, ...]
    max_nodes: int
    capacity: Capacity
    subnet_id: pulumi.Input[str]
    disk_gb: int = 500
    capacity_reservation_id: str | None = None


class Training(pulumi.ComponentResource):
    """Node groups that scale to zero, and their security group.

    Attributes:
        security_group_id: Group of the machines.
    """

    security_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        pools: Sequence[Pool],
        cluster_name: pulumi.Input[str],
        kubernetes_version: str,
        cluster_security_group_id: pulumi.Input[str],
        node_security_group_id: pulumi.Input[str],
        data_api_security_group_id: pulumi.Input[str],
        data_api_port: int,
        endpoint_security_group_id: pulumi.Input[str],
        s3_prefix_list_id: pulumi.Input[str],
        vpc_id: pulumi.Input[str],
        key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        region: str,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the pools.

        Args:
            name: Logical name.
            pools: The pools; there may be none.
            cluster_name: The cluster that the machines join.
            kubernetes_version: Its version.
            cluster_security_group_id: Group of its control plane.
            node_security_group_id: Group of the machines that its DNS runs on.
            data_api_security_group_id: Group of the data-access API's pods, the only way to data.
            data_api_port: Where they listen.
            endpoint_security_group_id: Group of the VPC's endpoints of AWS services.
            s3_prefix_list_id: Addresses of S3, where ECR keeps the layers of images.
            vpc_id: The VPC.
            key_arn: Key of the machines' disks.
            permissions_boundary_arn: Boundary of their role.
            region: The region.
            after: What must be there before a machine joins: the cluster's network add-ons.
            opts: Options of the component.

        Raises:
            ValueError: two pools share a name, a type is no GPU type, a pool has no bound, or a block of capacity
                is not told, or not one of one type.
        """
        super().__init__("secureml:training:Training", name, None, opts)
        _check(pools)
        self._name = name
        self._cluster_name = cluster_name
        self._kubernetes_version = kubernetes_version
        self._key_arn = key_arn
        self._after = after
        self._under = pulumi.ResourceOptions(parent=self)

        group = aws.ec2.SecurityGroup(
            f"{name}-nodes",
            description="Training machines: the data API, AWS and each other",
            vpc_id=vpc_id,
            tags={"Name": f"{name}-nodes"},
            opts=self._under,
        )
        self.security_group_id = group.id
        rules = [
            # Workers exchange gradients on ports of their choice, over EFA on no port at all (Amazon EC2 User
            # Guide, "Elastic Fabric Adapter": a group that admits itself to everything).
            *self._rule("among-themselves", group.id, group.id, None, "Workers of a training job"),
            *self._rule("to-api", group.id, cluster_security_group_id, HTTPS, "Kubernetes API"),
            *self._rule("api-to-kubelet", cluster_security_group_id, group.id, _KUBELET, "Kubelet"),
            *self._rule("to-dns", group.id, node_security_group_id, _DNS, "DNS of the cluster"),
            *self._rule("to-dns-udp", group.id, node_security_group_id, _DNS, "DNS of the cluster", "udp"),
            *self._rule(
                "to-data-api", group.id, data_api_security_group_id, data_api_port, "Data-access API"
            ),
            *to_aws(
                f"{name}-nodes",
                group_id=group.id,
                endpoint_security_group_id=endpoint_security_group_id,
                s3_prefix_list_id=s3_prefix_list_id,
                opts=self._under,
            ),
        ]
        if pools:
            role = node_role(
                name,
                about="Training machines of the cluster",
                partition=partition_of(region),
                permissions_boundary_arn=permissions_boundary_arn,
                opts=self._under,
            )
            for pool in pools:
                self._pool(pool, role, rules)
        self.register_outputs({"security_group_id": self.security_group_id})

    def _rule(
        self,
        label: str,
        from_group_id: pulumi.Input[str],
        to_group_id: pulumi.Input[str],
        port: int | None,
        about: str,
        protocol: Literal["tcp", "udp"] = "tcp",
    ) -> list[pulumi.Resource]:
        return between_groups(
            f"{self._name}-{label}",
            from_group_id=from_group_id,
            to_group_id=to_group_id,
            port=port,
            about=about,
            protocol=protocol,
            opts=self._under,
        )

    def _pool(self, pool: Pool, role: NodeRole, rules: Sequence[pulumi.Resource]) -> None:
        name = f"{self._name}-{pool.name}"
        reserved = pool.capacity == "capacity-block"
        together = self._placement_group(name) if pool.max_nodes > 1 else None
        template = launch_template(
            name,
            about=f"Training machines: {pool.name}",
            security_group_id=self.security_group_id,
            disk_gb=pool.disk_gb,
            key_arn=self._key_arn,
            instance_type=pool.instance_types[0] if reserved else None,
            placement_group_name=name if together else None,
            capacity_reservation_id=pool.capacity_reservation_id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[together] if together else []),
        )
        aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=self._cluster_name,
            node_group_name=pool.name,
            node_role_arn=role.arn,
            subnet_ids=[pool.subnet_id],
            version=self._kubernetes_version,
            ami_type="BOTTLEROCKET_x86_64_NVIDIA",
            capacity_type=_CAPACITY_TYPES[pool.capacity],
            instance_types=None if reserved else list(pool.instance_types),
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            # Nobody pays for GPUs that nobody uses; a job that waits for one brings it.
            scaling_config={"min_size": 0, "max_size": pool.max_nodes, "desired_size": 0},
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            labels={"pool": pool.name, "workload": "training", "gpu": _gpu(pool)},
            taints=[{"key": TAINT_KEY, "value": "present", "effect": "NO_SCHEDULE"}],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self._after, *rules, *role.policies],
                # How many there are is the autoscaler's to say.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )

    def _placement_group(self, name: str) -> aws.ec2.PlacementGroup:
        """Put machines of one pool next to each other: gradients travel at every step."""
        return aws.ec2.PlacementGroup(f"{name}-together", name=name, strategy="cluster", opts=self._under)


def _gpu(pool: Pool) -> str:
    """Return the GPU of a pool, for jobs that want a certain one."""
    return GPU_TYPES[pool.instance_types[0]].gpu


_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")


def pool_problem(
    *,
    name: str,
    instance_types: Sequence[str],
    max_nodes: int,
    capacity: Capacity,
    capacity_reservation_id: str | None,
) -> tuple[str, str] | None:
    """Return where a pool is wrong, and what to write instead; ``None`` where it is good."""
    if not _NAME.fullmatch(name):
        return "name", f"{name!r:.40} is not a name; write lower-case letters, digits and dashes"
    if not instance_types:
        return "instance_types", "is empty; write one like g6.xlarge"
    for index, type_ in enumerate(instance_types):
        if problem := type_problem(type_):
            return f"instance_types[{index}]", problem
    if len({GPU_TYPES[type_] for type_ in instance_types}) > 1:
        return "instance_types", "mixes GPUs of several kinds or numbers; make a pool for each"
    if not 1 <= max_nodes <= LARGEST_POOL:
        return "max_nodes", f"is {max_nodes}; write 1 to {LARGEST_POOL}"
    if capacity == "capacity-block" and not capacity_reservation_id:
        return "capacity_reservation_id", "is missing; write the id of the block, like cr-0abc1234"
    if capacity == "capacity-block" and len(instance_types) > 1:
        return "instance_types", "names several; a block of capacity is of one type"
    if capacity != "capacity-block" and capacity_reservation_id:
        return "capacity_reservation_id", "goes with capacity: capacity-block; leave it out"
    return None


def _check(pools: Sequence[Pool]) -> None:
    names = [pool.name for pool in pools]
    for index, pool in enumerate(pools):
        if pool.name in names[:index]:
            raise ValueError(f"pools[{index}].name: {pool.name!r} is the name of another pool")
        problem = pool_problem(
            name=pool.name,
            instance_types=pool.instance_types,
            max_nodes=pool.max_nodes,
            capacity=pool.capacity,
            capacity_reservation_id=pool.capacity_reservation_id,
        )
        if problem:
            raise ValueError(f"pools[{index}].{problem[0]}: {problem[1]}")
