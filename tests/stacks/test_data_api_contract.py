"""The component and the service are two projects: what the one passes is what the other reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.data_api import AUDIENCE, DATABASE_CA_FILE, DATABASE_USER
from components.pods import USER_ID
from services.data_api.settings import BY_NAME, read
from services.shared.settings import SettingsError
from stacks.parts.cluster import DATA_API_PORT
from tests.stacks.pods import environment, pod, prod, tokens

SERVICE = Path(__file__).parents[2] / "services" / "data_api"


def test_the_service_reads_everything_that_the_component_passes() -> None:
    passed = environment("data-api")
    assert set(passed) <= set(BY_NAME), "the service would not hear of these"
    settings = read(passed)
    assert settings.database_user == DATABASE_USER
    assert settings.caller_audience == AUDIENCE
    assert settings.port == DATA_API_PORT == pod("data-api")["containers"][0]["ports"][0]["containerPort"]
    assert settings.database_password_file is None, "it signs in with a token of IAM"
    assert settings.audit_log_group == "/secure-ml-platform-prod/data-api/audit"


@pytest.mark.parametrize(
    ("left_out", "says"),
    [
        ("DATABASE_HOST", "DATABASE_HOST"),
        ("CALLER_ISSUER", "CALLER_ISSUER"),
        # Where the keys are is not needed everywhere; a token that is shown nowhere is a mistake.
        ("CALLER_KEYS_URL", "CALLER_KEYS_TOKEN_FILE"),
    ],
)
def test_what_the_service_cannot_do_without_is_passed(left_out: str, says: str) -> None:
    passed = environment("data-api")
    assert left_out in passed
    with pytest.raises(SettingsError, match=says):
        read({name: value for name, value in passed.items() if name != left_out})


def test_the_service_shows_the_api_server_a_token_that_is_good_for_nobody_else() -> None:
    file = environment("data-api")["CALLER_KEYS_TOKEN_FILE"]
    assert tokens("data-api") == {file: {"path": "api-server", "expirationSeconds": 3600}}


@pytest.mark.parametrize("app", ["trainer", "redteam"])
def test_callers_have_a_token_for_the_data_api_and_for_nobody_else(app: str) -> None:
    file = environment(app)["DATA_API_TOKEN_FILE"]
    assert tokens(app) == {file: {"path": AUDIENCE, "audience": AUDIENCE, "expirationSeconds": 3600}}


def test_the_image_has_what_the_component_names() -> None:
    dockerfile = (SERVICE / "Dockerfile").read_text()
    assert DATABASE_CA_FILE in dockerfile
    assert f"USER {USER_ID}" in dockerfile


def test_the_role_of_the_migrations_is_the_user_that_signs_in() -> None:
    roles = (SERVICE / "migrations" / "001_roles.sql").read_text()
    assert f"CREATE ROLE {DATABASE_USER} LOGIN" in roles
    assert f"GRANT rds_iam TO {DATABASE_USER}" in roles


def test_what_services_and_the_web_acl_log_is_archived_where_questions_are_asked() -> None:
    streams = {
        each.outputs.get("arn", each.name): each.name
        for each in prod().of("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
    }
    taken = {
        each.inputs["logGroup"]: streams[each.inputs["destinationArn"]].rsplit("-", 1)[-1]
        for each in prod().of("aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter")
        if each.inputs["destinationArn"] in streams
    }
    assert taken == {
        "aws-waf-logs-secure-ml-platform-prod-edge": "waf",
        "/secure-ml-platform-prod/data-api/audit": "service",
        "/secure-ml-platform-prod/gateway/queries": "service",
    }
