"""Roles: a second factor for people, one repository for the pipeline, one boundary for all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blueprint.graph import Graph
from components.guardrails import AccountGuardrails
from components.identity import GITHUB, PlatformRoles
from components.personas import DUTIES
from tests.components.support import (
    ACCOUNT,
    BACKUP,
    BOUNDARY,
    HOME,
    built,
    key,
    named,
    one,
    statement,
    statements,
)

PERSON = f"arn:aws:iam::{ACCOUNT}:user/people/alice"


def roles(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "account_id": ACCOUNT,
        "environment": "prod",
        "resource_prefix": "smlp-prod",
        "home_region": HOME,
        "backup_region": BACKUP,
        "people_principal_arns": [PERSON],
        "github_repository": "example-org/platform",
        **changed,
    }
    return built(lambda opts, _: PlatformRoles("roles", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return roles()


@pytest.mark.parametrize("persona", DUTIES)
def test_people_need_a_second_factor(persona: str, graph: Graph) -> None:
    role = named(graph, "aws:iam/role:Role", f"roles-{persona}")
    trust = statement(role, "PeopleWithASecondFactor", "assumeRolePolicy")
    assert trust["Principal"] == {"AWS": [PERSON]}
    assert trust["Condition"]["Bool"] == {"aws:MultiFactorAuthPresent": "true"}


def test_every_role_carries_the_boundary(graph: Graph) -> None:
    boundary = one(graph, "aws:iam/policy:Policy").outputs["arn"]
    assert {role.inputs["permissionsBoundary"] for role in graph.of("aws:iam/role:Role")} == {boundary}


def test_a_brought_boundary_is_used_and_none_is_made() -> None:
    graph = roles(permissions_boundary_arn=BOUNDARY)
    assert {role.inputs["permissionsBoundary"] for role in graph.of("aws:iam/role:Role")} == {BOUNDARY}
    assert graph.of("aws:iam/policy:Policy") == []


def test_break_glass_lasts_an_hour(graph: Graph) -> None:
    assert named(graph, "aws:iam/role:Role", "break-glass").inputs["maxSessionDuration"] == 3600


def test_nobody_reads_the_data_bucket_or_the_database(graph: Graph) -> None:
    for policy in graph.of("aws:iam/rolePolicy:RolePolicy"):
        for granted in statements(policy):
            assert not any("-data-" in arn for arn in granted["Resource"]), policy.name
            assert not any(
                a.startswith(("rds-db:", "secretsmanager:", "rds-data:")) for a in granted["Action"]
            )


def test_the_auditor_changes_nothing(graph: Graph) -> None:
    policy = named(graph, "aws:iam/rolePolicy:RolePolicy", "auditor")
    verbs = {action.split(":")[1] for granted in statements(policy) for action in granted["Action"]}
    assert all(
        v.startswith(("Get", "List", "Describe", "Filter", "Lookup", "StartQuery", "Decrypt")) for v in verbs
    ), verbs


def test_the_pipeline_is_one_environment_of_one_repository(graph: Graph) -> None:
    trust = statement(
        named(graph, "aws:iam/role:Role", "pipeline"), "OneEnvironmentOfOneRepository", "assumeRolePolicy"
    )
    assert trust["Condition"] == {
        "StringEquals": {
            f"{GITHUB}:aud": "sts.amazonaws.com",
            f"{GITHUB}:sub": "repo:example-org/platform:environment:prod",
        }
    }


def test_without_a_repository_there_is_no_pipeline() -> None:
    graph = roles(github_repository=None)
    assert graph.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider") == []
    assert all("pipeline" not in role.name for role in graph.of("aws:iam/role:Role"))


def test_the_boundary_keeps_to_the_two_regions(graph: Graph) -> None:
    refusal = statement(one(graph, "aws:iam/policy:Policy"), "NoOtherRegion")
    assert refusal["Effect"] == "Deny"
    assert refusal["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": [HOME, BACKUP]}}


def test_the_boundary_guards_itself_and_the_trail(graph: Graph) -> None:
    refused = {
        action
        for granted in statements(one(graph, "aws:iam/policy:Policy"))
        if granted["Effect"] == "Deny"
        for action in granted.get("Action", [])
    }
    assert {
        "iam:CreatePolicyVersion",
        "iam:DeleteRolePermissionsBoundary",
        "cloudtrail:StopLogging",
        "iam:CreateAccessKey",
    } <= refused


def test_policies_fit_into_what_iam_takes(graph: Graph) -> None:
    # IAM quotas: 6,144 characters a managed policy, 10,240 for all inline policies of a role.
    assert (
        len(
            json.dumps(
                json.loads(one(graph, "aws:iam/policy:Policy").inputs["policy"]), separators=(",", ":")
            )
        )
        <= 6144
    )
    for policy in graph.of("aws:iam/rolePolicy:RolePolicy"):
        assert len(policy.inputs["policy"]) <= 10240


def test_nobody_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="people_principal_arns"):
        roles(people_principal_arns=[])


def test_the_accounts_defaults_are_tight() -> None:
    graph = built(
        lambda opts, _: AccountGuardrails("g", ebs_key_arn=key("platform"), account_id=ACCOUNT, opts=opts)
    )
    passwords = one(graph, "aws:iam/accountPasswordPolicy:AccountPasswordPolicy").inputs
    assert (passwords["minimumPasswordLength"], passwords["passwordReusePrevention"]) == (14, 24)
    assert one(graph, "aws:ebs/encryptionByDefault:EncryptionByDefault").inputs["enabled"] is True
    assert one(graph, "aws:ebs/defaultKmsKey:DefaultKmsKey").inputs["keyArn"] == key("platform")
    assert (
        one(graph, "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults").inputs["httpTokens"]
        == "required"
    )
    assert one(graph, "aws:accessanalyzer/analyzer:Analyzer").inputs["type"] == "ACCOUNT"
