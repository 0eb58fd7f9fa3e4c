"""The Kubernetes objects of a graph as YAML files, for reviewers, scanners and ``kubectl diff``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from blueprint.errors import BadInput
from blueprint.graph import UNKNOWN, Graph, JsonObject, Resource

FIRST_LINE = "# Written by blueprint manifests; change the program and write it again."
"""How a file is known that may be replaced."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.:-]*[a-z0-9])?")
"""Kubernetes documentation, "Object Names and IDs"; roles may have colons."""

_RELEASE = "kubernetes:helm.sh/v3:Release"
_CLUSTER_WIDE = "cluster"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One object, and where it goes below the folder."""

    path: Path
    """``<namespace, or cluster>/<kind>-<name>.yaml``, in lower case."""
    body: JsonObject


def manifests(graph: Graph) -> tuple[Manifest, ...]:
    """Return every object that the program itself writes, by path; what a Helm chart makes is the chart's.

    Raises:
        BadInput: an object has no name or no kind, or two have the same file.
    """
    found: dict[Path, Manifest] = {}
    for resource in graph.resources:
        if resource.type.startswith("kubernetes:") and resource.type != _RELEASE:
            made = _manifest(resource)
            if made.path in found:
                raise BadInput(
                    f"{resource.name}: {made.path} is another object already; give it another name"
                )
            found[made.path] = made
    return tuple(found[path] for path in sorted(found))


def releases(graph: Graph) -> tuple[Manifest, ...]:
    """Return the Helm releases: which chart in which version, with which values."""
    return tuple(
        Manifest(
            path=Path("helm") / f"{resource.inputs['name']}.yaml",
            body={key: resource.inputs[key] for key in ("chart", "version", "namespace", "values")},
        )
        for resource in graph.of(_RELEASE)
    )


def write(found: tuple[Manifest, ...], folder: Path) -> None:
    """Write the files; those of an earlier run are replaced, and anything else stops it.

    Raises:
        BadInput: the folder holds files of somebody else, or cannot be written.
    """
    try:
        _clear(folder)
        for manifest in found:
            path = folder / manifest.path
            path.parent.mkdir(parents=True, exist_ok=True)
            text = yaml.dump(manifest.body, Dumper=_Dumper, sort_keys=False, width=110)
            path.write_text(f"{FIRST_LINE}\n{text}", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}; name another folder") from None


class _Dumper(yaml.SafeDumper):
    """Quotes text that another reader would take for a number: ``1e-06`` is one in YAML 1.2, and not in PyYAML."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if _is_number(text) else None)


_Dumper.add_representer(str, _text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _clear(folder: Path) -> None:
    """Remove what an earlier run wrote, once it is sure that there is nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder}: is no folder; name another one")
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    for path in files:
        if path.suffix != ".yaml" or not path.read_text(errors="replace").startswith(FIRST_LINE):
            raise BadInput(f"{path}: was not written by this command; name an empty folder")
    for path in files:
        path.unlink()


def _manifest(resource: Resource) -> Manifest:
    said: Mapping[str, Any] = resource.inputs
    kind, metadata = said.get("kind"), said.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not kind or not isinstance(metadata, Mapping) or not name or name == UNKNOWN:
        raise BadInput(f"{resource.name}: has no kind or no name of its own; write metadata.name")
    place = metadata.get("namespace") or _CLUSTER_WIDE
    for said_name in (name, place):
        if not _NAME.fullmatch(str(said_name)):
            raise BadInput(f"{resource.name}: {said_name!r:.80} is no name in Kubernetes; use a-z, 0-9 and -")
    body = {key: said[key] for key in ("apiVersion", "kind", "metadata") if key in said}
    body |= {key: value for key, value in said.items() if key not in body}
    return Manifest(path=Path(place) / f"{kind}-{name}.yaml".lower().replace(":", "-"), body=body)
