"""IAM: what policies let in from outside, how wide they are, and whether a boundary keeps itself."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from machinery.control import HIGH, LOW, MEDIUM, Catalogue, References
from machinery.documents import Condition, Statement, statements
from machinery.grants import (
    CIRCUMSTANCES,
    IDENTITY_POLICIES,
    RESOURCE_POLICIES,
    ROLE,
    any_resource,
    grants_of,
    needs_second_factor,
    own_accounts,
    service_wide,
)
from machinery.stack import Stack
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()

POLICY = "aws:iam/policy:Policy"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
LAMBDA_PERMISSION = "aws:lambda/permission:Permission"
PASSWORD_POLICY = "aws:iam/accountPasswordPolicy:AccountPasswordPolicy"  # noqa: S105 - a type
OIDC_PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"

DOCUMENTS: Mapping[str, str] = {
    **RESOURCE_POLICIES,
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": "policyDocument",
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": "repositoryPolicy",
    ENDPOINT: "policy",
}
"""Every policy that says who may come, and the property that holds it."""

_OF_RESOURCES = tuple(type_ for type_ in DOCUMENTS if type_ not in (ROLE, ENDPOINT))

_OUTSIDERS_MAY = ("sts:externalid", "aws:principalorgid", "aws:principalorgpaths")


@catalogue.resource(
    "IAM-16",
    "No policy lets in another account",
    severity=HIGH,
    on=tuple(DOCUMENTS),
    remedy="Name principals of the accounts in allowed_account_ids; bind others by sts:ExternalId or aws:PrincipalOrgID.",
    references=References(fsbp=["S3.6"], nist=["AC-3", "AC-4"], pci=["7.2.1"]),
)
def no_other_account(resource: Resource) -> Outcomes:
    own = own_accounts(resource)
    for statement in statements(resource, DOCUMENTS[resource.type]):
        if not statement.allows or statement.binding(*_OUTSIDERS_MAY):
            continue
        named = {p.account for p in statement.principals if p.kind == "AWS" and p.account}
        if own and named - own:
            yield resource.violation(statement.path, "lets in another account")


_FOR_WHOM = (
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "kms:calleraccount",
    "kms:encryptioncontext:*",
    "kms:viaservice",
)
_WHO_CALLS = (
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principaltag/*",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "kms:calleraccount",
    "s3:dataaccesspointaccount",
)


@catalogue.resource(
    "IAM-17",
    "A service is let in only on behalf of somebody who is named, and everybody only by who calls",
    severity=HIGH,
    on=(*_OF_RESOURCES, LAMBDA_PERMISSION),
    remedy="Add aws:SourceAccount or aws:SourceArn (source_arn for a function); where the principal is *, bind who calls.",
    references=References(nist=["AC-3"], aws_ai=["AISF-IAM-05"]),
)
def services_come_for_somebody(resource: Resource) -> Outcomes:
    if resource.type == LAMBDA_PERMISSION:
        if not (resource.has("sourceArn") or resource.has("sourceAccount") or resource.has("principalOrgId")):
            yield resource.violation("sourceArn", "is missing, so whoever the principal acts for may call")
        if resource.word("principal") == "*" and not resource.has("principalOrgId"):
            yield resource.violation("principal", "is everybody")
        return
    for statement in statements(resource, DOCUMENTS[resource.type]):
        if not statement.allows:
            continue
        if any(p.kind == "Service" for p in statement.principals) and not statement.binding(*_FOR_WHOM):
            yield resource.violation(statement.path, "lets a service in for somebody else's resources")
        if statement.everyone and not statement.binding(*_WHO_CALLS):
            yield resource.violation(statement.path, "admits everybody, whoever calls")


_POD_TAGS = ("eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account")


@catalogue.resource(
    "IAM-18",
    "What is for pods is for one service account of one namespace of one cluster",
    severity=MEDIUM,
    on=(ROLE, "aws:kms/key:Key", "aws:kms/keyPolicy:KeyPolicy"),
    remedy="Add StringEquals conditions on eks-cluster-name, kubernetes-namespace and kubernetes-service-account: aws:RequestTag in the trust of a role, aws:PrincipalTag in the policy of a key.",
    references=References(nist=["AC-3", "AC-6"], kubernetes=["5.1.5"]),
)
def pods_are_told_apart(resource: Resource) -> Outcomes:
    for statement in statements(resource, DOCUMENTS[resource.type]):
        if not statement.allows or not _is_for_pods(statement):
            continue
        kind = "aws:RequestTag" if resource.type == ROLE else "aws:PrincipalTag"
        for tag in _POD_TAGS:
            if not statement.binding(f"{kind}/{tag}", f"{kind}/{tag}-arn"):
                yield resource.violation(statement.path, f"is for pods of any {tag}")


def _is_for_pods(statement: Statement) -> bool:
    return any(p.name == "pods.eks.amazonaws.com" for p in statement.principals) or any(
        statement.binding(f"aws:PrincipalTag/{tag}") for tag in _POD_TAGS
    )


@catalogue.resource(
    "IAM-19",
    "The policy of a resource grants no service as a whole",
    severity=MEDIUM,
    on=(*_OF_RESOURCES, ENDPOINT),
    remedy="Name the actions; in the policy of an endpoint, bind the statement by aws:PrincipalAccount and aws:ResourceAccount.",
    references=References(nist=["AC-6"], pci=["7.2.1"]),
)
def resources_grant_actions_by_name(resource: Resource) -> Outcomes:
    for statement in statements(resource, DOCUMENTS[resource.type]):
        if not statement.allows or not any(map(service_wide, statement.actions)):
            continue
        if resource.type == ENDPOINT and statement.binding(*_WHOSE) and statement.binding(*_OURS):
            continue
        yield resource.violation(statement.path, "grants every action of a service")


_OURS = ("aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:principalarn")
_WHOSE = ("aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "s3:resourceaccount")

_SECONDS_OF_HALF_A_DAY = 43200


@catalogue.resource(
    "IAM-20",
    "A second factor counts for half a day at most",
    severity=LOW,
    on=ROLE,
    remedy="Add NumericLessThan aws:MultiFactorAuthAge, 43200 or less, beside aws:MultiFactorAuthPresent.",
    references=References(nist=["IA-2(1)", "IA-11"], pci=["8.4.2"]),
)
def second_factors_are_fresh(role: Resource) -> Outcomes:
    for statement in statements(role, "assumeRolePolicy"):
        if not statement.allows or not needs_second_factor(statement):
            continue
        ages = [
            value
            for condition in statement.binding("aws:multifactorauthage")
            if condition.operator.lower().startswith("numericlessthan")
            for value in condition.values
        ]
        if not ages or any(not age.isdecimal() or int(age) > _SECONDS_OF_HALF_A_DAY for age in ages):
            yield role.violation(statement.path, "takes a second factor of any age")


_UNDONE_BY: Mapping[str, str] = {
    "iam:createpolicyversion": "change the boundary",
    "iam:putrolepolicy": "write rights into a role without the boundary",
    "iam:deleterolepermissionsboundary": "take the boundary off a role",
    "iam:createaccesskey": "make keys that last",
    "iam:createsamlprovider": "let another identity provider in",
    "eks:createaccessentry": "let themselves into a cluster",
    "organizations:leaveorganization": "leave the organisation",
    "cloudtrail:stoplogging": "stop the trail",
    "access-analyzer:deleteanalyzer": "blind the analyzer",
    "eks:createpodidentityassociation": "become a pod",
    "ec2-instance-connect:sendsshpublickey": "put a key of theirs on a machine",
}
"""What a boundary has to refuse, or it can be left (IAM User Guide, "Permissions boundaries for IAM entities")."""

_WITHIN = ("iam:permissionsboundary", "aws:requestedregion")


@catalogue.stack(
    "IAM-21",
    "A permissions boundary refuses whatever would undo it or blind those who watch",
    severity=HIGH,
    on=POLICY,
    remedy="Deny in the boundary, on *, changes of the boundary itself, credentials that last, other identity providers, entries into clusters, leaving the organisation and stopping the trail.",
    references=References(nist=["AC-6(1)", "AC-6(10)"]),
)
def boundaries_keep_themselves(policy: Resource, stack: Stack) -> Outcomes:
    if not _is_boundary(policy, stack):
        return
    refusals = [s for s in statements(policy, "policy") if not s.allows]
    for action, what in _UNDONE_BY.items():
        if not any(_refuses(refusal, action) for refusal in refusals):
            yield policy.violation("policy", f"lets its roles {what}")


def _is_boundary(policy: Resource, stack: Stack) -> bool:
    return bool(stack.referrers(policy, "permissionsBoundary", ROLE))


def _refuses(refusal: Statement, action: str) -> bool:
    named = (
        not any(fnmatchcase(action, pattern) for pattern in refusal.not_actions)
        if refusal.not_actions
        else any(fnmatchcase(action, pattern) for pattern in refusal.actions)
    )
    return named and all(map(_spares_the_boundary, refusal.conditions))


def _spares_the_boundary(condition: Condition) -> bool:
    """Say whether a condition of a refusal spares no more than roles that have the boundary."""
    return condition.negated and condition.key in _WITHIN and "*" not in condition.values


_CONTENT = (
    "athena:getqueryresults",
    "backup:getrecoverypointrestoremetadata",
    "cloudwatch:disablealarmactions",
    "dynamodb:getitem",
    "dynamodb:query",
    "dynamodb:scan",
    "ecr:batchgetimage",
    "elasticloadbalancing:registertargets",
    "firehose:putrecord",
    "glue:gettable",
    "iam:getrolepolicy",
    "kinesis:getrecords",
    "kms:decrypt",
    "kms:generatedatakey",
    "kms:sign",
    "kms:verify",
    "kms:creategrant",
    "kms:getkeypolicy",
    "kms:encrypt",
    "lambda:invokefunction",
    "logs:filterlogevents",
    "logs:getlogevents",
    "logs:putlogevents",
    "rds-db:connect",
    "s3:getbucketpolicy",
    "s3:getobject",
    "s3:getobjectversionforreplication",
    "s3:getreplicationconfiguration",
    "s3:listbucket",
    "s3:getbucketlocation",
    "s3:putobject",
    "s3:replicateobject",
    "secretsmanager:getsecretvalue",
    "sqs:receivemessage",
    "sqs:sendmessage",
    "ssm:getparameter",
    "ssm:getparameters",
    "wafv2:updateipset",
    "access-analyzer:getfinding",
    "ecr:describeimages",
    "eks:describeaccessentry",
    "eks:describecluster",
)
"""What reads or writes content, or says how a protection is set, and can be limited to resources."""

_HOW_NOT_WHICH = (
    "s3:prefix",
    "kms:viaservice",
    "kms:calleraccount",
    "kms:grantisforawsresource",
    *CIRCUMSTANCES,
)


@catalogue.resource(
    "IAM-22",
    "Content is read and written where it is named, not wherever there is some",
    severity=MEDIUM,
    on=(*IDENTITY_POLICIES, ROLE),
    remedy="Name the buckets, tables, keys, logs and secrets, or narrow by aws:ResourceTag; kms:ViaService says how and not which.",
    references=References(nist=["AC-6"], hipaa=["164.312(a)(1)"], pci=["7.2.1"], aws_ai=["AISF-IAM-02"]),
)
def content_is_named(resource: Resource) -> Outcomes:
    for statement in grants_of(resource):
        narrow = [c for c in statement.binding() if not c.negated and c.key not in _HOW_NOT_WHICH]
        if not any_resource(statement) or narrow:
            continue
        if found := next((action for action in _CONTENT if statement.grants(action)), ""):
            yield resource.violation(statement.path, f"allows {found} on any resource")


@catalogue.stack(
    "IAM-23",
    "No role is granted a service as a whole, whatever the condition",
    severity=HIGH,
    on=(*IDENTITY_POLICIES, ROLE),
    remedy="Name the actions; only a permissions boundary, which grants nothing, may stand for all of them.",
    references=References(fsbp=["IAM.21"], nist=["AC-6"], pci=["7.2.1"]),
)
def roles_are_granted_actions_by_name(resource: Resource, stack: Stack) -> Outcomes:
    if resource.type == POLICY and _is_boundary(resource, stack):
        return
    for statement in grants_of(resource):
        if any(map(service_wide, statement.actions)):
            yield resource.violation(statement.path, "grants every action of a service")


_BOUND_TO_RESOURCES = (
    "aws:resourceaccount",
    "aws:resourceorgid",
)


@catalogue.stack(
    "IAM-24",
    "A permissions boundary holds its roles to the account's own resources",
    severity=MEDIUM,
    on=POLICY,
    remedy="Bind what the boundary allows on * by aws:ResourceAccount; name the few resources of others, like images of AWS.",
    references=References(nist=["AC-4", "AC-6"]),
)
def boundaries_stay_in_the_account(policy: Resource, stack: Stack) -> Outcomes:
    if not _is_boundary(policy, stack):
        return
    for statement in statements(policy, "policy"):
        if statement.allows and any_resource(statement) and not statement.binding(*_BOUND_TO_RESOURCES):
            yield policy.violation(statement.path, "allows something on resources of any account")


_CHARACTERS = (
    "requireLowercaseCharacters",
    "requireNumbers",
    "requireSymbols",
    "requireUppercaseCharacters",
)


@catalogue.resource(
    "IAM-25",
    "Passwords of users mix characters and end",
    severity=LOW,
    on=PASSWORD_POLICY,
    remedy="Set require_lowercase_characters, _uppercase_characters, _numbers and _symbols, and max_password_age to 90.",
    references=References(fsbp=["IAM.7"], nist=["IA-5(1)"], pci=["8.3.6", "8.3.9"]),
)
def passwords_are_mixed(policy: Resource) -> Outcomes:
    for characters in _CHARACTERS:
        if policy.switch(characters, absent=False) is not True:
            yield policy.violation(characters, "is not asked for")
    if not 0 < policy.number("maxPasswordAge") <= 90:
        yield policy.violation("maxPasswordAge", "lets passwords last")


@catalogue.stack(
    "IAM-26",
    "An identity provider is one that roles trust, for the audiences that they name",
    severity=MEDIUM,
    on=OIDC_PROVIDER,
    remedy="Take out providers that no role trusts, and client ids that no trust policy names as its audience.",
    references=References(nist=["IA-8", "AC-3"]),
)
def identity_providers_are_trusted(provider: Resource, stack: Stack) -> Outcomes:
    host = provider.word("url").removeprefix("https://").rstrip("/")
    trusting = [statement for name, statement in stack.once(_federated) if name.endswith(f"/{host}")]
    if not trusting:
        yield provider.violation("url", "is trusted by no role")
        return
    audiences = {value for s in trusting for c in s.binding(f"{host}:aud") for value in c.values}
    for path, client in provider.texts("clientIdLists"):
        if client not in audiences:
            yield provider.violation(path, "is an audience that no role names")


def _federated(stack: Stack) -> list[tuple[str, Statement]]:
    """Return each identity provider that a role trusts, and the statement that says so."""
    return [
        (principal.name, statement)
        for role in stack.of(ROLE)
        for statement in statements(role, "assumeRolePolicy")
        for principal in statement.principals
        if principal.kind == "Federated"
    ]


@catalogue.resource(
    "IAM-27",
    "People and programs come by roles: there are no users",
    severity=MEDIUM,
    on="aws:iam/user:User",
    remedy="Give people roles through an identity provider, programs a role of their machine or pod.",
    references=References(nist=["AC-2", "IA-5"], pci=["8.2.1"]),
)
def there_are_no_users(user: Resource) -> Outcomes:
    yield user.violation("", "is a user of the account, whose credentials last")
