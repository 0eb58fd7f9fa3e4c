"""The leave that AWS's own log delivery needs to write into a log group: flow logs, DNS queries, WAF."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document


def log_delivery_policy(
    name: str, *, log_groups: str, account_id: str, region: str, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.LogResourcePolicy:
    """Let services of AWS deliver into ``log_groups`` (a name, with ``*`` where it goes on) for this account only.

    Without it they would write a policy of their own, which no destroy removes.
    """
    logs = f"arn:{partition_of(region)}:logs:{region}:{account_id}"
    return aws.cloudwatch.LogResourcePolicy(
        f"{name}-delivery",
        policy_name=f"{name}-delivery",
        policy_document=policy_document(
            Statement(
                sid="DeliverLogsOfThisAccount",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[f"{logs}:log-group:{log_groups}"],
                principals={"Service": ["delivery.logs.amazonaws.com"]},
                conditions={
                    "StringEquals": {"aws:SourceAccount": account_id},
                    "ArnLike": {"aws:SourceArn": f"{logs}:*"},
                },
            )
        ),
        opts=opts,
    )
