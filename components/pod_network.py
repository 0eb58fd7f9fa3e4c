"""Whom a pod may talk to: network policies by name, on top of a namespace that refuses everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.fields import Fields

IDENTITY_AGENT = "169.254.170.23/32"
"""Where pods fetch their AWS credentials, on 80 (Amazon EKS User Guide, "Learn how EKS Pod Identity works")."""

METADATA = "169.254.169.254/32"
"""Where the machine's own credentials would be. No policy here admits it."""


@dataclass(frozen=True, kw_only=True)
class Pods:
    """The pods of one app in one namespace, on one TCP port."""

    namespace: str
    app: str
    port: int

    def peer(self) -> Fields:
        """Return them as a peer of a network policy."""
        return {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "podSelector": {"matchLabels": {"app": self.app}},
        }


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """An address range of the VPC, on one TCP port: AWS's endpoints, the database, a load balancer."""

    cidr: str
    port: int

    def __post_init__(self) -> None:
        """Raise ValueError where the range is too wide to mean anything, or holds the metadata service."""
        prefix = int(self.cidr.rpartition("/")[2])
        if prefix < 16 or self.cidr.startswith("169.254."):
            raise ValueError(
                f"cidr {self.cidr!r:.40} is wider than a VPC, or link-local; name the subnets that are meant"
            )

    def peer(self) -> Fields:
        """Return them as a peer of a network policy."""
        return {"ipBlock": {"cidr": self.cidr}}


@dataclass(frozen=True, kw_only=True)
class PublicAddresses:
    """Every address that is nobody's own, on one TCP port: which of them it is, security groups say."""

    port: int

    def peer(self) -> Fields:
        """Return them as a peer of a network policy."""
        return {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_NOT_PUBLIC)}}


_NOT_PUBLIC = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918, RFC 6598, and RFC 3927, where the machine's metadata service is."""

Peer = Pods | Addresses | PublicAddresses

NAME_SERVICE: Fields = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}

_CREDENTIALS: Fields = {
    "to": [{"ipBlock": {"cidr": IDENTITY_AGENT}}],
    "ports": [{"protocol": "TCP", "port": 80}],
}


def network_policy(
    labels: Mapping[str, str], *, reached_by: Sequence[Peer], reaches: Sequence[Peer], calls_aws: bool
) -> Fields:
    """Return the specification of the policy of the pods with these labels: their callers, whom they call, and names.

    A side without peers stays closed.
    """
    egress = [NAME_SERVICE, *([_CREDENTIALS] if calls_aws else []), *(_rule("to", peer) for peer in reaches)]
    return {
        "podSelector": {"matchLabels": dict(labels)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [_rule("from", peer) for peer in reached_by],
        "egress": egress,
    }


def _rule(way: str, peer: Peer) -> Fields:
    return {way: [peer.peer()], "ports": [{"protocol": "TCP", "port": peer.port}]}
