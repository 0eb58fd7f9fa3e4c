"""The registry: what was checked stays what runs, only the pipeline pushes, and only it signs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blueprint.graph import Graph
from components.registry import UPSTREAMS, Registry
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, one, statement, statements

REPOSITORY = "aws:ecr/repository:Repository"
POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
RULE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
KEY = "aws:kms/key:Key"

PIPELINE = f"arn:aws:iam::{ACCOUNT}:role/pipeline"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/operator"


def registry(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "prefix": "platform-dev",
        "cache_prefix": "smlp-dev",
        "repositories": ["data-api", "gateway"],
        "key_arn": key("platform"),
        "publisher_arns": [PIPELINE],
        "administrator_arns": [OPERATOR],
        "deletion_window_days": 30,
        "permissions_boundary_arn": BOUNDARY,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: Registry("registry", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return registry()


def test_a_tag_that_was_checked_stays_the_image_that_was_checked(graph: Graph) -> None:
    assert {r.inputs["imageTagMutability"] for r in graph.of(REPOSITORY)} == {"IMMUTABLE"}
    assert {t.inputs["imageTagMutability"] for t in graph.of(TEMPLATE)} == {"IMMUTABLE"}


def test_every_image_is_under_our_key_cached_ones_too(graph: Graph) -> None:
    for found in (*graph.of(REPOSITORY), *graph.of(TEMPLATE)):
        (encryption,) = found.inputs["encryptionConfigurations"]
        assert encryption == {"encryptionType": "KMS", "kmsKey": key("platform")}


def test_every_image_is_looked_at_when_it_comes_and_ever_after(graph: Graph) -> None:
    assert all(r.inputs["imageScanningConfiguration"]["scanOnPush"] for r in graph.of(REPOSITORY))
    scanning = one(graph, "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration").inputs
    assert scanning["scanType"] == "ENHANCED"
    (rule,) = scanning["rules"]
    assert rule["scanFrequency"] == "CONTINUOUS_SCAN"
    assert rule["repositoryFilters"] == [{"filter": "*", "filterType": "WILDCARD"}]


def test_other_accounts_are_refused_whatever_their_policies_say(graph: Graph) -> None:
    documents = [(p, "policy") for p in graph.of(POLICY)] + [
        (t, "repositoryPolicy") for t in graph.of(TEMPLATE)
    ]
    assert len(documents) == 2 + len(UPSTREAMS)
    for resource, where in documents:
        refusal = statement(resource, "RefuseOtherAccounts", where)
        assert (refusal["Effect"], refusal["Principal"], refusal["Action"]) == ("Deny", "*", ["ecr:*"])
        assert refusal["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": ACCOUNT}
        assert all(s["Effect"] == "Deny" for s in statements(resource, where))


def test_nobody_pushes_but_the_pipeline(graph: Graph) -> None:
    for policy in graph.of(POLICY):
        refusal = statement(policy, "OnlyPublishersPush")
        assert refusal["Effect"] == "Deny"
        assert {"ecr:PutImage", "ecr:BatchDeleteImage"} <= set(refusal["Action"])
        assert refusal["Condition"]["ArnNotEquals"] == {"aws:PrincipalArn": [PIPELINE]}


def test_what_no_tag_names_goes_and_nothing_else(graph: Graph) -> None:
    for policy in graph.of("aws:ecr/lifecyclePolicy:LifecyclePolicy"):
        (rule,) = json.loads(policy.inputs["policy"])["rules"]
        assert rule["selection"]["tagStatus"] == "untagged"
        assert rule["action"] == {"type": "expire"}


def test_public_images_come_through_the_cache_whose_template_is_there_first(graph: Graph) -> None:
    assert {r.inputs["ecrRepositoryPrefix"]: r.inputs["upstreamRegistryUrl"] for r in graph.of(RULE)} == {
        "smlp-dev/ecr-public": "public.ecr.aws",
        "smlp-dev/kubernetes": "registry.k8s.io",
        "smlp-dev/quay": "quay.io",
    }
    templates = {t.inputs["prefix"]: t.urn for t in graph.of(TEMPLATE)}
    for rule in graph.of(RULE):
        assert templates[rule.inputs["ecrRepositoryPrefix"]] in rule.dependencies


def test_the_caches_role_makes_cached_repositories_and_no_others(graph: Graph) -> None:
    role = one(graph, "aws:iam/role:Role")
    trust = statement(role, "RegistryOfThisAccount", "assumeRolePolicy")
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert role.inputs["permissionsBoundary"] == BOUNDARY
    make, encrypt = statements(one(graph, "aws:iam/rolePolicy:RolePolicy"))
    assert make["Resource"] == [f"arn:aws:ecr:{HOME}:{ACCOUNT}:repository/smlp-dev/*"]
    assert encrypt["Resource"] == [key("platform")]


def test_the_signing_key_signs_and_does_nothing_else(graph: Graph) -> None:
    made = one(graph, KEY)
    assert (made.inputs["keyUsage"], made.inputs["customerMasterKeySpec"]) == ("SIGN_VERIFY", "ECC_NIST_P256")
    assert made.protect


def test_only_the_pipeline_signs(graph: Graph) -> None:
    signing = [s for s in statements(one(graph, KEY)) if "kms:Sign" in s["Action"]]
    assert [s["Sid"] for s in signing] == ["PublishersSign"]
    assert signing[0]["Condition"] == {
        "StringEquals": {"kms:CallerAccount": ACCOUNT},
        "ArnEquals": {"aws:PrincipalArn": [PIPELINE]},
    }
    for said in statements(one(graph, KEY)):
        assert not any("*" in action for action in said["Action"])


def test_whoever_administers_the_signing_key_cannot_sign(graph: Graph) -> None:
    administration = statement(one(graph, KEY), "AdministratorsMayChangeButNotSign")
    assert administration["Principal"] == {"AWS": [OPERATOR]}
    assert "kms:Sign" not in administration["Action"]


def test_admission_can_be_allowed_to_check_signatures_without_signing(graph: Graph) -> None:
    verification = statement(one(graph, KEY), "AccountMayDelegateVerification")
    assert set(verification["Action"]) == {"kms:DescribeKey", "kms:GetPublicKey", "kms:Verify"}


def test_it_tells_where_images_are(graph: Graph) -> None:
    host = f"{ACCOUNT}.dkr.ecr.{HOME}.amazonaws.com"
    told = one(graph, "secureml:registry:Registry").outputs
    assert told["host"] == host
    assert told["repository_urls"]["gateway"] == f"{host}/platform-dev/gateway"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"repositories": []}, "repositories is empty"),
        ({"publisher_arns": []}, "publisher_arns is empty"),
        ({"cache_prefix": "secure-ml-platform-staging"}, "ECR takes 30 characters"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        registry(**changed)
