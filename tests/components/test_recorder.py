"""Configurations: recorded without a gap, by AWS alone, and deleted by nobody."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.graph import Graph
from components.recorder import ConfigurationRecorder, ReportsPlace, recorder_role, report_statements
from components.storage import SecureBucket
from tests.components.evaluation import admitted
from tests.components.support import ACCOUNT, HOME, built, key, one, statements

PLACE = ReportsPlace(account_id=ACCOUNT, region=HOME, bucket_name="smlp-test-reports")
RECORDER = "aws:cfg/recorder:Recorder"


def recorder(*, records_global: bool = True) -> Graph:
    def build(opts: pulumi.ResourceOptions, backup: aws.Provider) -> None:
        bucket = SecureBucket(
            "reports",
            bucket_name=PLACE.bucket_name,
            key_arn=key("reports"),
            data_domain="reports",
            access_log_bucket="smlp-test-logs",
            noncurrent_days=30,
            extra_statements=report_statements(PLACE),
            opts=opts,
        )
        role = recorder_role("config", pulumi.ResourceOptions(provider=backup))
        ConfigurationRecorder(
            "config",
            role_arn=role.arn,
            bucket=bucket,
            bucket_name=PLACE.bucket_name,
            key_arn=key("reports"),
            records_global=records_global,
            opts=opts,
        )

    return built(build)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return recorder()


def test_every_type_of_resource_is_recorded(graph: Graph) -> None:
    assert one(graph, RECORDER).inputs["recordingGroup"] == {
        "allSupported": True,
        "includeGlobalResourceTypes": True,
    }


def test_the_world_is_recorded_in_one_region_only() -> None:
    group = one(recorder(records_global=False), RECORDER).inputs["recordingGroup"]
    assert group == {"allSupported": True, "includeGlobalResourceTypes": False}


def test_the_recorder_runs_once_it_can_deliver(graph: Graph) -> None:
    status = one(graph, "aws:cfg/recorderStatus:RecorderStatus")
    channel = one(graph, "aws:cfg/deliveryChannel:DeliveryChannel")
    assert status.inputs["isEnabled"]
    assert channel.urn in status.dependencies
    assert one(graph, RECORDER).urn in channel.dependencies
    assert one(graph, "aws:s3/bucketPolicy:BucketPolicy").urn in channel.dependencies


def test_history_is_under_our_key(graph: Graph) -> None:
    assert one(graph, "aws:cfg/deliveryChannel:DeliveryChannel").inputs["s3KmsKeyArn"] == key("reports")


def test_the_role_is_the_one_that_security_hub_asks_for(graph: Graph) -> None:
    assert (
        one(graph, RECORDER)
        .inputs["roleArn"]
        .endswith(":role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig")
    )


HISTORY = f"{PLACE.bucket_arn}/config/AWSLogs/{ACCOUNT}/Config/x"
RESULTS = f"{PLACE.bucket_arn}/macie/x"
OWN = {"aws:SourceAccount": ACCOUNT}
ACL = {"s3:x-amz-acl": "bucket-owner-full-control"}
JOB = {"aws:SourceArn": f"arn:aws:macie2:{HOME}:{ACCOUNT}:classification-job/1"}


@pytest.mark.parametrize(
    ("action", "resource", "service", "context", "gets_in"),
    [
        pytest.param("s3:PutObject", HISTORY, "config.amazonaws.com", {**OWN, **ACL}, True, id="config"),
        pytest.param("s3:PutObject", RESULTS, "macie.amazonaws.com", {**OWN, **JOB}, True, id="macie"),
        pytest.param(
            "s3:PutObject", RESULTS, "config.amazonaws.com", {**OWN, **ACL}, False, id="config-elsewhere"
        ),
        pytest.param(
            "s3:PutObject",
            HISTORY,
            "config.amazonaws.com",
            {"aws:SourceAccount": "999999999999", **ACL},
            False,
            id="config-of-another-account",
        ),
        pytest.param("s3:PutObject", RESULTS, "macie.amazonaws.com", OWN, False, id="macie-for-nobody"),
        pytest.param("s3:PutObject", HISTORY, None, {}, False, id="an-administrator-who-rewrites-history"),
        pytest.param("s3:DeleteObjectVersion", HISTORY, None, {}, False, id="an-administrator-who-deletes"),
        pytest.param("s3:GetObject", HISTORY, None, {}, True, id="an-auditor-who-reads"),
    ],
)
def test_reports_come_from_aws_and_stay(
    action: str, resource: str, service: str | None, context: dict[str, Any], gets_in: bool, graph: Graph
) -> None:
    said = statements(one(graph, "aws:s3/bucketPolicy:BucketPolicy"))
    assert admitted(said, action=action, resource=resource, service=service, context=context) is gets_in
