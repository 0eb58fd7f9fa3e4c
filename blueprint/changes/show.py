"""What a person reads at a terminal: each environment with its differences, findings, access and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from blueprint.changes.comment import cost
from blueprint.changes.compare import Difference
from blueprint.changes.review import Review
from blueprint.formats.places import resource_name
from blueprint.verdict import printable

_SIGN = {
    "replaced": ("±", "bold red"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "added": ("+", "green"),
}


def text(reviews: Sequence[Review], console: Console) -> None:
    """Print everything: nothing is left out here."""
    for review in reviews:
        for line in _lines(review):
            console.print(line, soft_wrap=True)


def _lines(review: Review) -> Iterator[Text]:
    yield Text(review.environment, style="bold")
    for difference in review.differences:
        yield from _difference(difference)
    for found in review.new:
        stops = ", stops an update" if found.mandatory else ""
        yield Text(
            f"  new: {found.control} {found.severity}{stops}: {resource_name(found.urn)}: {found.problem}"
        )
        yield Text(f"       {found.fix}")
    for found in review.mended:
        yield Text(f"  mended: {found.control}: {resource_name(found.urn)}: {found.problem}")
    for waits in review.newly_undecided:
        yield Text(f"  undecided: {waits.control}: {resource_name(waits.urn)}: {waits.waits_for}")
    for waived in review.waived:
        yield Text(
            f"  waived: {waived.control}: {resource_name(waived.urn)}: {waived.problem} "
            f"({waived.owner}, until {waived.expiry}: {waived.why})"
        )
    for access in review.access:
        yield Text(printable(f"  may do more: {access}"))
    yield _totals(review)


def _difference(difference: Difference) -> Iterator[Text]:
    sign, style = _SIGN[difference.step]
    protected = "  protected: the engine refuses this" if difference.refused else ""
    yield Text.assemble((f"  {sign} {difference.name}", style), (protected, "bold red"))
    for change in difference.changes:
        forces = "  (forces a replacement)" if change.path in difference.forced_by else ""
        yield Text(f"      {change}{forces}")


def _totals(review: Review) -> Text:
    word, style = ("passed", "bold green") if review.passed else ("refused", "bold red")
    counts = ", ".join(f"{count} {step}" for step, count in review.counts().items())
    return Text.assemble(
        "  ",
        (word, style),
        f": {counts}; {len(review.new)} new findings, {len(review.mended)} mended, {len(review.waived)} waived; "
        f"{len(review.access)} new rights; cost floor {cost(review)} USD a month",
    )
