"""Cases of the family IAM about what policies let in, how wide they are and what boundaries keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, Case

OWN = f"arn:aws:iam::{ACCOUNT}:role/ours"
STRANGER = "arn:aws:iam::999999999999:root"
HERE = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def queue(*statements: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.sqs.QueuePolicy("policy", queue_url="https://sqs/q", policy=document(*statements))


def trust(principal: Any, condition: Any = None, action: Any = "sts:AssumeRole") -> Callable[[], object]:
    statement = {"Effect": "Allow", "Action": action, "Principal": principal}
    if condition:
        statement["Condition"] = condition
    return lambda: aws.iam.Role("role", assume_role_policy=document(statement))


def grant(*statements: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.iam.RolePolicy("grant", role="role", policy=document(*statements))


def endpoint(action: str, condition: Any = None) -> Callable[[], object]:
    statement = allow(action, Principal="*", **({"Condition": condition} if condition else {}))
    return lambda: aws.ec2.VpcEndpoint(
        "endpoint", vpc_id="vpc-1", service_name="com.amazonaws.eu-central-1.s3", policy=document(statement)
    )


def permission(**more: Any) -> Callable[[], object]:
    return lambda: aws.lambda_.Permission(
        "permission",
        action="lambda:InvokeFunction",
        function="f",
        **{"principal": "s3.amazonaws.com", **more},
    )


PODS = {"Service": "pods.eks.amazonaws.com"}
TAGS = {
    "aws:RequestTag/eks-cluster-name": "c",
    "aws:RequestTag/kubernetes-namespace": "n",
    "aws:RequestTag/kubernetes-service-account": "s",
}


def signing(tags: dict[str, str]) -> Callable[[], object]:
    condition = {key.replace("Request", "Principal"): value for key, value in tags.items()}
    statement = allow("kms:Sign", Principal="*", Condition={"StringEquals": condition})
    return lambda: aws.kms.Key("key", policy=document(statement))


MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}

REFUSED = [
    "iam:CreatePolicyVersion",
    "iam:PutRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:CreateAccessKey",
    "iam:CreateSAMLProvider",
    "eks:CreateAccessEntry",
    "organizations:LeaveOrganization",
    "cloudtrail:StopLogging",
    "access-analyzer:DeleteAnalyzer",
    "eks:CreatePodIdentityAssociation",
    "ec2-instance-connect:SendSSHPublicKey",
]


def deny(actions: list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": actions, "Resource": "*", **more}


def boundary(*statements: dict[str, Any]) -> Callable[[], object]:
    def program() -> None:
        policy = aws.iam.Policy("boundary", policy=document(*statements))
        aws.iam.Role(
            "role", assume_role_policy=document(allow("sts:AssumeRole")), permissions_boundary=policy.arn
        )

    return program


def passwords(**more: Any) -> Callable[[], object]:
    settings = {
        "require_lowercase_characters": True,
        "require_numbers": True,
        "require_symbols": True,
        "require_uppercase_characters": True,
        "max_password_age": 90,
        **more,
    }
    return lambda: aws.iam.AccountPasswordPolicy("passwords", **settings)


def provider(url: str, client: str) -> Callable[[], object]:
    def program() -> None:
        aws.iam.OpenIdConnectProvider("provider", url=url, client_id_lists=[client])
        trust(
            {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp.example.org"},
            {"StringEquals": {"idp.example.org:aud": "sts.amazonaws.com"}},
            "sts:AssumeRoleWithWebIdentity",
        )()

    return program


CASES = [
    Case(
        control="IAM-16",
        compliant=queue(allow("sqs:SendMessage", Principal={"AWS": OWN})),
        violating=queue(allow("sqs:SendMessage", Principal={"AWS": STRANGER})),
        mentions="another account",
    ),
    Case(
        control="IAM-16",
        compliant=trust({"AWS": STRANGER}, {"StringEquals": {"sts:ExternalId": "x"}}),
        violating=trust({"AWS": STRANGER}, MFA),
        mentions="another account",
    ),
    Case(
        control="IAM-17",
        compliant=queue(
            allow("sqs:SendMessage", Principal={"Service": "events.amazonaws.com"}, Condition=HERE)
        ),
        violating=queue(allow("sqs:SendMessage", Principal={"Service": "events.amazonaws.com"})),
        mentions="somebody else's resources",
    ),
    Case(
        control="IAM-17",
        compliant=queue(
            allow(
                "sqs:SendMessage",
                Principal="*",
                Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
            )
        ),
        violating=queue(allow("sqs:SendMessage", Principal="*", Condition=HERE)),
        mentions="whoever calls",
    ),
    Case(
        control="IAM-17",
        compliant=permission(source_arn="arn:aws:s3:::b"),
        violating=permission(),
        mentions="is missing",
    ),
    Case(
        control="IAM-17",
        compliant=permission(principal="*", principal_org_id="o-1"),
        violating=permission(principal="*", source_arn="arn:aws:s3:::b"),
        mentions="is everybody",
    ),
    Case(
        control="IAM-18",
        compliant=trust(PODS, {"StringEquals": TAGS}, ["sts:AssumeRole", "sts:TagSession"]),
        violating=trust(PODS, {"StringEquals": dict(list(TAGS.items())[:2])}),
        mentions="any kubernetes-service-account",
    ),
    Case(
        control="IAM-18",
        compliant=signing(TAGS),
        violating=signing(dict(list(TAGS.items())[1:])),
        mentions="any eks-cluster-name",
    ),
    Case(
        control="IAM-19",
        compliant=queue(allow(["sqs:SendMessage"], Principal={"AWS": OWN})),
        violating=queue(allow(["sqs:SendMessage", "sqs:*"], Principal={"AWS": OWN})),
        mentions="every action",
    ),
    Case(
        control="IAM-19",
        compliant=endpoint(
            "s3:*", {"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}}
        ),
        violating=endpoint("s3:*", {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}),
        mentions="every action",
    ),
    Case(
        control="IAM-20",
        compliant=trust({"AWS": OWN}, {**MFA, "NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}),
        violating=trust({"AWS": OWN}, MFA),
        mentions="of any age",
    ),
    Case(
        control="IAM-20",
        compliant=trust({"AWS": OWN}, {**MFA, "NumericLessThanEquals": {"aws:MultiFactorAuthAge": "43200"}}),
        violating=trust({"AWS": OWN}, {**MFA, "NumericLessThan": {"aws:MultiFactorAuthAge": "999999"}}),
        mentions="of any age",
    ),
    *(
        Case(
            control="IAM-21",
            compliant=boundary(
                allow("*"),
                deny(
                    REFUSED,
                    Condition={"StringNotEquals": {"iam:PermissionsBoundary": "arn:aws:iam::1:policy/b"}},
                ),
            ),
            violating=boundary(allow("*"), deny([action for action in REFUSED if action != missing])),
            mentions="lets its roles",
        )
        for missing in REFUSED
    ),
    Case(
        control="IAM-21",
        compliant=boundary(allow("*"), deny(REFUSED)),
        violating=boundary(allow("*"), deny(REFUSED, Condition={"ArnNotLike": {"aws:PrincipalArn": "*"}})),
        mentions="lets its roles",
    ),
    Case(
        control="IAM-22",
        compliant=grant(allow("s3:GetObject", "arn:aws:s3:::models/*")),
        violating=grant(allow("s3:GetObject")),
        mentions="s3:getobject on any resource",
    ),
    Case(
        control="IAM-22",
        compliant=grant(
            allow("kms:Decrypt", Condition={"StringEquals": {"aws:ResourceTag/data-domain": "models"}})
        ),
        violating=grant(
            allow(
                "kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
            )
        ),
        mentions="kms:decrypt on any resource",
    ),
    Case(
        control="IAM-23",
        compliant=boundary(allow("*", Condition={"StringEquals": {"aws:ResourceAccount": ACCOUNT}})),
        violating=grant(allow("s3:*", "arn:aws:s3:::models/*")),
        mentions="every action",
    ),
    Case(
        control="IAM-24",
        compliant=boundary(
            allow("*", Condition={"StringEquals": {"aws:ResourceAccount": ACCOUNT}}),
            allow("ec2:CopySnapshot", "arn:aws:ec2:*::snapshot/*"),
        ),
        violating=boundary(allow("*")),
        mentions="any account",
    ),
    Case(
        control="IAM-25",
        compliant=passwords(),
        violating=passwords(require_symbols=False),
        mentions="requireSymbols",
    ),
    Case(
        control="IAM-25",
        compliant=passwords(),
        violating=passwords(max_password_age=365),
        mentions="lets passwords last",
    ),
    Case(
        control="IAM-26",
        compliant=provider("https://idp.example.org", "sts.amazonaws.com"),
        violating=provider("https://idp.evil.example", "sts.amazonaws.com"),
        mentions="trusted by no role",
    ),
    Case(
        control="IAM-26",
        compliant=provider("https://idp.example.org", "sts.amazonaws.com"),
        violating=provider("https://idp.example.org", "anybody"),
        mentions="no role names",
    ),
    Case(
        control="IAM-27",
        compliant=lambda: aws.iam.Role("role", assume_role_policy=document(allow("sts:AssumeRole"))),
        violating=lambda: aws.iam.User("user"),
        mentions="is a user",
    ),
]
