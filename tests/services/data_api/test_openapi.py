"""The OpenAPI holds: schemathesis tries it with all its checks, freely and on a dataset that exists."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.services.data_api.conftest import World

# A body too large for us is refused with 413, which schemathesis does not count as a refusal by itself.
REFUSALS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 413, 422, 429]
"""
# Which columns there are is the dataset's declaration, not the schema's: 422. A made-up cursor is 400.
ON_THE_SAMPLE = """
[parameters]
"path.dataset" = "breast_cancer"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 406, 413, 422, 429]
"""


@pytest.mark.parametrize("settings", [REFUSALS, ON_THE_SAMPLE + REFUSALS], ids=["freely", "on the sample"])
def test_the_service_keeps_its_openapi(
    world: World, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.folder / "schemathesis.toml"
    file.write_text(settings)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(file)),
            *("run", f"{world.address}/openapi.json", "--checks", "all"),
            *("--header", f"Authorization: Bearer {world.issuer.token()}"),
            *("--tls-verify", str(world.folder / "service-ca.pem")),
            *("--max-examples", "30", "--rate-limit", "45/s", "--seed", "7", "--no-color"),
        ],
        env=world.environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=world.folder,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases is not None
    assert int(cases[1]) > 300
    with capsys.disabled():
        print(f"\nschemathesis: {cases[1]} cases")
