"""Every profile is real: production at its floors previews without a violation, and its floors reach the resources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from blueprint.graph import Graph, Resource
from blueprint.pack import RunningPack
from blueprint.recorder import record
from stacks.platform import build
from stacks.profiles import PROFILES
from stacks.reading import parse
from tests.open_questions import NOT_IN_ANY_GRAPH
from tests.stacks.test_settings import texts, values


@cache
def previewed(profile: str) -> Graph:
    """Return production under a profile, with no more than the profile asks for."""
    floors = PROFILES[profile]
    changed: dict[str, Any] = values("prod")
    changed["profile"] = profile
    changed["retention"] |= {"log_days": floors.log_days, "audit_days": floors.audit_days}
    changed["database"]["backup_retention_days"] = floors.backup_days
    changed["backup"]["vault_lock_days"] = floors.backup_days
    settings = parse(texts(changed), stack="prod")
    return record(lambda: build(settings), project="secure-ml-platform", stack="prod")


@pytest.fixture(scope="module")
def pack() -> Iterator[RunningPack]:
    with RunningPack() as running:
        yield running


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_production_at_the_floors_of_a_profile_violates_nothing(profile: str, pack: RunningPack) -> None:
    verdict = pack.judge(previewed(profile))
    assert verdict.violations == ()
    assert {each.control for each in verdict.undecided} == NOT_IN_ANY_GRAPH


LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
VAULT_LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
STANDARD = "aws:securityhub/standardsSubscription:StandardsSubscription"


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_floors_of_a_profile_reach_the_resources(profile: str) -> None:
    graph, floors = previewed(profile), PROFILES[profile]
    (audit,) = [lock.inputs["rule"] for lock in graph.of(LOCK) if lock.name == "audit-bucket-lock"]
    assert audit["defaultRetention"] == {"mode": floors.lock_mode, "days": floors.audit_days}
    groups = graph.of("aws:cloudwatch/logGroup:LogGroup")
    assert {group.inputs["retentionInDays"] for group in groups} == {floors.log_days}
    for lock in graph.of(VAULT_LOCK):
        assert lock.inputs["minRetentionDays"] == floors.backup_days
        # The three days of grace are what makes a vault's lock one of compliance.
        assert (lock.inputs.get("changeableForDays") == 3) is (floors.lock_mode == "COMPLIANCE")
    assert len(graph.of(STANDARD)) == 2 * len(floors.standards)
    assert bool(graph.of("aws:macie2/account:Account")) is floors.classified
    replicated = graph.of("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    assert len(replicated) == (2 if floors.redundant else 0)


def test_what_is_read_and_written_in_either_region_is_an_event_of_the_trail() -> None:
    (trail,) = previewed("hipaa").of("aws:cloudtrail/trail:Trail")
    (data,) = [
        {each["field"]: each for each in selector["fieldSelectors"]}
        for selector in trail.inputs["advancedEventSelectors"]
        if "Data" in str(selector["fieldSelectors"])
    ]
    watched = data["resources.ARN"]["startsWiths"]
    assert [arn.split(":::smlp-prod-")[1].rpartition("-777788889999")[0] for arn in watched] == [
        "data",
        "models",
        "data-replica",
        "models-replica",
    ]


def tags(resource: Resource) -> set[tuple[str, str]]:
    """Return the tags of a resource; a scaling group has a list of another shape, for its machines."""
    found = resource.inputs.get("tags")
    return set(found.items()) if isinstance(found, dict) else set()


def test_whatever_holds_data_that_cannot_be_made_again_carries_the_tag() -> None:
    graph = previewed("hipaa")
    tagged = {r.name for r in graph.resources if ("backup", "daily") in tags(r)}
    assert tagged == {"data-bucket", "models-bucket", "secure-ml-platform-prod-database-instance"}


def test_each_region_tells_its_own_topics() -> None:
    """EventBridge reaches no topic of another region: such a rule would tell nobody."""
    graph = previewed("hipaa")
    rules = {rule.name: rule for rule in graph.of("aws:cloudwatch/eventRule:EventRule")}
    for target in graph.of("aws:cloudwatch/eventTarget:EventTarget"):
        region = rules[target.name].outputs["arn"].split(":")[3]
        assert target.inputs["arn"].split(":")[3] == region
    assert len({rule.outputs["arn"].split(":")[3] for rule in rules.values()}) == 2


def test_personas_name_the_workgroup_and_the_database_that_there_are() -> None:
    graph = previewed("hipaa")
    (auditor,) = [p for p in graph.of("aws:iam/rolePolicy:RolePolicy") if p.name == "roles-auditor"]
    (workgroup,) = graph.of("aws:athena/workgroup:Workgroup")
    (database,) = graph.of("aws:glue/catalogDatabase:CatalogDatabase")
    assert workgroup.outputs["arn"] in auditor.inputs["policy"]
    assert database.outputs["arn"] in auditor.inputs["policy"]
