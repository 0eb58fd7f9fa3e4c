"""Findings: what weighs reaches people, once; what does not, leaves them alone. Patterns are run, not read."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from moto.events.models import EventPattern

from blueprint.graph import Graph
from components.backup import FAILURES
from components.findings import EventAlerts, Pattern, findings_patterns
from tests.components.support import HOME, TOPIC, built

RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"


def told(patterns: dict[str, Pattern], event: dict[str, Any]) -> set[str]:
    """Return the rules that tell people of an event."""
    return {
        name
        for name, pattern in patterns.items()
        if EventPattern.load(json.dumps(pattern)).matches_event(cast(Any, event))
    }


def threat(severity: float) -> dict[str, Any]:
    return {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {"severity": severity}}


def weakness(**changed: Any) -> dict[str, Any]:
    finding: dict[str, Any] = {
        "Severity": {"Label": "HIGH"},
        "Workflow": {"Status": "NEW"},
        "RecordState": "ACTIVE",
        "Region": HOME,
        "ProductName": "Security Hub",
        **changed,
    }
    return {
        "source": "aws.securityhub",
        "detail-type": "Security Hub Findings - Imported",
        "detail": {"findings": finding},
    }


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        pytest.param(threat(8.9), {"threat"}, id="critical-threat"),
        pytest.param(threat(7), {"threat"}, id="high-threat"),
        pytest.param(threat(6.9), set(), id="medium-threat"),
        pytest.param(weakness(), {"weakness"}, id="high-weakness"),
        pytest.param(weakness(Severity={"Label": "CRITICAL"}), {"weakness"}, id="critical-weakness"),
        pytest.param(weakness(Severity={"Label": "LOW"}), set(), id="low-weakness"),
        pytest.param(weakness(Workflow={"Status": "SUPPRESSED"}), set(), id="dealt-with"),
        pytest.param(weakness(RecordState="ARCHIVED"), set(), id="gone"),
        pytest.param(weakness(Region="us-west-2"), set(), id="told-by-the-other-region"),
        pytest.param(weakness(ProductName="GuardDuty"), set(), id="told-by-guardduty"),
        pytest.param(weakness(ProductName="Inspector"), {"weakness"}, id="inspector"),
    ],
)
def test_what_weighs_is_told_once(event: dict[str, Any], rules: set[str]) -> None:
    assert told(dict(findings_patterns(HOME)), event) == rules


def job(kind: str, **detail: str) -> dict[str, Any]:
    return {"source": "aws.backup", "detail-type": f"{kind} Job State Change", "detail": detail}


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        pytest.param(job("Backup", state="FAILED"), {"backup-failed"}, id="failed"),
        pytest.param(job("Backup", state="EXPIRED"), {"backup-failed"}, id="never-began"),
        pytest.param(job("Backup", state="ABORTED"), {"backup-failed"}, id="took-too-long"),
        pytest.param(job("Backup", state="COMPLETED"), set(), id="went-well"),
        pytest.param(job("Copy", state="FAILED"), {"copy-failed"}, id="copy"),
        pytest.param(job("Copy", state="COMPLETED"), set(), id="copied"),
    ],
)
def test_backups_that_fail_are_told(event: dict[str, Any], rules: set[str]) -> None:
    # moto does not know "$or"; the rule that has one is looked at below.
    patterns = {name: pattern for name, pattern in FAILURES.items() if name != "restore-failed"}
    assert told(patterns, event) == rules


def test_restores_that_fail_are_told_whatever_aws_calls_the_field() -> None:
    restore = FAILURES["restore-failed"]
    assert restore["detail-type"] == ["Restore Job State Change"]
    for alternative in restore["detail"]["$or"]:
        (field,) = alternative
        pattern = {**restore, "detail": alternative}
        assert told({"one": pattern}, job("Restore", **{field: "FAILED"})) == {"one"}
        assert told({"one": pattern}, job("Restore", **{field: "COMPLETED"})) == set()
    assert {field for alternative in restore["detail"]["$or"] for field in alternative} == {"state", "status"}


def alerts(patterns: dict[str, Pattern]) -> Graph:
    return built(lambda opts, _: EventAlerts("a", patterns=patterns, topic_arn=TOPIC, opts=opts))


def test_every_rule_is_on_and_ends_at_the_topic() -> None:
    graph = alerts(dict(FAILURES))
    assert {rule.inputs["state"] for rule in graph.of(RULE)} == {"ENABLED"}
    assert {target.inputs["arn"] for target in graph.of(TARGET)} == {TOPIC}
    assert {target.inputs["rule"] for target in graph.of(TARGET)} == {
        rule.outputs["name"] for rule in graph.of(RULE)
    }


def test_alerts_on_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="patterns is empty"):
        alerts({})
