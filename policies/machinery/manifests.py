"""Kubernetes objects as pulumi-kubernetes registers them: alone, in lists, as patches, of any API version.

Two objects stand in the same namespace where cluster and name agree. A name that is not known yet is traced
through the dependencies of ``metadata``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from machinery.stack import Stack
from machinery.subject import Malformed, Node, Outcome, Outcomes, Resource, UnknownSwitch, guarded
from machinery.values import UNKNOWN

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
"""Made by Kubernetes itself (Kubernetes documentation, "Namespaces: Initial namespaces"). ``default`` is one
too, and is left to the program."""

DEFAULT_NAMESPACE = "default"

EKS_CLUSTER = "aws:eks/cluster:Cluster"

_TOKEN = re.compile(r"kubernetes:([^/:]+)/[^/:]+:([A-Za-z0-9]+)")


@dataclass(frozen=True, eq=False)
class Manifest(Resource):
    """One object of Kubernetes; its ``type`` is that of the resource that holds it.

    ``group`` is the API group without a version (``core`` for the first one). A ``patch`` changes an object that
    somebody else made, so what it leaves out says nothing.
    """

    group: str = ""
    kind: str = ""
    patch: bool = False

    @property
    def labels(self) -> Mapping[str, Any]:
        """The labels; members may be unknown.

        Raises:
            UnknownSwitch: they are unknown as a whole.
        """
        return mapping(self, "metadata.labels")

    @property
    def annotations(self) -> Mapping[str, Any]:
        """The annotations; members may be unknown.

        Raises:
            UnknownSwitch: they are unknown as a whole.
        """
        return mapping(self, "metadata.annotations")

    def told(self, mapping_: Mapping[str, Any], key: str, absent: str = "") -> str:
        """Return a label or an annotation as a switch; keys of both hold dots, so no path leads to them.

        Raises:
            UnknownSwitch: it is unknown.
        """
        found = mapping_.get(key)
        if found is UNKNOWN:
            raise UnknownSwitch("metadata")
        return absent if found is None else str(found)


def mapping(node: Node, path: str) -> Mapping[str, Any]:
    """Return the switches at ``path``, by name; members may be unknown.

    Raises:
        UnknownSwitch: they are unknown as a whole.
        Malformed: it is no object.
    """
    found = node.switch(path, absent={})
    if not isinstance(found, Mapping):
        raise Malformed(f"{node.path}.{path}" if node.path else path)
    return found


def manifests(resource: Resource) -> list[Manifest]:
    """Return the objects that a resource makes or changes; none where it is nothing of Kubernetes'."""
    found = _TOKEN.fullmatch(resource.type)
    if not found or not isinstance(resource.value, Mapping):
        return []
    group, token_kind = found.groups()
    # Only the token tells a patch from its kind, and only the kind tells one that is called so from a patch.
    kind = resource.value.get("kind")
    kind = kind if isinstance(kind, str) else token_kind
    whole = _manifest(resource, resource.value, "", group, kind, patch=token_kind == f"{kind}Patch")
    items = resource.value.get("items")
    if not kind.endswith("List") or not isinstance(items, list):
        return [whole]
    return [_member(whole, item, index) for index, item in enumerate(items)]


def _member(whole: Manifest, item: Any, index: int) -> Manifest:
    said = item if isinstance(item, Mapping) else {}
    kind = said.get("kind") if isinstance(said.get("kind"), str) else whole.kind.removesuffix("List")
    version = said.get("apiVersion")
    group = whole.group
    if isinstance(version, str):
        group = version.rpartition("/")[0] or "core"
    # The engine knows of dependencies of the whole list only.
    needs = whole.property_dependencies.get("items", ())
    member = _manifest(whole, item, f"items[{index}]", group, str(kind), patch=False)
    return replace(member, property_dependencies=dict.fromkeys(said, needs))


def _manifest(resource: Resource, value: Any, path: str, group: str, kind: str, *, patch: bool) -> Manifest:
    facts = {key: resource.__dict__[key] for key in Resource.__dataclass_fields__}
    return Manifest(**{**facts, "value": value, "path": path, "group": group, "kind": kind, "patch": patch})


def each(found: Iterable[Manifest], judge: Callable[[Manifest], Outcomes]) -> Iterator[Outcome]:
    """Judge every object by itself, so that an unknown in one hides nothing in another."""
    for manifest in found:
        for outcome in guarded(partial(judge, manifest)):
            yield replace(outcome, urn=outcome.urn or manifest.urn)


@dataclass(frozen=True)
class Place:
    """A namespace: its cluster, and its name, or the URN of the object that makes it where no name is known yet."""

    cluster: tuple[str, ...]
    name: str

    @property
    def system(self) -> bool:
        """Say whether Kubernetes itself makes it."""
        return self.name in SYSTEM_NAMESPACES


class Objects:
    """The Kubernetes objects of a stack, findable by kind and by place."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.all = [made for resource in stack.matching("kubernetes:") for made in manifests(resource)]
        self._by_kind: dict[str, list[Manifest]] = {}
        for manifest in self.all:
            self._by_kind.setdefault(manifest.kind, []).append(manifest)
        self._clusters: dict[str, tuple[str, ...]] = {}

    def of(self, *kinds: str, groups: tuple[str, ...] = ()) -> list[Manifest]:
        """Return the objects of these kinds, of these API groups where any are named."""
        found = [manifest for kind in kinds for manifest in self._by_kind.get(kind, ())]
        return [manifest for manifest in found if not groups or manifest.group in groups]

    @cached_property
    def namespaces(self) -> dict[Place, list[Manifest]]:
        """What makes or changes each namespace."""
        found: dict[Place, list[Manifest]] = {}
        for manifest in self.of("Namespace", groups=("core",)):
            found.setdefault(self._own_place(manifest), []).append(manifest)
        return found

    def place(self, manifest: Manifest) -> Place | None:
        """Return the namespace that an object stands in; ``None`` where it cannot be said yet."""
        if manifest.kind == "Namespace":
            return self._own_place(manifest)
        said = _text(manifest, "namespace")
        if said is UNKNOWN:
            return self._traced(manifest)
        default = manifest.provider.get("namespace")
        if not said and isinstance(default, str):
            said = default
        return Place(self.cluster(manifest), said or DEFAULT_NAMESPACE)

    def _own_place(self, namespace: Manifest) -> Place:
        name = _text(namespace, "name")
        return Place(self.cluster(namespace), name if isinstance(name, str) and name else namespace.urn)

    def _traced(self, manifest: Manifest) -> Place | None:
        needs = manifest.property_dependencies.get("metadata", ())
        found = {place for place, made in self.namespaces.items() for one in made if one.urn in needs}
        return found.pop() if len(found) == 1 else None

    def cluster(self, resource: Resource) -> tuple[str, ...]:
        """Return what tells one cluster from another: the EKS clusters that the provider is made of, else itself.

        Two providers may lead into one cluster.
        """
        urn = resource.provider_urn
        if urn not in self._clusters:
            provider = self._stack.by_urn.get(urn)
            needs: set[str] = set(provider.dependencies if provider else ())
            if provider:
                needs = needs.union(*provider.property_dependencies.values())
            made = {cluster.urn for cluster in self._stack.of(EKS_CLUSTER)} & needs
            self._clusters[urn] = tuple(sorted(made)) or (urn,)
        return self._clusters[urn]

    def named(self, kind: str, place: Place, name: str) -> list[Manifest]:
        """Return the objects of a kind with this name in this namespace."""
        return [
            manifest
            for manifest in self.of(kind)
            if _text(manifest, "name") == name and self.place(manifest) == place
        ]


def objects(stack: Stack) -> Objects:
    """Return the Kubernetes objects of a stack; they are looked for once."""
    return stack.once(Objects)


def _text(manifest: Manifest, key: str) -> Any:
    """Return a text of ``metadata``; empty where there is none, ``UNKNOWN`` where it is not known yet."""
    metadata = manifest.value.get("metadata") if isinstance(manifest.value, Mapping) else None
    found = metadata.get(key) if isinstance(metadata, Mapping) else metadata
    return found if found is UNKNOWN or isinstance(found, str) else ""
