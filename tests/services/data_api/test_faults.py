"""Faults: the database dies under load, and nothing is served without its event, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import asyncpg
import httpx
import pytest

from services.data_api.database import Database
from services.data_api.settings import read
from services.shared.local import certificates
from services.shared.problems import Problem
from tests.services.data_api.conftest import World
from tests.services.support import until


def test_a_database_that_is_killed_under_load_is_found_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[str] = []
    statuses: set[int] = set()
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(base_url=world.address, verify=world.context(), timeout=30) as client:
            headers = {"Authorization": f"Bearer {world.issuer.token()}"}
            while not stop.is_set():
                try:
                    answer = client.post(
                        "/v1/datasets/breast_cancer/records",
                        json={"purpose": "research", "limit": 50, "columns": ["sample"]},
                        headers=headers,
                    )
                except httpx.TransportError:
                    continue
                statuses.add(answer.status_code)
                if answer.status_code == 200 and "sample" in answer.text:
                    served.append(answer.headers["x-request-id"])
                if answer.status_code == 503:
                    assert int(answer.headers["retry-after"]) > 0
                time.sleep(0.06)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(served) > 10)
        world.server.stop(kill=True)
        until(lambda: 503 in statuses)
        assert world.call("GET", "/health").status_code == 200
        assert world.call("GET", "/ready").status_code == 503
        before = len(served)
        world.server.start()
        back = time.monotonic()
        until(lambda: len(served) > before)
        recovered = time.monotonic() - back
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses <= {200, 429, 503}
    wanted = {(request, phase) for request in served for phase in ("opened", "completed")}

    def kept() -> set[tuple[str, str]]:
        rows = [json.loads(row[0]) for row in world.sql("SELECT body FROM audit.event")]
        return {(event["request_id"], event["phase"]) for event in rows}

    until(lambda: wanted <= kept())
    with capsys.disabled():
        print(f"\n{len(served)} reads served, recovered {recovered:.2f} s after the database was back")


def test_a_database_with_a_certificate_of_somebody_else_is_not_used(world: World) -> None:
    if not world.server.tls:
        pytest.skip("the wheel's PostgreSQL has no TLS")
    stranger = world.folder / "stranger.pem"
    certificates(stranger)

    async def connect(**other: str) -> int:
        database = Database(read({**world.environment, **other}))
        try:
            async with database.connection() as connection:
                return int(await connection.fetchval("SELECT 1"))
        finally:
            await database.close()

    assert asyncio.run(connect()) == 1
    with pytest.raises(Problem, match="503"):
        asyncio.run(connect(DATABASE_CA_FILE=str(stranger)))


def test_the_database_takes_no_connection_without_tls(world: World) -> None:
    if not world.server.tls:
        pytest.skip("the wheel's PostgreSQL has no TLS")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        asyncio.run(
            asyncpg.connect(
                host="localhost",
                port=world.server.port,
                user="data_api",
                database="postgres",
                password=world.server.password,
                ssl=False,
            )
        )
