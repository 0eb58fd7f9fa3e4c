"""Keys: rotated, apart by domain, and changed by other people than those who use them."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph, Resource
from components.keys import DOMAINS, KeyRing
from tests.components.support import (
    ACCOUNT,
    BACKUP,
    HOME,
    built,
    key,
    named,
    one,
    statement,
    statements,
)

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/operator"


def ring(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "account_id": ACCOUNT,
        "region": HOME,
        "backup_region": BACKUP,
        "administrator_arns": [ADMIN],
        "deletion_window_days": 30,
        **changed,
    }
    return built(lambda opts, backup: KeyRing("keys", **arguments, backup_provider=backup, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return ring()


def test_every_domain_has_a_key_that_rotates_and_is_protected(graph: Graph) -> None:
    keys = graph.of("aws:kms/key:Key")
    assert {k.inputs["tags"]["data-domain"] for k in keys} == set(DOMAINS)
    assert all(k.inputs["enableKeyRotation"] and k.protect for k in keys)
    assert {k.inputs["deletionWindowInDays"] for k in keys} == {30}


USE = {
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
}
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def documents(graph: Graph) -> list[Resource]:
    return [*graph.of("aws:kms/key:Key"), *graph.of("aws:kms/replicaKey:ReplicaKey")]


def every_statement(graph: Graph) -> list[dict[str, Any]]:
    return [said for made in documents(graph) for said in statements(made)]


def conditions(said: dict[str, Any]) -> set[str]:
    return {condition for keys in said.get("Condition", {}).values() for condition in keys}


def test_who_administers_a_key_may_not_use_it(graph: Graph) -> None:
    for made in documents(graph):
        for sid in ("AdministratorsMayChangeButNotUse", "AccountMayDelegateAdministration"):
            assert not USE & set(statement(made, sid)["Action"])


def test_no_statement_grants_all_actions_or_switches_rotation_off(graph: Graph) -> None:
    granted = {action for said in every_statement(graph) for action in said["Action"]}
    assert not granted & {"*", "kms:*", "kms:DisableKeyRotation"}


def test_whoever_deploys_can_make_a_key_as_far_as_iam_lets_them(graph: Graph) -> None:
    """KMS refuses a policy that its maker cannot change, and the provider reads back what it made."""
    needed = {
        "kms:DescribeKey",
        "kms:EnableKeyRotation",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "kms:ListResourceTags",
        "kms:PutKeyPolicy",
    }
    for made in documents(graph):
        delegation = statement(made, "AccountMayDelegateAdministration")
        assert delegation["Principal"] == {"AWS": [ROOT]}
        assert needed <= set(delegation["Action"])


def test_every_use_is_bound_to_this_account(graph: Graph) -> None:
    binding = {
        "kms:CallerAccount",
        "aws:SourceAccount",
        "kms:EncryptionContext:aws:logs:arn",
        "kms:EncryptionContext:aws:sns:topicArn",
        "kms:EncryptionContext:aws:cloudtrail:arn",
    }
    for said in every_statement(graph):
        if USE & set(said["Action"]):
            assert conditions(said) & binding, said["Sid"]
            assert ACCOUNT in str(said["Condition"])


def test_roles_use_a_key_only_through_the_services_of_its_domain(graph: Graph) -> None:
    data = statement(named(graph, "aws:kms/key:Key", "keys-data"), "AccountMayUseThroughServices")
    services = data["Condition"]["StringEquals"]["kms:ViaService"]
    assert f"rds.{HOME}.amazonaws.com" in services
    assert f"logs.{HOME}.amazonaws.com" not in services


def test_the_replica_is_used_through_services_of_its_own_region(graph: Graph) -> None:
    use = statement(one(graph, "aws:kms/replicaKey:ReplicaKey"), "AccountMayUseThroughServices")
    assert all(f".{BACKUP}." in service for service in use["Condition"]["StringEquals"]["kms:ViaService"])


def test_grants_are_for_services_only(graph: Graph) -> None:
    for said in every_statement(graph):
        if "kms:CreateGrant" in said["Action"] and said["Sid"] != "ClustersAndRepositoriesMayHoldGrants":
            assert said["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_clusters_and_repositories_hold_the_platform_key_without_the_mark_that_eks_does_not_know(
    graph: Graph,
) -> None:
    said = {
        key.inputs["tags"]["data-domain"]: found
        for key in (*graph.of("aws:kms/key:Key"), *graph.of("aws:kms/replicaKey:ReplicaKey"))
        for found in statements(key)
        if found["Sid"] == "ClustersAndRepositoriesMayHoldGrants"
    }
    assert set(said) == {"platform"}
    assert said["platform"]["Condition"] == {
        "StringEquals": {
            "kms:CallerAccount": ACCOUNT,
            "kms:ViaService": [f"eks.{HOME}.amazonaws.com", f"ecr.{HOME}.amazonaws.com"],
        }
    }


def test_everybody_is_only_ever_narrowed_to_one_role_of_this_account(graph: Graph) -> None:
    for said in every_statement(graph):
        if said["Principal"] in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
            assert said["Condition"]["ArnEquals"]["aws:PrincipalArn"].startswith(
                f"arn:aws:iam::{ACCOUNT}:role/"
            )
            assert said["Condition"]["StringEquals"]["kms:CallerAccount"] == ACCOUNT


def test_auto_scaling_starts_machines_with_disks_under_the_platform_key_alone(graph: Graph) -> None:
    named_in = {
        made.inputs["tags"]["data-domain"]
        for made in documents(graph)
        if any(said["Sid"].startswith("AutoScaling") for said in statements(made))
    }
    assert named_in == {"platform"}


def test_event_rules_reach_encrypted_topics_without_a_source_account(graph: Graph) -> None:
    """EventBridge sends none to KMS, so a condition on it would drop every alert in silence."""
    events = statement(named(graph, "aws:kms/key:Key", "keys-logs"), "EventsToTopicsOfThisAccount")
    assert conditions(events) == {"kms:EncryptionContext:aws:sns:topicArn"}


def test_services_that_write_logs_and_reports_use_no_other_key(graph: Graph) -> None:
    for made in documents(graph):
        if made.inputs["tags"]["data-domain"] not in ("logs", "reports"):
            assert all("Service" not in said["Principal"] for said in statements(made))


def services(made: Resource) -> set[str]:
    return {
        service
        for said in statements(made)
        if isinstance(said["Principal"], dict)
        for service in said["Principal"].get("Service", [])
    }


def test_reports_and_logs_are_written_by_different_services(graph: Graph) -> None:
    reports, logs = (named(graph, "aws:kms/key:Key", f"keys-{domain}") for domain in ("reports", "logs"))
    assert services(reports) == {"config.amazonaws.com", "macie.amazonaws.com"}
    assert not services(reports) & services(logs)


def test_only_trails_of_this_account_and_region_are_encrypted(graph: Graph) -> None:
    """Somebody else's trail that names our key must not get data keys of it."""
    trails = f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/*"
    logs = named(graph, "aws:kms/key:Key", "keys-logs")
    assert statement(logs, "TrailsOfThisAccount")["Condition"] == {
        "ArnLike": {"aws:SourceArn": trails, "kms:EncryptionContext:aws:cloudtrail:arn": trails}
    }
    assert statement(logs, "TrailsLookAtTheKey")["Action"] == ["kms:DescribeKey"]


def test_classification_reads_data_through_s3_and_under_no_other_key(graph: Graph) -> None:
    found = [said for said in every_statement(graph) if said["Sid"] == "ClassificationMayRead"]
    reading = statement(named(graph, "aws:kms/key:Key", "keys-data"), "ClassificationMayRead")
    assert found == [reading]
    assert reading["Action"] == ["kms:Decrypt"]
    assert reading["Condition"]["StringEquals"]["kms:ViaService"] == [f"s3.{HOME}.amazonaws.com"]


def test_alerts_of_the_backup_region_need_nothing_of_the_home_region(graph: Graph) -> None:
    away = named(graph, "aws:kms/key:Key", "-logs-backup-region")
    assert not away.inputs["multiRegion"]
    assert f":{BACKUP}:" in away.outputs["arn"]
    assert "::backup::" in away.provider
    events = statement(away, "EventsToTopicsOfThisAccount")
    assert events["Condition"]["ArnLike"]["kms:EncryptionContext:aws:sns:topicArn"] == (
        f"arn:aws:sns:{BACKUP}:{ACCOUNT}:*"
    )
    assert one(graph, "secureml:keys:KeyRing").outputs["backup_region_logs_arn"] == away.outputs["arn"]


def test_the_backup_key_has_a_replica_in_the_backup_region(graph: Graph) -> None:
    replica = one(graph, "aws:kms/replicaKey:ReplicaKey")
    primary = named(graph, "aws:kms/key:Key", "-backup")
    assert primary.inputs["multiRegion"]
    assert replica.inputs["primaryKeyArn"] == primary.outputs["arn"]
    assert f":{BACKUP}:" in replica.outputs["arn"]
    assert "::backup::" in replica.provider
    assert replica.protect
    assert one(graph, "secureml:keys:KeyRing").outputs["backup_replica_arn"] == replica.outputs["arn"]


def test_every_key_has_its_alias(graph: Graph) -> None:
    aliases = [alias.inputs["name"] for alias in graph.of("aws:kms/alias:Alias")]
    away = ["alias/keys-backup", "alias/keys-logs"]
    assert sorted(aliases) == sorted([*(f"alias/keys-{domain}" for domain in DOMAINS), *away])


def test_a_brought_key_is_used_and_not_made() -> None:
    graph = ring(existing={"data": key("mine")})
    assert {k.inputs["tags"]["data-domain"] for k in graph.of("aws:kms/key:Key")} == set(DOMAINS) - {"data"}
    assert one(graph, "secureml:keys:KeyRing").outputs["data_arn"] == key("mine")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"administrator_arns": []}, "administrator_arns"),
        ({"deletion_window_days": 3}, "7 to 30"),
        ({"existing": {"dta": key("mine")}}, "existing names 'dta'"),
        ({"existing": {"data": key("mine"), "logs": key("mine")}}, "one key for two domains"),
        ({"existing": {"backup": key("mine")}}, "multi-Region"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ring(**changed)
