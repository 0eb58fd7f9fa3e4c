"""S3 and DynamoDB at addresses of the VPC, for pods: a network policy can name these, and not their public ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.documents import Statement, policy_document

Service = Literal["s3", "dynamodb"]

_HOST: dict[Service, str] = {"s3": "bucket", "dynamodb": ""}
"""What stands before the endpoint's own name (AWS PrivateLink for Amazon S3, "Accessing buckets and S3 access points
from S3 interface endpoints"; Amazon DynamoDB Developer Guide, "AWS PrivateLink for DynamoDB")."""


class PodEndpoint(pulumi.ComponentResource):
    """An interface endpoint under a name of its own; machines keep to the gateway endpoint, which is free.

    Attributes:
        url: What programs set ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL_DYNAMODB`` to.
    """

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        service: Service,
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
            service: Of which service.
            vpc_id: The VPC.
            subnet_ids: Where it stands, one subnet a zone.
            endpoint_security_group_id: Group of the VPC's interface endpoints.
            account_id: Whose principals may call, and on whose resources.
            region: The region.
            opts: Options of the component.
        """
        renamed = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="secureml:s3_endpoint:S3Endpoint")])
        super().__init__(
            "secureml:pod_endpoint:PodEndpoint", name, None, pulumi.ResourceOptions.merge(opts, renamed)
        )
        ours = Statement(
            sid="OwnPrincipalsOnOwnResources",
            actions=[f"{service}:*"],
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
            service_name=f"com.amazonaws.{region}.{service}",
            subnet_ids=subnet_ids,
            security_group_ids=[endpoint_security_group_id],
            # With the private name every machine's images would come this way too, and be paid for by the byte.
            private_dns_enabled=False,
            policy=policy_document(ours),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url = endpoint.dns_entries[0].dns_name.apply(
            lambda wildcard: f"https://{wildcard.replace('*', _HOST[service]).removeprefix('.')}"
        )
        self.register_outputs({"url": self.url})
