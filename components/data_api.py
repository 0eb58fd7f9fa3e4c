"""The data-access API: the one security group that a database admits, and the service that wears it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes.apiextensions import CustomResource

from components.documents import Statement, partition_of
from components.fields import metadata
from components.nodes import between_groups
from components.pod_network import Addresses, Peer
from components.pods import API_SERVER, Container, Image, Size
from components.rights import Secrets, writes_log
from components.token_issuer import Issuer
from components.workload import Probe, Rights, ServiceWorkload


class DataApiBoundary(pulumi.ComponentResource):
    """Security group of the data-access API's pods: out to AWS's endpoints only, and nothing comes in.

    ``Database`` adds the one rule from here to itself; the service adds its own callers.

    Attributes:
        security_group_id: The group.
    """

    security_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        endpoint_security_group_id: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the group.

        Args:
            name: Logical name.
            vpc_id: The VPC of the pods and the database.
            endpoint_security_group_id: Group of the VPC's interface endpoints.
            opts: Options of the component.
        """
        super().__init__("secureml:data_api:DataApiBoundary", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Pods of the data-access API: the only clients of the database",
            vpc_id=vpc_id,
            tags={"Name": name},
            opts=under,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-endpoints",
            security_group_id=group.id,
            description="AWS services over the endpoints of the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            referenced_security_group_id=endpoint_security_group_id,
            opts=under,
        )
        self.security_group_id = group.id
        self.register_outputs({"security_group_id": self.security_group_id})


DATABASE_CA_FILE = "/app/rds-ca.pem"
"""Where the image has the authorities of RDS, which no machine trusts by itself."""

DATABASE_USER = "data_api"
"""The database's own user of the service: it signs in with tokens of IAM and has no password."""


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """How the service reaches the database, without a password."""

    address: pulumi.Input[str]
    resource_id: pulumi.Input[str]
    """What IAM names it by."""
    network: Sequence[Addresses]


AUDIENCE = "data-api"
"""Whom callers' tokens are for: a token for anybody else is refused."""


@dataclass(frozen=True, kw_only=True)
class AuditLog:
    """Where every read is written down before it happens, and who is told of refusals."""

    name: str
    key_arn: pulumi.Input[str]
    retention_days: int
    alarm_topic_arn: pulumi.Input[str]
    most_refusals_per_5min: int


class DataApiService(pulumi.ComponentResource):
    """The pods of the data-access API, in the boundary's security group: nothing else reaches the database.

    It writes one JSON object a line to its audit log, with ``decision``: ``allow`` or ``deny``.

    Attributes:
        log_group_name: Its audit log.
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
        reached_by: Sequence[Peer],
        database: DatabaseAccess,
        security_group_id: pulumi.Input[str],
        node_security_group_id: pulumi.Input[str],
        secrets: Secrets,
        audit: AuditLog,
        issuer: Issuer,
        aws_endpoints: Addresses,
        account_id: str,
        region: str,
        permissions_boundary_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the service.

        Args:
            name: Name of the app.
            cluster_name: The cluster.
            namespace: A closed namespace of its own.
            needs: What must be there before its pods.
            image: What runs.
            size: Of each replica.
            replicas: Two or more.
            port: Where it listens, with TLS.
            reached_by: Its callers.
            database: How it reaches the database.
            security_group_id: Group of ``DataApiBoundary``.
            node_security_group_id: Group of the machines that probe it, and that its names come from.
            secrets: Its own: ``tls`` is a certificate and its key, ``pseudonyms`` the key of pseudonyms.
            audit: Where reads are written down.
            issuer: Whose tokens callers show.
            aws_endpoints: Where AWS's services answer in the VPC.
            account_id: The account.
            region: The region.
            permissions_boundary_arn: Boundary of its role.
            opts: Options of the component, with the providers of AWS and of the cluster.
        """
        super().__init__("secureml:data_api:DataApiService", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        log = _audit_log(name, audit, under)
        rules = [
            *_beside_the_machine(name, security_group_id, node_security_group_id, port, under),
            *between_groups(
                f"{name}-to-api-server",
                from_group_id=security_group_id,
                to_group_id=issuer.security_group_id,
                port=443,
                about="Keys of the cluster's tokens",
                opts=under,
            ),
        ]
        wears = CustomResource(
            f"{name}-group",
            api_version="vpcresources.k8s.aws/v1beta1",
            kind="SecurityGroupPolicy",
            metadata=metadata(name, namespace=namespace),
            spec={
                "podSelector": {"matchLabels": {"app": name}},
                "securityGroups": {"groupIds": [security_group_id]},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*needs]),
        )
        sign_in = Statement(
            sid="SignInToTheDatabase",
            actions=["rds-db:connect"],
            resources=[
                pulumi.Output.concat(
                    f"arn:{partition_of(region)}:rds-db:{region}:{account_id}:dbuser:",
                    database.resource_id,
                    f"/{DATABASE_USER}",
                )
            ],
        )
        ServiceWorkload(
            name,
            namespace=namespace,
            container=Container(
                image=image,
                size=size,
                port=port,
                environment={
                    "AWS_REGION": region,
                    "DATABASE_HOST": database.address,
                    "DATABASE_USER": DATABASE_USER,
                    "DATABASE_CA_FILE": DATABASE_CA_FILE,
                    "PORT": str(port),
                    "AUDIT_LOG_GROUP": log.name,
                    **issuer.environment(AUDIENCE),
                    "TLS_SECRET_ID": secrets.name("tls"),
                    "PSEUDONYM_SECRET_ID": secrets.name("pseudonyms"),
                },
                audiences=(API_SERVER,),
            ),
            replicas=replicas,
            reached_by=reached_by,
            reaches=[*database.network, aws_endpoints, issuer.api_server],
            probe=Probe(),
            rights=Rights(
                cluster_name=cluster_name,
                about="Reads the database for callers that may",
                permissions_boundary_arn=permissions_boundary_arn,
                statements=[sign_in, *secrets.readable(), writes_log(log.arn)],
            ),
            # A pod keeps the groups that it was born with.
            needs=[*needs, wears, *rules],
            opts=under,
        )
        self.log_group_name = log.name
        self.register_outputs({"log_group_name": self.log_group_name})


def _audit_log(name: str, audit: AuditLog, under: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    log = aws.cloudwatch.LogGroup(
        f"{name}-audit",
        name=audit.name,
        kms_key_id=audit.key_arn,
        retention_in_days=audit.retention_days,
        opts=under,
    )
    aws.cloudwatch.LogMetricFilter(
        f"{name}-refusals",
        name=f"{name}-refusals",
        log_group_name=log.name,
        pattern='{ $.decision = "deny" }',
        metric_transformation={"name": f"{name}-refusals", "namespace": audit.name, "value": "1"},
        opts=under,
    )
    aws.cloudwatch.MetricAlarm(
        f"{name}-refusals",
        alarm_description="The data-access API refuses many reads: somebody tries what they may not",
        namespace=audit.name,
        metric_name=f"{name}-refusals",
        statistic="Sum",
        period=300,
        evaluation_periods=1,
        threshold=audit.most_refusals_per_5min,
        comparison_operator="GreaterThanThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[audit.alarm_topic_arn],
        opts=under,
    )
    return log


def _beside_the_machine(
    name: str,
    group_id: pulumi.Input[str],
    node_group_id: pulumi.Input[str],
    port: int,
    under: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Admit the kubelet's probes, and callers that wear their machine's group; let names be asked for."""
    return [
        *between_groups(
            f"{name}-from-nodes",
            from_group_id=node_group_id,
            to_group_id=group_id,
            port=port,
            about="Probes and callers",
            opts=under,
        ),
        *between_groups(
            f"{name}-to-dns",
            from_group_id=group_id,
            to_group_id=node_group_id,
            port=53,
            about="DNS of the cluster",
            opts=under,
        ),
        *between_groups(
            f"{name}-to-dns-udp",
            from_group_id=group_id,
            to_group_id=node_group_id,
            port=53,
            about="DNS of the cluster",
            protocol="udp",
            opts=under,
        ),
    ]
