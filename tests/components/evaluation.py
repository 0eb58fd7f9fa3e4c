"""Judges requests as IAM does, as far as the platform's resource policies go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, str]
Test = Callable[[str | None, list[str]], bool]

# What a condition says of the key's value (None where the request has none). IAM User Guide, "IAM JSON policy
# elements: Condition operators": a negated operator holds for a key that is absent.
_OPERATORS: dict[str, Test] = {
    "StringEquals": lambda found, wanted: found in wanted,
    "StringNotEquals": lambda found, wanted: found not in wanted,
    "ArnNotEquals": lambda found, wanted: found not in wanted,
    "ArnLike": lambda found, wanted: found is not None and any(fnmatchcase(found, each) for each in wanted),
    "Bool": lambda found, wanted: found in wanted,
    "Null": lambda found, wanted: (found is None) is (wanted == ["true"]),
    "NumericLessThan": lambda found, wanted: found is not None and float(found) < float(wanted[0]),
}


def holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Say whether every condition of a statement holds of a request."""
    return all(
        _OPERATORS[operator](context.get(key), [wanted] if isinstance(wanted, str) else list(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def admitted(
    statements: Sequence[Mapping[str, Any]],
    *,
    action: str,
    resource: str,
    service: str | None = None,
    context: Context | None = None,
) -> bool:
    """Say whether a resource policy lets a request through.

    With ``service`` an AWS service calls, which needs a statement that allows it; without, somebody of the account
    whose own policies allow everything, so that only a refusal stops it.
    """
    known = {
        "aws:SecureTransport": "true",
        "s3:TlsVersion": "1.3",
        **({"aws:PrincipalServiceName": service} if service else {}),
        **(context or {}),
    }
    about = [
        said
        for said in statements
        if any(fnmatchcase(action, pattern) for pattern in said["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in said["Resource"])
        and (said["Principal"] == "*" or service in said["Principal"].get("Service", []))
        and holds(said.get("Condition", {}), known)
    ]
    if any(said["Effect"] == "Deny" for said in about):
        return False
    return service is None or any(said["Effect"] == "Allow" for said in about)
