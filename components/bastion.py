"""The way in for people: one hardened machine at a fixed address, open on port 22 to approved addresses only."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from functools import partial

import pulumi
import pulumi_aws as aws

from components.bastion_init import USER_DATA_BYTES, cloud_config
from components.documents import Statement, partition_of, policy_document
from components.ssh_access import accounts_of, check_destinations, check_ranges

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
"""The newest Amazon Linux 2023, looked up by EC2 itself at every start of a machine."""

SSH = 22

_ARM64 = re.compile(r"[a-z]+\d+g[a-z]*\.[a-z0-9]+")
_SOME_ALLOCATION = "eipalloc-0123456789abcdef0"

MAX_AGE_SECONDS = 7 * 24 * 3600
"""A machine that is replaced every week cannot keep an intruder for longer, and is never far behind on patches."""


class Bastion(pulumi.ComponentResource):
    """An auto-scaling group of one machine with an Elastic IP, its logs and its alarm.

    Attributes:
        public_ip: The fixed address.
        security_group_id: Group of the machine; admit it where the bastion may go on to.
        log_group_name: Where sign-ins and sessions are recorded.
    """

    public_ip: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        public_subnet_ids: Sequence[pulumi.Input[str]],
        allowed_cidrs: Sequence[str],
        public_keys: Sequence[str],
        destination_cidrs: Sequence[str],
        s3_prefix_list_id: pulumi.Input[str],
        endpoint_security_group_id: pulumi.Input[str],
        key_arn: pulumi.Input[str],
        logs_key_arn: pulumi.Input[str],
        log_retention_days: int,
        alarm_topic_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        instance_type: str = "t4g.micro",
        failed_logins_per_5min: int = 10,
        idle_timeout_minutes: int = 15,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the bastion.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            public_subnet_ids: Where the machine may stand; it moves when a zone fails.
            allowed_cidrs: Approved addresses, /24 (IPv4) or /56 (IPv6) or narrower.
            public_keys: OpenSSH public keys, each with the name of its owner's account behind it.
            destination_cidrs: Private IPv4 ranges that users may go on to over SSH.
            s3_prefix_list_id: Addresses of S3, where Amazon Linux keeps its packages.
            endpoint_security_group_id: Group of the VPC's endpoints, for everything else of AWS's.
            key_arn: Key of the machine's disk.
            logs_key_arn: Key of its logs.
            log_retention_days: How long its logs stay.
            alarm_topic_arn: Who is told of failed sign-ins.
            permissions_boundary_arn: Boundary of the machine's role.
            account_id: The account.
            region: The region.
            instance_type: An arm64 type.
            failed_logins_per_5min: From how many failed sign-ins in five minutes the alarm rings, 1 to 100.
            idle_timeout_minutes: After how many silent minutes a session is closed, 1 to 60.
            opts: Options of the component.

        Raises:
            ValueError: an address range is too wide, a key is not a public one or names nobody, or a number
                would switch its protection off.
        """
        super().__init__("secureml:bastion:Bastion", name, None, opts)
        check_ranges(allowed_cidrs)
        check_destinations(destination_cidrs)
        _check_within("failed_logins_per_5min", failed_logins_per_5min, most=100)
        _check_within("idle_timeout_minutes", idle_timeout_minutes, most=60)
        if not _ARM64.fullmatch(instance_type):
            raise ValueError(f"instance_type is {instance_type!r:.40}; write an arm64 type like t4g.micro")
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._account_id, self._region, self._partition = account_id, region, partition_of(region)
        self._first: list[pulumi.Resource] = []
        """What a machine needs at its start, and keeps until it is gone."""

        configure = partial(
            cloud_config,
            accounts=accounts_of(public_keys),
            idle_timeout_minutes=idle_timeout_minutes,
            region=region,
            log_group=f"/{name}/sessions",
        )
        _check_size(configure(allocation_id=_SOME_ALLOCATION))
        group = self._group(
            vpc_id, allowed_cidrs, destination_cidrs, s3_prefix_list_id, endpoint_security_group_id
        )
        logs = self._logs(logs_key_arn, log_retention_days)
        address = aws.ec2.Eip(f"{name}-address", domain="vpc", tags={"Name": name}, opts=self._under)
        user_data = address.allocation_id.apply(lambda known: configure(allocation_id=known))
        profile = self._profile(address, logs, permissions_boundary_arn)
        template = self._template(instance_type, group, key_arn, profile, user_data)
        self._scaling_group(template, public_subnet_ids)
        self._alarm(logs, failed_logins_per_5min, alarm_topic_arn)

        self.public_ip, self.security_group_id, self.log_group_name = address.public_ip, group.id, logs.name
        self.register_outputs(
            {"public_ip": self.public_ip, "security_group_id": group.id, "log_group_name": logs.name}
        )

    def _group(
        self,
        vpc_id: pulumi.Input[str],
        allowed_cidrs: Sequence[str],
        destination_cidrs: Sequence[str],
        s3_prefix_list_id: pulumi.Input[str],
        endpoint_security_group_id: pulumi.Input[str],
    ) -> aws.ec2.SecurityGroup:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            description="Bastion: SSH from approved addresses",
            vpc_id=vpc_id,
            tags={"role": "bastion"},
            opts=self._under,
        )
        for cidr in allowed_cidrs:
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-{cidr}",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=SSH,
                to_port=SSH,
                description="SSH from an approved address",
                cidr_ipv4=None if ":" in cidr else cidr,
                cidr_ipv6=cidr if ":" in cidr else None,
                opts=self._under,
            )
        # It calls EC2 before it has its address, so it must be let in at the endpoint.
        self._first.append(
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-at-endpoints",
                security_group_id=endpoint_security_group_id,
                referenced_security_group_id=group.id,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                description="TLS from the bastion",
                opts=self._under,
            )
        )
        for cidr in destination_cidrs:
            self._egress(f"to-{cidr}", group, SSH, "SSH on to a machine inside", cidr_ipv4=cidr)
        self._egress("to-s3", group, 443, "TLS to S3, for packages", prefix_list_id=s3_prefix_list_id)
        self._egress(
            "to-endpoints",
            group,
            443,
            "TLS to the endpoints of AWS services",
            group_id=endpoint_security_group_id,
        )
        return group

    def _egress(
        self,
        label: str,
        group: aws.ec2.SecurityGroup,
        port: int,
        description: str,
        *,
        cidr_ipv4: str | None = None,
        prefix_list_id: pulumi.Input[str] | None = None,
        group_id: pulumi.Input[str] | None = None,
    ) -> None:
        self._first.append(
            aws.vpc.SecurityGroupEgressRule(
                f"{self._name}-{label}",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description=description,
                cidr_ipv4=cidr_ipv4,
                prefix_list_id=prefix_list_id,
                referenced_security_group_id=group_id,
                opts=self._under,
            )
        )

    def _logs(self, logs_key_arn: pulumi.Input[str], retention_days: int) -> aws.cloudwatch.LogGroup:
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-log",
            name=f"/{self._name}/sessions",
            kms_key_id=logs_key_arn,
            retention_in_days=retention_days,
            opts=self._under,
        )
        self._first.append(logs)
        return logs

    def _profile(
        self, address: aws.ec2.Eip, logs: aws.cloudwatch.LogGroup, permissions_boundary_arn: pulumi.Input[str]
    ) -> aws.iam.InstanceProfile:
        """Let the machine take its address and write its logs, and nothing else."""
        role = aws.iam.Role(
            f"{self._name}-role",
            description="The bastion: takes its address and writes its logs",
            assume_role_policy=policy_document(
                Statement(
                    sid="Machines",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["ec2.amazonaws.com"]},
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=self._under,
        )
        policy = aws.iam.RolePolicy(
            f"{self._name}-role",
            role=role.id,
            policy=policy_document(
                Statement(sid="TakeTheAddress", actions=["ec2:AssociateAddress"], resources=[address.arn]),
                Statement(
                    sid="OntoABastion",
                    actions=["ec2:AssociateAddress"],
                    resources=[self._any_of("instance"), self._any_of("network-interface")],
                    conditions={"StringEquals": {"aws:ResourceTag/role": "bastion"}},
                ),
                Statement(
                    sid="WriteLogs",
                    actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    resources=[pulumi.Output.concat(logs.arn, ":*")],
                ),
            ),
            opts=self._under,
        )
        self._first.append(policy)
        return aws.iam.InstanceProfile(f"{self._name}-profile", role=role.name, opts=self._under)

    def _any_of(self, kind: str) -> str:
        return f"arn:{self._partition}:ec2:{self._region}:{self._account_id}:{kind}/*"

    def _template(
        self,
        instance_type: str,
        group: aws.ec2.SecurityGroup,
        key_arn: pulumi.Input[str],
        profile: aws.iam.InstanceProfile,
        user_data: pulumi.Output[str],
    ) -> aws.ec2.LaunchTemplate:
        return aws.ec2.LaunchTemplate(
            f"{self._name}-template",
            description="Bastion",
            image_id=IMAGE,
            instance_type=instance_type,
            update_default_version=True,
            iam_instance_profile={"arn": profile.arn},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
                "instance_metadata_tags": "disabled",
            },
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_size": 10,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "kms_key_id": key_arn,
                        "delete_on_termination": "true",
                    },
                }
            ],
            network_interfaces=[
                {
                    # No address but the fixed one, which it takes itself.
                    "associate_public_ip_address": "false",
                    "delete_on_termination": "true",
                    "security_groups": [group.id],
                }
            ],
            monitoring={"enabled": True},
            tag_specifications=[
                {"resource_type": "instance", "tags": {"Name": self._name, "role": "bastion"}},
                {"resource_type": "network-interface", "tags": {"Name": self._name, "role": "bastion"}},
                {"resource_type": "volume", "tags": {"Name": self._name}},
            ],
            tags={"role": "bastion"},
            user_data=user_data.apply(lambda text: base64.b64encode(text.encode()).decode()),
            opts=self._under,
        )

    def _scaling_group(
        self, template: aws.ec2.LaunchTemplate, subnet_ids: Sequence[pulumi.Input[str]]
    ) -> None:
        aws.autoscaling.Group(
            f"{self._name}-machines",
            min_size=1,
            max_size=1,
            desired_capacity=1,
            vpc_zone_identifiers=list(subnet_ids),
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            health_check_type="EC2",
            health_check_grace_period=300,
            max_instance_lifetime=MAX_AGE_SECONDS,
            instance_refresh={"strategy": "Rolling", "preferences": {"min_healthy_percentage": 0}},
            tags=[{"key": "role", "value": "bastion", "propagate_at_launch": True}],
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._first),
        )

    def _alarm(
        self, logs: aws.cloudwatch.LogGroup, failed_logins_per_5min: int, alarm_topic_arn: pulumi.Input[str]
    ) -> None:
        metric, namespace = "FailedLogins", f"{self._name}/ssh"
        aws.cloudwatch.LogMetricFilter(
            f"{self._name}-failed-logins",
            log_group_name=logs.name,
            pattern='?"Invalid user" ?"Failed publickey" ?"maximum authentication attempts"',
            metric_transformation={
                "name": metric,
                "namespace": namespace,
                "value": "1",
                "default_value": "0",
            },
            opts=self._under,
        )
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-failed-logins",
            alarm_description="Bastion: many failed sign-ins",
            namespace=namespace,
            metric_name=metric,
            statistic="Sum",
            period=300,
            evaluation_periods=1,
            threshold=failed_logins_per_5min,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[alarm_topic_arn],
            opts=self._under,
        )


def _check_within(argument: str, value: int, *, most: int) -> None:
    # Zero, and numbers that are never reached, would switch it off.
    if not 1 <= value <= most:
        raise ValueError(f"{argument} is {value}; write 1 to {most}")


def _check_size(user_data: str) -> None:
    if (size := len(user_data.encode())) > USER_DATA_BYTES:
        raise ValueError(
            f"public_keys: {size} bytes of user data, and EC2 takes {USER_DATA_BYTES}; "
            "name fewer keys, or shorter ones (ssh-ed25519)"
        )
