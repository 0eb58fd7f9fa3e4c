"""The archive: every event of a log group, one a line, written by one role and deleted by nobody."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.graph import Graph
from components.audit_tables import WAF
from components.log_archive import ArchivePlace, LogArchive, archive_statements
from components.storage import SecureBucket
from tests.components.evaluation import admitted
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, named, one, statement, statements

PLACE = ArchivePlace(
    account_id=ACCOUNT, region=HOME, bucket_name="smlp-test-archive", writer_name="plat-archive"
)
STREAM = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
SUBSCRIPTION = "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter"


@pytest.fixture(scope="module")
def graph() -> Graph:
    def build(opts: pulumi.ResourceOptions, _: aws.Provider) -> None:
        SecureBucket(
            "archive",
            bucket_name=PLACE.bucket_name,
            key_arn=key("reports"),
            data_domain="reports",
            access_log_bucket="smlp-test-logs",
            noncurrent_days=30,
            extra_statements=archive_statements(PLACE),
            opts=opts,
        )
        archive = LogArchive(
            "plat",
            place=PLACE,
            logs=["waf"],
            key_arn=key("reports"),
            logs_key_arn=key("logs"),
            log_retention_days=365,
            permissions_boundary_arn=BOUNDARY,
            opts=opts,
        )
        archive.take("waf", "aws-waf-logs-edge", name="edge")
        with pytest.raises(ValueError, match="the archive has waf"):
            archive.take("service", "/services/x", name="x")

    return built(build)


@pytest.mark.parametrize(
    ("action", "principal", "gets_in"),
    [
        pytest.param("s3:PutObject", PLACE.writer_arn, True, id="the-writer"),
        pytest.param("s3:PutObject", f"{PLACE.writer_arn}-2", False, id="a-role-of-nearly-that-name"),
        pytest.param(
            "s3:PutObject", f"arn:aws:iam::{ACCOUNT}:role/service", False, id="a-service-that-covers-up"
        ),
        pytest.param("s3:DeleteObject", PLACE.writer_arn, False, id="the-writer-deletes"),
        pytest.param("s3:GetObject", f"arn:aws:iam::{ACCOUNT}:role/auditor", True, id="an-auditor-reads"),
    ],
)
def test_one_role_writes_and_nobody_deletes(action: str, principal: str, gets_in: bool, graph: Graph) -> None:
    said = statements(one(graph, "aws:s3/bucketPolicy:BucketPolicy"))
    assert (
        admitted(
            said,
            action=action,
            resource=f"{PLACE.bucket_arn}/waf/2026/01/31/x.gz",
            context={"aws:PrincipalArn": principal},
        )
        is gets_in
    )


def test_the_role_that_may_write_is_the_role_that_writes(graph: Graph) -> None:
    writer = named(graph, "aws:iam/role:Role", "-writer")
    assert writer.outputs["arn"] == PLACE.writer_arn
    assert one(graph, STREAM).inputs["extendedS3Configuration"]["roleArn"] == PLACE.writer_arn


def test_what_waits_and_what_lies_there_is_under_our_key(graph: Graph) -> None:
    stream = one(graph, STREAM).inputs
    assert stream["serverSideEncryption"] == {
        "enabled": True,
        "keyType": "CUSTOMER_MANAGED_CMK",
        "keyArn": key("reports"),
    }
    assert stream["extendedS3Configuration"]["kmsKeyArn"] == key("reports")


def test_files_lie_where_the_table_looks_for_them(graph: Graph) -> None:
    """A day of the table is a folder of the stream."""
    template = WAF.parameters(PLACE.url("waf"))["storage.location.template"]
    folder = one(graph, STREAM).inputs["extendedS3Configuration"]["prefix"]
    day = template.removeprefix(f"s3://{PLACE.bucket_name}/").replace("${day}", "2026/01/31") + "/"
    assert folder.replace("!{timestamp:yyyy/MM/dd}", "2026/01/31") == day
    assert WAF.parameters("s3://x")["projection.day.format"] == "yyyy/MM/dd"


def test_bundles_are_opened_and_events_stand_one_a_line(graph: Graph) -> None:
    processing = one(graph, STREAM).inputs["extendedS3Configuration"]["processingConfiguration"]
    assert processing["enabled"] is True
    assert [processor["type"] for processor in processing["processors"]] == [
        "Decompression",
        "CloudWatchLogProcessing",
        "AppendDelimiterToRecord",
    ]


def test_no_event_is_left_out(graph: Graph) -> None:
    subscription = one(graph, SUBSCRIPTION).inputs
    assert subscription["filterPattern"] == ""
    assert subscription["logGroup"] == "aws-waf-logs-edge"
    assert subscription["destinationArn"] == one(graph, STREAM).outputs["arn"]


def test_roles_act_for_this_account_inside_the_boundary(graph: Graph) -> None:
    for role in graph.of("aws:iam/role:Role"):
        assert role.inputs["permissionsBoundary"] == BOUNDARY
        (trust,) = statements(role, "assumeRolePolicy")
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_log_groups_reach_the_streams_and_nothing_else(graph: Graph) -> None:
    sender = named(graph, "aws:iam/rolePolicy:RolePolicy", "-sender")
    granted = statement(sender, "SendToTheStreams")
    assert granted["Resource"] == [one(graph, STREAM).outputs["arn"]]
    assert len(statements(sender)) == 1
