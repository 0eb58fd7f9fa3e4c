"""What a cluster runs of AWS's own: add-ons of pinned versions, each under a role of its own where it calls AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.documents import Statement, policy_document
from components.eks_versions import RELEASES, Addon
from components.pod_identity import pod_trust

BEFORE_NODES: tuple[Addon, ...] = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""A machine becomes ready only where these are there already; the others need machines to run on."""

AFTER_NODES: tuple[Addon, ...] = ("coredns", "aws-ebs-csi-driver", "aws-guardduty-agent")

CONFIGURATION: Mapping[Addon, Mapping[str, Any]] = {
    "vpc-cni": {
        "enableNetworkPolicy": "true",
        # What a policy refuses is written down on the machine.
        "nodeAgent": {"enablePolicyEventLogs": "true"},
        "env": {
            # Security groups for pods: the database admits the data-access API's pods and not the machine.
            "ENABLE_POD_ENI": "true",
            # "strict" would leave pods that have a security group out of network policies (Amazon EKS User
            # Guide, "Assign security groups to individual Pods").
            "POD_SECURITY_GROUP_ENFORCING_MODE": "standard",
            # Pods keep their address on the way to NAT, so their own group decides and flow logs name them.
            "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true",
        },
    },
}

_MANAGED_POLICIES: Mapping[Addon, tuple[str, str]] = {
    "vpc-cni": ("aws-node", "AmazonEKS_CNI_Policy"),
    "aws-ebs-csi-driver": ("ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy"),
}
"""Service account of an add-on, and AWS's policy for it (Amazon EKS User Guide, "AWS add-ons")."""


class ClusterAddons(pulumi.ComponentResource):
    """Add-ons of a cluster, all of one phase.

    Attributes:
        ready: The add-ons, to wait for.
    """

    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        kubernetes_version: str,
        addons: Sequence[Addon],
        volume_key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        partition: str,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Install the add-ons.

        Args:
            name: Logical name.
            cluster_name: The cluster.
            kubernetes_version: Its version, which pins theirs.
            addons: Which ones.
            volume_key_arn: Key of the volumes that pods ask for.
            permissions_boundary_arn: Boundary of their roles.
            partition: ARN partition of AWS's own policies.
            after: What must be there first.
            opts: Options of the component.
        """
        super().__init__("secureml:cluster_addons:ClusterAddons", name, None, opts)
        self._name = name
        self._cluster_name = cluster_name
        self._volume_key_arn = volume_key_arn
        self._boundary_arn = permissions_boundary_arn
        self._partition = partition
        self._under = pulumi.ResourceOptions(parent=self)
        self._after = after
        versions = RELEASES[kubernetes_version].addons
        self.ready = [self._addon(addon, versions[addon]) for addon in addons]
        self.register_outputs({})

    def _addon(self, addon: Addon, version: str) -> pulumi.Resource:
        configuration = CONFIGURATION.get(addon)
        rights: list[pulumi.Resource] = []
        identities: list[aws.eks.AddonPodIdentityAssociationArgsDict] = []
        if addon in _MANAGED_POLICIES:
            service_account, policy = _MANAGED_POLICIES[addon]
            role, rights = self._role(addon, service_account, policy)
            identities = [{"service_account": service_account, "role_arn": role.arn}]
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self._cluster_name,
            addon_name=addon,
            addon_version=version,
            configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
            pod_identity_associations=identities or None,
            # What somebody changed in the cluster by hand is put back.
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *rights]),
        )

    def _role(
        self, addon: Addon, service_account: str, policy: str
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        role = aws.iam.Role(
            f"{self._name}-{addon}",
            description=f"Add-on {addon} of the cluster",
            assume_role_policy=policy_document(pod_trust(self._cluster_name, "kube-system", service_account)),
            permissions_boundary=self._boundary_arn,
            opts=self._under,
        )
        rights: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{addon}",
                role=role.name,
                policy_arn=f"arn:{self._partition}:iam::aws:policy/{policy}",
                opts=self._under,
            )
        ]
        if addon == "aws-ebs-csi-driver":
            rights.append(self._volume_key(role))
        return role, rights

    def _volume_key(self, role: aws.iam.Role) -> pulumi.Resource:
        """Let the driver make volumes under our key (Amazon EKS User Guide, "Use Kubernetes volume storage with Amazon EBS")."""
        return aws.iam.RolePolicy(
            f"{self._name}-volume-key",
            role=role.id,
            policy=policy_document(
                Statement(
                    sid="EncryptVolumes",
                    actions=[
                        "kms:Decrypt",
                        "kms:DescribeKey",
                        "kms:Encrypt",
                        "kms:GenerateDataKey*",
                        "kms:ReEncrypt*",
                    ],
                    resources=[self._volume_key_arn],
                ),
                Statement(
                    sid="LetVolumesHoldTheKey",
                    actions=["kms:CreateGrant"],
                    resources=[self._volume_key_arn],
                    conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
                ),
            ),
            opts=self._under,
        )
