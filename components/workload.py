"""A hardened workload: a service that stays, one that there may be once only, or a job that ends; all of ours is one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, StatefulSet
from pulumi_kubernetes.batch.v1 import CronJob
from pulumi_kubernetes.core.v1 import Service, ServiceAccount
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components.documents import Statement
from components.fields import Fields, metadata
from components.pod_identity import PodIdentity
from components.pod_network import Peer, network_policy
from components.pods import Container, pod_spec

LEAST_REPLICAS = 2
"""One machine may fail, or be replaced, without anybody noticing."""


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What the pods may do in AWS, as themselves."""

    cluster_name: pulumi.Input[str]
    about: str
    permissions_boundary_arn: pulumi.Input[str]
    statements: Sequence[Statement]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Where a service says that it lives and that it is ready, over HTTPS on its own port."""

    live: str = "/health"
    ready: str = "/ready"


class ServiceWorkload(pulumi.ComponentResource):
    """Two or more replicas over zones, behind a name in the cluster.

    Attributes:
        name: Name of the app, its service account and its service.
        namespace: Where it runs.
        port: Where it is called.
    """

    name: str
    namespace: str
    port: int

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        container: Container,
        replicas: int,
        reached_by: Sequence[Peer],
        reaches: Sequence[Peer],
        probe: Probe,
        rights: Rights | None = None,
        needs: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the service.

        Args:
            name: Name of the app; also of its service account and of its service in the cluster.
            namespace: A namespace that refuses everything by default (``components.namespaces``).
            container: What runs; it must listen on a port, with TLS.
            replicas: How many, two or more.
            reached_by: Who may call it.
            reaches: Whom it may call, beside the name service.
            probe: Where it tells its health.
            rights: What it may do in AWS; without any it has no role.
            needs: What must be there before its pods are admitted: the namespace and its rules.
            opts: Options of the component, with the cluster's provider.

        Raises:
            ValueError: there are too few replicas, or the container does not listen.
        """
        super().__init__("secureml:workload:ServiceWorkload", name, None, opts)
        if replicas < LEAST_REPLICAS:
            raise ValueError(f"replicas is {replicas}; write {LEAST_REPLICAS} or more: one machine may fail")
        if container.port is None:
            raise ValueError("container.port is missing; a service listens, with TLS")
        self.name, self.namespace, self.port = name, namespace, container.port
        surroundings = _Surroundings(self, name, namespace, rights, needs)
        surroundings.policy(reached_by, reaches)
        labels = {"app": name}
        pods = pod_spec(name, container, restart="Always", spread=True, probes=_probes(probe, container.port))
        deployed: Fields = {
            "replicas": replicas,
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pods},
        }
        deployment = Deployment(
            f"{name}-deployment", metadata=surroundings.metadata(), spec=deployed, opts=surroundings.opts
        )
        budget: Fields = {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
        PodDisruptionBudget(
            f"{name}-budget", metadata=surroundings.metadata(), spec=budget, opts=surroundings.under
        )
        Service(
            f"{name}-service",
            metadata=surroundings.metadata(),
            spec=_service(name, {}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        self.register_outputs({"name": name, "namespace": namespace, "port": container.port})


class SoleWorkload(pulumi.ComponentResource):
    """One pod that stays, and never two of it: its state is its own, and a second would be somebody else.

    A stateful set starts a pod only once the one before is known to be gone (Kubernetes, "StatefulSets", deployment and
    scaling guarantees); a deployment would let two run for a while. It keeps nothing: what it knows ends with it.

    Attributes:
        name: Name of the app, its service account and, where it listens, its service.
        namespace: Where it runs.
        port: Where it is called; ``None`` where nobody may.
    """

    name: str
    namespace: str
    port: int | None

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        container: Container,
        reached_by: Sequence[Peer] = (),
        reaches: Sequence[Peer],
        other_ports: Mapping[str, int] | None = None,
        rights: Rights,
        needs: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the workload.

        Args:
            name: Name of the app; also of its service account and of its service in the cluster.
            namespace: A namespace that refuses everything by default (``components.namespaces``).
            container: What runs.
            reached_by: Who may call it.
            reaches: Whom it may call, beside the name service.
            other_ports: Where else it listens, by names of at most 15 characters: doors of other callers than the
                container's own port. That it listens there is all that it says of its health.
            rights: What it may do in AWS.
            needs: What must be there before its pod is admitted: the namespace and its rules.
            opts: Options of the component, with the cluster's provider.

        Raises:
            ValueError: it is reached and does not listen.
        """
        super().__init__("secureml:workload:SoleWorkload", name, None, opts)
        if container.port is None and (reached_by or other_ports):
            raise ValueError("reached_by or other_ports names a way in, and the container listens on no port")
        self.name, self.namespace, self.port = name, namespace, container.port
        surroundings = _Surroundings(self, name, namespace, rights, needs)
        surroundings.policy(reached_by, reaches)
        labels = {"app": name}
        probes = _listens(container.port) if container.port is not None else None
        spec: Fields = {
            "replicas": 1,
            "revisionHistoryLimit": 5,
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": labels},
                "spec": pod_spec(name, container, restart="Always", spread=False, probes=probes),
            },
        }
        deployed = StatefulSet(
            f"{name}-set", metadata=surroundings.metadata(), spec=spec, opts=surroundings.opts
        )
        if container.port is not None:
            Service(
                f"{name}-service",
                metadata=surroundings.metadata(),
                spec=_service(name, other_ports or {}),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[deployed]),
            )
        self.register_outputs({"name": name, "namespace": namespace})


def _service(name: str, others: Mapping[str, int]) -> Fields:
    """Return a name in the cluster, and nothing outside of it."""
    ports = [{"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}]
    ports += [
        {"name": other, "port": port, "targetPort": port, "protocol": "TCP"} for other, port in others.items()
    ]
    return {"type": "ClusterIP", "selector": {"app": name}, "ports": ports}


class JobWorkload(pulumi.ComponentResource):
    """Runs to an end, each with a deadline and gone some time after it; people start one when they want it.

    ``kubectl create job --from=cronjob/<name> <run>`` starts one. The schedule itself is suspended: it is there
    because a job can be made from nothing else.

    Attributes:
        name: Name of the app and of its service account.
        namespace: Where it runs.
    """

    name: str
    namespace: str

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        container: Container,
        deadline_seconds: int,
        keep_seconds: int,
        retries: int,
        reaches: Sequence[Peer],
        rights: Rights | None = None,
        needs: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the job.

        Args:
            name: Name of the app; also of its service account.
            namespace: A namespace that refuses everything by default (``components.namespaces``).
            container: What runs.
            deadline_seconds: After this long it is stopped, retries included; 14 days at most.
            keep_seconds: How long it can be looked at after its end; 7 days at most.
            retries: How often it is started again after a failure, 0 to 6.
            reaches: Whom it may call, beside the name service; nobody calls a job.
            rights: What it may do in AWS; without any it has no role.
            needs: What must be there before its pods are admitted: the namespace and its rules.
            opts: Options of the component, with the cluster's provider.

        Raises:
            ValueError: a number is out of its bounds.
        """
        super().__init__("secureml:workload:JobWorkload", name, None, opts)
        if not 1 <= deadline_seconds <= _LONGEST_RUN_SECONDS:
            raise ValueError(f"deadline_seconds is {deadline_seconds}; write 1 to {_LONGEST_RUN_SECONDS}")
        if not 0 <= keep_seconds <= _LONGEST_KEEP_SECONDS:
            raise ValueError(f"keep_seconds is {keep_seconds}; write 0 to {_LONGEST_KEEP_SECONDS}")
        if not 0 <= retries <= 6:
            raise ValueError(f"retries is {retries}; write 0 to 6")
        self.name, self.namespace = name, namespace
        surroundings = _Surroundings(self, name, namespace, rights, needs)
        surroundings.policy((), reaches)
        job: Fields = {
            "activeDeadlineSeconds": deadline_seconds,
            "ttlSecondsAfterFinished": keep_seconds,
            "backoffLimit": retries,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": pod_spec(name, container, restart="Never", spread=False),
            },
        }
        spec: Fields = {
            "schedule": _NEVER,
            "suspend": True,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"metadata": {"labels": {"app": name}}, "spec": job},
        }
        CronJob(f"{name}-job", metadata=surroundings.metadata(), spec=spec, opts=surroundings.opts)
        self.register_outputs({"name": name, "namespace": namespace})


_NEVER = "0 0 1 1 *"
"""A schedule has to be written; this one is suspended."""

_LONGEST_RUN_SECONDS = 14 * 24 * 3600
_LONGEST_KEEP_SECONDS = 7 * 24 * 3600


class _Surroundings:
    """What a workload stands in: its service account, its role and its network policy."""

    def __init__(
        self,
        parent: pulumi.ComponentResource,
        name: str,
        namespace: str,
        rights: Rights | None,
        needs: Sequence[pulumi.Resource],
    ) -> None:
        self._parent, self._name, self._namespace = parent, name, namespace
        self._calls_aws = rights is not None
        self.under = pulumi.ResourceOptions(parent=parent, depends_on=list(needs))
        account = ServiceAccount(
            f"{name}-account",
            metadata=self.metadata(),
            automount_service_account_token=False,
            opts=self.under,
        )
        self._ready: list[pulumi.Resource] = [account]
        if rights:
            self._ready.append(
                PodIdentity(
                    f"{name}-identity",
                    cluster_name=rights.cluster_name,
                    namespace=namespace,
                    service_account=name,
                    about=rights.about,
                    permissions_boundary_arn=rights.permissions_boundary_arn,
                    statements=rights.statements,
                    opts=pulumi.ResourceOptions(parent=parent),
                )
            )

    def metadata(self) -> Fields:
        """Return name, namespace and labels."""
        return metadata(self._name, namespace=self._namespace, labels={"app": self._name})

    def policy(self, reached_by: Sequence[Peer], reaches: Sequence[Peer]) -> None:
        """Write down whom the pods talk to, before there are any."""
        self._ready.append(
            NetworkPolicy(
                f"{self._name}-network",
                metadata=self.metadata(),
                spec=network_policy(
                    {"app": self._name}, reached_by=reached_by, reaches=reaches, calls_aws=self._calls_aws
                ),
                opts=self.under,
            )
        )

    @property
    def opts(self) -> pulumi.ResourceOptions:
        """Options of the pods' owner: after everything that guards it."""
        return pulumi.ResourceOptions(parent=self._parent, depends_on=self._ready)


def _listens(port: int) -> Fields:
    """Return probes that ask no more than whether somebody listens: for what has no word for strangers."""

    def asked(period_seconds: int, failures: int) -> Fields:
        return {
            "tcpSocket": {"port": port},
            "periodSeconds": period_seconds,
            "timeoutSeconds": 3,
            "failureThreshold": failures,
        }

    return {
        "startupProbe": asked(5, 24),
        "livenessProbe": asked(10, 3),
        "readinessProbe": asked(5, 2),
    }


def _probes(probe: Probe, port: int) -> Fields:
    def asked(path: str, period_seconds: int, failures: int) -> Fields:
        return {
            "httpGet": {"path": path, "port": port, "scheme": "HTTPS"},
            "periodSeconds": period_seconds,
            "timeoutSeconds": 3,
            "failureThreshold": failures,
        }

    return {
        "startupProbe": asked(probe.live, 5, 24),
        "livenessProbe": asked(probe.live, 10, 3),
        "readinessProbe": asked(probe.ready, 5, 2),
    }
