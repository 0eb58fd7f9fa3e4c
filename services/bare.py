"""Takes out of an image what a program does not need to run: shells, package managers, tools, and pip.

What is left is Python, its libraries and the certificates: whoever breaks in finds nothing to work with. The lists of
installed packages stay, since scanners read them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

TOOLS = (
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "usr/lib/apt",
    "usr/lib/dpkg",
    "usr/libexec",
    "var/cache",
    "var/lib/apt",
)
"""Folders of programs that are not Python's."""

PYTHON = "usr/local"
"""Where the official image has it."""


def strip(root: Path) -> None:
    """Remove what is not needed under ``root``."""
    removed = [path for folder in TOOLS for path in _inside(root / folder)]
    removed += [path for path in _inside(root / PYTHON / "bin") if not path.name.startswith("python3")]
    for library in sorted((root / PYTHON / "lib").glob("python3*")):
        removed += [library / "ensurepip", *(library / "site-packages").glob("*")]
    for path in removed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()


def _inside(folder: Path) -> list[Path]:
    # /bin is a link to /usr/bin in today's Debian: it is emptied there, and once.
    return [] if folder.is_symlink() or not folder.is_dir() else sorted(folder.iterdir())


if __name__ == "__main__":
    strip(Path(sys.argv[1]))
