"""What a cluster may be asked for: who reaches its API from outside, and on which machines it can stand."""

from __future__ import annotations

import ipaddress
import re

WIDEST_API_PREFIX = 24
"""An office network."""

SMALLEST_DISK_GB = 20
"""Bottlerocket's own default for pods and images."""

_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_SYSTEM_TYPE = re.compile(r"[cmr][5-8][ai]?[dn]*\.(large|\d*xlarge)")
"""General, compute and memory families on Nitro with Intel or AMD processors: burstable ones have no trunk interface
(Amazon EKS User Guide, "Assign security groups to individual Pods")."""


def api_range_problem(text: str) -> str | None:
    """Return what is wrong with a range that may reach the API from outside, and what to write; ``None`` if nothing."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return f"{text!r:.60} is not an IPv4 range; write one like 203.0.113.8/32"
    if network.prefixlen == 0:
        return f"{text} opens the Kubernetes API to the world; list the addresses of approved users"
    if network.prefixlen < WIDEST_API_PREFIX:
        return f"{text} is wider than /{WIDEST_API_PREFIX}; list the addresses of approved users one by one"
    return None


def system_type_problem(instance_type: str) -> str | None:
    """Return why a type cannot carry pods that have a security group, and what to write; ``None`` if it can."""
    if not _TYPE.fullmatch(instance_type):
        return f"{instance_type!r:.40} is not an instance type; write one like m7i.large"
    if not _SYSTEM_TYPE.fullmatch(instance_type):
        return (
            f"{instance_type} lends no interfaces to pods with a security group, or is not x86-64; "
            "write one like m7i.large"
        )
    return None


SERVICE_RANGES = ("172.20.0.0/16", "10.100.0.0/16")
"""What EKS itself chooses from (Amazon EKS API Reference, "KubernetesNetworkConfigRequest")."""


def service_range(vpc_cidr: str) -> str:
    """Return the range of the addresses of services in the cluster: one that is not the VPC's.

    It is chosen here, since network policies have to name the API server's address in it.
    """
    vpc = ipaddress.ip_network(vpc_cidr)
    return next(cidr for cidr in SERVICE_RANGES if not ipaddress.ip_network(cidr).overlaps(vpc))


def api_server_address(service_cidr: str) -> str:
    """Return the API server's address among the services, as a range of one: always the first."""
    return f"{ipaddress.IPv4Network(service_cidr)[1]}/32"
