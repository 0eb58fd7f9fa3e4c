"""The two regions, and what everything in them is called and tagged."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stacks.settings import Settings

PROJECT = "secure-ml-platform"

SHORT = "smlp"
"""Bucket names have 63 characters at most."""


@dataclass(frozen=True)
class Regions:
    """The providers of the two regions, each pinned to its region and to the one account."""

    home: aws.Provider
    backup: aws.Provider

    @property
    def at_home(self) -> pulumi.ResourceOptions:
        """Options of what lives in the home region."""
        return pulumi.ResourceOptions(providers=[self.home])

    @property
    def of_home(self) -> pulumi.ResourceOptions:
        """Options of a single resource in the home region."""
        return pulumi.ResourceOptions(provider=self.home)

    @property
    def at_backup(self) -> pulumi.ResourceOptions:
        """Options of what lives in the backup region."""
        return pulumi.ResourceOptions(providers=[self.backup])


def prefix_of(settings: Settings) -> str:
    """Return how the names of the environment's resources begin."""
    return f"{PROJECT}-{settings.environment}"


def regions_of(settings: Settings) -> Regions:
    def provider(name: str, region: str) -> aws.Provider:
        return aws.Provider(
            name,
            region=region,
            allowed_account_ids=[settings.account_id],
            default_tags={"tags": _tags(settings)},
        )

    return Regions(
        home=provider("home", settings.residency.home_region),
        backup=provider("backup", settings.residency.backup_region),
    )


def _tags(settings: Settings) -> dict[str, str]:
    """Return the tags of everything: the policies read from them what the stack says it is."""
    return {
        "owner": settings.owner,
        "environment": settings.environment,
        "data-classification": "restricted",
        "profile": settings.profile,
        "jurisdiction": settings.residency.jurisdiction,
        "managed-by": PROJECT,
    }
