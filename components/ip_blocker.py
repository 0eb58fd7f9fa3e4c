"""The infrastructure of the IP blocker: a function that reads logs of offences and fills the web ACL's block sets.

What the web ACL refuses comes in over its log's subscription, and what a service suspects over its own; a schedule wakes the function to let go whoever has
served their time. Who is blocked, and until when, is in a table. Nobody but the function writes there.

The function is in no VPC: it calls AWS and nothing else, and a place in the network would only give whoever took it
over a way to the services inside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of, policy_document
from components.waf_rules import Family
from components.web_acl import BlockSet

RUNTIME = "python3.13"

EXPIRE_EVERY_MINUTES = 5
TIMEOUT_SECONDS = 60

_ONE_AT_A_TIME = 1
"""WAF takes an update of a set from one writer at a time (AWS WAF API, "UpdateIPSet", LockToken); events that
arrive meanwhile wait in Lambda's own queue."""

_LONGEST_WAIT_SECONDS = 3600
"""An hour-old attack is no reason to block somebody now; it goes to the dead letters, where it is seen."""

_TWO_WEEKS = 14 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """When an address is blocked, and for how long."""

    refusals: int
    """So many refused requests..."""
    window_minutes: int
    """...within so many minutes."""
    block_minutes: int
    """The first time; each further time twice as long."""
    longest_block_minutes: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """The program: what goes into the function, and where it begins."""

    code: pulumi.Archive
    handler: str


@dataclass(frozen=True, kw_only=True)
class Log:
    """A log group that offences stand in."""

    group_name: pulumi.Input[str]
    group_arn: pulumi.Input[str]


class IpBlocker(pulumi.ComponentResource):
    """The function, what wakes it, what it remembers, and who is told when it fails.

    Attributes:
        function_name: Name of the function.
        table_name: Where it remembers who is blocked, and until when.
    """

    function_name: pulumi.Output[str]
    table_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        source: Source,
        block_sets: Mapping[Family, BlockSet],
        log: Log,
        never_blocked_cidrs: Sequence[str],
        sentence: Sentence,
        key_arn: pulumi.Input[str],
        logs_key_arn: pulumi.Input[str],
        log_group_name: str,
        log_retention_days: int,
        alarm_topic_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the blocker.

        Args:
            name: Logical name; the schedule group is named after it, so it is unique in account and region.
            source: The program.
            block_sets: The sets that it fills.
            log: That of the web ACL.
            never_blocked_cidrs: Ranges that it never puts into a set (the web ACL excepts them besides).
            sentence: When and for how long.
            key_arn: Key of the table, the dead letters and the environment.
            logs_key_arn: Key of the function's own log.
            log_group_name: Name of the function's own log.
            log_retention_days: How long it stays; a period that CloudWatch Logs knows.
            alarm_topic_arn: Who is told when it fails.
            permissions_boundary_arn: Boundary of its roles.
            account_id: The account.
            region: The region.
            opts: Options of the component.

        Raises:
            ValueError: a number of the sentence would never block, or for no time.
        """
        super().__init__("secureml:ip_blocker:IpBlocker", name, None, opts)
        _check(sentence)
        self._name = name
        self._account_id, self._region, self._partition = account_id, region, partition_of(region)
        self._key_arn = key_arn
        self._boundary_arn = permissions_boundary_arn
        self._topic_arn = alarm_topic_arn
        self._under = pulumi.ResourceOptions(parent=self)

        table = self._table()
        dead = self._dead_letters()
        own_log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=log_group_name,
            kms_key_id=logs_key_arn,
            retention_in_days=log_retention_days,
            opts=self._under,
        )
        role, rights = self._role(table, dead, own_log, block_sets)
        function = self._function(
            source,
            role,
            rights,
            own_log,
            dead,
            _environment(table, block_sets, never_blocked_cidrs, sentence),
        )
        self._program = function
        # What was let through says nothing against anybody, and would be the most of it.
        self.hear("refused", log, '{ $.action = "BLOCK" }')
        self._schedule(function, dead)
        self._alarms(function, dead)

        self.function_name, self.table_name = function.name, table.name
        self.register_outputs({"function_name": self.function_name, "table_name": self.table_name})

    def _table(self) -> aws.dynamodb.Table:
        """Make the table. It is state that the log would rebuild, not data: it goes down with the stack."""
        return aws.dynamodb.Table(
            f"{self._name}-table",
            billing_mode="PAY_PER_REQUEST",
            hash_key="address",
            attributes=[{"name": "address", "type": "S"}],
            ttl={"enabled": True, "attribute_name": "forget_at"},
            server_side_encryption={"enabled": True, "kms_key_arn": self._key_arn},
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=False,
            opts=self._under,
        )

    def _dead_letters(self) -> aws.sqs.Queue:
        queue = aws.sqs.Queue(
            f"{self._name}-dead-letters",
            kms_master_key_id=self._key_arn,
            message_retention_seconds=_TWO_WEEKS,
            opts=self._under,
        )
        aws.sqs.QueuePolicy(
            f"{self._name}-dead-letters",
            queue_url=queue.id,
            policy=policy_document(
                Statement(
                    sid="RefusePlainHttp",
                    effect="Deny",
                    actions=["sqs:*"],
                    principals="*",
                    resources=[queue.arn],
                    conditions={"Bool": {"aws:SecureTransport": "false"}},
                )
            ),
            opts=self._under,
        )
        return queue

    def _role(
        self,
        table: aws.dynamodb.Table,
        dead: aws.sqs.Queue,
        log: aws.cloudwatch.LogGroup,
        block_sets: Mapping[Family, BlockSet],
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        role = aws.iam.Role(
            f"{self._name}-role",
            description="The IP blocker: fills the web ACL's block sets and remembers why",
            assume_role_policy=policy_document(
                Statement(
                    sid="Functions",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["lambda.amazonaws.com"]},
                )
            ),
            permissions_boundary=self._boundary_arn,
            opts=self._under,
        )
        rights = aws.iam.RolePolicy(
            f"{self._name}-role",
            role=role.id,
            policy=policy_document(
                Statement(
                    sid="FillTheBlockSets",
                    actions=["wafv2:GetIPSet", "wafv2:UpdateIPSet"],
                    resources=[made.arn for made in block_sets.values()],
                ),
                Statement(
                    sid="RememberWhoIsBlocked",
                    actions=["dynamodb:Scan", "dynamodb:UpdateItem"],
                    resources=[table.arn],
                ),
                Statement(sid="LeaveDeadLetters", actions=["sqs:SendMessage"], resources=[dead.arn]),
                self._use_of_the_key("dynamodb", "sqs"),
                Statement(
                    sid="WriteLogs",
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[pulumi.Output.concat(log.arn, ":*")],
                ),
            ),
            opts=self._under,
        )
        return role, rights

    def _use_of_the_key(self, *services: str) -> Statement:
        return Statement(
            sid="UseTheKeyThroughItsServices",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[self._key_arn],
            conditions={
                "StringEquals": {
                    "kms:ViaService": [f"{service}.{self._region}.amazonaws.com" for service in services]
                }
            },
        )

    def _function(
        self,
        source: Source,
        role: aws.iam.Role,
        rights: aws.iam.RolePolicy,
        log: aws.cloudwatch.LogGroup,
        dead: aws.sqs.Queue,
        environment: Mapping[str, pulumi.Input[str]],
    ) -> aws.lambda_.Function:
        function = aws.lambda_.Function(
            f"{self._name}-function",
            description="Blocks addresses that the web ACL keeps refusing, and lets them go again",
            role=role.arn,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=source.handler,
            code=source.code,
            memory_size=256,
            timeout=TIMEOUT_SECONDS,
            reserved_concurrent_executions=_ONE_AT_A_TIME,
            kms_key_arn=self._key_arn,
            environment={"variables": environment},
            logging_config={"log_format": "JSON", "log_group": log.name},
            dead_letter_config={"target_arn": dead.arn},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            f"{self._name}-retries",
            function_name=function.name,
            maximum_event_age_in_seconds=_LONGEST_WAIT_SECONDS,
            maximum_retry_attempts=2,
            opts=self._under,
        )
        return function

    def hear(self, name: str, log: Log, pattern: str) -> None:
        """Read a log group too.

        Args:
            name: Name of the subscription.
            log: The log group.
            pattern: Which of its lines are offences, as CloudWatch Logs filters.
        """
        permission = aws.lambda_.Permission(
            f"{self._name}-from-{name}",
            function=self._program.name,
            action="lambda:InvokeFunction",
            principal="logs.amazonaws.com",
            source_account=self._account_id,
            source_arn=pulumi.Output.concat(log.group_arn, ":*"),
            opts=self._under,
        )
        aws.cloudwatch.LogSubscriptionFilter(
            f"{self._name}-{name}",
            log_group=log.group_name,
            destination_arn=self._program.arn,
            filter_pattern=pattern,
            # CloudWatch Logs tries to call when it is told whom.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )

    def _schedule(self, function: aws.lambda_.Function, dead: aws.sqs.Queue) -> None:
        group = aws.scheduler.ScheduleGroup(f"{self._name}-schedules", name=self._name, opts=self._under)
        role = aws.iam.Role(
            f"{self._name}-scheduler",
            description="Wakes the IP blocker, so that it lets go whose time is over",
            assume_role_policy=policy_document(
                Statement(
                    sid="SchedulesOfThisGroup",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["scheduler.amazonaws.com"]},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": self._account_id},
                        "ArnEquals": {"aws:SourceArn": group.arn},
                    },
                )
            ),
            permissions_boundary=self._boundary_arn,
            opts=self._under,
        )
        rights = aws.iam.RolePolicy(
            f"{self._name}-scheduler",
            role=role.id,
            policy=policy_document(
                Statement(sid="Wake", actions=["lambda:InvokeFunction"], resources=[function.arn]),
                Statement(sid="LeaveDeadLetters", actions=["sqs:SendMessage"], resources=[dead.arn]),
                self._use_of_the_key("sqs"),
            ),
            opts=self._under,
        )
        aws.scheduler.Schedule(
            f"{self._name}-expire",
            group_name=group.name,
            schedule_expression=f"rate({EXPIRE_EVERY_MINUTES} minutes)",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": function.arn,
                "role_arn": role.arn,
                "input": json.dumps({"task": "expire"}),
                # The next one comes in five minutes and does the same.
                "retry_policy": {
                    "maximum_event_age_in_seconds": EXPIRE_EVERY_MINUTES * 60,
                    "maximum_retry_attempts": 3,
                },
                "dead_letter_config": {"arn": dead.arn},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )

    def _alarms(self, function: aws.lambda_.Function, dead: aws.sqs.Queue) -> None:
        by_function = {"FunctionName": function.name}
        self._alarm("errors", "AWS/Lambda", "Errors", by_function, "fails: offenders stay unblocked")
        self._alarm("throttles", "AWS/Lambda", "Throttles", by_function, "cannot keep up", at_least=100)
        self._alarm(
            "dead-letters",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": dead.name},
            "gave up on events: look at its dead letters",
        )

    def _alarm(
        self,
        label: str,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, pulumi.Input[str]],
        what: str,
        *,
        at_least: int = 1,
    ) -> None:
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{label}",
            alarm_description=f"IP blocker {what}",
            namespace=namespace,
            metric_name=metric,
            dimensions=dimensions,
            statistic="Sum" if namespace == "AWS/Lambda" else "Maximum",
            period=300,
            evaluation_periods=1,
            threshold=at_least,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic_arn],
            opts=self._under,
        )


def _environment(
    table: aws.dynamodb.Table,
    block_sets: Mapping[Family, BlockSet],
    never_blocked_cidrs: Sequence[str],
    sentence: Sentence,
) -> dict[str, pulumi.Input[str]]:
    """Return what the program is told, by the names that it reads."""
    told: dict[str, pulumi.Input[str]] = {
        "TABLE_NAME": table.name,
        "NEVER_BLOCKED_CIDRS": ",".join(never_blocked_cidrs),
        "REFUSALS": str(sentence.refusals),
        "WINDOW_MINUTES": str(sentence.window_minutes),
        "BLOCK_MINUTES": str(sentence.block_minutes),
        "LONGEST_BLOCK_MINUTES": str(sentence.longest_block_minutes),
    }
    for family, made in block_sets.items():
        told[f"BLOCK_SET_{family.upper()}_ID"] = made.id
        told[f"BLOCK_SET_{family.upper()}_NAME"] = made.name
    return told


def _check(sentence: Sentence) -> None:
    for field in ("refusals", "window_minutes", "block_minutes"):
        if getattr(sentence, field) < 1:
            raise ValueError(f"sentence.{field} is {getattr(sentence, field)}; write 1 or more")
    if sentence.longest_block_minutes < sentence.block_minutes:
        raise ValueError(
            f"sentence.longest_block_minutes is {sentence.longest_block_minutes}; "
            f"write {sentence.block_minutes} or more"
        )
