"""A copy of the repository to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blueprint.environments import ROOT


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("blueprint", "components", "policies", "services", "stacks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    return tmp_path
