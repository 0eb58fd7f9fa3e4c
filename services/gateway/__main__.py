"""Serves: ``python -m services.gateway``."""

from __future__ import annotations

import os
import sys

from services.gateway.app import create
from services.gateway.clients import ClientsError
from services.gateway.ledgers import LedgerError
from services.gateway.marks import MarksError
from services.gateway.models import StateError
from services.gateway.serving import ServingError
from services.gateway.settings import read
from services.modelchain.errors import ModelError
from services.shared.server import serve, tls_file
from services.shared.settings import SettingsError


def main() -> int:
    """Serve until told to stop; a wrong setting is one line."""
    try:
        settings = read(os.environ)
        application = create(settings)
        certificate = tls_file(settings)
    except (
        *(SettingsError, ServingError, ClientsError, LedgerError, MarksError, StateError, ModelError),
        *(OSError, ValueError),
    ) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    serve(application, port=settings.port, certificate=certificate)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
