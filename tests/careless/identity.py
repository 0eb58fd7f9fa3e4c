"""Careless roles, trusts and keys."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws

from tests.careless.mistakes import mistake

ACCOUNT = "111122223333"
STRANGER = "999988887777"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal: Any, action: str = "sts:AssumeRole", **more: Any) -> str:
    return document({"Effect": "Allow", "Action": action, "Principal": principal, **more})


EC2_TRUST = trust({"Service": "ec2.amazonaws.com"})


@mistake("IAM-01")
def policy_that_allows_everything(name: str) -> None:
    aws.iam.Policy(name, policy=document(allow("*")))


@mistake("IAM-01")
def inline_policy_that_allows_everything(name: str) -> None:
    aws.iam.RolePolicy(name, role="some-role", policy=document(allow(["*:*"], ["*"])))


@mistake("IAM-02")
def policy_with_all_of_s3(name: str) -> None:
    aws.iam.Policy(name, policy=document(allow("s3:*", "arn:aws:s3:::training-data/*")))


@mistake("IAM-02")
def policy_that_writes_anywhere(name: str) -> None:
    aws.iam.Policy(name, policy=document(allow(["s3:PutObject", "s3:DeleteObject"])))


@mistake("IAM-03")
def role_that_anybody_may_assume(name: str) -> None:
    aws.iam.Role(name, assume_role_policy=trust("*"))


@mistake("IAM-03")
def role_that_a_stranger_may_assume(name: str) -> None:
    aws.iam.Role(name, assume_role_policy=trust({"AWS": f"arn:aws:iam::{STRANGER}:root"}))


@mistake("IAM-04")
def role_with_administrator_access(name: str) -> None:
    aws.iam.RolePolicyAttachment(
        name, role="some-role", policy_arn="arn:aws:iam::aws:policy/AdministratorAccess"
    )


@mistake("IAM-05")
def role_without_a_boundary(name: str) -> None:
    aws.iam.Role(name, assume_role_policy=EC2_TRUST)


@mistake("IAM-06")
def access_key_for_a_user(name: str) -> None:
    aws.iam.AccessKey(name, user="deploy")


@mistake("IAM-06")
def inline_policy_on_a_user(name: str) -> None:
    aws.iam.UserPolicy(
        name, user="deploy", policy=document(allow("s3:GetObject", "arn:aws:s3:::training-data/*"))
    )


@mistake("IAM-07")
def pipeline_role_for_every_repository(name: str) -> None:
    issuer = "token.actions.githubusercontent.com"
    aws.iam.Role(
        name,
        assume_role_policy=trust(
            {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"},
            "sts:AssumeRoleWithWebIdentity",
            Condition={
                "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"},
                "StringLike": {f"{issuer}:sub": "repo:*"},
            },
        ),
    )


@mistake("IAM-08")
def operator_role_without_mfa(name: str) -> None:
    aws.iam.Role(name, assume_role_policy=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/engineers"}))


@mistake("IAM-09", on="")
def account_without_a_password_policy(name: str) -> None:
    """Nothing is made: that is the mistake."""


@mistake("IAM-10")
def role_that_passes_any_role(name: str) -> None:
    aws.iam.Policy(name, policy=document(allow("iam:PassRole"), allow("ec2:RunInstances")))


@mistake("IAM-10")
def role_that_rewrites_its_own_policy(name: str) -> None:
    aws.iam.Policy(name, policy=document(allow("iam:CreatePolicyVersion", "*")))


@mistake("IAM-11")
def break_glass_for_half_a_day(name: str) -> None:
    aws.iam.Role(
        name,
        max_session_duration=43200,
        tags={"persona": "break-glass"},
        assume_role_policy=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/engineers"}),
    )


@mistake("IAM-12", on="")
def account_without_an_access_analyzer(name: str) -> None:
    """Nothing is made: that is the mistake."""


@mistake("IAM-13")
def policy_that_allows_all_but_billing(name: str) -> None:
    aws.iam.Policy(name, policy=document({"Effect": "Allow", "NotAction": "aws-portal:*", "Resource": "*"}))


@mistake("IAM-14")
def service_role_open_to_other_peoples_services(name: str) -> None:
    aws.iam.Role(name, assume_role_policy=trust({"Service": "vpc-flow-logs.amazonaws.com"}))


@mistake("KEY-01")
def key_that_never_rotates(name: str) -> None:
    aws.kms.Key(name, description="data", deletion_window_in_days=30)


@mistake("KEY-02")
def key_that_is_gone_in_a_week(name: str) -> None:
    aws.kms.Key(name, description="data", enable_key_rotation=True, deletion_window_in_days=7)


@mistake("KEY-03")
def key_for_everybody(name: str) -> None:
    aws.kms.Key(
        name,
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=document({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}),
    )


@mistake("KEY-04")
def log_group_without_a_key(name: str) -> None:
    aws.cloudwatch.LogGroup(name, retention_in_days=365)


@mistake("KEY-04")
def queue_without_a_key(name: str) -> None:
    aws.sqs.Queue(name)


@mistake("IAM-15")
def topic_for_everybody(name: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": "*"}
    aws.sns.TopicPolicy(
        name, arn="arn:aws:sns:eu-central-1:111122223333:t", policy=json.dumps({"Statement": statement})
    )


@mistake("IAM-15")
def function_for_everybody(name: str) -> None:
    aws.lambda_.Permission(name, action="lambda:InvokeFunction", function="f", principal="*")


@mistake("KEY-06")
def administrator_who_decrypts(name: str) -> None:
    admin = {"AWS": "arn:aws:iam::111122223333:role/admin"}
    statement = {"Effect": "Allow", "Principal": admin, "Action": "kms:*", "Resource": "*"}
    aws.kms.Key(name, policy=json.dumps({"Statement": statement}))


@mistake("KEY-07")
def role_that_decrypts_everything(name: str) -> None:
    statement = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
    aws.iam.Policy(name, policy=json.dumps({"Statement": statement}))
