"""The image: what the Dockerfile puts together starts, and nothing is left in it that helps an intruder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services import bare

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "services" / "data_api" / "Dockerfile"


def instructions(name: str) -> list[str]:
    """Return what follows an instruction, each time that it stands there."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE.read_text(), re.MULTILINE)


def context(into: Path) -> Path:
    """Return a copy of what a build sees: what .dockerignore leaves."""
    left_out = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("services/")
    ]
    shutil.copytree(
        ROOT / "services", into / "services", ignore=shutil.ignore_patterns(".venv", "__pycache__")
    )
    for pattern in left_out:
        for path in into.glob(pattern):
            path.unlink()
    return into


def app(tmp_path: Path) -> Path:
    """Return the folder /app as the COPY instructions make it."""
    seen, image = context(tmp_path / "context"), tmp_path / "image"
    for copied in instructions("COPY"):
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


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (["services.data_api"], "data-api: DATABASE_HOST: "),
        (["services.data_api.audit", "verify"], "audit: DATABASE_HOST: "),
        (["services.data_api.migrate", "--secret", "x"], "migrate: DATABASE_HOST: "),
    ],
)
def test_what_is_copied_is_enough_to_start(tmp_path: Path, program: list[str], says: str) -> None:
    run = subprocess.run(
        [sys.executable, "-s", "-m", *program],
        cwd=app(tmp_path),
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stderr[: len(says)]) == (2, says), run.stderr


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


def test_the_libraries_of_its_lock_are_enough(tmp_path: Path) -> None:
    folder = app(tmp_path)
    own = [
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    lock = (ROOT / "services" / "data_api" / "requirements.lock").read_text()
    locked = re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE)

    def imported(libraries: list[str]) -> subprocess.CompletedProcess[str]:
        # boto3 is imported when AWS is needed, and not before.
        modules = [*own, "services.data_api.__main__", "boto3"]
        words = [sys.executable, "-c", ONLY_THE_LOCK, ",".join(libraries), *modules]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)

    assert imported(locked).returncode == 0, imported(locked).stderr
    without = imported([name for name in locked if name != "pyyaml"])
    assert "No module named 'yaml'" in without.stderr


def test_what_is_for_trying_is_not_in_the_image(tmp_path: Path) -> None:
    found = {path.name for path in app(tmp_path).rglob("*") if path.is_file()}
    assert not found & {"local.py", "postgres.py"}
    assert {"breast_cancer.yaml", "access.cedar", "002_audit.sql"} <= found


def test_it_runs_as_nobody_and_without_a_shell() -> None:
    assert instructions("USER") == ["65532:65532"]
    assert instructions("FROM")[-1] == "scratch"
    for command in instructions("RUN") + instructions("ENTRYPOINT"):
        words = json.loads(command[command.index("[") :])
        assert words[0].endswith("python3"), "a shell form needs a shell"


def test_no_secret_is_built_in() -> None:
    assert not instructions("ARG")[1:]
    assert not re.search(r"(?i)password|secret|token", DOCKERFILE.read_text())


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """Return a root like that of the official image, with a merged /usr."""
    files = [
        "usr/bin/bash",
        "usr/bin/apt",
        "usr/bin/perl",
        "usr/sbin/useradd",
        "usr/lib/apt/methods/http",
        "usr/lib/x86_64-linux-gnu/libssl.so.3",
        "usr/local/bin/python3.11",
        "usr/local/bin/pip",
        "usr/local/lib/python3.11/json/__init__.py",
        "usr/local/lib/python3.11/ensurepip/__init__.py",
        "usr/local/lib/python3.11/site-packages/pip/__init__.py",
        "etc/ssl/certs/ca-certificates.crt",
        "var/lib/dpkg/status",
        "libraries/fastapi/__init__.py",
    ]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/local/bin/python3").symlink_to("python3.11")
    return tmp_path


def test_what_is_left_is_python_and_what_it_needs(debian: Path) -> None:
    bare.strip(debian)
    assert sorted(str(path.relative_to(debian)) for path in debian.rglob("*") if path.is_file()) == [
        "etc/ssl/certs/ca-certificates.crt",
        "libraries/fastapi/__init__.py",
        "usr/lib/x86_64-linux-gnu/libssl.so.3",
        "usr/local/bin/python3",
        "usr/local/bin/python3.11",
        "usr/local/lib/python3.11/json/__init__.py",
        "var/lib/dpkg/status",
    ]
