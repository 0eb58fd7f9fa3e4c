"""JUnit XML for CI: a case for each finding, and one for each control that holds.

What stops an update is a failure. What only advises, waits or is waived is skipped with a message, so that it is
seen and fails nothing.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from blueprint.formats.places import Places, resource_name
from blueprint.graph import Graph
from blueprint.verdict import Finding, Undecided, Verdict, Violation, Waived

# What XML 1.0 cannot carry, escaped or not (section 2.2, "Characters").
_NO_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(graph: Graph, verdict: Verdict) -> str:
    """Return the verdict as one test suite."""
    places = Places(graph)
    findings: list[Finding] = [*verdict.violations, *verdict.waived, *verdict.undecided]
    holding = sorted(set(verdict.controls) - {finding.control for finding in findings})
    failures = sum(violation.mandatory for violation in verdict.violations)
    counts = {
        "tests": str(len(findings) + len(holding)),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(len(findings) - failures),
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": f"policies of {verdict.stack}", **counts})
    for finding in findings:
        _case(suite, finding, places)
    for control in holding:
        ElementTree.SubElement(suite, "testcase", {"classname": _class(control), "name": control})
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=False)


def _case(suite: ElementTree.Element, finding: Finding, places: Places) -> None:
    place = places.of(finding)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": _class(finding.control),
            "name": _clean(f"{finding.control} {resource_name(finding.urn)}"),
            "file": _clean(place.file),
            "line": str(place.line),
        },
    )
    if isinstance(finding, Violation) and finding.mandatory:
        failure = ElementTree.SubElement(
            case, "failure", {"type": finding.severity, "message": _clean(finding.problem)}
        )
        failure.text = _clean(f"{place}\n{finding.urn}\n{finding.problem}\nFix: {finding.fix}")
    else:
        ElementTree.SubElement(case, "skipped", {"message": _clean(_skipped(finding))})


def _skipped(finding: Finding) -> str:
    if isinstance(finding, Undecided):
        return f"undecided: {finding.waits_for} is not known yet"
    if isinstance(finding, Waived):
        return (
            f"waived until {finding.expiry} by {finding.owner}: {finding.problem}. Why: {finding.why}. "
            f"Fix: {finding.fix}"
        )
    return f"{finding.severity}, advice: {finding.problem}. Fix: {finding.fix}"


def _class(control: str) -> str:
    return control.partition("-")[0]


def _clean(text: str) -> str:
    return _NO_CHARACTER.sub("?", text)
