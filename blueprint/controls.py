"""The controls of a pack as it describes them itself: listed, filtered, written as a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint.errors import BadInput, PackFailure
from blueprint.pack import RunningPack
from blueprint.verdict import SEVERITIES

_BLOCK = re.compile(r"```json\n(.*)\n```", re.DOTALL)

FAMILIES = {
    "NET": "network",
    "ACC": "access and SSH",
    "IAM": "identity",
    "KEY": "encryption keys",
    "DAT": "databases and secrets",
    "STO": "object storage",
    "EKS": "containers",
    "GPU": "training machines",
    "MLS": "machine-learning security",
    "EDG": "edge",
    "AUD": "logging and audit",
    "RED": "redundancy",
    "RES": "residency and compliance",
    "WAV": "waivers",
}
"""What the letters stand for; a family of somebody else's pack is called by its letters."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control, in the pack's own words."""

    id: str
    family: str
    title: str
    severity: str
    mandatory: bool
    scope: str
    types: tuple[str, ...]
    remedy: str
    references: Mapping[str, tuple[str, ...]]

    def as_json_value(self) -> dict[str, Any]:
        """Return the control for machines."""
        references = {framework: list(found) for framework, found in self.references.items()}
        return {**self.__dict__, "types": list(self.types), "references": references}


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The controls of a pack, family by family, and the names of the frameworks that they refer to."""

    frameworks: Mapping[str, str]
    controls: tuple[Control, ...]

    def only(
        self, *, frameworks: Sequence[str] = (), families: Sequence[str] = (), severities: Sequence[str] = ()
    ) -> Catalogue:
        """Return the controls that meet each filter; of several values of one filter, any will do.

        Raises:
            BadInput: there is no such framework or family.
        """
        wanted = [_known(each.replace("-", "_"), self.frameworks, "framework") for each in frameworks]
        letters = [_known(each.upper(), [c.family for c in self.controls], "family") for each in families]
        return replace(
            self,
            controls=tuple(
                control
                for control in self.controls
                if (not wanted or any(control.references.get(each) for each in wanted))
                and (not letters or control.family in letters)
                and (not severities or control.severity in severities)
            ),
        )

    def as_json_value(self) -> dict[str, Any]:
        """Return the catalogue for machines; ``schema`` changes when a key changes its meaning."""
        return {
            "schema": 1,
            "frameworks": dict(self.frameworks),
            "controls": [control.as_json_value() for control in self.controls],
        }


def _known(name: str, names: Iterable[str], what: str) -> str:
    known = sorted(set(names))
    if name in known:
        return name
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {_shown(close[0])}?" if close else f"there are {', '.join(map(_shown, known))}"
    raise BadInput(f"no {what} {_shown(name)!r:.40}: {hint}")


def _shown(name: str) -> str:
    return name.replace("_", "-")


def catalogue_of(pack: RunningPack) -> Catalogue:
    """Return what a running pack says of its controls.

    Raises:
        PackFailure: it does not describe exactly the controls that it has.
    """
    found = _BLOCK.search(pack.info.readme)
    try:
        said = json.loads(found[1]) if found else {}
        controls = tuple(map(_control, said["controls"]))
        frameworks = {str(key): str(name) for key, name in said["frameworks"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise PackFailure("the policy pack does not describe its controls; nothing can be listed") from None
    if sorted(control.id for control in controls) != sorted(pack.controls):
        raise PackFailure("the policy pack describes other controls than it has; nothing can be listed")
    return Catalogue(frameworks=frameworks, controls=controls)


def _control(said: Mapping[str, Any]) -> Control:
    return Control(
        **{key: str(said[key]) for key in ("id", "family", "title", "severity", "scope", "remedy")},
        mandatory=bool(said["mandatory"]),
        types=tuple(map(str, said["types"])),
        references={str(key): tuple(map(str, ids)) for key, ids in said["references"].items()},
    )


# --- for people ------------------------------------------------------------------------------------------


def show(catalogue: Catalogue, console: Console, *, frameworks: Sequence[str] = ()) -> None:
    """Print one row for each control; of the references those to ``frameworks``, where any are named."""
    table = Table(title_justify="left")
    for column in ("Control", "Severity"):
        table.add_column(column, no_wrap=True)
    table.add_column("What must hold", ratio=3, overflow="fold")
    table.add_column("References", ratio=2, overflow="fold")
    for control in catalogue.controls:
        table.add_row(
            control.id,
            control.severity,
            Text(control.title),
            Text(_references(control, frameworks=[each.replace("-", "_") for each in frameworks])),
        )
    console.print(table)
    console.print(_totals(catalogue), soft_wrap=True)


def _references(control: Control, *, frameworks: Sequence[str] = ()) -> str:
    return "; ".join(
        f"{_shown(framework)} {', '.join(ids)}"
        for framework, ids in control.references.items()
        if not frameworks or framework in frameworks
    )


def _totals(catalogue: Catalogue) -> str:
    counted = ", ".join(
        f"{sum(control.severity == severity for control in catalogue.controls)} {severity}"
        for severity in SEVERITIES
    )
    return f"{len(catalogue.controls)} controls: {counted}"


def page(catalogue: Catalogue) -> str:
    """Return the catalogue as Markdown: a table of families, the frameworks, and a table for each family."""
    families = list(dict.fromkeys(control.family for control in catalogue.controls))
    lines = [
        "# Controls",
        "",
        "Generated by `blueprint controls --format markdown > docs/controls.md`; a test keeps it current. How a control",
        "is written, and how one is added, is in [policies.md](policies.md).",
        "",
        f"{_totals(catalogue)}. Critical and high stop an update; medium and low advise.",
        "",
        *_families(catalogue, families),
        "",
        "References are numbered as their frameworks number them:",
        "",
        *(
            f"- `{_shown(key)}`: {name} ({sum(key in c.references for c in catalogue.controls)} controls)"
            for key, name in catalogue.frameworks.items()
        ),
    ]
    for family in families:
        lines += ["", f"## {family}: {FAMILIES.get(family, family)}", ""]
        lines += [
            "| Control | Severity | What must hold | What to do | References |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(control) for control in catalogue.controls if control.family == family]
    return "\n".join(lines) + "\n"


def _families(catalogue: Catalogue, families: Sequence[str]) -> list[str]:
    rows = [
        f"| Family | | {' | '.join(SEVERITIES)} | all |",
        f"|---|---|{'---:|' * (len(SEVERITIES) + 1)}",
    ]
    for family in families:
        found = [control.severity for control in catalogue.controls if control.family == family]
        counts = " | ".join(str(found.count(severity) or "") for severity in SEVERITIES)
        rows.append(f"| {family} | {FAMILIES.get(family, '')} | {counts} | {len(found)} |")
    return rows


def _row(control: Control) -> str:
    cells = (control.id, control.severity, control.title, control.remedy, _references(control))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
