"""YAML in which a key stands once, nothing is written by reference, and 1e-5 is a number."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**20
"""Of a file."""


class YamlError(Exception):
    """A text that is not the YAML that is taken; the message says where and why."""


def read(path: Path) -> Any:
    """Return what a file of an operator says.

    Raises:
        YamlError: naming the file; it cannot be read, is larger than a mebibyte, or see ``loaded``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise YamlError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise YamlError(f"{path}: is larger than {MOST_BYTES} bytes")
    try:
        return loaded(data)
    except YamlError as error:
        raise YamlError(f"{path}: {error}") from None


def loaded(data: bytes) -> Any:
    """Return what a YAML text says.

    Raises:
        YamlError: it cannot be parsed, a key stands twice, or something is written by reference.
    """
    try:
        return yaml.load(data, _Loader)  # noqa: S506 - a SafeLoader that is stricter still
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise YamlError(f"is not the YAML that is taken{at}: {problem}") from None


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        # References to references grow without bound ("billion laughs").
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "write it out instead of *", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        made = super().construct_mapping(node, deep)
        # 0.1 and 0.10 are one key too, and the second would silently win.
        if len(made) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return made


# YAML 1.1 takes 1e-5 for a text, since it has no dot.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
