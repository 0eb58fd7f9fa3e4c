"""``blueprint cost``: the cost floor of an environment, or of an exported stack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console


def add_to(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to the parser; ``parents`` hold the options that every command has."""
    parser = commands.add_parser(
        "cost",
        parents=parents,
        help="what an environment costs a month when nobody uses it",
        description="Add up what is paid for by time at the smallest size, from the project's own dated list of "
        "prices (blueprint/cost/prices.yaml); list what is paid for by use, and what has no price there.",
    )
    parser.add_argument(
        "environment", metavar="ENV", help="dev, staging, prod; or a FILE.json that was exported"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, errors: Console) -> int:
    from blueprint import deployment, program
    from blueprint.cost import show
    from blueprint.cost.floor import floor_of
    from blueprint.graph import canonical_json

    named = options.environment
    with errors.status(f"Adding up {named}"):
        graph = deployment.read(Path(named)) if named.endswith(".json") else program.run(named)
        floor = floor_of(graph)
    if options.format == "json":
        print(canonical_json(floor.as_json_value()))
    else:
        show.table(floor, Console(highlight=False))
    return 0
