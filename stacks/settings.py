"""The settings of one environment: everything that a fork may change, typed, documented and checked.

They are pure: nothing here asks the cloud. No setting turns a protection off; a value under the floor of the
stack's profile is an error.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.addressing import TierPlan
from components.network_acls import MAX_SSH_RANGES
from stacks.fields import (
    AccountId,
    Email,
    Range,
    SshPublicKey,
    SshRange,
    SubnetId,
    ZoneLetter,
    arn,
    matching,
    network_of,
    standing_at,
    wrong,
)
from stacks.profiles import PROD_KEY_DELETION_DAYS, PROD_ZONES, PROFILES, Profile
from stacks.residency import JURISDICTIONS, region_problem

LOG_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""The retention periods that CloudWatch Logs knows (PutRetentionPolicy)."""

Environment = Literal["dev", "staging", "prod"]
ProfileName = Literal["baseline", "hipaa", "pci", "gdpr", "finance", "education", "government", "energy"]


class Section(BaseModel):
    """Base of every section: frozen, typed strictly, no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Residency(Section):
    """Where the stack may be."""

    jurisdiction: str
    """A key of ``stacks.residency.JURISDICTIONS``."""
    home_region: str
    backup_region: str
    """A second region of the same jurisdiction: backups and replicas go there."""

    @model_validator(mode="after")
    def _two_regions_of_the_jurisdiction(self) -> Residency:
        if self.jurisdiction not in JURISDICTIONS:
            raise wrong(
                "jurisdiction",
                f"{self.jurisdiction!r:.40} is not known; choose among {', '.join(JURISDICTIONS)}",
            )
        if len(JURISDICTIONS[self.jurisdiction]) == 1:
            raise wrong(
                "jurisdiction",
                f"{self.jurisdiction!r} has one AWS region, and backups need a second; "
                "add one that your regulator accepts to stacks/residency.py",
            )
        for key in ("home_region", "backup_region"):
            if problem := region_problem(self.jurisdiction, getattr(self, key)):
                raise wrong(key, problem)
        if self.home_region == self.backup_region:
            others = [region for region in JURISDICTIONS[self.jurisdiction] if region != self.home_region]
            raise wrong("backup_region", f"is the home region; choose another one: {', '.join(others)}")
        return self


class ExistingVpc(Section):
    """A VPC of yours to build in, instead of a new one. Its subnets must already be routed as their tier asks."""

    vpc_id: Annotated[str, matching(r"vpc-[0-9a-f]{8,17}", "is not a VPC id; write one like vpc-0abc1234")]
    public_subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=2)]
    private_subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=2)]
    isolated_subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=2)]
    private_cidrs: Annotated[tuple[Range, ...], Field(min_length=1)]
    """Address ranges of the private subnets: where the bastion may go on to."""
    endpoint_security_group_id: Annotated[
        str, matching(r"sg-[0-9a-f]{8,17}", "is not a security group id; write one like sg-0abc1234")
    ]
    s3_prefix_list_id: Annotated[
        str, matching(r"pl-[0-9a-f]{8,17}", "is not a prefix list id; write one like pl-0abc1234")
    ]


class Network(Section):
    """The VPC: its addresses, its zones, its ways out."""

    cidr_block: str
    """IPv4 range from RFC 1918, /16 to /20, or that of the existing VPC."""
    zones: tuple[ZoneLetter, ...]
    """Letters of two or three availability zones: ``[a, b, c]``."""
    nat_gateways: Literal["one", "per-zone"] = "per-zone"
    allowed_egress_domains: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """When given, a network firewall lets the private tier reach these domains and nothing else."""
    existing: ExistingVpc | None = None

    @model_validator(mode="after")
    def _addresses_fit(self) -> Network:
        if not 2 <= len(self.zones) <= 3:
            raise wrong("zones", f"{len(self.zones)} zones; name two or three, for instance [a, b]")
        if len(set(self.zones)) != len(self.zones):
            raise wrong("zones", "names a zone twice; name each once")
        with standing_at("cidr_block"):
            network = network_of(self.cidr_block)
            if network.version != 4 or not any(network.subnet_of(private) for private in _RFC_1918):  # type: ignore[arg-type]
                raise ValueError("is not a private IPv4 range (RFC 1918); write one like 10.20.0.0/16")
            if network.overlaps(_DOCKER):
                raise ValueError(
                    "overlaps 172.17.0.0/16, which Docker takes on every node; write one like 10.20.0.0/16"
                )
            if self.existing is None:
                TierPlan.split(self.cidr_block, zones=len(self.zones))
        return self


_RFC_1918 = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_DOCKER = ipaddress.ip_network("172.17.0.0/16")


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
        Literal["data", "logs", "platform", "models", "backup"], Annotated[str, arn("kms", "key/.+")]
    ] = Field(default_factory=dict)
    """ARNs of keys of yours by data domain; the platform makes those that are not named."""


class Database(Section):
    """The relational database behind the data-access API."""

    instance_class: Annotated[
        str, matching(r"db\.[a-z0-9]+\.[a-z0-9]+", "is not an RDS class; write one like db.t4g.medium")
    ]
    allocated_storage_gb: Annotated[int, Field(ge=20, le=65536)]
    max_allocated_storage_gb: Annotated[int, Field(ge=20, le=65536)]
    standby: Literal["none", "other-zone"] = "other-zone"
    backup_retention_days: Annotated[int, Field(ge=7, le=35)]

    @model_validator(mode="after")
    def _storage_can_grow(self) -> Database:
        if self.max_allocated_storage_gb <= self.allocated_storage_gb:
            raise wrong("max_allocated_storage_gb", "is not above allocated_storage_gb; leave room to grow")
        return self


class Retention(Section):
    """How long what is written stays, in days."""

    log_days: int
    """Log groups; one of the periods that CloudWatch knows."""
    audit_days: Annotated[int, Field(ge=1, le=36500)]
    """Object lock of audit logs: nobody can delete them before."""
    noncurrent_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Old versions of objects."""

    @model_validator(mode="after")
    def _cloudwatch_knows_the_period(self) -> Retention:
        if self.log_days not in LOG_DAYS:
            longer = next((days for days in LOG_DAYS if days > self.log_days), LOG_DAYS[-1])
            raise wrong(
                "log_days", f"{self.log_days} is not a period that CloudWatch Logs knows; write {longer}"
            )
        return self


class Alerts(Section):
    """Whom the platform tells when something is wrong."""

    email: Email


class Settings(Section):
    """Everything about one environment."""

    environment: Environment
    owner: Email
    """The team that answers for the stack; stands in the tags of everything."""
    account_id: AccountId
    """The only account that the stack may touch."""
    profile: ProfileName
    """The legal regime; its floors are in ``stacks/profiles.py``."""
    residency: Residency
    network: Network
    bastion: Bastion
    identity: Identity
    database: Database
    retention: Retention
    alerts: Alerts
    keys: Keys = Field(default_factory=Keys)

    @property
    def floors(self) -> Profile:
        """What the profile asks for."""
        return PROFILES[self.profile]

    @property
    def zone_names(self) -> tuple[str, ...]:
        """Full names of the availability zones."""
        return tuple(f"{self.residency.home_region}{letter}" for letter in self.network.zones)

    @model_validator(mode="after")
    def _meets_the_profile(self) -> Settings:
        for key, value, floor in self._numbers():
            if value < floor:
                raise wrong(
                    key,
                    f"{value} is under the {floor} that profile {self.profile!r} asks for "
                    f"in {self.environment} ({self.floors.source}); write {floor} or more",
                )
        if self.floors.redundant and self.database.standby == "none":
            raise wrong("database.standby", f"profile {self.profile!r} asks for a standby; write other-zone")
        if self.floors.redundant and self.network.nat_gateways == "one":
            raise wrong(
                "network.nat_gateways", f"profile {self.profile!r} asks for one in each zone; write per-zone"
            )
        if self.environment == "prod" and len(self.network.zones) < PROD_ZONES:
            raise wrong("network.zones", "prod runs in three zones; name one more")
        return self

    @model_validator(mode="after")
    def _ssh_comes_from_outside(self) -> Settings:
        vpc = ipaddress.ip_network(self.network.cidr_block)
        for index, text in enumerate(self.bastion.allowed_cidrs):
            network = ipaddress.ip_network(text)
            if network.version == 4 and network.overlaps(vpc):
                raise wrong(
                    f"bastion.allowed_cidrs[{index}]",
                    "overlaps network.cidr_block; approve addresses outside the VPC",
                )
        return self

    @model_validator(mode="after")
    def _keys_are_of_home(self) -> Settings:
        home = f":{self.residency.home_region}:"
        for domain, key_arn in self.keys.existing.items():
            if home not in key_arn:
                raise wrong(
                    f"keys.existing.{domain}", f"is not in the home region {self.residency.home_region}"
                )
        return self

    def _numbers(self) -> Iterator[tuple[str, int, int]]:
        yield "retention.log_days", self.retention.log_days, self.floors.log_days
        yield "retention.audit_days", self.retention.audit_days, self.floors.audit_days
        yield (
            "database.backup_retention_days",
            self.database.backup_retention_days,
            self.floors.database_backup_days,
        )
        if self.environment == "prod":
            yield "keys.deletion_window_days", self.keys.deletion_window_days, PROD_KEY_DELETION_DAYS
