"""Where a finding is in the repository: the line that made its resource, or the file that can mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blueprint.graph import STACK_TYPE, Graph, Resource
from blueprint.verdict import Finding, printable

_POSITION = re.compile(r"(?P<file>[^:]+):(?P<line>\d+)(?:,\d+)?")

WAIVER_FAMILY = "WAV-"
WAIVER_FILE = "stacks/waivers.yaml"


@dataclass(frozen=True)
class Place:
    """A line of a file; ``line`` counts from 1, ``file`` is relative to the repository."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Places:
    """Knows the place of every finding in one graph."""

    def __init__(self, graph: Graph) -> None:
        self._stack = graph.stack
        self._by_urn = graph.by_urn()

    def of(self, finding: Finding) -> Place:
        """Return the line of the program that made the resource.

        Where nobody noted it (an export of the engine may lack it) it is the line of the component above. What
        the stack as a whole lacks is missing from its settings, and a waiver stands in the file of waivers.
        """
        if finding.control.startswith(WAIVER_FAMILY):
            return Place(WAIVER_FILE, 1)
        urn, seen = finding.urn, set[str]()
        while urn in self._by_urn and urn not in seen:
            if found := _place(self._by_urn[urn]):
                return found
            seen.add(urn)
            urn = self._by_urn[urn].parent
        return Place(f"stacks/Pulumi.{self._stack}.yaml", 1)


def _place(resource: Resource) -> Place | None:
    match = _POSITION.fullmatch(resource.source)
    return Place(match["file"], max(int(match["line"]), 1)) if match else None


def resource_name(urn: str) -> str:
    """Return ``data-bucket (aws:s3 Bucket)`` for a URN."""
    # A name may hold two colons itself: one made from an IPv6 address does.
    parts = urn.split("::", 3)
    if len(parts) < 4 or parts[2] == STACK_TYPE:
        return "the stack"
    module, _, kind = parts[2].rpartition("$")[2].partition("/")
    return printable(f"{parts[3]} ({module} {kind.rpartition(':')[2]})" if kind else parts[3])
