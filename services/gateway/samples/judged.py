"""A trained sample, and what was measured on it: the share of the red team that takes seconds."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.modelchain.schema import Check

_FILE = Path(__file__).with_name("thresholds.json").read_bytes()
THRESHOLDS: dict[str, float] = json.loads(_FILE)
THRESHOLDS_DIGEST = f"sha256:{hashlib.sha256(_FILE).hexdigest()}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is written into a candidate, and how it was judged."""

    written: Mapping[str, Any]
    """Arguments of ``modelchain.folder.write``."""
    checks: tuple[Check, ...]


def at_least(name: str, value: float, about: str) -> Check:
    """Return a check against the file of thresholds."""
    threshold = THRESHOLDS[name]
    return Check(name=name, value=value, threshold=threshold, passed=value >= threshold, about=about)


def components(*names: str) -> dict[str, str]:
    """Return Python and the libraries that made a sample, with their versions."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
