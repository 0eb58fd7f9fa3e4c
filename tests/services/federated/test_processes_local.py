"""The command of one's own machine: a whole federation, from the silos' sealed rows to a signed candidate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.federated import local
from services.modelchain import signing
from services.modelchain.keys import file_verifier


def test_a_federation_learns_and_leaves_a_signed_candidate_and_nothing_running(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--mode", "plain", "--silos", "2", "--rounds", "1", "--out", str(out), "--format", "json"]
    assert local.main(words) == 0
    said = json.loads(capfd.readouterr().out)
    assert [each["silos"] for each in said["rounds"]] == [2]
    found = signing.verify_candidate(out / "candidate", file_verifier(out / "federation.pub"))
    assert found.digest == said["digest"]
    assert found.card.figures["accuracy on held-out rows"] == said["rounds"][0]["accuracy"]
    assert "The server saw each silo's update" in found.card.limits
    assert {path.name for path in out.iterdir()} == {"candidate", "federation.pub"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mode", "secagg", "--silos", "2"], "federated: settings.silos: of two, each can subtract itself"),
        (["--rounds", "0"], "federated: settings.rounds: "),
        (["--terms", "nowhere.json"], "federated: --terms: nowhere.json cannot be read"),
        (["--out", "."], "federated: --out: . is already there"),
    ],
)
def test_what_cannot_be_is_one_plain_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert local.main(["--out", str(tmp_path / "out"), *words]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(said)
    assert shown.count("\n") == 1
