"""A comment for a pull request: one line that says it all, and the details folded away."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from blueprint.formats.places import Places, resource_name
from blueprint.graph import Graph
from blueprint.verdict import SEVERITIES, Finding, Undecided, Verdict, Waived

MAX_CHARACTERS = 60_000
"""GitHub takes 65,536 in a comment; the rest is for what a bot may add."""

_ACTIVE = re.compile(r"([\\`*_{}\[\]#|~@$])")
_CALLING = re.compile(r"(@|#|\bGH-|\bwww(?=\.))", re.IGNORECASE)
_NO_SPACE = "&#8203;"


def render(graph: Graph, verdict: Verdict) -> str:
    """Return the comment; the mark in its first line lets a bot find the one that it wrote before."""
    places = Places(graph)
    word = "passed" if verdict.passed else "refused"
    lines = [
        f"<!-- policies:{plain(verdict.stack)} -->",
        f"### Policies: {plain(verdict.stack)} {word}",
        "",
        _totals(verdict),
    ]
    for severity in SEVERITIES:
        found = [v for v in verdict.violations if v.severity == severity]
        lines += _folded(f"{len(found)} {severity}", (_violation(v, places) for v in found))
    waived = (_waived(each, places) for each in verdict.waived)
    lines += _folded(f"{len(verdict.waived)} waived", waived)
    undecided = (f"**{u.control}** {_subject(u, places)}: {plain(u.waits_for)}" for u in verdict.undecided)
    lines += _folded(f"{len(verdict.undecided)} undecided", undecided)
    return _bounded(lines)


def _totals(verdict: Verdict) -> str:
    counts = [f"{count} {severity}" for severity, count in verdict.counts().items() if count]
    counts += [f"{len(verdict.waived)} waived"] if verdict.waived else []
    counts += [f"{len(verdict.undecided)} undecided"] if verdict.undecided else []
    return f"{verdict.resource_count} resources against {len(verdict.controls)} controls: " + (
        ", ".join(counts) or "nothing to say"
    )


def _folded(title: str, items: Iterable[str]) -> list[str]:
    bullets = [f"- {item}" for item in items]
    return ["", f"<details><summary>{title}</summary>", "", *bullets, "", "</details>"] if bullets else []


def _violation(found: Finding, places: Places) -> str:
    assert not isinstance(found, Undecided)  # noqa: S101 - for the type checker
    return f"**{found.control}** {_subject(found, places)}: {plain(found.problem)}<br>Fix: {plain(found.fix)}"


def _waived(waived: Waived, places: Places) -> str:
    terms = f"until {waived.expiry} by {plain(waived.owner)}"
    return f"{_violation(waived, places)}<br>Waived {terms}: {plain(waived.why)}"


def _subject(finding: Finding, places: Places) -> str:
    return f"{plain(resource_name(finding.urn))} in {plain(str(places.of(finding)))}"


def plain(text: str) -> str:
    """Return text that stays text: no mark-up, no link, no mention of a person and of no other thread.

    GitHub looks for mentions, threads and bare addresses in what was rendered, where no backslash is left; a space of
    no width stays there.
    """
    escaped = _ACTIVE.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))
    return _CALLING.sub(rf"\1{_NO_SPACE}", escaped).replace("://", f":{_NO_SPACE}//")


def _bounded(lines: list[str]) -> str:
    """Leave out bullets that no longer fit, and say how many."""
    kept: list[str] = []
    size, left_out = 0, 0
    for line in lines:
        if line.startswith("- ") and size + len(line) > MAX_CHARACTERS:
            left_out += 1
            continue
        kept.append(line)
        size += len(line) + 1
    return "\n".join([*kept, *_more(left_out)])


def _more(left_out: int) -> Iterator[str]:
    if left_out:
        yield ""
        yield f"{left_out} more are left out here; `blueprint preview` shows all."
