"""CIS alarms: for each row an event that must ring, and ordinary events that must not. Patterns are run, not read."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.cis_alarms import ALARMS, CIS_ALARMS, MAX_PATTERN, CisAlarm, CisAlarms
from tests.components.filter_patterns import Unreadable, matches
from tests.components.support import TOPIC, built

ALARM, FILTER = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/logMetricFilter:LogMetricFilter"


def alarms(**changed: Any) -> Graph:
    return built(
        lambda opts, _: CisAlarms("cis", log_group_name="/trail/t", topic_arn=TOPIC, **changed, opts=opts)
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return alarms()


def call(name: str, service: str = "ec2", **more: Any) -> dict[str, Any]:
    return {
        "eventName": name,
        "eventSource": f"{service}.amazonaws.com",
        "eventType": "AwsApiCall",
        "sourceIPAddress": "203.0.113.8",
        "userIdentity": {"type": "AssumedRole"},
        **more,
    }


def sign_in(
    second_factor: str, user: str = "IAMUser", outcome: str = "Success", **more: Any
) -> dict[str, Any]:
    return call(
        "ConsoleLogin",
        "signin",
        userIdentity={"type": user},
        additionalEventData={"MFAUsed": second_factor},
        responseElements={"ConsoleLogin": outcome},
        **more,
    )


ROLES = "arn:aws:iam::111122223333:role/secure-ml-platform-prod-"


def takes_on(persona: str, name: str = "AssumeRole") -> dict[str, Any]:
    return call(name, "sts", requestParameters={"roleArn": ROLES + persona, "roleSessionName": "ada"})


def acts_as(persona: str, name: str, service: str = "ec2") -> dict[str, Any]:
    issuer = {"type": "Role", "arn": ROLES + persona}
    who = {"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}}
    return call(name, service, userIdentity=who)


def ringing(event: dict[str, Any]) -> set[str]:
    return {row.name for row in ALARMS if matches(row.pattern, event)}


RINGS = {
    "unauthorized-calls": [
        call("RunInstances", errorCode="Client.UnauthorizedOperation"),
        call("GetObject", "s3", errorCode="AccessDenied"),
        call("Decrypt", "kms", errorCode="AccessDeniedException"),
    ],
    "sign-in-without-second-factor": [sign_in("No")],
    "root-use": [call("ListBuckets", "s3", userIdentity={"type": "Root"})],
    "iam-change": [call("AttachRolePolicy", "iam"), call("CreatePolicyVersion", "iam")],
    "trail-change": [call("StopLogging", "cloudtrail"), call("PutEventSelectors", "cloudtrail")],
    "failed-sign-in": [sign_in("No", outcome="Failure", errorMessage="Failed authentication")],
    "key-deletion": [call("ScheduleKeyDeletion", "kms"), call("DisableKey", "kms")],
    "bucket-policy-change": [call("PutBucketPolicy", "s3"), call("DeleteBucketReplication", "s3")],
    "config-change": [call("StopConfigurationRecorder", "config")],
    "security-group-change": [call("AuthorizeSecurityGroupIngress")],
    "network-acl-change": [call("ReplaceNetworkAclEntry")],
    "gateway-change": [call("AttachInternetGateway")],
    "route-change": [call("CreateRoute")],
    "vpc-change": [call("CreateVpcPeeringConnection")],
    "organization-change": [call("LeaveOrganization", "organizations")],
    "break-glass-use": [
        takes_on("break-glass"),
        takes_on("break-glass", "AssumeRoleWithSAML"),
        acts_as("break-glass", "GetCallerIdentity", "sts"),
        acts_as("break-glass", "SwitchRole", "signin"),
    ],
}


def test_the_table_has_every_row_of_the_benchmark() -> None:
    assert [row.cis for row in CIS_ALARMS] == [f"4.{number}" for number in range(1, 16)]
    assert {row.name for row in ALARMS} == set(RINGS)


@pytest.mark.parametrize(
    ("name", "event"), [(name, event) for name, events in RINGS.items() for event in events]
)
def test_what_happened_rings_its_own_alarm(name: str, event: dict[str, Any]) -> None:
    assert ringing(event) == {name}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(call("DescribeInstances"), id="a-look"),
        pytest.param(sign_in("Yes"), id="a-second-factor"),
        pytest.param(sign_in("No", user="AssumedRole"), id="single-sign-on"),
        pytest.param(
            call("Decrypt", "kms", userIdentity={"type": "Root", "invokedBy": "rds.amazonaws.com"}),
            id="a-service-for-the-account",
        ),
        pytest.param(
            call("RotateKey", "kms", eventType="AwsServiceEvent", userIdentity={"type": "Root"}),
            id="an-event-of-aws",
        ),
        pytest.param(call("HeadBucket", "s3", errorCode="AccessDenied"), id="a-bucket-of-another-name"),
        pytest.param(
            call("GetObject", "s3", errorCode="AccessDenied", sourceIPAddress="delivery.logs.amazonaws.com"),
            id="log-delivery",
        ),
        pytest.param(call("CreatePolicy", "iot"), id="a-policy-of-another-service"),
        pytest.param(takes_on("operator"), id="a-role-of-every-day"),
        pytest.param(acts_as("operator", "DescribeInstances"), id="a-look-by-a-role-of-every-day"),
        pytest.param(
            call("CreateFunction20150331", "lambda", requestParameters={"roleArn": ROLES + "break-glass"}),
            id="a-role-that-is-named-and-not-taken",
        ),
    ],
)
def test_ordinary_work_rings_nothing(event: dict[str, Any]) -> None:
    assert ringing(event) == set()


@pytest.mark.parametrize("row", ALARMS, ids=lambda row: row.name)
def test_every_row_is_a_filter_and_an_alarm_that_reaches_people(row: CisAlarm, graph: Graph) -> None:
    (counted,) = [f.inputs for f in graph.of(FILTER) if f.name == f"cis-{row.name}"]
    (alarm,) = [a.inputs for a in graph.of(ALARM) if a.name == f"cis-{row.name}"]
    assert counted["logGroupName"] == "/trail/t"
    assert counted["pattern"] == row.pattern
    metric = counted["metricTransformation"]
    assert (metric["name"], metric["namespace"]) == (alarm["metricName"], alarm["namespace"])
    assert (alarm["statistic"], alarm["threshold"]) == ("Sum", 1)
    assert alarm["comparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["alarmActions"] == [TOPIC]


def test_a_pattern_that_cloudwatch_would_refuse_is_named() -> None:
    row = CisAlarm(cis="4.1", name="long", about="", pattern="x" * (MAX_PATTERN + 1))
    with pytest.raises(ValueError, match="pattern of long has 1025 characters"):
        alarms(alarms=[row])


@pytest.mark.parametrize("pattern", ["{ $.a = }", "{ ($.a = 1 }", "{ a = 1 }", "{ $.a = 1 } x", "$.a = 1"])
def test_the_patterns_are_read_strictly(pattern: str) -> None:
    with pytest.raises(Unreadable):
        matches(pattern, {"a": 1})
