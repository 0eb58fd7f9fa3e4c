"""The database: reached by one group, signed in to without stored passwords, and hard to lose."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.database import Database
from tests.components.support import ACCOUNT, BOUNDARY, HOME, TOPIC, built, key, named, one, statements


def database(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "identifier": "smlp-test",
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "client_security_group_id": "sg-api",
        "data_key_arn": key("data"),
        "logs_key_arn": key("logs"),
        "instance_class": "db.m7g.large",
        "allocated_storage_gb": 100,
        "max_allocated_storage_gb": 500,
        "backup_retention_days": 35,
        "standby": "other-zone",
        "log_retention_days": 365,
        "alarm_topic_arn": TOPIC,
        "permissions_boundary_arn": BOUNDARY,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: Database("db", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return database()


@pytest.fixture(scope="module")
def instance(graph: Graph) -> dict[str, Any]:
    return one(graph, "aws:rds/instance:Instance").inputs


def test_exactly_one_group_gets_in_and_nothing_gets_out(graph: Graph) -> None:
    group = one(graph, "aws:ec2/securityGroup:SecurityGroup")
    rule = one(graph, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == (group.id, "sg-api")
    assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)
    out = one(graph, "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule").inputs
    assert (out["securityGroupId"], out["referencedSecurityGroupId"]) == ("sg-api", group.id)


def test_nobody_types_a_password(instance: dict[str, Any]) -> None:
    assert instance["manageMasterUserPassword"] is True
    assert instance["masterUserSecretKmsKeyId"] == key("data")
    assert instance["iamDatabaseAuthenticationEnabled"] is True
    assert not {"password", "passwordWo"} & set(instance)


def test_it_is_private_and_encrypted(instance: dict[str, Any]) -> None:
    assert instance["publiclyAccessible"] is False
    assert (instance["storageEncrypted"], instance["kmsKeyId"]) == (True, key("data"))
    assert instance["performanceInsightsKmsKeyId"] == key("data")


def test_plain_connections_are_refused_and_statements_audited(graph: Graph) -> None:
    group = one(graph, "aws:rds/parameterGroup:ParameterGroup").inputs
    values = {p["name"]: p["value"] for p in group["parameters"]}
    assert values["rds.force_ssl"] == "1"
    assert "pgaudit" in values["shared_preload_libraries"]
    assert {"read", "write", "ddl", "role"} <= set(values["pgaudit.log"].split(","))


def test_the_log_copies_neither_data_nor_passwords(graph: Graph) -> None:
    values = {
        p["name"]: p["value"]
        for p in one(graph, "aws:rds/parameterGroup:ParameterGroup").inputs["parameters"]
    }
    assert values["pgaudit.log_parameter"] == "0"
    assert values["log_error_verbosity"] == "terse"
    assert values["log_statement"] == "none"
    assert "log_min_duration_statement" not in values


def test_parameters_that_need_a_restart_wait_for_one(graph: Graph) -> None:
    parameters = one(graph, "aws:rds/parameterGroup:ParameterGroup").inputs["parameters"]
    waiting = {p["name"] for p in parameters if p["applyMethod"] == "pending-reboot"}
    assert waiting == {"shared_preload_libraries", "max_connections"}


def test_the_parameters_are_of_the_engines_version() -> None:
    graph = database(engine_version="16.4")
    assert one(graph, "aws:rds/parameterGroup:ParameterGroup").inputs["family"] == "postgres16"


def test_the_monitoring_role_may_monitor_before_it_is_used(graph: Graph) -> None:
    role = one(graph, "aws:iam/role:Role")
    assert role.inputs["permissionsBoundary"] == BOUNDARY
    (trust,) = statements(role, "assumeRolePolicy")
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    attached = one(graph, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert attached.urn in one(graph, "aws:rds/instance:Instance").dependencies


def test_logs_go_to_groups_that_are_encrypted_before_rds_makes_its_own(graph: Graph) -> None:
    groups = graph.of("aws:cloudwatch/logGroup:LogGroup")
    assert {g.inputs["name"] for g in groups} == {
        f"/aws/rds/instance/smlp-test/{k}" for k in ("postgresql", "upgrade")
    }
    assert {g.inputs["kmsKeyId"] for g in groups} == {key("logs")}
    made = one(graph, "aws:rds/instance:Instance")
    assert {g.urn for g in groups} <= set(made.dependencies)


def test_it_is_hard_to_lose(graph: Graph, instance: dict[str, Any]) -> None:
    assert instance["deletionProtection"] is True
    assert instance["skipFinalSnapshot"] is False
    assert instance["deleteAutomatedBackups"] is False
    assert instance["backupRetentionPeriod"] == 35
    assert one(graph, "aws:rds/instance:Instance").protect


def test_a_standby_is_there_when_asked() -> None:
    assert one(database(), "aws:rds/instance:Instance").inputs["multiAz"] is True
    assert one(database(standby="none"), "aws:rds/instance:Instance").inputs["multiAz"] is False


def test_alarms_reach_somebody(graph: Graph) -> None:
    alarms = graph.of("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert len(alarms) == 3
    assert all(a.inputs["alarmActions"] == [TOPIC] for a in alarms)


def test_an_alarm_comes_before_connections_run_out() -> None:
    alarm = named(
        database(max_connections=50), "aws:cloudwatch/metricAlarm:MetricAlarm", "DatabaseConnections"
    )
    assert alarm.inputs["threshold"] == 40


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"subnet_ids": ["subnet-1"]}, "subnet_ids"),
        ({"backup_retention_days": 1}, "7 to 35"),
        ({"max_allocated_storage_gb": 100}, "max_allocated_storage_gb is 100; write 110 or more"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        database(**changed)
