"""The audit's questions: they are Athena's SQL, about columns that exist, and answers are encrypted and bounded."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.qualify_columns import validate_qualify_columns

from blueprint.graph import Graph
from components.audit import AuditRoom
from components.audit_queries import Question, questions_for
from components.audit_tables import LOAD_BALANCER, Log, LogTable, table_of
from tests.components.support import ACCOUNT, HOME, built, key, one

LOGS: dict[Log, str] = {
    "trail": f"s3://audit/AWSLogs/{ACCOUNT}/CloudTrail",
    "waf": "s3://edge/waf",
    "load_balancer": "s3://edge/alb",
    "service": "s3://services/log",
}
TABLES: dict[Log, LogTable] = {log: table_of(log, "aws") for log in LOGS}
QUESTIONS = questions_for(list(LOGS))

TABLE, QUERY = "aws:glue/catalogTable:CatalogTable", "aws:athena/namedQuery:NamedQuery"


def room(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "logs": LOGS,
        "results_bucket_name": "smlp-test-answers",
        "results_key_arn": key("reports"),
        "query_limit_gb": 50,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: AuditRoom("plat-audit", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return room()


# The workgroup


def test_no_client_chooses_where_answers_go_or_how_they_are_encrypted(graph: Graph) -> None:
    configuration = one(graph, "aws:athena/workgroup:Workgroup").inputs["configuration"]
    assert configuration["enforceWorkgroupConfiguration"] is True
    results = configuration["resultConfiguration"]
    assert results["encryptionConfiguration"] == {
        "encryptionOption": "SSE_KMS",
        "kmsKeyArn": key("reports"),
    }
    assert results["outputLocation"] == "s3://smlp-test-answers/answers/"
    # A bucket of the same name in somebody else's account gets no answer.
    assert results["expectedBucketOwner"] == ACCOUNT


def test_a_question_that_reads_too_much_is_ended(graph: Graph) -> None:
    configuration = one(graph, "aws:athena/workgroup:Workgroup").inputs["configuration"]
    assert configuration["bytesScannedCutoffPerQuery"] == 50_000_000_000


# The tables


@cache
def made(log: Log) -> exp.Create:
    parsed = sqlglot.parse_one(TABLES[log].ddl(LOGS[log]), read="athena")
    # What sqlglot does not understand it keeps as a Command, which would prove nothing.
    assert isinstance(parsed, exp.Create)
    return parsed


def columns_of(create: exp.Create) -> dict[str, exp.DataType]:
    found: dict[str, exp.DataType] = {}
    for definition in create.find_all(exp.ColumnDef):
        # Fields of a struct are definitions as well; columns stand in the schema itself.
        if isinstance(definition.parent, exp.Schema):
            found[definition.name] = definition.args["kind"]
    return found


@pytest.mark.parametrize("log", LOGS)
def test_the_statement_that_makes_a_table_says_what_the_table_is(log: Log) -> None:
    declared = {*TABLES[log].columns, *(partition.name for partition in TABLES[log].partitions)}
    assert set(columns_of(made(log))) == declared


@pytest.mark.parametrize("log", LOGS)
def test_the_catalog_has_the_same_table(log: Log, graph: Graph) -> None:
    (table,) = [t.inputs for t in graph.of(TABLE) if t.inputs["name"] == log]
    storage = table["storageDescriptor"]
    assert {column["name"]: column["type"] for column in storage["columns"]} == TABLES[log].columns
    assert [key_["name"] for key_ in table["partitionKeys"]] == [p.name for p in TABLES[log].partitions]
    assert storage["location"] == f"{LOGS[log]}/"
    assert table["databaseName"] == "plat_audit"


@pytest.mark.parametrize("log", LOGS)
def test_every_partition_is_computed_and_in_the_folder(log: Log) -> None:
    table = TABLES[log]
    parameters = table.parameters(LOGS[log])
    assert parameters["projection.enabled"] == "true"
    named = re.findall(r"\$\{(\w+)\}", parameters["storage.location.template"])
    assert named == [partition.name for partition in table.partitions]
    for partition in table.partitions:
        assert f"projection.{partition.name}.type" in parameters


def test_the_trail_is_searched_in_regions_where_nothing_of_ours_is(graph: Graph) -> None:
    """Whoever uses stolen keys does it where nobody looks."""
    (region, _) = TABLES["trail"].partitions
    assert {"sa-east-1", "ap-southeast-3", HOME} <= set(region.projection["values"].split(","))
    (region, _) = table_of("trail", "aws-us-gov").partitions
    assert region.projection["values"] == "us-gov-east-1,us-gov-west-1"


REQUEST = (
    "https 2026-01-31T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 203.0.113.8:2817 10.0.0.1:80 "
    '0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" '
    "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 "
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" '
    '"arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" '
    '1 2026-01-31T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" '
    "TID_1234abcd5678ef90"
)


def test_a_line_of_the_load_balancer_falls_into_its_columns() -> None:
    """Elastic Load Balancing, "Access logs for your Application Load Balancer": an entry as AWS shows it."""
    found = re.fullmatch(LOAD_BALANCER.serde_parameters["input.regex"], REQUEST)
    assert found
    row = dict(zip(LOAD_BALANCER.columns, found.groups(), strict=True))
    assert row["client_ip"] == "203.0.113.8"
    assert row["elb_status_code"] == "200"
    assert row["request_url"] == "https://www.example.com:443/"
    assert row["ssl_protocol"] == "TLSv1.2"
    assert row["conn_trace_id"].strip() == "TID_1234abcd5678ef90"


# The questions


def asked(question: Question) -> exp.Query:
    (parsed,) = sqlglot.parse(question.sql, read="athena")
    assert isinstance(parsed, exp.Query)
    return parsed


def qualified(sql: str) -> exp.Expr:
    """Resolve every column against the tables as their own statements declare them."""
    schema: dict[str, object] = {
        log: {name: type_.sql("athena") for name, type_ in columns_of(made(log)).items()} for log in LOGS
    }
    found = qualify(
        sqlglot.parse_one(sql, read="athena"), schema=schema, dialect="athena", validate_qualify_columns=True
    )
    validate_qualify_columns(found)
    return found


def steps(node: exp.Expr) -> tuple[exp.Column, list[str]]:
    """Return the column that a chain of dots begins at, and the fields that it goes through."""
    fields: list[str] = []
    while isinstance(node, exp.Dot):
        fields.insert(0, node.expression.name)
        node = node.this
    assert isinstance(node, exp.Column)
    return node, fields


def field_problems(query: exp.Expr) -> list[str]:
    problems = []
    for dot in query.find_all(exp.Dot):
        if isinstance(dot.parent, exp.Dot):
            continue
        column, fields = steps(dot)
        type_ = columns_of(made(next(log for log in LOGS if log == column.table)))[column.name]
        for field in fields:
            known = {definition.name: definition for definition in type_.expressions}
            if field not in known:
                problems.append(f"{column.name}.{'.'.join(fields)}: {field}")
                break
            type_ = known[field].args["kind"]
    return problems


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_is_athenas_sql_about_columns_that_exist(question: Question) -> None:
    assert asked(question)
    assert field_problems(qualified(question.sql)) == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_says_what_it_asks_for_and_which_days(question: Question) -> None:
    query = asked(question)
    assert len(list(query.find_all(exp.Placeholder))) == len(question.asks)
    assert {table.name for table in query.find_all(exp.Table)} <= question.logs
    for select in query.find_all(exp.Select):
        # Without its days a question would read the log of years.
        assert [b.this.name for b in select.find_all(exp.Between)] == ["day"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nothing_of_the_kind FROM trail",
        "SELECT useridentity.nothing FROM trail",
        "SELECT useridentity.sessioncontext.sessionissuer.nothing FROM trail",
    ],
)
def test_the_check_of_columns_sees_what_is_not_there(sql: str) -> None:
    try:
        problems = field_problems(qualified(sql))
    except OptimizeError as error:
        problems = [str(error)]
    assert problems


@pytest.mark.parametrize(
    "name",
    [
        "who-queried-model",
        "who-read-dataset",
        "who-pulled-dataset-files",
        "everything-from-address",
        "who-used-role",
        "what-was-denied",
    ],
)
def test_the_questions_that_must_be_answered_are_there(name: str, graph: Graph) -> None:
    (query,) = [q.inputs for q in graph.of(QUERY) if q.inputs["name"] == name]
    assert query["workgroup"] == "plat-audit"
    assert query["database"] == "plat_audit"


def test_an_address_is_looked_for_in_every_log_there_is() -> None:
    (everywhere,) = [q for q in QUESTIONS if q.name == "everything-from-address"]
    assert {table.name for table in asked(everywhere).find_all(exp.Table)} == set(LOGS)


def test_without_a_log_its_questions_are_not_offered() -> None:
    graph = room(logs={"trail": LOGS["trail"]})
    assert [t.inputs["name"] for t in graph.of(TABLE)] == ["trail"]
    names = {q.inputs["name"] for q in graph.of(QUERY)}
    assert "who-queried-model" not in names
    assert {"who-used-role", "everything-from-address", "table-trail"} <= names


def test_what_is_stored_fits_into_athena(graph: Graph) -> None:
    # Athena API Reference, "NamedQuery": 262,144 characters of query, 1,024 of description, 128 of name.
    for query in graph.of(QUERY):
        assert len(query.inputs["query"]) <= 262_144
        assert len(query.inputs["description"]) <= 1024
        assert len(query.inputs["name"]) <= 128


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"logs": {}}, "logs is empty"),
        ({"logs": {"trail": "audit/AWSLogs"}}, r"logs\['trail'\]"),
        ({"logs": {"trail": "s3://audit/AWSLogs/"}}, "without a slash"),
        ({"query_limit_gb": 0}, "query_limit_gb is 0"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        room(**changed)
