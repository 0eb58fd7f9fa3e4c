"""The commands as a user runs them: what they print, and with which status they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from blueprint.environments import ROOT
from blueprint.graph import UNKNOWN
from tests.blueprint.commands import blueprint
from tests.open_questions import NOT_IN_ANY_GRAPH


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
@pytest.mark.parametrize("mode", [[], ["--unknowns"]], ids=["resolved", "unknowns"])
def test_every_environment_keeps_every_promise(environment: str, mode: list[str], tmp_path: Path) -> None:
    export = tmp_path / "graph.json"
    ran = blueprint("preview", environment, *mode, "--format", "json", "--export", str(export))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    verdict = json.loads(ran.stdout)
    assert verdict["violations"] == []
    open_questions = {each["control"] for each in verdict["undecided"]}
    assert open_questions == NOT_IN_ANY_GRAPH if mode == [] else open_questions > NOT_IN_ANY_GRAPH
    # Without --unknowns every output that anything refers to has a value.
    assert (UNKNOWN in export.read_text()) == (mode != [])


@pytest.mark.parametrize("mode", [[], ["--unknowns"]], ids=["resolved", "unknowns"])
def test_check_says_of_the_export_what_preview_said(mode: list[str], tmp_path: Path) -> None:
    export = tmp_path / "graph.json"
    preview = blueprint("preview", "prod", *mode, "--format", "json", "--export", str(export))
    check = blueprint("check", str(export), "--format", "json")
    assert check.stdout == preview.stdout
    assert check.returncode == preview.returncode


def test_an_export_can_come_through_a_pipe(tmp_path: Path) -> None:
    export = tmp_path / "graph.json"
    blueprint("preview", "dev", "--export", str(export))
    command = [sys.executable, "-m", "blueprint.cli", "check", "/dev/stdin"]
    ran = subprocess.run(
        command, cwd=ROOT, input=export.read_text(), capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr


def test_the_report_shows_the_tree_and_the_totals() -> None:
    ran = blueprint("preview", "dev")
    assert ran.returncode == 0
    assert "Bastion" in ran.stdout
    assert ran.stdout.strip().splitlines()[-1].startswith("passed: ")
    assert ran.stderr == ""


def test_a_violation_is_shown_and_ends_with_status_1(tmp_path: Path) -> None:
    export = tmp_path / "graph.json"
    blueprint("preview", "dev", "--export", str(export))
    opened = export.read_text().replace('"mapPublicIpOnLaunch": false', '"mapPublicIpOnLaunch": true')
    export.write_text(opened)
    ran = blueprint("check", str(export))
    assert ran.returncode == 1
    assert "NET-05" in ran.stdout
    assert ran.stdout.strip().splitlines()[-1].startswith("refused: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["preview", "prd"], "did you mean prod?"),
        (["check", "nothing.json"], "nothing.json: cannot be read"),
        (["preview", "dev", "--export", "/nowhere/x.json"], "/nowhere/x.json: cannot be written"),
    ],
)
def test_bad_input_gets_one_message_and_status_2(arguments: list[str], says: str) -> None:
    ran = blueprint(*arguments)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_a_wrong_setting_is_located(fork: Path) -> None:
    file = fork / "stacks" / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"]["secure-ml-platform:bastion"]["allowed_cidrs"] = ["0.0.0.0/0"]
    file.write_text(yaml.safe_dump(document))
    ran = blueprint("preview", "dev", root=fork)
    assert ran.returncode == 2
    assert ran.stderr.startswith(
        "stacks/Pulumi.dev.yaml: bastion.allowed_cidrs[0]: 0.0.0.0/0 opens SSH to the world"
    )


def test_a_mistake_in_the_program_names_its_line(fork: Path) -> None:
    (fork / "components" / "alerts.py").write_text(
        "def broken():\n    pass\n\nraise ValueError('not today')\n"
    )
    ran = blueprint("preview", "dev", root=fork)
    assert ran.returncode == 2
    assert ran.stderr == "components/alerts.py:4: not today\n"


def test_the_traceback_is_there_when_asked_for(fork: Path) -> None:
    (fork / "components" / "alerts.py").write_text("raise ValueError('not today')\n")
    assert "Traceback" in blueprint("preview", "dev", "--traceback", root=fork).stderr


def test_a_program_that_asks_the_cloud_is_told_to_use_settings(fork: Path) -> None:
    program = fork / "__main__.py"
    program.write_text("import pulumi_aws as aws\naws.get_caller_identity()\n")
    ran = blueprint("preview", "dev", root=fork)
    assert ran.returncode == 2
    assert "write the value into the stack's settings instead" in ran.stderr


def test_two_resources_of_one_name_are_told(fork: Path) -> None:
    (fork / "__main__.py").write_text(
        "import pulumi_aws as aws\naws.ec2.Vpc('v')\n# again\naws.ec2.Vpc('v')\n"
    )
    ran = blueprint("preview", "dev", root=fork)
    assert ran.returncode == 2
    assert "two resources are named 'v'" in ran.stderr


def test_a_broken_pack_fails_the_preview_with_status_3(fork: Path) -> None:
    (fork / "policies" / "controls" / "net.py").write_text("raise RuntimeError('half a merge')\n")
    ran = blueprint("preview", "dev", root=fork)
    assert ran.returncode == 3
    assert "nothing was passed" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_help_teaches() -> None:
    ran = blueprint("--help")
    assert ran.returncode == 0
    assert "blueprint preview prod --unknowns" in ran.stdout
    assert "exit codes" in ran.stdout
