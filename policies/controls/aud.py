"""AUD: what is written down of every call, who looks for attacks in it, and who is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from machinery.buckets import BUCKET, is_replica
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.documents import statements
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, Undecided, per_item

catalogue = Catalogue()

TRAIL = "aws:cloudtrail/trail:Trail"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OBJECT_LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
DATABASE = "aws:rds/instance:Instance"
CLUSTER = "aws:eks/cluster:Cluster"
VPC = "aws:ec2/vpc:Vpc"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
METRIC_FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
TOPIC = "aws:sns/topic:Topic"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
DETECTOR = "aws:guardduty/detector:Detector"
FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
HUB = "aws:securityhub/account:Account"
STANDARD = "aws:securityhub/standardsSubscription:StandardsSubscription"
RECORDER_STATUS = "aws:cfg/recorderStatus:RecorderStatus"
DELIVERY_CHANNEL = "aws:cfg/deliveryChannel:DeliveryChannel"
QUERY_LOGS = "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"
MACIE = "aws:macie2/account:Account"
CLASSIFICATION = "aws:macie2/classificationJob:ClassificationJob"
WORKGROUP = "aws:athena/workgroup:Workgroup"

_WORTH_A_TRAIL = (BUCKET, DATABASE, CLUSTER, VPC)


def _needs_a_trail(stack: Stack) -> bool:
    """Say whether a stack has anything whose use somebody will ask about."""
    return bool(stack.of(*_WORTH_A_TRAIL))


@catalogue.stack(
    "AUD-01",
    "A trail records every call in every region, validated and under a key",
    severity=CRITICAL,
    remedy="Add an aws.cloudtrail.Trail with is_multi_region_trail, include_global_service_events, enable_log_file_validation and kms_key_id.",
    references=References(
        cis=["3.1", "3.2", "3.5"],
        fsbp=["CloudTrail.1", "CloudTrail.2", "CloudTrail.4", "CloudTrail.5"],
        nist=["AU-2", "AU-12"],
        hipaa=["164.312(b)"],
        pci=["10.2.1"],
        aws_ai=["AISF-DETECT-01"],
    ),
)
def every_call_is_recorded(stack: Stack) -> Outcomes:
    trails = stack.of(TRAIL)
    if _needs_a_trail(stack) and not trails:
        yield stack_violation("has no trail")
    yield from per_item(trails, _records_all)


def _records_all(trail: Node) -> Outcomes:
    for switch, absent, problem in (
        ("isMultiRegionTrail", False, "sees one region"),
        ("includeGlobalServiceEvents", True, "leaves out IAM and other global services"),
        ("enableLogFileValidation", False, "could be changed without a trace"),
        ("enableLogging", True, "is switched off"),
    ):
        if trail.switch(switch, absent=absent) is not True:
            yield trail.violation(switch, problem)
    if not trail.has("kmsKeyId"):
        yield trail.violation("kmsKeyId", "is missing")


@catalogue.stack(
    "AUD-02",
    "The trail's bucket is locked, and nobody but CloudTrail may write there",
    severity=CRITICAL,
    on=TRAIL,
    remedy="Add a BucketObjectLockConfiguration with a default retention; let the bucket's policy allow s3:PutObject to cloudtrail.amazonaws.com alone.",
    references=References(fsbp=["CloudTrail.6"], nist=["AU-9"], hipaa=["164.312(c)(2)"], pci=["10.3.2"]),
)
def nobody_rewrites_the_trail(trail: Resource, stack: Stack) -> Outcomes:
    buckets = stack.targets(trail, "s3BucketName", BUCKET)
    if not buckets:
        yield Undecided("s3BucketName")
    for bucket in buckets:
        locks = stack.referrers(bucket, "bucket", OBJECT_LOCK)
        if not any(lock.has("rule.defaultRetention") for lock in locks):
            yield bucket.violation("", "takes the trail's files and locks none of them")
        for policy in stack.referrers(bucket, "bucket", BUCKET_POLICY):
            if any(_lets_others_write(policy)):
                yield policy.violation("policy", "lets somebody beside CloudTrail write where the trail is")


_WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:PutBucketPolicy")


def _lets_others_write(policy: Resource) -> Iterator[bool]:
    for statement in statements(policy, "policy"):
        if statement.allows and any(statement.grants(action) for action in _WRITES):
            writers = {str(each.name) for each in statement.principals if each.kind == "Service"}
            yield len(statement.principals) != len(writers) or writers != {"cloudtrail.amazonaws.com"}


@catalogue.resource(
    "AUD-03",
    "A trail records every read and write of objects",
    severity=HIGH,
    on=TRAIL,
    remedy="Add an advanced event selector for eventCategory Data and resources.type AWS::S3::Object, without readOnly.",
    references=References(cis=["3.8", "3.9"], nist=["AU-12"], hipaa=["164.312(b)"], pci=["10.2.1"]),
)
def reads_and_writes_are_recorded(trail: Resource) -> Outcomes:
    simple = any(
        data.switch("type") == "AWS::S3::Object" and selector.switch("readWriteType", absent="All") == "All"
        for selector in trail.items("eventSelectors")
        for data in selector.items("dataResources")
    )
    if not simple and not any(map(_selects_objects, trail.items("advancedEventSelectors"))):
        yield trail.violation("", "records no reads and writes of objects")


def _selects_objects(selector: Node) -> bool:
    fields = {each.word("field"): each for each in selector.items("fieldSelectors")}
    kind = fields.get("resources.type")
    return kind is not None and "AWS::S3::Object" in _values(kind) and "readOnly" not in fields


@catalogue.stack(
    "AUD-04",
    "Log groups are under a key and stay as long as the profile asks",
    severity=HIGH,
    on=LOG_GROUP,
    remedy="Set kms_key_id, and retention_in_days to the profile's floor or more.",
    references=References(nist=["AU-11", "SC-28"], hipaa=["164.316(b)(2)(i)"], pci=["10.5.1"]),
)
def logs_are_kept(group: Resource, stack: Stack) -> Outcomes:
    if not group.has("kmsKeyId"):
        yield group.violation("kmsKeyId", "is missing")
    # Nought is for ever.
    days = group.number("retentionInDays")
    if 0 < days < stack.declared.floors.log_retention_days:
        yield group.violation("retentionInDays", "is shorter than the profile asks")


def _values(field: Node) -> list[str]:
    return [text for _, text in field.texts("equals")]


_FEATURES = ("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "RDS_LOGIN_EVENTS", "EBS_MALWARE_PROTECTION")


@catalogue.stack(
    "AUD-05",
    "GuardDuty looks for attacks, in buckets, clusters, databases and on disks as well",
    severity=HIGH,
    remedy="Add an aws.guardduty.Detector, and an ENABLED DetectorFeature for S3_DATA_EVENTS, EKS_AUDIT_LOGS, RDS_LOGIN_EVENTS and EBS_MALWARE_PROTECTION.",
    references=References(
        fsbp=["GuardDuty.1", "GuardDuty.9", "GuardDuty.10"],
        nist=["SI-4"],
        hipaa=["164.308(a)(1)(ii)(D)"],
        pci=["11.5.1"],
        aws_ai=["AISF-DETECT-02"],
    ),
)
def attacks_are_looked_for(stack: Stack) -> Outcomes:
    detectors = stack.of(DETECTOR)
    if _needs_a_trail(stack) and not detectors:
        yield stack_violation("has no GuardDuty detector")
    for detector in detectors:
        if detector.switch("enable", absent=True) is not True:
            yield stack_violation("has a GuardDuty detector that is off")
        on = {
            feature.word("name")
            for feature in stack.referrers(detector, "detectorId", FEATURE)
            if feature.switch("status") == "ENABLED"
        }
        for name in _FEATURES:
            if name not in on:
                yield stack_violation(f"has a GuardDuty detector without {name}")


_STANDARDS = ("aws-foundational-security-best-practices", "cis-aws-foundations-benchmark")


@catalogue.stack(
    "AUD-06",
    "Security Hub compares the account with FSBP, CIS and what the profile names; Config records and delivers",
    severity=MEDIUM,
    remedy="Add an aws.securityhub.Account with a StandardsSubscription for each, an enabled aws.cfg.RecorderStatus and a DeliveryChannel.",
    references=References(
        cis=["3.3", "4.16"], fsbp=["Config.1"], nist=["CA-7", "CM-8"], aws_ai=["AISF-DETECT-04"]
    ),
)
def posture_is_watched(stack: Stack) -> Outcomes:
    if not _needs_a_trail(stack):
        return
    if not stack.of(HUB):
        yield stack_violation("does not use Security Hub")
    standards = " ".join(str(each.reference("standardsArn", absent="")) for each in stack.of(STANDARD))
    for standard in (*_STANDARDS, *stack.declared.floors.standards):
        if standard not in standards:
            yield stack_violation(f"does not compare itself with {standard}")
    if not any(status.switch("isEnabled", absent=False) is True for status in stack.of(RECORDER_STATUS)):
        yield stack_violation("has no recorder of configurations that is on")
    if not stack.of(DELIVERY_CHANNEL):
        yield stack_violation("delivers no configurations")


_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "the root user": ("Root",),
    "sign-in without a second factor": ("ConsoleLogin", "MFAUsed"),
    "changes of IAM": ("PutRolePolicy",),
    "changes of trails": ("StopLogging",),
    "deletion of keys": ("ScheduleKeyDeletion",),
    "changes of security groups": ("AuthorizeSecurityGroupIngress",),
    "changes of routes": ("CreateRoute",),
}
"""What CIS asks about, and words that a filter for it cannot do without (CIS AWS Foundations Benchmark, section 4)."""


@catalogue.stack(
    "AUD-07",
    "Somebody hears of what CIS asks about: root, sign-in, IAM, trails, keys, security groups, routes",
    severity=MEDIUM,
    on=TRAIL,
    remedy="Add an aws.cloudwatch.LogMetricFilter on the trail's log group for each, and a MetricAlarm with alarm_actions.",
    references=References(
        cis=["4.2", "4.3", "4.4", "4.5", "4.7", "4.10", "4.13"],
        nist=["AU-6", "SI-4"],
        hipaa=["164.308(a)(1)(ii)(D)"],
    ),
)
def somebody_hears_of_changes(trail: Resource, stack: Stack) -> Outcomes:
    yield from unheard(_QUESTIONS, trail, stack)


def unheard(questions: Mapping[str, tuple[str, ...]], trail: Resource, stack: Stack) -> Outcomes:
    """Yield a violation for each question that no alarm answers, by the words that its filter cannot do without."""
    patterns = stack.once(heard_patterns)
    for question, words in questions.items():
        if not any(all(word in pattern for word in words) for pattern in patterns):
            yield trail.violation("", f"raises no alarm about {question}")


def heard_patterns(stack: Stack) -> tuple[str, ...]:
    """Return the patterns of the filters whose count rings an alarm that tells somebody."""
    heard = {
        (str(alarm.reference("namespace")), str(alarm.reference("metricName")))
        for alarm in stack.of(ALARM)
        if alarm.has("alarmActions")
    }
    return tuple(
        filter_.word("pattern")
        for filter_ in stack.of(METRIC_FILTER)
        if (
            str(filter_.reference("metricTransformation.namespace")),
            str(filter_.reference("metricTransformation.name")),
        )
        in heard
    )


@catalogue.stack(
    "AUD-08",
    "Findings reach somebody, by an encrypted topic that has a subscriber",
    severity=MEDIUM,
    on=DETECTOR,
    remedy="Add an aws.cloudwatch.EventRule on aws.guardduty or aws.securityhub, with a target that is an encrypted topic with a subscription.",
    references=References(nist=["IR-6", "SI-4(5)"], hipaa=["164.308(a)(6)(ii)"], aws_ai=["AISF-DETECT-05"]),
)
def findings_reach_somebody(detector: Resource, stack: Stack) -> Outcomes:
    rules = [
        rule
        for rule in stack.of(EVENT_RULE)
        if any(source in rule.word("eventPattern") for source in ("aws.guardduty", "aws.securityhub"))
    ]
    if not any(_reaches_somebody(rule, stack) for rule in rules):
        yield detector.violation("", "finds what nobody is told of")


def _reaches_somebody(rule: Resource, stack: Stack) -> bool:
    return any(
        topic.has("kmsMasterKeyId") and stack.referrers(topic, "topic", SUBSCRIPTION)
        for target in stack.referrers(rule, "rule", EVENT_TARGET)
        for topic in stack.targets(target, "arn", TOPIC)
    )


@catalogue.stack(
    "AUD-09",
    "Databases write logs, and what machines ask the name service is written down",
    severity=HIGH,
    on=(DATABASE, VPC),
    remedy="Set enabled_cloudwatch_logs_exports; add a ResolverQueryLogConfigAssociation for the VPC.",
    references=References(fsbp=["RDS.9", "RDS.36"], nist=["AU-12"], pci=["10.2.1"]),
)
def databases_and_names_are_recorded(resource: Resource, stack: Stack) -> Outcomes:
    if resource.type == DATABASE and not resource.has("enabledCloudwatchLogsExports"):
        yield resource.violation("enabledCloudwatchLogsExports", "names no log")
    if resource.type == VPC and not stack.referrers(resource, "resourceId", QUERY_LOGS):
        yield resource.violation("", "does not record what its machines ask the name service")


@catalogue.stack(
    "AUD-10",
    "The audit trail can be queried, with encrypted answers",
    severity=MEDIUM,
    on=TRAIL,
    remedy="Add an aws.athena.Workgroup that enforces its configuration and encrypts results with SSE_KMS.",
    references=References(
        fsbp=["Athena.1"], nist=["AU-6(4)", "AU-7"], hipaa=["164.308(a)(1)(ii)(D)"], pci=["10.4.1"]
    ),
)
def the_trail_can_be_queried(trail: Resource, stack: Stack) -> Outcomes:
    workgroups = stack.of(WORKGROUP)
    if not workgroups:
        yield trail.violation("", "cannot be queried: there is no Athena workgroup")
    yield from per_item(workgroups, _answers_in_private)


def _answers_in_private(workgroup: Node) -> Outcomes:
    if workgroup.switch("configuration.enforceWorkgroupConfiguration", absent=True) is not True:
        yield workgroup.violation("configuration.enforceWorkgroupConfiguration", "is off")
    encryption = "configuration.resultConfiguration.encryptionConfiguration.encryptionOption"
    if workgroup.switch(encryption, absent="") not in ("SSE_KMS", "CSE_KMS"):
        yield workgroup.violation(encryption, "leaves answers without a key of ours")


@catalogue.stack(
    "AUD-11",
    "Where the profile is about persons, data buckets are searched for personal data",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Add an aws.macie2.Account with status ENABLED, and a scheduled aws.macie2.ClassificationJob that names the bucket.",
    references=References(
        cis=["2.1.3"], fsbp=["Macie.1", "Macie.2"], nist=["RA-5", "SI-4"], aws_ai=["AISF-DATA-01"]
    ),
)
def personal_data_is_looked_for(bucket: Resource, stack: Stack) -> Outcomes:
    if not stack.declared.floors.classified or bucket.switch("tags.data-domain") != "data":
        return
    # A replica holds what its source holds, and is paid for once.
    if is_replica(bucket, stack):
        return
    if not any(account.switch("status", absent="ENABLED") == "ENABLED" for account in stack.of(MACIE)):
        yield bucket.violation("", "is in an account that does not use Macie")
    jobs = stack.referrers(bucket, "s3JobDefinition", CLASSIFICATION)
    if not any(job.switch("jobType") == "SCHEDULED" for job in jobs):
        yield bucket.violation("", "may hold personal data that nobody looks for")


_API_STAGES = ("aws:apigateway/stage:Stage", "aws:apigatewayv2/stage:Stage")
_DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
_DELIVERY = "aws:cloudwatch/logDeliverySource:LogDeliverySource"


@catalogue.stack(
    "AUD-12",
    "APIs and distributions write down who called",
    severity=MEDIUM,
    on=(*_API_STAGES, _DISTRIBUTION),
    remedy="Set access_log_settings on the stage; on a distribution logging_config, or an aws.cloudwatch.LogDeliverySource for it.",
    references=References(
        fsbp=["APIGateway.1", "APIGateway.9", "CloudFront.5"],
        nist=["AU-12"],
        hipaa=["164.312(b)"],
        pci=["10.2.1"],
    ),
)
def apis_write_down_who_called(entrance: Resource, stack: Stack) -> Outcomes:
    if entrance.type in _API_STAGES:
        if not entrance.has("accessLogSettings"):
            yield entrance.violation("accessLogSettings", "are missing, so nobody knows who called")
    elif not entrance.has("loggingConfig") and not stack.referrers(entrance, "resourceArn", _DELIVERY):
        yield entrance.violation("loggingConfig", "is missing, so nobody knows who called")
