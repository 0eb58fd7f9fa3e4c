"""The OpenAPI holds: schemathesis tries it with all its checks, freely and on a dataset that exists."""

from __future__ import annotations

import pytest

from tests.services.data_api.conftest import World
from tests.services.openapi import tried

# Which columns there are is the dataset's declaration, not the schema's: 422. A made-up cursor is 400, a release charged before 409.
ON_THE_SAMPLE = """
[parameters]
"path.dataset" = "breast_cancer"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 406, 409, 413, 422, 429]
"""


@pytest.mark.parametrize("settings", ["", ON_THE_SAMPLE], ids=["freely", "on the sample"])
def test_the_service_keeps_its_openapi(
    world: World, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tried(
        settings, world.folder, world.address, world.issuer.token(), per_second=45, examples=30, fewest=300
    )
    with capsys.disabled():
        print(f"\nschemathesis: {cases} cases")
