"""Settings and the operator's file: a mistake is one line that says where, and what to write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.gateway.clients import Clients
from services.gateway.serving import ServingError, read
from services.gateway.settings import BY_NAME, HERE
from services.gateway.settings import read as read_settings
from services.shared.settings import SettingsError

NEEDED = {
    "CALLER_ISSUER": "https://issuer.example",
    "MODEL_FOLDER": "/models",
    "TRAINER_KEY_FILE": "/trainer.pub",
    "VERDICT_KEY_FILE": "/redteam.pub",
    "BUDGET_FILE": "/budget",
    "QUERY_SECRET_FILE": "/secret",
}


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({each: value for each, value in NEEDED.items() if each != name})


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"MODEL_BUCKET": "b"}, "MODEL_FOLDER: is one too many"),
        ({"TRAINER_KEY_ARN": "arn:aws:kms:…"}, "TRAINER_KEY_FILE: is one too many"),
        ({"MODEL_FOLDER": "", "MODEL_BUCKET": "b"}, "AWS_REGION: is missing; MODEL_BUCKET needs it"),
        ({"MODEL_PREFIX": "released"}, "MODEL_PREFIX"),
        ({"RELOAD_SECONDS": "0"}, "RELOAD_SECONDS"),
        ({"PORT": "many"}, "PORT"),
        ({"TRUSTED_PROXIES": "all"}, "TRUSTED_PROXIES"),
    ],
)
def test_what_is_wrong_is_named(more: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read_settings({**NEEDED, **more})


def test_no_setting_is_a_secret() -> None:
    secretive = [n for n in BY_NAME if any(w in n for w in ("PASSWORD", "SECRET", "KEY", "TOKEN"))]
    assert all(name.endswith(("_FILE", "_ID", "_URL", "_ARN")) for name in secretive)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: {digits: {screens: {novelty: off}}}", "models.digits.screens.novelty: "),
        ("models: {digits: {screens: {novelty: none}}}", "models.digits.screens.novelty: "),
        ("models: {digits: {screens: {novelty: ignore}}}", "models.digits.screens.novelty: "),
        ("models: {digits: {screens: []}}", "models.digits.screens: "),
        ("models: {digits: {screened: {}}}", "models.digits.screened: "),
        ("models: {digits: {least_version: 0}}", "models.digits.least_version: "),
        ("models: {digits: {body_bytes: 1000000000}}", "models.digits.body_bytes: "),
        ("models: {digits: {deadline_seconds: 0}}", "models.digits.deadline_seconds: "),
        ("models: {Digits: {}}", "models.Digits: "),
        ("models: {digits: , digits: }", "a key stands twice"),
        ("models: {}", "models: "),
        ("digits: {}", "models: "),
        ("", "the file: "),
        ("models: [", "is not the YAML that is taken"),
        ("#" * (2**20 + 1), "is larger than"),
    ],
    ids=lambda text: text[:50],
)
def test_a_mistake_of_the_operator_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "serving.yaml"
    path.write_text(text)
    with pytest.raises(ServingError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_not_said_is_refused_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "serving.yaml"
    path.write_text("models: {digits: , spam: {screens: {text: flag, homoglyph: answer-with-flag}}}")
    told = read(path)
    assert told["digits"].mode("novelty") == told["digits"].mode("squeezing") == "refuse"
    assert told["digits"].body_bytes == 256 * 1024
    assert told["spam"].mode("zero-width", family="text") == "flag"
    assert told["spam"].mode("homoglyph", family="text") == "answer-with-flag"


def test_the_files_that_come_with_the_gateway_are_taken() -> None:
    served = read(HERE / "serving.yaml")
    clients = Clients(HERE / "clients.yaml")
    assert {name for name in served if clients.of("apps/triage", name)} == set(served)


def test_a_wrong_setting_is_one_line_and_exit_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.gateway"], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("gateway: CALLER_ISSUER: ")
    assert len(done.stderr.splitlines()) == 1
