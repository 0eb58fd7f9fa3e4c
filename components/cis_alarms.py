"""Alarms on what nobody does without being asked about it: CIS AWS Foundations 3.0, section 4, and break-glass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

NAMESPACE = "CisAlarms"

MAX_PATTERN = 1024
"""Characters of a filter pattern (CloudWatch Logs API Reference, "PutMetricFilter")."""


@dataclass(frozen=True, kw_only=True)
class CisAlarm:
    """One row: a name, what happened, the events that show it, and its number in CIS AWS Foundations 3.0, if it has one."""

    cis: str | None
    name: str
    about: str
    pattern: str


def _calls(*names: str, source: str | None = None) -> str:
    """Return the pattern of calls by any of these names, to one service where ``source`` says so."""
    any_of = " || ".join(f"($.eventName = {name})" for name in names)
    return f"{{ ($.eventSource = {source}) && ({any_of}) }}" if source else f"{{ {any_of} }}"


CIS_ALARMS: tuple[CisAlarm, ...] = (
    CisAlarm(
        cis="4.1",
        name="unauthorized-calls",
        about="A call was refused for want of permission",
        # S3's log delivery asks for what it may not have, in every account.
        pattern='{ (($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*"))'
        ' && ($.sourceIPAddress != "delivery.logs.amazonaws.com") && ($.eventName != "HeadBucket") }',
    ),
    CisAlarm(
        cis="4.2",
        name="sign-in-without-second-factor",
        about="Somebody signed in to the console with a password alone",
        # Who comes through single sign-on showed a second factor there, which AWS does not see.
        pattern='{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes")'
        ' && ($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }',
    ),
    CisAlarm(
        cis="4.3",
        name="root-use",
        about="The root user did something",
        pattern='{ ($.userIdentity.type = "Root") && ($.userIdentity.invokedBy NOT EXISTS)'
        ' && ($.eventType != "AwsServiceEvent") }',
    ),
    CisAlarm(
        cis="4.4",
        name="iam-change",
        about="A policy of IAM changed, or where it is attached",
        pattern=_calls(
            "DeleteGroupPolicy",
            "DeleteRolePolicy",
            "DeleteUserPolicy",
            "PutGroupPolicy",
            "PutRolePolicy",
            "PutUserPolicy",
            "CreatePolicy",
            "DeletePolicy",
            "CreatePolicyVersion",
            "DeletePolicyVersion",
            "AttachRolePolicy",
            "DetachRolePolicy",
            "AttachUserPolicy",
            "DetachUserPolicy",
            "AttachGroupPolicy",
            "DetachGroupPolicy",
            source="iam.amazonaws.com",
        ),
    ),
    CisAlarm(
        cis="4.5",
        name="trail-change",
        about="The trail was changed, stopped or deleted",
        pattern=_calls(
            "CreateTrail",
            "UpdateTrail",
            "DeleteTrail",
            "StartLogging",
            "StopLogging",
            # Beyond the benchmark: a trail that selects nothing goes on logging nothing.
            "PutEventSelectors",
            "PutInsightSelectors",
        ),
    ),
    CisAlarm(
        cis="4.6",
        name="failed-sign-in",
        about="Somebody failed to sign in to the console",
        pattern='{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }',
    ),
    CisAlarm(
        cis="4.7",
        name="key-deletion",
        about="A key was disabled or is to be deleted",
        pattern=_calls("DisableKey", "ScheduleKeyDeletion", source="kms.amazonaws.com"),
    ),
    CisAlarm(
        cis="4.8",
        name="bucket-policy-change",
        about="A bucket's policy, sharing, lifecycle or replication changed",
        pattern=_calls(
            "PutBucketAcl",
            "PutBucketPolicy",
            "PutBucketCors",
            "PutBucketLifecycle",
            "PutBucketReplication",
            "DeleteBucketPolicy",
            "DeleteBucketCors",
            "DeleteBucketLifecycle",
            "DeleteBucketReplication",
            source="s3.amazonaws.com",
        ),
    ),
    CisAlarm(
        cis="4.9",
        name="config-change",
        about="The recorder of configurations was changed or stopped",
        pattern=_calls(
            "StopConfigurationRecorder",
            "DeleteDeliveryChannel",
            "PutDeliveryChannel",
            "PutConfigurationRecorder",
            source="config.amazonaws.com",
        ),
    ),
    CisAlarm(
        cis="4.10",
        name="security-group-change",
        about="A security group changed",
        pattern=_calls(
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupEgress",
            "CreateSecurityGroup",
            "DeleteSecurityGroup",
        ),
    ),
    CisAlarm(
        cis="4.11",
        name="network-acl-change",
        about="A network ACL changed",
        pattern=_calls(
            "CreateNetworkAcl",
            "CreateNetworkAclEntry",
            "DeleteNetworkAcl",
            "DeleteNetworkAclEntry",
            "ReplaceNetworkAclEntry",
            "ReplaceNetworkAclAssociation",
        ),
    ),
    CisAlarm(
        cis="4.12",
        name="gateway-change",
        about="A gateway to the outside changed",
        pattern=_calls(
            "CreateCustomerGateway",
            "DeleteCustomerGateway",
            "AttachInternetGateway",
            "CreateInternetGateway",
            "DeleteInternetGateway",
            "DetachInternetGateway",
        ),
    ),
    CisAlarm(
        cis="4.13",
        name="route-change",
        about="A route changed",
        pattern=_calls(
            "CreateRoute",
            "CreateRouteTable",
            "ReplaceRoute",
            "ReplaceRouteTableAssociation",
            "DeleteRouteTable",
            "DeleteRoute",
            "DisassociateRouteTable",
            source="ec2.amazonaws.com",
        ),
    ),
    CisAlarm(
        cis="4.14",
        name="vpc-change",
        about="A VPC or its peerings changed",
        pattern=_calls(
            "CreateVpc",
            "DeleteVpc",
            "ModifyVpcAttribute",
            "AcceptVpcPeeringConnection",
            "CreateVpcPeeringConnection",
            "DeleteVpcPeeringConnection",
            "RejectVpcPeeringConnection",
            "AttachClassicLinkVpc",
            "DetachClassicLinkVpc",
            "DisableVpcClassicLink",
            "EnableVpcClassicLink",
        ),
    ),
    CisAlarm(
        cis="4.15",
        name="organization-change",
        about="The organisation, its accounts or its policies changed",
        pattern=_calls(
            "AcceptHandshake",
            "AttachPolicy",
            "CreateAccount",
            "CreateOrganizationalUnit",
            "CreatePolicy",
            "DeclineHandshake",
            "DeleteOrganization",
            "DeleteOrganizationalUnit",
            "DeletePolicy",
            "DetachPolicy",
            "DisablePolicyType",
            "EnablePolicyType",
            "InviteAccountToOrganization",
            "LeaveOrganization",
            "MoveAccount",
            "RemoveAccountFromOrganization",
            "UpdatePolicy",
            "UpdateOrganizationalUnit",
            source="organizations.amazonaws.com",
        ),
    ),
)
"""Each row is a metric filter and an alarm. The last of the section, 4.16, is Security Hub itself (``detectors.py``)."""

BREAK_GLASS = CisAlarm(
    cis=None,
    name="break-glass-use",
    about="Somebody took on break-glass, or did something as it",
    # Both: who switches roles in the console asks for no role by its ARN.
    pattern='{ (($.eventName = "AssumeRole*") && ($.requestParameters.roleArn = "*-break-glass"))'
    ' || ($.userIdentity.sessionContext.sessionIssuer.arn = "*-break-glass") }',
)

ALARMS = (*CIS_ALARMS, BREAK_GLASS)


class CisAlarms(pulumi.ComponentResource):
    """A metric filter and an alarm for every row of the table."""

    def __init__(
        self,
        name: str,
        *,
        log_group_name: pulumi.Input[str],
        topic_arn: pulumi.Input[str],
        alarms: Sequence[CisAlarm] = ALARMS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the filters on the trail's log group and the alarms that tell ``topic_arn``.

        Raises:
            ValueError: a pattern is longer than CloudWatch Logs takes.
        """
        super().__init__("secureml:cis_alarms:CisAlarms", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        for row in alarms:
            if len(row.pattern) > MAX_PATTERN:
                raise ValueError(
                    f"pattern of {row.name} has {len(row.pattern)} characters; {MAX_PATTERN} at most"
                )
            metric = f"{name}-{row.name}"
            aws.cloudwatch.LogMetricFilter(
                metric,
                name=metric,
                log_group_name=log_group_name,
                pattern=row.pattern,
                metric_transformation={"name": metric, "namespace": NAMESPACE, "value": "1"},
                opts=under,
            )
            aws.cloudwatch.MetricAlarm(
                metric,
                name=metric,
                alarm_description=_description(row),
                namespace=NAMESPACE,
                metric_name=metric,
                statistic="Sum",
                period=300,
                evaluation_periods=1,
                threshold=1,
                comparison_operator="GreaterThanOrEqualToThreshold",
                # No such event, no data point: that is how it should be.
                treat_missing_data="notBreaching",
                alarm_actions=[topic_arn],
                opts=under,
            )
        self.register_outputs({})


def _description(row: CisAlarm) -> str:
    return f"{row.about} (CIS AWS Foundations 3.0, {row.cis})" if row.cis else row.about
