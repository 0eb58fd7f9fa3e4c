"""What a person reads: what costs something each month, what may, and what the figures are worth."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint.cost.floor import Floor
from blueprint.cost.prices import prices


def table(floor: Floor, console: Console) -> None:
    """Print what costs something, what may, and the sum."""
    costs = Table(title=f"{floor.stack}: every month, though nobody uses it", title_justify="left")
    for column, justify in (("What", "left"), ("How many", "right"), ("USD a month", "right")):
        costs.add_column(column, justify=justify)  # type: ignore[arg-type]
    for line in floor.lines:
        costs.add_row(Text(line.item), f"{line.quantity:,f}", f"{line.usd_a_month:,.2f}")
    costs.add_section()
    costs.add_row(Text("floor", style="bold"), "", Text(f"{floor.usd_a_month:,.2f}", style="bold"))
    console.print(costs)
    if floor.by_use:
        used = Table(title="Paid for by use, and not counted", title_justify="left")
        for column in ("Kind", "How many", "Paid for"):
            used.add_column(column)
        for kind, count, what in floor.by_use:
            used.add_row(Text(kind), str(count), Text(what))
        console.print(used)
    if floor.unpriced:
        unknown = Table(title="Not priced: may cost something", title_justify="left")
        for column in ("Resource", "Why"):
            unknown.add_column(column)
        for each in floor.unpriced:
            unknown.add_row(Text(each.resource), Text(each.why))
        console.print(unknown)
    console.print(Text(note(floor)), soft_wrap=True)


def note(floor: Floor) -> str:
    """Return one line that says what the figures are, and are not."""
    said = (
        f"List prices of {', '.join(prices().regions)} as of {prices().oldest}, without tax or discounts; look again "
        "before you rely on them."
    )
    if floor.elsewhere:
        said += f" {', '.join(floor.elsewhere)} are priced the same here."
    if floor.unpriced:
        said += f" {len(floor.unpriced)} resources are not priced."
    return said
