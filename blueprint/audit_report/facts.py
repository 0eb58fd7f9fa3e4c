"""Everything that a report says, gathered from the graph, the verdict, the controls and a rehearsal."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from blueprint import roles
from blueprint.audit_report.holdings import Holdings, holdings
from blueprint.audit_report.paths import Paths, paths
from blueprint.audit_report.posture import (
    STATES,
    Assessed,
    Family,
    Framework,
    State,
    assessed,
    families,
    frameworks,
)
from blueprint.audit_report.reading import Reader, kind, without_secrets
from blueprint.audit_report.rehearsed import Rehearsed
from blueprint.audit_report.services import Card, cards
from blueprint.controls import Catalogue
from blueprint.environments import ROOT
from blueprint.errors import BadInput
from blueprint.graph import Graph
from blueprint.roles import Role
from blueprint.verdict import SEVERITIES, Verdict

_OPEN: tuple[State, ...] = ("waived", "undecided")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One resource of the inventory; ``source`` is the line of the program that made it."""

    name: str
    region: str
    source: str
    protected: bool


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a report says of one environment, on one day."""

    stack: str
    day: date
    commit: str
    source: str
    """Where the resources are from: the program, or an export."""
    prefix: str
    """What the name of every resource begins with."""
    verdict: Verdict
    declared: Mapping[str, str]
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    controls: tuple[Assessed, ...]
    families: tuple[Family, ...]
    frameworks: tuple[Framework, ...]
    network: Paths
    held: Holdings
    services: Mapping[str, tuple[Card, ...]]
    roles: tuple[Role, ...]
    roles_not_read: str
    """Why the roles could not be read; empty where they could."""
    inventory: Mapping[str, tuple[Listed, ...]]
    rehearsed: Rehearsed | None

    @property
    def violated(self) -> tuple[Assessed, ...]:
        """Controls that do not hold, the most severe first."""
        found = [each for each in self.controls if each.state == "violated"]
        return tuple(sorted(found, key=lambda each: SEVERITIES.index(each.control.severity)))

    @property
    def sentence(self) -> str:
        """Return the verdict in one sentence."""
        resources, controls = self.verdict.resource_count, len(self.controls)
        if not self.violated:
            beside = ", ".join(
                f"{self.states[state]} {'is' if self.states[state] == 1 else 'are'} {state}"
                for state in _OPEN
                if self.states[state]
            )
            judged = f"{resources} resources judged against {controls} controls"
            return f"No control is violated{f', {beside}' if beside else ''}: {judged}."
        count, where = len(self.violated), len({each.urn for each in self.verdict.violations})
        said = f"{count} of {controls} controls {'is' if count == 1 else 'are'} violated, on {where} of {resources} resources"
        if self.verdict.passed:
            return f"Nothing mandatory is violated, but advice is: {said}."
        return f"This environment must not be deployed: {said}."

    @property
    def states(self) -> Mapping[State, int]:
        """Return the number of controls in each state."""
        counted = Counter(each.state for each in self.controls)
        return {state: counted[state] for state in STATES}


def gathered(
    graph: Graph,
    verdict: Verdict,
    catalogue: Catalogue,
    *,
    day: date,
    commit: str,
    source: str,
    rehearsed: Rehearsed | None = None,
) -> Facts:
    """Return what a report says; secrets of the graph are left out before anything is read."""
    reader = Reader(without_secrets(graph))
    controls = assessed(catalogue, verdict, reader)
    held = holdings(reader)
    found, why = _roles(reader.graph)
    return Facts(
        stack=graph.stack,
        day=day,
        commit=commit,
        source=source,
        prefix=reader.prefix,
        verdict=verdict,
        declared=reader.declared,
        accounts=reader.accounts,
        regions=reader.regions,
        controls=controls,
        families=families(controls),
        frameworks=frameworks(catalogue, controls),
        network=paths(reader),
        held=held,
        services=cards(reader, held),
        roles=found,
        roles_not_read=why,
        inventory=_inventory(reader),
        rehearsed=rehearsed,
    )


def _roles(graph: Graph) -> tuple[tuple[Role, ...], str]:
    try:
        return roles.roles_of(graph), ""
    except BadInput as error:
        return (), str(error)


def _inventory(reader: Reader) -> Mapping[str, tuple[Listed, ...]]:
    found: dict[str, list[Listed]] = {}
    for resource in reader.graph.resources:
        if resource.custom:
            found.setdefault(kind(resource.type), []).append(
                Listed(
                    name=reader.name(resource),
                    region=reader.region(resource),
                    source=resource.source,
                    protected=resource.protect,
                )
            )
    return {kind_: tuple(found[kind_]) for kind_ in sorted(found)}


def commit_of(root: Path = ROOT) -> str:
    """Return the commit that is checked out, and whether files differ from it; a plain word where git cannot say."""
    head = _git(root, "rev-parse", "--verify", "HEAD")
    if not head:
        return "not known"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{head[:12]}{' with changes that are not committed' if changed else ''}"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
