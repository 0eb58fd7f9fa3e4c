"""The inference gateway: serves released models after it verified their signature, and logs every query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes.apiextensions import CustomResource

from components.documents import Statement
from components.fields import metadata
from components.ml_jobs import RELEASED, Models
from components.pod_network import Addresses
from components.pods import Container, Image, Size
from components.rights import Secrets, writes_log
from components.target_registration import TargetRegistration
from components.workload import Probe, Rights, ServiceWorkload


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """The load balancer in front."""

    target_group_arn: pulumi.Input[str]
    """Of target type ``ip``."""
    security_group_id: pulumi.Input[str]
    cidrs: Sequence[str]
    """Where it stands: the public subnets."""


class Gateway(pulumi.ComponentResource):
    """The gateway and its query log.

    Attributes:
        log_group_name: The query log.
    """

    log_group_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        namespace: str,
        needs: Sequence[pulumi.Resource],
        image: Image,
        size: Size,
        replicas: int,
        port: int,
        models: Models,
        verification_key_arn: pulumi.Input[str],
        secrets: Secrets,
        aws_endpoints: Addresses,
        s3_url: pulumi.Input[str],
        entrance: Entrance,
        registration: TargetRegistration,
        node_security_group_id: pulumi.Input[str],
        log_group_name: str,
        logs_key_arn: pulumi.Input[str],
        log_retention_days: int,
        region: str,
        permissions_boundary_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the gateway.

        Args:
            name: Name of the app.
            cluster_name: The cluster.
            namespace: A closed namespace of its own.
            needs: What must be there before its pods.
            image: What runs.
            size: Of each replica.
            replicas: Two or more.
            port: Where it listens, with TLS.
            models: Where released models are read.
            verification_key_arn: Key that released models are signed with.
            secrets: Its own: ``tls`` is a certificate and its key.
            aws_endpoints: Where AWS's services answer in the VPC.
            s3_url: Where S3 does.
            entrance: The load balancer.
            registration: What registers the pods behind it.
            node_security_group_id: Group of the machines that its pods run on.
            log_group_name: Name of the query log.
            logs_key_arn: Key of the query log.
            log_retention_days: How long it stays; a period that CloudWatch Logs knows.
            region: The region.
            permissions_boundary_arn: Boundary of its role.
            opts: Options of the component, with the providers of AWS and of the cluster.
        """
        super().__init__("secureml:serving:Gateway", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        log = aws.cloudwatch.LogGroup(
            f"{name}-queries",
            name=log_group_name,
            kms_key_id=logs_key_arn,
            retention_in_days=log_retention_days,
            opts=under,
        )
        verify = Statement(
            sid="VerifyModels",
            actions=["kms:DescribeKey", "kms:GetPublicKey", "kms:Verify"],
            resources=[verification_key_arn],
        )
        workload = ServiceWorkload(
            name,
            namespace=namespace,
            container=Container(
                image=image,
                size=size,
                port=port,
                environment={
                    "AWS_REGION": region,
                    "AWS_ENDPOINT_URL_S3": s3_url,
                    "MODEL_BUCKET": models.bucket,
                    "MODEL_PREFIX": RELEASED,
                    "VERIFICATION_KEY_ARN": verification_key_arn,
                    "QUERY_LOG_GROUP": log.name,
                    "TLS_SECRET_ID": secrets.name("tls"),
                },
            ),
            replicas=replicas,
            reached_by=[Addresses(cidr=cidr, port=port) for cidr in entrance.cidrs],
            reaches=[aws_endpoints],
            probe=Probe(),
            rights=Rights(
                cluster_name=cluster_name,
                about="Serves released models; cannot sign one",
                permissions_boundary_arn=permissions_boundary_arn,
                statements=[
                    *models.under(RELEASED).readable(region),
                    verify,
                    *secrets.readable(),
                    writes_log(log.arn),
                ],
            ),
            needs=needs,
            opts=under,
        )
        self._bind(workload, entrance, registration, node_security_group_id)
        self.log_group_name = log.name
        self.register_outputs({"log_group_name": self.log_group_name})

    def _bind(
        self,
        workload: ServiceWorkload,
        entrance: Entrance,
        registration: TargetRegistration,
        node_security_group_id: pulumi.Input[str],
    ) -> None:
        aws.vpc.SecurityGroupIngressRule(
            f"{workload.name}-from-entrance",
            security_group_id=node_security_group_id,
            referenced_security_group_id=entrance.security_group_id,
            description="Requests of clients, by the load balancer",
            ip_protocol="tcp",
            from_port=workload.port,
            to_port=workload.port,
            opts=pulumi.ResourceOptions(parent=self),
        )
        CustomResource(
            f"{workload.name}-entrance",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata=metadata(workload.name, namespace=workload.namespace),
            spec={
                "targetGroupARN": entrance.target_group_arn,
                "targetType": "ip",
                "serviceRef": {"name": workload.name, "port": 443},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[workload, *registration.ready]),
        )
