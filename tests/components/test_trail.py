"""The trail: it sees everything, it can be believed, and only CloudTrail ever wrote it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.graph import Graph
from components.storage import ObjectLock, SecureBucket
from components.trail import SERVICE, Trail, TrailPlace, delivery_statements
from tests.components.evaluation import admitted
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, one, statement, statements

PLACE = TrailPlace(account_id=ACCOUNT, region=HOME, name="t", bucket_name="smlp-test-audit")
DATA, MODELS = "arn:aws:s3:::smlp-test-data", "arn:aws:s3:::smlp-test-models"
TRAIL = "aws:cloudtrail/trail:Trail"


def trail(*watched: str) -> Graph:
    def build(opts: pulumi.ResourceOptions, _: aws.Provider) -> None:
        bucket = SecureBucket(
            "audit",
            bucket_name=PLACE.bucket_name,
            key_arn=key("logs"),
            data_domain="logs",
            access_log_bucket="smlp-test-logs",
            noncurrent_days=30,
            lock=ObjectLock(mode="COMPLIANCE", days=365),
            extra_statements=delivery_statements(PLACE),
            opts=opts,
        )
        Trail(
            "trail",
            place=PLACE,
            bucket=bucket,
            watched_bucket_arns=watched,
            key_arn=key("logs"),
            log_retention_days=365,
            permissions_boundary_arn=BOUNDARY,
            opts=opts,
        )

    return built(build)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return trail(DATA, MODELS)


def test_every_region_is_seen_and_every_file_can_be_verified(graph: Graph) -> None:
    inputs = one(graph, TRAIL).inputs
    assert inputs["isMultiRegionTrail"]
    assert inputs["includeGlobalServiceEvents"]
    assert inputs["enableLogFileValidation"]
    assert inputs["enableLogging"]
    assert inputs["kmsKeyId"] == key("logs")


def selector(graph: Graph, category: str) -> dict[str, dict[str, list[str]]]:
    (found,) = [
        {each["field"]: each for each in chosen["fieldSelectors"]}
        for chosen in one(graph, TRAIL).inputs["advancedEventSelectors"]
        if {"field": "eventCategory", "equals": [category]} in chosen["fieldSelectors"]
    ]
    return found


def test_no_call_that_manages_something_is_left_out(graph: Graph) -> None:
    # A selector of readOnly or of an event source would leave a way to act unseen.
    assert set(selector(graph, "Management")) == {"eventCategory"}


def test_reads_and_writes_of_data_and_models_are_events(graph: Graph) -> None:
    data = selector(graph, "Data")
    assert data["resources.type"]["equals"] == ["AWS::S3::Object"]
    # The slash keeps buckets out whose names only begin so.
    assert data["resources.ARN"]["startsWiths"] == [f"{DATA}/", f"{MODELS}/"]
    assert "readOnly" not in data


def test_bursts_of_calls_and_of_errors_are_noticed(graph: Graph) -> None:
    found = {each["insightType"] for each in one(graph, TRAIL).inputs["insightSelectors"]}
    assert found == {"ApiCallRateInsight", "ApiErrorRateInsight"}


LOG_FILE = f"{PLACE.bucket_arn}/AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/2026/01/31/x.json.gz"
OURS = {"aws:SourceArn": PLACE.arn, "s3:x-amz-acl": "bucket-owner-full-control"}


@pytest.mark.parametrize(
    ("service", "context", "gets_in"),
    [
        pytest.param(SERVICE, OURS, True, id="this-trail"),
        pytest.param(
            SERVICE, {**OURS, "s3:x-amz-server-side-encryption": "AES256"}, True, id="digests-of-this-trail"
        ),
        pytest.param(
            SERVICE,
            {**OURS, "aws:SourceArn": PLACE.arn.replace(ACCOUNT, "999999999999")},
            False,
            id="a-trail-of-somebody-elses-account",
        ),
        pytest.param(SERVICE, {**OURS, "aws:SourceArn": f"{PLACE.arn}2"}, False, id="another-trail-of-ours"),
        pytest.param("config.amazonaws.com", OURS, False, id="another-service"),
        pytest.param(None, {}, False, id="an-administrator-who-invents-events"),
    ],
)
def test_only_this_trail_writes_records(
    service: str | None, context: dict[str, str], gets_in: bool, graph: Graph
) -> None:
    said = statements(one(graph, "aws:s3/bucketPolicy:BucketPolicy"))
    assert (
        admitted(said, action="s3:PutObject", resource=LOG_FILE, service=service, context=context) is gets_in
    )


def test_the_bucket_is_ready_before_the_trail_delivers(graph: Graph) -> None:
    """CloudTrail refuses to make a trail whose bucket would refuse it."""
    dependencies = one(graph, TRAIL).dependencies
    for type_ in ("bucketPolicy:BucketPolicy", "bucketObjectLockConfiguration:BucketObjectLockConfiguration"):
        assert one(graph, f"aws:s3/{type_}").urn in dependencies


def test_events_reach_an_encrypted_log_group_for_alarms(graph: Graph) -> None:
    group = one(graph, "aws:cloudwatch/logGroup:LogGroup")
    assert group.inputs["kmsKeyId"] == key("logs")
    assert group.inputs["retentionInDays"] == 365
    assert one(graph, TRAIL).inputs["cloudWatchLogsGroupArn"] == f"{group.outputs['arn']}:*"


def test_the_role_is_this_trails_and_writes_nothing_but_its_events(graph: Graph) -> None:
    role = one(graph, "aws:iam/role:Role")
    assert role.inputs["permissionsBoundary"] == BOUNDARY
    trust = statement(role, "ThisTrail", "assumeRolePolicy")
    assert trust["Condition"]["StringEquals"]["aws:SourceArn"] == one(graph, TRAIL).outputs["arn"]
    (granted,) = statements(one(graph, "aws:iam/rolePolicy:RolePolicy"))
    assert granted["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    group = one(graph, "aws:cloudwatch/logGroup:LogGroup").outputs["arn"]
    assert granted["Resource"] == [f"{group}:log-stream:{ACCOUNT}_CloudTrail_{HOME}*"]


def test_a_trail_that_watches_no_data_is_refused() -> None:
    with pytest.raises(ValueError, match="watched_bucket_arns is empty"):
        trail()
