"""The verdict as one page for people: what was asked, what was found, and pictures of it; it loads nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from services.modelchain.folder import Candidate
from services.modelchain.schema import Verdict
from services.redteam import drawing, meaning
from services.redteam.data import Examples
from services.redteam.findings import Chart, Exhibit, Gallery, Measured
from services.redteam.judgement import Done

TEMPLATE = Path(__file__).parent / "page.html.j2"


def written(candidate: Candidate, verdict: Verdict, found: list[Done], examples: Examples) -> str:
    """Return the page as HTML. Whatever a candidate chose itself (names, classes) is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(TEMPLATE.read_text())
    passed = sum(check.passed for check in verdict.checks)
    return page.render(
        schema=candidate.schema,
        card=candidate.card,
        privacy=candidate.privacy,
        verdict=verdict,
        examples=examples,
        passed=passed,
        seconds=sum(done.seconds for done in found),
        attacks=[_attack(done) for done in found],
    )


def _attack(done: Done) -> dict[str, Any]:
    return {
        "name": done.attack.name,
        "title": done.attack.title,
        "idea": _idea(done.attack.idea),
        "seconds": done.seconds,
        "passed": all(each.check.passed for each in done.result.measured),
        "checks": [_check(each) for each in done.result.measured],
        "exhibits": [_exhibit(each) for each in done.result.exhibits],
    }


def _idea(line: str) -> str:
    said = line.partition(": ")[2] or line
    return said[:1].upper() + said[1:]


def _check(measured: Measured) -> dict[str, Any]:
    check = measured.check
    value, threshold = meaning.shown(check)
    span = max(1.0, check.value, check.threshold) * (1.05 if check.threshold > 1 else 1.0)
    return {
        "name": check.name,
        "meaning": meaning.of(check),
        "about": check.about,
        "passed": check.passed,
        "value": value,
        "threshold": f"{'≥' if measured.least else '≤'} {threshold}",
        "share": 100 * min(1.0, max(0.0, check.value / span)),
        "line": 100 * min(1.0, max(0.0, check.threshold / span)),
    }


def _exhibit(exhibit: Exhibit) -> dict[str, Any]:
    said: dict[str, Any] = {"title": exhibit.title, "about": exhibit.about}
    if isinstance(exhibit, Chart):
        return {**said, "kind": "chart", "svg": drawing.chart(exhibit)}
    if isinstance(exhibit, Gallery):
        rows = [
            {
                "title": row.title,
                "pictures": [
                    {"data": drawing.png(image), "caption": caption, "alt": f"{row.title}: {caption}"}
                    for image, caption in zip(row.images, row.captions, strict=True)
                ],
            }
            for row in exhibit.rows
        ]
        return {**said, "kind": "gallery", "rows": rows}
    return {**said, "kind": "table", "head": exhibit.head, "rows": exhibit.rows}
