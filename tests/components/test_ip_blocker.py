"""The IP blocker's infrastructure: what wakes the function, what it may touch, and who hears of its failures."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from blueprint.graph import Graph
from components.ip_blocker import IpBlocker, Log, Sentence, Source
from components.web_acl import BlockSet
from tests.components.support import (
    ACCOUNT,
    BOUNDARY,
    HOME,
    TOPIC,
    built,
    key,
    named,
    one,
    statement,
    statements,
)

FUNCTION = "aws:lambda/function:Function"
ROLE = "aws:iam/role:Role"
RIGHTS = "aws:iam/rolePolicy:RolePolicy"
QUEUE = "aws:sqs/queue:Queue"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SCHEDULE = "aws:scheduler/schedule:Schedule"
LOG_ARN = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:aws-waf-logs-edge"
SENTENCE = Sentence(refusals=20, window_minutes=5, block_minutes=60, longest_block_minutes=1440)


def set_arn(family: str) -> str:
    return f"arn:aws:wafv2:{HOME}:{ACCOUNT}:regional/ipset/blocked-{family}/1"


def block_set(family: str) -> BlockSet:
    return BlockSet(
        id=pulumi.Output.from_input(f"id-{family}"),
        name=pulumi.Output.from_input(f"blocked-{family}"),
        arn=pulumi.Output.from_input(set_arn(family)),
    )


def blocker(**changed: Any) -> Graph:
    def program(opts: pulumi.ResourceOptions, _: Any) -> None:
        arguments: dict[str, Any] = {
            "source": Source(
                code=pulumi.AssetArchive({"main.py": pulumi.StringAsset("")}), handler="main.handler"
            ),
            "block_sets": {"ipv4": block_set("ipv4"), "ipv6": block_set("ipv6")},
            "log": Log(group_name="aws-waf-logs-edge", group_arn=LOG_ARN),
            "never_blocked_cidrs": ["198.51.100.0/24", "192.0.2.16/28"],
            "sentence": SENTENCE,
            "key_arn": key("platform"),
            "logs_key_arn": key("logs"),
            "log_group_name": "/platform-test/services/ip-blocker",
            "log_retention_days": 365,
            "alarm_topic_arn": TOPIC,
            "permissions_boundary_arn": BOUNDARY,
            "account_id": ACCOUNT,
            "region": HOME,
            **changed,
        }
        IpBlocker("blocker", **arguments, opts=opts)

    return built(program)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return blocker()


@pytest.fixture(scope="module")
def function(graph: Graph) -> dict[str, Any]:
    return one(graph, FUNCTION).inputs


# What it may touch


def test_the_function_fills_two_sets_and_no_other_list_of_anybody(graph: Graph) -> None:
    said = statement(named(graph, RIGHTS, "-role"), "FillTheBlockSets")
    assert said["Action"] == ["wafv2:GetIPSet", "wafv2:UpdateIPSet"]
    assert said["Resource"] == [set_arn("ipv4"), set_arn("ipv6")]


def test_whoever_takes_the_function_over_gets_no_further(graph: Graph) -> None:
    # Not to the rules of the web ACL, not to data, and not to rights of its own.
    for policy in graph.of(RIGHTS):
        for said in statements(policy):
            assert said["Effect"] == "Allow"
            assert not any(resource == "*" for resource in said["Resource"]), said["Sid"]
            assert not any("*" in action for action in said["Action"]), said["Sid"]
    services = {
        action.partition(":")[0]
        for said in statements(named(graph, RIGHTS, "-role"))
        for action in said["Action"]
    }
    assert services == {"wafv2", "dynamodb", "sqs", "kms", "logs"}


def test_the_key_opens_nothing_but_the_table_and_the_dead_letters(graph: Graph) -> None:
    said = statement(named(graph, RIGHTS, "-role"), "UseTheKeyThroughItsServices")
    assert said["Resource"] == [key("platform")]
    assert said["Condition"] == {
        "StringEquals": {"kms:ViaService": [f"dynamodb.{HOME}.amazonaws.com", f"sqs.{HOME}.amazonaws.com"]}
    }


def test_every_role_carries_the_boundary(graph: Graph) -> None:
    assert {role.inputs["permissionsBoundary"] for role in graph.of(ROLE)} == {BOUNDARY}


def test_the_function_stands_in_no_network_of_ours(function: dict[str, Any]) -> None:
    assert "vpcConfig" not in function


# What wakes it


def test_only_this_log_wakes_the_function(graph: Graph) -> None:
    permission = one(graph, "aws:lambda/permission:Permission").inputs
    assert permission["principal"] == "logs.amazonaws.com"
    assert (permission["sourceAccount"], permission["sourceArn"]) == (ACCOUNT, f"{LOG_ARN}:*")
    assert "functionUrlAuthType" not in permission


def test_it_hears_of_refusals_only_and_once_it_may_be_called(graph: Graph) -> None:
    subscription = one(graph, "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter")
    assert subscription.inputs["filterPattern"] == '{ $.action = "BLOCK" }'
    assert subscription.inputs["logGroup"] == "aws-waf-logs-edge"
    assert one(graph, "aws:lambda/permission:Permission").urn in subscription.dependencies


def test_a_schedule_lets_the_blocked_go_again(graph: Graph) -> None:
    schedule = one(graph, SCHEDULE).inputs
    assert schedule["scheduleExpression"] == "rate(5 minutes)"
    assert schedule["target"]["arn"] == one(graph, FUNCTION).outputs["arn"]
    assert schedule["target"]["deadLetterConfig"]["arn"] == one(graph, QUEUE).outputs["arn"]


def test_the_schedulers_role_serves_this_group_of_schedules_alone(graph: Graph) -> None:
    (trust,) = statements(named(graph, ROLE, "-scheduler"), "assumeRolePolicy")
    group = one(graph, "aws:scheduler/scheduleGroup:ScheduleGroup")
    assert trust["Principal"] == {"Service": ["scheduler.amazonaws.com"]}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": group.outputs["arn"]},
    }
    wake = statement(named(graph, RIGHTS, "-scheduler"), "Wake")
    assert wake["Resource"] == [one(graph, FUNCTION).outputs["arn"]]


def test_one_writer_at_a_time_so_that_no_update_of_a_set_is_lost(function: dict[str, Any]) -> None:
    assert function["reservedConcurrentExecutions"] == 1


# What it keeps


def test_what_it_remembers_is_encrypted_recoverable_and_forgotten(graph: Graph) -> None:
    table = one(graph, "aws:dynamodb/table:Table")
    assert table.inputs["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key("platform")}
    assert table.inputs["pointInTimeRecovery"] == {"enabled": True}
    assert table.inputs["ttl"] == {"enabled": True, "attributeName": "forget_at"}


def test_the_table_goes_down_with_the_stack(graph: Graph) -> None:
    table = one(graph, "aws:dynamodb/table:Table")
    assert not table.protect
    assert table.inputs["deletionProtectionEnabled"] is False


def test_its_own_log_is_encrypted_and_where_services_log(graph: Graph, function: dict[str, Any]) -> None:
    group = one(graph, "aws:cloudwatch/logGroup:LogGroup").inputs
    assert (group["kmsKeyId"], group["retentionInDays"]) == (key("logs"), 365)
    assert function["loggingConfig"] == {
        "logFormat": "JSON",
        "logGroup": "/platform-test/services/ip-blocker",
    }


def test_what_it_is_told_holds_no_secret_and_is_encrypted_all_the_same(function: dict[str, Any]) -> None:
    assert function["kmsKeyArn"] == key("platform")
    told = function["environment"]["variables"]
    assert told["NEVER_BLOCKED_CIDRS"] == "198.51.100.0/24,192.0.2.16/28"
    assert (told["BLOCK_SET_IPV4_ID"], told["BLOCK_SET_IPV6_NAME"]) == ("id-ipv4", "blocked-ipv6")
    assert (told["REFUSALS"], told["LONGEST_BLOCK_MINUTES"]) == ("20", "1440")


# When it fails


def test_what_it_cannot_handle_is_kept_where_somebody_sees_it(graph: Graph, function: dict[str, Any]) -> None:
    queue = one(graph, QUEUE)
    assert function["deadLetterConfig"] == {"targetArn": queue.outputs["arn"]}
    assert queue.inputs["kmsMasterKeyId"] == key("platform")
    assert queue.inputs["messageRetentionSeconds"] == 14 * 24 * 3600
    retries = one(graph, "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig").inputs
    assert retries["maximumEventAgeInSeconds"] == 3600


def test_dead_letters_are_not_read_over_plain_http(graph: Graph) -> None:
    refusal = statement(one(graph, "aws:sqs/queuePolicy:QueuePolicy"), "RefusePlainHttp")
    assert (refusal["Effect"], refusal["Principal"]) == ("Deny", "*")
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_somebody_is_told_when_offenders_would_stay_unblocked(graph: Graph) -> None:
    alarms = {alarm.inputs["metricName"]: alarm.inputs for alarm in graph.of(ALARM)}
    assert set(alarms) == {"Errors", "Throttles", "ApproximateNumberOfMessagesVisible"}
    assert all(alarm["alarmActions"] == [TOPIC] for alarm in alarms.values())
    assert alarms["Errors"]["threshold"] == alarms["ApproximateNumberOfMessagesVisible"]["threshold"] == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"refusals": 0}, "sentence.refusals is 0"),
        ({"window_minutes": 0}, "sentence.window_minutes is 0"),
        ({"block_minutes": 0}, "sentence.block_minutes is 0"),
        ({"longest_block_minutes": 59}, "write 60 or more"),
    ],
)
def test_a_sentence_that_blocks_nobody_is_refused(changed: dict[str, int], says: str) -> None:
    fields = {
        "refusals": 20,
        "window_minutes": 5,
        "block_minutes": 60,
        "longest_block_minutes": 1440,
        **changed,
    }
    with pytest.raises(ValueError, match=says):
        blocker(sentence=Sentence(**fields))
