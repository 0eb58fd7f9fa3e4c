"""Where data may live: a jurisdiction fixes the AWS regions that a stack may use."""

from __future__ import annotations

from collections.abc import Mapping

JURISDICTIONS: Mapping[str, tuple[str, ...]] = {
    "eu": ("eu-central-1", "eu-west-1", "eu-west-3", "eu-north-1", "eu-south-1", "eu-south-2"),
    "us": ("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    "us-gov": ("us-gov-west-1", "us-gov-east-1"),
    # The United Kingdom holds the EEA adequate: Data Protection Act 2018, schedule 21, paragraphs 4 and 5.
    "uk": ("eu-west-2", "eu-west-1", "eu-west-3", "eu-central-1", "eu-north-1"),
    "ca": ("ca-central-1", "ca-west-1"),
    "au": ("ap-southeast-2", "ap-southeast-4"),
    "sg": ("ap-southeast-1",),
    "in": ("ap-south-1", "ap-south-2"),
    "jp": ("ap-northeast-1", "ap-northeast-3"),
}
"""Regions by jurisdiction (AWS General Reference, "AWS service endpoints"), the usual home first."""


def region_problem(jurisdiction: str, region: str) -> str | None:
    """Return why ``region`` may not be used under ``jurisdiction``, or ``None`` where it may."""
    admitted = JURISDICTIONS[jurisdiction]
    if region in admitted:
        return None
    return f"{region} is not in the jurisdiction {jurisdiction!r}; choose among {', '.join(admitted)}"
