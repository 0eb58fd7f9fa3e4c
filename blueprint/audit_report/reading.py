"""What a report asks of a graph: where a resource is, what it is called, which key it is under."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from blueprint.graph import (
    PROVIDER_PREFIX,
    SECRET,
    SIGNATURE,
    STACK_TYPE,
    UNKNOWN,
    Graph,
    JsonObject,
    Resource,
)

KEY, REPLICA_KEY = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"
_AWS_PROVIDER = f"{PROVIDER_PREFIX}aws"


def without_secrets(graph: Graph) -> Graph:
    """Return the graph with every secret unknown: what a report never holds it cannot show."""
    return Graph(
        graph.stack,
        tuple(
            replace(each, inputs=_without(each.inputs), outputs=_without(each.outputs))
            for each in graph.resources
        ),
    )


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return UNKNOWN
        return {key: _without(item) for key, item in value.items()}
    return [_without(item) for item in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    """Return a text or a number as text, and nothing for what is not known or is no such thing."""
    known = isinstance(value, str | int | float) and not isinstance(value, bool) and value != UNKNOWN
    return str(value) if known else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping, also where it is JSON text; empty where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """Return a list, and an empty one where there is none."""
    return value if isinstance(value, list) else []


def kind(type_: str) -> str:
    """Return ``s3 Bucket`` for ``aws:s3/bucket:Bucket``, and ``apps/v1 Deployment`` for one of Kubernetes."""
    module, _, name = type_.rpartition(":")
    package, _, module = module.partition(":")
    return f"{module.partition('/')[0] if package == 'aws' else module} {name}".strip()


class Reader:
    """Knows of the resources of one graph what stands in others: their provider, their key, their prefix."""

    def __init__(self, graph: Graph) -> None:
        """Keep the graph; nothing is read before it is asked for."""
        self.graph = graph
        self._by_urn = graph.by_urn()

    def of(self, type_: str) -> Iterator[tuple[Resource, JsonObject]]:
        """Yield the resources of one type with what the program asked for."""
        for resource in self.graph.of(type_):
            yield resource, resource.inputs

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Regions of the AWS providers, the one with most resources first."""
        counted: dict[str, int] = {}
        for resource in self.graph.resources:
            if region := self.region(resource):
                counted[region] = counted.get(region, 0) + 1
        return tuple(sorted(counted, key=lambda region: (-counted[region], region)))

    def region(self, resource: Resource) -> str:
        """Return the region that a resource of AWS is in; empty for others, and where nobody said it."""
        if not resource.type.startswith("aws:"):
            return ""
        provider = self._by_urn.get(resource.provider_urn)
        return text(resource.inputs.get("region")) or (
            text(provider.inputs.get("region")) if provider else ""
        )

    @cached_property
    def declared(self) -> Mapping[str, str]:
        """What the providers put into the tags of everything: profile, jurisdiction, owner, classification."""
        found: dict[str, str] = {}
        for _, said in self.of(_AWS_PROVIDER):
            tags = mapping(mapping(said.get("defaultTags")).get("tags"))
            found |= {key: text(value) for key, value in tags.items() if key not in found}
        return found

    @cached_property
    def accounts(self) -> tuple[str, ...]:
        """Accounts that the providers may touch."""
        said = (inputs.get("allowedAccountIds") for _, inputs in self.of(_AWS_PROVIDER))
        lists = (
            json.loads(each) if isinstance(each, str) and each.startswith("[") else each for each in said
        )
        return tuple(sorted({text(account) for each in lists for account in items(each)}))

    @cached_property
    def prefix(self) -> str:
        """What the logical name of nearly every resource begins with: the project and the environment."""
        project = next((each.urn.split("::")[1] for each in self.graph.of(STACK_TYPE)), "")
        return f"{project}-{self.declared.get('environment') or self.graph.stack}-" if project else ""

    def name(self, resource: Resource) -> str:
        """Return the logical name without what every name begins with."""
        # The name is what follows the type, and may hold two colons itself: an IPv6 address does.
        return self.short(resource.urn.split("::", 3)[-1])

    def short(self, name: str) -> str:
        """Return a name without what every name begins with."""
        return name.removeprefix(self.prefix) or name

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for type_ in (KEY, REPLICA_KEY):
            for key, _ in self.of(type_):
                found[key.id] = found[text(key.outputs.get("arn"))] = self.name(key)
        return found

    def key(self, reference: Any) -> str:
        """Return the name of a key by its ARN or id; the ARN where it is none of the graph's."""
        said = text(reference)
        return self._keys.get(said) or self._keys.get(said.rpartition("/")[2]) or said
