"""SARIF 2.1.0 for code scanning: each finding at the line of the program that made its resource.

OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". What is waived is a result that is
suppressed (3.27.23), what is undecided one of kind ``open`` (3.27.9).
"""

from __future__ import annotations

import hashlib
from typing import Any

from blueprint.formats.places import Places, resource_name
from blueprint.graph import Graph, canonical_json
from blueprint.verdict import Finding, Undecided, Verdict, Waived

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVEL = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}

_SCORE = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
"""Within the bands in which GitHub reads ``security-severity`` (GitHub Docs, "SARIF support for code scanning")."""


def render(graph: Graph, verdict: Verdict) -> str:
    """Return the verdict as a SARIF log of one run."""
    findings: list[Finding] = [*verdict.violations, *verdict.waived, *verdict.undecided]
    ids = sorted({finding.control for finding in findings})
    name, _, version = verdict.pack.partition("@")
    places = Places(graph)
    run = {
        "tool": {
            "driver": {
                "name": name,
                "version": version,
                "rules": [_rule(control, findings) for control in ids],
            }
        },
        "automationDetails": {"id": f"{name}/{verdict.stack}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the repository."}}},
        "results": [_result(finding, ids.index(finding.control), places) for finding in findings],
    }
    return canonical_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(control: str, findings: list[Finding]) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": control, "properties": {"tags": ["security", control.partition("-")[0]]}}
    for finding in findings:
        if finding.control == control and not isinstance(finding, Undecided):
            rule["help"] = {"text": finding.fix}
            rule["defaultConfiguration"] = {"level": _LEVEL[finding.severity]}
            rule["properties"]["security-severity"] = _SCORE[finding.severity]
            break
    return rule


def _result(finding: Finding, index: int, places: Places) -> dict[str, Any]:
    place = places.of(finding)
    name = resource_name(finding.urn)
    return {
        "ruleId": finding.control,
        "ruleIndex": index,
        **_said(finding, name),
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": place.file, "uriBaseId": "SRCROOT"},
                    "region": {"startLine": place.line},
                },
                "logicalLocations": [
                    {"name": name, "fullyQualifiedName": finding.urn or "the stack", "kind": "resource"}
                ],
            }
        ],
        "partialFingerprints": {"controlAndResource/v1": _fingerprint(finding)},
    }


def _said(finding: Finding, name: str) -> dict[str, Any]:
    if isinstance(finding, Undecided):
        return {
            "kind": "open",
            "level": "none",
            "message": {"text": f"{name}: {finding.waits_for} is not known yet."},
        }
    said: dict[str, Any] = {
        "kind": "fail",
        "level": _LEVEL[finding.severity],
        "message": {"text": f"{name}: {finding.problem}. {finding.fix}"},
    }
    if isinstance(finding, Waived):
        why = f"{finding.why} ({finding.owner}, until {finding.expiry})"
        said["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return said


def _fingerprint(finding: Finding) -> str:
    """Return what stays the same when lines move: the control, the resource and what is wrong with it."""
    what = finding.waits_for if isinstance(finding, Undecided) else finding.problem
    return hashlib.sha256(
        "\n".join((finding.control, finding.urn, what)).encode(errors="replace")
    ).hexdigest()
