"""schemathesis against a service that runs: it tries the OpenAPI with all its checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

# A body too large for us is refused with 413, which schemathesis does not count as a refusal by itself.
REFUSALS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 413, 415, 422, 429]
"""


def tried(
    settings: str, folder: Path, address: str, token: str, *, per_second: int, examples: int, fewest: int
) -> int:
    """Return how many cases were tried; a check that fails is a failure here.

    Args:
        settings: Of schemathesis, beside those of every service.
        folder: To work in; the authority of the service's certificate lies there, in service-ca.pem.
        address: Of the service.
        token: To show.
        per_second: Requests; fewer than the service allows.
        examples: For each operation.
        fewest: Cases that there must have been.
    """
    file = folder / "schemathesis.toml"
    file.write_text(settings + REFUSALS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(file)),
            *("run", f"{address}/openapi.json", "--checks", "all"),
            *("--header", f"Authorization: Bearer {token}"),
            *("--tls-verify", str(folder / "service-ca.pem")),
            *(
                "--max-examples",
                str(examples),
                "--rate-limit",
                f"{per_second}/s",
                "--seed",
                "7",
                "--no-color",
            ),
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases is not None
    assert int(cases[1]) > fewest, done.stdout[-3000:]
    return int(cases[1])
