"""Where the time of a preview goes, and how it grows: ``make bench``.

Prints the stages at the real size, and the policy stage at 100, 1,000 and 10,000 resources. Larger graphs are
copies of an environment's, made by renaming: every copy is a platform of its own beside the others. The smallest is
a part of one, every so many resources, so that the mix of types stays. Nothing here is a test; times depend on the
machine, so read the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from blueprint import program
from blueprint.graph import PROVIDER_PREFIX, STACK_TYPE, Graph, Resource, in_order
from blueprint.pack import RunningPack

SIZES = (100, 1_000, 10_000)


def copies(graph: Graph, count: int) -> Graph:
    """Return a graph with ``count`` copies of every resource but the stack and its providers."""
    shared = [r for r in graph.resources if r.type == STACK_TYPE or r.type.startswith(PROVIDER_PREFIX)]
    rest = [r for r in graph.resources if r not in shared]
    ours = {r.urn for r in rest}
    names = {r.id for r in rest if r.id}
    made = [_copy(resource, n, ours, names) for n in range(count) for resource in rest]
    return Graph(stack=graph.stack, resources=in_order([*shared, *made]))


def sized(graph: Graph, count: int) -> Graph:
    """Return a graph with ``count`` resources, of which each stands after what it needs."""
    whole = copies(graph, -(-count // len(graph.resources)))
    stride = max(1, len(whole.resources) // count) if count < len(graph.resources) else 1
    return Graph(stack=graph.stack, resources=whole.resources[::stride][:count])


def _copy(resource: Resource, number: int, ours: set[str], names: set[str]) -> Resource:
    if number == 0:
        return resource

    def urn(text: str) -> str:
        return f"{text}-{number}" if text in ours else text

    def value(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: value(member) for key, member in item.items()}
        if isinstance(item, list):
            return [value(member) for member in item]
        # Identifiers move with their copy, so that references stay within it.
        return f"{item}-{number}" if isinstance(item, str) and item in names else item

    return replace(
        resource,
        urn=urn(resource.urn),
        id=value(resource.id),
        inputs=value(resource.inputs),
        outputs=value(resource.outputs),
        parent=urn(resource.parent),
        dependencies=tuple(map(urn, resource.dependencies)),
        property_dependencies={k: tuple(map(urn, v)) for k, v in resource.property_dependencies.items()},
    )


def import_seconds() -> float:
    """Return the time that a new interpreter takes to import what a program imports."""
    code = "import stacks.platform, stacks.reading"
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def stages(environment: str, rounds: int) -> tuple[Graph, dict[str, float]]:
    """Return the graph and the median seconds of each stage."""
    seen: dict[str, list[float]] = {"import": [], "program": [], "policy": []}
    program.run(environment)
    for _ in range(rounds):
        seen["import"].append(import_seconds())
        started = time.perf_counter()
        graph = program.run(environment)
        seen["program"].append(time.perf_counter() - started)
        started = time.perf_counter()
        with RunningPack() as pack:
            pack.judge(graph)
        seen["policy"].append(time.perf_counter() - started)
    medians = {stage: statistics.median(times) for stage, times in seen.items()}
    return graph, {**medians, "total": sum(medians.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--env", default="prod")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    console = Console(highlight=False)

    graph, seconds = stages(options.env, options.rounds)
    table = Table(title=f"{options.env}: {len(graph.resources)} resources, median of {options.rounds}")
    for column in ("Stage", "Seconds", "Share of total", "Milliseconds a resource"):
        table.add_column(column, justify="left" if column == "Stage" else "right")
    for stage, taken in seconds.items():
        table.add_row(
            stage,
            f"{taken:.2f}",
            f"{taken / seconds['total']:.0%}",
            f"{taken / len(graph.resources) * 1000:.2f}",
        )
    console.print(table)
    console.print(growth(graph, console))


def growth(graph: Graph, console: Console) -> Table:
    """Return the policy stage at growing sizes, and its cost for a resource against that at the size before."""
    table = Table(title="Policy stage by size of the graph (pack already started, median of three)")
    for column in ("Resources", "Seconds", "Milliseconds a resource", "Growth (1.00 is linear)"):
        table.add_column(column, justify="right")
    before = 0.0
    with RunningPack(call_seconds=600) as pack, Progress(console=console, transient=True) as progress:
        pack.judge(graph)
        for count in progress.track(SIZES, description="Judging"):
            larger = sized(graph, count)
            times = []
            for _ in range(3):
                started = time.perf_counter()
                pack.judge(larger)
                times.append(time.perf_counter() - started)
            taken = statistics.median(times)
            each = taken / len(larger.resources)
            table.add_row(
                f"{len(larger.resources):,}",
                f"{taken:.2f}",
                f"{each * 1000:.2f}",
                f"{each / before:.2f}" if before else "",
            )
            before = each
    return table


if __name__ == "__main__":
    main()
