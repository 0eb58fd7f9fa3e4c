"""The contract between what holds data and what backs it up: one tag."""

from __future__ import annotations

from components.keys import Domain

BACKUP_TAG = ("backup", "daily")
"""Key and value. Whoever carries it is in the backup plan, whatever made it."""

_WORTH_IT: tuple[Domain, ...] = ("data", "models")
"""What cannot be made again. Copies and logs have locks of their own."""


def backup_tags(domain: Domain) -> dict[str, str]:
    """Return the tags that put a resource of ``domain`` into the backup plan; none where it needs no backup."""
    key, value = BACKUP_TAG
    return {key: value} if domain in _WORTH_IT else {}
