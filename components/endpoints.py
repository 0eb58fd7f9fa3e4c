"""AWS's services inside the VPC: endpoints that only this account's principals can use, on its own resources.

An endpoint policy is the wall against data leaving by way of AWS itself: credentials of somebody else's account,
or somebody else's bucket, get no answer here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document

INTERFACE_SERVICES: Mapping[str, str] = {
    "autoscaling": "autoscaling",
    "ec2": "ec2",
    "ecr.api": "ecr",
    "ecr.dkr": "ecr",
    "eks": "eks",
    "eks-auth": "eks-auth",
    "elasticloadbalancing": "elasticloadbalancing",
    "guardduty-data": "guardduty",
    "kms": "kms",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "sts": "sts",
}
"""Endpoint service to the prefix of its IAM actions: what nodes without a way out need (Amazon EKS User Guide,
"Deploy private clusters with limited internet access"), and what the platform's own services call."""

GATEWAY_SERVICES: Mapping[str, str] = {"s3": "s3", "dynamodb": "dynamodb"}

_EKS_REGISTRIES: Mapping[str, str] = {
    "af-south-1": "877085696533",
    "ap-east-1": "800184023465",
    "ap-southeast-3": "296578399912",
    "eu-south-1": "590381155156",
    "me-south-1": "558608220178",
    "us-gov-east-1": "151742754352",
    "us-gov-west-1": "013241004608",
}
_EKS_REGISTRY = "602401143452"
"""Accounts that AWS keeps the images of EKS add-ons in (Amazon EKS User Guide, "View Amazon container image
registries for Amazon EKS add-ons"): those of the regions that differ, and that of all others."""

_AMAZON_BUCKETS = (
    "prod-{region}-starport-layer-bucket",
    "al2023-repos-{region}-de612dc2",
    "amazoncloudwatch-agent-{region}",
    "amazon-ssm-{region}",
    "amazon-ssm-packages-{region}",
    "aws-ssm-{region}",
    "aws-ssm-document-attachments-{region}",
    "patch-baseline-snapshot-{region}",
    "{region}-birdwatcher-prod",
)
"""Image layers of ECR, packages of Amazon Linux 2023, the agents of CloudWatch and Systems Manager
(aws-samples/data-perimeter-policy-examples, "Service-owned resources")."""


class Endpoints(pulumi.ComponentResource):
    """Gateway endpoints in the route tables, interface endpoints in the subnets, one security group.

    Attributes:
        security_group_id: Group of the interface endpoints; admits 443 from ``client_cidrs``.
        s3_prefix_list_id: Addresses of S3 in the region, for egress rules.
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
        organization_id: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the endpoints.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            subnet_ids: Where the interface endpoints stand, one subnet a zone.
            client_cidrs: Ranges that may call them.
            route_table_ids: Tables that get the routes to S3 and DynamoDB.
            account_id: Whose principals may call, and on whose resources.
            region: The region of the VPC.
            organization_id: When given, this account's principals may reach resources of the whole
                organisation: a central registry, say.
            opts: Options of the component.
        """
        super().__init__("secureml:endpoints:Endpoints", name, None, opts)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._perimeter = _Perimeter(account_id, region, organization_id)

        self.security_group_id = self._security_group(vpc_id, client_cidrs).id
        for service in INTERFACE_SERVICES:
            self._interface(service, vpc_id, subnet_ids)
        gateways = {service: self._gateway(service, vpc_id, route_table_ids) for service in GATEWAY_SERVICES}
        self.s3_prefix_list_id = gateways["s3"].prefix_list_id
        self.register_outputs(
            {"security_group_id": self.security_group_id, "s3_prefix_list_id": self.s3_prefix_list_id}
        )

    def _security_group(
        self, vpc_id: pulumi.Input[str], client_cidrs: Sequence[str]
    ) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            description="Interface endpoints of AWS services",
            vpc_id=vpc_id,
            tags={"Name": self._name},
            opts=self._under,
        )
        for cidr_block in client_cidrs:
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-{cidr_block.replace('/', '-')}",
                security_group_id=group.id,
                description="Calls to AWS services from a subnet of the VPC",
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                cidr_ipv4=cidr_block,
                opts=self._under,
            )
        return group

    def _interface(
        self, service: str, vpc_id: pulumi.Input[str], subnet_ids: Sequence[pulumi.Input[str]]
    ) -> None:
        aws.ec2.VpcEndpoint(
            f"{self._name}-{service}",
            vpc_id=vpc_id,
            vpc_endpoint_type="Interface",
            service_name=self._perimeter.service_name(service),
            subnet_ids=subnet_ids,
            security_group_ids=[self.security_group_id],
            private_dns_enabled=True,
            policy=policy_document(*self._perimeter.statements(INTERFACE_SERVICES[service])),
            tags={"Name": f"{self._name}-{service}"},
            opts=self._under,
        )

    def _gateway(
        self, service: str, vpc_id: pulumi.Input[str], route_table_ids: Sequence[pulumi.Input[str]]
    ) -> aws.ec2.VpcEndpoint:
        return aws.ec2.VpcEndpoint(
            f"{self._name}-{service}",
            vpc_id=vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=self._perimeter.service_name(service),
            route_table_ids=route_table_ids,
            policy=policy_document(*self._perimeter.statements(GATEWAY_SERVICES[service])),
            tags={"Name": f"{self._name}-{service}"},
            opts=self._under,
        )


class _Perimeter:
    """What endpoint policies admit: ours to ours, and the few things of Amazon's that ours must read."""

    def __init__(self, account_id: str, region: str, organization_id: str | None) -> None:
        self._account_id = account_id
        self._region = region
        self._partition = partition_of(region)
        self._resource_owner = (
            {"aws:ResourceOrgID": organization_id} if organization_id else {"aws:ResourceAccount": account_id}
        )

    def service_name(self, service: str) -> str:
        """Return the name under which the region offers an endpoint service."""
        return f"com.amazonaws.{self._region}.{service}"

    def statements(self, prefix: str) -> list[Statement]:
        """Return the endpoint policy of the service whose actions begin with ``prefix``."""
        exceptions = {
            "ecr": self._images_of_eks,
            "guardduty": self._telemetry,
            "s3": self._buckets_of_amazon,
            "ssm": self._public_parameters,
            "sts": self._web_identities,
        }
        ours = Statement(
            sid="OwnPrincipalsOnOwnResources",
            actions=[f"{prefix}:*"],
            resources=["*"],
            principals="*",
            conditions={"StringEquals": {"aws:PrincipalAccount": self._account_id, **self._resource_owner}},
        )
        return [ours, exceptions[prefix]()] if prefix in exceptions else [ours]

    def _telemetry(self) -> Statement:
        # What agents send belongs to no resource (Amazon GuardDuty User Guide, "Creating an Amazon VPC endpoint
        # manually": the policy asks for the principal's account alone).
        return Statement(
            sid="OwnAgentsReport",
            actions=["guardduty:SendSecurityTelemetry"],
            resources=["*"],
            principals="*",
            conditions={"StringEquals": {"aws:PrincipalAccount": self._account_id}},
        )

    def _images_of_eks(self) -> Statement:
        registry = _EKS_REGISTRIES.get(self._region, _EKS_REGISTRY)
        return Statement(
            sid="PullImagesOfEks",
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=[f"arn:{self._partition}:ecr:{self._region}:{registry}:repository/*"],
            principals="*",
            conditions={"StringEquals": {"aws:PrincipalAccount": self._account_id}},
        )

    def _buckets_of_amazon(self) -> Statement:
        # Unsigned, or signed by ECR itself: a condition on the caller would refuse them. They are read only.
        return Statement(
            sid="ReadPackagesAndLayersOfAmazon",
            actions=["s3:GetObject"],
            resources=[
                f"arn:{self._partition}:s3:::{bucket.format(region=self._region)}/*"
                for bucket in _AMAZON_BUCKETS
            ],
            principals="*",
        )

    def _public_parameters(self) -> Statement:
        return Statement(
            sid="ReadPublicParametersOfAmazon",
            actions=["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            resources=[f"arn:{self._partition}:ssm:{self._region}::parameter/aws/service/*"],
            principals="*",
            conditions={"StringEquals": {"aws:PrincipalAccount": self._account_id}},
        )

    def _web_identities(self) -> Statement:
        # A pod that trades its token for a role is nobody's principal yet; the role must be ours.
        return Statement(
            sid="PodsTakeOwnRoles",
            actions=["sts:AssumeRoleWithWebIdentity"],
            resources=[f"arn:{self._partition}:iam::{self._account_id}:role/*"],
            principals="*",
            conditions={"StringEquals": {"aws:ResourceAccount": self._account_id}},
        )
