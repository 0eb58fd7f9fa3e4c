"""Cases of the family AUD."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-90ab-cdef-1234-567890abcdef"
S3 = "AWS::S3::Object"
FEATURES = ("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "RDS_LOGIN_EVENTS", "EBS_MALWARE_PROTECTION")
STANDARDS = (
    "aws-foundational-security-best-practices/v/1.0.0",
    "cis-aws-foundations-benchmark/v/3.0.0",
)


def bucket(name: str = "bucket") -> aws.s3.Bucket:
    return aws.s3.Bucket(name)


def selector(*fields: tuple[str, list[str]]) -> dict[str, Any]:
    return {"field_selectors": [{"field": field, "equals": equals} for field, equals in fields]}


DATA = selector(("eventCategory", ["Data"]), ("resources.type", [S3]))


def trail(**more: Any) -> aws.cloudtrail.Trail:
    said: dict[str, Any] = {
        "s3_bucket_name": "trail-bucket",
        "is_multi_region_trail": True,
        "enable_log_file_validation": True,
        "kms_key_id": KEY,
        "advanced_event_selectors": [DATA],
    }
    return aws.cloudtrail.Trail("trail", **{**said, **more})


def recorded(**more: Any) -> None:
    bucket()
    trail(**more)


def bucket_of_the_trail(
    *, locked: bool = True, service: str = "cloudtrail.amazonaws.com", who: str = "Service"
) -> None:
    made = bucket("trail-bucket")
    trail(s3_bucket_name=made.bucket)
    if locked:
        aws.s3.BucketObjectLockConfiguration(
            "lock", bucket=made.bucket, rule={"default_retention": {"mode": "GOVERNANCE", "days": 90}}
        )
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {who: service}, "Action": "s3:PutObject", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"},
        ],
    }
    aws.s3.BucketPolicy("policy", bucket=made.bucket, policy=json.dumps(document))


def group(**more: Any) -> aws.cloudwatch.LogGroup:
    return aws.cloudwatch.LogGroup("group", **{"kms_key_id": KEY, "retention_in_days": 90, **more})


def detector(features: Sequence[str] = FEATURES, *, status: str = "ENABLED", **more: Any) -> Any:
    bucket()
    made = aws.guardduty.Detector("detector", **{"enable": True, **more})
    for name in features:
        aws.guardduty.DetectorFeature(name, detector_id=made.id, name=name, status=status)
    return made


def posture(
    *,
    hub: bool = True,
    standards: Sequence[str] = STANDARDS,
    recorder_on: bool = True,
    channel: bool = True,
) -> None:
    bucket()
    if hub:
        aws.securityhub.Account("hub")
    for index, standard in enumerate(standards):
        aws.securityhub.StandardsSubscription(
            f"standard-{index}", standards_arn=f"arn:aws:securityhub:{REGION}::standards/{standard}"
        )
    aws.cfg.RecorderStatus("recorder", is_enabled=recorder_on)
    if channel:
        aws.cfg.DeliveryChannel("channel", s3_bucket_name="config")


PATTERNS = {
    "root": '{ $.userIdentity.type = "Root" }',
    "sign-in": '{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") }',
    "iam": "{ $.eventName = PutRolePolicy }",
    "trail": "{ $.eventName = StopLogging }",
    "key": "{ $.eventName = ScheduleKeyDeletion }",
    "group": "{ $.eventName = AuthorizeSecurityGroupIngress }",
    "route": "{ $.eventName = CreateRoute }",
}


def alarms(*, without: str = "", silent: str = "") -> None:
    recorded()
    for name, pattern in PATTERNS.items():
        if name == without:
            continue
        aws.cloudwatch.LogMetricFilter(
            name,
            log_group_name="trail",
            pattern=pattern,
            metric_transformation={"name": name, "namespace": "cis", "value": "1"},
        )
        aws.cloudwatch.MetricAlarm(
            name,
            namespace="cis",
            metric_name=name,
            comparison_operator="GreaterThanOrEqualToThreshold",
            evaluation_periods=1,
            alarm_actions=[] if name == silent else [f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"],
        )


def findings(*, encrypted: bool = True, subscribed: bool = True, source: str = "aws.guardduty") -> None:
    detector()
    topic = aws.sns.Topic("topic", kms_master_key_id=KEY if encrypted else None)
    if subscribed:
        aws.sns.TopicSubscription("mail", topic=topic.arn, protocol="email", endpoint="a@example.org")
    rule = aws.cloudwatch.EventRule("rule", event_pattern=json.dumps({"source": [source]}))
    aws.cloudwatch.EventTarget("target", rule=rule.name, arn=topic.arn)


def vpc(*, logs: bool) -> None:
    made = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    if logs:
        aws.route53.ResolverQueryLogConfigAssociation(
            "names", resolver_query_log_config_id="rqlc-1", resource_id=made.id
        )


def database(exports: list[str]) -> None:
    aws.rds.Instance("database", instance_class="db.m7g.large", enabled_cloudwatch_logs_exports=exports)


def workgroup(option: str | None = "SSE_KMS", *, made: bool = True, enforced: bool = True) -> None:
    recorded()
    encryption: Any = {"encryption_option": option, "kms_key_arn": KEY} if option else None
    result: Any = {"output_location": "s3://answers/", "encryption_configuration": encryption}
    if made:
        aws.athena.Workgroup(
            "workgroup",
            configuration={
                "enforce_workgroup_configuration": enforced,
                "result_configuration": result,
            },
        )


HIPAA = {"profile": "hipaa"}


def personal(*, status: str = "ENABLED", job: str = "SCHEDULED", other: bool = False) -> None:
    made = aws.s3.Bucket("bucket", tags={"data-domain": "data"})
    aws.macie2.Account("macie", status=status)
    aws.macie2.ClassificationJob(
        "job",
        job_type=job,
        s3_job_definition={
            "bucket_definitions": [{"account_id": ACCOUNT, "buckets": ["other"] if other else [made.bucket]}]
        },
    )


def copied_data() -> None:
    copy = aws.s3.Bucket("copy", tags={"data-domain": "data"})
    destination: Any = {"bucket": copy.arn}
    aws.s3.BucketReplicationConfig(
        "replication",
        bucket="bucket",
        role=f"arn:aws:iam::{ACCOUNT}:role/copies",
        rules=[{"status": "Enabled", "destination": destination}],
    )


LOGGED: Any = {
    "destination_arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:api",
    "format": "$context.requestId",
}


def stage(settings: Any) -> Any:
    return lambda: aws.apigateway.Stage(
        "s", rest_api="a", deployment="d", stage_name="v1", access_log_settings=settings
    )


def http_stage(settings: Any) -> Any:
    return lambda: aws.apigatewayv2.Stage("s", api_id="a", access_log_settings=settings)


def distribution(*, logging: bool = False, delivery: bool = False) -> Any:
    def program() -> None:
        origin: Any = {"domain_name": "x.example.org", "origin_id": "x"}
        behaviour: Any = {
            "allowed_methods": ["GET", "HEAD"],
            "cached_methods": ["GET", "HEAD"],
            "target_origin_id": "x",
            "viewer_protocol_policy": "https-only",
        }
        made = aws.cloudfront.Distribution(
            "d",
            enabled=True,
            origins=[origin],
            default_cache_behavior=behaviour,
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={"cloudfront_default_certificate": True},
            logging_config={"bucket": "logs.s3.amazonaws.com"} if logging else None,
        )
        if delivery:
            aws.cloudwatch.LogDeliverySource("l", name="l", log_type="ACCESS_LOGS", resource_arn=made.arn)

    return program


CASES = [
    Case(control="AUD-01", compliant=recorded, violating=bucket, mentions="has no trail"),
    *(
        Case(
            control="AUD-01",
            compliant=recorded,
            violating=lambda change=change: recorded(**change),  # type: ignore[misc]
            mentions=mentions,
        )
        for change, mentions in (
            ({"is_multi_region_trail": False}, "sees one region"),
            ({"include_global_service_events": False}, "leaves out IAM"),
            ({"enable_log_file_validation": None}, "without a trace"),
            ({"enable_logging": False}, "is switched off"),
            ({"kms_key_id": None}, "kmsKeyId"),
        )
    ),
    Case(
        control="AUD-02",
        compliant=bucket_of_the_trail,
        violating=lambda: bucket_of_the_trail(locked=False),
        mentions="locks none",
    ),
    *(
        Case(
            control="AUD-02",
            compliant=bucket_of_the_trail,
            violating=lambda who=who, service=service: bucket_of_the_trail(who=who, service=service),  # type: ignore[misc]
            mentions="somebody beside CloudTrail",
        )
        for who, service in (
            ("Service", "logs.amazonaws.com"),
            ("AWS", f"arn:aws:iam::{ACCOUNT}:role/admin"),
            ("AWS", "*"),
        )
    ),
    Case(
        control="AUD-03",
        compliant=lambda: trail(
            advanced_event_selectors=None,
            event_selectors=[{"data_resources": [{"type": S3, "values": ["arn:aws:s3"]}]}],
        ),
        violating=lambda: trail(advanced_event_selectors=None),
        mentions="no reads and writes",
    ),
    Case(
        control="AUD-03",
        compliant=trail,
        violating=lambda: trail(
            advanced_event_selectors=[selector(("resources.type", [S3]), ("readOnly", ["false"]))]
        ),
        mentions="no reads and writes",
    ),
    Case(
        control="AUD-03",
        compliant=trail,
        violating=lambda: trail(
            advanced_event_selectors=None,
            event_selectors=[
                {"read_write_type": "WriteOnly", "data_resources": [{"type": S3, "values": ["arn:aws:s3"]}]}
            ],
        ),
        mentions="no reads and writes",
    ),
    Case(
        control="AUD-04",
        compliant=group,
        violating=lambda: group(kms_key_id=None),
        mentions="kmsKeyId",
    ),
    Case(
        control="AUD-04",
        compliant=lambda: group(retention_in_days=2192),
        violating=lambda: group(retention_in_days=1827),
        mentions="shorter than the profile",
        tags=HIPAA,
    ),
    Case(
        control="AUD-04",
        compliant=lambda: group(retention_in_days=0),
        violating=lambda: group(retention_in_days=60),
        mentions="shorter than the profile",
    ),
    Case(control="AUD-05", compliant=detector, violating=bucket, mentions="no GuardDuty detector"),
    Case(
        control="AUD-05",
        compliant=detector,
        violating=lambda: detector(enable=False),
        mentions="that is off",
    ),
    *(
        Case(
            control="AUD-05",
            compliant=detector,
            violating=lambda name=name: detector([each for each in FEATURES if each != name]),  # type: ignore[misc]
            mentions=f"without {name}",
        )
        for name in FEATURES
    ),
    Case(
        control="AUD-05",
        compliant=detector,
        violating=lambda: detector(status="DISABLED"),
        mentions="without S3_DATA_EVENTS",
    ),
    *(
        Case(
            control="AUD-06",
            compliant=posture,
            violating=lambda change=change: posture(**change),  # type: ignore[misc]
            mentions=mentions,
        )
        for change, mentions in (
            ({"hub": False}, "does not use Security Hub"),
            ({"standards": STANDARDS[:1]}, "cis-aws-foundations-benchmark"),
            ({"standards": STANDARDS[1:]}, "aws-foundational-security-best-practices"),
            ({"recorder_on": False}, "no recorder"),
            ({"channel": False}, "delivers no configurations"),
        )
    ),
    *(
        Case(
            control="AUD-07",
            compliant=alarms,
            violating=lambda name=name: alarms(without=name),  # type: ignore[misc]
            mentions="raises no alarm",
        )
        for name in PATTERNS
    ),
    Case(
        control="AUD-07",
        compliant=alarms,
        violating=lambda: alarms(silent="key"),
        mentions="deletion of keys",
    ),
    *(
        Case(
            control="AUD-08",
            compliant=findings,
            violating=lambda change=change: findings(**change),  # type: ignore[misc]
            mentions="nobody is told",
        )
        for change in ({"encrypted": False}, {"subscribed": False}, {"source": "aws.health"})
    ),
    Case(
        control="AUD-09",
        compliant=lambda: vpc(logs=True),
        violating=lambda: vpc(logs=False),
        mentions="ask the name service",
    ),
    Case(
        control="AUD-09",
        compliant=lambda: database(["postgresql"]),
        violating=lambda: database([]),
        mentions="names no log",
    ),
    Case(
        control="AUD-10",
        compliant=workgroup,
        violating=lambda: workgroup(made=False),
        mentions="cannot be queried",
    ),
    Case(
        control="AUD-10",
        compliant=lambda: workgroup("CSE_KMS"),
        violating=lambda: workgroup("SSE_S3"),
        mentions="without a key of ours",
    ),
    Case(
        control="AUD-10",
        compliant=workgroup,
        violating=lambda: workgroup(enforced=False),
        mentions="is off",
    ),
    *(
        Case(
            control="AUD-06",
            compliant=lambda standard=standard: posture(standards=(*STANDARDS, standard)),  # type: ignore[misc]
            violating=posture,
            mentions=mentions,
            tags={"profile": profile},
        )
        for profile, standard, mentions in (
            ("hipaa", "nist-800-53/v/5.0.0", "nist-800-53"),
            ("pci", "pci-dss/v/4.0.1", "pci-dss"),
        )
    ),
    *(
        Case(
            control="AUD-11",
            compliant=personal,
            violating=lambda change=change: personal(**change),  # type: ignore[misc]
            mentions=mentions,
            tags=HIPAA,
        )
        for change, mentions in (
            ({"status": "PAUSED"}, "does not use Macie"),
            ({"job": "ONE_TIME"}, "nobody looks for"),
            ({"other": True}, "nobody looks for"),
        )
    ),
    Case(
        control="AUD-11",
        compliant=copied_data,
        violating=lambda: aws.s3.Bucket("bucket", tags={"data-domain": "data"}),
        mentions="does not use Macie",
        tags=HIPAA,
    ),
]

CASES += [
    Case(
        control="AUD-12", compliant=stage(LOGGED), violating=stage(None), mentions="nobody knows who called"
    ),
    Case(
        control="AUD-12",
        compliant=http_stage(LOGGED),
        violating=http_stage(None),
        mentions="nobody knows who called",
    ),
    Case(
        control="AUD-12",
        compliant=distribution(logging=True),
        violating=distribution(),
        mentions="nobody knows who called",
    ),
    Case(
        control="AUD-12",
        compliant=distribution(delivery=True),
        violating=distribution(),
        mentions="nobody knows who called",
    ),
]
