"""Figures of the data-access API, side by side in one run on loopback: ``make bench-data-api``."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI, Request

from services.data_api.app import create
from services.data_api.database import verify_full
from services.data_api.declarations import load
from services.data_api.local import admin, environment
from services.data_api.migrate import migrate
from services.data_api.postgres import Postgres
from services.data_api.settings import AUDIENCE, Limits, Settings, read
from services.shared.data_client import DataApiClient
from services.shared.local import Issuer, certificates, free_port

ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
SMALL = 1500

VISITS = """
name: breast_cancer
title: Visits, made up
table: clinical.visits
key: [visit]
purposes: [research]
privacy: {unit: patient, most_rows: 1}
budget: {caller_milli_epsilon: 1000, dataset_milli_epsilon: 1000}
columns:
  visit: {type: integer, classification: internal}
  patient: {type: text, classification: identifying, mask: {kind: pseudonym, domain: patient}}
  pressure: {type: number, classification: sensitive}
  pulse: {type: number, classification: sensitive, nullable: true}
  admitted: {type: boolean, classification: sensitive}
  at: {type: timestamp, classification: sensitive}
"""

TABLE = """
CREATE SCHEMA clinical;
CREATE TABLE clinical.visits (visit bigint PRIMARY KEY, patient text NOT NULL, pressure float8 NOT NULL,
    pulse float8, admitted boolean NOT NULL, at timestamptz NOT NULL);
"""

COLUMNS = "visit, patient, pressure, pulse, admitted, at"


def serve(kind: str) -> None:
    """Serve the API, or a bare endpoint that does no more than fetch and answer."""
    settings = read(os.environ)
    fast = Limits(requests_per_second=1e6, burst=10**6)
    if kind == "api":
        app = create(settings.model_copy(update={"limits": fast}), log=os.open(os.devnull, os.O_WRONLY))
    else:
        app = bare(settings)
    uvicorn.run(
        app, port=settings.port, ssl_certfile=str(settings.tls_file), log_level="warning", access_log=False
    )


def bare(settings: Settings) -> FastAPI:
    app = FastAPI()
    pools: list[Any] = []

    @app.post("/records")
    async def records(request: Request) -> list[dict[str, Any]]:
        body = await request.json()
        if not pools:
            password = Path(str(settings.database_password_file)).read_text()
            where = {"host": settings.database_host, "port": settings.database_port, "database": "postgres"}
            pools.append(
                await asyncpg.create_pool(
                    **where,
                    user="data_api",
                    password=password,
                    ssl=verify_full(settings),
                    min_size=1,
                    max_size=16,
                )
            )
        async with pools[0].acquire() as connection:
            text = f"SELECT {COLUMNS} FROM clinical.visits ORDER BY visit LIMIT $1"  # noqa: S608 - a constant
            return [dict(row) for row in await connection.fetch(text, body["limit"])]

    return app


async def fill(server: Postgres, folder: Path) -> None:
    connection = await admin(server)
    try:
        await connection.execute(TABLE)
        await connection.execute(
            "INSERT INTO clinical.visits SELECT n, 'patient-' || n % 20000, 80 + n % 90, "
            "CASE WHEN n % 7 = 0 THEN NULL ELSE 50 + n % 60 END, n % 3 = 0, "
            "timestamptz '2020-01-01' + n * interval '1 second' FROM generate_series(1, $1) n",
            ROWS,
        )
        await connection.execute("VACUUM ANALYZE clinical.visits")
        await migrate(connection, load(folder).values())
        await connection.execute(f"ALTER ROLE data_api PASSWORD '{server.password}'")
    finally:
        await connection.close()


async def directly(server: Postgres, settings: Settings) -> int:
    connection = await asyncpg.connect(
        host=server.host,
        port=server.port,
        user="data_api",
        database="postgres",
        password=server.password,
        ssl=verify_full(settings),
    )
    rows = 0
    try:
        async with connection.transaction(readonly=True):
            cursor = await connection.cursor(f"SELECT {COLUMNS} FROM clinical.visits ORDER BY visit")  # noqa: S608
            while block := await cursor.fetch(65_536):
                rows += len(block)
    finally:
        await connection.close()
    return rows


def rate(work: Callable[[], int]) -> float:
    start = time.perf_counter()
    rows = work()
    return rows / (time.perf_counter() - start)


def latencies(call: Callable[[], httpx.Response]) -> list[float]:
    for _ in range(100):
        call().raise_for_status()
    took = []
    for _ in range(SMALL):
        start = time.perf_counter()
        answer = call()
        took.append((time.perf_counter() - start) * 1000)
        answer.raise_for_status()
    return took


def memory_mib(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def started(
    kind: str, settings: dict[str, str], context: ssl.SSLContext, path: str
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-m", "tests.services.data_api.bench", kind], env=settings)
    for _ in range(200):
        try:
            httpx.get(f"https://localhost:{settings['PORT']}{path}", verify=context)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    return process


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("database", "datasets"):
            (folder / part).mkdir()
        (folder / "datasets/visits.yaml").write_text(VISITS)
        server = Postgres(folder / "database")
        server.start()
        processes = []
        try:
            asyncio.run(fill(server, folder / "datasets"))
            issuer = Issuer(folder, AUDIENCE)
            certificate, key = certificates(folder / "service-ca.pem")
            (folder / "service.pem").write_bytes(certificate + key)
            context = ssl.create_default_context(cafile=folder / "service-ca.pem")
            base = environment(server, issuer, folder) | {
                "TLS_FILE": str(folder / "service.pem"),
                "DATASETS_FOLDER": str(folder / "datasets"),
            }
            api, plain = ({**base, "PORT": str(free_port())} for _ in range(2))
            processes = [started("api", api, context, "/health"), started("bare", plain, context, "/")]
            measure(server, issuer, context, api, plain, processes[0])
        finally:
            for process in processes:
                process.terminate()
                process.wait(30)
            server.stop()


def measure(
    server: Postgres,
    issuer: Issuer,
    context: ssl.SSLContext,
    api: dict[str, str],
    plain: dict[str, str],
    process: subprocess.Popen[bytes],
) -> None:
    address = f"https://localhost:{api['PORT']}"
    client = DataApiClient(address, token=issuer.token, tls=context)
    memory: list[int] = []

    def arrow() -> int:
        rows = 0
        for batch in client.batches("breast_cancer", purpose="research", rows=10_000_000):
            rows += batch.num_rows
            memory.append(memory_mib(process))
        return rows

    headers = {"Authorization": f"Bearer {issuer.token()}"}
    path = "/v1/datasets/breast_cancer/records"

    def as_json() -> int:
        rows = 0
        body = {"purpose": "research", "limit": min(ROWS, 500_000)}
        with httpx.stream(
            "POST", address + path, json=body, headers=headers, verify=context, timeout=120
        ) as answer:
            for line in answer.iter_lines():
                row = json.loads(line)
                rows += "visit" in row
        return rows

    settings = read(api)
    direct = rate(lambda: asyncio.run(directly(server, settings)))
    bulk, text = rate(arrow), rate(as_json)
    say = sys.stdout.write
    say(f"bulk, {ROWS} rows, TLS, masks and audit on\n")
    say(f"  asyncpg directly  {direct:>12,.0f} rows/s\n")
    say(f"  Arrow             {bulk:>12,.0f} rows/s   {bulk / direct:.2f} of asyncpg\n")
    say(f"  JSON lines        {text:>12,.0f} rows/s   {text / direct:.2f} of asyncpg\n")
    tenth = max(1, len(memory) // 10)
    say(f"  memory of the service: {max(memory[:tenth])} MiB in the first tenth, {max(memory)} MiB at most\n")
    with httpx.Client(verify=context) as calls:
        ours = latencies(
            lambda: calls.post(address + path, json={"purpose": "research", "limit": 10}, headers=headers)
        )
        theirs = latencies(
            lambda: calls.post(f"https://localhost:{plain['PORT']}/records", json={"limit": 10})
        )
    say(f"small reads, 10 rows, one after the other, {SMALL} of each\n")
    for name, took in (("bare FastAPI + asyncpg", theirs), ("data-access API", ours)):
        p99 = statistics.quantiles(took, n=100)[98]
        say(
            f"  {name:<24}{1000 / statistics.mean(took):>7.0f} requests/s  p50 {statistics.median(took):.2f} ms  p99 {p99:.2f} ms\n"
        )
    say(f"  added p50: {statistics.median(ours) - statistics.median(theirs):.2f} ms\n")


if __name__ == "__main__":
    serve(sys.argv[1]) if len(sys.argv) > 1 else main()
