"""Limits of one caller: a token bucket for the rate, a place for each query under way, sizes and patience."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.problems import Problem, problem_response

MOST_KEPT = 10_000
"""Callers whose buckets are remembered; the longest unseen is forgotten, with a full bucket."""


_CLOSE = {"Connection": "close"}


class Buckets:
    """A token bucket for each caller."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Say how fast and how much at once."""
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> None:
        """Take one token.

        Raises:
            Problem: 429, the bucket is empty.
        """
        now = self._clock()
        tokens, seen = self._kept.pop(who, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - seen) * self._rate)
        self._kept[who] = (max(tokens - 1, tokens if tokens < 1 else 0), now)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        if tokens < 1:
            raise Problem(
                429, "too-many-requests", "Too many requests; slow down.", headers={"Retry-After": "1"}
            )


class Places:
    """How many queries of one caller run at once."""

    def __init__(self, most: int) -> None:
        """Say how many."""
        self._most = most
        self._taken: dict[str, int] = {}

    @contextmanager
    def one(self, who: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            Problem: 429, all are taken.
        """
        if self._taken.get(who, 0) >= self._most:
            raise Problem(
                429,
                "too-many-queries",
                "Too many queries of yours run already.",
                headers={"Retry-After": "1"},
            )
        self._taken[who] = self._taken.get(who, 0) + 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]


async def whole_body(receive: Receive, *, most: int, seconds: float) -> bytes:
    """Return a request's body, of ``most`` bytes at most, once it has come.

    Raises:
        Problem: 413, it is larger; 408, it did not come within so many seconds.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > most:
                    raise Problem(413, "too-large", "The request's body is too large.", headers=_CLOSE)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Problem(408, "too-slow", "The request's body came too slowly.", headers=_CLOSE) from None


class Patience:
    """Refuses bodies that are too large or too slow, and leaves clients that do not read (ASGI middleware)."""

    def __init__(self, app: ASGIApp, *, slow_client_seconds: float, body_bytes: int | None) -> None:
        """Wrap an app.

        Args:
            app: The app.
            slow_client_seconds: How long a client may take to send its body, or to read a piece of the answer.
            body_bytes: How large the body of a request may be; None where the app reads it by itself, with
                ``whole_body``, once it knows who calls.
        """
        self._app, self._seconds, self._body_bytes = app, slow_client_seconds, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass messages on, counted and timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            given = receive if self._body_bytes is None else await self._received(receive, self._body_bytes)
        except Problem as problem:
            await problem_response(Request(scope), problem)(scope, receive, send)
            return
        except ClientDisconnect:
            return

        async def limited_send(message: Message) -> None:
            # uvicorn waits here while the client does not read.
            async with asyncio.timeout(self._seconds):
                await send(message)

        await self._app(scope, given, limited_send)

    async def _received(self, receive: Receive, most: int) -> Receive:
        body = await whole_body(receive, most=most, seconds=self._seconds)
        replayed = False

        async def again() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again
