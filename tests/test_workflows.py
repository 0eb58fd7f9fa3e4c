"""The workflows: two linters find nothing, planted faults are found, and what needs no cloud is what a developer runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)


def parsed(path: Path) -> dict[str, Any]:
    # "on" is a yes to YAML 1.1, and a key to GitHub.
    values = yaml.load(path.read_text(), yaml.BaseLoader)  # noqa: S506 - makes texts, lists and mappings only
    assert isinstance(values, dict)
    return values


def steps(path: Path) -> Iterator[dict[str, Any]]:
    values = parsed(path)
    for job in values.get("jobs", {}).values():
        yield from job.get("steps", ())
    yield from values.get("runs", {}).get("steps", ())


def told(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the PATH in the repository; a make above this one has no say in it."""
    program = shutil.which(command[0])
    assert program is not None, command[0]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    """Audit offline; the status is 0 where nothing is found (zizmor's documentation, "Exit codes")."""
    return subprocess.run(
        [
            str(BIN / "zizmor"),
            "--offline",
            "--persona=pedantic",
            "--no-progress",
            "--color=never",
            str(folder),
        ],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def schema(*files: Path) -> subprocess.CompletedProcess[str]:
    """Check against GitHub's schema of workflows, which comes with the package."""
    return subprocess.run(
        [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_both_linters_find_nothing() -> None:
    audited = zizmor(GITHUB)
    assert audited.returncode == 0, audited.stdout
    checked = schema(*WORKFLOWS)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.skipif(
    shutil.which("actionlint") is None,
    reason="actionlint is not on the PATH, and its package on PyPI fetches the program from elsewhere",
)
def test_actionlint_finds_nothing() -> None:
    ran = told("actionlint")
    assert ran.returncode == 0, ran.stdout


PLANTED = {
    "unpinned-uses": ("actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "actions/checkout@v7"),
    "template-injection": ("run: bash .ci/run", "run: echo ${{ github.event.pull_request.title }}"),
    "dangerous-triggers": ("  pull_request:\n", "  pull_request_target:\n"),
    "excessive-permissions": (
        "    permissions:\n      contents: read\n    steps",
        "    permissions: write-all\n    steps",
    ),
    "artipacked": ("persist-credentials: false", "clean: true"),
}
"""What an audit of zizmor's finds, and the edit of pull-request.yml that it must find."""


@pytest.mark.parametrize("audit", sorted(PLANTED))
def test_a_planted_fault_is_found(audit: str, tmp_path: Path) -> None:
    was, becomes = PLANTED[audit]
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = (GITHUB / "workflows" / "pull-request.yml").read_text()
    assert was in text
    (folder / "pull-request.yml").write_text(text.replace(was, becomes))
    audited = zizmor(tmp_path / ".github")
    assert audited.returncode > 10, audited.stdout + audited.stderr
    assert f"[{audit}]" in audited.stdout


def test_a_key_that_github_does_not_know_is_found(tmp_path: Path) -> None:
    file = tmp_path / "odd.yml"
    text = (GITHUB / "workflows" / "pull-request.yml").read_text()
    file.write_text(text.replace("timeout-minutes: 60", "time-out-minutes: 60"))
    assert schema(file).returncode == 1


@each_workflow
def test_no_right_is_given_to_all_jobs_and_every_job_ends(workflow: Path) -> None:
    values = parsed(workflow)
    assert values["permissions"] == {}
    for name, job in values["jobs"].items():
        assert "permissions" in job, name
        assert "uses" in job or 0 < int(job["timeout-minutes"]) <= 120, name


@each_workflow
def test_runs_do_not_overtake_each_other(workflow: Path) -> None:
    values = parsed(workflow)
    jobs = values["jobs"].values()
    assert "concurrency" in values or any("concurrency" in job for job in jobs)


@each_workflow
def test_nothing_of_a_strangers_is_a_script_and_every_action_is_a_digest(workflow: Path) -> None:
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")
        uses = step.get("uses", "./")
        assert uses.startswith("./") or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", uses), uses
        if "checkout" in uses:
            assert step["with"]["persist-credentials"] == "false"


def test_credentials_are_only_where_no_pull_request_runs() -> None:
    for workflow in WORKFLOWS:
        values, text = parsed(workflow), workflow.read_text()
        assert "pull_request_target" not in values["on"]
        if "pull_request" in values["on"]:
            assert "id-token" not in text
            assert "secrets." not in text
            assert "environment:" not in text
    text = (GITHUB / "workflows" / "comment.yml").read_text()
    assert "head_branch" not in text
    assert "head_repository" not in text
    (checkout,) = (step for step in steps(GITHUB / "workflows" / "comment.yml") if "uses" in step)
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


def test_a_pull_request_runs_what_a_developer_runs() -> None:
    ran = "\n".join(step.get("run", "") for step in steps(GITHUB / "workflows" / "pull-request.yml"))
    assert "bash .ci/run" in ran
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for used in re.findall(r"\bmake .*?\b(exports|images|check|test)\b", ran):
        assert used in targets
    assert (ROOT / ".ci" / "run").exists()


def test_the_writer_of_comments_needs_nothing_installed() -> None:
    # -S: without the packages of the environment.
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import blueprint.changes.sticky"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the steps of the review by hand, on an environment that does not change."""
    folder = tmp_path_factory.mktemp("review")
    # The environment of these tests is there; make need not look.
    ran = told(
        "make", "--silent", "--assume-old=.venv/.ready", "exports", f"OUT={folder}", "ENVIRONMENTS=dev"
    )
    assert ran.returncode == 0, ran.stderr
    return folder


def test_the_steps_of_the_review_leave_a_comment_and_findings(reviewed: Path) -> None:
    assert sorted(path.name for path in reviewed.iterdir()) == ["dev.json", "dev.sarif"]
    assert '"version": "2.1.0"' in (reviewed / "dev.sarif").read_text()
    ran = subprocess.run(
        [str(BIN / "blueprint"), "diff", str(reviewed), str(reviewed), "--format", "markdown"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "| **dev** | 0 | 0 | 0 | 0 | passed" in ran.stdout


def test_every_service_with_an_image_is_built() -> None:
    ran = told("make", "--silent", "images")
    assert ran.stdout.split() == sorted(path.parent.name for path in ROOT.glob("services/*/Dockerfile"))


REGISTRIES = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|npmjs\.org|docker\.io|ghcr\.io|quay\.io|gcr\.io|public\.ecr\.aws|amazonaws\.com)\b"
)


def test_no_workflow_names_a_registry() -> None:
    for path in (*GITHUB.rglob("*.yml"), ROOT / "Makefile"):
        assert not REGISTRIES.search(path.read_text()), path
