"""What people do with the repository, and what each task needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blueprint.environments import ROOT

_BASIS = ("python", "make", "platform environment")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task."""

    does: str
    needs: tuple[str, ...]
    better_with: tuple[str, ...] = ()
    """Without these a part of it is left out."""


def tasks() -> Mapping[str, Task]:
    """Return the tasks by name, in the order in which a newcomer meets them."""
    services = tuple(
        f"services/{path.parent.name}" for path in sorted((ROOT / "services").glob("*/pyproject.toml"))
    )
    chain = tuple(f"services/{name}" for name in ("data_api", "trainer", "redteam", "gateway"))
    return {
        "preview": Task(does="see what would be built, and judge it", needs=_BASIS),
        "test": Task(
            does="run every test",
            needs=(*_BASIS, "git", "test environment", "postgresql", *services),
            better_with=("terraform or tofu", "chromium", "playwright"),
        ),
        "rehearse": Task(
            does="apply an environment to an emulated AWS",
            needs=(*_BASIS, "test environment", "terraform or tofu", "AWS provider"),
        ),
        "data-api": Task(
            does="run the data-access API", needs=("python", "make", "postgresql", "services/data_api")
        ),
        "gateway": Task(does="run the inference gateway", needs=("python", "make", "services/gateway")),
        "train": Task(does="take a model the whole way", needs=(*_BASIS, "postgresql", *chain)),
        "federate": Task(
            does="let three silos learn together", needs=("python", "make", "services/federated")
        ),
        "report": Task(
            does="write the auditor's page, and look at it in a browser",
            needs=_BASIS,
            better_with=("chromium", "playwright"),
        ),
        "images": Task(
            does="build and sign the images of the services",
            needs=("make", "docker", "docker buildx", "cosign"),
        ),
        "bootstrap": Task(
            does="make what the first deployment needs in an account", needs=(*_BASIS, "AWS credentials")
        ),
        "deploy": Task(does="build an environment", needs=(*_BASIS, "git", "pulumi", "AWS credentials")),
    }
