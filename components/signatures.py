"""Signed images only: Kyverno verifies each against the platform's signing key, and refuses when it cannot.

Kyverno comes from the platform's own registry like everything else: mirror its chart and its two images there once,
for instance with ``crane copy``. The repositories do not change a tag once it is there, so a version is a content.
Of Kyverno's controllers only the one that admits is installed: the others report, clean up and generate, and every
one of them may do more in a cluster than anything of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.admission_rules import SYSTEM_NAMESPACES
from components.documents import Statement
from components.fields import Fields, metadata
from components.namespaces import ClosedNamespace, Quota
from components.pod_identity import PodIdentity
from components.pod_network import Addresses, PublicAddresses, network_policy
from components.pods import DIGEST

Controller = Literal["kyverno", "kyvernopre"]
"""The two images: what admits, and what prepares its start."""

CHART_VERSION, _TAG = "3.8.2", "v1.18.2"
"""Version of the chart, and of Kyverno in it (kyverno/kyverno, ``charts/kyverno/Chart.yaml``)."""

NAMESPACE = "kyverno"

MIRRORED = ("mirror/kyverno", "mirror/kyvernopre", "mirror/charts/kyverno")
"""Repositories that hold Kyverno, below the prefix of the services' own."""

_PODS = {"app.kubernetes.io/component": "admission-controller"}
"""Labels that the chart gives."""

_WEBHOOK = 9443

_TIMEOUT_SECONDS = 30
"""The longest that Kubernetes lets a webhook take (Kubernetes documentation, "Dynamic Admission Control")."""

_REPLICAS = 3


class SignedImages(pulumi.ComponentResource):
    """Kyverno, and the policy that lets pods start only from images signed with one key.

    Attributes:
        ready: What must be there before the first workload.
    """

    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        kubernetes_version: str,
        registry_host: str,
        repository_prefix: str,
        digests: Mapping[Controller, str],
        signing_key_arn: pulumi.Input[str],
        callers: Sequence[str],
        reaches: Sequence[Addresses],
        permissions_boundary_arn: pulumi.Input[str],
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Install Kyverno and the policy.

        Args:
            name: Logical name.
            cluster_name: The cluster.
            kubernetes_version: Which version's Pod Security Standards hold for Kyverno itself, ``1.35``.
            registry_host: Host of the platform's registry.
            repository_prefix: Where ``MIRRORED`` is below it.
            digests: Digest of each of Kyverno's images.
            signing_key_arn: The key that images are signed with.
            callers: Address ranges of the control plane, which asks before it admits.
            reaches: The API server, and AWS's endpoints in the VPC.
            permissions_boundary_arn: Boundary of the role that reads the registry and the key.
            needs: What must be there before Kyverno's own pods: the rules of the API server.
            opts: Options of the component, with the providers of AWS and of the cluster.

        Raises:
            ValueError: a digest is missing or is none.
        """
        super().__init__("secureml:signatures:SignedImages", name, None, opts)
        _check(digests)
        under = pulumi.ResourceOptions(parent=self)
        namespace = ClosedNamespace(
            f"{name}-own",
            namespace=NAMESPACE,
            kubernetes_version=kubernetes_version,
            quota=_QUOTA,
            opts=under,
        )
        network = NetworkPolicy(
            f"{name}-network",
            metadata=metadata("kyverno", namespace=NAMESPACE),
            spec=network_policy(
                _PODS,
                reached_by=[Addresses(cidr=cidr, port=_WEBHOOK) for cidr in callers],
                # A signature is a layer, and ECR keeps layers in S3, at public addresses that only the machines'
                # security groups can name.
                reaches=[*reaches, PublicAddresses(port=443)],
                calls_aws=True,
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=namespace.ready),
        )
        identity = PodIdentity(
            f"{name}-identity",
            cluster_name=cluster_name,
            namespace=NAMESPACE,
            service_account="kyverno-admission-controller",
            about="Verifies the signatures of images",
            permissions_boundary_arn=permissions_boundary_arn,
            statements=_verification(signing_key_arn),
            opts=under,
        )
        release = Release(
            f"{name}-kyverno",
            chart=f"oci://{registry_host}/{repository_prefix}/mirror/charts/kyverno",
            version=CHART_VERSION,
            name="kyverno",
            namespace=NAMESPACE,
            create_namespace=False,
            atomic=True,
            timeout=600,
            values=_values(registry_host, f"{repository_prefix}/mirror", digests),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*needs, network, identity]),
        )
        policy = CustomResource(
            f"{name}-policy",
            api_version="kyverno.io/v1",
            kind="ClusterPolicy",
            metadata=metadata("images-are-signed"),
            spec=_policy(signing_key_arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[release]),
        )
        self.ready = [release, policy]
        self.register_outputs({})


_QUOTA = Quota(cpu="8", memory="8Gi", pods=2 * _REPLICAS)


def _check(digests: Mapping[Controller, str]) -> None:
    for controller in ("kyverno", "kyvernopre"):
        if not DIGEST.fullmatch(digests.get(controller, "")):
            raise ValueError(f"digests names none for {controller}; write sha256: and 64 hexadecimal digits")


def _verification(signing_key_arn: pulumi.Input[str]) -> list[Statement]:
    return [
        Statement(
            sid="ReadTheKeyThatVerifies",
            actions=["kms:DescribeKey", "kms:GetPublicKey", "kms:Verify"],
            resources=[signing_key_arn],
        ),
        Statement(
            # GetAuthorizationToken has no resource (Service Authorization Reference, Amazon ECR).
            sid="SignIn",
            actions=["ecr:GetAuthorizationToken"],
            resources=["*"],
        ),
    ]


def _values(registry_host: str, mirror: str, digests: Mapping[Controller, str]) -> Fields:
    def image(controller: Controller) -> dict[str, str]:
        return {
            "registry": registry_host,
            "repository": f"{mirror}/{controller}",
            "tag": f"{_TAG}@{digests[controller]}",
        }

    exempt = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(SYSTEM_NAMESPACES)}
    admission: Fields = {
        "replicas": _REPLICAS,
        "podDisruptionBudget": {"enabled": True, "minAvailable": 2},
        # It asks the API server, with a token that ends by itself instead of the one that is always there.
        "rbac": {"serviceAccount": {"automountServiceAccountToken": False}},
        "initContainer": {"image": image("kyvernopre")},
        "container": {
            "image": image("kyverno"),
            "resources": {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"cpu": "1", "memory": "512Mi"},
            },
        },
        "metering": {"disabled": True},
        "metricsService": {"create": False},
    }
    return {
        # Kyverno's own namespace is left out by default: its pods start before there is anybody to ask.
        "config": {"webhooks": {"namespaceSelector": {"matchExpressions": [exempt]}}},
        "features": _FEATURES,
        "admissionController": admission,
        "backgroundController": {"enabled": False},
        "cleanupController": {"enabled": False},
        "reportsController": {"enabled": False},
        # Hooks would start images that are not mirrored.
        "crds": {"migration": {"enabled": False}},
        "webhooksCleanup": {"enabled": False},
    }


_FEATURES: Fields = {
    # A policy may not fall back to admitting, and no exception to one may be made.
    "forceFailurePolicyIgnore": {"enabled": False},
    "policyExceptions": {"enabled": False},
    "registryClient": {"allowInsecure": False, "credentialHelpers": ["amazon"]},
    "admissionReports": {"enabled": False},
    "policyReports": {"enabled": False},
    "backgroundScan": {"enabled": False},
    "generateValidatingAdmissionPolicy": {"enabled": False},
}


def _policy(signing_key_arn: pulumi.Input[str]) -> Fields:
    keys: Fields = {
        "kms": pulumi.Output.concat("awskms:///", signing_key_arn),
        # Neither a public log nor certificates: the registry is private.
        "rekor": {"ignoreTlog": True},
        "ctlog": {"ignoreSCT": True},
    }
    verification: Fields = {
        "imageReferences": ["*"],
        "failureAction": "Enforce",
        "required": True,
        "verifyDigest": True,
        "mutateDigest": False,
        "attestors": [{"count": 1, "entries": [{"keys": keys}]}],
    }
    return {
        "background": False,
        "failurePolicy": "Fail",
        "webhookTimeoutSeconds": _TIMEOUT_SECONDS,
        "rules": [
            {
                "name": "signed-by-the-pipeline",
                "match": {"any": [{"resources": {"kinds": ["Pod"], "operations": ["CREATE", "UPDATE"]}}]},
                "verifyImages": [verification],
            }
        ],
    }
