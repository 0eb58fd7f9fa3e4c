"""What every image of a service must be: enough to start, and nothing in it that helps an intruder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).parents[2]

ONLY_THE_LOCK = """
import importlib, importlib.metadata, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        owners = {each.lower().replace("_", "-") for each in OWNERS.get(name.partition(".")[0], ())}
        if owners and not owners & LOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

OWNERS, LOCKED = importlib.metadata.packages_distributions(), set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refuse())
for module in sys.argv[2:]:
    importlib.import_module(module)
"""
"""Imports modules in an environment that has more than the image: what is not in the lock is not found."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """The image of one service, as its Dockerfile puts it together."""

    service: str
    programs: Mapping[str, str]
    """Words after ``python -m``, and how what they say without any setting begins."""
    imported_late: Sequence[str]
    """Libraries that are imported when they are needed, and not before."""
    needed: tuple[str, str]
    """A library of the lock, and the name that it is imported under: without it nothing starts."""
    files: Set[str]
    """Some that must be there."""

    @property
    def dockerfile(self) -> str:
        """Its Dockerfile."""
        return (ROOT / "services" / self.service / "Dockerfile").read_text()

    def instructions(self, name: str) -> list[str]:
        """Return what follows an instruction, each time that it stands there."""
        return re.findall(rf"^{name} (.+)$", self.dockerfile, re.MULTILINE)

    def app(self, tmp_path: Path) -> Path:
        """Return the folder /app as the COPY instructions make it."""
        seen, image = context(tmp_path / "context"), tmp_path / "image"
        for copied in self.instructions("COPY"):
            if copied.startswith("--from") or " /app/" not in copied:
                continue
            source, target = copied.split()
            place = image / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if (seen / source).is_dir():
                shutil.copytree(seen / source, place)
            else:
                shutil.copy(seen / source, place)
        return image / "app"

    def locked(self) -> list[str]:
        """Return the libraries of its lock, and torch where it is installed beside it."""
        folder = ROOT / "services" / self.service
        lists = [folder / name for name in ("requirements.lock", "torch.txt")]
        text = "\n".join(path.read_text() for path in lists if path.exists())
        return re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE)


def context(into: Path) -> Path:
    """Return a copy of what a build sees: what .dockerignore leaves."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    left_out = [line for line in lines if line.startswith("services/")]
    kept = {into / line.removeprefix("!") for line in lines if line.startswith("!services/")}
    shutil.copytree(
        ROOT / "services", into / "services", ignore=shutil.ignore_patterns(".venv", "__pycache__")
    )
    for pattern in left_out:
        for path in set(into.glob(pattern)) - kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return into


class OfEveryImage:
    """Tests of one image; a service's own class names it."""

    image: ClassVar[Image]

    def test_what_is_copied_is_enough_to_start(self, tmp_path: Path) -> None:
        folder = self.image.app(tmp_path)
        for words, says in self.image.programs.items():
            run = subprocess.run(
                [sys.executable, "-s", "-m", *words.split()],
                cwd=folder,
                env={"PATH": os.environ["PATH"]},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (run.returncode, run.stderr[: len(says)]) == (2, says), run.stderr

    def test_the_libraries_of_its_lock_are_enough(self, tmp_path: Path) -> None:
        folder, locked = self.image.app(tmp_path), self.image.locked()
        own = [
            ".".join(path.relative_to(folder).with_suffix("").parts)
            for path in (folder / "services" / self.image.service).rglob("*.py")
            if path.stem != "__init__"
        ]

        def imported(libraries: list[str]) -> subprocess.CompletedProcess[str]:
            words = [
                sys.executable,
                "-c",
                ONLY_THE_LOCK,
                ",".join(libraries),
                *own,
                *self.image.imported_late,
            ]
            return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)

        whole = imported(locked)
        assert whole.returncode == 0, whole.stderr
        library, module = self.image.needed
        without = imported([name for name in locked if name != library])
        assert f"No module named '{module}'" in without.stderr

    def test_what_is_for_trying_is_not_in_the_image(self, tmp_path: Path) -> None:
        found = {path.name for path in self.image.app(tmp_path).rglob("*")}
        assert not found & {"local.py", "postgres.py", "samples"}
        assert self.image.files <= found

    def test_it_runs_as_nobody_and_without_a_shell(self) -> None:
        assert self.image.instructions("USER") == ["65532:65532"]
        assert self.image.instructions("FROM")[-1] == "scratch"
        for command in self.image.instructions("RUN") + self.image.instructions("ENTRYPOINT"):
            words = json.loads(command[command.index("[") :])
            assert words[0].endswith("python3"), "a shell form needs a shell"

    def test_no_secret_is_built_in(self) -> None:
        assert not self.image.instructions("ARG")[1:]
        assert not re.search(r"(?i)password|secret|token", self.image.dockerfile)
