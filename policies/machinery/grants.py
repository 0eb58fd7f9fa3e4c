"""Where policy documents stand, and what makes a statement of one narrow enough."""

from __future__ import annotations

import json
from collections.abc import Iterator

from machinery.documents import Statement, statements
from machinery.subject import Node, Resource

ROLE = "aws:iam/role:Role"

IDENTITY_POLICIES: dict[str, str] = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy": "inlinePolicy",
}
"""Resources that grant something to whom they are attached to, and the property that holds the document."""

RESOURCE_POLICIES: dict[str, str] = {
    "aws:kms/key:Key": "policy",
    "aws:kms/replicaKey:ReplicaKey": "policy",
    "aws:kms/externalKey:ExternalKey": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:backup/vaultPolicy:VaultPolicy": "policy",
    "aws:iam/role:Role": "assumeRolePolicy",
}
"""Resources that say themselves who may do something with them."""

CIRCUMSTANCES = (
    "aws:securetransport",
    "aws:multifactorauthpresent",
    "aws:multifactorauthage",
    "aws:currenttime",
    "aws:epochtime",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:referer",
    "aws:requestedregion",
)
"""Conditions that say when or how, not what or who: they stop nobody who is let in."""

_WHO = (
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:userid",
    "kms:calleraccount",
    "sts:externalid",
    "s3:dataaccesspointaccount",
    "aws:sourcevpce",
    "aws:sourcevpc",
)
"""Conditions that say who."""


def granted(resource: Resource) -> list[tuple[Node, str]]:
    """Return the places of a resource where identity policies stand, as ``(node, property)``."""
    if resource.type == ROLE:
        return [(node, "policy") for node in resource.items("inlinePolicies")]
    return [(resource, IDENTITY_POLICIES[resource.type])]


def grants_of(resource: Resource) -> Iterator[Statement]:
    """Yield the Allow statements of every identity policy in a resource."""
    for node, key in granted(resource):
        yield from (statement for statement in statements(node, key) if statement.allows)


def narrows(statement: Statement) -> bool:
    """Say whether a condition of the statement narrows what it is about, or whom."""
    return any(not c.negated and c.key not in CIRCUMSTANCES for c in statement.binding())


def names_whom(statement: Statement) -> bool:
    """Say whether a condition of the statement says who may come."""
    return any(not condition.negated for condition in statement.binding(*_WHO))


def needs_second_factor(statement: Statement) -> bool:
    """Say whether the statement lets in only who signed in with a second factor."""
    return any(
        condition.operator.lower() == "bool" and condition.values == ("true",)
        for condition in statement.binding("aws:multifactorauthpresent")
    )


def service_wide(action: str) -> bool:
    """Say whether an action pattern is about all of a service: ``s3:*``, ``s*:*``, ``*``."""
    return action.partition(":")[2].strip("*") == ""


def any_resource(statement: Statement) -> bool:
    """Say whether a statement is about every resource of a service: ``*`` or ``arn:aws:s3:::*``."""
    if statement.not_resources:
        return True
    return statement.every_resource or any(map(_whole_service, statement.resources))


def _whole_service(resource: str) -> bool:
    parts = resource.split(":", 5)
    return len(parts) == 6 and parts[5] == "*"


def own_accounts(resource: Resource) -> frozenset[str]:
    """Return the accounts that the resource's provider may touch (a list as JSON text)."""
    allowed = resource.provider.get("allowedAccountIds")
    try:
        accounts = json.loads(allowed) if isinstance(allowed, str) else allowed
    except ValueError:
        accounts = None
    return frozenset(map(str, accounts)) if isinstance(accounts, list) else frozenset()
