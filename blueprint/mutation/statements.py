"""Policy documents that grant more or refuse less, one statement and one thought at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Loosened = tuple[str, str, dict[str, Any]]
"""Where in the document, what was done, and the document."""


STRANGER = "999999999999"
"""An account that is not the platform's."""

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
"""It carries the calls of one service, so ``*`` is no more in its policy than all of that service."""

OF_ONE = (
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:kms/key:Key",
    "aws:kms/replicaKey:ReplicaKey",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sqs/queuePolicy:QueuePolicy",
)
"""Policies of one resource, in which ``*`` means that resource, or is refused by AWS."""

SAME = (
    # Who calls, and for whom a service calls: one of them is enough (IAM User Guide, "Confused deputy").
    {
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:principalarn",
        "aws:principalaccount",
        "kms:calleraccount",
        "kms:encryptioncontext:aws:cloudtrail:arn",
        "kms:encryptioncontext:aws:logs:arn",
        "kms:encryptioncontext:aws:sns:topicarn",
    },
    # That a service calls, or which one (KMS Developer Guide, "AWS KMS condition keys").
    {"kms:viaservice", "kms:grantisforawsresource"},
)
"""Conditions of which another one of the set does the same, so that taking one out loosens nothing."""

_NAMES_WHOM = ("kms:calleraccount", "aws:principalaccount", "aws:principalarn")


def loosened(document: dict[str, Any], type_: str) -> Iterator[Loosened]:
    """Yield every looser form of a policy document of a resource of this type.

    What AWS would not take (any action in a trust policy) and what is no looser is left out.
    """
    statements = document["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    resource_policy = any("Principal" in statement for statement in statements)
    for index, statement in enumerate(statements):
        at = f"Statement[{index}]"

        def changed(new: dict[str, Any] | None, index: int = index) -> dict[str, Any]:
            kept = [*statements[:index], *([new] if new else []), *statements[index + 1 :]]
            return {**document, "Statement": kept}

        if statement["Effect"] == "Deny":
            yield from _refuses_less(statement, at, changed, len(statements) > 1)
        else:
            yield from _grants_more(statement, at, changed, type_)
    everything: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    if resource_policy:
        everything["Principal"] = "*"
    if any("Resource" not in statement for statement in statements):
        everything = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
    yield "", "everything for everybody added", {**document, "Statement": [*statements, everything]}


def _refuses_less(statement: dict[str, Any], at: str, changed: Any, more: bool) -> Iterator[Loosened]:
    if more:
        yield at, "refusal taken out", changed(None)
    spared = {**statement.get("Condition", {})}
    spared["ArnNotLike"] = {**spared.get("ArnNotLike", {}), "aws:PrincipalArn": "*"}
    yield f"{at}.Condition", "spares everybody", changed({**statement, "Condition": spared})


def _grants_more(statement: dict[str, Any], at: str, changed: Any, type_: str) -> Iterator[Loosened]:
    actions = statement.get("Action", [])
    actions = actions if isinstance(actions, list) else [actions]
    keys = {key.lower() for condition in statement.get("Condition", {}).values() for key in condition}
    if "Action" in statement and actions != ["*"] and "Resource" in statement:
        if type_ != ENDPOINT:
            yield f"{at}.Action", "→ *", changed({**statement, "Action": "*"})
        for service in sorted({action.partition(":")[0] for action in actions if ":" in action}):
            wide = f"{service}:*"
            if wide not in actions:
                yield f"{at}.Action", f"{wide} added", changed({**statement, "Action": [*actions, wide]})
    if statement.get("Resource", "*") not in ("*", ["*"]) and type_ not in OF_ONE:
        yield f"{at}.Resource", "→ *", changed({**statement, "Resource": "*"})
    if "Principal" in statement:
        if statement["Principal"] not in ("*", {"AWS": "*"}) and not keys & set(_NAMES_WHOM):
            yield f"{at}.Principal", "→ *", changed({**statement, "Principal": "*"})
        root = {"AWS": f"arn:aws:iam::{STRANGER}:root"}
        yield f"{at}.Principal", "→ a stranger's account", changed({**statement, "Principal": root})
    yield from _without_conditions(statement, at, changed)


def _without_conditions(statement: dict[str, Any], at: str, changed: Any) -> Iterator[Loosened]:
    conditions = statement.get("Condition")
    if not conditions:
        return
    bare = {key: value for key, value in statement.items() if key != "Condition"}
    yield f"{at}.Condition", "taken out", changed(bare)
    if sum(map(len, conditions.values())) < 2:
        return
    for operator, keys in conditions.items():
        for key in keys:
            if _another_does(key, conditions) or _principal_does(key, statement):
                continue
            fewer = {k: v for k, v in keys.items() if k != key}
            rest = {o: ks for o, ks in conditions.items() if o != operator} | (
                {operator: fewer} if fewer else {}
            )
            yield (
                f"{at}.Condition.{operator}.{key}",
                "taken out",
                changed({**statement, "Condition": rest}),
            )


def _another_does(key: str, conditions: dict[str, Any]) -> bool:
    others = {other.lower() for keys in conditions.values() for other in keys} - {key.lower()}
    return any(key.lower() in same and others & same for same in SAME)


def _principal_does(key: str, statement: dict[str, Any]) -> bool:
    """Say whether the principal is of one account anyway, so that naming the account says nothing more."""
    principal = statement.get("Principal")
    return key.lower() == "kms:calleraccount" and isinstance(principal, dict) and "AWS" in principal
