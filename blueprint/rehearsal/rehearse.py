"""Rehearses an environment: record, translate, then let the real provider validate and plan every resource."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint import program
from blueprint.environments import ROOT
from blueprint.graph import Graph
from blueprint.rehearsal.terraform import PhaseFailed, Terraform
from blueprint.rehearsal.translate import Answers, Configuration, translate, with_dependants

# Port 9 of this machine discards (RFC 863) and nobody listens there: a plan of new resources asks AWS nothing,
# and if it ever does, it must not get through.
_NOWHERE = "http://127.0.0.1:9"

_BARE = {"terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}}}

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the provider said of an environment."""

    stack: str
    provider: str
    planned: tuple[str, ...]
    """Pulumi names of what the provider would create."""
    left_out: dict[str, str]
    """Pulumi names of what this version of the provider does not know, and why."""
    seconds: float

    def as_json_value(self) -> dict[str, Any]:
        """Return the plan for machines."""
        return {
            "schema": 1,
            "stack": self.stack,
            "provider": f"hashicorp/aws {self.provider}",
            "planned": sorted(self.planned),
            "left_out": self.left_out,
            "seconds": round(self.seconds, 1),
        }


def plan(environment: str, *, timeout_seconds: float, tell: Tell, root: Path = ROOT) -> Plan:
    """Return the provider's plan for an environment.

    Raises:
        BadInput: a setting is wrong, or Terraform or the provider is not to be had.
        Untranslatable: something in the graph has no counterpart in the provider.
        PhaseFailed: the provider refuses something, or the time limit is reached.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        terraform = Terraform(
            Path(folder),
            endpoint=_NOWHERE,
            deadline=lambda: timeout_seconds - (time.monotonic() - started),
        )
        tell("Asking the provider for its schema")
        terraform.write(_BARE)
        terraform.initialise()
        schema = terraform.schema()
        tell(f"Running the program for {environment}")
        graph = program.run(environment, answer=Answers(schema), root=root)
        configuration = translate(graph, schema)
        leaning = with_dependants(configuration, configuration.left_out)
        kept = set(configuration.resources) - set(leaning)
        terraform.write(configuration.document(kept, _providers(graph)))
        tell(f"Planning {len(kept)} resources with provider {schema.version}")
        planned = _planned(terraform, configuration)
    return Plan(
        stack=graph.stack,
        provider=schema.version,
        planned=tuple(planned),
        left_out={
            _name(configuration, each): configuration.left_out[on] for each, on in sorted(leaning.items())
        },
        seconds=time.monotonic() - started,
    )


def _planned(terraform: Terraform, configuration: Configuration) -> list[str]:
    planned: list[str] = []
    refused: list[str] = []
    for event in terraform.events("plan", "-input=false", "-json"):
        if event["type"] == "planned_change":
            planned.append(_name(configuration, event["change"]["resource"]["addr"]))
        elif event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
            refused.append(_refusal(configuration, event["diagnostic"]))
        elif event["type"] == "exit" and event["timed_out"]:
            raise PhaseFailed("plan: took longer than the time limit; give it more with --timeout")
        elif event["type"] == "exit" and event["code"] != 0 and not refused:
            refused.append(f"the provider ended with status {event['code']} and said nothing")
    if refused:
        raise PhaseFailed("plan: the provider refuses:\n  " + "\n  ".join(sorted(set(refused))))
    return planned


def _refusal(configuration: Configuration, diagnostic: dict[str, Any]) -> str:
    """Return one line: the Pulumi resource's name, and the provider's own words."""
    place = diagnostic.get("address", "")
    words = " ".join(f"{diagnostic.get('summary', '')}: {diagnostic.get('detail', '')}".split())
    return f"{_name(configuration, place) if place else 'the configuration'}: {words[:400]}"


def _name(configuration: Configuration, place: str) -> str:
    resource = configuration.sources.get(place)
    return f"{resource.name} ({resource.type})" if resource else place


def _providers(graph: Graph) -> list[dict[str, Any]]:
    """Return each explicit AWS provider as an alias, asking nobody who it is."""
    return [
        {
            "alias": provider.name,
            "region": provider.inputs["region"],
            "default_tags": json.loads(provider.inputs.get("defaultTags", '{"tags": {}}')),
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "skip_requesting_account_id": True,
            "s3_use_path_style": True,
            # The default is 25, with minutes between: nothing here is worth a second try.
            "max_retries": 1,
        }
        for provider in graph.of("pulumi:providers:aws")
    ]
