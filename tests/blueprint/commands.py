"""The command line as a user runs it: in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from blueprint.environments import ROOT


def blueprint(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command line of the checkout at ``root``."""
    return subprocess.run(
        [sys.executable, "-m", "blueprint.cli", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
