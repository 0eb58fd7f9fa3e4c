"""S3 at addresses of the VPC, for pods: a network policy can name these, and cannot name S3's public ones."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, policy_document


class S3Endpoint(pulumi.ComponentResource):
    """An interface endpoint of S3 under a name of its own; machines keep to the gateway endpoint, which is free.

    Attributes:
        url: What programs set ``AWS_ENDPOINT_URL_S3`` to.
    """

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        endpoint_security_group_id: pulumi.Input[str],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the endpoint.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            subnet_ids: Where it stands, one subnet a zone.
            endpoint_security_group_id: Group of the VPC's interface endpoints.
            account_id: Whose principals may call, and on whose buckets.
            region: The region.
            opts: Options of the component.
        """
        super().__init__("secureml:s3_endpoint:S3Endpoint", name, None, opts)
        ours = Statement(
            sid="OwnPrincipalsOnOwnBuckets",
            actions=["s3:*"],
            resources=["*"],
            principals="*",
            conditions={
                "StringEquals": {"aws:PrincipalAccount": account_id, "aws:ResourceAccount": account_id}
            },
        )
        endpoint = aws.ec2.VpcEndpoint(
            f"{name}-endpoint",
            vpc_id=vpc_id,
            vpc_endpoint_type="Interface",
            service_name=f"com.amazonaws.{region}.s3",
            subnet_ids=subnet_ids,
            security_group_ids=[endpoint_security_group_id],
            # With the private name every machine's images would come this way too, and be paid for by the byte.
            private_dns_enabled=False,
            policy=policy_document(ours),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
        # AWS PrivateLink for Amazon S3, "Accessing buckets and S3 access points from S3 interface endpoints".
        self.url = endpoint.dns_entries[0].dns_name.apply(
            lambda wildcard: f"https://{wildcard.replace('*', 'bucket')}"
        )
        self.register_outputs({"url": self.url})
