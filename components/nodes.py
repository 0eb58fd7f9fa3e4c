"""Machines of a cluster: Bottlerocket, nothing to sign in to, disks under a key of ours, credentials out of pods' reach."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from components.documents import Statement, policy_document

USER_DATA = """\
[settings.host-containers.admin]
enabled = false

[settings.host-containers.control]
enabled = false

[settings.kubernetes]
seccomp-default = true
"""
"""No container on the host to sign in to, over SSH or over Systems Manager, and every pod under the runtime's
seccomp profile (Bottlerocket documentation, "settings.host-containers" and "settings.kubernetes"). EKS adds how to
join the cluster."""

_ROOT_DISK, _DATA_DISK = "/dev/xvda", "/dev/xvdb"
"""Of Bottlerocket: the system, which is read only, and what pods and images take."""

_ROOT_DISK_GB = 4

HTTPS = 443


@dataclass(frozen=True)
class NodeRole:
    """The role of a group's machines, and what must be there before the first one starts."""

    arn: pulumi.Output[str]
    policies: tuple[pulumi.Resource, ...]


def node_role(
    name: str,
    *,
    about: str,
    partition: str,
    permissions_boundary_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> NodeRole:
    """Make a role that joins the cluster and pulls images. What pods do, they do under roles of their own."""
    role = aws.iam.Role(
        f"{name}-node",
        description=about,
        assume_role_policy=policy_document(
            Statement(
                sid="Machines", actions=["sts:AssumeRole"], principals={"Service": ["ec2.amazonaws.com"]}
            )
        ),
        permissions_boundary=permissions_boundary_arn,
        opts=opts,
    )
    # Amazon EKS User Guide, "Amazon EKS node IAM role".
    policies = tuple(
        aws.iam.RolePolicyAttachment(
            f"{name}-node-{policy}",
            role=role.name,
            policy_arn=f"arn:{partition}:iam::aws:policy/{policy}",
            opts=opts,
        )
        for policy in ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
    )
    return NodeRole(role.arn, policies)


def launch_template(
    name: str,
    *,
    about: str,
    security_group_id: pulumi.Input[str],
    disk_gb: int,
    key_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    tags: Mapping[str, str] | None = None,
    instance_type: str | None = None,
    placement_group_name: str | None = None,
    capacity_reservation_id: str | None = None,
) -> aws.ec2.LaunchTemplate:
    """Make the template of a group's machines.

    Args:
        name: Logical name; machines carry it.
        about: What they are for.
        security_group_id: The one group that they wear.
        disk_gb: Room for pods and images.
        key_arn: Key of both disks.
        opts: Options of the template.
        tags: More tags of the machines.
        instance_type: Only where the node group must not name it: on reserved blocks of capacity.
        placement_group_name: Group of machines close to each other; wait for it in ``opts``.
        capacity_reservation_id: The block of capacity to run in.
    """
    names = {"Name": name, **(tags or {})}
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        description=about,
        update_default_version=True,
        instance_type=instance_type,
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            # One hop ends at the machine: pods get the role of their service account and never the machine's.
            "http_put_response_hop_limit": 1,
            "instance_metadata_tags": "disabled",
        },
        block_device_mappings=[
            _disk(_ROOT_DISK, _ROOT_DISK_GB, key_arn),
            _disk(_DATA_DISK, disk_gb, key_arn),
        ],
        network_interfaces=[
            {
                "associate_public_ip_address": "false",
                "delete_on_termination": "true",
                "security_groups": [security_group_id],
            }
        ],
        monitoring={"enabled": True},
        placement={"group_name": placement_group_name} if placement_group_name else None,
        instance_market_options={"market_type": "capacity-block"} if capacity_reservation_id else None,
        capacity_reservation_specification={
            "capacity_reservation_target": {"capacity_reservation_id": capacity_reservation_id}
        }
        if capacity_reservation_id
        else None,
        tag_specifications=[
            {"resource_type": kind, "tags": names} for kind in ("instance", "network-interface", "volume")
        ],
        user_data=base64.b64encode(USER_DATA.encode()).decode(),
        opts=opts,
    )


def _disk(
    device: str, size_gb: int, key_arn: pulumi.Input[str]
) -> aws.ec2.LaunchTemplateBlockDeviceMappingArgsDict:
    return {
        "device_name": device,
        "ebs": {
            "volume_size": size_gb,
            "volume_type": "gp3",
            "encrypted": "true",
            "kms_key_id": key_arn,
            "delete_on_termination": "true",
        },
    }


def between_groups(
    name: str,
    *,
    from_group_id: pulumi.Input[str],
    to_group_id: pulumi.Input[str],
    port: int | None,
    about: str,
    opts: pulumi.ResourceOptions,
    protocol: Literal["tcp", "udp"] = "tcp",
) -> list[pulumi.Resource]:
    """Let one group open connections to another: out of the one and into the other, or neither would do.

    Without a port, everything goes.
    """
    traffic: dict[str, Any] = {"ip_protocol": protocol, "from_port": port, "to_port": port}
    if port is None:
        traffic = {"ip_protocol": "-1"}
    return [
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-out",
            security_group_id=from_group_id,
            referenced_security_group_id=to_group_id,
            description=about,
            **traffic,
            opts=opts,
        ),
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-in",
            security_group_id=to_group_id,
            referenced_security_group_id=from_group_id,
            description=about,
            **traffic,
            opts=opts,
        ),
    ]


def to_aws(
    name: str,
    *,
    group_id: pulumi.Input[str],
    endpoint_security_group_id: pulumi.Input[str],
    s3_prefix_list_id: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Let a group reach AWS's services inside the VPC; the endpoints' group admits their subnets already."""
    return [
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-endpoints",
            security_group_id=group_id,
            referenced_security_group_id=endpoint_security_group_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="AWS services over the endpoints of the VPC",
            opts=opts,
        ),
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-s3",
            security_group_id=group_id,
            prefix_list_id=s3_prefix_list_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="S3, where ECR keeps the layers of images",
            opts=opts,
        ),
    ]
