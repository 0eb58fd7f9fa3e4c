"""Pods that may do more than they need, wherever an object of Kubernetes holds one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint.mutation.mutant import Path, nodes, written

Loosened = tuple[str, str, Path, Any]
"""Where, what in words, and the path with its new value."""

_SECRET = {"name": "DB_PASSWORD", "value": "correct-horse-9Zq!battery"}

POD: tuple[tuple[str, Path, Any], ...] = (
    ("the machine's network", ("hostNetwork",), True),
    ("the machine's processes", ("hostPID",), True),
    ("the machine's shared memory", ("hostIPC",), True),
    ("the default service account", ("serviceAccountName",), "default"),
    ("a token of its service account", ("automountServiceAccountToken",), True),
    ("root", ("securityContext", "runAsUser"), 0),
    ("maybe root", ("securityContext", "runAsNonRoot"), False),
    ("any call to the kernel", ("securityContext", "seccompProfile"), {"type": "Unconfined"}),
    ("unsafe kernel settings", ("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "65536"}]),
)
"""Of the pod as a whole (Kubernetes documentation, "Pod Security Standards", baseline and restricted)."""

CONTAINER: tuple[tuple[str, Path, Any], ...] = (
    ("privileged", ("securityContext", "privileged"), True),
    ("may gain privileges", ("securityContext", "allowPrivilegeEscalation"), True),
    ("may write its root", ("securityContext", "readOnlyRootFilesystem"), False),
    ("root", ("securityContext", "runAsUser"), 0),
    ("maybe root", ("securityContext", "runAsNonRoot"), False),
    ("capabilities added", ("securityContext", "capabilities", "add"), ["SYS_ADMIN"]),
    ("capabilities kept", ("securityContext", "capabilities", "drop"), []),
    ("any call to the kernel", ("securityContext", "seccompProfile"), {"type": "Unconfined"}),
    ("all of /proc", ("securityContext", "procMount"), "Unmasked"),
    ("no limits", ("resources",), {}),
    ("an image of somebody else", ("image",), "docker.io/library/nginx@sha256:" + "0" * 64),
    ("the latest image", ("image",), "docker.io/library/nginx:latest"),
    ("no context", ("securityContext",), {}),
)

WHOLE: tuple[tuple[str, Path, Any], ...] = (
    ("the machine's disk", ("volumes",), {"name": "host", "hostPath": {"path": "/"}}),
    (
        "a privileged second container",
        ("containers",),
        {"name": "second", "image": "docker.io/library/busybox", "securityContext": {"privileged": True}},
    ),
    (
        "a privileged first container",
        ("initContainers",),
        {"name": "first", "image": "docker.io/library/busybox", "securityContext": {"privileged": True}},
    ),
)
"""Added to a list of the pod's."""


def loosened(inputs: dict[str, Any]) -> Iterator[Loosened]:
    """Yield every looser form of each pod in an object."""
    for path, spec in nodes(inputs):
        if isinstance(spec, dict) and isinstance(spec.get("containers"), list):
            yield from _pod(path, spec)


def _pod(path: Path, spec: dict[str, Any]) -> Iterator[Loosened]:
    for what, inner, value in POD:
        if _at(spec, inner) != value and _holds(spec, inner):
            yield written((*path, *inner)), what, (*path, *inner), value
    for what, inner, item in WHOLE:
        yield written((*path, *inner)), what, (*path, *inner), [*spec.get(str(inner[0]), []), item]
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind, [])):
            at = (*path, kind, index)
            for what, inner, value in CONTAINER:
                if _at(container, inner) != value:
                    yield written((*at, *inner)), what, (*at, *inner), value
            yield (
                written((*at, "env")),
                "a password in clear",
                (*at, "env"),
                [*container.get("env", []), _SECRET],
            )
            ports = [{**port, "hostPort": port["containerPort"]} for port in container.get("ports", [])]
            if ports:
                yield written((*at, "ports")), "a port of the machine", (*at, "ports"), ports


def _holds(spec: dict[str, Any], inner: Path) -> bool:
    """Say whether the pod's own value decides: what every container says itself is not undone by the pod."""
    if inner[0] != "securityContext" or inner[1] == "sysctls":
        return True
    key = inner[1]
    return any(key not in container.get("securityContext", {}) for container in spec["containers"])


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
