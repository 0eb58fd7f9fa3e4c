"""Three doors to one SuperLink, each with its own callers; Flower itself serves everything to everybody at one port.

- Nodes: the Fleet API, and nothing else, over TLS. Each call is signed by the node's key, which Flower checks; here it is
  also checked that a node speaks for itself alone, and how much it sends at once.
- Operators: the Control API, which registers nodes and starts runs and has no users in Flower's open build. This door asks
  for a certificate of the operators' own authority before it hears a word.
- What runs here: the Runtime API, on loopback, for the ServerApp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from flwr.proto.fleet_pb2 import PushMessagesRequest
from google.protobuf.message import DecodeError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FLEET, CONTROL, APPS, RUNTIME = "/v1/fleet/", "/v1/control/", "/v1/apps", "/v1/runtime/"
"""Paths of Flower's three APIs, and where an operator brings a signed app."""

PUSH = f"{FLEET}push-messages"

MOST_BYTES = 64 * 2**20
"""Of one request. Flower cuts parameters into pieces of 5 MiB, so what is larger is no honest message."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where it is, what lies behind it, and whose certificate who comes must show."""

    host: str
    port: int
    opens: tuple[str, ...]
    """Beginnings of the paths that are served."""
    certificate: Path
    """Certificate and key in one PEM file."""
    callers: Path | None = None
    """Certificates of the authority that callers' must descend from; none are asked for if not given."""


def behind(app: ASGIApp, opens: tuple[str, ...], *, most_bytes: int = MOST_BYTES) -> ASGIApp:
    """Return the part of an application that one door opens; everything else is not found."""

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        if scope["type"] != "http" or not scope["path"].startswith(opens) or ".." in scope["path"]:
            await _refuse(404, "not found", scope, receive, send)
            return
        try:
            body = await _body(Request(scope, receive), most_bytes)
        except ClientDisconnect:
            return
        if body is None:
            await _refuse(413, f"{most_bytes} bytes at most", scope, receive, send)
        elif scope["path"] == PUSH and not own_messages(body):
            await _refuse(403, "a node sends messages of its own", scope, receive, send)
        else:
            await app(scope, _again(body, receive), send)

    return door


def own_messages(body: bytes) -> bool:
    """Return whether every message comes from the node that the request says it is of.

    Flower checks the node of the request against its key, and not the sender of the messages in it: an enrolled silo
    could answer in the name of another one.
    """
    try:
        request = PushMessagesRequest.FromString(body)
    except DecodeError:
        return False
    senders = [message.metadata.src_node_id for message in request.messages_list]
    # One message a request is what a SuperNode sends, and all that Flower looks at.
    return senders == [request.node.node_id] and len(request.message_object_trees) == 1


async def serve(app: ASGIApp, doors: Iterable[Door]) -> None:
    """Serve until the process is told to stop; where one door closes, all do."""
    servers = [uvicorn.Server(_config(app, door, first=not number)) for number, door in enumerate(doors)]
    # The first one hears the signals and runs what the application does at its start and end.
    serving = [asyncio.create_task(servers[0].serve())]
    serving += [asyncio.create_task(server._serve()) for server in servers[1:]]
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*serving)


def _config(app: ASGIApp, door: Door, *, first: bool) -> uvicorn.Config:
    return uvicorn.Config(
        behind(app, door.opens),
        host=door.host,
        port=door.port,
        ssl_certfile=str(door.certificate),
        ssl_ca_certs=str(door.callers) if door.callers else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if door.callers else ssl.CERT_NONE,
        ssl_context_factory=_newest,
        lifespan="on" if first else "off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=32_768,
        limit_concurrency=500,
        timeout_graceful_shutdown=5,
    )


def _newest(_: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    # Every caller is a program of ours over a new OpenSSL.
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


async def _body(request: Request, most: int) -> bytes | None:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a channel on which what was already read is received once more."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(status: int, why: str, scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"{why}\n", status, headers={"Connection": "close"})(scope, receive, send)
