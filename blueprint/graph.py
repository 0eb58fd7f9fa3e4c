"""The resource graph: every resource of a stack, as ``pulumi stack export`` writes it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# The engine's own markers, from sdk/go/common/resource/properties.go of pulumi/pulumi.
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, not a credential
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_VALUE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"

JsonObject = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One registered resource. ``inputs`` is what the program asked for, ``outputs`` what it got.

    Values are JSON in the engine's wire form: an unknown is the string ``UNKNOWN``, a secret is an object
    ``{SIGNATURE: SECRET, "value": ...}``.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: JsonObject = field(default_factory=dict)
    outputs: JsonObject = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    protect: bool = False
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignore_changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""
    """Where the program made it, ``file:line``; not part of the export format, kept beside it."""

    @property
    def name(self) -> str:
        """The logical name, the last part of the URN."""
        return self.urn.rpartition("::")[2]

    @property
    def provider_urn(self) -> str:
        """The URN in the provider reference, which is ``urn::id``; empty for a component."""
        return self.provider.rpartition("::")[0]

    def needs(self) -> Iterator[str]:
        """Yield the URNs that must be registered before this one."""
        yield from (self.parent, self.provider_urn, *self.dependencies)
        for urns in self.property_dependencies.values():
            yield from urns


@dataclass(frozen=True)
class Graph:
    """All resources of one stack, each after what it needs, in an order that is the same every time."""

    stack: str
    resources: tuple[Resource, ...]

    def of(self, type_token: str) -> list[Resource]:
        """Return the resources of one type, in graph order."""
        return [resource for resource in self.resources if resource.type == type_token]

    def by_urn(self) -> dict[str, Resource]:
        """Return an index by URN."""
        return {resource.urn: resource for resource in self.resources}


def in_order(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Sort topologically, ties by URN; references to what is not in the graph do not count.

    Registrations arrive from several threads, so their order differs from run to run; this one does not.
    """
    index = {resource.urn: resource for resource in resources}
    waiting = {
        urn: {need for need in resource.needs() if need in index and need != urn}
        for urn, resource in index.items()
    }
    dependants: dict[str, list[str]] = {urn: [] for urn in index}
    for urn, needs in waiting.items():
        for need in needs:
            dependants[need].append(urn)
    ready = [urn for urn, needs in waiting.items() if not needs]
    heapq.heapify(ready)
    ordered: list[Resource] = []
    while ready:
        urn = heapq.heappop(ready)
        ordered.append(index.pop(urn))
        for dependant in dependants[urn]:
            waiting[dependant].discard(urn)
            if not waiting[dependant]:
                heapq.heappush(ready, dependant)
    # A cycle cannot come from an engine; keep its members all the same, so that nothing escapes the policies.
    return (*ordered, *(index[urn] for urn in sorted(index)))


def engine_values(value: Any) -> Any:
    """Return a value of the engine's as the graph keeps it.

    Whole numbers become integers (the wire has only floating point) and keys are sorted. A secret in clear is
    kept as one; what cannot be read here (a secret that is encrypted, a computed value) is unknown. A
    reference to a resource becomes its id, as providers and policies see it.
    """
    if isinstance(value, list):
        return [engine_values(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, dict):
        return value
    match value.get(SIGNATURE):
        case None:
            return {key: engine_values(item) for key, item in sorted(value.items())}
        case signature if signature == SECRET:
            return _secret(value)
        case signature if signature == RESOURCE_REFERENCE:
            return value.get("id") or UNKNOWN
        case signature if signature == OUTPUT_VALUE:
            return engine_values(value["value"]) if "value" in value else UNKNOWN
        case signature if signature in (ASSET, ARCHIVE) and value.keys() & {"text", "path", "uri", "assets"}:
            return value
        case _:
            return UNKNOWN


def _secret(value: JsonObject) -> Any:
    if "value" in value:
        return {SIGNATURE: SECRET, "value": engine_values(value["value"])}
    try:
        # ``pulumi stack export --show-secrets`` writes JSON text; without the flag there is only ciphertext.
        return {SIGNATURE: SECRET, "value": engine_values(json.loads(value["plaintext"]))}
    except (KeyError, TypeError, ValueError):
        return UNKNOWN


def canonical_json(value: object) -> str:
    """Return JSON text that is the same for equal values, whatever made them."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)
