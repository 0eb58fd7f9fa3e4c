"""How to reach a cluster without a secret: a file that names the program which fetches a token."""

from __future__ import annotations

from typing import Any

import pulumi


def kubeconfig(
    *,
    name: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    certificate_authority: pulumi.Input[str],
    region: str,
) -> dict[str, Any]:
    """Return how to reach a cluster: as whoever runs ``aws``, without a secret (Amazon EKS User Guide, "Connect
    kubectl to an EKS cluster by creating a kubeconfig file").
    """
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
        "interactiveMode": "Never",
    }
    cluster = {"server": endpoint, "certificate-authority-data": certificate_authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"exec": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
