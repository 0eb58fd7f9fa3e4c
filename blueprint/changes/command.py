"""``blueprint diff BASE HEAD``: its arguments, and what it does with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console


def add_to(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to the parser; ``parents`` hold the options that every command has."""
    parser = commands.add_parser(
        "diff",
        parents=list(parents),
        help="what a change does: resources, findings, waivers, rights of roles, cost",
        description="Compare what two versions of the program would build, from exports that blueprint preview "
        "--export wrote: two files, or two folders with one file for each environment (dev.json, prod.json). Status 1 "
        "where HEAD violates something mandatory. Values of secrets are never shown.",
    )
    parser.add_argument(
        "base", metavar="BASE", type=Path, help="the export before the change, or a folder of them"
    )
    parser.add_argument("head", metavar="HEAD", type=Path, help="the export after it, or a folder of them")
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="text for people, json for machines, markdown for the one comment on a pull request",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, errors: Console) -> int:
    from blueprint.changes import comment, reading, show
    from blueprint.changes.review import reviews
    from blueprint.graph import canonical_json

    before, after = reading.pair(options.base, options.head)
    with errors.status(f"Comparing {', '.join(sorted(before.keys() | after.keys()))}"):
        found = reviews(before, after)
    if options.format == "json":
        print(canonical_json({"schema": 1, "environments": [review.as_json_value() for review in found]}))
    elif options.format == "markdown":
        print(comment.render(found))
    else:
        show.text(found, Console(highlight=False))
    return 0 if all(review.passed for review in found) else 1
