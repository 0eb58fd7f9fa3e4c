"""AUD: whether alarms and events reach somebody, in a way that nobody on the way can read or forge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from controls.aud import (
    ALARM,
    EVENT_RULE,
    EVENT_TARGET,
    METRIC_FILTER,
    SUBSCRIPTION,
    TOPIC,
    TRAIL,
    heard_patterns,
    unheard,
)
from machinery.buckets import BUCKET
from machinery.control import HIGH, LOW, MEDIUM, Catalogue, References
from machinery.documents import Statement, statements
from machinery.grants import ROLE
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, Violation

catalogue = Catalogue()

TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
QUEUE = "aws:sqs/queue:Queue"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"


@catalogue.stack(
    "AUD-15",
    "Every alarm and every event rule tells somebody",
    severity=MEDIUM,
    on=(ALARM, EVENT_RULE, METRIC_FILTER),
    remedy="Give the alarm alarm_actions, the rule a target and state ENABLED; count with a filter what an alarm watches.",
    references=References(fsbp=["CloudWatch.15", "CloudWatch.17"], nist=["AU-6", "SI-4(5)", "IR-6"]),
)
def alarms_tell_somebody(watch: Resource, stack: Stack) -> Outcomes:
    if watch.type == ALARM:
        if not watch.has("alarmActions") or not watch.switch("actionsEnabled", absent=True):
            yield watch.violation("alarmActions", "are missing, so nobody hears of it")
        yield from _counted(watch, stack)
    elif watch.type == EVENT_RULE:
        if watch.switch("state", absent="ENABLED") == "DISABLED":
            yield watch.violation("state", "is DISABLED")
        if not stack.referrers(watch, "rule", EVENT_TARGET):
            yield watch.violation("", "has no target, so nobody hears of it")
    else:
        transformation = watch.items("metricTransformation")
        watched = stack.once(_watched)
        for node in transformation:
            if str(node.reference("name")) not in watched:
                yield node.violation("name", "is watched by no alarm")
        if "{" not in watch.word("pattern") and '"' not in watch.word("pattern"):
            yield watch.violation("pattern", "is a bare word, which no event of the trail has alone")


def _counted(alarm: Resource, stack: Stack) -> Outcomes:
    """Judge an alarm on a metric of the stack's own: AWS counts in its namespaces only."""
    namespace = str(alarm.reference("namespace", absent=""))
    if not namespace or namespace.startswith(("AWS/", "ContainerInsights")):
        return
    if str(alarm.reference("metricName")) not in stack.once(_counted_metrics):
        yield alarm.violation("metricName", "is counted by no filter")


def _watched(stack: Stack) -> frozenset[str]:
    return frozenset(str(alarm.reference("metricName")) for alarm in stack.of(ALARM))


def _counted_metrics(stack: Stack) -> frozenset[str]:
    return frozenset(
        str(node.reference("name"))
        for filter_ in stack.of(METRIC_FILTER)
        for node in filter_.items("metricTransformation")
    )


_FURTHER: Mapping[str, tuple[str, ...]] = {
    "calls that are refused": ("UnauthorizedOperation",),
    "sign-in that fails": ("ConsoleLogin", "Failed authentication"),
    "changes of bucket policies": ("PutBucketPolicy",),
    "changes of Config": ("StopConfigurationRecorder",),
    "changes of network ACLs": ("CreateNetworkAcl",),
    "changes of gateways": ("CreateCustomerGateway",),
    "changes of VPCs": ("CreateVpc",),
    "changes of the organisation": ("organizations.amazonaws.com",),
}
"""What CIS asks about beside AUD-07 (CIS AWS Foundations Benchmark 3.0, 4.1, 4.6, 4.8, 4.9, 4.11, 4.12, 4.14, 4.15)."""


@catalogue.stack(
    "AUD-16",
    "Somebody hears of what else CIS asks about: refusals, failed sign-in, buckets, Config, networks, the organisation",
    severity=MEDIUM,
    on=TRAIL,
    remedy="Add an aws.cloudwatch.LogMetricFilter on the trail's log group for each, and a MetricAlarm with alarm_actions.",
    references=References(
        cis=["4.1", "4.6", "4.8", "4.9", "4.11", "4.12", "4.14", "4.15"], nist=["AU-6", "SI-4"]
    ),
)
def somebody_hears_of_the_rest(trail: Resource, stack: Stack) -> Outcomes:
    yield from unheard(_FURTHER, trail, stack)


_DONE_AS = re.compile(r'\$\.userIdentity\.sessionContext\.sessionIssuer\.arn = "([^"]*)"')
"""What a filter compares with the role that did something (CloudTrail User Guide, "CloudTrail userIdentity element").

Who asks for the role is not enough: the console takes it on without naming its ARN.
"""


@catalogue.stack(
    "AUD-23",
    "Somebody hears when break-glass is used",
    severity=MEDIUM,
    on=ROLE,
    remedy="Count, by a LogMetricFilter, events whose $.userIdentity.sessionContext.sessionIssuer.arn is the role's, and let a MetricAlarm with alarm_actions watch it.",
    references=References(
        nist=["AC-2(12)", "AC-6(9)", "AU-6"], hipaa=["164.308(a)(1)(ii)(D)"], pci=["10.2.1.2"]
    ),
)
def somebody_hears_of_break_glass(role: Resource, stack: Stack) -> Outcomes:
    if role.switch("tags.persona") != "break-glass":
        return
    name = str(role.reference("name"))
    # Asterisks stand for anything; an ARN ends in a slash and the name.
    roles = [
        arn.rpartition("/")[2] for pattern in stack.once(heard_patterns) for arn in _DONE_AS.findall(pattern)
    ]
    if not any(fnmatchcase(name, role_name) for role_name in roles):
        yield role.violation("", "can be used without anybody being told")


@catalogue.resource(
    "AUD-17",
    "The trail goes to CloudWatch as well, where filters see it within minutes, and looks for unusual calls",
    severity=MEDIUM,
    on=TRAIL,
    remedy="Set cloud_watch_logs_group_arn and cloud_watch_logs_role_arn, and insight_selectors for rate and errors.",
    references=References(fsbp=["CloudTrail.5"], nist=["AU-6(1)", "SI-4(2)"], pci=["10.4.1.1"]),
)
def trails_are_read_at_once(trail: Resource) -> Outcomes:
    if not trail.has("cloudWatchLogsGroupArn"):
        yield trail.violation("cloudWatchLogsGroupArn", "is missing, so no filter sees a call")
    selectors = trail.items("advancedEventSelectors")
    if selectors and not any(map(_of_management, selectors)):
        yield trail.violation("advancedEventSelectors", "leave out the calls that manage something")
    if not trail.has("insightSelectors"):
        yield trail.violation("insightSelectors", "are missing, so nobody looks for unusual calls")


def _of_management(selector: Node) -> bool:
    return any(
        field.switch("field") == "eventCategory" and "Management" in [t for _, t in field.texts("equals")]
        for field in selector.items("fieldSelectors")
    )


@catalogue.resource(
    "AUD-18",
    "Messages go to their subscribers under TLS",
    severity=HIGH,
    on=SUBSCRIPTION,
    remedy="Subscribe by https, sqs, lambda, firehose or mail.",
    references=References(nist=["SC-8"], hipaa=["164.312(e)(1)"], pci=["4.2.1"]),
)
def messages_go_under_tls(subscription: Resource) -> Outcomes:
    if subscription.switch("protocol") == "http":
        yield subscription.violation("protocol", "is http, so anybody on the way may read and change it")


def _refuses(refusals: list[Statement], key: str, value: str) -> bool:
    return any(
        refusal.everyone
        and [(c.key, c.values) for c in refusal.conditions] == [(key, (value,))]
        and refusal.conditions[0].operator.lower() == "bool"
        for refusal in refusals
    )


@catalogue.stack(
    "AUD-19",
    "Topics and queues take nothing in plain HTTP",
    severity=MEDIUM,
    on=(TOPIC, QUEUE),
    remedy="Deny everybody, in the policy of the topic or queue, where aws:SecureTransport is false.",
    references=References(nist=["SC-8"], hipaa=["164.312(e)(1)"], pci=["4.2.1"]),
)
def messages_come_under_tls(taker: Resource, stack: Stack) -> Outcomes:
    policies = (
        stack.referrers(taker, "arn", TOPIC_POLICY)
        if taker.type == TOPIC
        else stack.referrers(taker, "queueUrl", QUEUE_POLICY)
    )
    refusals = [s for policy in policies for s in statements(policy, "policy") if not s.allows]
    if not _refuses(refusals, "aws:securetransport", "false"):
        yield taker.violation("", "takes messages in plain HTTP")


@catalogue.stack(
    "AUD-20",
    "Only AWS's services publish to a topic that people are told by",
    severity=LOW,
    on=TOPIC,
    remedy="Deny sns:Publish, in the topic's policy, where aws:PrincipalIsAWSService is false.",
    references=References(nist=["AC-3", "SI-4(5)"]),
)
def alarms_are_not_forged(topic: Resource, stack: Stack) -> Outcomes:
    if not any(
        s.switch("protocol") in ("email", "sms") for s in stack.referrers(topic, "topic", SUBSCRIPTION)
    ):
        return
    refusals = [
        statement
        for policy in stack.referrers(topic, "arn", TOPIC_POLICY)
        for statement in statements(policy, "policy")
        if not statement.allows
    ]
    if not _refuses(refusals, "aws:principalisawsservice", "false"):
        yield topic.violation("", "tells people whatever anybody in the account publishes")


@catalogue.stack(
    "AUD-21",
    "A topic that alarms and events go to has somebody who reads it",
    severity=MEDIUM,
    on=TOPIC,
    remedy="Add an aws.sns.TopicSubscription for somebody who is on duty.",
    references=References(nist=["IR-6", "SI-4(5)"]),
)
def topics_are_read(topic: Resource, stack: Stack) -> Outcomes:
    used = stack.referrers(topic, "alarmActions", ALARM) or stack.referrers(topic, "arn", EVENT_TARGET)
    if used and not stack.referrers(topic, "topic", SUBSCRIPTION):
        yield topic.violation("", "is read by nobody")


LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@catalogue.stack(
    "AUD-22",
    "Logs in buckets are kept for as long as the profile asks",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Set the expiration days of the bucket's lifecycle to the profile's retention of logs, or leave it out.",
    references=References(nist=["AU-11"], hipaa=["164.316(b)(2)(i)"], pci=["10.5.1"]),
)
def logs_in_buckets_are_kept(bucket: Resource, stack: Stack) -> Outcomes:
    if bucket.switch("tags.data-domain") != "logs":
        return
    floor = bucket.declared.floors.log_retention_days
    for lifecycle in stack.referrers(bucket, "bucket", LIFECYCLE):
        for rule in lifecycle.items("rules"):
            days = rule.number("expiration.days")
            if 0 < days < floor and rule.switch("status") == "Enabled":
                yield Violation(
                    f"{rule.path}.expiration.days", f"is less than {floor} days", urn=lifecycle.urn
                )
