"""``blueprint report ENV``: its arguments, and what it does with them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from blueprint.errors import BadInput


def add_to(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    report = commands.add_parser(
        "report",
        parents=list(parents),
        help="write one page for an auditor: architecture, controls, waivers, data, roles, recovery",
        description="Write one self-contained page about an environment, for an auditor and an engineer. It is "
        "written whether or not the environment keeps its promises; status 1 says that it does not.",
    )
    report.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    report.add_argument("--out", metavar="FILE", type=Path, help="write the page: report.html")
    report.add_argument(
        "--json", metavar="FILE", type=Path, help="write the same as OSCAL assessment results"
    )
    report.add_argument("--picture", metavar="FILE", type=Path, help="write the architecture alone, as SVG")
    report.add_argument(
        "--rehearsal", metavar="FILE", type=Path, help="put in what blueprint rehearse --format json wrote"
    )
    report.add_argument(
        "--from",
        dest="exported",
        metavar="FILE",
        type=Path,
        help="report on an exported stack, what pulumi stack export wrote of the deployed one for instance, "
        "instead of running the program",
    )
    report.add_argument(
        "--date",
        metavar="DAY",
        type=_day,
        help="day of the report, 2027-01-31; SOURCE_DATE_EPOCH or today if it is not given",
    )
    report.set_defaults(run=run)


def run(options: argparse.Namespace, errors: Console) -> int:
    """Write the files that are asked for."""
    from blueprint import controls, deployment, program
    from blueprint.audit_report import facts, oscal, rehearsed
    from blueprint.audit_report.page import page, picture
    from blueprint.environments import environments
    from blueprint.graph import canonical_json
    from blueprint.pack import RunningPack

    day = options.date or _today()
    wanted = [path for path in (options.out, options.json, options.picture) if path]
    if not wanted:
        raise BadInput("report: no file is asked for; write --out report.html")
    for path in wanted:
        _can_be_written(path)
    tried = rehearsed.read(options.rehearsal, options.environment) if options.rehearsal else None
    with errors.status(f"Reading {options.environment}"):
        if options.exported:
            graph = deployment.read(options.exported)
            if graph.stack != options.environment:
                known = f"; write blueprint report {graph.stack}" if graph.stack in environments() else ""
                raise BadInput(
                    f"{options.exported}: is of {graph.stack!r:.40}, not of {options.environment}{known}"
                )
        else:
            graph = program.run(options.environment)
    with errors.status(f"Judging {len(graph.resources)} resources"), RunningPack() as pack:
        catalogue, verdict = controls.catalogue_of(pack), pack.judge(graph)
    found = facts.gathered(
        graph,
        verdict,
        catalogue,
        day=day,
        commit=facts.commit_of(),
        source=f"an export, {options.exported.name}" if options.exported else "the program at this commit",
        rehearsed=tried,
    )
    if options.out:
        _write(options.out, page(found))
    if options.picture:
        _write(options.picture, picture(found))
    if options.json:
        _write(options.json, canonical_json(oscal.assessment_results(found)) + "\n")
    style = "green" if verdict.passed else "bold red"
    Console(highlight=False).print(
        f"{wanted[0]}: {found.sentence}", style=style, markup=False, soft_wrap=True
    )
    return 0 if verdict.passed else 1


def _day(text: str) -> date:
    """Return a day; argparse prints the message and ends with status 2."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write a day as 2027-01-31") from None


def _today() -> date:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return datetime.now(UTC).date()
    try:
        return datetime.fromtimestamp(int(epoch), UTC).date()
    except (ValueError, OverflowError, OSError):
        raise BadInput("SOURCE_DATE_EPOCH: write whole seconds since 1970, or unset it") from None


def _can_be_written(path: Path) -> None:
    """Say at once what would only fail at the end."""
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else f"is in no folder: {path.parent} is not there"
        raise BadInput(f"{path}: {why}; name a file")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}; name another file") from None
