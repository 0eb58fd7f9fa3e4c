"""The inference gateway: serves models that two keys vouch for, within budgets, and logs every query."""

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
from components.pods import API_SERVER, Container, Image, Size
from components.rights import Secrets, through, verifies, writes_log
from components.target_registration import TargetRegistration
from components.token_issuer import Issuer
from components.workload import Probe, Rights, ServiceWorkload


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """The load balancer in front."""

    target_group_arn: pulumi.Input[str]
    """Of target type ``ip``."""
    security_group_id: pulumi.Input[str]
    cidrs: Sequence[str]
    """Where it stands: the public subnets."""


@dataclass(frozen=True, kw_only=True)
class Vouchers:
    """The keys that have to vouch for a model; what they sign with them is not the gateway's to make."""

    trainer_key_arn: pulumi.Input[str]
    """Of whoever made the model."""
    verdict_key_arn: pulumi.Input[str]
    """Of whoever attacked it."""


@dataclass(frozen=True, kw_only=True)
class QueryLog:
    """Where every query is written down, for how long, and who is told when somebody copies a model."""

    name: str
    key_arn: pulumi.Input[str]
    retention_days: int
    """A period that CloudWatch Logs knows."""
    alarm_topic_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where AWS's services answer in the VPC."""

    usual: Addresses
    s3_url: pulumi.Input[str]
    dynamodb_url: pulumi.Input[str]


AUDIENCE = "gateway"
"""Whom clients' tokens are for."""

SUSPICION = '{ $.event = "extraction-suspected" }'
"""What the query log says of a client whose queries look like a copy being made."""


class Gateway(pulumi.ComponentResource):
    """The gateway, its query log, and what each client may still ask today.

    Attributes:
        log_group_name: The query log.
        log_group_arn: The same.
    """

    log_group_name: pulumi.Output[str]
    log_group_arn: pulumi.Output[str]

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
        vouchers: Vouchers,
        secrets: Secrets,
        issuer: Issuer,
        endpoints: Endpoints,
        entrance: Entrance,
        registration: TargetRegistration,
        node_security_group_id: pulumi.Input[str],
        log: QueryLog,
        budget_key_arn: pulumi.Input[str],
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
            vouchers: Whose signatures a model needs.
            secrets: Its own: ``tls`` is a certificate and its key, ``queries`` the key that seals the query log.
            issuer: Whose tokens clients show.
            endpoints: Where AWS's services answer.
            entrance: The load balancer.
            registration: What registers the pods behind it.
            node_security_group_id: Group of the machines that its pods run on.
            log: Where queries are written down.
            budget_key_arn: Key of what remains of budgets.
            region: The region.
            permissions_boundary_arn: Boundary of its role.
            opts: Options of the component, with the providers of AWS and of the cluster.
        """
        super().__init__("secureml:serving:Gateway", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        queries = _query_log(name, log, under)
        table = _budgets(name, budget_key_arn, under)
        workload = ServiceWorkload(
            name,
            namespace=namespace,
            container=Container(
                image=image,
                size=size,
                port=port,
                environment={
                    "AWS_REGION": region,
                    "AWS_ENDPOINT_URL_DYNAMODB": endpoints.dynamodb_url,
                    "AWS_ENDPOINT_URL_S3": endpoints.s3_url,
                    "BUDGET_TABLE": table.name,
                    **issuer.environment(AUDIENCE),
                    "MODEL_BUCKET": models.bucket,
                    "MODEL_PREFIX": RELEASED,
                    "PORT": str(port),
                    "QUERY_LOG_GROUP": queries.name,
                    "QUERY_SECRET_ID": secrets.name("queries"),
                    "TLS_SECRET_ID": secrets.name("tls"),
                    "TRAINER_KEY_ARN": vouchers.trainer_key_arn,
                    # The load balancer vouches for the addresses of clients, and nobody else does.
                    "TRUSTED_PROXIES": ",".join(entrance.cidrs),
                    "VERDICT_KEY_ARN": vouchers.verdict_key_arn,
                },
                audiences=(API_SERVER,),
            ),
            replicas=replicas,
            reached_by=[Addresses(cidr=cidr, port=port) for cidr in entrance.cidrs],
            reaches=[endpoints.usual, issuer.api_server],
            probe=Probe(),
            rights=Rights(
                cluster_name=cluster_name,
                about="Serves released models; cannot make, judge or release one",
                permissions_boundary_arn=permissions_boundary_arn,
                statements=[
                    *models.under(RELEASED).readable(region),
                    verifies(vouchers.trainer_key_arn, vouchers.verdict_key_arn),
                    *secrets.readable(),
                    writes_log(queries.arn),
                    Statement(sid="SpendBudgets", actions=["dynamodb:UpdateItem"], resources=[table.arn]),
                    through("dynamodb", budget_key_arn, region),
                ],
            ),
            needs=needs,
            opts=under,
        )
        self._bind(workload, entrance, registration, node_security_group_id)
        self.log_group_name, self.log_group_arn = queries.name, queries.arn
        self.register_outputs({"log_group_name": self.log_group_name, "log_group_arn": self.log_group_arn})

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


def _query_log(name: str, log: QueryLog, under: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    group = aws.cloudwatch.LogGroup(
        f"{name}-queries",
        name=log.name,
        kms_key_id=log.key_arn,
        retention_in_days=log.retention_days,
        opts=under,
    )
    metric = f"{name}-extraction-suspected"
    aws.cloudwatch.LogMetricFilter(
        metric,
        name=metric,
        log_group_name=group.name,
        pattern=SUSPICION,
        metric_transformation={"name": metric, "namespace": log.name, "value": "1"},
        opts=under,
    )
    aws.cloudwatch.MetricAlarm(
        metric,
        alarm_description="A client's queries look like a model being copied: who it is, the query log says",
        namespace=log.name,
        metric_name=metric,
        statistic="Sum",
        period=300,
        evaluation_periods=1,
        threshold=1,
        comparison_operator="GreaterThanOrEqualToThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[log.alarm_topic_arn],
        opts=under,
    )
    return group


def _budgets(name: str, key_arn: pulumi.Input[str], under: pulumi.ResourceOptions) -> aws.dynamodb.Table:
    """Make the table of what was asked today. It is gone tomorrow anyway: it goes down with the stack."""
    return aws.dynamodb.Table(
        f"{name}-budgets",
        billing_mode="PAY_PER_REQUEST",
        hash_key="account",
        attributes=[{"name": "account", "type": "S"}],
        ttl={"enabled": True, "attribute_name": "forget_at"},
        server_side_encryption={"enabled": True, "kms_key_arn": key_arn},
        point_in_time_recovery={"enabled": True},
        deletion_protection_enabled=False,
        opts=under,
    )
