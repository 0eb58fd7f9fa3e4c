"""Pods, wherever a kind of Kubernetes object keeps them, with the values that hold for each container.

Of a kind that Kubernetes does not know by itself (a training operator's, say), whatever holds a list of
containers is taken for a pod. Kubernetes documentation, "Pod API reference".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from machinery.manifests import Manifest, each, manifests, mapping, objects
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcome,
    Outcomes,
    Resource,
    Undecided,
    UnknownReference,
    UnknownSwitch,
    guarded,
)
from machinery.values import UNKNOWN

Role = Literal["container", "init", "ephemeral"]

_TEMPLATES: dict[str, str] = {
    "Pod": "",
    "PodTemplate": "template",
    "CronJob": "spec.jobTemplate.spec.template",
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"),
        "spec.template",
    ),
}
"""Where each kind keeps the object that is a pod but for its name."""

_OWN_GROUPS = ("core", "apps", "batch", "extensions")
"""API groups of those kinds, today's and former ones."""

_ABOUT_PODS = (
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "constraints.gatekeeper.sh",
    "helm.sh",
    "kyverno.io",
    "mutations.gatekeeper.sh",
    "policies.kyverno.io",
    "templates.gatekeeper.sh",
)
"""API groups that speak of pods and run none."""

_CONTAINERS: dict[str, Role] = {
    "containers": "container",
    "initContainers": "init",
    "ephemeralContainers": "ephemeral",
    # A step of an Argo workflow has one.
    "container": "container",
}


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod, or the template of one: its ``spec``, the labels and annotations beside it, and what holds it."""

    manifest: Manifest
    spec: Node
    metadata: Node

    @property
    def labels(self) -> Mapping[str, Any]:
        """The pod's labels.

        Raises:
            UnknownSwitch: they are unknown as a whole.
        """
        return mapping(self.metadata, "labels")

    @property
    def annotations(self) -> Mapping[str, Any]:
        """The pod's annotations.

        Raises:
            UnknownSwitch: they are unknown as a whole.
        """
        return mapping(self.metadata, "annotations")

    @property
    def windows(self) -> bool:
        """Say whether it runs on Windows, which knows neither seccomp nor capabilities."""
        return bool(self.spec.switch("os.name") == "windows")

    def containers(self) -> Iterator[Container]:
        """Yield every container: init and ephemeral ones run with the same node under them.

        Raises:
            UnknownReference: a list of them is unknown.
        """
        for key, role in _CONTAINERS.items():
            for node in self.spec.items(key):
                yield Container(node.value, node.path, self, role)

    def lacks(self, path: str, problem: str) -> Outcome:
        """Return the outcome of something that the pod does not say."""
        return _lacks(self, self.spec, path, problem)


@dataclass(frozen=True, eq=False)
class Container(Node):
    """A container of a pod."""

    pod: Pod | None = None
    role: Role = "container"

    def context(self, path: str, absent: Any = None) -> Any:
        """Return what holds of the security context: the container's own value, else the pod's.

        Raises:
            UnknownSwitch: it is unknown.
        """
        own = self.switch(f"securityContext.{path}")
        if own is None and self.pod:
            return self.pod.spec.switch(f"securityContext.{path}", absent)
        return absent if own is None else own

    def lacks(self, path: str, problem: str) -> Outcome:
        """Return the outcome of something that the container does not say."""
        return _lacks(self.pod, self, path, problem)


def _lacks(pod: Pod | None, node: Node, path: str, problem: str) -> Outcome:
    # What a patch leaves out is as somebody else made it.
    if pod and pod.manifest.patch and not node.has(path):
        return Undecided(f"{node.path}.{path}".strip("."))
    return node.violation(path, problem)


def pods(manifest: Manifest) -> Iterator[Pod]:
    """Yield the pods that an object asks for.

    Raises:
        UnknownReference: it cannot be said yet what they are.
    """
    if manifest.group in _OWN_GROUPS:
        template = _TEMPLATES.get(manifest.kind)
        if template is not None:
            holder = manifest.part(template) if template else manifest
            yield Pod(manifest, holder.part("spec"), holder.part("metadata"))
    elif manifest.group not in _ABOUT_PODS and not manifest.group.endswith(".k8s.io"):
        manifest.reference("spec")
        yield from _found_in(manifest, manifest.value, Node(None), manifest.path)


def runs_pods(manifest: Manifest) -> bool:
    """Say whether an object asks for pods, or may: what cannot be read counts as one that does."""
    try:
        return any(True for _ in pods(manifest))
    except (UnknownReference, UnknownSwitch, Malformed):
        return True


_DEEPEST = 24


def _found_in(manifest: Manifest, value: Any, metadata: Node, path: str, depth: int = 0) -> Iterator[Pod]:
    """Yield whatever holds containers, at any depth."""
    if depth > _DEEPEST:
        raise Malformed(path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _found_in(manifest, item, Node(None), f"{path}[{index}]", depth + 1)
    elif isinstance(value, Mapping):
        many = value.get("containers")
        if isinstance(many, list) or many is UNKNOWN or isinstance(value.get("container"), Mapping):
            yield Pod(manifest, Node(value, path), metadata)
            return
        beside = Node(value.get("metadata"), f"{path}.metadata".strip("."))
        for key, item in value.items():
            yield from _found_in(manifest, item, beside, f"{path}.{key}".strip("."), depth + 1)


PodRule = Callable[[Pod], Outcomes]


def on_pods(rule: PodRule) -> Callable[[Resource], Outcomes]:
    """Make a control's rule of a rule about one pod; a resource without pods has nothing to answer for."""

    def judge(resource: Resource) -> Outcomes:
        return each(manifests(resource), lambda manifest: _per_pod(manifest, rule))

    return judge


def each_pod(stack: Stack, rule: PodRule) -> Iterator[Outcome]:
    """Judge every pod of a stack by itself."""
    return each(objects(stack).all, lambda manifest: _per_pod(manifest, rule))


def _per_pod(manifest: Manifest, rule: PodRule) -> Iterator[Outcome]:
    for pod in pods(manifest):
        yield from guarded(partial(rule, pod))


def per_container(
    pod: Pod, judge: Callable[[Container], Outcomes], *, ephemeral: bool = True
) -> Iterator[Outcome]:
    """Judge every container by itself, so that an unknown in one hides nothing in another."""
    for container in pod.containers():
        if ephemeral or container.role != "ephemeral":
            yield from guarded(partial(judge, container))
