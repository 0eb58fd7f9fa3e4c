"""AUD and ACC: what watches and guards an account does so in every region in which the stack has something."""

from __future__ import annotations

from collections.abc import Mapping

from controls.aud import (
    CLUSTER,
    DATABASE,
    DETECTOR,
    FEATURE,
    HUB,
    RECORDER_STATUS,
    STANDARD,
    VPC,
)
from machinery.buckets import BUCKET
from machinery.control import HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.regions import region_of
from machinery.stack import Stack
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()

VAULT = "aws:backup/vault:Vault"
RECORDER = "aws:cfg/recorder:Recorder"
INSPECTOR = "aws:inspector2/enabler:Enabler"
ANALYZER = "aws:accessanalyzer/analyzer:Analyzer"
METADATA = "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults"
SERIAL = "aws:ec2/serialConsoleAccess:SerialConsoleAccess"
ENCRYPTION = "aws:ebs/encryptionByDefault:EncryptionByDefault"
DEFAULT_KEY = "aws:ebs/defaultKmsKey:DefaultKmsKey"
SNAPSHOTS = "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess"


def _regions(stack: Stack) -> list[str]:
    """Return the regions in which the stack keeps or runs something."""
    return sorted({region_of(each) for each in stack.of(BUCKET, VPC, DATABASE, CLUSTER, VAULT)} - {""})


def _in(stack: Stack, region: str, *types: str) -> list[Resource]:
    return [each for each in stack.of(*types) if region_of(each) == region]


@catalogue.stack(
    "AUD-13",
    "Attacks, weaknesses and configurations are watched in every region, with all that the detectors can",
    severity=HIGH,
    remedy="In each region add a GuardDuty detector with every feature ENABLED, Inspector, Security Hub with its standards, and a running recorder of all types.",
    references=References(
        cis=["3.3"], fsbp=["GuardDuty.1", "Config.1", "Inspector.1"], nist=["SI-4", "RA-5", "CM-8"]
    ),
)
def every_region_is_watched(stack: Stack) -> Outcomes:
    for region in _regions(stack):
        for type_, what in _WATCHERS.items():
            if not _in(stack, region, type_):
                yield stack_violation(f"has no {what} in {region}")
        named = {str(each.reference("standardsArn", absent="")) for each in _in(stack, region, STANDARD)}
        for standard in ("aws-foundational-security-best-practices", "cis-aws-foundations-benchmark"):
            if not any(standard in arn for arn in named):
                yield stack_violation(f"does not compare itself with {standard} in {region}")


_WATCHERS: Mapping[str, str] = {
    DETECTOR: "GuardDuty detector",
    HUB: "Security Hub",
    INSPECTOR: "Inspector",
    RECORDER: "recorder of configurations",
    RECORDER_STATUS: "recorder of configurations that runs",
}

_FEATURES = (
    "EBS_MALWARE_PROTECTION",
    "EKS_AUDIT_LOGS",
    "LAMBDA_NETWORK_LOGS",
    "RDS_LOGIN_EVENTS",
    "RUNTIME_MONITORING",
    "S3_DATA_EVENTS",
)
_PROMPT = ("FIFTEEN_MINUTES", "ONE_HOUR")
_SEARCHED = frozenset({"EC2", "ECR", "LAMBDA"})


@catalogue.stack(
    "AUD-14",
    "Detectors are on, with every feature, and soon tell what they find",
    severity=MEDIUM,
    on=(DETECTOR, FEATURE, HUB, RECORDER, RECORDER_STATUS, INSPECTOR),
    remedy="Leave no feature of a detector out or DISABLED; record all supported types; enable new controls automatically.",
    references=References(fsbp=["GuardDuty.7", "GuardDuty.11", "Config.1"], nist=["SI-4", "RA-5"]),
)
def detectors_do_all_they_can(watcher: Resource, stack: Stack) -> Outcomes:
    if watcher.type == DETECTOR:
        yield from _detector(watcher, stack)
    elif watcher.type == FEATURE:
        parts = [watcher, *watcher.items("additionalConfigurations")]
        for part in parts:
            if part.switch("status") != "ENABLED":
                yield part.violation("status", "is not ENABLED")
        if watcher.switch("name") == "RUNTIME_MONITORING" and len(parts) < 4:
            yield watcher.violation("additionalConfigurations", "leave out agents that AWS could manage")
    elif watcher.type == HUB and not watcher.switch("autoEnableControls", absent=True):
        yield watcher.violation("autoEnableControls", "leaves new controls off")
    elif watcher.type == RECORDER and not watcher.switch("recordingGroup.allSupported", absent=True):
        yield watcher.violation("recordingGroup.allSupported", "leaves types of resources out")
    elif watcher.type == RECORDER_STATUS and not watcher.switch("isEnabled", absent=False):
        yield watcher.violation("isEnabled", "stops the recorder")
    elif watcher.type == INSPECTOR:
        left = _SEARCHED - {text for _, text in watcher.texts("resourceTypes")}
        if left:
            yield watcher.violation("resourceTypes", f"leave out {', '.join(sorted(left))}")


def _detector(detector: Resource, stack: Stack) -> Outcomes:
    if detector.switch("findingPublishingFrequency", absent="SIX_HOURS") not in _PROMPT:
        yield detector.violation("findingPublishingFrequency", "tells of findings hours later")
    named = {str(f.switch("name")) for f in stack.referrers(detector, "detectorId", FEATURE)}
    for feature in _FEATURES:
        if feature not in named:
            yield detector.violation("", f"is without {feature}")


@catalogue.stack(
    "IAM-28",
    "In every region an analyzer looks for what outsiders may reach",
    severity=MEDIUM,
    remedy="Add an aws.accessanalyzer.Analyzer under the provider of each region.",
    references=References(cis=["1.20"], nist=["AC-3", "CA-7"], aws_ai=["AISF-DATA-02"]),
)
def every_region_has_an_analyzer(stack: Stack) -> Outcomes:
    for region in _regions(stack):
        if not _in(stack, region, ANALYZER):
            yield stack_violation(f"has no Access Analyzer in {region}")


_GUARDS: Mapping[str, str] = {
    METADATA: "default that asks for IMDSv2",
    SERIAL: "setting that closes the serial console",
    ENCRYPTION: "default that encrypts volumes",
    DEFAULT_KEY: "default key of volumes",
    SNAPSHOTS: "block on public snapshots",
}


@catalogue.stack(
    "ACC-10",
    "In every region the account's defaults are safe: metadata, serial console, volumes, snapshots",
    severity=HIGH,
    remedy="Add InstanceMetadataDefaults, SerialConsoleAccess, EncryptionByDefault, DefaultKmsKey and SnapshotBlockPublicAccess under the provider of each region.",
    references=References(cis=["2.2.1", "5.6"], fsbp=["EC2.7", "EC2.8", "EC2.182"], nist=["CM-6", "SC-28"]),
)
def every_region_has_safe_defaults(stack: Stack) -> Outcomes:
    for region in _regions(stack):
        for type_, what in _GUARDS.items():
            if not _in(stack, region, type_):
                yield stack_violation(f"has no {what} in {region}")


@catalogue.resource(
    "ACC-11",
    "The account's defaults are the safe ones",
    severity=HIGH,
    on=(METADATA, SERIAL, ENCRYPTION, SNAPSHOTS),
    remedy="Set http_tokens required and http_put_response_hop_limit 2 or less; serial console off; encryption on; snapshots block-all-sharing.",
    references=References(cis=["2.2.1", "5.6"], fsbp=["EC2.7", "EC2.8", "EC2.182"], nist=["CM-6"]),
)
def defaults_are_safe(default: Resource) -> Outcomes:
    if default.type == METADATA:
        if default.switch("httpTokens", absent="no-preference") != "required":
            yield default.violation("httpTokens", "admits IMDSv1")
        if not 0 < default.number("httpPutResponseHopLimit", absent=1) <= 2:
            yield default.violation("httpPutResponseHopLimit", "lets credentials travel further than a pod")
    elif default.type == SERIAL and default.switch("enabled", absent=True):
        yield default.violation("enabled", "opens the serial console")
    elif default.type == ENCRYPTION and not default.switch("enabled", absent=True):
        yield default.violation("enabled", "leaves volumes in clear")
    elif default.type == SNAPSHOTS and default.switch("state", absent="") != "block-all-sharing":
        yield default.violation("state", "lets snapshots be public")
