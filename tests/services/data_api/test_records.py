"""Rows: what callers get, and what they cannot get."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from services.shared.data_client import DataApiClient
from tests.services.data_api.conftest import World

PATH = "/v1/datasets/breast_cancer/records"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_come_masked_and_filtered_by_the_declaration(world: World) -> None:
    answer = world.records({"limit": 1000})
    assert answer.status_code == 200, answer.text
    *rows, end = lines(answer.text)
    assert end == {"@end": True, "@rows": len(rows)}
    truth = world.sql("SELECT * FROM clinical.breast_cancer WHERE consented ORDER BY sample")
    assert len(rows) == len(truth)
    for row, true in zip(rows, truth, strict=True):
        assert row["sample"] == true["sample"]
        assert row["mean_radius"] == true["mean_radius"]
        assert row["malignant"] == true["malignant"]
        assert row["ward"] == true["ward"]
        assert row["postcode"] == true["postcode"][:2]
        assert row["born"] == f"{true['born'].year}-01-01"
        assert len(row["patient"]) == 32
        assert "consented" not in row
    assert {r["patient"] for r in rows if r["sample"] in (1, 401)} == {rows[0]["patient"]}
    assert "patient-" not in answer.text


def test_arrow_and_json_say_the_same(world: World) -> None:
    client = DataApiClient(world.address, token=world.issuer.token, tls=world.context())
    table = pa.Table.from_batches(list(client.batches("breast_cancer", purpose="research", rows=100)))
    rows = lines(world.records({"limit": 1000}).text)[:-1]
    assert [{**row, "born": row["born"].isoformat()} for row in table.to_pylist()] == rows


def test_a_cursor_goes_on_after_the_last_row(world: World) -> None:
    first = lines(world.records({"limit": 7, "columns": ["sample"]}).text)
    cursor = next(line["@cursor"] for line in first if "@cursor" in line)
    second = lines(world.records({"limit": 7, "columns": ["sample"], "cursor": cursor}).text)
    samples = [line["sample"] for line in first + second if "sample" in line]
    assert samples == [n for n in range(1, 100) if n % 10][:14]


@pytest.mark.parametrize("place", [0, 5, 15, -5, -1])
def test_a_cursor_that_was_tampered_with_is_refused(world: World, place: int) -> None:
    cursor = next(line["@cursor"] for line in lines(world.records({"limit": 2}).text) if "@cursor" in line)
    letters = list(cursor)
    at = [n for n, c in enumerate(letters) if c != "="][place]
    letters[at] = "A" if letters[at] != "A" else "Q"
    answer = world.records({"limit": 2, "cursor": "".join(letters)})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:problem:bad-cursor"


def test_a_cursor_is_for_its_caller_and_query_alone(world: World) -> None:
    cursor = next(line["@cursor"] for line in lines(world.records({"limit": 2}).text) if "@cursor" in line)
    assert world.records({"cursor": cursor}).status_code == 200
    assert world.records({"cursor": cursor, "columns": ["sample"]}).status_code == 400
    assert world.records({"cursor": cursor, "purpose": "model-training"}).status_code == 400
    other = world.issuer.token("redteam:redteam")
    assert world.records({"cursor": cursor}, token=other).status_code == 400


INJECTIONS = [
    "x' OR '1'='1",
    '"; DROP TABLE clinical.breast_cancer; --',
    "sample); SELECT pg_sleep(9); --",
    "1 UNION SELECT usename FROM pg_user",
    "consented",
    "ctid",
    "\u0000",
    "\\x27 OR 1=1",
]


@pytest.mark.parametrize("attack", INJECTIONS)
def test_sql_in_any_parameter_stays_a_value(world: World, attack: str) -> None:
    before = world.sql("SELECT count(*) FROM clinical.breast_cancer")[0][0]
    answers = [
        world.records({"columns": [attack]}),
        world.records({"filters": [{"column": attack, "op": "eq", "value": 1}]}),
        world.records({"filters": [{"column": "sample", "op": attack, "value": 1}]}),
        world.records({"filters": [{"column": "sample", "op": "eq", "value": attack}]}),
        world.records({"cursor": attack}),
        world.records({"limit": attack}),
        world.aggregate({"kind": attack, "milli_epsilon": 1}),
        world.aggregate({"kind": "sum", "column": attack, "milli_epsilon": 1}),
    ]
    assert {answer.status_code for answer in answers} <= {400, 422}
    assert all(attack not in answer.text for answer in answers if attack != "consented")
    wrong_purpose = world.records({"purpose": attack})
    assert wrong_purpose.status_code in (403, 422)
    text = world.records({"filters": [{"column": "ward", "op": "eq", "value": attack}]})
    assert text.status_code == 422 if "\0" in attack else lines(text.text) == [{"@end": True, "@rows": 0}]
    assert world.call("POST", f"/v1/datasets/{quote(attack, safe='')}/records", json={}).status_code in (
        403,
        404,
        422,
    )
    assert world.sql("SELECT count(*) FROM clinical.breast_cancer")[0][0] == before


def test_a_masked_column_cannot_be_guessed_by_filters(world: World) -> None:
    answer = world.records({"filters": [{"column": "patient", "op": "eq", "value": "patient-0001"}]})
    assert answer.status_code == 422


def test_filters_are_typed(world: World) -> None:
    def samples(*filters: dict[str, Any]) -> list[int]:
        answer = world.records({"columns": ["sample"], "filters": list(filters)})
        return [line["sample"] for line in lines(answer.text) if "sample" in line]

    assert samples({"column": "sample", "op": "in", "value": [1, 3, 10]}) == [1, 3]
    assert samples({"column": "sample", "op": "le", "value": 2}) == [1, 2]
    nulls = {
        row[0]
        for row in world.sql("SELECT sample FROM clinical.breast_cancer WHERE ward IS NULL AND consented")
    }
    assert set(samples({"column": "ward", "op": "is_null"})) == nulls
    for wrong in (True, "1", 1.5, 2**70, [1]):
        answer = world.records({"filters": [{"column": "sample", "op": "eq", "value": wrong}]})
        assert answer.status_code == 422, wrong


def test_the_service_role_reaches_nothing_beside_the_declared_columns(world: World) -> None:
    rows = world.sql(
        "SELECT table_schema, table_name, privilege_type, column_name FROM information_schema.column_privileges "
        "WHERE grantee = 'data_api'"
    )
    assert {(r[0], r[1], r[2]) for r in rows} == {("clinical", "breast_cancer", "SELECT")}
    world.sql("CREATE TABLE IF NOT EXISTS clinical.secrets (x int)")
    assert not world.sql("SELECT has_table_privilege('data_api', 'clinical.secrets', 'SELECT')")[0][0]
    assert not world.sql("SELECT has_table_privilege('data_api', 'clinical.breast_cancer', 'UPDATE')")[0][0]


def test_more_rows_than_one_request_may_take_is_413(world: World) -> None:
    assert world.records({"limit": 10_000_001}).status_code == 413


def test_what_cannot_be_accepted_is_406(world: World) -> None:
    assert world.records({}, headers={"Accept": "text/html"}).status_code == 406


def test_who_asks_for_json_gets_it_line_by_line(world: World) -> None:
    answer = world.records({"limit": 2}, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
