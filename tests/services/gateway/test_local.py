"""``make gateway``: the lines that it prints work as they stand."""

from __future__ import annotations

from pathlib import Path

from tests.services.support import curl, printing, until


def test_every_line_that_is_printed_works(tmp_path: Path) -> None:
    with printing("services.gateway.local", tmp_path) as printed:
        listed, *asked = printed
        until(lambda: {each["name"] for each in curl(listed).json()["models"]} == {"digits", "spam"})
        digit, messages = map(curl, asked)
    assert [each["label"] for each in digit.json()["outputs"]] == ["0"]
    disguised, plain = messages.json()["outputs"]
    assert (disguised["label"], plain["label"]) == ("spam", "ham")
    assert "zero-width" in {flag["screen"] for flag in disguised["flags"]}
    assert plain["flags"] == []
