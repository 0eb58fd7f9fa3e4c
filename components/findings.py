"""Findings of weight, told to people: what the detectors of a region find, and backups that fail there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

SEVERE = 7
"""From here on GuardDuty calls a finding high (GuardDuty User Guide, "Findings severity levels")."""

Pattern = Mapping[str, Any]


def findings_patterns(region: str) -> Mapping[str, Pattern]:
    """Return which events of ``region`` are findings of weight, by a name for the rule.

    GuardDuty's reach Security Hub as well, and so do those of other regions where it collects them: each is told
    once, by the topic of its own region.
    """
    return {
        "threat": {
            "source": ["aws.guardduty"],
            "detail-type": ["GuardDuty Finding"],
            "detail": {"severity": [{"numeric": [">=", SEVERE]}]},
        },
        "weakness": {
            "source": ["aws.securityhub"],
            "detail-type": ["Security Hub Findings - Imported"],
            "detail": {
                "findings": {
                    "Severity": {"Label": ["HIGH", "CRITICAL"]},
                    "Workflow": {"Status": ["NEW"]},
                    "RecordState": ["ACTIVE"],
                    "Region": [region],
                    "ProductName": [{"anything-but": ["GuardDuty"]}],
                }
            },
        },
    }


class EventAlerts(pulumi.ComponentResource):
    """Rules that tell a topic of the same region about events; EventBridge reaches topics of no other one."""

    def __init__(
        self,
        name: str,
        *,
        patterns: Mapping[str, Pattern],
        topic_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make a rule for each pattern; their names begin with ``name``.

        Raises:
            ValueError: there is no pattern, so nothing would ever be told.
        """
        super().__init__("secureml:findings:EventAlerts", name, None, opts)
        if not patterns:
            raise ValueError("patterns is empty; name the events that people are told of")
        under = pulumi.ResourceOptions(parent=self)
        for what, pattern in patterns.items():
            rule = aws.cloudwatch.EventRule(
                f"{name}-{what}",
                name=f"{name}-{what}",
                description=f"Tells people: {what.replace('-', ' ')}",
                event_pattern=json.dumps(pattern),
                state="ENABLED",
                opts=under,
            )
            aws.cloudwatch.EventTarget(
                f"{name}-{what}", rule=rule.name, target_id="people", arn=topic_arn, opts=under
            )
        self.register_outputs({})
