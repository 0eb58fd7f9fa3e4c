"""Keys: rotated, apart by domain, and changed by other people than those who use them."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.keys import DOMAINS, KeyRing
from tests.components.support import ACCOUNT, BACKUP, HOME, built, key, named, one, statements

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


def test_administrators_may_not_use_a_key(graph: Graph) -> None:
    for made in graph.of("aws:kms/key:Key"):
        for statement in statements(made):
            if statement["Principal"] == {"AWS": [ADMIN]}:
                assert not {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:CreateGrant"} & set(
                    statement["Action"]
                )


def test_use_is_bound_to_the_account_and_to_services(graph: Graph) -> None:
    for made in graph.of("aws:kms/key:Key"):
        for statement in statements(made):
            if "kms:Decrypt" in statement["Action"]:
                bound = {key for keys in statement["Condition"].values() for key in keys}
                assert bound & {"kms:ViaService", "aws:SourceAccount", "kms:EncryptionContext:aws:logs:arn"}


def test_nobody_at_all_is_never_a_principal(graph: Graph) -> None:
    for made in graph.of("aws:kms/key:Key"):
        assert all(s["Principal"] not in ("*", {"AWS": "*"}, {"AWS": ["*"]}) for s in statements(made))


def test_the_backup_key_has_a_replica_in_the_backup_region(graph: Graph) -> None:
    replica = one(graph, "aws:kms/replicaKey:ReplicaKey")
    primary = named(graph, "aws:kms/key:Key", "-backup")
    assert primary.inputs["multiRegion"]
    assert replica.inputs["primaryKeyArn"] == primary.outputs["arn"]
    assert f":{BACKUP}:" in replica.outputs["arn"]
    assert "::backup::" in replica.provider


def test_a_brought_key_is_used_and_not_made() -> None:
    graph = ring(existing={"data": key("mine")})
    assert {k.inputs["tags"]["data-domain"] for k in graph.of("aws:kms/key:Key")} == set(DOMAINS) - {"data"}
    assert one(graph, "secureml:keys:KeyRing").outputs["data_arn"] == key("mine")


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"administrator_arns": []}, "administrator_arns"), ({"deletion_window_days": 3}, "7 to 30")],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ring(**changed)
