"""The OpenAPI holds: schemathesis tries it, with all its checks."""

from __future__ import annotations

import os

import pytest

from tests.services.data_api.conftest import World


def test_the_service_keeps_its_openapi(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    environment = {**os.environ, **world.environment}
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{world.address}/openapi.json",
            "--header", f"Authorization: Bearer {world.issuer.token()}",
            "--tls-verify", str(world.folder / "service-ca.pem"),
            "--checks", "all", "--max-examples", "40", "--rate-limit", "45/s", "--seed", "7", "--no-color",
        ],
        env=environment, capture_output=True, text=True, check=False, cwd=world.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    with capsys.disabled():
        print(
            "\n"
            + "\n".join(
                line for line in done.stdout.splitlines() if "generated" in line or "Test cases" in line
            )
        )
