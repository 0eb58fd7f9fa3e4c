"""How the fields of Kubernetes objects are written here: as plain mappings, in Kubernetes' own words.

The SDK's typed dictionaries nest so deep that a type checker needs 20 GB for them. What holds these to the schema is
stricter than types: every object of a preview is validated against the published schemas (``blueprint manifests``).
"""

from __future__ import annotations

from typing import Any

Fields = Any
"""A mapping of a Kubernetes object's fields, possibly with outputs inside."""


def metadata(name: str, *, namespace: str | None = None, labels: Fields = None) -> Fields:
    """Return an object's name, where it is, and its labels."""
    said = {"name": name, "namespace": namespace, "labels": labels}
    return {key: value for key, value in said.items() if value}
