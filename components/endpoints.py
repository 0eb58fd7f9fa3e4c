"""Doors to AWS inside the VPC, so that what is isolated still reaches the services that it needs.

Each door serves this account's own principals only; the one to S3 leads to this account's own buckets, and to
reading the few of Amazon's that nodes start from. Data cannot leave through them into somebody else's account.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document

INTERFACES = (
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "kms",
    "logs",
    "monitoring",
    "secretsmanager",
    "ssm",
    "sts",
)
"""What a node without internet needs (EKS User Guide, "Deploy private clusters with limited internet access")."""

GATEWAYS = ("s3", "dynamodb")


class Endpoints(pulumi.ComponentResource):
    """Gateway and interface endpoints of a VPC.

    Attributes:
        security_group_id: Group of the interface endpoints, open on 443 to the client ranges.
        s3_prefix_list_id: Addresses of S3 in the region.
    """

    security_group_id: pulumi.Output[str]
    s3_prefix_list_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        client_cidrs: Sequence[str],
        route_table_ids: Sequence[pulumi.Input[str]],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the endpoints.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            subnet_ids: Where the interface endpoints stand, one subnet a zone.
            client_cidrs: Ranges that may use them: the private and the isolated subnets.
            route_table_ids: Tables that lead to the gateway endpoints.
            account_id: The account that is served.
            region: The region.
        """
        super().__init__("secureml:network:Endpoints", name, None, opts)
        self._name = name
        self._vpc_id = vpc_id
        self._region = region
        self._under = pulumi.ResourceOptions(parent=self)

        group = self._group(client_cidrs)
        for service in INTERFACES:
            self._interface(service, subnet_ids, group, account_id)
        s3 = self._gateway("s3", route_table_ids, _s3_statements(account_id, region))
        self._gateway("dynamodb", route_table_ids, [_own_account(account_id, "dynamodb:*")])

        self.security_group_id = group.id
        self.s3_prefix_list_id = s3.prefix_list_id
        self.register_outputs(
            {"security_group_id": self.security_group_id, "s3_prefix_list_id": self.s3_prefix_list_id}
        )

    def _group(self, client_cidrs: Sequence[str]) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            description="Interface endpoints: TLS from the private and isolated tiers",
            vpc_id=self._vpc_id,
            opts=self._under,
        )
        for index, cidr_block in enumerate(client_cidrs):
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-{index}",
                security_group_id=group.id,
                cidr_ipv4=cidr_block,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                description="TLS from a subnet of the private or isolated tier",
                opts=self._under,
            )
        return group

    def _interface(
        self,
        service: str,
        subnet_ids: Sequence[pulumi.Input[str]],
        group: aws.ec2.SecurityGroup,
        account_id: str,
    ) -> None:
        label = f"{self._name}-{service.replace('.', '-')}"
        aws.ec2.VpcEndpoint(
            label,
            vpc_id=self._vpc_id,
            vpc_endpoint_type="Interface",
            service_name=f"com.amazonaws.{self._region}.{service}",
            subnet_ids=list(subnet_ids),
            security_group_ids=[group.id],
            private_dns_enabled=True,
            policy=policy_document(_own_account(account_id, "*")),
            tags={"Name": label},
            opts=self._under,
        )

    def _gateway(
        self, service: str, route_table_ids: Sequence[pulumi.Input[str]], statements: Sequence[Statement]
    ) -> aws.ec2.VpcEndpoint:
        label = f"{self._name}-{service}"
        return aws.ec2.VpcEndpoint(
            label,
            vpc_id=self._vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{self._region}.{service}",
            route_table_ids=list(route_table_ids),
            policy=policy_document(*statements),
            tags={"Name": label},
            opts=self._under,
        )


def _own_account(account_id: str, action: str) -> Statement:
    """Admit what this account's principals ask of this account: an endpoint policy grants nothing by itself."""
    return Statement(
        sid="OwnPrincipalsOwnResources",
        actions=[action],
        principals="*",
        resources=["*"],
        conditions={
            "StringEquals": {"aws:PrincipalAccount": account_id},
            # Some calls name no resource of anybody's (sts:GetCallerIdentity); those may pass.
            "StringEqualsIfExists": {"aws:ResourceAccount": account_id},
        },
    )


def _s3_statements(account_id: str, region: str) -> list[Statement]:
    partition = partition_of(region)
    amazons = [
        f"arn:{partition}:s3:::prod-{region}-starport-layer-bucket/*",
        f"arn:{partition}:s3:::al2023-repos-{region}-de612dc2/*",
    ]
    return [
        Statement(
            sid="OwnPrincipalsOwnBuckets",
            actions=["s3:*"],
            principals="*",
            resources=["*"],
            conditions={
                "StringEquals": {"aws:PrincipalAccount": account_id, "aws:ResourceAccount": account_id}
            },
        ),
        # ECR keeps image layers, and Amazon Linux its packages, in buckets of Amazon's (ECR and AL2023 User
        # Guides). Reading them by presigned or anonymous requests carries no principal of ours.
        Statement(
            sid="ReadAmazonsImagesAndPackages", actions=["s3:GetObject"], principals="*", resources=amazons
        ),
    ]
