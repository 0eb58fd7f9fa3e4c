"""IAM: who may do what, and how somebody becomes a role."""

from __future__ import annotations

from collections.abc import Iterator

from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.documents import Principal, Statement, expanded, statements, takes_resources, writes
from machinery.grants import (
    IDENTITY_POLICIES,
    RESOURCE_POLICIES,
    ROLE,
    any_resource,
    granted,
    grants_of,
    names_whom,
    narrows,
    needs_second_factor,
    own_accounts,
    service_wide,
)
from machinery.stack import Stack
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()

GRANTS = (*IDENTITY_POLICIES, ROLE)


def trusts(role: Resource) -> list[Statement]:
    """Return the Allow statements that say who may become the role."""
    return [statement for statement in statements(role, "assumeRolePolicy") if statement.allows]


@catalogue.resource(
    "IAM-01",
    "No policy allows everything on everything",
    severity=CRITICAL,
    on=GRANTS,
    remedy="Name the actions and the resources that the work needs.",
    references=References(cis=["1.16"], fsbp=["IAM.1"], nist=["AC-6"], hipaa=["164.312(a)(1)"]),
)
def nothing_allows_everything(resource: Resource) -> Outcomes:
    for statement in grants_of(resource):
        if statement.every_action and any_resource(statement) and not narrows(statement):
            yield resource.violation(statement.path, "allows every action on every resource")


@catalogue.resource(
    "IAM-02",
    "No policy allows a whole service, or writes to any resource, unless a condition narrows it",
    severity=HIGH,
    on=GRANTS,
    remedy="Name the actions; name the resources, or narrow them by a condition such as aws:ResourceTag.",
    references=References(
        fsbp=["IAM.21"], nist=["AC-6"], hipaa=["164.312(a)(1)"], pci=["7.2.1"], aws_ai=["AISF-IAM-02"]
    ),
)
def grants_are_narrow(resource: Resource) -> Outcomes:
    for statement in grants_of(resource):
        if narrows(statement):
            continue
        if any(service_wide(action) for action in statement.actions):
            yield resource.violation(statement.path, "allows every action of a service")
        elif any_resource(statement) and (action := _narrowable_write(statement)):
            yield resource.violation(statement.path, f"allows {action} on any resource")


def _narrowable_write(statement: Statement) -> str:
    """Return an action that changes something and could be limited to resources, where there is one."""
    return next(
        (
            action
            for pattern in statement.actions
            for action in sorted(expanded(pattern))
            if writes(action) and takes_resources(action)
        ),
        "",
    )


@catalogue.resource(
    "IAM-03",
    "No role can be assumed by everybody, or by a foreign account without a condition",
    severity=CRITICAL,
    on=ROLE,
    remedy="Name the principals; for another account ask for sts:ExternalId, aws:PrincipalOrgID or a second factor.",
    references=References(nist=["AC-3"], hipaa=["164.312(a)(1)"], pci=["7.2.1"], aws_ai=["AISF-IAM-05"]),
)
def trust_is_narrow(role: Resource) -> Outcomes:
    own = own_accounts(role)
    for statement in trusts(role):
        if statement.everyone and not names_whom(statement):
            yield role.violation(statement.path, "lets everybody assume the role")
        elif any(_foreign(principal, own) for principal in statement.principals) and not statement.binding():
            yield role.violation(statement.path, "lets a foreign account assume the role without a condition")


def _foreign(principal: Principal, own: frozenset[str]) -> bool:
    return principal.kind == "AWS" and not principal.everyone and principal.account not in own


ADMINISTRATION = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")

_ATTACHMENTS = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns",
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment": "managedPolicyArn",
    ROLE: "managedPolicyArns",
}


@catalogue.stack(
    "IAM-04",
    "Nobody is an administrator, but break-glass with a second factor",
    severity=HIGH,
    on=tuple(_ATTACHMENTS),
    remedy="Attach a policy with the actions that the work needs instead of AWS's administrator policies.",
    references=References(
        cis=["1.16"], fsbp=["IAM.1"], nist=["AC-6"], hipaa=["164.312(a)(1)"], pci=["7.2.1"]
    ),
)
def nobody_is_administrator(attachment: Resource, stack: Stack) -> Outcomes:
    for path, arn in attachment.texts(_ATTACHMENTS[attachment.type]):
        if arn.rpartition("/")[2] in ADMINISTRATION and not _for_break_glass(attachment, stack):
            yield attachment.violation(path, "attaches an administrator's policy")


def _for_break_glass(attachment: Resource, stack: Stack) -> bool:
    roles = [attachment] if attachment.type == ROLE else stack.targets(attachment, "role", ROLE)
    return bool(roles) and all(
        role.switch("tags.persona") == "break-glass" and all(map(needs_second_factor, trusts(role)))
        for role in roles
    )


@catalogue.resource(
    "IAM-05",
    "Every role carries a permissions boundary",
    severity=HIGH,
    on=ROLE,
    remedy="Set permissions_boundary to the platform's boundary.",
    references=References(nist=["AC-6"]),
)
def roles_carry_a_boundary(role: Resource) -> Outcomes:
    if not role.has("permissionsBoundary"):
        yield role.violation(
            "permissionsBoundary", "is missing, so nothing limits what its policies may grow to"
        )


@catalogue.resource(
    "IAM-06",
    "Users have no stored access keys and no policies of their own",
    severity=HIGH,
    on=(
        "aws:iam/accessKey:AccessKey",
        "aws:iam/userPolicy:UserPolicy",
        "aws:iam/userLoginProfile:UserLoginProfile",
    ),
    remedy="Let people take on roles through single sign-on, and workloads through their own identity.",
    references=References(
        cis=["1.13", "1.15"], fsbp=["IAM.2", "IAM.3"], nist=["IA-5"], aws_ai=["AISF-IAM-03"]
    ),
)
def users_hold_nothing(resource: Resource) -> Outcomes:
    problem = {
        "aws:iam/accessKey:AccessKey": "stores an access key that never expires",
        "aws:iam/userPolicy:UserPolicy": "grants to a single user",
    }.get(resource.type, "stores a password for a user")
    yield resource.violation("", problem)


@catalogue.resource(
    "IAM-07",
    "Trust in an OpenID Connect provider names its audience and one subject",
    severity=HIGH,
    on=ROLE,
    remedy="Add StringEquals conditions on <issuer>:aud and <issuer>:sub, with owner and repository (or service account) in full.",
    references=References(nist=["IA-8"]),
)
def federated_trust_is_exact(role: Resource) -> Outcomes:
    for statement in trusts(role):
        for principal in statement.principals:
            if principal.kind != "Federated" or ":saml-provider/" in principal.name:
                continue
            if not _exact(statement, "*:aud"):
                yield role.violation(statement.path, "does not say for which audience")
            if not _exact(statement, "*:sub"):
                yield role.violation(statement.path, "does not say for which subject, or leaves it open")


def _exact(statement: Statement, key: str) -> bool:
    return any(
        condition.operator.lower().removeprefix("foranyvalue:") in ("stringequals", "stringlike")
        and all(_names_one(value) for value in condition.values)
        for condition in statement.binding(key)
    )


def _names_one(value: str) -> bool:
    """Say whether a subject has no wildcard, or one only behind owner and repository."""
    parts = value.split(":")
    fixed = parts[:2] if parts[0] == "repo" and len(parts) > 2 else parts
    return not any("*" in part or "?" in part for part in fixed)


@catalogue.resource(
    "IAM-08",
    "People need a second factor to become a role",
    severity=HIGH,
    on=ROLE,
    remedy='Add the condition {"Bool": {"aws:MultiFactorAuthPresent": "true"}} to the trust policy.',
    references=References(
        cis=["1.10"], fsbp=["IAM.19"], nist=["IA-2(1)"], pci=["8.4.2"], hipaa=["164.312(d)"]
    ),
)
def people_need_a_second_factor(role: Resource) -> Outcomes:
    for statement in trusts(role):
        people = any(principal.kind == "AWS" for principal in statement.principals)
        if people and not needs_second_factor(statement):
            yield role.violation(statement.path, "lets people in with a password alone")


_PASSWORDS = {
    "minimumPasswordLength": (14, "is shorter than 14 characters"),
    "passwordReusePrevention": (24, "lets the last 24 passwords be used again"),
}


@catalogue.stack(
    "IAM-09",
    "An account that has roles has a password policy at CIS strength",
    severity=MEDIUM,
    remedy="Add an aws.iam.AccountPasswordPolicy with minimum_password_length 14 and password_reuse_prevention 24.",
    references=References(
        cis=["1.8", "1.9"], fsbp=["IAM.7", "IAM.15", "IAM.16"], nist=["IA-5(1)"], pci=["8.3.6"]
    ),
)
def passwords_are_strong(stack: Stack) -> Outcomes:
    found = stack.of("aws:iam/accountPasswordPolicy:AccountPasswordPolicy")
    if stack.of(ROLE) and not found:
        yield stack_violation("sets no password policy for the account")
    for policy in found:
        for key, (floor, problem) in _PASSWORDS.items():
            if policy.number(key) < floor:
                yield stack_violation(f"{key}: {problem}")


ESCALATION = (
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PassRole",
    "iam:PutGroupPolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
    "lambda:UpdateFunctionCode",
    "sts:AssumeRole",
)
"""Each alone, on whatever resource, makes its holder anybody (Rhino Security Labs, "AWS IAM Privilege
Escalation - Methods and Mitigation")."""


@catalogue.resource(
    "IAM-10",
    "No policy lets its holder become somebody else",
    severity=HIGH,
    on=GRANTS,
    remedy="Name the roles or policies in full, or narrow by iam:PassedToService or iam:PermissionsBoundary.",
    references=References(nist=["AC-6(10)"], pci=["7.2.1"], aws_ai=["AISF-IAM-02"]),
)
def nobody_escalates(resource: Resource) -> Outcomes:
    for statement in grants_of(resource):
        if not _open_to_roles(statement) or narrows(statement):
            continue
        for action in ESCALATION:
            if statement.grants(action):
                yield resource.violation(statement.path, f"allows {action} on any role, user or policy")
                break


def _open_to_roles(statement: Statement) -> bool:
    """Say whether the statement is about any role, user, policy or function: ``*``, ``arn:…:role/*``."""
    return any_resource(statement) or any(
        resource.endswith("*") and resource.rstrip("*")[-1:] in ("/", ":", "")
        for resource in statement.resources
    )


_HALF_A_DAY, _HOUR = 12 * 3600, 3600


@catalogue.resource(
    "IAM-11",
    "Sessions end: people's within twelve hours, break-glass within one",
    severity=MEDIUM,
    on=ROLE,
    remedy="Set max_session_duration to 43200 seconds or less, for break-glass to 3600.",
    references=References(nist=["AC-12"]),
)
def sessions_end(role: Resource) -> Outcomes:
    longest = _HOUR if role.switch("tags.persona") == "break-glass" else _HALF_A_DAY
    if role.number("maxSessionDuration", _HOUR) > longest:
        yield role.violation("maxSessionDuration", f"is longer than {longest} seconds")


@catalogue.stack(
    "IAM-12",
    "An account that has roles has an Access Analyzer for access from outside",
    severity=MEDIUM,
    remedy="Add an aws.accessanalyzer.Analyzer of type ACCOUNT or ORGANIZATION.",
    references=References(cis=["1.20"], fsbp=["IAM.28"], nist=["CA-7"], aws_ai=["AISF-DATA-02"]),
)
def outside_access_is_analysed(stack: Stack) -> Outcomes:
    analyzers = stack.of("aws:accessanalyzer/analyzer:Analyzer")
    kinds = {analyzer.word("type", "ACCOUNT") for analyzer in analyzers}
    if stack.of(ROLE) and not kinds & {"ACCOUNT", "ORGANIZATION"}:
        yield stack_violation("has no Access Analyzer that looks for access from outside")


@catalogue.resource(
    "IAM-13",
    "Nothing is allowed by exception",
    severity=HIGH,
    on=tuple(dict.fromkeys((*GRANTS, *RESOURCE_POLICIES))),
    remedy="List what is allowed (Action, Principal, Resource); keep NotAction and NotPrincipal for Deny.",
    references=References(nist=["AC-6"], pci=["7.2.1"]),
)
def nothing_is_allowed_by_exception(resource: Resource) -> Outcomes:
    for statement in _every_statement(resource):
        if statement.allows and (
            statement.not_actions or statement.not_principals or statement.not_resources
        ):
            yield resource.violation(statement.path, "allows everything but a list")


def _every_statement(resource: Resource) -> Iterator[Statement]:
    places = granted(resource) if resource.type in GRANTS else []
    if key := RESOURCE_POLICIES.get(resource.type):
        places = [*places, (resource, key)]
    for node, key in places:
        yield from statements(node, key)


# AWS sends neither aws:SourceArn nor aws:SourceAccount when these assume a role for what they run.
_WITHOUT_SOURCE = (
    "ec2.amazonaws.com",
    "eks.amazonaws.com",
    "eks-fargate-pods.amazonaws.com",
    "edgelambda.amazonaws.com",
    "lambda.amazonaws.com",
    "pods.eks.amazonaws.com",
    "ssm.amazonaws.com",
)


@catalogue.resource(
    "IAM-14",
    "A service may become a role only on behalf of this account's own resources",
    severity=MEDIUM,
    on=ROLE,
    remedy="Add a condition on aws:SourceAccount or aws:SourceArn to the trust policy.",
    references=References(nist=["AC-3"]),
)
def services_act_for_us_only(role: Resource) -> Outcomes:
    for statement in trusts(role):
        services = [p.name for p in statement.principals if p.kind == "Service"]
        if any(name not in _WITHOUT_SOURCE for name in services) and not statement.binding(
            "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid"
        ):
            yield role.violation(statement.path, "lets a service act for somebody else's resources")


# Buckets and keys have controls of their own (STO-02, KEY-03), endpoints of the VPC as well (NET-07).
DOORS = {
    "aws:backup/vaultPolicy:VaultPolicy": "policy",
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy": "policy",
    "aws:cloudwatch/logDestinationPolicy:LogDestinationPolicy": "accessPolicy",
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": "policyDocument",
    "aws:dynamodb/resourcePolicy:ResourcePolicy": "policy",
    "aws:ecr/registryPolicy:RegistryPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "policy",
    "aws:elasticsearch/domainPolicy:DomainPolicy": "accessPolicies",
    "aws:glue/resourcePolicy:ResourcePolicy": "policy",
    "aws:kinesis/resourcePolicy:ResourcePolicy": "policy",
    "aws:opensearch/domain:Domain": "accessPolicies",
    "aws:opensearch/domainPolicy:DomainPolicy": "accessPolicies",
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": "resourcePolicy",
    "aws:secretsmanager/secret:Secret": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queue:Queue": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}
_PERMISSION = "aws:lambda/permission:Permission"
_LAYER = "aws:lambda/layerVersionPermission:LayerVersionPermission"
_DOCUMENT = "aws:ssm/document:Document"
_ACCOUNTS = ("account_ids", "accountIds")
"""The provider takes a map here, whose keys no SDK translates."""


@catalogue.resource(
    "IAM-15",
    "No topic, queue, secret, image, function or index admits everybody",
    severity=CRITICAL,
    on=(*DOORS, _PERMISSION, _LAYER, _DOCUMENT),
    remedy="Name the principals, or bind the statement by aws:SourceAccount, aws:SourceArn or aws:PrincipalOrgID.",
    references=References(
        fsbp=["Lambda.1", "SNS.4", "SSM.4"],
        nist=["AC-3", "AC-6"],
        hipaa=["164.312(a)(1)"],
        pci=["7.2.1"],
        atlas=["AML.M0005"],
    ),
)
def no_door_stands_open(resource: Resource) -> Outcomes:
    if resource.type in (_PERMISSION, _LAYER):
        yield from _one_is_named(resource)
    elif resource.type == _DOCUMENT:
        shared = ",".join(str(resource.switch(f"permissions.{key}", absent="")) for key in _ACCOUNTS)
        if "all" in shared.lower().split(","):
            yield resource.violation("permissions", "admits everybody")
    else:
        for statement in statements(resource, DOORS[resource.type]):
            everybody = statement.everyone or bool(statement.not_principals)
            if statement.allows and everybody and not names_whom(statement):
                yield resource.violation(statement.path, "admits everybody")


def _one_is_named(permission: Resource) -> Outcomes:
    if permission.switch("principal") != "*":
        return
    if not any(
        permission.has(key) for key in ("sourceAccount", "sourceArn", "principalOrgId", "organizationId")
    ):
        yield permission.violation("principal", "admits everybody")
