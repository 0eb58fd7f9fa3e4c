"""Federations: one that this stack coordinates, and one of somebody else's that it joins as a silo."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator, Field, model_validator

from components.federation_door import MOST_SILOS
from stacks.fields import AccountId, Range, matching, wrong
from stacks.sections.section import Section
from stacks.sections.services import Digest


def _loaded(text: str) -> object:
    try:
        return load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        # Never echo what stands here.
        return None


def _node_key(text: str) -> str:
    key = _loaded(text)
    if not (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1"):
        raise ValueError(
            "is no public key of a node; write one line like ecdsa-sha2-nistp384 AAAA..., "
            "as ssh-keygen -t ecdsa -b 384 makes it"
        )
    return " ".join(text.split()[:2])


def _entity_key(text: str) -> str:
    is_one = isinstance(_loaded(text), ed25519.Ed25519PublicKey)
    if not is_one:
        raise ValueError(
            "is no public key that apps are signed with; write one line like ssh-ed25519 AAAA..., "
            "as ssh-keygen -t ed25519 makes it"
        )
    return " ".join(text.split()[:2])


def _vpc_range(text: str) -> str:
    network = ipaddress.ip_network(text)
    if network.version != 4 or not network.is_private or network.prefixlen < 16:
        raise ValueError(f"{text} is no range of a VPC; write a private IPv4 range, /16 or narrower")
    return text


SiloName = Annotated[
    str,
    matching(
        r"[a-z][a-z0-9-]{0,30}[a-z0-9]",
        "is no name of a silo; write lower-case letters, digits and dashes, 2 to 32 of them",
    ),
]
Name = Annotated[
    str, matching(r"[A-Za-z][A-Za-z0-9_-]{0,62}", "is no name; write letters, digits, dashes and underscores")
]
Region = Annotated[str, matching(r"[a-z]{2}(?:-[a-z]+)+-\d", "is not a region; write one like us-east-1")]
Domain = Annotated[
    str,
    matching(
        r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
        "is not a domain name; write one like federation.example.org",
    ),
]


Terms = Annotated[Mapping[str, Any], Field(min_length=1, max_length=50)]
"""The federation's settings (``services/federated/settings.py``), which server and silos check when they start."""


class EnrolledSilo(Section):
    """A silo that may take part."""

    name: SiloName
    account_id: AccountId
    """Whose principals may ask for an endpoint."""
    region: Region
    """Where its VPC is: in the jurisdiction, for what is learned from data stays where data may be."""
    cidr_block: Annotated[Range, AfterValidator(_vpc_range)]
    """Range of its VPC, where its node calls from."""
    public_key: Annotated[str, AfterValidator(_node_key)]
    """Of its node, in OpenSSH's form: ECDSA on P-384."""
    endpoint_id: (
        Annotated[
            str,
            matching(
                r"vpce-[0-9a-f]{8,17}", "is not an endpoint; write one like vpce-0abc1234, or nothing yet"
            ),
        ]
        | None
    ) = None
    """Its endpoint, once it asked for one: written here, it is accepted."""


class Coordinates(Section):
    """A federation that this stack is the server of."""

    image: Digest
    """Digest in the repository ``federated`` of the platform's registry."""
    silos: Annotated[tuple[EnrolledSilo, ...], Field(min_length=1, max_length=MOST_SILOS)]
    app_entity: SiloName
    """The name under which silos trust whose key signs the app."""
    terms: Terms
    """What runs are started with: those that silos agreed to, or they answer none."""
    cpu_millicores: Annotated[int, Field(ge=100, le=64_000)] = 2000
    memory_mb: Annotated[int, Field(ge=512, le=512_000)] = 4096
    """Updates of all silos are in memory at once."""
    deadline_hours: Annotated[int, Field(ge=1, le=336)] = 24
    """After this long a run is stopped."""

    @model_validator(mode="after")
    def _each_silo_is_somebody_else(self) -> Coordinates:
        for key in ("name", "account_id", "public_key", "endpoint_id"):
            known = [getattr(silo, key) for silo in self.silos]
            for index, value in enumerate(known):
                if value is not None and value in known[:index]:
                    raise wrong(f"silos[{index}].{key}", "is another silo's too; each is somebody else")
        return self


class Reads(Section):
    """What a silo's node asks of the silo's own data-access API."""

    dataset: Name
    purpose: Name
    columns: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)]
    """Numbers, each."""
    label: Name
    """The column that is learned."""


class Joins(Section):
    """A federation of somebody else's that this stack is a silo of."""

    image: Digest
    """Digest in the repository ``federated`` of the silo's own registry."""
    silo: SiloName
    """The name that the operator enrolled."""
    service_name: Annotated[
        str,
        matching(
            r"com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]{8,17}",
            "is not an endpoint service; write what the operator tells, com.amazonaws.vpce.us-east-1.vpce-svc-...",
        ),
    ]
    domain_name: Domain
    """The name of the federation's certificate."""
    trusted_entities: Annotated[
        Mapping[SiloName, Annotated[str, AfterValidator(_entity_key)]], Field(min_length=1, max_length=20)
    ]
    """Whose signed apps run here: names to public keys in OpenSSH's form, Ed25519."""
    terms: Terms
    """What the silo agreed to: it answers no run with others, whatever the server says."""
    reads: Reads
    cpu_millicores: Annotated[int, Field(ge=100, le=64_000)] = 1500
    memory_mb: Annotated[int, Field(ge=512, le=512_000)] = 4096
    scratch_gb: Annotated[int, Field(ge=1, le=10_000)] = 20
    """For what it keeps of its data, sealed."""

    @property
    def service_region(self) -> str:
        """Where the federation's server is."""
        return self.service_name.split(".")[3]


class Federation(Section):
    """Learning with others; neither where it is left out."""

    coordinates: Coordinates | None = None
    joins: Joins | None = None
