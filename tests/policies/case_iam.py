"""Cases of the family IAM."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, Case

STRANGER = "999988887777"
GITHUB = "token.actions.githubusercontent.com"
BUCKET = "arn:aws:s3:::training-data"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def text(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.iam.Policy("policy", policy=text(*statements))


def inline(*statements: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.iam.RolePolicy("policy", role="role", policy=text(*statements))


def within_role(*statements: dict[str, Any]) -> Callable[[], object]:
    return role(inline_policies=[{"name": "p", "policy": text(*statements)}])


def role(
    principal: Any = None, action: str = "sts:AssumeRole", condition: Any = None, **more: Any
) -> Callable[[], object]:
    statement = {
        "Effect": "Allow",
        "Action": action,
        "Principal": principal or {"Service": "ec2.amazonaws.com"},
    }
    if condition:
        statement["Condition"] = condition
    arguments = {"assume_role_policy": text(statement), "permissions_boundary": BOUNDARY, **more}
    return lambda: aws.iam.Role("role", **arguments)


def unboxed(statement: dict[str, Any]) -> Callable[[], object]:
    """A policy whose statement is not in a list, as AWS also takes it."""
    return lambda: aws.iam.Policy("policy", policy=json.dumps({"Statement": statement}))


def person(name: str = "user/alice", account: str = ACCOUNT) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{account}:{name}"}


def pipeline(
    sub: Any, aud: Any = "sts.amazonaws.com", operator: str = "StringEquals"
) -> Callable[[], object]:
    condition: dict[str, dict[str, Any]] = {}
    if aud:
        condition["StringEquals"] = {f"{GITHUB}:aud": aud}
    if sub:
        condition.setdefault(operator, {})[f"{GITHUB}:sub"] = sub
    provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"}
    return role(provider, "sts:AssumeRoleWithWebIdentity", condition)


ONE = "repo:example-org/platform:environment:prod"


def attachment(name: str, *, persona: str = "operator", mfa: bool = True) -> Callable[[], object]:
    def program() -> None:
        made = aws.iam.Role(
            "role",
            assume_role_policy=text(
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": person(),
                    **({"Condition": MFA} if mfa else {}),
                }
            ),
            tags={"persona": persona},
        )
        aws.iam.RolePolicyAttachment(
            "attachment", role=made.name, policy_arn=f"arn:aws:iam::aws:policy/{name}"
        )

    return program


def passwords(**more: Any) -> Callable[[], object]:
    def program() -> None:
        role()()
        if more:
            aws.iam.AccountPasswordPolicy("passwords", **more)

    return program


def analyzer(kind: str | None) -> Callable[[], object]:
    def program() -> None:
        role()()
        if kind:
            aws.accessanalyzer.Analyzer("analyzer", analyzer_name="a", type=kind)

    return program


def key_policy(statement: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.kms.Key("key", policy=text(statement))


READ = allow(["s3:GetObject"], f"{BUCKET}/*")
TAGGED = {"StringEquals": {"aws:ResourceTag/owner": "ml"}}


def case(
    control: str, compliant: Callable[[], object], violating: Callable[[], object], mentions: str
) -> Case:
    return Case(control=control, compliant=compliant, violating=violating, mentions=mentions)


PERSON = {"Effect": "Allow", "Principal": person(), "Action": "*", "Resource": "*"}
EVERYBODY = {**PERSON, "Principal": "*"}


def topic(statement: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.sns.TopicPolicy("p", arn="arn:aws:sns:eu-central-1:1:t", policy=text(statement))


def queue(statement: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.sqs.QueuePolicy("p", queue_url="https://q", policy=text(statement))


def secret(statement: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.secretsmanager.SecretPolicy(
        "p", secret_arn="arn:aws:secretsmanager:x", policy=text(statement)
    )


def images(statement: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.ecr.RepositoryPolicy("p", repository="r", policy=text(statement))


def bus(statement: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.cloudwatch.EventBusPolicy("p", policy=text(statement))


def invoked(principal: str = "*", **more: Any) -> Callable[[], object]:
    return lambda: aws.lambda_.Permission(
        "p", action="lambda:InvokeFunction", function="f", principal=principal, **more
    )


CASES = [
    case("IAM-01", policy(READ), policy(allow("*")), "policy.Statement[0]"),
    case("IAM-01", policy(READ), policy(READ, allow(["*:*"], ["*"])), "policy.Statement[1]"),
    case("IAM-01", policy(READ), unboxed(allow("*", "arn:aws:*:*:*:*")), "every action"),
    case(
        "IAM-01",
        inline(allow("*", Condition=TAGGED)),
        inline(allow("*", Condition={"Bool": {"aws:SecureTransport": "true"}})),
        "every action",
    ),
    case("IAM-01", within_role(READ), within_role(allow("*")), "inlinePolicies[0].policy"),
    case(
        "IAM-01",
        inline(READ),
        inline(allow("*", Condition={"StringLike": {"aws:ResourceTag/x": "*"}})),
        "every action",
    ),
    case("IAM-02", policy(READ), policy(allow("s3:*", f"{BUCKET}/*")), "every action of a service"),
    case(
        "IAM-02",
        policy(allow("S3:Get*", f"{BUCKET}/*")),
        policy(allow("S*:*", BUCKET)),
        "every action of a service",
    ),
    case("IAM-02", policy(allow("s3:ListAllMyBuckets")), policy(allow("s3:PutObject")), "s3:putobject"),
    case(
        "IAM-02", policy(allow("ec2:Describe*")), policy(allow("s3:P*", "arn:aws:s3:::*")), "on any resource"
    ),
    case(
        "IAM-02",
        policy(allow("ecr:GetAuthorizationToken")),
        policy(allow(["ecr:GetAuthorizationToken", "ecr:PutImage"])),
        "ecr:putimage",
    ),
    case(
        "IAM-02",
        inline(allow("ec2:StopInstances", Condition=TAGGED)),
        inline(
            allow("ec2:StopInstances", Condition={"StringEqualsIfExists": {"aws:ResourceTag/owner": "ml"}})
        ),
        "ec2:stopinstances",
    ),
    case(
        "IAM-02",
        inline(
            allow(
                "kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
            )
        ),
        inline(allow("kms:Decrypt", Condition={"StringNotEquals": {"aws:ResourceTag/owner": "ml"}})),
        "kms:decrypt",
    ),
    case("IAM-03", role(person(), condition=MFA), role("*"), "everybody"),
    case(
        "IAM-03",
        role({"AWS": "*"}, condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        role({"AWS": ["*"]}, condition=MFA),
        "everybody",
    ),
    case(
        "IAM-03",
        role(person(account=STRANGER), condition=MFA),
        role(person("root", STRANGER)),
        "foreign account",
    ),
    case("IAM-03", role({"AWS": ACCOUNT}), role({"AWS": STRANGER}), "foreign account"),
    case("IAM-04", attachment("SecurityAudit"), attachment("AdministratorAccess"), "administrator"),
    case(
        "IAM-04",
        attachment("AdministratorAccess", persona="break-glass"),
        attachment("IAMFullAccess", persona="break-glass", mfa=False),
        "administrator",
    ),
    case(
        "IAM-04",
        role(),
        role(managed_policy_arns=["arn:aws:iam::aws:policy/PowerUserAccess"]),
        "managedPolicyArns[0]",
    ),
    case("IAM-05", role(), role(permissions_boundary=None), "permissionsBoundary"),
    case("IAM-06", role(), lambda: aws.iam.AccessKey("key", user="deploy"), "access key"),
    case(
        "IAM-06",
        policy(READ),
        lambda: aws.iam.UserPolicy("policy", user="deploy", policy=text(READ)),
        "single user",
    ),
    case("IAM-07", pipeline(ONE), pipeline("repo:*", operator="StringLike"), "subject"),
    case(
        "IAM-07",
        pipeline("repo:example-org/platform:*", operator="StringLike"),
        pipeline("repo:example-org/*:ref:main", operator="StringLike"),
        "subject",
    ),
    case("IAM-07", pipeline(ONE), pipeline(ONE, aud=None), "audience"),
    case(
        "IAM-07",
        pipeline([ONE]),
        pipeline([ONE, "repo:other/*"], operator="ForAnyValue:StringLike"),
        "subject",
    ),
    case("IAM-07", pipeline(ONE), pipeline(None), "subject"),
    case("IAM-07", pipeline(ONE), pipeline(ONE, operator="StringEqualsIfExists"), "subject"),
    case("IAM-08", role(person(), condition=MFA), role(person()), "password alone"),
    case(
        "IAM-08",
        role(),
        role(person("role/engineers"), condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}),
        "password alone",
    ),
    case(
        "IAM-08",
        role(person(), condition=MFA),
        role({"AWS": ACCOUNT}, condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
        "password alone",
    ),
    case(
        "IAM-09",
        passwords(minimum_password_length=14, password_reuse_prevention=24),
        passwords(),
        "no password policy",
    ),
    case(
        "IAM-09",
        passwords(minimum_password_length=20, password_reuse_prevention=24),
        passwords(minimum_password_length=8, password_reuse_prevention=24),
        "minimumPasswordLength",
    ),
    case(
        "IAM-10",
        policy(allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/training")),
        policy(allow("iam:PassRole")),
        "iam:PassRole",
    ),
    case(
        "IAM-10",
        inline(
            allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}})
        ),
        inline(allow("iam:Pass*", f"arn:aws:iam::{ACCOUNT}:role/*")),
        "iam:PassRole",
    ),
    case("IAM-10", policy(READ), policy(allow("IAM:createpolicyversion")), "iam:CreatePolicyVersion"),
    case("IAM-10", policy(READ), policy(allow("sts:AssumeRole")), "sts:AssumeRole"),
    case(
        "IAM-10",
        policy(READ),
        policy({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}),
        "on any role",
    ),
    case("IAM-11", role(max_session_duration=43200), role(max_session_duration=43201), "43200"),
    case(
        "IAM-11",
        role(max_session_duration=3600, tags={"persona": "break-glass"}),
        role(max_session_duration=7200, tags={"persona": "break-glass"}),
        "3600",
    ),
    case("IAM-12", analyzer("ACCOUNT"), analyzer(None), "Access Analyzer"),
    case("IAM-12", analyzer("ORGANIZATION"), analyzer("ACCOUNT_UNUSED_ACCESS"), "Access Analyzer"),
    case(
        "IAM-13",
        policy({"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}),
        policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        "but a list",
    ),
    case(
        "IAM-13",
        role(),
        lambda: aws.iam.Role(
            "role",
            assume_role_policy=text(
                {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": person()}
            ),
        ),
        "assumeRolePolicy",
    ),
    case(
        "IAM-13",
        key_policy(
            {
                "Effect": "Allow",
                "Principal": person("role/admin"),
                "Action": "kms:PutKeyPolicy",
                "Resource": "*",
            }
        ),
        key_policy({"Effect": "Allow", "NotPrincipal": person(), "Action": "kms:Decrypt", "Resource": "*"}),
        "but a list",
    ),
    case("IAM-14", role(), role({"Service": "vpc-flow-logs.amazonaws.com"}), "somebody else"),
    case(
        "IAM-14",
        role({"Service": "s3.amazonaws.com"}, condition={"ArnLike": {"aws:SourceArn": BUCKET}}),
        role(
            {"Service": ["s3.amazonaws.com"]},
            condition={"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}},
        ),
        "somebody else",
    ),
]

CASES += [
    Case(control="IAM-15", compliant=make(PERSON), violating=make(EVERYBODY), mentions="admits everybody")
    for make in (topic, queue, secret, images, bus)
]

CASES += [
    Case(
        control="IAM-15",
        compliant=topic({**EVERYBODY, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}),
        violating=topic({**EVERYBODY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
        mentions="admits everybody",
    ),
    Case(
        control="IAM-15",
        compliant=topic({**EVERYBODY, "Effect": "Deny"}),
        violating=topic(
            {"Effect": "Allow", "NotPrincipal": person(), "Action": "sns:Publish", "Resource": "*"}
        ),
        mentions="admits everybody",
    ),
    Case(
        control="IAM-15",
        compliant=invoked(source_account=ACCOUNT),
        violating=invoked(),
        mentions="admits everybody",
    ),
    Case(
        control="IAM-15",
        compliant=invoked("logs.amazonaws.com"),
        violating=invoked("*"),
        mentions="admits everybody",
    ),
    Case(
        control="IAM-15",
        compliant=lambda: aws.ssm.Document(
            "d", document_type="Command", content="{}", permissions={"type": "Share", "account_ids": ACCOUNT}
        ),
        violating=lambda: aws.ssm.Document(
            "d", document_type="Command", content="{}", permissions={"type": "Share", "account_ids": "All"}
        ),
        mentions="admits everybody",
    ),
]
