"""Serves: ``python -m services.data_api``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import uvicorn

from services.data_api.app import create
from services.data_api.authorisation import PolicyError
from services.data_api.declarations import DeclarationError
from services.data_api.settings import Settings, SettingsError, read, secret


def tls_file(settings: Settings) -> Path:
    """Return a PEM file with the certificate and its key; from AWS it comes into the pod's own memory or disk."""
    if settings.tls_file is not None:
        return settings.tls_file
    handle, name = tempfile.mkstemp(suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(secret(settings, "tls"))
    return Path(name)


def main() -> int:
    """Serve until told to stop; a wrong setting is one line."""
    try:
        settings = read(os.environ)
        application = create(settings)
        pem = str(tls_file(settings))
    except (SettingsError, DeclarationError, PolicyError, OSError, ValueError) as error:
        sys.stderr.write(f"data-api: {error}\n")
        return 2
    uvicorn.run(
        application,
        host="0.0.0.0",  # noqa: S104 - a pod's own address; the network policy says who reaches it
        port=settings.port,
        ssl_certfile=pem,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=32_768,
        limit_concurrency=500,
        timeout_graceful_shutdown=30,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
