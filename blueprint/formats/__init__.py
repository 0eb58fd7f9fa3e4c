"""A verdict in the forms that machines and pull requests read; each is a pure function of graph and verdict."""

from __future__ import annotations

from collections.abc import Callable

from blueprint.formats import json_text, junit, markdown, sarif
from blueprint.graph import Graph
from blueprint.verdict import Verdict

FORMATS: dict[str, Callable[[Graph, Verdict], str]] = {
    "json": json_text.render,
    "sarif": sarif.render,
    "junit": junit.render,
    "markdown": markdown.render,
}
"""By the word that ``--format`` takes; ``text``, for people at a terminal, is ``blueprint.report``."""
