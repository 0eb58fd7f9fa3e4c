"""The platform: which components there are, and what each is handed from the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.alerts import AlertTopic
from components.bastion import Bastion
from components.data_api import DataApiBoundary
from components.database import Database
from components.documents import partition_of
from components.identity import AccountGuardrails, PlatformRoles
from components.keys import KeyRing
from components.network import ExistingNetwork, Network, NetworkHandles
from components.storage import ObjectLock, Replication, SecureBucket
from stacks.settings import Settings

PROJECT = "secure-ml-platform"
"""Begins the names of everything that AWS wants a stable name for."""


@dataclass(frozen=True)
class Providers:
    """The two regions, each pinned, both for one account only."""

    home: aws.Provider
    backup: aws.Provider


def build(settings: Settings) -> None:
    """Build the whole platform for one environment."""
    providers = _providers(settings)
    at_home = pulumi.ResourceOptions(provider=providers.home)
    name = f"{PROJECT}-{settings.environment}"

    roles = _roles(settings, name, at_home)
    keys = _keys(settings, providers, roles)
    AccountGuardrails(
        "guardrails", ebs_key_arn=keys.platform_arn, account_id=settings.account_id, opts=at_home
    )
    alerts = AlertTopic(
        "alerts",
        key_arn=keys.logs_arn,
        email=settings.alerts.email,
        account_id=settings.account_id,
        region=settings.residency.home_region,
        opts=at_home,
    )
    _buckets(settings, name, keys, providers)
    network = _network(settings, keys, at_home)
    data_api = DataApiBoundary(
        "data-api",
        vpc_id=network.vpc_id,
        endpoint_security_group_id=network.endpoint_security_group_id,
        opts=at_home,
    )
    bastion = _bastion(settings, network, keys, alerts, roles, at_home)
    database = _database(settings, network, data_api, keys, alerts, at_home)

    pulumi.export("bastion_address", bastion.public_ip)
    pulumi.export("database_endpoint", database.endpoint_address)
    pulumi.export("vpc_id", network.vpc_id)
