"""Who may do what: Cedar policies in files, checked against a schema at start-up; the default is no."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import cedarpy
import yaml

from services.data_api.declarations import Dataset
from services.shared.tokens import Caller

MOST_REMEMBERED = 10_000
"""Decisions that are remembered: policies do not change while the service runs, so the same question has one answer."""


class PolicyError(Exception):
    """The policies do not fit the schema; nothing is served under them."""


class _Question(NamedTuple):
    """Everything that a decision depends on."""

    caller: Caller
    action: str
    name: str
    declared: bool
    purpose: str | None
    address: str
    hour: int


class Policies:
    """The policies of a folder: ``*.cedar``, ``schema.cedarschema`` and ``roles.yaml``."""

    def __init__(self, folder: Path) -> None:
        """Read and check them.

        Raises:
            PolicyError: a policy does not parse, or speaks of what the schema does not know.
        """
        text = "\n".join(path.read_text() for path in sorted(folder.glob("*.cedar")))
        schema = (folder / "schema.cedarschema").read_text()
        try:
            result = cedarpy.validate_policies(text, schema)
            self._policies = cedarpy.PolicySet.from_str(text)
            self._schema = cedarpy.Schema.from_str(schema)
        except ValueError as error:
            raise PolicyError(f"{folder}: {error}") from None
        if not result.validation_passed:
            raise PolicyError(f"{folder}: {'; '.join(str(error) for error in result.errors)}")
        self._decided: dict[_Question, bool] = {}
        self._roles: dict[str, list[str]] = yaml.safe_load((folder / "roles.yaml").read_text()) or {}

    def allows(
        self,
        caller: Caller,
        action: str,
        name: str,
        dataset: Dataset | None,
        *,
        purpose: str | None,
        address: str,
    ) -> bool:
        """Decide. A dataset that does not exist is asked about like any other, and then refused."""
        asked = _Question(caller, action, name, dataset is not None, purpose, address, datetime.now(UTC).hour)
        if asked not in self._decided:
            if len(self._decided) >= MOST_REMEMBERED:
                self._decided.clear()
            self._decided[asked] = self._decide(asked, dataset)
        return self._decided[asked]

    def _decide(self, asked: _Question, dataset: Dataset | None) -> bool:
        who = {"type": "ServiceAccount", "id": asked.caller.principal}
        what = {"type": "Dataset", "id": asked.name}
        entities: list[dict[str, Any]] = [
            {
                "uid": who,
                "attrs": {"namespace": asked.caller.namespace, "name": asked.caller.service_account},
                "parents": self._parents(asked.caller),
            },
            {
                "uid": what,
                "attrs": {
                    "classifications": sorted({c.classification for c in dataset.columns.values()})
                    if dataset
                    else [],
                    "purposes": dataset.purposes if dataset else [],
                },
                "parents": [],
            },
        ]
        context: dict[str, object] = {
            "address": {"__extn": {"fn": "ip", "arg": asked.address}},
            "hour": asked.hour,
        }
        if asked.purpose is not None:
            context["purpose"] = asked.purpose
        request = {
            "principal": who,
            "action": {"type": "Action", "id": asked.action},
            "resource": what,
            "context": context,
        }
        decided = cedarpy.is_authorized(request, self._policies, entities, self._schema)
        # A policy that erred was skipped, and it may have been the one that forbids.
        # Looked at in this order, so that a refusal is the same work whether or not the dataset exists.
        return decided.allowed and not decided.diagnostics.errors and dataset is not None

    def _parents(self, caller: Caller) -> list[dict[str, str]]:
        roles = [role for role, members in self._roles.items() if caller.principal in members]
        return [
            {"type": "Namespace", "id": caller.namespace},
            *({"type": "Role", "id": role} for role in roles),
        ]
