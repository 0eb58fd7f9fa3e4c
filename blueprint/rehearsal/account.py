"""The live account of a rehearsal, seen over boto3: what is there, in which region, and what we put there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blueprint.rehearsal.emulator import KEYS


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A resource that the provider made: its Pulumi type and name, and its attributes in Terraform's names."""

    type: str
    name: str
    attributes: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its id in the account."""
        return str(self.attributes["id"])


@dataclass(frozen=True, kw_only=True)
class Account:
    """An emulated account, its two regions, and what was applied to it."""

    endpoint: str
    home_region: str
    backup_region: str
    applied: tuple[Applied, ...]
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[str, str]:
        """Both regions, home first."""
        return self.home_region, self.backup_region

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client of the emulated service; at home unless a region is named."""
        import boto3
        from botocore.config import Config

        key = (service, region or self.home_region)
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,
                region_name=key[1],
                endpoint_url=self.endpoint,
                config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 2}),
                **KEYS,
            )
        return self._clients[key]

    def every(
        self, service: str, operation: str, field: str, region: str | None = None, **arguments: Any
    ) -> list[Any]:
        """Return what a list or describe operation tells, all its pages."""
        client = self.client(service, region)
        if client.can_paginate(operation):
            pages: Iterable[Any] = client.get_paginator(operation).paginate(**arguments)
            return [item for page in pages for item in page.get(field, [])]
        return list(getattr(client, operation)(**arguments).get(field, []))

    def of(self, *types: str) -> list[Applied]:
        """Return what was applied of some Pulumi types."""
        return [each for each in self.applied if each.type in types]
