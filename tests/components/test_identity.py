"""Roles: a second factor for people, one repository for the pipeline, one boundary for all."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pulumi
import pytest
from policy_sentry.querying.actions import get_action_data

from blueprint.graph import Graph, Resource
from components.guardrails import AccountGuardrails, RegionGuardrails
from components.identity import GITHUB, PlatformRoles
from components.personas import DUTIES, Persona
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
        "resource_prefix": "platform-prod",
        "bucket_prefix": "smlp-prod",
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


def policy_of(graph: Graph, persona: str) -> Resource:
    return named(graph, "aws:iam/rolePolicy:RolePolicy", f"roles-{persona}")


def allowed(resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each action that a policy allows, with the statement that allows it."""
    for granted in statements(resource):
        if granted["Effect"] == "Allow":
            yield from ((action, granted) for action in granted["Action"])


def access_level(action: str) -> str:
    """Return what AWS says that an action does: Read, List, Write, Tagging or Permissions management."""
    service, _, verb = action.partition(":")
    found = get_action_data(service, verb)
    assert found, f"{action} is no action of AWS's"
    return str(found[service][0]["access_level"])


@pytest.mark.parametrize("persona", DUTIES)
def test_people_need_a_second_factor(persona: Persona, graph: Graph) -> None:
    role = named(graph, "aws:iam/role:Role", f"roles-{persona}")
    trust = statement(role, "PeopleWithASecondFactor", "assumeRolePolicy")
    assert trust["Principal"] == {"AWS": [PERSON]}
    assert trust["Condition"] == {
        "Bool": {"aws:MultiFactorAuthPresent": "true"},
        "NumericLessThan": {"aws:MultiFactorAuthAge": str(DUTIES[persona].session_seconds)},
    }


def test_every_role_carries_the_boundary(graph: Graph) -> None:
    boundary = one(graph, "aws:iam/policy:Policy").outputs["arn"]
    assert {role.inputs["permissionsBoundary"] for role in graph.of("aws:iam/role:Role")} == {boundary}


def test_a_brought_boundary_is_used_and_none_is_made() -> None:
    graph = roles(permissions_boundary_arn=BOUNDARY)
    assert {role.inputs["permissionsBoundary"] for role in graph.of("aws:iam/role:Role")} == {BOUNDARY}
    assert graph.of("aws:iam/policy:Policy") == []


def test_break_glass_lasts_an_hour(graph: Graph) -> None:
    assert named(graph, "aws:iam/role:Role", "break-glass").inputs["maxSessionDuration"] == 3600


DATA = f"arn:aws:s3:::smlp-prod-data-{ACCOUNT}-{HOME}"


def reaches(pattern: str, arn: str) -> bool:
    """Say whether a resource of a statement is about ``arn`` or what is in it (``*`` stands for anything)."""
    return fnmatchcase(arn, pattern) or fnmatchcase(f"{arn}/rows.parquet", pattern)


@pytest.mark.parametrize("persona", DUTIES)
def test_nobody_reads_the_data_bucket_or_the_database(persona: Persona, graph: Graph) -> None:
    for action, granted in allowed(policy_of(graph, persona)):
        assert not action.startswith(("rds-db:", "rds-data:", "secretsmanager:")), action
        if action.startswith("s3:GetObject") or action == "s3:ListBucket":
            assert not any(reaches(pattern, DATA) for pattern in granted["Resource"]), action


@pytest.mark.parametrize(
    ("persona", "purpose"),
    [
        ("data-scientist", "models"),
        ("ml-engineer", "models"),
        ("auditor", "audit"),
        ("auditor", "access-logs"),
        ("auditor", "reports"),
        ("auditor", "answers"),
    ],
)
def test_people_read_the_buckets_of_their_work(persona: str, purpose: str, graph: Graph) -> None:
    bucket = f"arn:aws:s3:::smlp-prod-{purpose}-{ACCOUNT}-{HOME}"
    read = [granted for action, granted in allowed(policy_of(graph, persona)) if action == "s3:GetObject"]
    assert any(reaches(pattern, bucket) for granted in read for pattern in granted["Resource"])


@pytest.mark.parametrize("persona", DUTIES)
def test_nobody_changes_just_anything(persona: Persona, graph: Graph) -> None:
    for action, granted in allowed(policy_of(graph, persona)):
        assert "*" not in action
        if "*" in granted["Resource"]:
            assert access_level(action) in ("Read", "List"), action


@pytest.mark.parametrize("persona", DUTIES)
def test_nobody_becomes_somebody_else(persona: Persona, graph: Graph) -> None:
    actions = {action for action, _ in allowed(policy_of(graph, persona))}
    assert "iam:PassRole" not in actions
    assert not any(action.startswith("sts:") for action in actions)
    assert all(access_level(a) in ("Read", "List") for a in actions if a.startswith("iam:"))


def test_the_auditor_changes_nothing(graph: Graph) -> None:
    actions = {action for action, _ in allowed(policy_of(graph, "auditor"))}
    assert {access_level(action) for action in actions - ASKING} == {"Read", "List"}


ASKING = {
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "s3:AbortMultipartUpload",
    "s3:PutObject",
}
"""What AWS counts as a write, and without which no trail can be read and no question be asked of it."""


def test_the_auditor_writes_answers_and_nothing_else(graph: Graph) -> None:
    policy = policy_of(graph, "auditor")
    written = {
        arn
        for action, granted in allowed(policy)
        if action in ASKING - {"kms:Decrypt"}
        for arn in granted["Resource"]
    }
    answers = f"arn:aws:s3:::smlp-prod-answers-{ACCOUNT}-*/answers/*"
    workgroup = f"arn:aws:athena:{HOME}:{ACCOUNT}:workgroup/platform-prod-audit"
    assert written == {answers, workgroup, f"arn:aws:kms:{HOME}:{ACCOUNT}:key/*"}
    encrypt = statement(policy, "EncryptAnswers")
    assert encrypt["Condition"] == {"StringEquals": {"aws:ResourceTag/data-domain": "reports"}}


@pytest.mark.parametrize("persona", ["operator", "break-glass"])
def test_who_administers_keys_cannot_use_them(persona: str, graph: Graph) -> None:
    refusal = statement(policy_of(graph, persona), "AdministerKeysButNeverUseThem")
    assert refusal["Effect"] == "Deny"
    assert {"kms:Decrypt", "kms:CreateGrant", "kms:GenerateDataKey*"} <= set(refusal["Action"])
    spared = refusal.get("Condition", {})
    assert spared == ({} if persona == "operator" else TRAIL_SPARED)


TRAIL_SPARED = {"StringNotEquals": {"aws:ResourceTag/data-domain": ["logs", "reports"]}}


def test_break_glass_closes_and_opens_nothing(graph: Graph) -> None:
    actions = {action for action, _ in allowed(policy_of(graph, "break-glass"))}
    assert not any(action.startswith("ec2:Authorize") for action in actions)
    # Without the suspension, the group would put a new bastion where one was taken away.
    assert {"autoscaling:SuspendProcesses", "autoscaling:TerminateInstanceInAutoScalingGroup"} <= actions


def test_the_operator_cannot_quiet_the_alarms_of_security(graph: Graph) -> None:
    quiet = [g for a, g in allowed(policy_of(graph, "operator")) if a == "cloudwatch:DisableAlarmActions"]
    bastions = f"arn:aws:cloudwatch:{HOME}:{ACCOUNT}:alarm:platform-prod-bastion-failed-logins"
    assert not any(fnmatchcase(bastions, pattern) for granted in quiet for pattern in granted["Resource"])


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


def test_the_pipeline_trusts_the_accounts_provider_and_makes_none(graph: Graph) -> None:
    trust = statement(
        named(graph, "aws:iam/role:Role", "pipeline"), "OneEnvironmentOfOneRepository", "assumeRolePolicy"
    )
    assert trust["Principal"] == {"Federated": [f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"]}
    # An account has one at most, and the bootstrap's is there before the first update.
    assert graph.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider") == []


def test_the_pipeline_publishes_and_does_not_deploy(graph: Graph) -> None:
    actions = {action for action, _ in allowed(policy_of(graph, "pipeline"))}
    assert {action.partition(":")[0] for action in actions} == {"ecr", "kms"}


def test_the_pipeline_pushes_and_signs_images_and_no_person_does(graph: Graph) -> None:
    pushes = {"ecr:PutImage", "kms:Sign"}
    for policy in graph.of("aws:iam/rolePolicy:RolePolicy"):
        may = {action for action, _ in allowed(policy)} & pushes
        assert may == (pushes if policy.name.endswith("-pipeline") else set()), policy.name
    signing = statement(named(graph, "aws:iam/rolePolicy:RolePolicy", "-pipeline"), "SignImages")
    assert signing["Condition"] == {"StringEquals": {"aws:ResourceTag/data-domain": "signing"}}


def test_no_role_lets_itself_into_a_cluster_or_becomes_a_pod(graph: Graph) -> None:
    refusal = statement(one(graph, "aws:iam/policy:Policy"), "NoLettingOneselfIntoAClusterNorBecomingAPod")
    assert refusal["Effect"] == "Deny"
    assert {
        "eks:AssociateAccessPolicy",
        "eks:CreateAccessEntry",
        "eks:CreatePodIdentityAssociation",
    } <= set(refusal["Action"])


def test_without_a_repository_there_is_no_pipeline() -> None:
    graph = roles(github_repository=None)
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
        "backup:DeleteBackupVaultLockConfiguration",
        "backup:DeleteRecoveryPoint",
        "cloudtrail:StopLogging",
        "iam:CreateAccessKey",
        "logs:DeleteMetricFilter",
    } <= refused


def test_no_role_grows_outside_the_boundary(graph: Graph) -> None:
    boundary = one(graph, "aws:iam/policy:Policy")
    refusal = statement(boundary, "NoRoleOutsideTheBoundary")
    assert refusal["Effect"] == "Deny"
    assert {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} <= set(refusal["Action"])
    # The name that it gives itself is the name that it has.
    assert refusal["Condition"] == {
        "StringNotEquals": {
            "iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/{boundary.inputs['name']}"
        }
    }


def test_the_boundary_opens_other_accounts_for_images_only(graph: Graph) -> None:
    for action, granted in allowed(one(graph, "aws:iam/policy:Policy")):
        if "Condition" in granted:
            assert granted["Condition"] == {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
        elif action == "ec2:CreateVolume":
            # Its requests name no account of the resource; what it makes is this account's.
            assert f"arn:aws:ec2:*:{ACCOUNT}:volume/*" in granted["Resource"]
        elif action == "ec2:CopySnapshot":
            assert granted["Resource"] == ["arn:aws:ec2:*::snapshot/*"]
        else:
            assert access_level(action) == "Read"
            assert "*" not in granted["Resource"]


def test_every_action_that_a_policy_names_exists(graph: Graph) -> None:
    for policy in (*graph.of("aws:iam/rolePolicy:RolePolicy"), *graph.of("aws:iam/policy:Policy")):
        for granted in statements(policy):
            for action in granted.get("Action", []):
                if "*" not in action:
                    assert access_level(action)


def test_policies_fit_into_what_iam_takes() -> None:
    # IAM quotas: 6,144 characters a managed policy, 10,240 for all inline policies of a role; spaces do not count.
    graph = roles(resource_prefix="secure-ml-platform-staging", home_region="ap-southeast-1")
    for policy in graph.of("aws:iam/policy:Policy"):
        assert len("".join(policy.inputs["policy"].split())) <= 6144
    for policy in graph.of("aws:iam/rolePolicy:RolePolicy"):
        assert len("".join(policy.inputs["policy"].split())) <= 10240, policy.name


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"people_principal_arns": []}, "people_principal_arns is empty"),
        ({"people_principal_arns": ["*"]}, "write one user or role in full"),
        ({"people_principal_arns": [f"arn:aws:iam::{ACCOUNT}:root"]}, "write one user or role in full"),
        (
            {"people_principal_arns": [PERSON, f"arn:aws:iam::{ACCOUNT}:role/*"]},
            r"people_principal_arns\[1\]",
        ),
        ({"github_repository": "example-org/*"}, "owner/name"),
        ({"github_repository": "example-org/platform:ref:refs/heads/main"}, "owner/name"),
    ],
)
def test_a_crowd_is_refused_by_name(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        roles(**changed)


def test_the_accounts_defaults_are_tight() -> None:
    graph = built(
        lambda opts, _: AccountGuardrails("g", ebs_key_arn=key("platform"), account_id=ACCOUNT, opts=opts)
    )
    passwords = one(graph, "aws:iam/accountPasswordPolicy:AccountPasswordPolicy").inputs
    assert (passwords["minimumPasswordLength"], passwords["passwordReusePrevention"]) == (14, 24)
    block = one(graph, "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock").inputs
    assert list(block.values()).count(True) == 4
    assert_region_is_tight(graph, key("platform"))


def test_the_backup_region_has_the_same_defaults_under_its_own_key() -> None:
    graph = built(
        lambda _, backup: RegionGuardrails(
            "g", ebs_key_arn=key("backup"), opts=pulumi.ResourceOptions(providers=[backup])
        )
    )
    assert_region_is_tight(graph, key("backup"))
    # What is the account's, and not a region's, is there once.
    assert graph.of("aws:iam/accountPasswordPolicy:AccountPasswordPolicy") == []
    assert graph.of("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock") == []


def assert_region_is_tight(graph: Graph, key_arn: str) -> None:
    assert one(graph, "aws:ebs/encryptionByDefault:EncryptionByDefault").inputs["enabled"] is True
    assert one(graph, "aws:ebs/defaultKmsKey:DefaultKmsKey").inputs["keyArn"] == key_arn
    snapshots = one(graph, "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess").inputs
    assert snapshots["state"] == "block-all-sharing"
    metadata = one(graph, "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults").inputs
    assert (metadata["httpTokens"], metadata["httpPutResponseHopLimit"]) == ("required", 1)
    assert one(graph, "aws:ec2/serialConsoleAccess:SerialConsoleAccess").inputs["enabled"] is False
    assert one(graph, "aws:accessanalyzer/analyzer:Analyzer").inputs["type"] == "ACCOUNT"
