"""Limits: too much, too fast, too slow."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from services.data_api.settings import read
from services.shared.limits import Buckets, Patience, Places
from services.shared.problems import Problem
from services.shared.settings import SettingsError
from tests.services.data_api.conftest import World


def test_a_bucket_runs_empty_and_fills_again() -> None:
    now = [0.0]
    buckets = Buckets(2, 3, clock=lambda: now[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(Problem, match="429"):
        buckets.take("a")
    buckets.take("b")
    now[0] = 0.5
    buckets.take("a")
    with pytest.raises(Problem, match="429"):
        buckets.take("a")


def test_places_are_given_back() -> None:
    places = Places(2)
    with (
        places.one("a"),
        places.one("a"),
        places.one("b"),
        pytest.raises(Problem, match="429"),
        places.one("a"),
    ):
        pass
    with places.one("a"), places.one("a"):
        pass


def test_an_oversized_body_is_413(world: World) -> None:
    answer = world.records({"columns": ["x" * 100_000]})
    assert answer.status_code == 413
    assert "xxx" not in answer.text


async def sent_through(patience: Patience, parts: list[bytes], *, pause: float = 0) -> int:
    queue = [
        {"type": "http.request", "body": part, "more_body": n < len(parts) - 1}
        for n, part in enumerate(parts)
    ]
    status = []

    async def receive() -> Any:
        await asyncio.sleep(pause)
        return queue.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await patience({"type": "http", "headers": [], "method": "POST", "path": "/"}, receive, send)
    return int(status[0])


async def accepts(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_a_body_that_comes_in_drops_is_408() -> None:
    patience = Patience(accepts, body_bytes=100, slow_client_seconds=0.2)
    assert asyncio.run(sent_through(patience, [b"a"] * 50, pause=0.05)) == 408
    assert asyncio.run(sent_through(patience, [b"a"])) == 200


def test_a_body_whose_length_is_not_told_is_counted() -> None:
    patience = Patience(accepts, body_bytes=10, slow_client_seconds=20)
    assert asyncio.run(sent_through(patience, [b"aaaaaa", b"aaaaaa"])) == 413


def test_a_client_that_leaves_before_its_body_came_is_not_served() -> None:
    served = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(await receive())

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        served.append(message)

    asyncio.run(
        Patience(app, body_bytes=100, slow_client_seconds=5)({"type": "http", "headers": []}, receive, send)
    )
    assert not served


def test_a_client_that_does_not_read_is_left() -> None:
    async def stuck(_message: Any) -> None:
        await asyncio.sleep(60)

    async def story() -> None:
        patience = Patience(accepts, body_bytes=100, slow_client_seconds=0.1)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        with pytest.raises(TimeoutError):
            await patience({"type": "http", "headers": []}, receive, stuck)

    asyncio.run(story())


def test_the_service_speaks_tls_only(world: World) -> None:
    with socket.create_connection(("localhost", world.port)) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")
    context = ssl.create_default_context()
    with (
        socket.create_connection(("localhost", world.port)) as stranger,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(stranger, server_hostname="localhost")


def test_a_wrong_setting_names_its_variable(world: World) -> None:
    for name, value in (("DATABASE_PORT", "many"), ("TRUSTED_PROXIES", "all"), ("CALLER_ISSUER", "")):
        with pytest.raises(SettingsError, match=name):
            read({**world.environment, name: value})


def test_no_setting_is_a_secret() -> None:
    from services.data_api.settings import BY_NAME

    secretive = [n for n in BY_NAME if any(w in n for w in ("PASSWORD", "SECRET", "KEY", "TOKEN"))]
    assert all(name.endswith(("_FILE", "_ID", "_URL")) for name in secretive)
