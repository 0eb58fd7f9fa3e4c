"""Pods as themselves: one role for one service account, handed out by EKS, with no key and no token to steal."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, policy_document


class PodIdentity(pulumi.ComponentResource):
    """The role of the pods that run under one service account in one namespace.

    Attributes:
        role_arn: The role.
    """

    role_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        namespace: str,
        service_account: str,
        about: str,
        permissions_boundary_arn: pulumi.Input[str],
        statements: Sequence[Statement],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the role and give it to the service account.

        Args:
            name: Logical name.
            cluster_name: The cluster.
            namespace: Kubernetes namespace of the pods.
            service_account: Their service account; it needs no annotation.
            about: What the pods do, for whoever reads the role.
            permissions_boundary_arn: Boundary of the role.
            statements: What the pods may do; at least one.
            opts: Options of the component.

        Raises:
            ValueError: there are no statements.
        """
        super().__init__("secureml:pod_identity:PodIdentity", name, None, opts)
        if not statements:
            raise ValueError("statements is empty; pods that call nothing of AWS need no role")
        under = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            description=about,
            assume_role_policy=policy_document(pod_trust(cluster_name, namespace, service_account)),
            permissions_boundary=permissions_boundary_arn,
            opts=under,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-role", role=role.id, policy=policy_document(*statements), opts=under
        )
        aws.eks.PodIdentityAssociation(
            f"{name}-pods",
            cluster_name=cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})


def pod_trust(cluster_name: pulumi.Input[str], namespace: str, service_account: str) -> Statement:
    """Return the trust of a role in one service account of one cluster.

    EKS tags each session with where the pod is (Amazon EKS User Guide, "Grant Pods access to AWS resources based
    on tags"), so the role is of no use to any other pod, whatever else it is associated with.
    """
    return Statement(
        sid="PodsOfOneServiceAccount",
        actions=["sts:AssumeRole", "sts:TagSession"],
        principals={"Service": ["pods.eks.amazonaws.com"]},
        conditions={
            "StringEquals": {
                "aws:RequestTag/eks-cluster-name": cluster_name,
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": service_account,
            }
        },
    )
