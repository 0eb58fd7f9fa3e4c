"""Signed images only: Kyverno verifies each against the platform's signing key, and refuses when it cannot.

Kyverno comes from the platform's own registry like everything else: mirror its chart and its images there once,
for instance with ``crane copy``. The repositories do not change a tag once it is there, so a version is a content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.helm.v3 import Release

from components.admission_rules import POLICY_NAMESPACE, SYSTEM_NAMESPACES
from components.documents import Statement
from components.pod_identity import PodIdentity
from components.pods import DIGEST

Controller = Literal[
    "kyverno", "kyvernopre", "background-controller", "cleanup-controller", "reports-controller"
]

CHART_VERSION = "3.5.2"
"""Kyverno 1.15.2."""

_TAG = "v1.15.2"

_TIMEOUT_SECONDS = 30


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
        namespace_ready: list[pulumi.Resource],
        registry_host: str,
        mirror: str,
        digests: Mapping[Controller, str],
        signing_key_arn: pulumi.Input[str],
        permissions_boundary_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Install Kyverno and the policy.

        Args:
            name: Logical name.
            cluster_name: The cluster.
            namespace_ready: Kyverno's namespace, with everything that its pods are held to.
            registry_host: Host of the platform's registry.
            mirror: Where Kyverno's chart and images are below it: ``<mirror>/kyverno``.
            digests: Digest of each of Kyverno's images.
            signing_key_arn: The key that images are signed with.
            permissions_boundary_arn: Boundary of the role that reads the registry and the key.
            opts: Options of the component, with the providers of AWS and of the cluster.

        Raises:
            ValueError: a digest is missing or is none.
        """
        super().__init__("secureml:signatures:SignedImages", name, None, opts)
        _check(digests)
        identity = PodIdentity(
            f"{name}-identity",
            cluster_name=cluster_name,
            namespace=POLICY_NAMESPACE,
            service_account="kyverno-admission-controller",
            about="Verifies the signatures of images",
            permissions_boundary_arn=permissions_boundary_arn,
            statements=_verification(signing_key_arn),
            opts=pulumi.ResourceOptions(parent=self),
        )
        release = Release(
            f"{name}-kyverno",
            chart=f"oci://{registry_host}/{mirror}/charts/kyverno",
            version=CHART_VERSION,
            name="kyverno",
            namespace=POLICY_NAMESPACE,
            create_namespace=False,
            atomic=True,
            timeout=600,
            values=_values(registry_host, mirror, digests),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*namespace_ready, identity]),
        )
        policy = CustomResource(
            f"{name}-policy",
            api_version="kyverno.io/v1",
            kind="ClusterPolicy",
            metadata={"name": "images-are-signed"},
            spec=_policy(registry_host, signing_key_arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[release]),
        )
        self.ready = [release, policy]
        self.register_outputs({})


def _check(digests: Mapping[Controller, str]) -> None:
    for controller in _REPOSITORIES:
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


_REPOSITORIES: Mapping[Controller, tuple[str, str]] = {
    "kyverno": ("admissionController", "container"),
    "kyvernopre": ("admissionController", "initContainer"),
    "background-controller": ("backgroundController", ""),
    "cleanup-controller": ("cleanupController", ""),
    "reports-controller": ("reportsController", ""),
}
"""Where the chart's values name each image."""


def _values(registry_host: str, mirror: str, digests: Mapping[Controller, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "features": {
            # A policy may not fall back to admitting, and no exception to one may be made.
            "forceFailurePolicyIgnore": {"enabled": False},
            "policyExceptions": {"enabled": False},
        },
        "config": {"excludeKyvernoNamespace": False},
    }
    for controller, (section, part) in _REPOSITORIES.items():
        image = {
            "registry": registry_host,
            "repository": f"{mirror}/{controller}",
            "tag": f"{_TAG}@{digests[controller]}",
        }
        into = values.setdefault(section, {"replicas": 3 if section == "admissionController" else 2})
        (into.setdefault(part, {}) if part else into)["image"] = image
    return values


def _policy(registry_host: str, signing_key_arn: pulumi.Input[str]) -> dict[str, Any]:
    return {
        "background": False,
        "failurePolicy": "Fail",
        "webhookTimeoutSeconds": _TIMEOUT_SECONDS,
        "rules": [
            {
                "name": "signed-by-the-pipeline",
                "match": {"any": [{"resources": {"kinds": ["Pod"], "operations": ["CREATE", "UPDATE"]}}]},
                # Kyverno's own pods start before there is anybody to ask.
                "exclude": {"any": [{"resources": {"namespaces": [*SYSTEM_NAMESPACES, POLICY_NAMESPACE]}}]},
                "verifyImages": [
                    {
                        "imageReferences": ["*"],
                        "failureAction": "Enforce",
                        "required": True,
                        "verifyDigest": True,
                        "mutateDigest": False,
                        "attestors": [
                            {
                                "count": 1,
                                "entries": [
                                    {
                                        "keys": {
                                            "kms": pulumi.Output.concat("awskms:///", signing_key_arn),
                                            # Neither a public log nor certificates: the registry is private.
                                            "rekor": {"ignoreTlog": True},
                                            "ctlog": {"ignoreSCT": True},
                                        }
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ],
    }
