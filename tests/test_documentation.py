"""The pages: every link leads somewhere, every name on them exists, every command is run by a test or says why not."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from blueprint.cli import _parser
from tests.pages import PAGES, ROOT, anchors, blocks, code, lines, links, name_of, prose, text_of

MAKE = shutil.which("make") or "make"

THREATS = ROOT / "docs" / "threat-model.md"

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        inside = there.exists() and ROOT in (there, *there.parents)
        if not inside or (anchor and (there.suffix != ".md" or anchor not in anchors(there))):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_first() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = ((page.parent / target.partition("#")[0]).resolve() for target in links(page))
        waiting += [each for each in targets if each.suffix == ".md" and each.is_file()]
    assert [name_of(page) for page in PAGES if page not in reached] == []


@cache
def control_ids() -> frozenset[str]:
    """Return the ids of all controls; a test of its own keeps that page what the running pack says of itself."""
    return frozenset(re.findall(r"^\| ([A-Z]{3}-\d\d) \|", text_of(ROOT / "docs/controls.md"), re.M))


ADDED_BY_AN_EXAMPLE = {"docs/extending.md": {"AUD-24"}}


@each_page
def test_every_control_that_is_named_exists(page: Path) -> None:
    families = "|".join(sorted({each[:3] for each in control_ids()}))
    named = set(re.findall(rf"\b(?:{families})-\d\d\b", text_of(page)))
    assert named - control_ids() - ADDED_BY_AN_EXAMPLE.get(name_of(page), set()) == set()


def test_what_an_example_adds_is_free() -> None:
    assert not control_ids() & {each for ids in ADDED_BY_AN_EXAMPLE.values() for each in ids}


def threats() -> Iterator[tuple[str, list[str]]]:
    """Yield each row of the tables of attacks: attack, component, control, test."""
    for row in re.findall(r"^\| (.+) \|$", text_of(THREATS), re.M):
        cells = re.split(r" \| ", row)
        if len(cells) == 4 and cells[0] != "Attack":
            yield cells[0], cells[1:]


@pytest.mark.parametrize(("attack", "cells"), list(threats()), ids=[attack for attack, _ in threats()])
def test_a_threat_has_a_control_and_a_test_that_exist(attack: str, cells: list[str]) -> None:
    _, controls, tests = cells
    assert set(re.split(r", ", controls)) <= control_ids(), attack
    named = re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", tests)
    assert named, attack
    for test, file in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.M), f"{file} has no {test}"


def test_every_family_of_controls_stands_against_some_threat() -> None:
    named = set(re.findall(r"\b[A-Z]{3}(?=-\d\d\b)", text_of(THREATS)))
    assert {each[:3] for each in control_ids()} == named


FOLDERS = ("blueprint", "components", "docs", "policies", "services", "stacks", "tests", ".github")
MADE_BY_THE_READER = {
    "stacks/Pulumi.recovery.yaml",
    "tests/components/test_work_queue.py",
}


@each_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    missing = []
    for text in code(page):
        path = text.strip().removesuffix("/")
        if not re.fullmatch(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]+", path):
            continue
        if "ENV" not in path and not (ROOT / path).exists() and path not in MADE_BY_THE_READER:
            missing.append(path)
    assert missing == []


@each_page
def test_no_page_tells_of_one_machine_or_of_a_registry(page: Path) -> None:
    told = re.findall(
        r"(?<![\w.~])/(?:work|root|home|Users)/\S*|\bpypi\.org|pythonhosted|npmjs|proxy\.golang|registry-1\.docker",
        text_of(page),
    )
    assert told == []


@cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile, as make itself understands it."""
    told = subprocess.run(
        [MAKE, "--question", "--print-data-base", "--no-builtin-rules", "clean"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return frozenset(re.findall(r"^([a-z][\w-]*):(?!=)", told.stdout, re.M))


def shown(page: Path) -> Iterator[str]:
    """Yield what a page shows as code: commands of its blocks, and what stands in backquotes."""
    yield from (line.typed for line in lines(page))
    yield from code(page)


@each_page
def test_every_make_target_exists(page: Path) -> None:
    asked = {found for text in shown(page) for found in re.findall(r"(?<![\w-])make ([a-z][\w-]*)", text)}
    assert asked - targets() == set()


def test_make_understands_every_line() -> None:
    asked = {text for page in PAGES for text in shown(page) if re.fullmatch(r"make( [\w=./-]+)*", text)}
    assert len(asked) > 10
    for line in sorted(asked):
        words = [MAKE, "--dry-run", "--no-print-directory", *shlex.split(line)[1:]]
        ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr


@cache
def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the commands of the workbench, each with the parser of its arguments."""
    (found,) = [each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


@each_page
def test_every_command_of_the_workbench_and_every_option_exists(page: Path) -> None:
    for text in shown(page):
        found = re.search(r"(?:^|/|\| )blueprint (?P<command>[a-z]+)(?P<rest>[^|>]*)", text)
        if not found:
            continue
        assert found["command"] in commands(), text
        known = commands()[found["command"]]._option_string_actions
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", found["rest"])) <= set(known), text


PLACEHOLDER = re.compile(r"<[^>]+>|\.\.\.|…|\b[A-Z]{3,}\b")


@each_page
def test_every_line_of_the_workbench_is_understood(page: Path) -> None:
    for line in lines(page):
        found = re.search(r"(?:^|/|\| )blueprint (?P<rest>[^|>;]+)", line.typed)
        if found and not PLACEHOLDER.search(found["rest"]):
            try:
                _parser().parse_args(shlex.split(found["rest"]))
            except SystemExit as end:
                assert end.code in (0, None), line.typed  # noqa: PT017 - argparse has no other way


WHY_NOT_HERE = re.compile(
    r"\bneeds (?:AWS|Docker|terraform|the services' environments|GitHub)\b|\btakes minutes\b|\bevery test\b"
)
"""What a block says of itself, or a line behind it, where no test of this repository runs it."""

RUN_BY: dict[str, str] = {
    r"make( preview.*)?": "tests/blueprint/test_cli.py::test_every_environment_keeps_every_promise",
    # Only what they would do is looked at.
    r"make (check|clean)": "tests/test_documentation.py::test_make_understands_every_line",
    r"make data-api": "tests/services/data_api/test_local.py::test_every_line_that_is_printed_works",
    r"make gateway": "tests/services/gateway/test_local.py::test_every_line_that_is_printed_works",
    r"make train": "tests/blueprint/test_training.py::test_a_model_goes_the_whole_way",
    r"make mutate": "tests/blueprint/test_mutation.py::test_the_command_says_what_it_found_and_refuses_what_it_cannot_do",
    r"curl \.\.\. https://localhost:8443/v1/datasets.*|\"column\": .*": "tests/services/data_api/test_local.py::test_every_line_that_is_printed_works",
    r"curl \.\.\. https://localhost:8443/v1/models.*": "tests/services/gateway/test_local.py::test_every_line_that_is_printed_works",
    r".*blueprint cost .*": "tests/blueprint/test_cost.py::",
    r".*blueprint diff .*": "tests/blueprint/test_changes.py::",
    r".*blueprint report .*": "tests/blueprint/test_audit_report.py::",
    r".*blueprint doctor.*": "tests/blueprint/test_doctor.py::",
    r".*blueprint bootstrap .*": "tests/blueprint/test_bootstrap.py::test_a_plan_only_looks",
    r".*blueprint inventory .*": "tests/blueprint/test_inventory.py::test_a_table_for_people_and_status_1",
    r"aws configure set .*|export AWS_PROFILE=.*|pulumi (login|stack init) .*": "tests/blueprint/test_bootstrap.py::test_the_lines_that_come_next_are_exact",
    r"pulumi stack export --file .*": "tests/blueprint/test_inventory.py::test_an_export_says_what_the_stack_owns",
    r".*blueprint init.*": "tests/blueprint/test_init.py::",
    r".*blueprint check .*": "tests/blueprint/test_cli.py::test_check_says_of_the_export_what_preview_said",
    r".*blueprint controls .*": "tests/blueprint/test_controls.py::test_the_command_prints_for_people_and_for_machines",
    r".*blueprint roles .*--against .*": "tests/blueprint/test_access.py::test_the_command_compares_with_an_earlier_list",
    r".*blueprint roles .*": "tests/blueprint/test_roles.py::test_the_command_says_who_may_do_what",
    r".*blueprint manifests .*": "tests/blueprint/test_manifests.py::test_the_command_writes_every_object_and_says_how_many",
    r".*blueprint mutate.*": "tests/blueprint/test_mutation.py::test_the_command_says_what_it_found_and_refuses_what_it_cannot_do",
    r".*blueprint rehearse .*": "tests/blueprint/test_rehearsal.py::test_an_environment_can_be_applied_and_taken_down_again",
    r".*python -m services\.data_api\.audit verify.*": "tests/services/data_api/test_audit.py::test_an_edit_by_the_master_user_is_found_by_verify",
    r".*python -m services\.gateway\.queries verify .*": "tests/services/gateway/test_queries.py::test_a_change_of_shipped_lines_is_named",
    r".*python -m services\.data_api\.migrate .*": "tests/services/data_api/test_migrate.py::test_migrations_run_again_and_lose_nothing",
    r".*python -m services\.redteam (run|promote) .*": "tests/services/redteam/test_gate.py::test_as_a_program_it_says_its_verdict_and_nothing_else",
    r".*python -m services\.trainer .*": "tests/services/trainer/test_killed.py::test_a_job_that_is_killed_at_any_point_gives_the_same_and_is_charged_once",
    r"make test-modelchain|alias modelchain=.*|modelchain .*": "tests/services/modelchain/test_command.py::",
    r"sed .*|echo .*": "tests/test_runbooks.py::test_a_second_stack_previews_in_the_backup_region",
}
"""Commands that a test runs, as patterns of the whole line; the test behind. A file alone: all of its tests do."""


@each_page
def test_every_command_is_run_by_a_test_or_says_why_not(page: Path) -> None:
    unexplained = [
        line.typed
        for line in lines(page)
        if not WHY_NOT_HERE.search(line.said) and not any(re.fullmatch(each, line.typed) for each in RUN_BY)
    ]
    assert unexplained == []


@pytest.mark.parametrize("where", sorted(set(RUN_BY.values())))
def test_a_test_that_runs_commands_exists(where: str) -> None:
    file, _, name = where.partition("::")
    text = (ROOT / file).read_text()
    assert not name or re.search(rf"^(async )?def {name}\(", text, re.M)


def test_no_pattern_of_commands_is_idle() -> None:
    typed = [line.typed for page in PAGES for line in lines(page)]
    assert [each for each in RUN_BY if not any(re.fullmatch(each, text) for text in typed)] == []


def test_shell_blocks_are_all_called_alike() -> None:
    for page in PAGES:
        assert not list(blocks(page, "bash", "shell", "console", "zsh")), name_of(page)


def test_the_first_page_tells_the_numbers_of_today() -> None:
    (controls,) = set(re.findall(r"against (\d+) controls", text_of(ROOT / "README.md")))
    (all_of_them,) = re.findall(r"^(\d+) controls:", prose(ROOT / "docs/controls.md"), re.M)
    assert controls == all_of_them == str(len(control_ids()))
