"""What is compared: an exported stack, or a folder with one export for each environment."""

from __future__ import annotations

import re
from pathlib import Path

from blueprint import deployment
from blueprint.errors import BadInput
from blueprint.graph import Graph

MAX_ENVIRONMENTS = 50

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""As Pulumi lets a stack be called."""


def graphs(place: Path) -> dict[str, Graph]:
    """Return the graphs in a folder, by the name of the file; of one file, its own by the name of its stack.

    Raises:
        BadInput: nothing is there, or something that is no export.
    """
    if not place.is_dir():
        graph = deployment.read(place)
        return {_name(graph.stack, place): graph}
    files = sorted(place.glob("*.json"))
    if not files:
        raise BadInput(
            f"{place}: holds no export; write one for each environment: blueprint preview dev --export dev.json"
        )
    if len(files) > MAX_ENVIRONMENTS:
        raise BadInput(
            f"{place}: holds {len(files)} files; leave the exports of {MAX_ENVIRONMENTS} environments at most"
        )
    return {_name(file.stem, file): deployment.read(file) for file in files}


def pair(before: Path, after: Path) -> tuple[dict[str, Graph], dict[str, Graph]]:
    """Return both sides, by environment.

    Raises:
        BadInput: they cannot be compared: a file with a folder, or two files of different environments.
    """
    if before.is_dir() != after.is_dir():
        raise BadInput(f"{before} and {after}: compare two files, or two folders")
    old, new = graphs(before), graphs(after)
    if not before.is_dir() and old.keys() != new.keys():
        raise BadInput(_others(f"{before}", next(iter(old)), f"{after}", next(iter(new))))
    for name in old.keys() & new.keys():
        if old[name].stack != new[name].stack:
            raise BadInput(_others(f"{before}: {name}", old[name].stack, f"{after}: {name}", new[name].stack))
    return old, new


def _others(before: str, stack: str, after: str, other: str) -> str:
    return f"{before} is of {stack} and {after} of {other}; compare an environment with itself"


def _name(name: str, place: Path) -> str:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{place}: its environment is {name!r:.60}; a name has letters, digits, dots and dashes"
        )
    return name
