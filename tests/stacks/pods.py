"""The pods of production, as the platform describes them: what they are told, and which tokens they have."""

from __future__ import annotations

from functools import cache
from typing import Any

from blueprint import program
from blueprint.graph import Graph
from components.pods import TOKENS


@cache
def prod() -> Graph:
    return program.run("prod")


def pod(app: str) -> dict[str, Any]:
    """Return the specification of an app's pods."""
    for each in prod().resources:
        if each.type.endswith((":Deployment", ":CronJob")) and each.inputs["metadata"]["name"] == app:
            spec: dict[str, Any] = each.inputs["spec"]
            job = spec.get("jobTemplate", {}).get("spec", spec)
            found: dict[str, Any] = job["template"]["spec"]
            return found
    raise AssertionError(f"nothing runs as {app}")


def environment(app: str) -> dict[str, str]:
    (container,) = pod(app)["containers"]
    return {each["name"]: str(each["value"]) for each in container["env"]}


def tokens(app: str) -> dict[str, dict[str, Any]]:
    """Return the tokens of a pod by the file that they are in."""
    (volume,) = [each for each in pod(app)["volumes"] if each["name"] == "tokens"]
    (mount,) = [each for each in pod(app)["containers"][0]["volumeMounts"] if each["name"] == "tokens"]
    assert mount == {"name": "tokens", "mountPath": TOKENS, "readOnly": True}
    sources = [
        each["serviceAccountToken"]
        for each in volume["projected"]["sources"]
        if len(each) == 1 and "serviceAccountToken" in each
    ]
    return {f"{TOKENS}/{source['path']}": source for source in sources}
