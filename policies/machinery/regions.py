"""Which AWS regions lie in which jurisdiction (AWS General Reference, "AWS service endpoints")."""

from __future__ import annotations

from machinery.subject import Node, Resource

JURISDICTIONS: dict[str, frozenset[str]] = {
    # Member states only: Zurich is in Switzerland, London in the United Kingdom.
    "eu": frozenset({"eu-central-1", "eu-west-1", "eu-west-3", "eu-south-1", "eu-south-2", "eu-north-1"}),
    "us": frozenset({"us-east-1", "us-east-2", "us-west-1", "us-west-2"}),
    "us-gov": frozenset({"us-gov-east-1", "us-gov-west-1"}),
    # Data Protection Act 2018, schedule 21, paragraphs 4-5: the United Kingdom holds the EEA adequate.
    "uk": frozenset({"eu-west-2", "eu-west-1", "eu-west-3", "eu-central-1", "eu-north-1"}),
    "ca": frozenset({"ca-central-1", "ca-west-1"}),
    "au": frozenset({"ap-southeast-2", "ap-southeast-4"}),
    "sg": frozenset({"ap-southeast-1"}),
    "in": frozenset({"ap-south-1", "ap-south-2"}),
    "jp": frozenset({"ap-northeast-1", "ap-northeast-3"}),
}

REGION_PATTERN = r"(?:af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov)-[a-z]+-\d"


def region_of(resource: Resource) -> str:
    """Return the region that a resource is made in, its own or its provider's; empty where neither says one.

    Raises:
        UnknownSwitch: the region is not in the program.
    """
    own = resource.switch("region") or Node(resource.provider, "provider").switch("region")
    return own if isinstance(own, str) else ""
