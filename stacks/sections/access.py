"""Who comes in: over SSH, as a persona, and under which keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.network_acls import MAX_SSH_RANGES
from stacks.fields import SshPublicKey, SshRange, arn, matching, wrong
from stacks.sections.section import Section


class Bastion(Section):
    """Who may come in over SSH, from where, with which keys."""

    allowed_cidrs: Annotated[tuple[SshRange, ...], Field(min_length=1, max_length=50)]
    """Approved addresses, each /24 (IPv4) or /56 (IPv6) or narrower."""
    public_keys: Annotated[tuple[SshPublicKey, ...], Field(min_length=1, max_length=50)]
    """OpenSSH public keys of the approved users, ``ssh-ed25519 AAAA... name``."""
    instance_type: Annotated[
        str, matching(r"[a-z0-9]+\.[a-z0-9]+", "is not an instance type; write one like t4g.micro")
    ] = "t4g.micro"
    """An arm64 type: the image is Amazon Linux 2023 for arm64."""
    idle_timeout_minutes: Annotated[int, Field(ge=1, le=60)] = 15

    @model_validator(mode="after")
    def _ranges_do_not_overlap(self) -> Bastion:
        networks = [ipaddress.ip_network(text) for text in self.allowed_cidrs]
        for index, network in enumerate(networks):
            for earlier, other in enumerate(networks[:index]):
                if network.version == other.version and network.overlaps(other):
                    raise wrong(
                        f"allowed_cidrs[{index}]", f"overlaps allowed_cidrs[{earlier}]; keep one of the two"
                    )
        merged = list(
            ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network))
        )
        if len(merged) > MAX_SSH_RANGES:
            raise wrong(
                "allowed_cidrs",
                f"{len(merged)} IPv4 ranges; a network ACL has room for {MAX_SSH_RANGES}: "
                "approve a network instead of single addresses",
            )
        return self


class Identity(Section):
    """Who may act, and under which boundary."""

    people_principal_arns: Annotated[
        tuple[Annotated[str, arn("iam", "(?:role|user)/.+")], ...], Field(min_length=1)
    ]
    """Users or roles that may take on the platform's personas; their session must carry a second factor."""
    administrator_arns: tuple[
        Annotated[
            str,
            matching(
                r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]+",
                "is not one user or role; write it in full, like arn:aws:iam::111122223333:role/Administrator",
            ),
        ],
        ...,
    ] = ()
    """Who bootstraps the account, and administers the state and its keys; may take on the role that deploys."""
    github_repository: (
        Annotated[str, matching(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", "is not a repository; write owner/name")]
        | None
    ) = None
    """The repository whose workflows deploy this environment (OpenID Connect, no stored keys)."""
    permissions_boundary_arn: Annotated[str, arn("iam", "policy/.+")] | None = None
    """A boundary of your organisation to use instead of the platform's own."""


class Keys(Section):
    """Encryption keys: ours, or yours."""

    deletion_window_days: Annotated[int, Field(ge=14, le=30)] = 30
    existing: Mapping[
        Literal["data", "logs", "platform", "models", "backup", "reports"],
        Annotated[str, arn("kms", "key/.+")],
    ] = Field(default_factory=dict)
    """ARNs of keys of yours by data domain; the platform makes those that are not named."""
