"""The server of a federation: it meets enrolled silos alone, sees sums alone, and runs what its operator starts alone.

It has a door for each of its callers, on ports of their own (``services/federated/doors.py``): nodes come through the
private link (``components.federation_door``), and each is known by its public key; the operator, who decides which
nodes those are and what they run, comes from inside the cluster and shows a certificate of another authority. The pod's
network policy names who may come to which door. What it knows of a run lies in the pod's own scratch, on a disk under a
key of ours, and goes with the pod: there is no store of updates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from components.fields import metadata
from components.ml_jobs import CANDIDATES, Models
from components.pod_network import Addresses, Pods
from components.pods import Container, Image, Size
from components.rights import Secrets, signs
from components.target_registration import TargetRegistration
from components.workload import JobWorkload, Rights, SoleWorkload

FLEET_PORT, CONTROL_PORT = 9092, 9093
"""Of nodes, and of the operator: what Flower's own APIs were on while they had ports of their own (flwr 1.41,
``common/constant.py``)."""

SUPERLINK, OPERATOR = "superlink", "federation-operator"
"""Names of the apps."""

_KEEP_SECONDS = 24 * 3600

_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the pods of a federation run, and what they have there."""

    cluster_name: pulumi.Input[str]
    namespace: str
    """A closed namespace of its own."""
    needs: Sequence[pulumi.Resource]
    image: Image
    size: Size
    secrets: Secrets
    aws_endpoints: Addresses
    region: str
    permissions_boundary_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Doorway:
    """How the door leads to the server."""

    cidrs: Sequence[str]
    """Where its load balancer stands."""
    target_group_arn: pulumi.Input[str]
    registration: TargetRegistration


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where what was learned goes, and what says who made it."""

    models: Models
    s3_url: pulumi.Input[str]
    signing_key_arn: pulumi.Input[str]
    """Of candidates: what judges them has another."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What the operator starts."""

    terms: Mapping[str, Any]
    """The federation's settings, to which each silo agreed in its own."""
    app_entity: str
    """The name under which silos trust whose key signs the app."""
    deadline_seconds: int
    """After this long a run is stopped."""


class Federation(pulumi.ComponentResource):
    """The server, and the job by which its operator starts a run."""

    def __init__(
        self,
        name: str,
        *,
        server: Surroundings,
        operator: Surroundings,
        doorway: Doorway,
        outcome: Outcome,
        node_keys: Mapping[str, str],
        runs: Runs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the server and the job.

        Args:
            name: Logical name.
            server: Where the server runs. Of its secrets, ``tls`` is a certificate and its key, ``operator-ca`` the
                authority of the operator's certificate, which is not the one of ``tls``.
            operator: Where the operator's job runs; not in the server's namespace, where a job could be the server.
                Of its secrets, ``tls`` is the operator's certificate and its key, ``server-ca`` the authority of the
                server's, ``app`` the key that signs what silos run.
            doorway: How silos come in.
            outcome: Where candidates are written, and the key that signs them.
            node_keys: Public keys of the nodes of the enrolled silos by the silos' names, in OpenSSH's form.
            runs: What the operator starts.
            opts: Options of the component, with the providers of AWS and of the cluster.

        Raises:
            ValueError: nobody is enrolled, or server and operator share a namespace.
        """
        super().__init__("secureml:federation:Federation", name, None, opts)
        if not node_keys:
            raise ValueError("node_keys is empty; a federation of nobody learns nothing")
        if server.namespace == operator.namespace:
            raise ValueError(
                f"the operator's jobs and the server are both in {server.namespace!r}; give each its own"
            )
        under = pulumi.ResourceOptions(parent=self)
        superlink = _superlink(server, operator, doorway, outcome, node_keys, under)
        CustomResource(
            f"{SUPERLINK}-door",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata=metadata(SUPERLINK, namespace=server.namespace),
            spec={
                "targetGroupARN": doorway.target_group_arn,
                "targetType": "ip",
                "serviceRef": {"name": SUPERLINK, "port": _HTTPS},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[superlink, *doorway.registration.ready]),
        )
        _operator(server, operator, runs, under)
        self.register_outputs({})


def _superlink(
    server: Surroundings,
    operator: Surroundings,
    doorway: Doorway,
    outcome: Outcome,
    node_keys: Mapping[str, str],
    under: pulumi.ResourceOptions,
) -> SoleWorkload:
    return SoleWorkload(
        SUPERLINK,
        namespace=server.namespace,
        container=Container(
            image=server.image,
            size=server.size,
            arguments=("server",),
            port=FLEET_PORT,
            environment={
                "AWS_REGION": server.region,
                "AWS_ENDPOINT_URL_S3": outcome.s3_url,
                "CONTROL_PORT": str(CONTROL_PORT),
                "MODEL_BUCKET": outcome.models.bucket,
                "MODEL_PREFIX": CANDIDATES,
                "NODE_PUBLIC_KEYS": json.dumps(dict(sorted(node_keys.items()))),
                "OPERATOR_CA_SECRET_ID": server.secrets.name("operator-ca"),
                "PORT": str(FLEET_PORT),
                # Of updates that come without a mask nothing is put together.
                "SECURE_AGGREGATION": "required",
                "SIGNING_KEY_ARN": outcome.signing_key_arn,
                "TLS_SECRET_ID": server.secrets.name("tls"),
            },
        ),
        reached_by=[
            *(Addresses(cidr=cidr, port=FLEET_PORT) for cidr in doorway.cidrs),
            Pods(namespace=operator.namespace, app=OPERATOR, port=CONTROL_PORT),
        ],
        reaches=[server.aws_endpoints],
        other_ports={"control": CONTROL_PORT},
        rights=Rights(
            cluster_name=server.cluster_name,
            about="Puts together what silos learned and signs it; reads no data, judges and releases nothing",
            permissions_boundary_arn=server.permissions_boundary_arn,
            statements=[
                *outcome.models.under(CANDIDATES).writable(server.region),
                signs(outcome.signing_key_arn),
                *server.secrets.readable(),
            ],
        ),
        needs=server.needs,
        opts=under,
    )


def _operator(
    server: Surroundings, operator: Surroundings, runs: Runs, under: pulumi.ResourceOptions
) -> None:
    JobWorkload(
        OPERATOR,
        namespace=operator.namespace,
        container=Container(
            image=operator.image,
            size=operator.size,
            arguments=("operator",),
            environment={
                "APP_ENTITY": runs.app_entity,
                "APP_KEY_SECRET_ID": operator.secrets.name("app"),
                "AWS_REGION": operator.region,
                "OPERATOR_TLS_SECRET_ID": operator.secrets.name("tls"),
                "SERVER_ADDRESS": f"{SUPERLINK}.{server.namespace}.svc:{CONTROL_PORT}",
                "SERVER_CA_SECRET_ID": operator.secrets.name("server-ca"),
                "TERMS": json.dumps(runs.terms, sort_keys=True),
            },
        ),
        deadline_seconds=runs.deadline_seconds,
        keep_seconds=_KEEP_SECONDS,
        retries=0,
        reaches=[
            Pods(namespace=server.namespace, app=SUPERLINK, port=CONTROL_PORT),
            operator.aws_endpoints,
        ],
        rights=Rights(
            cluster_name=operator.cluster_name,
            about="Starts runs of the federation; reads no data and no update",
            permissions_boundary_arn=operator.permissions_boundary_arn,
            statements=operator.secrets.readable(),
        ),
        needs=operator.needs,
        opts=under,
    )
