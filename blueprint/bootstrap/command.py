"""``blueprint bootstrap ENV``: plans, asks, and makes what must exist before the first ``pulumi up``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from blueprint.errors import BadInput

if TYPE_CHECKING:
    from blueprint.bootstrap.cloud import Cloud
    from blueprint.bootstrap.target import Target


def add_to(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to the parser; ``parents`` hold the options that every command has."""
    parser = commands.add_parser(
        "bootstrap",
        parents=parents,
        help="make what must exist in the account before the first pulumi up: state, its keys, who deploys (needs AWS)",
        description="Make, with your own credentials, what must exist before the first pulumi up: the bucket of the "
        "state, the keys of the state and of its secrets, and the roles that deploy. Shows a plan and asks; "
        "run again it repairs what has drifted, and never touches what it did not make.",
    )
    parser.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--plan", action="store_true", help="only show what would be done")
    answer.add_argument("--yes", action="store_true", help="do what is planned without asking")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, errors: Console) -> int:
    """Bootstrap one environment."""
    from blueprint.bootstrap import target
    from blueprint.bootstrap.cloud import Cloud

    with errors.status(f"Reading the settings of {options.environment}"):
        at = target.of(options.environment)
    return bootstrap(at, Cloud(), options, errors)


def bootstrap(at: Target, cloud: Cloud, options: argparse.Namespace, errors: Console) -> int:
    """Plan, show, ask, carry out; status 1 where something is somebody else's."""
    from blueprint.bootstrap import run, show
    from blueprint.bootstrap.cloud import plainly
    from blueprint.graph import canonical_json

    if not at.administrator_arns:
        raise BadInput(
            f"stacks/Pulumi.{at.environment}.yaml: identity.administrator_arns: is missing; list who bootstraps "
            f"and administers the state, like [arn:{at.partition}:iam::{at.account_id}:role/Administrator]"
        )
    done: list[str] = []

    def did(sentence: str) -> None:
        done.append(sentence)
        errors.print(sentence, markup=False, soft_wrap=True)

    with plainly(cloud):
        with errors.status(f"Looking at account {at.account_id}"):
            caller = run.check_caller(at, cloud)
            planned = run.plan(run.things(at, cloud))
        if options.format == "text":
            show.table(at, planned, Console(highlight=False))
        if not planned.refused and not options.plan and planned.pending:
            _agreed(options)
            run.carry_out(planned, did)
        complete = not planned.refused and (not planned.pending or bool(done))
        lines = run.commands(at, run.second_factor(at, cloud, caller)) if complete else []
    if options.format == "json":
        print(canonical_json(show.as_json_value(at, planned, done, lines)))
    elif lines:
        show.next_lines(at, lines, Console(highlight=False))
    if planned.refused:
        errors.print(
            "nothing was changed: what is somebody else's stands in the way; rename it, or let its owner remove it",
            style="bold red",
            markup=False,
            soft_wrap=True,
        )
    return 1 if planned.refused else 0


def _agreed(options: argparse.Namespace) -> None:
    """Ask whether to go on; without a person to ask, ``--yes`` is what says so."""
    if options.yes:
        return
    if not sys.stdin.isatty() or options.format == "json":
        raise BadInput("nobody is there to agree to the plan; read it with --plan, then add --yes")
    print("Make this so? Only yes is taken: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise BadInput("nothing was changed; write yes to go on")
