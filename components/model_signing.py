"""A key that vouches for models: the pods of one service account sign with it, everybody verifies, nobody else signs."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document
from components.keys import administration


class ModelSigningKey(pulumi.ComponentResource):
    """An asymmetric key, bound to the pods of one service account.

    Attributes:
        arn: The key.
    """

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        namespace: str,
        service_account: str,
        others: Sequence[tuple[str, str]] = (),
        about: str,
        administrator_arns: Sequence[pulumi.Input[str]],
        deletion_window_days: int,
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the key.

        Args:
            name: Logical name; its alias is ``alias/<name>``.
            cluster_name: The cluster of the signer.
            namespace: Its namespace.
            service_account: Its service account.
            others: More signers of the same meaning, each a namespace and a service account.
            about: What its signature means.
            administrator_arns: Who administers the key, and cannot sign.
            deletion_window_days: 7 to 30.
            account_id: The account.
            region: The region.
            opts: Options of the component.

        Raises:
            ValueError: there is no administrator.
        """
        super().__init__("secureml:model_signing:ModelSigningKey", name, None, opts)
        if not administrator_arns:
            raise ValueError(
                "administrator_arns is empty; name at least one role that may administer the key"
            )
        root = f"arn:{partition_of(region)}:iam::{account_id}:root"
        statements = [
            *administration(administrator_arns, root, never="Sign"),
            Statement(
                sid="AccountMayDelegateVerification",
                actions=["kms:DescribeKey", "kms:GetPublicKey", "kms:Verify"],
                principals={"AWS": [root]},
                resources=["*"],
            ),
            *(
                _signer(account_id, cluster_name, *pods, sid=f"OnlyThesePodsSign{index or ''}")
                for index, pods in enumerate([(namespace, service_account), *others])
            ),
        ]
        key = aws.kms.Key(
            f"{name}-key",
            description=about,
            key_usage="SIGN_VERIFY",
            customer_master_key_spec="ECC_NIST_P256",
            deletion_window_in_days=deletion_window_days,
            policy=policy_document(*statements),
            tags={"data-domain": "signing"},
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        aws.kms.Alias(
            f"{name}-key",
            name=f"alias/{name}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def _signer(
    account_id: str,
    cluster_name: pulumi.Input[str],
    namespace: str,
    service_account: str,
    *,
    sid: str,
) -> Statement:
    """Return who signs. It is not delegated to IAM: no role, whatever its policy says, signs but in these pods.

    EKS puts the tags on each session (Amazon EKS User Guide, "Grant Pods access to AWS resources based on tags").
    """
    return Statement(
        sid=sid,
        actions=["kms:Sign"],
        principals="*",
        resources=["*"],
        conditions={
            "StringEquals": {
                "kms:CallerAccount": account_id,
                "aws:PrincipalTag/eks-cluster-name": cluster_name,
                "aws:PrincipalTag/kubernetes-namespace": namespace,
                "aws:PrincipalTag/kubernetes-service-account": service_account,
            }
        },
    )
