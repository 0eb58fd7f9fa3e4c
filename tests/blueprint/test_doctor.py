"""What a machine lacks is found, and a program that misbehaves is a finding like any other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blueprint.cli import main
from blueprint.doctor import probing
from blueprint.doctor.requirements import requirements
from blueprint.doctor.tasks import tasks
from blueprint.environments import ROOT

Make = Callable[[str, str], Path]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A machine whose PATH holds nothing but what a test puts there, and that no cloud knows."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith(("AWS_", "TF_")):
            monkeypatch.delenv(name)

    def make(name: str, script: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return make


def looked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Return the status, the tasks and the requirements by name."""
    code = main(["doctor", *arguments, "--format", "json"])
    said = json.loads(capsys.readouterr().out)
    by_name = {kind: {each["name"]: each for each in said[kind]} for kind in ("tasks", "requirements")}
    return code, by_name["tasks"], by_name["requirements"]


def test_an_empty_machine_is_told_everything(machine: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, needed = looked(capsys)
    assert code == 0
    assert set(found) == set(tasks())
    for name in (
        "make",
        "git",
        "terraform or tofu",
        "pulumi",
        "docker",
        "cosign",
        "chromium",
        "AWS credentials",
    ):
        assert needed[name]["state"] == "missing", name
        assert needed[name]["remedy"]
    assert needed["python"] == {**needed["python"], "state": "found", "remedy": ""}
    assert not found["deploy"]["ready"]
    assert {"pulumi", "AWS credentials"} <= set(found["deploy"]["lacks"])
    assert {"chromium"} <= set(found["report"]["left_out_without"])


def test_a_named_task_that_lacks_something_ends_with_status_1(
    machine: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, needed = looked(capsys, "images")
    assert code == 1
    assert set(needed) == {"make", "docker", "docker buildx", "cosign"}
    machine("make", "echo GNU Make 4.3")
    machine("docker", "echo 29.1.0")
    machine("cosign", "echo GitVersion: v2.6.3")
    code, found, needed = looked(capsys, "images")
    assert code == 0
    assert found["images"] == {"name": "images", "ready": True, "lacks": [], "left_out_without": []}
    assert needed["cosign"]["found"] == "2.6.3"


def test_the_other_of_two_programs_will_do(machine: Make, capsys: pytest.CaptureFixture[str]) -> None:
    machine("tofu", "echo OpenTofu v1.11.2")
    _, _, needed = looked(capsys, "rehearse")
    assert needed["terraform or tofu"]["found"] == "1.11.2"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 3", "ends with 3 and says: nothing"),
        (
            "echo 'Cannot connect to the daemon' >&2; exit 1",
            "ends with 1 and says: Cannot connect to the daemon",
        ),
        ("kill -SEGV $$", "ends with -11"),
        ("echo no numbers here", "tells no version: no numbers here"),
        ("while :; do echo 1.2; done", "does not answer"),
        (r"printf '\377\376'", "tells no version"),
    ],
)
def test_a_program_that_misbehaves_is_reported(
    script: str, says: str, machine: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    machine("pulumi", script)
    code, _, needed = looked(capsys, "deploy")
    assert code == 1
    assert needed["pulumi"]["state"] == "broken"
    assert needed["pulumi"]["found"].startswith(says)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(machine: Make, tmp_path: Path) -> None:
    # The child keeps the output open, and would keep us waiting for its end.
    program = machine("pulumi", f"/bin/sleep 600 & echo $! > {tmp_path}/child; /bin/sleep 600")
    found = probing.version(str(program), "version", seconds=1.0)
    assert found == probing.Found("broken", "does not answer")
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}/stat").exists() and _state(child) != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}/stat").exists() or _state(child) == "Z"


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_a_program_that_cannot_be_started_is_reported(machine: Make) -> None:
    program = machine("pulumi", "")
    program.write_text("#!/no/such/interpreter\n")
    assert probing.version(str(program)).what == "cannot be started: No such file or directory"


def test_a_namesake_is_not_taken_for_it(machine: Make, capsys: pytest.CaptureFixture[str]) -> None:
    machine("make", "echo bmake 20240101.1")
    _, _, needed = looked(capsys, "images")
    assert needed["make"]["found"] == "is another program: bmake 20240101.1"


def test_credentials_are_found_and_never_shown(
    machine: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()
    file.write_text("[default]\naws_secret_access_key = wJalrXUtnFEMI\n")
    _, _, needed = looked(capsys, "bootstrap")
    assert needed["AWS credentials"]["found"] == "AWS_ACCESS_KEY_ID, ~/.aws/credentials (not tried)"


def test_aws_is_asked_when_that_is_wished(
    machine: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A port that nobody listens on: a refused connection, and not a word to AWS.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    _, _, needed = looked(capsys, "bootstrap", "--ask-aws")
    assert needed["AWS credentials"]["state"] == "broken"
    assert "Could not connect" in needed["AWS credentials"]["found"]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _, _, needed = looked(capsys, "bootstrap", "--ask-aws")
    assert needed["AWS credentials"]["found"] == "Unable to locate credentials"


@pytest.mark.parametrize(
    ("name", "says"), [("reherse", "did you mean rehearse?"), ("xyz", "choose among preview, test")]
)
def test_a_task_that_is_not_known_gets_one_message(
    name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", name]) == 2
    caught = capsys.readouterr()
    assert says in caught.err
    assert caught.out == ""


def test_the_table_says_what_to_do(machine: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "deploy"]) == 1
    shown = capsys.readouterr().out
    assert "lacking" in shown
    assert "install the Pulumi CLI" in " ".join(shown.split())


def test_whatever_a_task_needs_can_be_looked_for() -> None:
    known = requirements()
    for name, task in tasks().items():
        assert set(task.needs) | set(task.better_with) <= set(known), name
    # Nothing is looked for that no task needs.
    assert {each for task in tasks().values() for each in (*task.needs, *task.better_with)} == set(known)


def test_the_tasks_know_the_services() -> None:
    services = {f"services/{path.parent.name}" for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert len(services) > 3
    assert services <= set(tasks()["test"].needs)
