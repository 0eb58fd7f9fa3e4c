"""Serves: ``python -m services.data_api``."""

from __future__ import annotations

import os
import sys

from services.data_api.app import create
from services.data_api.authorisation import PolicyError
from services.data_api.declarations import DeclarationError
from services.data_api.settings import read
from services.shared.server import serve, tls_file
from services.shared.settings import SettingsError


def main() -> int:
    """Serve until told to stop; a wrong setting is one line."""
    try:
        settings = read(os.environ)
        application = create(settings)
        certificate = tls_file(settings)
    except (SettingsError, DeclarationError, PolicyError, OSError, ValueError) as error:
        sys.stderr.write(f"data-api: {error}\n")
        return 2
    serve(application, port=settings.port, certificate=certificate)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
