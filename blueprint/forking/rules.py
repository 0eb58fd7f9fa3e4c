"""What the program itself says about settings: its own reading and tables, run and never copied."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from blueprint.environments import configuration, project_name
from blueprint.errors import BadInput


class Rules:
    """The rules of the fork in a folder."""

    def __init__(self, root: Path) -> None:
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
        self._root = root
        self._project = project_name(root)
        self._parse = self._module("reading")["parse"]
        self.jurisdictions: Mapping[str, Sequence[str]] = self._module("residency")["JURISDICTIONS"]
        """Regions by jurisdiction, the usual home first."""
        self.profiles: Mapping[str, Any] = self._module("profiles")["PROFILES"]
        """Floors by profile."""

    def _module(self, name: str) -> dict[str, Any]:
        try:
            return vars(importlib.import_module(f"stacks.{name}"))
        except Exception as error:
            raise BadInput(f"{self._root}: stacks/{name}.py cannot be run: {error}") from error

    def problems(self, environment: str, text: str) -> list[str]:
        """Return what is wrong with an environment's file, as a preview would say it: ``key: problem; remedy``."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stacks").mkdir()
            (folder / "Pulumi.yaml").write_text(f'name: "{self._project}"\n', encoding="utf-8")
            (folder / "stacks" / f"Pulumi.{environment}.yaml").write_text(text, encoding="utf-8")
            config = configuration(environment, folder)
        prefix = f"{self._project}:"
        return self._said(
            environment,
            {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)},
        )

    def problems_of(self, environment: str, values: Mapping[str, Any]) -> list[str]:
        """Return the same of settings that stand in no file yet."""
        texts = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()
        }
        return self._said(environment, texts)

    def _said(self, environment: str, config: Mapping[str, str]) -> list[str]:
        try:
            self._parse(config, stack=environment)
        except pulumi.RunError as error:
            place = f"stacks/Pulumi.{environment}.yaml: "
            return [line.removeprefix(place) for line in str(error).splitlines()]
        return []
