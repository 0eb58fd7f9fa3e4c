"""Asks a service over TLS, trusting its own authority and no other, with a token where one is given."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 30
"""Of one request."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a service said."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The body, where each line is JSON by itself."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service on this machine."""

    port: int
    authority: Path
    token: Path

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"https://localhost:{self.port}"

    def ask(self, path: str, body: Any = None, *, anonymous: bool = False) -> Answer:
        """Return what it says to a question, with a body or without.

        Raises:
            OSError: it does not answer, or with another authority's certificate.
        """
        headers = {"Accept": "application/json"}
        if not anonymous:
            headers["Authorization"] = f"Bearer {self.token.read_text().strip()}"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        asked = urllib.request.Request(self.address + path, data, headers)  # noqa: S310 - https, as written above
        trusted = ssl.create_default_context(cafile=self.authority)
        try:
            with urllib.request.urlopen(asked, timeout=SECONDS, context=trusted) as answer:  # noqa: S310 - the same
                return Answer(status=answer.status, body=answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(status=refused.code, body=refused.read())

    def ready(self) -> bool:
        """Say whether it is ready for questions."""
        try:
            return self.authority.exists() and self.token.exists() and self.ask("/ready").status == 200
        except OSError:
            return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
