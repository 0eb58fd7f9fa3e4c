"""Kubernetes versions that EKS supports, until when, and the add-ons that are pinned for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

Addon = Literal[
    "vpc-cni",
    "kube-proxy",
    "eks-pod-identity-agent",
    "coredns",
    "aws-ebs-csi-driver",
    "aws-guardduty-agent",
]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A Kubernetes version of EKS: the last day of its standard support, and its add-ons."""

    supported_until: date
    addons: Mapping[Addon, str]


RELEASES: Mapping[str, Release] = {
    "1.35": Release(
        supported_until=date(2027, 3, 27),
        addons={
            "vpc-cni": "v1.22.4-eksbuild.3",
            "kube-proxy": "v1.35.3-eksbuild.21",
            "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
            "coredns": "v1.13.2-eksbuild.21",
            "aws-ebs-csi-driver": "v1.63.1-eksbuild.1",
            "aws-guardduty-agent": "v1.12.1-eksbuild.2",
        },
    ),
    "1.36": Release(
        supported_until=date(2027, 8, 2),
        addons={
            "vpc-cni": "v1.22.4-eksbuild.3",
            "kube-proxy": "v1.36.0-eksbuild.21",
            "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
            "coredns": "v1.14.3-eksbuild.16",
            "aws-ebs-csi-driver": "v1.63.1-eksbuild.1",
            "aws-guardduty-agent": "v1.12.1-eksbuild.2",
        },
    ),
}
"""Dates: Amazon EKS User Guide, "Understand the Kubernetes version lifecycle on EKS". Add-ons: what
``aws eks describe-addon-versions --kubernetes-version <version>`` lists; ask it before adding a version. EKS
refuses a version that it does not list, so a wrong pin stops a deployment and weakens nothing. The GuardDuty agent's
is the newest of "GuardDuty security agent release versions", whose page names Kubernetes up to 1.34."""

ENDED: Mapping[str, date] = {
    "1.32": date(2026, 3, 23),
    "1.33": date(2026, 7, 29),
    "1.34": date(2026, 12, 2),
}
"""Versions that are not offered here any more, and the last day of their standard support (same source)."""


def version_problem(version: str, today: date) -> str | None:
    """Return what is wrong with a Kubernetes version on a day, and what to write instead; ``None`` where it is good."""
    good = [each for each, release in RELEASES.items() if today <= release.supported_until]
    remedy = f"write {good[-1]}" if good else "add a newer version to components/eks_versions.py"
    release = RELEASES.get(version)
    ended = release.supported_until if release else ENDED.get(version)
    if ended and (release is None or today > ended):
        verb = "left" if today > ended else "leaves"
        return f"{version} {verb} standard support on {ended.isoformat()}; {remedy}"
    if release is None:
        return f"{version!r:.20} is no version of EKS that is known here; {remedy}"
    return None
