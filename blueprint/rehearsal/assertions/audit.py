"""What records and watches, in both regions, and who is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

audit = Assertions("audit")

TRAIL = "aws:cloudtrail/trail:Trail"
RECORDER = "aws:cfg/recorder:Recorder"
DETECTOR = "aws:guardduty/detector:Detector"
FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
RULE = "aws:cloudwatch/eventRule:EventRule"
WORKGROUP = "aws:athena/workgroup:Workgroup"
STREAM = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"


def _trails(account: Account) -> Iterator[Any]:
    yield from account.client("cloudtrail").describe_trails()["trailList"]


@audit("The trail covers every region, signs its files and is encrypted by a key of ours", about=TRAIL)
def trail_covers_every_region(account: Account) -> Iterator[Seen]:
    for trail in _trails(account):
        yield (
            trail["Name"],
            trail["IsMultiRegionTrail"]
            and trail["IncludeGlobalServiceEvents"]
            and trail["LogFileValidationEnabled"]
            and ":key/" in trail.get("KmsKeyId", ""),
        )


@audit("The trail is on", about=TRAIL)
def trail_is_on(account: Account) -> Iterator[Seen]:
    for trail in _trails(account):
        yield trail["Name"], account.client("cloudtrail").get_trail_status(Name=trail["Name"])["IsLogging"]


@audit("Every read and write of data and models is an event", about=TRAIL)
def objects_are_watched(account: Account) -> Iterator[Seen]:
    for trail in _trails(account):
        told = account.client("cloudtrail").get_event_selectors(TrailName=trail["Name"])
        fields = [
            field
            for selector in told["AdvancedEventSelectors"]
            for field in selector["FieldSelectors"]
            if field["Field"] == "resources.ARN"
        ]
        watched = "".join(start for field in fields for start in field.get("StartsWith", []))
        yield trail["Name"], "-data-" in watched and "-models-" in watched


@audit("Nobody but the trail writes into its bucket", about=TRAIL)
def only_the_trail_writes(account: Account) -> Iterator[Seen]:
    for trail in _trails(account):
        policy = json.loads(account.client("s3").get_bucket_policy(Bucket=trail["S3BucketName"])["Policy"])
        writing = [said for said in policy["Statement"] if "s3:PutObject" in said["Action"]]
        refused = any(
            said["Effect"] == "Deny"
            and said["Condition"]
            == {"StringNotEquals": {"aws:PrincipalServiceName": ["cloudtrail.amazonaws.com"]}}
            for said in writing
        )
        allowed = [said for said in writing if said["Effect"] == "Allow"]
        yield (
            trail["S3BucketName"],
            refused
            and [said["Condition"]["StringEquals"]["aws:SourceArn"] for said in allowed]
            == [trail["TrailARN"]],
        )


@audit("Configurations of every type are recorded, in both regions", about=RECORDER)
def configurations_are_recorded(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        client = account.client("config", region)
        recorders = client.describe_configuration_recorders()["ConfigurationRecorders"]
        running = client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
        yield (
            region,
            bool(recorders)
            and all(recorder["recordingGroup"]["allSupported"] for recorder in recorders)
            and all(status["recording"] for status in running),
        )


@audit("What is the whole account's is recorded in the home region", about=RECORDER)
def the_world_is_recorded_once(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        (recorder,) = account.client("config", region).describe_configuration_recorders()[
            "ConfigurationRecorders"
        ]
        everywhere = recorder["recordingGroup"]["includeGlobalResourceTypes"]
        yield region, everywhere is (region == account.home_region)


@audit("Threats are looked for with every feature, in both regions", about=DETECTOR)
def threats_are_looked_for(account: Account) -> Iterator[Seen]:
    needed = {
        "S3_DATA_EVENTS",
        "EKS_AUDIT_LOGS",
        "EBS_MALWARE_PROTECTION",
        "RDS_LOGIN_EVENTS",
        "RUNTIME_MONITORING",
    }
    for region in account.regions:
        client = account.client("guardduty", region)
        for identifier in client.list_detectors()["DetectorIds"]:
            detector = client.get_detector(DetectorId=identifier)
            on = {feature["Name"] for feature in detector["Features"] if feature["Status"] == "ENABLED"}
            yield f"{region} {identifier}", detector["Status"] == "ENABLED" and needed <= on


@audit("What CIS asks about is counted, and rings an alarm that tells somebody", about=FILTER)
def cis_alarms_ring(account: Account) -> Iterator[Seen]:
    alarms = {
        alarm["MetricName"]: alarm
        for alarm in account.every("cloudwatch", "describe_alarms", "MetricAlarms")
        if "MetricName" in alarm
    }
    (trail,) = _trails(account)
    group = trail["CloudWatchLogsLogGroupArn"].split(":log-group:")[1].removesuffix(":*")
    for found in account.every("logs", "describe_metric_filters", "metricFilters"):
        if found["logGroupName"] == group:
            metric = found["metricTransformations"][0]["metricName"]
            yield metric, bool(alarms.get(metric, {}).get("AlarmActions"))


@audit("All fifteen alarms of CIS are there, and that of break-glass", about=FILTER)
def cis_alarms_are_complete(account: Account) -> Iterator[Seen]:
    alarms = account.every("cloudwatch", "describe_alarms", "MetricAlarms")
    found = {alarm["AlarmName"] for alarm in alarms if alarm.get("Namespace") == "CisAlarms"}
    yield "the table", len(found) == 16


@audit("Every rule ends at a topic of its own region", about=RULE)
def rules_tell_somebody(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        client = account.client("events", region)
        for rule in client.list_rules()["Rules"]:
            targets = client.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            yield (
                f"{region} {rule['Name']}",
                rule["State"] == "ENABLED"
                and [t["Arn"].split(":")[2:4] for t in targets] == [["sns", region]],
            )


@audit("Every topic has a subscriber", about="aws:sns/topic:Topic")
def topics_have_subscribers(account: Account) -> Iterator[Seen]:
    for region in account.regions:
        client = account.client("sns", region)
        for topic in client.list_topics()["Topics"]:
            told = client.list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"]
            yield topic["TopicArn"], bool(told)


@audit("No client chooses where answers go or how they are encrypted", about=WORKGROUP)
def answers_are_encrypted(account: Account) -> Iterator[Seen]:
    client = account.client("athena")
    for workgroup in account.of(WORKGROUP):
        found = client.get_work_group(WorkGroup=workgroup.id)["WorkGroup"]["Configuration"]
        results = found["ResultConfiguration"]
        yield (
            workgroup.id,
            found["EnforceWorkGroupConfiguration"]
            and results["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
            and ":key/" in results["EncryptionConfiguration"]["KmsKey"],
        )


@audit("Every table computes its partitions and lies in a bucket of ours", about=WORKGROUP)
def tables_lie_in_our_buckets(account: Account) -> Iterator[Seen]:
    ours = {bucket.attributes["bucket"] for bucket in account.of("aws:s3/bucket:Bucket")}
    client = account.client("glue")
    for database in account.of("aws:glue/catalogDatabase:CatalogDatabase"):
        for table in client.get_tables(DatabaseName=database.attributes["name"])["TableList"]:
            bucket = table["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")[0]
            yield table["Name"], bucket in ours and table["Parameters"]["projection.enabled"] == "true"


@audit("The questions of the audit are saved", about="aws:athena/namedQuery:NamedQuery")
def questions_are_saved(account: Account) -> Iterator[Seen]:
    client = account.client("athena")
    for workgroup in account.of(WORKGROUP):
        names = {
            client.get_named_query(NamedQueryId=identifier)["NamedQuery"]["Name"]
            for identifier in client.list_named_queries(WorkGroup=workgroup.id)["NamedQueryIds"]
        }
        for wanted in ("who-queried-model", "who-used-role", "what-was-denied", "everything-from-address"):
            yield wanted, wanted in names


@audit("What waits for the archive is encrypted by a key of ours", about=STREAM)
def streams_are_encrypted(account: Account) -> Iterator[Seen]:
    client = account.client("firehose")
    for name in client.list_delivery_streams()["DeliveryStreamNames"]:
        stream = client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        yield name, ":key/" in stream.get("DeliveryStreamEncryptionConfiguration", {}).get("KeyARN", "")


_ASKED = ("aws-waf-logs-", "/data-api/audit", "/gateway/queries")
"""Parts of the names of the log groups that auditors ask about."""


@audit("What services were asked and the web ACL refused is on its way into the archive", about=STREAM)
def logs_reach_the_archive(account: Account) -> Iterator[Seen]:
    firehose, logs = account.client("firehose"), account.client("logs")
    streams = {
        firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"][
            "DeliveryStreamARN"
        ]
        for name in firehose.list_delivery_streams()["DeliveryStreamNames"]
    }
    for group in account.every("logs", "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        if any(part in name for part in _ASKED):
            taken = logs.describe_subscription_filters(logGroupName=name)["subscriptionFilters"]
            yield name, any(each["destinationArn"] in streams and not each["filterPattern"] for each in taken)
