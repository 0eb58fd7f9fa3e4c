"""``blueprint inventory ENV``: what exists in the account that no stack owns."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from blueprint.errors import BadInput

if TYPE_CHECKING:
    from blueprint.bootstrap.cloud import Cloud
    from blueprint.bootstrap.target import Target
    from blueprint.inventory.ownership import Owned


def add_to(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to the parser; ``parents`` hold the options that every command has."""
    parser = commands.add_parser(
        "inventory",
        parents=parents,
        help="list what exists in the account and no stack owns (needs AWS)",
        description="Compare what AWS lists in both regions of an environment with what its stack owns. AWS's own, the "
        "bootstrap's and the people named in the settings are told apart. Ends with status 1 where something "
        "is nobody's.",
    )
    parser.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    parser.add_argument(
        "--stack",
        metavar="FILE",
        type=Path,
        action="append",
        required=True,
        help="what pulumi stack export wrote; once for each stack in the account",
    )
    parser.add_argument(
        "--known",
        metavar="KIND/NAME",
        action="append",
        default=[],
        help="something of your organisation's that may be there, as the table names it: "
        "'IAM role/OrganizationAccountAccessRole'",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, errors: Console) -> int:
    """Take the inventory of one environment's account."""
    from blueprint import deployment
    from blueprint.bootstrap import target
    from blueprint.bootstrap.cloud import Cloud
    from blueprint.inventory.ownership import Ownership

    stacks = [deployment.read(path) for path in options.stack]
    for each in options.known:
        if "/" not in each:
            raise BadInput(f"--known: {each!r:.80} is not KIND/NAME; write it as the table names it")
    with errors.status(f"Reading the settings of {options.environment}"):
        at = target.of(options.environment)
    return judge(at, Cloud(), Ownership(at, stacks, options.known), options, errors)


def judge(at: Target, cloud: Cloud, ownership: Any, options: argparse.Namespace, errors: Console) -> int:
    """List, tell apart, show; status 1 where something is nobody's."""
    from blueprint.bootstrap.cloud import plainly
    from blueprint.graph import canonical_json
    from blueprint.inventory import account

    with errors.status(f"Looking around in account {at.account_id}"), plainly(cloud):
        if (asked := cloud.account(at.region)) != at.account_id:
            raise BadInput(
                f"the credentials are of account {asked}, and stacks/Pulumi.{at.environment}.yaml: account_id: "
                f"says {at.account_id}; use credentials of that account"
            )
        found = [ownership.of(item) for item in account.take(cloud, (at.region, at.backup_region))]
    unowned = [each for each in found if each.owner == "nobody"]
    if options.format == "json":
        print(canonical_json(_as_json_value(at, found, unowned)))
    else:
        _show(at, found, unowned, Console(highlight=False))
    return 1 if unowned else 0


def _as_json_value(at: Target, found: Sequence[Owned], unowned: Sequence[Owned]) -> dict[str, Any]:
    return {
        "schema": 1,
        "environment": at.environment,
        "account_id": at.account_id,
        "regions": [at.region, at.backup_region],
        "counts": dict(Counter(each.owner for each in found)),
        "unowned": [each.as_json_value() for each in unowned],
        "owned": [each.as_json_value() for each in found if each.owner != "nobody"],
    }


def _show(at: Target, found: Sequence[Owned], unowned: Sequence[Owned], console: Console) -> None:
    from rich.table import Table

    if unowned:
        rows = Table(title="Nobody's", title_justify="left")
        for heading in ("What", "Name", "Region", "Look at it because"):
            rows.add_column(heading, overflow="fold")
        for each in sorted(unowned, key=lambda each: not each.item.warning):
            style = "bold red" if each.item.warning else ""
            rows.add_row(each.item.kind, each.item.name, each.item.region, each.item.warning, style=style)
        console.print(rows)
    counts = Counter(each.owner for each in found)
    told = ", ".join(f"{count} of {owner}" for owner, count in sorted(counts.items()) if owner != "nobody")
    console.print(
        f"{at.environment}: {len(found)} things in account {at.account_id} ({at.region}, {at.backup_region}): "
        f"{told or 'none of anybody'}, {len(unowned)} nobody's",
        markup=False,
        soft_wrap=True,
    )
