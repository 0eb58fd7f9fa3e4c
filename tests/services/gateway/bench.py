"""Figures of the gateway, side by side in one run on loopback: ``make bench-gateway``.

The bare ONNX Runtime call; a bare FastAPI endpoint that makes it; the gateway with everything on; and BentoML, installed
into an environment of its own, on the same model. All three servers speak TLS, in one process each, to the same client.
"""

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from services.gateway.app import create
from services.gateway.settings import Limits, read
from services.shared.local import free_port
from tests.services.gateway.world import CLIENTS, DIGITS, People, World, digits, digits_model

ONE_BY_ONE = int(os.environ.get("BENCH_REQUESTS", "3000"))
AT_ONCE = 32
WARM = 300

PACE = 1000
"""Requests a second at which a well-known gateway publishes what it adds: 2, 8 and 13 ms at p50, p95 and p99."""

SERVER = "bentoml"
"""The well-known model server: its name at the package registry."""

BENTO = """
import bentoml, numpy as np, onnxruntime as ort

@bentoml.service(workers=1, traffic={"timeout": 30})
class Digits:
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000)
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"image": inputs.astype(np.float32)})[0]
"""


class Inputs(BaseModel):
    """What the bare endpoint takes."""

    inputs: list[list[list[float]]]


def bare(model: Path) -> FastAPI:
    """Return an endpoint that parses, runs the model, and answers."""
    app, session = FastAPI(), session_of(model.read_bytes())

    @app.post("/predict")
    async def predict(asked: Inputs) -> list[dict[str, Any]]:
        (answers,) = session.run(None, {"image": np.array(asked.inputs, np.float32)})
        return [
            {"label": DIGITS[int(row.argmax())], "scores": dict(zip(DIGITS, row.tolist(), strict=True))}
            for row in answers
        ]

    return app


def session_of(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def serve(kind: str) -> None:
    """Serve the gateway or the bare endpoint, as the environment says."""
    settings = read(os.environ)
    fast = Limits(requests_per_second=1e6, burst=10**6, concurrent_queries=1000)
    app = (
        create(settings.model_copy(update={"limits": fast}))
        if kind == "gateway"
        else bare(Path(os.environ["BARE_MODEL"]))
    )
    uvicorn.run(
        app,
        port=settings.port,
        ssl_certfile=str(settings.tls_file),
        log_level="warning",
        access_log=False,
        server_header=False,
    )


@dataclass(frozen=True)
class Served:
    """A server that runs, and what to send to it."""

    name: str
    port: int
    path: str
    bodies: Sequence[bytes]
    headers: str = ""

    def requests(self) -> list[bytes]:
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{self.headers}"
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in self.bodies]


class Connection:
    """As little of HTTP as there can be, so that the client costs next to nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def opened(cls, port: int, context: ssl.SSLContext) -> Connection:
        return cls(*await asyncio.open_connection("localhost", port, ssl=context))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


async def measured(served: Served, context: ssl.SSLContext, *, at_once: int, count: int) -> list[float]:
    """Return how long each request took, in milliseconds; the last number is how long all took, in seconds."""
    requests = served.requests()
    connections = [await Connection.opened(served.port, context) for _ in range(at_once)]
    took: list[float] = []

    async def one(connection: Connection, first: int, some: int, *, keep: bool) -> None:
        for number in range(first, first + some):
            began = time.perf_counter()
            status, body = await connection.ask(requests[number % len(requests)])
            if keep:
                took.append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise RuntimeError(f"{served.name}: {status} {body[:300]!r}")

    each = count // at_once
    await asyncio.gather(*(one(c, n * 7, WARM // at_once, keep=False) for n, c in enumerate(connections)))
    began = time.perf_counter()
    await asyncio.gather(*(one(c, n * 7, each, keep=True) for n, c in enumerate(connections)))
    took.append(time.perf_counter() - began)
    for connection in connections:
        connection.close()
    return took


async def paced(served: Served, context: ssl.SSLContext, *, per_second: int, count: int) -> list[float]:
    """The same with requests that come by the clock, whether or not those before have been answered.

    A request that has to wait for its turn is late from the moment at which it was due.
    """
    requests, took = served.requests(), list[float]()
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(AT_ONCE):
        idle.put_nowait(await Connection.opened(served.port, context))

    async def one(number: int, due: float) -> None:
        connection = await idle.get()
        await connection.ask(requests[number % len(requests)])
        took.append((time.perf_counter() - due) * 1000)
        idle.put_nowait(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            due = began + number / per_second
            await asyncio.sleep(max(0, due - time.perf_counter()))
            group.create_task(one(number, due))
    took.append(time.perf_counter() - began)
    while not idle.empty():
        idle.get_nowait().close()
    return took


async def good_bodies(served: Served, context: ssl.SSLContext) -> list[bytes]:
    """Return the bodies that the gateway answers: at its false-positive rate it refuses a few clean digits."""
    connection = await Connection.opened(served.port, context)
    good = [
        body
        for body, request in zip(served.bodies, served.requests(), strict=True)
        if (await connection.ask(request))[0] == 200
    ]
    connection.close()
    return good


def until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(600):
        try:
            asyncio.run(Connection.opened(port, context))
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"ended with {process.returncode}: {process.args!r:.200}") from None
            time.sleep(0.1)
        else:
            time.sleep(2)
            return
    raise RuntimeError("did not start")


@contextmanager
def running(*words: str, environment: dict[str, str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "log").open("ab") as log, (folder / "bench-errors").open("ab") as errors:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=errors, cwd=Path.cwd())
    try:
        until_open(port, process)
        yield
    finally:
        process.terminate()
        process.wait(30)


def model_server(folder: Path, graph: bytes) -> Path:
    """Install the model server by its name, and write its service; return its program."""
    sys.stderr.write(f"installing {SERVER} into an environment of its own\n")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = [str(folder / "venv/bin/pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, SERVER, "onnxruntime", "numpy"], check=True, stderr=subprocess.DEVNULL)
    (folder / "service.py").write_text(BENTO)
    (folder / "model.onnx").write_bytes(graph)
    return folder / "venv/bin" / SERVER


def report(name: str, took: list[float], beside: float | None) -> float:
    """Print one line; return the median."""
    *each, seconds = took
    cuts = statistics.quantiles(each, n=100)
    median = statistics.median(each)
    ratio = (
        "" if beside is None else f"  p50 {median - beside:+.2f} ms, {median / beside:.2f} of bare FastAPI"
    )
    sys.stdout.write(
        f"  {name:<24}{len(each) / seconds:>8,.0f} requests/s  p50 {median:6.2f} ms  p95 {cuts[94]:6.2f} ms  "
        f"p99 {cuts[98]:6.2f} ms{ratio}\n"
    )
    sys.stdout.flush()
    return median


def bare_call(graph: bytes) -> None:
    session = session_of(graph)
    batch = digits()[0][:1]
    took = []
    for _ in range(20_000):
        began = time.perf_counter()
        session.run(None, {"image": batch})
        took.append((time.perf_counter() - began) * 1e6)
    sys.stdout.write(f"ONNX Runtime alone, one input: p50 {statistics.median(took):.1f} µs\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("keys", "world", "server"):
            (folder / part).mkdir()
        made = digits_model()
        program = model_server(folder / "server", made.graph)
        world = World.made(folder / "world", People.made(folder / "keys"))
        (world.folder / "clients.yaml").write_text(CLIENTS.replace("1000000", "100000000"))
        (world.folder / "serving.yaml").write_text("models: {digits: {screens: {squeezing: flag}}}\n")
        world.release(made)
        (folder / "model.onnx").write_bytes(made.graph)
        context, here = world.context(), [sys.executable, "-m", "tests.services.gateway.bench"]
        ports = {kind: free_port() for kind in ("bare", "server", "gateway")}
        settings = {**os.environ, **world.environment, "BARE_MODEL": str(folder / "model.onnx")}
        bento = [str(program), "serve", f"{folder}/server/service.py:Digits", "--port", str(ports["server"])]
        bento += ["--host", "127.0.0.1", "--working-dir", f"{folder}/server"]
        bento += [
            "--ssl-certfile",
            f"{world.folder}/service.pem",
            "--ssl-keyfile",
            f"{world.folder}/service.pem",
        ]
        bodies = [json.dumps({"inputs": [image.tolist()]}).encode() for image in digits()[0][:600]]
        token = f"Authorization: Bearer {world.issuer.token()}\r\n"
        bare_call(made.graph)
        with (
            running(
                *here,
                "bare",
                environment=settings | {"PORT": str(ports["bare"])},
                folder=folder,
                port=ports["bare"],
            ),
            running(
                *here,
                "gateway",
                environment=settings | {"PORT": str(ports["gateway"])},
                folder=folder,
                port=ports["gateway"],
            ),
            running(
                *bento,
                environment={**os.environ, "BENTOML_DO_NOT_TRACK": "True"},
                folder=folder / "server",
                port=ports["server"],
            ),
        ):
            asked = Served("gateway", ports["gateway"], "/v1/models/digits/predict", bodies, token)
            bodies = asyncio.run(good_bodies(asked, context))
            servers = [
                Served("bare FastAPI", ports["bare"], "/predict", bodies),
                Served(SERVER, ports["server"], "/predict", bodies),
                Served("gateway", ports["gateway"], "/v1/models/digits/predict", bodies, token),
            ]
            for at_once, count in ((1, ONE_BY_ONE), (AT_ONCE, 3 * ONE_BY_ONE)):
                sys.stdout.write(f"{at_once} at once, TLS, one digit a request, {count} requests of each\n")
                compare(servers, partial(measured, at_once=at_once, count=count), context)
            sys.stdout.write(
                f"{PACE} requests a second by the clock, late ones counted from when they were due\n"
            )
            steady = partial(paced, per_second=PACE, count=2 * ONE_BY_ONE)
            compare([each for each in servers if each.name != SERVER], steady, context)


def compare(servers: Sequence[Served], measure: Any, context: ssl.SSLContext) -> None:
    """Measure each, and print it beside the first."""
    beside: float | None = None
    for served in servers:
        median = report(served.name, asyncio.run(measure(served, context)), beside)
        beside = beside or median


if __name__ == "__main__":
    serve(sys.argv[1]) if len(sys.argv) > 1 else main()
