"""What the pack says of itself over the protocol: every control with its metadata, in one block of JSON.

The SDK has one framework and one remedy for each of its policies, and a policy of this pack carries many controls
(``pack.py``). So the whole stands in the pack's own text, where people find a sentence and programs the block.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from machinery.control import FRAMEWORKS, Control

SCHEMA = 1
"""Changes when a key changes its meaning; ``blueprint/controls.py`` reads it."""


def readme(controls: Sequence[Control]) -> str:
    """Return the text of the pack."""
    described = {
        "schema": SCHEMA,
        "frameworks": FRAMEWORKS,
        "controls": [_described(control) for control in controls],
    }
    block = json.dumps(described, ensure_ascii=False, sort_keys=True)
    return f"{len(controls)} controls. What each asks for, and which frameworks ask the same:\n\n```json\n{block}\n```\n"


def _described(control: Control) -> dict[str, Any]:
    references = {name: list(getattr(control.references, name)) for name in FRAMEWORKS}
    return {
        "id": control.id,
        "family": control.family,
        "title": control.title,
        "severity": control.severity.value,
        "mandatory": control.severity.mandatory,
        "scope": "stack" if control.needs_stack else "resource",
        "types": list(control.on),
        "remedy": control.remedy,
        "references": {name: found for name, found in references.items() if found},
    }
