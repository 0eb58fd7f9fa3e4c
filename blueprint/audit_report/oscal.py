"""The report as OSCAL assessment results (NIST, OSCAL 1.2.3): what was reviewed, observed and found.

A reviewed control is one of the platform's own; the requirements of frameworks that refer to it are properties of its
finding. Identifiers are derived from what they identify, so the same report is the same file.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from blueprint.audit_report.facts import Facts
from blueprint.audit_report.posture import STATES, Assessed
from blueprint.formats.places import resource_name
from blueprint.verdict import Undecided, Violation, Waived

VERSION = "1.2.3"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:secure-ml-platform:audit-report")
_NAMESPACE = "urn:secure-ml-platform"

JsonObject = dict[str, Any]


def assessment_results(facts: Facts) -> JsonObject:
    """Return the document."""
    about = f"{facts.stack} {facts.day} {facts.commit}"
    moment = f"{facts.day}T00:00:00Z"
    observations = [
        _observation(about, finding, moment) for each in facts.controls for finding in _findings(each)
    ]
    result: JsonObject = {
        "uuid": _id(about, "result"),
        "title": f"Policies against {facts.stack}",
        "description": facts.sentence,
        "start": moment,
        "end": moment,
        "props": [
            _prop("passed", "yes" if facts.verdict.passed else "no"),
            _prop("policy-pack", facts.verdict.pack),
            _prop("resources", str(facts.verdict.resource_count)),
            *(_prop(f"{name}-findings", str(count)) for name, count in facts.verdict.counts().items()),
        ],
        "reviewed-controls": {
            "control-selections": [
                {"include-controls": [{"control-id": each.control.id} for each in facts.controls]}
            ]
        },
        "findings": [_finding(about, each) for each in facts.controls],
    }
    if observations:
        result["observations"] = observations
    return {
        "assessment-results": {
            "uuid": _id(about, "document"),
            "metadata": {
                "title": f"Audit report of {facts.stack}",
                "last-modified": moment,
                "version": str(facts.day),
                "oscal-version": VERSION,
                "props": [
                    _prop(name, value)
                    for name, value in (
                        ("environment", facts.stack),
                        ("commit", facts.commit),
                        *sorted(facts.declared.items()),
                    )
                    if value.strip()
                ],
            },
            # There is no plan as a document; the controls are listed by the pack itself.
            "import-ap": {"href": "#controls", "remarks": "The plan is the policy pack: blueprint controls."},
            "results": [result],
        }
    }


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "\n".join(parts)))


def _prop(name: str, value: str) -> JsonObject:
    return {"name": name, "ns": _NAMESPACE, "value": " ".join(value.split())}


def _findings(each: Assessed) -> Iterator[Violation | Waived | Undecided]:
    yield from each.violations
    yield from each.waived
    yield from each.undecided


def _identity(finding: Violation | Waived | Undecided) -> str:
    said = finding.waits_for if isinstance(finding, Undecided) else finding.problem
    return f"{type(finding).__name__} {finding.control} {finding.urn} {said}"


def _observation(about: str, finding: Violation | Waived | Undecided, moment: str) -> JsonObject:
    observed: JsonObject = {
        "uuid": _id(about, _identity(finding)),
        "title": f"{finding.control} on {resource_name(finding.urn)}",
        "methods": ["TEST"],
        "types": ["finding"],
        "collected": moment,
        "props": [_prop("resource", finding.urn)],
    }
    if isinstance(finding, Undecided):
        return {**observed, "description": f"Not decided: waits for {finding.waits_for}."}
    observed["description"] = f"{finding.problem}. To do: {finding.fix}"
    if isinstance(finding, Waived):
        observed["remarks"] = f"Waived by {finding.owner} until {finding.expiry}: {finding.why}"
    return observed


def _finding(about: str, each: Assessed) -> JsonObject:
    control, holds = each.control, each.state in ("holds", "nothing")
    found: JsonObject = {
        "uuid": _id(about, "finding", control.id),
        "title": control.title,
        "description": each.evidence,
        "props": [
            _prop("severity", control.severity),
            _prop("state", STATES[each.state][1]),
            *(
                _prop("requirement", f"{key.replace('_', '-')} {id_}")
                for key, ids in control.references.items()
                for id_ in ids
            ),
        ],
        "target": {
            "type": "objective-id",
            "target-id": control.id,
            "status": {
                "state": "satisfied" if holds else "not-satisfied",
                "reason": "pass" if holds else "fail" if each.violations else "other",
            },
        },
    }
    related = [{"observation-uuid": _id(about, _identity(finding))} for finding in _findings(each)]
    return {**found, "related-observations": related} if related else found
