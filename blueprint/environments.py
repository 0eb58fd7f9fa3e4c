"""Finds an environment's stack file and hands its configuration over as the engine would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from blueprint.errors import BadInput

ROOT = Path(__file__).resolve().parent.parent

MAX_STACK_FILE_BYTES = 1 << 20


def environments(root: Path = ROOT) -> list[str]:
    """Return the names of the environments that have a stack file."""
    return sorted(path.name.split(".")[1] for path in (root / "stacks").glob("Pulumi.*.yaml"))


def project_name(root: Path = ROOT) -> str:
    """Return the project's name from ``Pulumi.yaml``."""
    name = _mapping(root / "Pulumi.yaml", root).get("name")
    if not isinstance(name, str):
        raise BadInput("Pulumi.yaml: name: is missing; write the project's name")
    return name


def configuration(environment: str, root: Path = ROOT) -> dict[str, str]:
    """Return the environment's configuration, full keys to texts; structured values are JSON text.

    Raises:
        BadInput: there is no such environment, or its file cannot be used.
    """
    path = root / "stacks" / f"Pulumi.{environment}.yaml"
    if not path.is_file():
        raise BadInput(_no_such(environment, root))
    config = _mapping(path, root).get("config")
    if not isinstance(config, Mapping) or not config:
        raise BadInput(f"{path.relative_to(root)}: config: is missing; write the settings below it")
    project = project_name(root)
    return {
        _full_key(key, project, path, root): _text(key, value, path, root) for key, value in config.items()
    }


def _no_such(environment: str, root: Path) -> str:
    known = environments(root)
    close = get_close_matches(environment, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none yet'}"
    return f"no environment {environment!r:.40}: {hint} (a new one is a file stacks/Pulumi.<name>.yaml)"


def _mapping(path: Path, root: Path) -> Mapping[str, Any]:
    place = path.relative_to(root)
    try:
        if path.stat().st_size > MAX_STACK_FILE_BYTES:
            raise BadInput(f"{place}: is larger than 1 MiB; a stack file holds settings only")
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader below
    except FileNotFoundError:
        raise BadInput(f"{place}: is missing; it comes with the repository") from None
    except UnicodeDecodeError:
        raise BadInput(f"{place}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{place}: {_yaml_problem(error)}") from None
    except RecursionError:
        raise BadInput(f"{place}: is nested too deeply; settings are two levels deep") from None
    if not isinstance(value, Mapping):
        raise BadInput(f"{place}: is not a mapping; its first line is config:")
    return value


class _Loader(yaml.SafeLoader):
    """YAML as Pulumi reads it, and a key written twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} stands here a second time", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep=deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{getattr(error, 'problem', None) or 'is not YAML'}; mend the YAML there"


def _full_key(key: object, project: str, path: Path, root: Path) -> str:
    if not isinstance(key, str):
        raise BadInput(f"{path.relative_to(root)}: config: a key is not text; put it in quotes")
    return key if ":" in key else f"{project}:{key}"


def _text(key: str, value: object, path: Path, root: Path) -> str:
    if isinstance(value, Mapping) and set(value) == {"secure"}:
        raise BadInput(
            f"{path.relative_to(root)}: {key}: is an encrypted secret, which only the engine can read; "
            "the platform's settings hold no secrets, so remove it"
        )
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, int | float):
        return json.dumps(value)
    return json.dumps(value, default=str)
