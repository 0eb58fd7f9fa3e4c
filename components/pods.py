"""What every pod of the platform is: not root, without privileges, sealed, bounded, from a signed image of ours.

There is no argument for any of it: what needs more than this does not run here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.fields import Fields

USER_ID = 65532
"""``nonroot`` of the distroless images: no user of the machine has it."""

GPU = "nvidia.com/gpu"
"""Resource of the NVIDIA device plugin, and the taint of the machines that have it."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""How an image is named so that it cannot become another."""

TOKENS = "/var/run/secrets/tokens"
"""Where a pod finds the tokens that it shows to others, each named as whom it is for."""

API_SERVER = "api-server"
"""File of the token for the API server itself; ``ca.crt`` beside it is the cluster's authority."""

_TOKEN_SECONDS = 3600
"""The kubelet renews it at four fifths (Kubernetes, "Configure Service Accounts for Pods")."""

_SECRET_NAME = re.compile(r"(?i)passw|secret|token|api_?key|private_?key|credential")
_QUANTITY = re.compile(r"[1-9][0-9]*(?:m|Ki|Mi|Gi|Ti)?")


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image by its digest: what was checked is what runs."""

    repository_url: pulumi.Input[str]
    """Of the platform's own registry, without a tag."""
    digest: str

    def __post_init__(self) -> None:
        """Raise ValueError where the digest is none."""
        if not DIGEST.fullmatch(self.digest):
            raise ValueError(
                f"digest {self.digest!r:.80} is none; write sha256: and 64 hexadecimal digits, as "
                "docker buildx imagetools inspect tells it; a tag can be moved to another image"
            )

    @property
    def reference(self) -> pulumi.Output[str]:
        """``<repository>@sha256:…``, as a pod names it."""
        return pulumi.Output.concat(self.repository_url, "@", self.digest)


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a container is promised and never exceeds: the same, so that nobody is evicted for a neighbour.

    Quantities are Kubernetes' own: ``cpu`` in cores or ``500m``, ``memory`` and ``disk`` in ``512Mi``, ``4Gi``.
    """

    cpu: str
    memory: str
    disk: str = "1Gi"
    """Scratch space: the only place that can be written."""
    gpus: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError where a quantity is none."""
        for name in ("cpu", "memory", "disk"):
            if not _QUANTITY.fullmatch(getattr(self, name)):
                raise ValueError(
                    f"{name} {getattr(self, name)!r:.40} is no quantity; write one like 500m or 2Gi"
                )
        if not 0 <= self.gpus <= 16:
            raise ValueError(f"gpus is {self.gpus}; a machine has 1 to 16, and 0 asks for none")

    def resources(self) -> Fields:
        """Return requests and limits."""
        amounts = {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.disk}
        if self.gpus:
            amounts[GPU] = str(self.gpus)
        return {"requests": amounts, "limits": amounts}


@dataclass(frozen=True, kw_only=True)
class Container:
    """One program: its image, its size, and the settings that it reads from the environment."""

    image: Image
    size: Size
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, pulumi.Input[str]]
    """Names to values. No secrets: programs fetch theirs as themselves, from Secrets Manager."""
    port: int | None = None
    """Where it listens, with TLS."""
    audiences: tuple[str, ...] = ()
    """Whom it shows tokens to: services of ours, or ``API_SERVER``. A token is good for nobody else."""

    def __post_init__(self) -> None:
        """Raise ValueError where a variable looks like a secret."""
        for name in self.environment:
            if _SECRET_NAME.search(name) and not name.endswith(("_ARN", "_ID", "_URL", "_FILE", "_PATH")):
                raise ValueError(
                    f"environment: {name} looks like a secret, and everybody who sees the pod sees its environment; "
                    f"let the program fetch it, and name where from: {name}_ARN"
                )


def pod_spec(
    name: str, container: Container, *, restart: str, spread: bool, probes: Mapping[str, Any] | None = None
) -> Fields:
    """Return the specification of a pod.

    Args:
        name: Name of the container, the service account and the ``app`` label.
        container: What runs.
        restart: ``Always`` or ``Never``.
        spread: Over zones and machines.
        probes: How the kubelet asks whether it lives, by the names of a container's fields.
    """
    spec: Fields = {
        "serviceAccountName": name,
        # Whoever needs AWS gets a token of EKS's from the pod identity agent; whoever shows one to somebody else
        # names whom (``audiences``). Nobody gets the one that Kubernetes would hand out unasked.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(name, container, probes or {})],
        "volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": container.size.disk}},
            *_tokens(container.audiences),
        ],
        "nodeSelector": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
    }
    if container.size.gpus:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
        spec["nodeSelector"] |= {"workload": "training"}
    if spread:
        spec["topologySpreadConstraints"] = [
            _spread(name, "topology.kubernetes.io/zone", "DoNotSchedule"),
            _spread(name, "kubernetes.io/hostname", "ScheduleAnyway"),
        ]
    return spec


def _container(name: str, container: Container, probes: Mapping[str, Any]) -> Fields:
    made: Fields = {
        "name": name,
        "image": container.image.reference,
        "imagePullPolicy": "Always",
        "args": list(container.arguments),
        "env": [{"name": key, "value": value} for key, value in sorted(container.environment.items())],
        "resources": container.size.resources(),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - of the container, empty
            *([{"name": "tokens", "mountPath": TOKENS, "readOnly": True}] if container.audiences else []),
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **probes,
    }
    if container.port is not None:
        made["ports"] = [{"name": "https", "containerPort": container.port, "protocol": "TCP"}]
    return made


def _tokens(audiences: tuple[str, ...]) -> list[Fields]:
    """Return the volume of tokens, each good for one audience and an hour; none where nobody asks for any."""
    if not audiences:
        return []
    sources: list[Fields] = []
    for audience in audiences:
        token: Fields = {"path": audience, "expirationSeconds": _TOKEN_SECONDS}
        if audience == API_SERVER:
            sources.append({"configMap": {"name": "kube-root-ca.crt", "items": [_AUTHORITY]}})
        else:
            token["audience"] = audience
        sources.append({"serviceAccountToken": token})
    return [{"name": "tokens", "projected": {"defaultMode": 0o440, "sources": sources}}]


_AUTHORITY: Fields = {"key": "ca.crt", "path": "ca.crt"}


def _spread(name: str, over: str, otherwise: str) -> Fields:
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": otherwise,
        "labelSelector": {"matchLabels": {"app": name}},
    }
