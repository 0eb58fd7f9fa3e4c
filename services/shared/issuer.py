"""Where the issuer's keys come from: a file, an address, or what the issuer's discovery document names."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from services.shared.settings import ServiceSettings
from services.shared.tokens import FetchKeys

SECONDS = 3.0


def keys_of(settings: ServiceSettings) -> FetchKeys:
    """Return how to get the issuer's JWK set."""

    async def fetch() -> Mapping[str, Any]:
        if settings.caller_keys_file is not None:
            return dict(json.loads(settings.caller_keys_file.read_text()))
        trusted = ssl.create_default_context(cafile=settings.caller_keys_ca_file)
        async with httpx.AsyncClient(timeout=SECONDS, verify=trusted, headers=_shown(settings)) as client:
            address = settings.caller_keys_url
            if address is None:
                known = await client.get(f"{settings.caller_issuer}/.well-known/openid-configuration")
                address = str(known.raise_for_status().json()["jwks_uri"])
                if not address.startswith("https://"):
                    raise ValueError("the issuer's keys are not served over TLS")
            return dict((await client.get(address)).raise_for_status().json())

    return fetch


def _shown(settings: ServiceSettings) -> dict[str, str]:
    """Return what the service shows where the keys are; read each time, since the cluster renews it."""
    if settings.caller_keys_token_file is None:
        return {}
    return {"Authorization": f"Bearer {settings.caller_keys_token_file.read_text().strip()}"}
