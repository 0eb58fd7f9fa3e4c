"""What a stack says of itself in its providers' default tags: environment, profile, jurisdiction.

What it does not say is taken at its strictest, so a stack cannot escape a floor by keeping silent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from machinery.profiles import STRICTEST, Floors, floors_of

REQUIRED_TAGS = ("owner", "environment", "data-classification", "profile", "jurisdiction")


@dataclass(frozen=True)
class Declarations:
    """The default tags of a provider, and what follows from them."""

    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> str:
        """``dev``, ``staging`` or ``prod``; ``prod`` where nothing is said."""
        return self.tags.get("environment", "prod")

    @property
    def profile(self) -> str | None:
        """The legal regime that the stack is under."""
        return self.tags.get("profile")

    @property
    def jurisdiction(self) -> str | None:
        """The jurisdiction whose regions may be used."""
        return self.tags.get("jurisdiction")

    @property
    def floors(self) -> Floors:
        """The least that the profile and the environment ask for."""
        if self.profile is None:
            return STRICTEST
        return floors_of(self.profile, self.environment)


def declarations_of(provider: Mapping[str, Any], override: Mapping[str, str] | None = None) -> Declarations:
    """Read the default tags of a provider's inputs; ``override`` wins."""
    tags = _nested(provider.get("defaultTags"))
    found = tags.get("tags") if isinstance(tags, Mapping) else None
    said = {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, Mapping) else {}
    return Declarations(tags={**said, **(override or {})})


def accounts_of(provider: Mapping[str, Any]) -> frozenset[str]:
    """Return the accounts that a provider's inputs pin it to; none where they are missing or unknown."""
    accounts = _nested(provider.get("allowedAccountIds"))
    return frozenset(a for a in accounts if isinstance(a, str)) if isinstance(accounts, list) else frozenset()


def _nested(value: Any) -> Any:
    """Return an object or a list of a provider's inputs, which hold them as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
