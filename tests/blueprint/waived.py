"""The pack with waivers and a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from textwrap import dedent

from blueprint.environments import ROOT

TODAY = date(2031, 5, 1)

PROGRAM = """
    import sys
    from datetime import date
    from pathlib import Path

    sys.path.insert(0, {policies!r})
    from pulumi_policy import PolicyPack

    from controls import CATALOGUE
    from machinery.pack import policies
    from machinery.waiver_file import read

    waivers = read(Path({stacks!r}), CATALOGUE, today=lambda: date.fromisoformat({today!r}))
    PolicyPack("secure-ml-platform", policies=policies(CATALOGUE, waivers))
"""


def pack_of(folder: Path, waivers: str, *, stacks: Sequence[str] = ("test",), today: date = TODAY) -> Path:
    """Write a pack with the repository's controls, the waivers of this text and a day of its own."""
    home = folder / "stacks"
    home.mkdir(parents=True, exist_ok=True)
    (home / "waivers.yaml").write_text(dedent(waivers))
    for stack in stacks:
        (home / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    pack = folder / "policies"
    pack.mkdir(exist_ok=True)
    (pack / "PulumiPolicy.yaml").write_text("name: secure-ml-platform\nruntime: python\n")
    program = PROGRAM.format(policies=str(ROOT / "policies"), stacks=str(home), today=today.isoformat())
    (pack / "__main__.py").write_text(dedent(program))
    return pack
