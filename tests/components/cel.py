"""ValidatingAdmissionPolicies evaluated as the API server does it: variables first, then every expression."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import celpy
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

from components.admission_rules import Rule


@lru_cache(maxsize=256)
def _program(expression: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression))


def evaluate(expression: str, said: Mapping[str, Any]) -> Any:
    """Evaluate an expression; an error of CEL's is raised."""
    return _program(expression).evaluate(dict(said))


def refusals(rule: Rule, pod: Mapping[str, Any]) -> list[str]:
    """Return what the API server would tell whoever creates the pod; nothing where it is admitted.

    An expression that fails is a refusal too (``failurePolicy: Fail``).
    """
    said: dict[str, Any] = {"object": json_to_cel(dict(pod))}
    try:
        variables = {key: evaluate(text, said) for key, text in rule.variables.items()}
    except CELEvalError as error:
        return [f"failed: {error}"]
    said["variables"] = celpy.celtypes.MapType(
        {celpy.celtypes.StringType(key): value for key, value in variables.items()}
    )
    found = []
    for validation in rule.validations:
        try:
            holds = bool(evaluate(validation.expression, said))
        except CELEvalError as error:
            found.append(f"failed: {error}")
            continue
        if not holds:
            found.append(validation.message)
    return found
