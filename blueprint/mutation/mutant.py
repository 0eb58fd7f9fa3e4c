"""A mutant: one insecure edit of one place, and the families of controls that should see it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from blueprint.graph import STACK_TYPE, Graph, Resource
from blueprint.outputs import resolve

Path = tuple[str | int, ...]

_SHORTEST = 5
"""A shorter id (``data``) is found in texts that mean something else."""

_NUMBER = re.compile(r"\[\d+\]")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What an operator does: resources that change or come, or URNs of those that go."""

    field: str
    """Where, as the pack's messages write it: ``policy.Statement[0].Condition``; empty for the whole resource."""
    what: str
    """In words, ``True → False``; never a secret, since the graphs hold none."""
    changed: tuple[Resource, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One edit of one environment; ``families`` are those of whose controls at least one must see it."""

    environment: str
    operator: str
    subject: Resource
    edit: Edit
    families: frozenset[str]

    @property
    def key(self) -> str:
        """Tell it from every other mutant, the same way at every run."""
        return " | ".join(
            (self.environment, self.operator, self.subject.urn, self.edit.field, self.edit.what)
        )


class Scene:
    """A graph with what operators need to know of it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.by_urn = graph.by_urn()
        self.needed = {
            urn
            for resource in graph.resources
            for urn in (*resource.dependencies, *resource.needs())
            if urn and urn != resource.urn
        }
        self.root = next(iter(graph.of(STACK_TYPE)))
        self.owner: dict[str, str] = {}
        """Whose id or ARN a text is."""
        self._names: dict[str, list[str]] = {}
        for resource in graph.resources:
            for value in (resource.id, resource.outputs.get("arn")):
                if isinstance(value, str) and len(value) > _SHORTEST:
                    self.owner[value] = resource.urn
                    self._names.setdefault(resource.urn, []).append(value)

    def of(self, *types: str) -> list[Resource]:
        """Return the resources of these types."""
        return [resource for type_ in types for resource in self.graph.of(type_)]

    def with_inputs(self, resource: Resource, inputs: Mapping[str, Any]) -> Resource:
        """Return the resource as it would be registered with these inputs: outputs and dependencies follow."""
        values = dict(inputs)
        asked = replace(
            resource, inputs=values, outputs={}, property_dependencies=self._needs(resource, values)
        )
        if not resource.custom:
            return replace(asked, outputs=dict(resource.outputs))
        if resource.type.startswith("pulumi:providers:"):
            return replace(asked, outputs=values)
        provider = self.by_urn.get(resource.provider_urn)
        made_id, outputs = resolve(asked, provider.inputs if provider else {})
        return replace(asked, id=made_id, outputs=outputs)

    def put(self, resource: Resource, path: Path, value: Any) -> Resource:
        """Return the resource with ``value`` at ``path`` of its inputs."""
        return self.with_inputs(resource, put(resource.inputs, path, value))

    def without(self, resource: Resource, path: Path) -> Resource:
        """Return the resource with nothing at ``path``."""
        return self.with_inputs(resource, without(resource.inputs, path))

    def beside(self, resource: Resource, type_: str, name: str, inputs: Mapping[str, Any]) -> Resource:
        """Return a new resource of the program's own, under the provider of ``resource``."""
        prefix = "::".join(resource.urn.split("::")[:2])
        made = Resource(
            urn=f"{prefix}::{type_}::{name}",
            type=type_,
            custom=True,
            parent=self.root.urn,
            provider=resource.provider,
            source=resource.source,
        )
        return self.with_inputs(made, inputs)

    def _needs(self, resource: Resource, inputs: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Keep, of what each property was made of, that which the property still names."""
        kept: dict[str, tuple[str, ...]] = {}
        for key, urns in resource.property_dependencies.items():
            if key not in inputs:
                continue
            if inputs[key] != resource.inputs.get(key):
                texts = [text for _, text in leaves(inputs[key]) if isinstance(text, str)]
                urns = tuple(urn for urn in urns if self._named_in(urn, texts))
            if urns:
                kept[key] = urns
        for key, value in inputs.items():
            if value != resource.inputs.get(key):
                found = {self.owner[text] for _, text in leaves(value) if text in self.owner}
                if found := found - {resource.urn}:
                    kept[key] = tuple(sorted({*kept.get(key, ()), *found}))
        return kept

    def _named_in(self, urn: str, texts: list[str]) -> bool:
        return any(name in text for text in texts for name in self._names.get(urn, ()))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every scalar in ``value`` with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def nodes(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield everything in ``value`` with its path, objects and lists as well, ``value`` itself not."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for step, item in items:
        yield (*path, step), item
        yield from nodes(item, (*path, step))


def put(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of ``value`` with ``new`` at ``path``; objects on the way are made."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [put(item, rest, new) if index == step else item for index, item in enumerate(value)]
    kept = value if isinstance(value, dict) else {}
    return {**kept, step: put(kept.get(step), rest, new)}


def without(value: Any, path: Path) -> Any:
    """Return a copy of ``value`` with nothing at ``path``."""
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not rest:
            return [item for index, item in enumerate(value) if index != step]
        return [without(item, rest) if index == step else item for index, item in enumerate(value)]
    if not rest:
        return {key: item for key, item in value.items() if key != step}
    return {key: without(item, rest) if key == step else item for key, item in value.items()}


def written(path: Path) -> str:
    """Return ``rules[0].status`` for a path."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def bare(path: Path) -> str:
    """Return a path without indices, ``rules.status``."""
    return ".".join(step for step in path if isinstance(step, str))


def without_numbers(field: str) -> str:
    """Return a field as a class of fields: ``rules[].status``."""
    return _NUMBER.sub("[]", field)
