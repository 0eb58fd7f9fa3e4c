"""The verdict as JSON, with the keys of ``Verdict.as_json_value``."""

from __future__ import annotations

from blueprint.graph import Graph, canonical_json
from blueprint.verdict import Verdict


def render(_graph: Graph, verdict: Verdict) -> str:
    """Return the verdict as JSON text."""
    return canonical_json(verdict.as_json_value())
