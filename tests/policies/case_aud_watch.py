"""Cases of the families AUD, ACC and IAM about every region, and about alarms that reach somebody."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case

STANDARDS = (
    f"arn:aws:securityhub:{REGION}::standards/aws-foundational-security-best-practices/v/1.0.0",
    f"arn:aws:securityhub:{REGION}::standards/cis-aws-foundations-benchmark/v/3.0.0",
)
FEATURES = (
    "EBS_MALWARE_PROTECTION",
    "EKS_AUDIT_LOGS",
    "LAMBDA_NETWORK_LOGS",
    "RDS_LOGIN_EVENTS",
    "S3_DATA_EVENTS",
)
AGENTS: Any = [
    {"name": name, "status": "ENABLED"}
    for name in ("EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EKS_ADDON_MANAGEMENT")
]


def detector(**more: Any) -> aws.guardduty.Detector:
    made = aws.guardduty.Detector(
        "detector", enable=True, **{"finding_publishing_frequency": "FIFTEEN_MINUTES", **more}
    )
    for name in FEATURES:
        aws.guardduty.DetectorFeature(name, detector_id=made.id, name=name, status="ENABLED")
    aws.guardduty.DetectorFeature(
        "runtime",
        detector_id=made.id,
        name="RUNTIME_MONITORING",
        status="ENABLED",
        additional_configurations=AGENTS,
    )
    return made


def watched(*, without: str = "") -> Callable[[], object]:
    def program() -> None:
        aws.s3.Bucket("bucket")
        if without != "detector":
            detector()
        aws.securityhub.Account("hub")
        for index, arn in enumerate(STANDARDS):
            if without != f"standard-{index}":
                aws.securityhub.StandardsSubscription(f"standard-{index}", standards_arn=arn)
        if without != "inspector":
            aws.inspector2.Enabler(
                "inspector", account_ids=[ACCOUNT], resource_types=["EC2", "ECR", "LAMBDA"]
            )
        recorder = aws.cfg.Recorder("recorder", role_arn=f"arn:aws:iam::{ACCOUNT}:role/r")
        if without != "status":
            aws.cfg.RecorderStatus("status", name=recorder.name, is_enabled=True)

    return program


def recorder(**more: Any) -> Callable[[], object]:
    group: Any = more
    return lambda: aws.cfg.Recorder(
        "recorder", role_arn=f"arn:aws:iam::{ACCOUNT}:role/r", recording_group=group
    )


def analyzed(*, present: bool) -> Callable[[], object]:
    def program() -> None:
        aws.s3.Bucket("bucket")
        if present:
            aws.accessanalyzer.Analyzer("analyzer", analyzer_name="a")

    return program


def defaults(*, without: str = "") -> Callable[[], object]:
    def program() -> None:
        aws.s3.Bucket("bucket")
        made: dict[str, Callable[[], object]] = {
            "metadata": lambda: aws.ec2.InstanceMetadataDefaults("metadata", http_tokens="required"),
            "serial": lambda: aws.ec2.SerialConsoleAccess("serial", enabled=False),
            "encryption": lambda: aws.ebs.EncryptionByDefault("encryption", enabled=True),
            "key": lambda: aws.ebs.DefaultKmsKey("key", key_arn="arn:aws:kms:x"),
            "snapshots": lambda: aws.ebs.SnapshotBlockPublicAccess("snapshots", state="block-all-sharing"),
        }
        for name, make in made.items():
            if name != without:
                make()

    return program


def alarm(
    actions: Sequence[pulumi.Input[str]], metric: str = "CPUUtilization", namespace: str = "AWS/RDS"
) -> Callable[[], object]:
    return lambda: aws.cloudwatch.MetricAlarm(
        f"{metric}-alarm",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        metric_name=metric,
        namespace=namespace,
        alarm_actions=actions,
    )


TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"


def counted(
    pattern: str, *, name: str = "refused", actions: Sequence[str] = (TOPIC,), watched: str = "ours"
) -> Callable[[], object]:
    """A filter of the namespace ``ours``, and an alarm on the count of its name in the namespace ``watched``."""

    def program() -> None:
        alarm(actions, name, watched)()
        aws.cloudwatch.LogMetricFilter(
            f"{name}-filter",
            log_group_name="g",
            pattern=pattern,
            metric_transformation={"name": name, "namespace": "ours", "value": "1"},
        )

    return program


def rule(*, state: str = "ENABLED", target: bool = True) -> Callable[[], object]:
    def program() -> None:
        made = aws.cloudwatch.EventRule("rule", event_pattern="{}", state=state)
        if target:
            aws.cloudwatch.EventTarget("target", rule=made.name, arn=TOPIC)

    return program


QUESTIONS = {
    "refused": '{ ($.errorCode = "*UnauthorizedOperation") }',
    "failed": '{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }',
    "buckets": "{ ($.eventName = PutBucketPolicy) }",
    "config": "{ ($.eventName = StopConfigurationRecorder) }",
    "lists": "{ ($.eventName = CreateNetworkAcl) }",
    "gateways": "{ ($.eventName = CreateCustomerGateway) }",
    "networks": "{ ($.eventName = CreateVpc) }",
    "organisation": "{ ($.eventSource = organizations.amazonaws.com) }",
}


def trail(**more: Any) -> Callable[[], object]:
    return lambda: aws.cloudtrail.Trail("trail", s3_bucket_name="b", **more)


def asked(*, without: str = "", watched: str = "ours") -> Callable[[], object]:
    def program() -> None:
        trail()()
        for name, pattern in QUESTIONS.items():
            if name != without:
                counted(pattern, name=name, watched=watched)()

    return program


INSIGHTS = [{"insight_type": "ApiCallRateInsight"}]
PLAIN = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sns:Publish",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
FORGED = {**PLAIN, "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}}
SPARED = {**PLAIN, "Condition": {**PLAIN["Condition"], "ArnNotLike": {"aws:PrincipalArn": "*"}}}  # type: ignore[dict-item]


def topic(*statements: dict[str, Any], subscribed: bool = True, used: bool = False) -> Callable[[], object]:
    def program() -> None:
        made = aws.sns.Topic("topic")
        aws.sns.TopicPolicy(
            "policy", arn=made.arn, policy=json.dumps({"Statement": list(statements or [PLAIN])})
        )
        if subscribed:
            aws.sns.TopicSubscription("s", topic=made.arn, protocol="email", endpoint="a@example.org")
        if used:
            alarm([made.arn])()

    return program


def queue(*, guarded: bool) -> Callable[[], object]:
    def program() -> None:
        made = aws.sqs.Queue("queue")
        if guarded:
            policy = json.dumps({"Statement": [{**PLAIN, "Action": "sqs:*"}]})
            aws.sqs.QueuePolicy("policy", queue_url=made.id, policy=policy)

    return program


OF_ROLE = '{ ($.userIdentity.sessionContext.sessionIssuer.arn = "%s") }'


def watched_role(
    *,
    pattern: str = OF_ROLE % f"arn:aws:iam::{ACCOUNT}:role/platform-break-glass",
    persona: str = "break-glass",
    actions: Sequence[str] = (TOPIC,),
    watched: str = "ours",
) -> Callable[[], object]:
    """A role of a persona, and an alarm on what a filter of this pattern counts; none where it is empty."""

    def program() -> None:
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
        aws.iam.Role(
            "role",
            name=f"platform-{persona}",
            assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            tags={"persona": persona},
        )
        if pattern:
            counted(pattern, actions=actions, watched=watched)()

    return program


def subscription(protocol: str) -> Callable[[], object]:
    return lambda: aws.sns.TopicSubscription(
        "s", topic=TOPIC, protocol=protocol, endpoint=f"{protocol}://example.org"
    )


def feature(status: str) -> Callable[[], object]:
    return lambda: aws.guardduty.DetectorFeature("f", detector_id="d", name="S3_DATA_EVENTS", status=status)


def elsewhere() -> None:
    watched()()
    other = aws.Provider("other", region="eu-west-1", allowed_account_ids=[ACCOUNT])
    aws.s3.Bucket("far", opts=pulumi.ResourceOptions(provider=other))


def selected(category: str) -> Callable[[], object]:
    selector = {"name": "n", "field_selectors": [{"field": "eventCategory", "equals": [category]}]}
    return trail(
        cloud_watch_logs_group_arn="arn:g", insight_selectors=INSIGHTS, advanced_event_selectors=[selector]
    )


def expiring(days: int) -> Callable[[], object]:
    def program() -> None:
        bucket = aws.s3.Bucket("bucket", tags={"data-domain": "logs"})
        rule: Any = {"id": "r", "status": "Enabled", "expiration": {"days": days}}
        aws.s3.BucketLifecycleConfiguration("lifecycle", bucket=bucket.id, rules=[rule])

    return program


CASES = [
    Case(control="AUD-13", compliant=watched(), violating=elsewhere, mentions="in eu-west-1"),
    *(
        Case(control="AUD-13", compliant=watched(), violating=watched(without=part), mentions=REGION)
        for part in ("detector", "inspector", "status", "standard-0", "standard-1")
    ),
    Case(
        control="AUD-14",
        compliant=detector,
        violating=lambda: aws.guardduty.Detector("detector", enable=True),
        mentions="is without",
    ),
    Case(
        control="AUD-14",
        compliant=detector,
        violating=lambda: detector(finding_publishing_frequency="SIX_HOURS"),
        mentions="hours later",
    ),
    Case(
        control="AUD-14", compliant=feature("ENABLED"), violating=feature("DISABLED"), mentions="not ENABLED"
    ),
    Case(
        control="AUD-14",
        compliant=recorder(all_supported=True),
        violating=recorder(all_supported=False),
        mentions="leaves types",
    ),
    Case(
        control="AUD-14",
        compliant=lambda: aws.inspector2.Enabler(
            "i", account_ids=[ACCOUNT], resource_types=["EC2", "ECR", "LAMBDA"]
        ),
        violating=lambda: aws.inspector2.Enabler("i", account_ids=[ACCOUNT], resource_types=["EC2"]),
        mentions="leave out ECR, LAMBDA",
    ),
    Case(
        control="IAM-28",
        compliant=analyzed(present=True),
        violating=analyzed(present=False),
        mentions="no Access Analyzer",
    ),
    *(
        Case(control="ACC-10", compliant=defaults(), violating=defaults(without=part), mentions=REGION)
        for part in ("metadata", "serial", "encryption", "key", "snapshots")
    ),
    Case(
        control="ACC-11",
        compliant=defaults(),
        violating=lambda: aws.ec2.InstanceMetadataDefaults("m", http_tokens="optional"),
        mentions="IMDSv1",
    ),
    Case(
        control="ACC-11",
        compliant=defaults(),
        violating=lambda: aws.ec2.InstanceMetadataDefaults(
            "m", http_tokens="required", http_put_response_hop_limit=3
        ),
        mentions="further than a pod",
    ),
    Case(
        control="ACC-11",
        compliant=defaults(),
        violating=lambda: aws.ec2.SerialConsoleAccess("s"),
        mentions="serial console",
    ),
    Case(
        control="ACC-11",
        compliant=defaults(),
        violating=lambda: aws.ebs.EncryptionByDefault("e", enabled=False),
        mentions="in clear",
    ),
    Case(
        control="ACC-11",
        compliant=defaults(),
        violating=lambda: aws.ebs.SnapshotBlockPublicAccess("s", state="block-new-sharing"),
        mentions="be public",
    ),
    Case(control="AUD-15", compliant=alarm([TOPIC]), violating=alarm([]), mentions="nobody hears"),
    Case(
        control="AUD-15",
        compliant=counted("{ $.decision = deny }"),
        violating=alarm([TOPIC], "refused", "ours"),
        mentions="counted by no filter",
    ),
    Case(
        control="AUD-15",
        compliant=counted('?"Invalid user"'),
        violating=counted("never"),
        mentions="bare word",
    ),
    Case(control="AUD-15", compliant=rule(), violating=rule(state="DISABLED"), mentions="is DISABLED"),
    Case(control="AUD-15", compliant=rule(), violating=rule(target=False), mentions="has no target"),
    *(
        Case(control="AUD-16", compliant=asked(), violating=asked(without=name), mentions="raises no alarm")
        for name in QUESTIONS
    ),
    Case(
        control="AUD-16",
        compliant=asked(),
        violating=asked(watched="theirs"),
        mentions="raises no alarm",
    ),
    Case(
        control="AUD-17",
        compliant=trail(cloud_watch_logs_group_arn="arn:g", insight_selectors=INSIGHTS),
        violating=trail(insight_selectors=INSIGHTS),
        mentions="cloudWatchLogsGroupArn",
    ),
    *(
        Case(
            control="AUD-23",
            compliant=watched_role(),
            violating=watched_role(**change),
            mentions="without anybody being told",
        )
        for change in (
            {"pattern": '{ ($.eventName = "AssumeRole") }'},
            {"pattern": OF_ROLE % "*-operator"},
            {"pattern": '{ $.errorMessage = "*-break-glass" }'},
            {"pattern": '{ $.requestParameters.roleArn = "*-break-glass" }'},
            {"pattern": '{ $.userIdentity.sessionContext.sessionIssuer.arn != "*-break-glass" }'},
            {"actions": ()},
            {"watched": "theirs"},
        )
    ),
    Case(
        control="AUD-23",
        compliant=watched_role(persona="operator", pattern=""),
        violating=watched_role(pattern=""),
        mentions="without anybody being told",
    ),
    Case(
        control="AUD-17",
        compliant=trail(cloud_watch_logs_group_arn="arn:g", insight_selectors=INSIGHTS),
        violating=trail(cloud_watch_logs_group_arn="arn:g"),
        mentions="insightSelectors",
    ),
    Case(
        control="AUD-17",
        compliant=selected("Management"),
        violating=selected("Data"),
        mentions="that manage something",
    ),
    Case(
        control="AUD-22",
        compliant=expiring(90),
        violating=expiring(1),
        mentions="less than 90 days",
    ),
    Case(
        control="AUD-18",
        compliant=subscription("https"),
        violating=subscription("http"),
        mentions="is http",
    ),
    Case(control="AUD-19", compliant=topic(PLAIN), violating=topic(FORGED), mentions="plain HTTP"),
    Case(control="AUD-19", compliant=topic(PLAIN), violating=topic(SPARED), mentions="plain HTTP"),
    Case(
        control="AUD-19", compliant=queue(guarded=True), violating=queue(guarded=False), mentions="plain HTTP"
    ),
    Case(control="AUD-20", compliant=topic(PLAIN, FORGED), violating=topic(PLAIN), mentions="publishes"),
    Case(
        control="AUD-21",
        compliant=topic(used=True),
        violating=topic(used=True, subscribed=False),
        mentions="read by nobody",
    ),
]
