"""How a service listens: TLS, bounded in every direction, and nothing about itself in its headers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from services.shared.settings import ServiceSettings, secret


def tls_file(settings: ServiceSettings) -> Path:
    """Return a PEM file with the certificate and its key; from AWS it comes into the pod's own memory or disk.

    Raises:
        SettingsError: neither a file nor a secret of AWS is named.
    """
    if settings.tls_file is not None:
        return settings.tls_file
    handle, name = tempfile.mkstemp(suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(secret(settings, file="tls_file", aws="tls_secret_id"))
    return Path(name)


def serve(application: ASGIApp, *, port: int, certificate: Path) -> None:
    """Serve until told to stop."""
    uvicorn.run(
        application,
        host="0.0.0.0",  # noqa: S104 - a pod's own address; the network policy says who reaches it
        port=port,
        ssl_certfile=str(certificate),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=32_768,
        limit_concurrency=500,
        timeout_graceful_shutdown=30,
    )
