"""``make gateway``: the lines that it prints work as they stand."""

from __future__ import annotations

from pathlib import Path

from tests.services.support import curl, printing


def test_every_line_that_is_printed_works(tmp_path: Path) -> None:
    with printing("services.gateway.local", tmp_path) as printed:
        listed, digit, messages = (curl(line) for line in printed)
    assert {each["name"] for each in listed.json()["models"]} == {"digits", "spam"}
    assert [each["label"] for each in digit.json()["outputs"]] == ["0"]
    disguised, plain = messages.json()["outputs"]
    assert (disguised["label"], plain["label"]) == ("spam", "ham")
    assert "zero-width" in {flag["screen"] for flag in disguised["flags"]}
    assert plain["flags"] == []
