"""The file that ``pulumi stack export`` writes: a graph out of one, and a graph into one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blueprint.errors import BadInput
from blueprint.graph import (
    SECRET,
    SIGNATURE,
    Graph,
    JsonObject,
    Resource,
    canonical_json,
    engine_values,
    in_order,
)

VERSION = 3
"""Of the deployment schema (sdk/go/common/apitype/core.go of pulumi/pulumi)."""

MAX_BYTES = 64 * 1024 * 1024
"""A resource takes about 4 kB, so this is some 16,000 of them."""

_ENCRYPTED = (b"age-encryption.org", b"-----BEGIN PGP", b"Salted__", b"\x85\x01", b"\x85\x02", b"\x8c\x0d")
_SOURCE_SCHEME = "project:///"


def write(graph: Graph) -> str:
    """Return the export text of a graph. Secrets are left out: the file says only that there was one."""
    version = "blueprint"
    document = {
        "version": VERSION,
        "deployment": {
            "manifest": {
                # No clock: the same program gives the same file.
                "time": "0001-01-01T00:00:00Z",
                "magic": hashlib.sha256(version.encode()).hexdigest(),
                "version": version,
            },
            "resources": [_state(resource) for resource in graph.resources],
        },
    }
    return canonical_json(document) + "\n"


def read(path: Path) -> Graph:
    """Read the graph in an exported file, ours or the engine's.

    Raises:
        BadInput: the file is missing, too large, encrypted, truncated, of another version or no export.
    """
    document = _document(path)
    version = document.get("version")
    if version != VERSION:
        said = f"is of version {version}" if isinstance(version, int) else "says no version"
        raise BadInput(f"{path}: {said}; write it again with pulumi stack export (version {VERSION})")
    deployment = document.get("deployment")
    states = deployment.get("resources") if isinstance(deployment, Mapping) else None
    if not isinstance(states, list) or not states:
        raise BadInput(f"{path}: deployment.resources: holds no resource, so there is nothing to judge")
    resources = [_resource(state, f"{path}: deployment.resources[{i}]") for i, state in enumerate(states)]
    # What is on its way out is not part of the stack that the file describes.
    staying = [resource for resource, state in zip(resources, states, strict=True) if not state.get("delete")]
    return Graph(stack=_stack_name(resources[0].urn), resources=in_order(staying))


def _document(path: Path) -> Mapping[str, Any]:
    raw = _bounded(path)
    if raw.lstrip().startswith(_ENCRYPTED):
        raise BadInput(f"{path}: is encrypted; decrypt it first")
    try:
        document = json.loads(raw)
    except UnicodeDecodeError:
        raise BadInput(
            f"{path}: is not text; write it with pulumi stack export (decrypt or unpack it first)"
        ) from None
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated string") or error.pos >= len(error.doc.rstrip()) - 1
        raise BadInput(
            f"{path}: {'ends in the middle' if cut else 'is not JSON'} (line {error.lineno}, column {error.colno}); write it again with pulumi stack export"
        ) from None
    except RecursionError:
        raise BadInput(
            f"{path}: is nested too deeply for an export; write it with pulumi stack export"
        ) from None
    if not isinstance(document, Mapping):
        raise BadInput(f"{path}: is not an export; write it with pulumi stack export")
    return document


def _bounded(path: Path) -> bytes:
    """Return what is in the file, or comes through the pipe, up to a bound."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    if max(size, len(raw)) > MAX_BYTES:
        raise BadInput(
            f"{path}: has {max(size, len(raw)) // 1_000_000} MB; an export of up to {MAX_BYTES // 1_000_000} MB can be "
            "read: split the stack, or export one of its parts"
        )
    return raw


def _resource(state: Any, place: str) -> Resource:
    if not isinstance(state, Mapping):
        raise BadInput(f"{place}: is not a resource; write the file again with pulumi stack export")
    for key, kind in (("urn", str), ("type", str)):
        if not isinstance(state.get(key), kind) or not state[key]:
            raise BadInput(f"{place}.{key}: is missing; write the file again with pulumi stack export")
    if state["urn"].count("::") < 3:
        raise BadInput(f"{place}.urn: is not a URN; write the file again with pulumi stack export")
    return Resource(
        urn=state["urn"],
        type=state["type"],
        custom=bool(state.get("custom")),
        id=_text(state, "id"),
        inputs=_object(state, "inputs", place),
        outputs=_object(state, "outputs", place),
        parent=_text(state, "parent"),
        provider=_text(state, "provider"),
        protect=bool(state.get("protect")),
        dependencies=_texts(state.get("dependencies")),
        property_dependencies={
            key: _texts(urns)
            for key, urns in sorted(_object(state, "propertyDependencies", place).items())
            if urns
        },
        ignore_changes=_texts(state.get("ignoreChanges")),
        aliases=_texts(state.get("aliases")),
        source=_text(state, "sourcePosition").removeprefix(_SOURCE_SCHEME).replace("#", ":"),
    )


def _text(state: Mapping[str, Any], key: str) -> str:
    value = state.get(key)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(sorted(item for item in value if isinstance(item, str))) if isinstance(value, list) else ()


def _object(state: Mapping[str, Any], key: str, place: str) -> JsonObject:
    value = state.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{place}.{key}: is not an object; write the file again with pulumi stack export")
    values: JsonObject = engine_values(value)
    return values


def _stack_name(urn: str) -> str:
    return urn.removeprefix("urn:pulumi:").partition("::")[0]


def _state(resource: Resource) -> JsonObject:
    state: JsonObject = {
        "urn": resource.urn,
        "type": resource.type,
        "custom": resource.custom,
        "id": resource.id,
        "inputs": _without_secrets(resource.inputs),
        "outputs": _without_secrets(resource.outputs),
        "parent": resource.parent,
        "provider": resource.provider,
        "protect": resource.protect,
        "dependencies": list(resource.dependencies),
        "propertyDependencies": {key: list(urns) for key, urns in resource.property_dependencies.items()},
        "ignoreChanges": list(resource.ignore_changes),
        "aliases": list(resource.aliases),
        "sourcePosition": _SOURCE_SCHEME + resource.source.replace(":", "#") if resource.source else "",
    }
    return {key: value for key, value in state.items() if value not in ("", [], {}, False) or key == "custom"}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIGNATURE) == SECRET:
        return {SIGNATURE: SECRET, "ciphertext": ""}
    return {key: _without_secrets(item) for key, item in value.items()}
