"""The relational database: in the isolated tier, encrypted, and open to one security group only.

Nobody knows its master password: RDS makes it, Secrets Manager keeps and rotates it, and no state file ever
holds it. Applications sign in with short-lived IAM tokens over TLS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.backup_tags import backup_tags
from components.documents import Statement, partition_of, policy_document

PORT = 5432

_PARAMETERS = {
    # name: (value, needs a restart)
    "rds.force_ssl": ("1", False),
    "ssl_min_protocol_version": ("TLSv1.2", False),
    "shared_preload_libraries": ("pgaudit,pg_stat_statements", True),
    "pgaudit.log": ("ddl,role,write,read", False),
    # What follows would copy data or passwords into the log: values of parameters, rows that break a
    # constraint, and statements that pgaudit has not redacted.
    "pgaudit.log_parameter": ("0", False),
    "log_error_verbosity": ("terse", False),
    "log_statement": ("none", False),
    "log_connections": ("1", False),
    "log_disconnections": ("1", False),
    "password_encryption": ("scram-sha-256", False),
}
"""Amazon RDS User Guide, "Working with parameters on your RDS for PostgreSQL DB instance"."""


class Database(pulumi.ComponentResource):
    """An RDS PostgreSQL instance and everything it needs.

    Attributes:
        endpoint_address: Host name, resolvable inside the VPC.
        port: TCP port.
        identifier: Name of the instance.
        arn: ARN of the instance.
        resource_id: What IAM policies for sign-in name (``rds-db:connect``).
        security_group_id: The instance's group.
        subnet_group_name: The subnets that a restored copy may be put into.
        master_secret_arn: The secret that holds the master password.
    """

    endpoint_address: pulumi.Output[str]
    port: pulumi.Output[int]
    identifier: pulumi.Output[str]
    arn: pulumi.Output[str]
    resource_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    subnet_group_name: pulumi.Output[str]
    master_secret_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        identifier: str,
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        client_security_group_id: pulumi.Input[str],
        data_key_arn: pulumi.Input[str],
        logs_key_arn: pulumi.Input[str],
        instance_class: str,
        allocated_storage_gb: int,
        max_allocated_storage_gb: int,
        backup_retention_days: int,
        standby: Literal["none", "other-zone"],
        log_retention_days: int,
        alarm_topic_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        engine_version: str = "17",
        max_connections: int = 200,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the instance.

        Args:
            name: Logical name.
            identifier: Name of the instance in AWS; its log groups and its last snapshot are named after it.
            vpc_id: The VPC.
            subnet_ids: Isolated subnets in at least two zones.
            client_security_group_id: The only group that may connect: the data-access API's.
            data_key_arn: Key of storage, snapshots, performance insights and master secret.
            logs_key_arn: Key of the exported logs.
            instance_class: ``db.m7g.large`` for one.
            allocated_storage_gb: Storage to begin with, in GiB.
            max_allocated_storage_gb: Storage that it may grow to, in GiB.
            backup_retention_days: How far back the database can be restored, to the second; 7 to 35.
            standby: A second instance in another zone that takes over.
            log_retention_days: How long the exported logs stay.
            alarm_topic_arn: Where alarms go.
            permissions_boundary_arn: Boundary of the monitoring role.
            account_id: The account, which AWS's monitoring must act for.
            region: The region, for the partition of AWS's own policies.
            engine_version: Major version of PostgreSQL; minor ones are taken automatically.
            max_connections: The database refuses more; at four fifths of them there is an alarm.

        Raises:
            ValueError: fewer than two subnets, no room to grow, or days that RDS does not know.
        """
        super().__init__("secureml:database:Database", name, None, opts)
        _check(subnet_ids, allocated_storage_gb, max_allocated_storage_gb, backup_retention_days)
        self._name = name
        self._account_id = account_id
        self._partition = partition_of(region)
        self._under = pulumi.ResourceOptions(parent=self)

        group = self._security_group(vpc_id, client_security_group_id)
        log_groups = self._log_groups(identifier, logs_key_arn, log_retention_days)
        monitoring_role, monitoring_policy = self._monitoring(permissions_boundary_arn)
        subnets = self._subnet_group(subnet_ids)
        instance = aws.rds.Instance(
            f"{name}-instance",
            identifier=identifier,
            engine="postgres",
            engine_version=engine_version,
            instance_class=instance_class,
            storage_type="gp3",
            allocated_storage=allocated_storage_gb,
            max_allocated_storage=max_allocated_storage_gb,
            storage_encrypted=True,
            kms_key_id=data_key_arn,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            port=PORT,
            parameter_group_name=self._parameter_group(engine_version, max_connections).name,
            username="platform",
            manage_master_user_password=True,
            master_user_secret_kms_key_id=data_key_arn,
            iam_database_authentication_enabled=True,
            multi_az=standby == "other-zone",
            backup_retention_period=backup_retention_days,
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=True,
            skip_final_snapshot=False,
            final_snapshot_identifier=f"{identifier}-final",
            auto_minor_version_upgrade=True,
            allow_major_version_upgrade=False,
            apply_immediately=False,
            monitoring_interval=60,
            monitoring_role_arn=monitoring_role.arn,
            performance_insights_enabled=True,
            performance_insights_kms_key_id=data_key_arn,
            performance_insights_retention_period=7,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            tags={"data-domain": "data", **backup_tags("data")},
            # RDS makes the log groups itself, unencrypted, where it does not find them, and refuses a
            # monitoring role that may not monitor yet.
            opts=pulumi.ResourceOptions(
                parent=self, protect=True, depends_on=[*log_groups, monitoring_policy]
            ),
        )
        self._alarms(instance, allocated_storage_gb, max_connections, alarm_topic_arn)

        self.endpoint_address, self.port = instance.address, instance.port
        self.identifier, self.arn = instance.identifier, instance.arn
        self.resource_id, self.security_group_id = instance.resource_id, group.id
        self.subnet_group_name = subnets.name
        self.master_secret_arn = instance.master_user_secrets[0].secret_arn
        self.register_outputs(
            {
                "endpoint_address": self.endpoint_address,
                "port": self.port,
                "arn": self.arn,
                "security_group_id": self.security_group_id,
                "master_secret_arn": self.master_secret_arn,
            }
        )

    def _security_group(
        self, vpc_id: pulumi.Input[str], client_security_group_id: pulumi.Input[str]
    ) -> aws.ec2.SecurityGroup:
        """Admit the client group, and say nothing to anybody: a database opens no connections."""
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            description="Database: reached by the data-access API alone",
            vpc_id=vpc_id,
            opts=self._under,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-from-client",
            security_group_id=group.id,
            referenced_security_group_id=client_security_group_id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            description="PostgreSQL from the data-access API",
            opts=self._under,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-client-out",
            security_group_id=client_security_group_id,
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            description="PostgreSQL to the database",
            opts=self._under,
        )
        return group

    def _subnet_group(self, subnet_ids: Sequence[pulumi.Input[str]]) -> aws.rds.SubnetGroup:
        return aws.rds.SubnetGroup(
            f"{self._name}-subnets",
            description="Isolated subnets",
            subnet_ids=list(subnet_ids),
            opts=self._under,
        )

    def _parameter_group(self, engine_version: str, max_connections: int) -> aws.rds.ParameterGroup:
        values = {**_PARAMETERS, "max_connections": (str(max_connections), True)}
        return aws.rds.ParameterGroup(
            f"{self._name}-parameters",
            family=f"postgres{engine_version.partition('.')[0]}",
            description="TLS only, audited",
            parameters=[
                {"name": key, "value": value, "apply_method": "pending-reboot" if restart else "immediate"}
                for key, (value, restart) in values.items()
            ],
            opts=self._under,
        )

    def _log_groups(
        self, identifier: str, logs_key_arn: pulumi.Input[str], retention_days: int
    ) -> list[pulumi.Resource]:
        return [
            aws.cloudwatch.LogGroup(
                f"{self._name}-{kind}-log",
                name=f"/aws/rds/instance/{identifier}/{kind}",
                kms_key_id=logs_key_arn,
                retention_in_days=retention_days,
                opts=self._under,
            )
            for kind in ("postgresql", "upgrade")
        ]

    def _monitoring(
        self, permissions_boundary_arn: pulumi.Input[str]
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicyAttachment]:
        role = aws.iam.Role(
            f"{self._name}-monitoring",
            description="Enhanced monitoring of the database",
            assume_role_policy=policy_document(
                Statement(
                    sid="MonitoringOfThisAccount",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["monitoring.rds.amazonaws.com"]},
                    conditions={"StringEquals": {"aws:SourceAccount": self._account_id}},
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=self._under,
        )
        policy = aws.iam.RolePolicyAttachment(
            f"{self._name}-monitoring",
            role=role.name,
            policy_arn=f"arn:{self._partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
            opts=self._under,
        )
        return role, policy

    def _alarms(
        self,
        instance: aws.rds.Instance,
        allocated_storage_gb: int,
        max_connections: int,
        alarm_topic_arn: pulumi.Input[str],
    ) -> None:
        free_bytes = allocated_storage_gb * 1024**3 // 10
        for metric, comparison, threshold, about in (
            ("FreeStorageSpace", "LessThanThreshold", free_bytes, "less than a tenth of the storage is free"),
            ("CPUUtilization", "GreaterThanThreshold", 90, "the processors are busy"),
            ("DatabaseConnections", "GreaterThanThreshold", max_connections * 4 // 5, "connections run out"),
        ):
            aws.cloudwatch.MetricAlarm(
                f"{self._name}-{metric}",
                alarm_description=f"Database: {about}",
                namespace="AWS/RDS",
                metric_name=metric,
                dimensions={"DBInstanceIdentifier": instance.identifier},
                statistic="Average",
                period=300,
                evaluation_periods=3,
                comparison_operator=comparison,
                threshold=threshold,
                treat_missing_data="breaching",
                alarm_actions=[alarm_topic_arn],
                opts=self._under,
            )


def _check(
    subnet_ids: Sequence[pulumi.Input[str]],
    allocated_storage_gb: int,
    max_allocated_storage_gb: int,
    backup_retention_days: int,
) -> None:
    if len(subnet_ids) < 2:
        raise ValueError(f"subnet_ids names {len(subnet_ids)} subnet; a subnet group spans two zones or more")
    # Amazon RDS User Guide, "Managing capacity automatically with storage autoscaling".
    least = math.ceil(allocated_storage_gb * 11 / 10)
    if max_allocated_storage_gb < least:
        raise ValueError(f"max_allocated_storage_gb is {max_allocated_storage_gb}; write {least} or more")
    if not 7 <= backup_retention_days <= 35:
        raise ValueError(f"backup_retention_days is {backup_retention_days}; write 7 to 35")
