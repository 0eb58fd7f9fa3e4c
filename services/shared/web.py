"""What every service answers alike: problems, their place in the OpenAPI, health, and metrics by status."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.entrance import Entrance
from services.shared.problems import MEDIA_TYPE, Problem, problem_response


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these statuses as the OpenAPI describes them."""
    schema = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }
    return {
        s: {"description": "Problem details", "content": {MEDIA_TYPE: {"schema": schema}}} for s in statuses
    }


class Metrics:
    """Counts of one service; no principal or address is in them."""

    def __init__(self, service: str) -> None:
        """Begin at nothing. ``service`` is what the names begin with."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            f"{service}_requests", "Requests by outcome", ["status"], registry=self.registry
        )
        self.seconds = Histogram(f"{service}_seconds", "Until the answer begins", registry=self.registry)


class Counted:
    """Counts answers by their status, and times them until they begin (ASGI middleware)."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an app."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        began = time.perf_counter()

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.seconds.observe(time.perf_counter() - began)
                self._metrics.requests.labels(str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted_send)


async def health() -> dict[str, str]:
    """Live."""
    return {"status": "alive"}


def add_common(app: FastAPI, metrics: Metrics, entrance: Entrance) -> None:
    """Add to an app what every service has: problems for errors, ``/health``, and ``/metrics`` for Prometheus."""

    async def told(request: Request) -> Response:
        """Prometheus metrics, for who asks from inside; no principal or address is in them."""
        if entrance.is_forwarded(request):
            # What comes through a load balancer may come from anywhere.
            raise HTTPException(404)
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")

    app.add_api_route("/health", health, methods=["GET"], response_model=None)
    app.add_api_route("/metrics", told, methods=["GET"], response_class=Response, responses=problems(404))
    app.add_exception_handler(Problem, problem_response)
    app.add_exception_handler(Exception, problem_response)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Name the fields that are wrong, and never what was in them."""
    fields = sorted(
        {
            ".".join(part for part in map(str, e["loc"]) if re.fullmatch(r"[a-z_0-9]{1,32}", part))
            for e in (error.errors() if isinstance(error, RequestValidationError) else [])
        }
    )
    return problem_response(
        request, Problem(422, "invalid", "The request does not fit its schema.", fields=fields[:20])
    )


def _http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: Mapping[str, str] | None = error.headers if isinstance(error, HTTPException) else None
    return problem_response(
        request, Problem(status, "http", "The request cannot be answered.", headers=headers)
    )
