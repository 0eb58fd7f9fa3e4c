"""What records and watches: the trail, configurations, detectors, alarms, and where questions are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.alerts import AlertTopic
from components.audit import AuditRoom
from components.cis_alarms import CisAlarms
from components.detectors import Classification, Detectors
from components.findings import EventAlerts, findings_patterns
from components.log_archive import LogArchive
from components.recorder import ConfigurationRecorder, recorder_role
from components.trail import Trail
from stacks.parts.buckets import (
    archive_place,
    bucket_name,
    load_balancer_logs_url,
    reports_place,
    trail_place,
)
from stacks.parts.foundation import Foundation


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the other parts and the outputs name."""

    trail: Trail
    recorder: ConfigurationRecorder
    """That of the home region."""
    room: AuditRoom


def audit_of(
    base: Foundation, *, refused: pulumi.Input[str] | None, asked: Mapping[str, pulumi.Input[str]]
) -> Audit:
    """Build everything that records and watches, in both regions.

    Args:
        base: The foundation.
        refused: Log group of the web ACL, where there is a public entrance.
        asked: Log groups of what services were asked, by the services' names.
    """
    findings = _findings_topic(base, "findings", at_home=True)
    trail = Trail(
        f"{base.prefix}-trail",
        place=trail_place(base.settings),
        bucket=base.buckets.audit,
        watched_bucket_arns=base.buckets.watched_arns,
        key_arn=base.keys.logs_arn,
        log_retention_days=base.settings.retention.log_days,
        permissions_boundary_arn=base.roles.boundary_arn,
        opts=base.regions.at_home,
    )
    CisAlarms(
        f"{base.prefix}-cis",
        log_group_name=trail.log_group_name,
        topic_arn=findings.arn,
        opts=base.regions.at_home,
    )
    recorder = _recorders(base)
    _detectors(base, findings)
    archive = _archive(base)
    if refused is not None:
        archive.take("waf", refused, name="waf")
    for service, log_group in asked.items():
        archive.take("service", log_group, name=service)
    return Audit(trail=trail, recorder=recorder, room=_room(base))


def _findings_topic(base: Foundation, name: str, *, at_home: bool) -> AlertTopic:
    return AlertTopic(
        name,
        key_arn=base.keys.logs_arn if at_home else base.keys.backup_region_logs_arn,
        emails=base.settings.audit.findings_emails,
        account_id=base.settings.account_id,
        region=base.home_region if at_home else base.backup_region,
        opts=base.regions.at_home if at_home else base.regions.at_backup,
    )


def _recorders(base: Foundation) -> ConfigurationRecorder:
    role = recorder_role("config", base.regions.of_home)
    recorders = [
        ConfigurationRecorder(
            name,
            role_arn=role.arn,
            bucket=base.buckets.reports,
            bucket_name=reports_place(base.settings).bucket_name,
            key_arn=base.keys.reports_arn,
            records_global=records_global,
            opts=opts,
        )
        for name, records_global, opts in (
            ("config", True, base.regions.at_home),
            ("config-backup-region", False, base.regions.at_backup),
        )
    ]
    return recorders[0]


def _detectors(base: Foundation, findings: AlertTopic) -> None:
    Detectors(
        "detectors",
        region=base.home_region,
        account_id=base.settings.account_id,
        standards=base.settings.floors.standards,
        collects_from=[base.backup_region],
        classification=_classification(base) if base.settings.floors.classified else None,
        opts=base.regions.at_home,
    )
    Detectors(
        "detectors-backup-region",
        region=base.backup_region,
        account_id=base.settings.account_id,
        standards=base.settings.floors.standards,
        opts=base.regions.at_backup,
    )
    EventAlerts(
        f"{base.prefix}-finding",
        patterns=findings_patterns(base.home_region),
        topic_arn=findings.arn,
        opts=base.regions.at_home,
    )
    EventAlerts(
        f"{base.prefix}-finding-backup-region",
        patterns=findings_patterns(base.backup_region),
        topic_arn=_findings_topic(base, "findings-backup-region", at_home=False).arn,
        opts=base.regions.at_backup,
    )


def _classification(base: Foundation) -> Classification:
    return Classification(
        account_id=base.settings.account_id,
        bucket_names=[bucket_name(base.settings, "data", base.home_region)],
        results_bucket_name=reports_place(base.settings).bucket_name,
        results_key_arn=base.keys.reports_arn,
        results_bucket=base.buckets.reports,
    )


def _archive(base: Foundation) -> LogArchive:
    return LogArchive(
        f"{base.prefix}-archive",
        place=archive_place(base.settings),
        logs=["waf", "service"],
        key_arn=base.keys.reports_arn,
        logs_key_arn=base.keys.logs_arn,
        log_retention_days=base.settings.retention.log_days,
        permissions_boundary_arn=base.roles.boundary_arn,
        opts=base.regions.at_home,
    )


def _room(base: Foundation) -> AuditRoom:
    return AuditRoom(
        f"{base.prefix}-audit",
        logs={
            "trail": trail_place(base.settings).logs_url,
            "load_balancer": load_balancer_logs_url(base.settings),
            "waf": archive_place(base.settings).url("waf"),
            "service": archive_place(base.settings).url("service"),
        },
        results_bucket_name=bucket_name(base.settings, "answers", base.home_region),
        results_key_arn=base.keys.reports_arn,
        query_limit_gb=base.settings.audit.query_limit_gb,
        account_id=base.settings.account_id,
        region=base.home_region,
        opts=base.regions.at_home,
    )
