"""The command line: what it teaches, prints and exits with, and that a mistake is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.modelchain import strict_json
from services.modelchain.__main__ import main
from services.modelchain.schema import CARD, GRAPH, MODEL, VERDICT_FILE
from tests.services.modelchain import emulated, making
from tests.services.modelchain.making import laid, within


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with a candidate and the keys of two."""
    laid(tmp_path / "candidate", within(MODEL, making.files_of_numbers()))
    assert main(["keys", "trainer", "--into", str(tmp_path)]) == 0
    assert main(["keys", "redteam", "--into", str(tmp_path)]) == 0
    capsys.readouterr()
    return tmp_path


def run(home: Path, line: str) -> int:
    """Run a line in which ``~`` stands for a folder."""
    return main(line.replace("~", str(home)).split())


def verdict_file(home: Path, digest: str) -> None:
    now = datetime.now(UTC)
    said = making.verdict(digest, judged_at=now - timedelta(minutes=1), holds_until=now + timedelta(days=1))
    (home / VERDICT_FILE).write_bytes(strict_json.written(said))


PROMOTE = "promote ~/candidate --verdict ~/verdict.json --into ~/release --key ~/trainer.pub --redteam-key ~/redteam.key"


def test_the_whole_chain(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "sign ~/candidate --key ~/trainer.key --format json") == 0
    digest = json.loads(capsys.readouterr().out)["signed"]
    verdict_file(home, digest)
    assert run(home, "verify ~/candidate --key ~/trainer.pub") == 0
    assert "trainer  vouches for it with key" in capsys.readouterr().out
    assert run(home, PROMOTE) == 0
    assert f"digest    {digest}" in capsys.readouterr().out
    both = "verify ~/release --key ~/trainer.pub --redteam-key ~/redteam.pub"
    assert run(home, both) == 0
    said = capsys.readouterr().out
    assert "verdict  passed 1 checks, holds until" in said
    assert "takes    image: float32[batch, 2, 2] from 0 to 1" in said
    assert run(home, f"{both} --format json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["digest"] == digest
    assert told["verdict"]["model_digest"] == digest
    assert set(told["vouched"]) == {"trainer", "redteam"}
    assert set(told["files"]) == set(making.files_of_numbers())


def test_keys_of_kms_go_the_same_way(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with emulated.kms() as client:
        trainer, redteam = emulated.key(client), emulated.key(client)
        assert run(home, f"sign ~/candidate --kms {trainer} --format json") == 0
        verdict_file(home, json.loads(capsys.readouterr().out)["signed"])
        assert (
            run(
                home,
                f"promote ~/candidate --verdict ~/verdict.json --into ~/release --kms {trainer} --redteam-kms {redteam}",
            )
            == 0
        )
        assert run(home, f"verify ~/release --kms {trainer} --redteam-kms {redteam}") == 0
        assert run(home, f"verify ~/release --kms {redteam} --redteam-kms {trainer}") == 1


@pytest.mark.parametrize(
    "files", [making.files_of_numbers(), making.files_of_text()], ids=["numbers", "text"]
)
def test_a_model_is_shown_to_people_and_to_programs(
    files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laid(tmp_path, within(MODEL, files))
    assert run(tmp_path, "inspect ~") == 0
    text = capsys.readouterr().out
    assert "privacy  epsilon 3 at delta 1e-05 (prv)" in text
    assert all(name in text for name in files)
    assert max(map(len, text.splitlines())) < 130
    assert run(tmp_path, "inspect ~ --format json") == 0
    assert json.loads(capsys.readouterr().out)["vouched"] == {}


def test_a_card_cannot_speak_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = making.CARD_OF_ALL.model_copy(
        update={"title": "\x1b[2Jpassed\nverdict  passed", "dataset": "\u202e" * 3}
    )
    laid(tmp_path, within(MODEL, {**making.files_of_numbers(), CARD: strict_json.written(card)}))
    assert run(tmp_path, "inspect ~") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not any(line.startswith("verdict") for line in text.splitlines())


def test_what_is_not_genuine_is_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(home, "sign ~/candidate --key ~/trainer.key")
    capsys.readouterr()
    assert run(home, "verify ~/candidate --key ~/redteam.pub") == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("modelchain: model.sig: was made with another key")
    (home / "candidate" / MODEL / CARD).write_bytes(b"{}")
    assert run(home, "verify ~/candidate --key ~/trainer.pub --format json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["refused"] == err.strip().removeprefix("modelchain: ")
    assert run(home, "inspect ~/candidate") == 1


UNREADABLE = [
    "inspect ~/nowhere",
    "inspect ~/trainer.pub",
    "keys trainer --into ~",
    "keys ../trainer --into ~",
    "keys other --into ~/nowhere",
    "sign ~/candidate --key ~/trainer.pub",
    "sign ~/candidate --key ~/nowhere",
    "sign ~/candidate --kms alias/trainer",
    "verify ~/candidate --key ~/trainer.key",
    "promote ~/candidate --verdict ~/nowhere --into ~/r --key ~/trainer.pub --redteam-key ~/redteam.key",
    "promote ~/candidate --verdict ~ --into ~/r --key ~/trainer.pub --redteam-key ~/redteam.key",
    "promote ~/candidate --verdict ~/large --into ~/r --key ~/trainer.pub --redteam-key ~/redteam.key",
    "promote ~/candidate --verdict ~/pipe --into ~/r --key ~/trainer.pub --redteam-key ~/redteam.key",
]


@pytest.mark.parametrize("line", UNREADABLE)
def test_what_cannot_be_read_is_two(home: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    (home / "large").write_bytes(b" " * (strict_json.MOST_BYTES + 1))
    os.mkfifo(home / "pipe")
    assert run(home, line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("modelchain: ")


def test_a_release_is_not_verified_by_half(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(home, "sign ~/candidate --key ~/trainer.key --format json")
    verdict_file(home, json.loads(capsys.readouterr().out)["signed"])
    run(home, PROMOTE)
    assert run(home, "verify ~/release --key ~/trainer.pub") == 2
    assert "name the red team's key too" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "",
        "undo",
        "keys",
        "sign ~/candidate",
        "verify ~/candidate",
        "sign ~/c --key a --kms b",
        "inspect ~ --format xml",
    ],
)
def test_wrong_usage_is_two(home: Path, line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(home, line)
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["", "keys", "inspect", "sign", "verify", "promote"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "usage: modelchain" in said
    if not command:
        assert "modelchain sign candidate --key" in said
        assert "Exit codes: 0 done; 1" in said


def alone(arguments: Sequence[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.modelchain", *arguments],
        text=True,
        capture_output=True,
        check=False,
        **more,
    )


def test_it_runs_alone_in_a_terminal_that_shows_ascii_only(tmp_path: Path) -> None:
    card = making.CARD_OF_ALL.model_copy(update={"title": "Größe"})
    laid(tmp_path, within(MODEL, {**making.files_of_numbers(), CARD: strict_json.written(card)}))
    done = alone(["inspect", str(tmp_path)], env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert r"Gr\xf6\xdfe" in done.stdout


def test_whoever_reads_may_stop_reading(tmp_path: Path) -> None:
    laid(tmp_path, within(MODEL, making.files_of_numbers()))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "services.modelchain", "inspect", str(tmp_path)],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_is_no_traceback(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("services.modelchain.folder.inspect", interrupted)
    assert run(home, "inspect ~/candidate") == 130
    assert capsys.readouterr().err == "modelchain: interrupted\n"


def test_an_unsound_graph_is_not_shown_as_good(tmp_path: Path) -> None:
    model = making.graph_of_numbers()
    model.graph.node[0].input[0] = "nowhere"
    laid(tmp_path, within(MODEL, {**making.files_of_numbers(), GRAPH: model.SerializeToString()}))
    assert run(tmp_path, "inspect ~") == 1
