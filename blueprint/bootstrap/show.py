"""Shows a plan to a person, or to a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from blueprint.bootstrap.run import Plan
from blueprint.bootstrap.target import Target

_STYLES = {
    "to be made": "green",
    "to be repaired": "yellow",
    "somebody else's": "bold red",
    "used as it is": "cyan",
    "right": "",
}


def table(at: Target, planned: Plan, console: Console) -> None:
    """Print what is to be done about each thing."""
    rows = Table(title=f"{at.environment}: account {at.account_id}, {at.region}", title_justify="left")
    for heading in ("What", "Name", "State", "Because"):
        rows.add_column(heading, overflow="fold")
    for step in planned.steps:
        because = step.reason or ", ".join(step.differences)
        rows.add_row(step.thing.kind, step.thing.name, step.state, because, style=_STYLES[step.state])
    console.print(rows)


def next_lines(at: Target, lines: Sequence[str], console: Console) -> None:
    """Print the lines that come next, unbroken, so that they can be copied."""
    console.print("Next, as who deploys:", markup=False)
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if at.repository:
        console.print(
            f"Workflows of {at.repository} take on {at.deploy_role_arn} in the deployment environment "
            f"{at.environment}, and {at.preview_role_arn} in {at.environment}-preview.",
            markup=False,
            soft_wrap=True,
        )


def as_json_value(at: Target, planned: Plan, done: Sequence[str], lines: Sequence[str]) -> dict[str, Any]:
    """Return plan, changes and the lines that come next: none while anything is left to do."""
    return {
        "schema": 1,
        "environment": at.environment,
        "account_id": at.account_id,
        "region": at.region,
        "bucket": at.bucket,
        "secrets_provider": f"awskms://{at.secrets_alias}?region={at.region}",
        "deploy_role_arn": at.deploy_role_arn,
        "preview_role_arn": at.preview_role_arn if at.repository else None,
        "plan": [step.as_json_value() for step in planned.steps],
        "done": list(done),
        "complete": bool(lines),
        "commands": list(lines),
    }
