"""Who comes in: a known caller, from an address, at their pace; whoever shows a bad token is written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from services.shared.addresses import caller_address, is_within
from services.shared.issuer import keys_of
from services.shared.limits import Buckets
from services.shared.problems import Problem
from services.shared.settings import ServiceSettings
from services.shared.tokens import Caller, KeySet, TokenVerifier

FAILED_SIGN_INS_PER_SECOND = 5.0
"""Of one address: each is an event, and nobody may fill the log from outside."""

Write = Callable[[dict[str, Any]], Awaitable[None]]


def event(request_id: str, principal: str, address: str, action: str) -> dict[str, Any]:
    """Return what every event says."""
    return {
        "request_id": request_id,
        "principal": principal,
        "source_address": address,
        "event": action,
        "decision": "allow",
    }


def refusal(reason: str, request_id: str, principal: str, address: str, action: str) -> dict[str, Any]:
    """Return the event of a refusal."""
    return {**event(request_id, principal, address, action), "decision": "deny", "reason": reason}


class Entrance:
    """Lets callers in."""

    def __init__(self, settings: ServiceSettings, *, requests_per_second: float, burst: int) -> None:
        """Take whose tokens count, and how fast one caller may come."""
        self._verifier = TokenVerifier(
            KeySet(keys_of(settings)), issuer=settings.caller_issuer, audience=settings.caller_audience
        )
        self._proxies = settings.proxies
        self._buckets = Buckets(requests_per_second, burst)
        self._failures = Buckets(FAILED_SIGN_INS_PER_SECOND, 20)

    def address(self, request: Request) -> str:
        """Return the caller's address."""
        peer = request.client.host if request.client else None
        return caller_address(peer, request.headers.getlist("x-forwarded-for"), self._proxies)

    def is_forwarded(self, request: Request) -> bool:
        """Say whether a trusted proxy stands at the other end, and the caller behind it."""
        return request.client is not None and is_within(request.client.host, self._proxies)

    async def caller(
        self, request: Request, action: str, address: str, request_id: str, *, refused: Write
    ) -> Caller:
        """Return who calls.

        Args:
            request: The request.
            action: What they are about to do.
            address: Theirs.
            request_id: The request's.
            refused: Writes the event of a bad token down.

        Raises:
            Problem: 401, 429 or 503.
        """
        try:
            caller = await self._verifier.caller(request.headers.get("authorization"))
        except Problem as problem:
            if problem.status == 401:
                self._failures.take(address)
                await refused(refusal("unauthenticated", request_id, "unauthenticated", address, action))
            raise
        self._buckets.take(caller.principal)
        return caller
