"""The audit: nothing is served without its event, and no event is changed without a trace."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.data_api.audit import KEY_PURPOSE
from services.shared.audit_chain import GENESIS, Link, Sealer, faults, linked, missing_from, seal
from services.shared.keys import derived
from tests.services.data_api.conftest import World
from tests.services.support import until

KEY = b"k" * 32
ROOT = Path(__file__).parents[3]


def chain(count: int) -> list[Link]:
    sealer, previous, made = Sealer(KEY), GENESIS, []
    for number in range(1, count + 1):
        body, sealed = sealer.sealed({"n": number})
        previous = linked(previous, body, sealed)
        made.append(Link(sequence=number, body=body, seal=sealed, link=previous))
    return made


def relinked(links: list[Link]) -> list[Link]:
    """Return the chain as somebody would forge it who can change the table and knows how links are made."""
    previous, made = GENESIS, []
    for number, old in enumerate(links, 1):
        previous = linked(previous, old.body, old.seal)
        made.append(Link(sequence=number, body=old.body, seal=old.seal, link=previous))
    return made


def test_a_whole_chain_has_no_faults() -> None:
    links = chain(5)
    assert faults(links, KEY, head=(5, links[-1].link)) == []
    assert faults([], KEY, head=(0, GENESIS)) == []


def edited(links: list[Link]) -> list[Link]:
    body = links[2].body.replace('"n":3', '"n":4')
    return [*links[:2], Link(sequence=3, body=body, seal=links[2].seal, link=links[2].link), *links[3:]]


def edited_and_sealed_without_the_key(links: list[Link]) -> list[Link]:
    body = links[2].body.replace('"n":3', '"n":4')
    return relinked(
        [*links[:2], Link(sequence=3, body=body, seal=seal(b"x" * 32, body), link=""), *links[3:]]
    )


def deleted(links: list[Link]) -> list[Link]:
    return [*links[:2], *links[3:]]


def deleted_and_relinked(links: list[Link]) -> list[Link]:
    return relinked(deleted(links))


def reordered_and_relinked(links: list[Link]) -> list[Link]:
    return relinked([links[0], links[2], links[1], *links[3:]])


def repeated_and_relinked(links: list[Link]) -> list[Link]:
    return relinked([*links[:3], *links[2:]])


def first_deleted_and_relinked(links: list[Link]) -> list[Link]:
    return relinked(links[1:])


FORGERIES = [
    edited,
    edited_and_sealed_without_the_key,
    deleted,
    deleted_and_relinked,
    reordered_and_relinked,
    repeated_and_relinked,
    first_deleted_and_relinked,
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda f: f.__name__)
def test_a_forged_chain_is_found_out(forgery: Any) -> None:
    assert faults(forgery(chain(5)), KEY)


def test_an_end_that_was_cut_off_shows_against_the_shipped_lines() -> None:
    links = chain(5)
    shipped = [json.dumps({"sequence": link.sequence, "link": link.link}) for link in links]
    assert missing_from(links, shipped) == []
    assert len(missing_from(links[:4], shipped)) == 1
    assert faults(links[:4], KEY, head=(5, links[4].link))


def events(world: World) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in world.sql("SELECT body FROM audit.event ORDER BY sequence")]


def verified(world: World, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**world.environment, "DATABASE_USER": "auditor", **settings}
    world.sql(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditor') THEN "
        f"CREATE ROLE auditor LOGIN PASSWORD '{world.server.password}' IN ROLE data_api_auditor; END IF; END $$"
    )
    return subprocess.run(
        [sys.executable, "-m", "services.data_api.audit", "verify", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_read_is_written_before_and_completed_after(world: World) -> None:
    answer = world.records(
        {"limit": 5, "columns": ["sample"], "filters": [{"column": "sample", "op": "gt", "value": 424242}]}
    )

    def of_it() -> list[dict[str, Any]]:
        return [e for e in events(world) if e["request_id"] == answer.headers["x-request-id"]]

    until(lambda: len(of_it()) == 2)
    opened, completed = of_it()
    assert (opened["phase"], completed["phase"]) == ("opened", "completed")
    assert opened["principal"] == "training/trainer"
    assert opened["columns"] == ["sample"]
    assert opened["decision"] == "allow"
    assert completed["rows"] == 0
    assert "424242" not in json.dumps(events(world))


def test_refusals_are_events(world: World) -> None:
    world.call("GET", "/v1/datasets/no_such_data", token=world.issuer.token("x:y"))
    world.call("GET", "/v1/datasets", token="forged")
    refused = [e for e in events(world) if e["decision"] == "deny"]
    assert {e["principal"] for e in refused[-2:]} == {"x/y", "unauthenticated"}


def test_what_is_shipped_is_what_is_kept(world: World) -> None:
    world.records({"limit": 1})
    done = verified(world, "--shipped", str(world.log))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_role_cannot_change_the_audit_or_the_ledger(world: World) -> None:
    async def attempts() -> list[str]:
        server = world.server
        connection = await asyncpg.connect(
            host=str(server.folder),
            port=server.port,
            user="data_api",
            database="postgres",
            password=server.password,
        )
        refused = []
        try:
            for text in (
                "UPDATE audit.event SET body = ''",
                "DELETE FROM audit.event",
                "TRUNCATE audit.event",
                "INSERT INTO audit.event VALUES (9999, '', '', '')",
                "UPDATE audit.head SET sequence = 0",
                "DROP TABLE audit.event",
                "UPDATE budget.account SET spent_milli = 0",
                "DELETE FROM budget.charge",
                "CREATE OR REPLACE FUNCTION audit.append(text[], text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "SET ROLE data_api_owner",
                "CREATE TABLE public.mine (x int)",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(text)
                refused.append(text)
        finally:
            await connection.close()
        return refused

    assert len(asyncio.run(attempts())) == 11


def test_not_even_the_owner_edits_by_accident(world: World) -> None:
    for text in ("UPDATE audit.event SET body = body", "DELETE FROM audit.event", "TRUNCATE audit.event"):
        with pytest.raises(asyncpg.RaiseError):
            world.sql(text)


def test_an_edit_by_the_master_user_is_found_by_verify(world: World) -> None:
    world.records({"limit": 1})
    edit = "UPDATE audit.event SET body = replace(body, 'training', 'innocent') WHERE sequence = 1"
    back = "UPDATE audit.event SET body = replace(body, 'innocent', 'training') WHERE sequence = 1"
    world.sql("ALTER TABLE audit.event DISABLE TRIGGER ALL")
    try:
        world.sql(edit)
        done = verified(world)
        assert done.returncode == 1
        assert "event 1: its seal does not fit" in done.stdout
    finally:
        world.sql(back)
        world.sql("ALTER TABLE audit.event ENABLE TRIGGER ALL")
    assert verified(world).returncode == 0


def test_verify_reads_a_secret_with_a_newline_after_it(world: World) -> None:
    with_newline = world.folder / "pseudonyms-with-newline"
    with_newline.write_bytes(Path(world.environment["PSEUDONYM_SECRET_FILE"]).read_bytes() + b"\n")
    assert verified(world, PSEUDONYM_SECRET_FILE=str(with_newline)).returncode == 0


def test_events_have_the_columns_of_the_log_of_all_services(world: World) -> None:
    # The table is the platform's, in a project of its own: its columns are read, not imported.
    source = (ROOT / "components" / "audit_tables.py").read_text()
    (table,) = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SERVICE"
    ]
    assert isinstance(table, ast.Call)
    columns = next(ast.literal_eval(word.value) for word in table.keywords if word.arg == "columns")
    world.records({"limit": 1})
    world.records({"limit": 1}, token=world.issuer.token("training:stranger"))
    events = [json.loads(line) for line in world.log.read_text().splitlines()]
    fields = {name for event in events for name in event}
    assert set(columns) - {"model"} <= fields, "a question about these would find nothing"


def test_without_the_audit_nothing_is_served(world: World) -> None:
    world.sql("REVOKE EXECUTE ON FUNCTION audit.append(text[], text[]) FROM data_api")
    try:
        answers = [
            world.records({"limit": 1}),
            world.call("GET", "/v1/datasets"),
            world.call("GET", "/v1/datasets/breast_cancer"),
            world.aggregate({"kind": "count", "milli_epsilon": 1}),
            world.call("POST", "/v1/datasets/breast_cancer/dummy", json={}),
        ]
    finally:
        world.sql("GRANT EXECUTE ON FUNCTION audit.append(text[], text[]) TO data_api")
    assert {answer.status_code for answer in answers} == {503}
    assert all("retry-after" in answer.headers and "sample" not in answer.text for answer in answers)
    assert world.records({"limit": 1}).status_code == 200


def test_with_a_full_disk_under_the_log_nothing_is_served(world: World) -> None:
    assert Path("/dev/full").exists()
    log = world.log
    world.stop()
    with Path("/dev/full").open("wb") as full, (world.folder / "errors").open("ab") as errors:
        world.process = subprocess.Popen(
            [sys.executable, "-m", "services.data_api"], env=world.environment, stdout=full, stderr=errors
        )
        until(lambda: world._answers())
        answer = world.records({"limit": 1})
        assert answer.status_code == 503
        assert "sample" not in answer.text
        world.process.terminate()
        world.process.wait(30)
    assert log.exists()
    world.start()
    assert world.records({"limit": 1}).status_code == 200


def test_the_key_of_the_seals_is_not_the_key_of_pseudonyms() -> None:
    assert derived(KEY, KEY_PURPOSE) != derived(KEY, "pseudonym:patient")
