"""A real database with TLS, the real service in a process of its own or in this one, real tokens."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.data_api.declarations import load
from services.data_api.local import admin, environment, prepare
from services.data_api.postgres import Postgres
from services.data_api.settings import AUDIENCE, HERE
from services.shared.local import Issuer, certificates, free_port
from tests.services.support import until


@dataclass
class World:
    """Everything that runs."""

    folder: Path
    server: Postgres
    issuer: Issuer
    environment: dict[str, str]
    port: int
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return self.folder / "audit.jsonl"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.folder / "service-ca.pem")

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.issuer.token()}", **more.pop("headers", {})}
        with httpx.Client(base_url=self.address, verify=self.context(), timeout=60) as client:
            return client.request(method, path, headers=headers, **more)

    def records(self, body: dict[str, Any], **more: Any) -> httpx.Response:
        return self.call(
            "POST", "/v1/datasets/breast_cancer/records", json={"purpose": "research", **body}, **more
        )

    def aggregate(self, body: dict[str, Any], **more: Any) -> httpx.Response:
        return self.call(
            "POST", "/v1/datasets/breast_cancer/aggregates", json={"purpose": "research", **body}, **more
        )

    def sql(self, text: str, *arguments: Any) -> list[Any]:
        """Run a statement as the database's master user."""

        async def run() -> list[Any]:
            connection = await admin(self.server)
            try:
                return list(await connection.fetch(text, *arguments))
            finally:
                await connection.close()

        return asyncio.run(run())

    def start(self) -> None:
        with self.log.open("ab") as log, (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.data_api"],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=errors,
            )
        until(lambda: self._answers() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.folder / "errors").read_text()

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/ready").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "database").mkdir()
        server = Postgres(folder / "database")
        server.start()
        issuer, port = Issuer(folder, AUDIENCE), free_port()
        certificate, key = certificates(folder / "service-ca.pem")
        (folder / "service.pem").write_bytes(certificate + key)
        settings = environment(server, issuer, folder) | {
            "TLS_FILE": str(folder / "service.pem"),
            "PORT": str(port),
        }
        made = World(folder, server, issuer, settings, port, None)  # type: ignore[arg-type]
        try:
            asyncio.run(prepare(server, load(HERE / "datasets")))
            made.start()
            yield made
        finally:
            if made.process is not None:
                made.stop()
            server.stop()
