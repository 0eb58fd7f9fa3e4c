"""``make data-api``: the lines that it prints work as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from tests.services.support import curl, printing


def test_every_line_that_is_printed_works(tmp_path: Path) -> None:
    with printing("services.data_api.local", tmp_path) as printed:
        assert len(printed) == 3
        rows, mean = curl(printed[1]), curl(printed[2])
    assert (rows.status_code, mean.status_code) == (200, 200), (rows.text, mean.text)
    assert len(re.findall('"sample"', rows.text)) == 3
    assert 0 <= mean.json()["value"] <= 30
