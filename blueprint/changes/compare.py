"""Two graphs of one environment compared: what comes, goes, changes or is replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from blueprint.changes.properties import Change, changes
from blueprint.changes.replacement import forcing
from blueprint.formats.places import resource_name
from blueprint.graph import Graph, Resource

Step = Literal["added", "changed", "replaced", "removed"]
STEPS: tuple[Step, ...] = ("replaced", "removed", "changed", "added")
"""In the order in which they deserve to be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One resource that is not as it was."""

    step: Step
    urn: str
    protected: bool
    """Said of what was there: the engine refuses to remove or replace it until somebody takes the protection off."""
    changes: tuple[Change, ...] = ()
    forced_by: tuple[str, ...] = ()
    """Where it is replaced: the paths that cannot be changed in place."""

    @property
    def name(self) -> str:
        """Return ``data-bucket (aws:s3 Bucket)``."""
        return resource_name(self.urn)

    @property
    def refused(self) -> bool:
        """Say whether the engine will refuse it."""
        return self.protected and self.step in ("replaced", "removed")

    def as_json_value(self) -> dict[str, Any]:
        """Return the difference for machines."""
        return {
            "step": self.step,
            "urn": self.urn,
            "resource": self.name,
            "protected": self.protected,
            "changes": [asdict(change) for change in self.changes],
            "forced_by": list(self.forced_by),
        }


def compare(before: Graph, after: Graph) -> tuple[Difference, ...]:
    """Return what differs, in the order of ``STEPS`` and then by URN. Components are folders and do not count."""
    found = sorted(_differences(before, after), key=lambda each: (STEPS.index(each.step), each.urn))
    return tuple(found)


def _differences(before: Graph, after: Graph) -> Iterator[Difference]:
    old, new = _real(before), _real(after)
    renamed = _renamed(old, new)
    for urn, resource in new.items():
        was = old.get(renamed.get(urn, urn))
        if was is None:
            yield Difference(step="added", urn=urn, protected=False)
        elif difference := _difference(was, resource, (_region(was, old), _region(resource, new))):
            yield difference
    for urn in old.keys() - new.keys() - set(renamed.values()):
        yield Difference(step="removed", urn=urn, protected=old[urn].protect)


def _real(graph: Graph) -> dict[str, Resource]:
    return {resource.urn: resource for resource in graph.resources if resource.custom}


def _renamed(old: Mapping[str, Resource], new: Mapping[str, Resource]) -> dict[str, str]:
    """Return what the program says it called otherwise before, by its name of now."""
    return {
        urn: alias
        for urn, resource in new.items()
        if urn not in old
        for alias in resource.aliases
        if alias in old and alias not in new
    }


def _difference(was: Resource, now: Resource, regions: tuple[str, str]) -> Difference | None:
    found = changes(was.inputs, now.inputs)
    if was.protect != now.protect:
        found = (*found, Change(path="(protect)", shown="is put on" if now.protect else "is taken off"))
    forced = forcing(now.type, found)
    if regions[0] != regions[1]:
        found = (*found, Change(path="(region)", shown=" → ".join(regions)))
        forced = (*forced, "(region)")
    if not found:
        return None
    return Difference(
        step="replaced" if forced else "changed",
        urn=now.urn,
        protected=was.protect and now.protect,
        changes=found,
        forced_by=forced,
    )


def _region(resource: Resource, real: Mapping[str, Resource]) -> str:
    """Return where the resource's provider makes it; empty where that is not known."""
    provider = real.get(resource.provider_urn)
    region = provider.inputs.get("region") if provider else None
    return region if isinstance(region, str) else ""
