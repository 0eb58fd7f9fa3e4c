"""What a person reads: the component tree with counts, the verdict as a table, one line of totals."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from blueprint.formats.places import resource_name
from blueprint.graph import PROVIDER_PREFIX, STACK_TYPE, Graph, Resource
from blueprint.verdict import SEVERITIES, Verdict

_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def show(graph: Graph, verdict: Verdict, console: Console) -> None:
    """Print the whole report."""
    console.print(component_tree(graph))
    if verdict.violations:
        console.print(violation_table(verdict))
    if verdict.waived:
        console.print(waived_table(verdict))
    if verdict.undecided:
        console.print(undecided_table(verdict))
    console.print(totals(verdict), soft_wrap=True)


def component_tree(graph: Graph) -> Tree:
    """Return the components below one another, each with the number of resources in it."""
    children: dict[str, list[Resource]] = {}
    for resource in graph.resources:
        children.setdefault(resource.parent, []).append(resource)
    below = _counts_below(graph)
    root = next(iter(graph.of(STACK_TYPE)), None)
    tree = Tree(Text(f"{graph.stack}: {_count(below[root.urn if root else ''])}", style="bold"))
    _grow(tree, root.urn if root else "", children, below)
    return tree


def _grow(tree: Tree, urn: str, children: dict[str, list[Resource]], below: Counter[str]) -> None:
    components = [child for child in children.get(urn, ()) if not child.custom and child.type != STACK_TYPE]
    for component in components:
        label = Text.assemble(
            (component.type.rpartition(":")[2], "bold"),
            f"  {component.name}  ",
            (_count(below[component.urn]), "dim"),
        )
        _grow(tree.add(label), component.urn, children, below)
    loose = [child for child in children.get(urn, ()) if child.custom]
    if loose and components:
        providers = all(resource.type.startswith(PROVIDER_PREFIX) for resource in loose)
        what = "provider" if providers else "resource"
        tree.add(Text(f"{len(loose)} {what}{'s' if len(loose) > 1 else ''} of its own", style="dim"))


def _counts_below(graph: Graph) -> Counter[str]:
    """Count the real resources (not components) below each URN."""
    parents = {resource.urn: resource.parent for resource in graph.resources}
    counts: Counter[str] = Counter()
    for resource in graph.resources:
        if resource.custom:
            above, seen = resource.parent, set[str]()
            while above not in seen:
                counts[above] += 1
                seen.add(above)
                above = parents.get(above, "")
    return counts


def _count(number: int) -> str:
    return f"{number} resource{'' if number == 1 else 's'}"


def violation_table(verdict: Verdict) -> Table:
    """Return one row a problem, most severe first, with every resource that has it."""
    table = Table(title="What does not hold", title_justify="left", show_lines=True)
    for column in ("Severity", "Control"):
        table.add_column(column, no_wrap=True)
    for column, ratio in (("Resource", 4), ("What is wrong", 4), ("What to do", 4)):
        table.add_column(column, ratio=ratio, overflow="fold")
    for (severity, control, problem, fix), urns in _by_problem(verdict).items():
        table.add_row(
            Text(severity, style=_STYLE[severity]),
            control,
            Text("\n".join(resource_name(urn) for urn in urns)),
            Text(problem),
            Text(fix),
        )
    return table


def _by_problem(verdict: Verdict) -> dict[tuple[str, str, str, str], list[str]]:
    problems: dict[tuple[str, str, str, str], list[str]] = {}
    for found in verdict.violations:
        problems.setdefault((found.severity, found.control, found.problem, found.fix), []).append(found.urn)
    return problems


def waived_table(verdict: Verdict) -> Table:
    """Return one row a waived finding: it does not hold, and somebody answers for that until a day."""
    table = Table(
        title="Waived: does not hold, and is accepted for now", title_justify="left", show_lines=True
    )
    for column in ("Severity", "Control"):
        table.add_column(column, no_wrap=True)
    for column, ratio in (("Resource", 4), ("What is wrong", 4), ("Why, who, until", 4)):
        table.add_column(column, ratio=ratio, overflow="fold")
    for waived in verdict.waived:
        table.add_row(
            Text(waived.severity, style=_STYLE[waived.severity]),
            waived.control,
            Text(resource_name(waived.urn)),
            Text(f"{waived.problem}\n{waived.fix}"),
            Text(f"{waived.why}\n{waived.owner}, until {waived.expiry}"),
        )
    return table


def undecided_table(verdict: Verdict) -> Table:
    """Return one row for each control and what it waits for, with how many resources do."""
    waiting = Counter((each.control, each.waits_for) for each in verdict.undecided)
    table = Table(title="Not decided yet: not known before the update, or from here", title_justify="left")
    table.add_column("Control")
    table.add_column("Waits for")
    table.add_column("Resources", justify="right")
    for (control, waits_for), count in sorted(waiting.items()):
        table.add_row(control, Text(waits_for), str(count))
    return table


def totals(verdict: Verdict) -> Text:
    """Return one line that says everything in numbers."""
    counts = verdict.counts()
    found = ", ".join(f"{counts[s]} {s}" for s in SEVERITIES)
    if verdict.waived:
        found += f", {len(verdict.waived)} waived"
    word, style = ("passed", "bold green") if verdict.passed else ("refused", "bold red")
    return Text.assemble(
        (word, style),
        f": {verdict.resource_count} resources against {len(verdict.controls)} controls: "
        f"{found}, {len(verdict.undecided)} undecided",
    )
