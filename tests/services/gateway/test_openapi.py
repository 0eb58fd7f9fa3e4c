"""The OpenAPI holds: schemathesis tries it with all its checks, freely and on a model that exists."""

from __future__ import annotations

import pytest

from tests.services.gateway.world import World
from tests.services.openapi import tried

# What a model takes is its own schema's, not the OpenAPI's: 422.
ON_DIGITS = """
[parameters]
"path.model" = "digits"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 413, 415, 422, 429]
"""


@pytest.mark.parametrize("settings", ["", ON_DIGITS], ids=["freely", "on the digits"])
def test_the_gateway_keeps_its_openapi(world: World, settings: str) -> None:
    tried(settings, world.folder, world.address, world.issuer.token(), per_second=150, examples=25, fewest=80)
