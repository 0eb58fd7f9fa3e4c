"""Errors as problem details (RFC 9457), which never echo data or SQL."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is an error: the status, a stable kind for programs, a sentence for people."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: int | str | list[str],
    ) -> None:
        """Remember what to answer; ``detail`` must hold nothing that came from the database."""
        super().__init__(f"{status} {kind}: {detail}")
        self.status, self.kind, self.detail = status, kind, detail
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the members of the problem details object."""
        return {
            "type": f"urn:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


def problem_response(_request: Request, problem: Exception) -> JSONResponse:
    """Answer with a problem; anything that is no ``Problem`` is a plain 500."""
    if not isinstance(problem, Problem):
        problem = Problem(500, "internal", "Something went wrong on our side.")
    return JSONResponse(problem.body(), problem.status, problem.headers, MEDIA_TYPE)


def unauthenticated(detail: str) -> Problem:
    """Return the answer to a missing or bad token (RFC 6750, section 3)."""
    return Problem(
        401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )


def unavailable(detail: str, *, retry_after_seconds: int = 2) -> Problem:
    """Return the answer while something that we need is away."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(retry_after_seconds)})
