"""Alerts: encrypted, delivered to somebody, and never forged."""

from __future__ import annotations

import pytest

from blueprint.graph import Graph
from components.alerts import AlertTopic
from tests.components.support import ACCOUNT, HOME, built, key, one, statement, statements

POLICY = "aws:sns/topicPolicy:TopicPolicy"


def topic(*emails: str) -> Graph:
    return built(
        lambda opts, _: AlertTopic(
            "a", key_arn=key("logs"), emails=emails, account_id=ACCOUNT, region=HOME, opts=opts
        )
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return topic("x@example.org")


def test_messages_are_encrypted_with_our_key(graph: Graph) -> None:
    assert one(graph, "aws:sns/topic:Topic").inputs["kmsMasterKeyId"] == key("logs")


def test_somebody_is_told(graph: Graph) -> None:
    subscription = one(graph, "aws:sns/topicSubscription:TopicSubscription").inputs
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "x@example.org")


def test_everybody_on_the_list_is_told() -> None:
    subscriptions = topic("x@example.org", "y@example.org").of("aws:sns/topicSubscription:TopicSubscription")
    assert {s.inputs["endpoint"] for s in subscriptions} == {"x@example.org", "y@example.org"}


def test_a_topic_that_tells_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="emails is empty"):
        topic()


def test_only_alarms_and_rules_of_this_account_publish(graph: Graph) -> None:
    allowed = [said for said in statements(one(graph, POLICY)) if said["Effect"] == "Allow"]
    assert [said["Principal"] for said in allowed] == [
        {"Service": ["cloudwatch.amazonaws.com"]},
        {"Service": ["events.amazonaws.com"]},
    ]
    for said in allowed:
        assert said["Action"] == ["sns:Publish"]
        assert said["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
        assert f":{HOME}:{ACCOUNT}:" in said["Condition"]["ArnLike"]["aws:SourceArn"]


@pytest.mark.parametrize(
    ("sid", "condition"),
    [
        ("RefuseWhoeverIsNoService", {"aws:PrincipalIsAWSService": "false"}),
        ("RefusePlainHttp", {"aws:SecureTransport": "false"}),
    ],
)
def test_forged_and_plain_messages_are_refused_to_everybody(
    graph: Graph, sid: str, condition: dict[str, str]
) -> None:
    refusal = statement(one(graph, POLICY), sid)
    assert (refusal["Effect"], refusal["Principal"]) == ("Deny", "*")
    assert refusal["Condition"] == {"Bool": condition}
