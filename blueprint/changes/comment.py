"""The comment on a pull request: a table that says it all, what matters most first, the rest folded away.

A bot keeps one such comment on a pull request and finds it by its first line. It fits whatever the change is: what is
left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blueprint.changes import MARK
from blueprint.changes.compare import Difference, Step
from blueprint.changes.review import Review
from blueprint.formats.markdown import plain
from blueprint.formats.places import resource_name
from blueprint.verdict import Undecided, Violation, Waived, printable

MAX_BYTES = 60_000
"""GitHub takes 65,536 characters in a comment."""

_LONGEST_NAME = 160
_LONGEST_TEXT = 300
_MOST_PATHS = 8
_MOST_ROWS = 20
_RESERVED = 200
"""Bytes of a section without its items: the fold around it, and the line that counts what is left out."""

_DOES = {
    "replaced": "replaced: destroyed, and made anew",
    "removed": "removed",
    "changed": "changed in place",
    "added": "added",
}


@dataclass(frozen=True)
class _Section:
    title: str
    items: tuple[str, ...]


def render(reviews: Sequence[Review]) -> str:
    """Return the comment."""
    word = "passed" if all(review.passed for review in reviews) else "refused"
    head = [MARK, f"### What this changes: {word}", "", *_table(reviews), *_warnings(reviews)]
    sections = [section for section in _sections(reviews) if section.items]
    left = MAX_BYTES - _size(head) - _RESERVED * len(sections)
    lines = head
    for section in sections:
        # Half of what is left for each, so that a flood of one kind does not push out the next.
        folded = _folded(section, left // 2)
        left -= _size(folded)
        lines += folded
    return "\n".join([*lines, "", *_foot(reviews)])


def _table(reviews: Sequence[Review]) -> list[str]:
    rows = [
        "| | replaced | removed | changed | added | policies | roles may do | cost floor, USD a month |",
        "|---|--:|--:|--:|--:|---|---|---|",
    ]
    rows += [_row(review) for review in reviews[:_MOST_ROWS]]
    if len(reviews) > _MOST_ROWS:
        rows += ["", f"{len(reviews) - _MOST_ROWS} more environments are left out of this table."]
    return rows


def _row(review: Review) -> str:
    counts = " | ".join(str(count) for count in review.counts().values())
    more = f"{len(review.access)} more" if review.access else "no more"
    cells = f"**{plain(review.environment)}**{_state(review)} | {counts} | {_policies(review)} | {more} | {cost(review)}"
    return f"| {cells} |"


def _state(review: Review) -> str:
    if review.before is None:
        return " (new)"
    return " (no longer here)" if review.after is None else ""


def _policies(review: Review) -> str:
    said = ["passed" if review.passed else "**refused**"]
    said += [f"{len(review.new)} new"] if review.new else []
    said += [f"{len(review.mended)} mended"] if review.mended else []
    said += [f"{len(review.waived)} waived"] if review.waived else []
    return ", ".join(said)


def cost(review: Review) -> str:
    """Return ``610 → 640 (+30)``; a plus at the end where something has no price."""
    before, after = (round(each) for each in review.usd_a_month)
    open_ended = " and more" if review.cost_after and review.cost_after.unpriced else ""
    if before == after:
        return f"{after:,}{open_ended}"
    return f"{before:,} → {after:,} ({after - before:+,}){open_ended}"


def _warnings(reviews: Sequence[Review]) -> list[str]:
    refused = sum(each.refused for review in reviews for each in review.differences)
    mandatory = sum(each.mandatory for review in reviews for each in review.new)
    said = []
    if mandatory:
        said += ["", f"**{mandatory} new findings stop an update.**"]
    if refused:
        said += [
            "",
            f"**{refused} protected resources would go: the engine refuses that while they are protected.**",
        ]
    return said


def _sections(reviews: Sequence[Review]) -> Iterable[_Section]:
    yield _section("new findings", ((r, _finding(v)) for r in reviews for v in r.new))
    yield from (_step(reviews, step) for step in ("replaced", "removed"))
    yield _section(
        "things that roles may do now and could not before",
        ((r, f"{_name(a.role)} {_cut(a.what)}") for r in reviews for a in r.access),
    )
    yield _section("newly waived", ((r, _waived(w)) for r in reviews for w in r.newly_waived))
    yield from (_step(reviews, step) for step in ("changed", "added"))
    yield _section("newly undecided", ((r, _undecided(u)) for r in reviews for u in r.newly_undecided))
    yield _section("findings mended", ((r, _mended(v)) for r in reviews for v in r.mended))
    yield _section("waived in all", ((r, _waived(w)) for r in reviews for w in r.waived))


def _section(title: str, items: Iterable[tuple[Review, str]]) -> _Section:
    found = tuple(f"- **{plain(review.environment)}** {text}" for review, text in items)
    return _Section(f"{len(found)} {title}", found)


def _step(reviews: Sequence[Review], step: Step) -> _Section:
    found = ((r, _difference(d)) for r in reviews for d in r.differences if d.step == step)
    return _section(_DOES[step], found)


def _difference(difference: Difference) -> str:
    said = _name(difference.name)
    if difference.refused:
        said += " (**protected**)"
    # What forces a replacement is what a reviewer looks for.
    ranked = sorted(difference.changes, key=lambda each: each.path not in difference.forced_by)
    shown = [_cut(str(change)) for change in ranked[:_MOST_PATHS]]
    if len(ranked) > _MOST_PATHS:
        shown += [f"and {len(ranked) - _MOST_PATHS} more"]
    return said + (f": {'; '.join(shown)}" if shown else "")


def _finding(found: Violation) -> str:
    stops = ", stops an update" if found.mandatory else ""
    return (
        f"**{plain(found.control)}** {plain(found.severity)}{stops}: {_name(resource_name(found.urn))}: "
        f"{_cut(found.problem)}<br>Fix: {_cut(found.fix)}"
    )


def _mended(found: Violation) -> str:
    return f"**{plain(found.control)}** {_name(resource_name(found.urn))}: {_cut(found.problem)}"


def _waived(waived: Waived) -> str:
    return (
        f"**{plain(waived.control)}** {_name(resource_name(waived.urn))}: {_cut(waived.problem)}<br>"
        f"Until {plain(waived.expiry)} by {_name(waived.owner)}: {_cut(waived.why)}"
    )


def _undecided(undecided: Undecided) -> str:
    return (
        f"**{plain(undecided.control)}** {_name(resource_name(undecided.urn))}: {_cut(undecided.waits_for)}"
    )


def _name(text: str) -> str:
    return _shortened(text, _LONGEST_NAME)


def _cut(text: str) -> str:
    return _shortened(text, _LONGEST_TEXT)


def _shortened(text: str, longest: int) -> str:
    # Cut first and escape then: half an escape would be none.
    text = printable(" ".join(text.split()))
    return plain(text if len(text) <= longest else f"{text[:longest]}…")


def _folded(section: _Section, budget: int) -> list[str]:
    """Return the section with as many of its items as fit, and the number of the others."""
    kept: list[str] = []
    for item in section.items:
        budget -= len(item.encode()) + 1
        if budget < 0:
            break
        kept.append(item)
    left_out = len(section.items) - len(kept)
    more = [f"- {left_out} more are left out here; `blueprint diff BASE HEAD` shows all."] if left_out else []
    return ["", f"<details><summary>{section.title}</summary>", "", *kept, *more, "", "</details>"]


def _foot(reviews: Sequence[Review]) -> list[str]:
    unpriced = sum(len(r.cost_after.unpriced) for r in reviews if r.cost_after)
    known = next((r.cost_after for r in reviews if r.cost_after), None)
    said = "Which changes replace a resource is known here of the commonest only; the deployment's own preview asks the provider."
    if known:
        said += " The cost floor is what runs though nobody uses it, at AWS's list prices"
        said += f"; {unpriced} resources have no price and are not in it." if unpriced else "."
    return [f"<sub>{said}</sub>"]


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
