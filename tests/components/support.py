"""Two providers as the platform has them, and short ways to ask the recorded graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws

from blueprint.graph import Graph, Resource
from blueprint.recorder import record

ACCOUNT = "111122223333"
HOME, BACKUP = "us-east-1", "us-west-2"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
TOPIC = f"arn:aws:sns:{HOME}:{ACCOUNT}:alerts"


def key(domain: str) -> str:
    """Return the ARN of a key that already exists."""
    return f"arn:aws:kms:{HOME}:{ACCOUNT}:key/{domain}"


def built(
    build: Callable[[pulumi.ResourceOptions, aws.Provider], object], *, unknowns: bool = False
) -> Graph:
    """Record ``build``, which is given the home region's options and the backup region's provider."""

    def program() -> None:
        home = aws.Provider("home", region=HOME, allowed_account_ids=[ACCOUNT])
        backup = aws.Provider("backup", region=BACKUP, allowed_account_ids=[ACCOUNT])
        build(pulumi.ResourceOptions(providers=[home]), backup)

    return record(program, unknowns=unknowns)


def one(graph: Graph, type_token: str) -> Resource:
    """Return the only resource of a type."""
    (resource,) = graph.of(type_token)
    return resource


def named(graph: Graph, type_token: str, ending: str) -> Resource:
    """Return the only resource of a type whose name ends so."""
    (resource,) = [r for r in graph.of(type_token) if r.name.endswith(ending)]
    return resource


def statements(resource: Resource, key_: str = "policy") -> list[dict[str, Any]]:
    """Return the statements of the policy document in an input."""
    found: list[dict[str, Any]] = json.loads(resource.inputs[key_])["Statement"]
    return found


def statement(resource: Resource, sid: str, key_: str = "policy") -> dict[str, Any]:
    """Return the statement of this sid."""
    (found,) = [s for s in statements(resource, key_) if s["Sid"] == sid]
    return found
