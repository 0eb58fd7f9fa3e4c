"""The records of a VPC: every connection, and every name that was asked for."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document
from components.log_delivery import log_delivery_policy

FLOW_LOG_SECONDS = 60
"""The shorter of the two intervals that flow logs know (VPC User Guide, "Flow log basics")."""


class NetworkLogs(pulumi.ComponentResource):
    """Flow logs of all traffic and logs of DNS queries, each in an encrypted log group.

    Attributes:
        delivery: The policy that lets AWS deliver into the VPC's groups; a log that needs it is made after it.
    """

    delivery: aws.cloudwatch.LogResourcePolicy

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        retention_days: int,
        logs_key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Start recording.

        Args:
            name: Logical name; log groups are named after it, so it is unique in account and region.
            vpc_id: The VPC.
            retention_days: How long records stay; a period that CloudWatch Logs knows.
            logs_key_arn: Key of the log groups.
            permissions_boundary_arn: Boundary of the role that delivers flow logs.
            account_id: The account.
            region: The region of the VPC.
            opts: Options of the component.
        """
        super().__init__("secureml:network_logs:NetworkLogs", name, None, opts)
        self._name = name
        self._account_id = account_id
        self._region = region
        self._partition = partition_of(region)
        self._retention_days = retention_days
        self._key_arn = logs_key_arn
        self._under = pulumi.ResourceOptions(parent=self)

        self.delivery = log_delivery_policy(
            name, log_groups=f"/vpc/{name}/*", account_id=account_id, region=region, opts=self._under
        )
        flows = self.group("flow")
        self._flow_log(vpc_id, flows, permissions_boundary_arn)
        queries = self.group("dns")
        self._query_log(vpc_id, queries)
        self.register_outputs({"flow_log_group": flows.name, "dns_log_group": queries.name})

    def group(self, kind: str) -> aws.cloudwatch.LogGroup:
        """Make the log group for one kind of record of this VPC."""
        return aws.cloudwatch.LogGroup(
            f"{self._name}-{kind}",
            name=f"/vpc/{self._name}/{kind}",
            kms_key_id=self._key_arn,
            retention_in_days=self._retention_days,
            opts=self._under,
        )

    def _flow_log(
        self,
        vpc_id: pulumi.Input[str],
        group: aws.cloudwatch.LogGroup,
        permissions_boundary_arn: pulumi.Input[str],
    ) -> None:
        role = self._flow_role(permissions_boundary_arn)
        rights = aws.iam.RolePolicy(
            f"{self._name}-flow",
            role=role.name,
            policy=policy_document(
                Statement(
                    sid="WriteToTheFlowLog",
                    actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    resources=[group.arn, pulumi.Output.concat(group.arn, ":*")],
                )
            ),
            opts=self._under,
        )
        aws.ec2.FlowLog(
            f"{self._name}-flow",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=FLOW_LOG_SECONDS,
            # It stops before its role loses the right to write, so nothing is lost on the way down.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )

    def _flow_role(self, permissions_boundary_arn: pulumi.Input[str]) -> aws.iam.Role:
        flow_logs = f"arn:{self._partition}:ec2:{self._region}:{self._account_id}:vpc-flow-log/*"
        return aws.iam.Role(
            f"{self._name}-flow",
            description="Delivers the flow logs of the VPC",
            assume_role_policy=policy_document(
                Statement(
                    sid="FlowLogsOfThisAccount",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["vpc-flow-logs.amazonaws.com"]},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": self._account_id},
                        "ArnLike": {"aws:SourceArn": flow_logs},
                    },
                )
            ),
            permissions_boundary=permissions_boundary_arn,
            opts=self._under,
        )

    def _query_log(self, vpc_id: pulumi.Input[str], group: aws.cloudwatch.LogGroup) -> None:
        config = aws.route53.ResolverQueryLogConfig(
            f"{self._name}-dns",
            destination_arn=group.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.delivery]),
        )
        aws.route53.ResolverQueryLogConfigAssociation(
            f"{self._name}-dns",
            resolver_query_log_config_id=config.id,
            resource_id=vpc_id,
            opts=self._under,
        )
