"""A namespace that refuses by default: the strictest Pod Security, no traffic, bounded quotas."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import LimitRange, Namespace, ResourceQuota
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.fields import Fields, metadata
from components.pods import GPU


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most that all pods of a namespace may ask for together; quantities are Kubernetes' own.

    GPUs are shared by quota alone: a queue (Kueue) pays off once jobs of several teams wait for each other, and is
    a controller more to trust until then.
    """

    cpu: str
    memory: str
    pods: int
    gpus: int = 0


class ClosedNamespace(pulumi.ComponentResource):
    """A namespace with everything that its pods are held to.

    Attributes:
        name: Its name in the cluster.
        ready: What must be there before its first pod.
    """

    name: str
    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        kubernetes_version: str,
        quota: Quota,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the namespace.

        Args:
            name: Logical name.
            namespace: Its name in the cluster.
            kubernetes_version: Which version's Pod Security Standards hold, ``1.35``: an upgrade of the cluster
                changes them when it is written here, and not by itself.
            quota: What all its pods may ask for together.
            opts: Options of the component, with the cluster's provider.
        """
        super().__init__("secureml:namespaces:ClosedNamespace", name, None, opts)
        self.name = namespace
        made = Namespace(
            f"{name}-namespace",
            metadata=metadata(namespace, labels=_pod_security(kubernetes_version)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        inside = pulumi.ResourceOptions(parent=self, depends_on=[made])
        # No rules at all: what may pass is named by each workload's own policy.
        nothing: Fields = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        closed = NetworkPolicy(
            f"{name}-closed",
            metadata=metadata("closed", namespace=namespace),
            spec=nothing,
            opts=inside,
        )
        amounts: Fields = {
            "requests.cpu": quota.cpu,
            "limits.cpu": quota.cpu,
            "requests.memory": quota.memory,
            "limits.memory": quota.memory,
            "pods": str(quota.pods),
            f"requests.{GPU}": str(quota.gpus),
            # Load balancers and ports of the machines are nobody's to open but the platform's.
            "services.loadbalancers": "0",
            "services.nodeports": "0",
        }
        bounds: Fields = {"hard": amounts}
        bound = ResourceQuota(
            f"{name}-quota",
            metadata=metadata("quota", namespace=namespace),
            spec=bounds,
            opts=inside,
        )
        limits = LimitRange(
            f"{name}-limits",
            metadata=metadata("limits", namespace=namespace),
            spec=_UNLESS_SAID,
            opts=inside,
        )
        self.ready = [made, closed, bound, limits]
        self.register_outputs({"name": namespace})


_UNLESS_SAID: Fields = {
    "limits": [
        {
            "type": "Container",
            "default": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
            "defaultRequest": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
        }
    ]
}
"""What a container gets that says nothing: a quota refuses one without limits."""


def _pod_security(kubernetes_version: str) -> dict[str, str]:
    labels = {}
    for mode in ("enforce", "audit", "warn"):
        labels[f"pod-security.kubernetes.io/{mode}"] = "restricted"
        labels[f"pod-security.kubernetes.io/{mode}-version"] = f"v{kubernetes_version}"
    return labels
