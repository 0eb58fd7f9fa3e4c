"""Who may do what inside the cluster: access entries of the EKS API, one for each persona, and no list in the cluster.

Nobody reads Kubernetes secrets but break-glass and who deploys: the view policy leaves them out, and what a persona
may change is granted inside the cluster to the group that its entry names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.personas import Persona

AccessPolicy = Literal["AmazonEKSClusterAdminPolicy", "AmazonEKSViewPolicy"]

GROUP_PREFIX = "platform:"
"""Before the name of a persona, its group in Kubernetes: what a RoleBinding names as its subject."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a persona reaches: which of AWS's access policies, and over what."""

    policy: AccessPolicy
    scope: Literal["namespaces", "cluster"]


REACHES: Mapping[Persona, Reach] = {
    "data-scientist": Reach(policy="AmazonEKSViewPolicy", scope="namespaces"),
    "ml-engineer": Reach(policy="AmazonEKSViewPolicy", scope="namespaces"),
    "auditor": Reach(policy="AmazonEKSViewPolicy", scope="cluster"),
    "operator": Reach(policy="AmazonEKSViewPolicy", scope="cluster"),
    # The only person who may do anything, for an hour at a time, with a second factor.
    "break-glass": Reach(policy="AmazonEKSClusterAdminPolicy", scope="cluster"),
}
"""Amazon EKS User Guide, "Review access policy permissions"."""


class ClusterAccess(pulumi.ComponentResource):
    """The access entries of a cluster.

    Attributes:
        ready: What must be there before anything is deployed into the cluster.
    """

    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        partition: str,
        deployer_role_arn: pulumi.Input[str],
        role_arns: Mapping[Persona, pulumi.Input[str]],
        namespaces: Mapping[Persona, Sequence[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the entries.

        Args:
            name: Logical name.
            cluster_name: The cluster.
            partition: ARN partition of AWS's access policies.
            deployer_role_arn: Who deploys into the cluster, namespaces and roles included: its administrator.
            role_arns: The role of each persona.
            namespaces: Where the personas that are limited to namespaces may look.
            opts: Options of the component.

        Raises:
            ValueError: a persona that is limited to namespaces has none.
        """
        super().__init__("secureml:cluster_access:ClusterAccess", name, None, opts)
        self._name = name
        self._cluster_name = cluster_name
        self._partition = partition
        self._under = pulumi.ResourceOptions(parent=self)
        self.ready = [self._entry("deployer", deployer_role_arn, "AmazonEKSClusterAdminPolicy", [], [])]
        for persona, role_arn in role_arns.items():
            reach = REACHES[persona]
            within = list(namespaces.get(persona, ())) if reach.scope == "namespaces" else []
            if reach.scope == "namespaces" and not within:
                raise ValueError(f"namespaces names none for {persona}, which would reach the whole cluster")
            groups = [f"{GROUP_PREFIX}{persona}"]
            self.ready.append(self._entry(persona, role_arn, reach.policy, within, groups))
        self.register_outputs({})

    def _entry(
        self,
        label: str,
        principal_arn: pulumi.Input[str],
        policy: AccessPolicy,
        namespaces: Sequence[str],
        groups: Sequence[str],
    ) -> pulumi.Resource:
        entry = aws.eks.AccessEntry(
            f"{self._name}-{label}",
            cluster_name=self._cluster_name,
            principal_arn=principal_arn,
            kubernetes_groups=list(groups),
            type="STANDARD",
            opts=self._under,
        )
        scope: aws.eks.AccessPolicyAssociationAccessScopeArgsDict = {"type": "cluster"}
        if namespaces:
            scope = {"type": "namespace", "namespaces": list(namespaces)}
        return aws.eks.AccessPolicyAssociation(
            f"{self._name}-{label}",
            cluster_name=self._cluster_name,
            principal_arn=entry.principal_arn,
            policy_arn=f"arn:{self._partition}:eks::aws:cluster-access-policy/{policy}",
            access_scope=scope,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
        )
