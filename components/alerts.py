"""Where alarms go: an encrypted topic that ends in somebody's inbox."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document


class AlertTopic(pulumi.ComponentResource):
    """A topic that alarms and events of this account may publish to, and nobody else.

    Not even an administrator of the account: an alert that a person or a program could forge is worth little.

    Attributes:
        arn: ARN of the topic.
    """

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        key_arn: pulumi.Input[str],
        emails: Sequence[str],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the topic; each of ``emails`` gets one message to confirm its subscription, then every alert.

        Raises:
            ValueError: nobody would be told.
        """
        if not emails:
            raise ValueError("emails is empty; name at least one address that is told")
        super().__init__("secureml:alerts:AlertTopic", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(f"{name}-topic", kms_master_key_id=key_arn, opts=under)
        aws.sns.TopicPolicy(
            f"{name}-policy",
            arn=topic.arn,
            policy=policy_document(*_statements(topic.arn, account_id, region)),
            opts=under,
        )
        for email in emails:
            aws.sns.TopicSubscription(
                f"{name}-{email}", topic=topic.arn, protocol="email", endpoint=email, opts=under
            )
        self.arn = topic.arn
        self.register_outputs({"arn": self.arn})


def _statements(topic_arn: pulumi.Output[str], account_id: str, region: str) -> list[Statement]:
    sources = f"arn:{partition_of(region)}:cloudwatch:{region}:{account_id}:alarm:*"
    rules = f"arn:{partition_of(region)}:events:{region}:{account_id}:rule/*"
    return [
        Statement(
            sid="AlarmsOfThisAccount",
            actions=["sns:Publish"],
            principals={"Service": ["cloudwatch.amazonaws.com"]},
            resources=[topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": account_id},
                "ArnLike": {"aws:SourceArn": sources},
            },
        ),
        Statement(
            sid="EventsOfThisAccount",
            actions=["sns:Publish"],
            principals={"Service": ["events.amazonaws.com"]},
            resources=[topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": account_id},
                "ArnLike": {"aws:SourceArn": rules},
            },
        ),
        Statement(
            sid="RefuseWhoeverIsNoService",
            effect="Deny",
            actions=["sns:Publish"],
            principals="*",
            resources=[topic_arn],
            conditions={"Bool": {"aws:PrincipalIsAWSService": "false"}},
        ),
        Statement(
            sid="RefusePlainHttp",
            effect="Deny",
            actions=["sns:Publish"],
            principals="*",
            resources=[topic_arn],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
    ]
