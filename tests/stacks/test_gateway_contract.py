"""The gateway's component and its program are two projects: what the one passes is what the other reads."""

from __future__ import annotations

import json

import pytest

from components.pod_network import METADATA
from components.serving import AUDIENCE, SUSPICION
from services.gateway.settings import BY_NAME, read
from services.shared.settings import SettingsError
from stacks.parts.services import GATEWAY_PORT
from tests.components.support import named
from tests.stacks.pods import environment, pod, prod, tokens

READ_BY_BOTO3 = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB"}
"""Service-specific endpoints (AWS SDKs and Tools Reference Guide)."""


def passed() -> dict[str, str]:
    return {name: value for name, value in environment("gateway").items() if name not in READ_BY_BOTO3}


def test_the_gateway_reads_everything_that_the_component_passes() -> None:
    assert set(passed()) <= set(BY_NAME), "the service would not hear of these"
    settings = read(passed())
    assert settings.port == GATEWAY_PORT == pod("gateway")["containers"][0]["ports"][0]["containerPort"]
    assert settings.caller_audience == AUDIENCE
    assert settings.query_log_group == "/secure-ml-platform-prod/gateway/queries"
    assert settings.trainer_key_arn != settings.verdict_key_arn


@pytest.mark.parametrize(
    "left_out",
    [
        "MODEL_BUCKET",
        "TRAINER_KEY_ARN",
        "VERDICT_KEY_ARN",
        "BUDGET_TABLE",
        "QUERY_SECRET_ID",
        "CALLER_ISSUER",
    ],
)
def test_what_the_gateway_cannot_do_without_is_passed(left_out: str) -> None:
    assert left_out in passed()
    with pytest.raises(SettingsError):
        read({name: value for name, value in passed().items() if name != left_out})


def test_only_the_load_balancers_word_on_an_address_is_believed() -> None:
    public = {
        each.inputs["cidrBlock"] for each in prod().of("aws:ec2/subnet:Subnet") if "public" in each.name
    }
    assert {str(each) for each in read(passed()).proxies} == public


def test_the_gateway_shows_a_token_to_the_api_server_and_to_nobody_else() -> None:
    file = environment("gateway")["CALLER_KEYS_TOKEN_FILE"]
    assert tokens("gateway") == {file: {"path": "api-server", "expirationSeconds": 3600}}


def test_the_gateway_reaches_aws_by_addresses_of_the_vpc() -> None:
    for name in READ_BY_BOTO3:
        assert ".vpce." in environment("gateway")[name]
    policy = next(
        each
        for each in prod().of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        if each.inputs["metadata"]["name"] == "gateway"
    )
    egress = json.dumps(policy.inputs["spec"]["egress"])
    assert "0.0.0.0/0" not in egress
    assert METADATA not in egress


def test_a_model_that_is_being_copied_is_heard_of_by_people_and_by_the_blocker() -> None:
    group = environment("gateway")["QUERY_LOG_GROUP"]
    (counted,) = [
        each.inputs
        for each in prod().of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
        if each.inputs["logGroupName"] == group
    ]
    assert counted["pattern"] == SUSPICION
    alarm = named(prod(), "aws:cloudwatch/metricAlarm:MetricAlarm", "gateway-extraction-suspected").inputs
    assert alarm["metricName"] == counted["metricTransformation"]["name"]
    assert alarm["alarmActions"]
    heard = [
        each.inputs
        for each in prod().of("aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter")
        if each.inputs["logGroup"] == group and each.inputs["filterPattern"]
    ]
    (to_the_blocker,) = heard
    assert to_the_blocker["filterPattern"] == SUSPICION
    assert ":function:" in to_the_blocker["destinationArn"]


def test_budgets_are_forgotten_by_the_table_itself() -> None:
    (table,) = [each for each in prod().of("aws:dynamodb/table:Table") if each.name == "gateway-budgets"]
    assert table.inputs["hashKey"] == "account"
    assert table.inputs["ttl"] == {"enabled": True, "attributeName": "forget_at"}
