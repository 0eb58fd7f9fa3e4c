"""The report as one page of HTML: it loads nothing, and runs only the style and the script that it names by hash."""

from __future__ import annotations

import base64
import hashlib
from datetime import date

import jinja2

from blueprint.audit_report.architecture import architecture
from blueprint.audit_report.drawing import FOLDER, svg
from blueprint.audit_report.facts import Facts
from blueprint.audit_report.posture import STATES
from blueprint.audit_report.residency import residency
from blueprint.formats.places import resource_name
from blueprint.verdict import SEVERITIES


def page(facts: Facts) -> str:
    """Return the page. Whatever a resource, a waiver or a file chose itself is escaped."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(FOLDER),
    )
    environment.filters["resource"] = resource_name
    environment.filters["short"] = lambda name: name.removeprefix(facts.prefix) or name
    environment.filters["days_after"] = _days_after
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "picture.css"))
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        facts=facts,
        verdict=facts.verdict,
        counts=facts.verdict.counts(),
        severities=SEVERITIES,
        states=STATES,
        architecture=svg(architecture(facts.stack, facts.regions, facts.network, facts.services)),
        residency=svg(residency(facts.stack, facts.regions, facts.held)),
        style=style,
        script=script,
        policy=_policy(style, script),
    )


def picture(facts: Facts) -> str:
    """Return the picture of the architecture as a file of its own."""
    return svg(architecture(facts.stack, facts.regions, facts.network, facts.services), alone=True)


def _policy(style: str, script: str) -> str:
    """Return a content security policy that admits one style and one script, and no address at all."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _days_after(day: str, since: date) -> int:
    """Return how many days are left until a day, ``2027-01-31``."""
    return (date.fromisoformat(day) - since).days
