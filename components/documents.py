"""AWS policy documents as Python values, written to JSON when every reference in them is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi

Conditions = Mapping[str, Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]
"""Operator, then condition key, then value or values: ``{"StringEquals": {"aws:SourceAccount": account}}``."""

Principals = Mapping[str, Sequence[pulumi.Input[str]]] | Literal["*"]
"""Kind of principal to its names: ``{"Service": ["logs.amazonaws.com"]}``; ``"*"`` is everyone."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy document (IAM User Guide, "IAM JSON policy elements reference").

    ``resources`` is left out of trust policies, which have none: pass ``None``.
    """

    sid: str
    actions: Sequence[str] = ()
    not_actions: Sequence[str] = ()
    """Only ever with ``Deny``: allowing all but a list allows what AWS invents tomorrow."""
    resources: Sequence[pulumi.Input[str]] | None = None
    effect: Literal["Allow", "Deny"] = "Allow"
    principals: Principals | None = None
    conditions: Conditions = field(default_factory=dict)

    def as_json_value(self) -> dict[str, Any]:
        """Return the statement in AWS's own spelling, with empty elements left out."""
        if bool(self.actions) == bool(self.not_actions) or (self.not_actions and self.effect == "Allow"):
            raise ValueError(f"statement {self.sid}: write actions, or not_actions in a Deny")
        verb, actions = ("Action", self.actions) if self.actions else ("NotAction", self.not_actions)
        value: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect, verb: list(actions)}
        if self.principals is not None:
            value["Principal"] = (
                "*"
                if self.principals == "*"
                else {kind: list(names) for kind, names in self.principals.items()}
            )
        if self.resources is not None:
            value["Resource"] = list(self.resources)
        if self.conditions:
            value["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return value


def policy_document(*statements: Statement) -> pulumi.Output[str]:
    """Return the JSON text of a policy document that holds ``statements`` in this order."""
    return pulumi.Output.json_dumps(
        {"Version": "2012-10-17", "Statement": [statement.as_json_value() for statement in statements]}
    )


def partition_of(region: str) -> str:
    """Return the ARN partition of a region: ``aws``, ``aws-us-gov`` or ``aws-cn``."""
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws"
