"""The settings of one environment: everything that a fork may change, typed, documented and checked.

They are pure: nothing here asks the cloud. No setting turns a protection off; a value under the floor of the
stack's profile is an error.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from stacks.fields import AccountId, Email, wrong
from stacks.profiles import PROD_KEY_DELETION_DAYS, PROD_ZONES, PROFILES, Profile
from stacks.residency import region_problem
from stacks.sections.access import Bastion, Identity, Keys
from stacks.sections.audit import Audit
from stacks.sections.backup import Backup
from stacks.sections.cluster import Cluster, Training
from stacks.sections.data import Database
from stacks.sections.edge import Edge
from stacks.sections.federation import Federation
from stacks.sections.logs import Alerts, Retention
from stacks.sections.network import Network
from stacks.sections.residency import Residency
from stacks.sections.section import Section
from stacks.sections.services import Services

Environment = Literal["dev", "staging", "prod"]
ProfileName = Literal["baseline", "hipaa", "pci", "gdpr", "finance", "education", "government", "energy"]


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
    cluster: Cluster
    edge: Edge | None = None
    """The public entrance. A silo needs none: its data-access API and its node are called from inside alone."""
    retention: Retention
    alerts: Alerts
    audit: Audit
    backup: Backup
    keys: Keys = Field(default_factory=Keys)
    training: Training = Field(default_factory=Training)
    services: Services = Field(default_factory=Services)
    federation: Federation = Field(default_factory=Federation)

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

    @model_validator(mode="after")
    def _pools_stand_in_zones_of_ours(self) -> Settings:
        zones, existing = self.network.zones, self.network.existing
        for index, pool in enumerate(self.training.pools):
            place = f"training.pools[{index}].zone"
            if pool.zone and pool.zone not in zones:
                raise wrong(place, f"is not one of network.zones; write {', '.join(zones)}")
            if pool.zone and existing and zones.index(pool.zone) >= len(existing.isolated_subnet_ids):
                raise wrong(
                    place, "has no isolated subnet; list one a zone in network.existing, in their order"
                )
        return self

    @model_validator(mode="after")
    def _gpus_come_from_a_pool(self) -> Settings:
        for name in ("trainer", "redteam"):
            job = getattr(self.services, name)
            if job and job.gpus and not self.training.pools:
                raise wrong(
                    f"services.{name}.gpus",
                    "has no machines: training.pools is empty; add a pool, or write 0",
                )
        return self

    @model_validator(mode="after")
    def _federations_fit_the_stack(self) -> Settings:
        coordinates, joins = self.federation.coordinates, self.federation.joins
        for name, what in (("coordinates", coordinates), ("joins", joins)):
            if what and not self.services.data_api:
                raise wrong(
                    f"federation.{name}", "learns from what the data-access API gives; add services.data_api"
                )
        if coordinates and not self.services.redteam:
            raise wrong(
                "federation.coordinates",
                "makes candidates, and nobody judges them; add services.redteam, and the trainer whose key they share",
            )
        if coordinates and not self.services.load_balancer_controller:
            raise wrong(
                "services.load_balancer_controller",
                "is missing, and nothing registers the federation's server; mirror it and write its digest",
            )
        for index, silo in enumerate(coordinates.silos if coordinates else ()):
            if problem := region_problem(self.residency.jurisdiction, silo.region):
                raise wrong(f"federation.coordinates.silos[{index}].region", problem)
        if joins and (problem := region_problem(self.residency.jurisdiction, joins.service_region)):
            raise wrong("federation.joins.service_name", problem)
        return self

    @model_validator(mode="after")
    def _edge_fits_the_stack(self) -> Settings:
        if self.edge is None:
            if self.services.gateway or not self.federation.joins:
                raise wrong("edge", "is missing; write it (a silo without a gateway alone needs none)")
            return self
        home = f":{self.residency.home_region}:"
        if self.edge.certificate_arn and home not in self.edge.certificate_arn:
            raise wrong("edge.certificate_arn", f"is not in the home region {self.residency.home_region}")
        if self.edge.count_mode and self.environment == "prod":
            raise wrong(
                "edge.count_mode", "prod refuses what a managed group knows; try new rules in staging"
            )
        return self

    def _numbers(self) -> Iterator[tuple[str, int, int]]:
        yield "retention.log_days", self.retention.log_days, self.floors.log_days
        yield "retention.audit_days", self.retention.audit_days, self.floors.audit_days
        yield (
            "database.backup_retention_days",
            self.database.backup_retention_days,
            self.floors.backup_days,
        )
        yield "backup.vault_lock_days", self.backup.vault_lock_days, self.floors.backup_days
        if self.environment == "prod":
            yield "keys.deletion_window_days", self.keys.deletion_window_days, PROD_KEY_DELETION_DAYS
