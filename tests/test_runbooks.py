"""Runbooks: AWS knows each call, the persona may make it, the names are the program's, and what they prepare previews."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import botocore.session
import jmespath  # type: ignore[import-untyped]
import pytest
from botocore import xform_name
from rich.console import Console

from blueprint import program
from blueprint.bootstrap import target
from blueprint.cost.floor import floor_of
from blueprint.cost.prices import prices
from blueprint.environments import configuration, project_name
from blueprint.graph import Graph
from blueprint.report import component_tree
from components.personas import DUTIES, Surroundings
from tests.blueprint.commands import blueprint
from tests.pages import PAGES, ROOT, AwsCall, aws_calls, blocks, lines, name_of, text_of

RUNBOOKS = [page for page in PAGES if page.parent.name == "runbooks"]

each_runbook = pytest.mark.parametrize("page", RUNBOOKS, ids=name_of)

CALLS = [call for page in PAGES for call in aws_calls(page)]

AROUND = {"output", "profile", "query", "region"}
"""Options of the command line itself (AWS CLI, "aws help")."""

ITS_OWN: dict[tuple[str, str], tuple[set[str], set[str]]] = {
    ("cloudtrail", "validate-logs"): (
        {"trail-arn", "start-time", "end-time"},
        {
            "cloudtrail:DescribeTrails",
            "cloudtrail:ListPublicKeys",
            "kms:Decrypt",
            "s3:GetBucketLocation",
            "s3:GetObject",
            "s3:ListBucket",
        },
    ),
    ("configure", "set"): ({"profile"}, set()),
    ("ecr", "get-login-password"): (set(), {"ecr:GetAuthorizationToken"}),
    ("eks", "update-kubeconfig"): ({"name"}, {"eks:DescribeCluster"}),
    ("s3", "cp"): ({"recursive"}, {"kms:Decrypt", "s3:GetObject", "s3:ListBucket"}),
    ("s3", "sync"): (set(), {"kms:Decrypt", "s3:GetObject", "s3:ListBucket", "s3:PutObject"}),
}
"""Commands that the command line adds to AWS's operations: their options, and what they call."""

SERVICES = {"s3api": "s3"}

NAMED_OTHERWISE = {"s3:ListObjectVersions": "s3:ListBucketVersions", "sts:GetCallerIdentity": ""}
"""Operations that IAM calls otherwise (Service Authorization Reference); nothing is needed to ask who one is."""


@cache
def operations(service: str) -> dict[str, tuple[str, dict[str, bool]]]:
    """Return the operations of a service by the words of the command line: name, parameters, and which are needed."""
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    found = {}
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        needed = set(shape.required_members) if shape else set()
        members = {_dashed(each): each in needed for each in (shape.members if shape else ())}
        found[_dashed(name)] = (name, members)
    return found


def _dashed(name: str) -> str:
    return str(xform_name(name, "-"))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.service} {call.operation}")
def test_aws_knows_the_call(call: AwsCall) -> None:
    asked = set(call.options) - AROUND
    if own := ITS_OWN.get((call.service, call.operation)):
        assert asked <= own[0], call.line.typed
        return
    if call.operation == "wait":
        waiters = botocore.session.get_session().get_waiter_model(call.service).waiter_names
        assert call.words[0] in {_dashed(each) for each in waiters}
        return
    assert call.operation in operations(call.service), call.line.typed
    _, members = operations(call.service)[call.operation]
    positive = {each.removeprefix("no-") if each not in members else each for each in asked}
    assert positive <= set(members), call.line.typed
    assert {name for name, needed in members.items() if needed} <= positive, call.line.typed


@pytest.mark.parametrize("call", [c for c in CALLS if c.value("query")], ids=lambda call: call.operation)
def test_what_is_asked_of_an_answer_can_be_understood(call: AwsCall) -> None:
    jmespath.compile((call.value("query") or "").replace("$1", "name"))


def whom(heading: str) -> str:
    """Return as whom a block is typed."""
    found = re.search(r"\bas (?P<who>[a-z-]+)", heading)
    return found["who"] if found else ""


OUTSIDE = {"administrator", "deployer", "pipeline", "yourself"}
"""Who is no persona of the platform."""


@each_runbook
def test_every_block_that_needs_aws_says_as_whom(page: Path) -> None:
    for line in lines(page):
        if re.search(r"(^|[\s(])(aws|kubectl|pulumi|ssh) ", line.typed):
            assert whom(line.block.heading) in {*DUTIES, *OUTSIDE}, line.typed


def allowed(persona: str) -> list[str]:
    """Return the actions that a persona's role allows, as patterns."""
    at = Surroundings(
        account_id="777788889999", partition="aws", region="us-east-1", prefix="p", bucket_prefix="b"
    )
    (duty,) = [duty for name, duty in DUTIES.items() if name == persona]
    return [a for s in duty.statements(at) if s.effect == "Allow" for a in s.actions]


BY_PERSONAS = [c for c in CALLS if whom(c.line.block.heading) in DUTIES]


@pytest.mark.parametrize("call", BY_PERSONAS, ids=lambda call: f"{call.service} {call.operation}")
def test_the_persona_may_make_the_call(call: AwsCall) -> None:
    persona = whom(call.line.block.heading)
    if own := ITS_OWN.get((call.service, call.operation)):
        actions = own[1]
    else:
        name, _ = operations(call.service)[call.operation]
        action = f"{SERVICES.get(call.service, call.service)}:{name}"
        actions = {NAMED_OTHERWISE.get(action, action)} - {""}
    refused = {a for a in actions if not any(fnmatchcase(a, pattern) for pattern in allowed(persona))}
    assert refused == set(), f"{persona}: {call.line.typed}"


def test_a_call_that_a_persona_may_not_make_is_told() -> None:
    assert "rds:RebootDBInstance" in allowed("operator")
    assert "rds:RebootDBInstance" not in allowed("auditor")


@pytest.fixture(scope="module")
def prod() -> Graph:
    return program.run("prod")


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (str(key), *texts(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


NOT_THE_PROGRAMS = {
    # Made by hand while something is restored.
    "secure-ml-platform-prod-restored",
    "secure-ml-platform-recovery-restored",
    "secure-ml-platform-recovery-empty",
}


def test_every_name_is_one_that_the_program_or_the_bootstrap_gives(prod: Graph) -> None:
    given = {text for r in prod.resources for text in (r.name, *texts(r.inputs), *texts(r.outputs))}
    at = target.read(prod, configuration("prod", ROOT), "prod", project_name(ROOT))
    everything = "\n".join([*given, at.bucket, at.secrets_alias, at.deploy_role_arn])
    strange = set()
    for page in RUNBOOKS:
        text = text_of(page).replace("secure-ml-recovery", "secure-ml-platform").replace("smlr-", "smlp-")
        # The stack in the backup region has its buckets there.
        text = re.sub(r"(smlp-prod-(?:data|models)-\d{12}-)us-west-2", r"\1us-east-1", text)
        for name in re.findall(r"(?:secure[-_]ml[-_]platform[-_](?:prod|recovery)|smlp-prod)[\w/-]*\w", text):
            if name not in everything and name not in NOT_THE_PROGRAMS:
                strange.add(f"{name_of(page)}: {name}")
    assert strange == set()


def test_every_log_group_output_and_pod_is_there(prod: Graph) -> None:
    (stack,) = [r for r in prod.resources if r.type == "pulumi:pulumi:Stack"]
    groups = {r.inputs.get("name") for r in prod.of("aws:cloudwatch/logGroup:LogGroup")}
    deployed = [r.inputs["metadata"] for r in prod.resources if r.type.endswith((":Deployment", ":CronJob"))]
    apps = {(said["namespace"], said["name"]) for said in deployed}
    for page in RUNBOOKS:
        text = text_of(page)
        assert set(re.findall(r"pulumi stack output (\w+)", text)) <= set(stack.outputs)
        assert set(re.findall(r"--log-group-name (\S+)", text)) <= groups
        for line in lines(page):
            if found := re.search(
                r"kubectl -n (\S+) .*(?:deployment[ /]|-l app=|cronjob/)([\w-]+)", line.typed
            ):
                assert (found[1], found[2]) in apps, line.typed


def test_the_first_page_shows_what_a_preview_prints_today(prod: Graph) -> None:
    printing = io.StringIO()
    Console(width=120, file=printing, highlight=False).print(component_tree(prod))
    printed = {line.rstrip() for line in printing.getvalue().splitlines()}
    (shown,) = [b for b in blocks(ROOT / "README.md", "") if b.lines[0].startswith("prod: ")]
    tree = [line.rstrip() for line in shown.lines if re.match(r"prod: |(│   )*[├└]── ", line)]
    assert [line for line in tree if line not in printed and "…" not in line] == []
    told = set(re.findall(r"(?:passed|refused): (\d+) resources", text_of(ROOT / "README.md")))
    assert told == {str(len(prod.resources))}


def test_the_page_about_cost_is_computed_anew(prod: Graph) -> None:
    page = text_of(ROOT / "docs" / "cost.md")
    floor = floor_of(prod)
    told = {row[0]: row[1] for row in re.findall(r"^\| (.+?) \|.*\| ([\d,.]+) \|$", page, re.M)}
    assert told == {line.item: f"{line.usd_a_month:,.2f}" for line in floor.lines}
    assert f"| **{floor.usd_a_month:,.2f}** |\n" in page
    assert f"as of\n{prices().oldest}" in page


def hunks(diff: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield what each part of a diff adds, with the line that it stands behind."""
    context, added = "", list[str]()
    for line in (*diff, "@@"):
        if line == "@@":
            if added:
                yield context, added
            context, added = "", []
        elif line.startswith("+") and not line.startswith("+++"):
            added.append(line[1:])
        elif line.startswith(" "):
            context = line[1:]


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a copy of the repository with what two pages say: a stack in the backup region, and a new component."""
    there = tmp_path_factory.mktemp("second")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, there)
    for name in ("blueprint", "components", "policies", "services", "stacks"):
        shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    page = ROOT / "docs" / "runbooks" / "restore-in-the-backup-region.md"
    edits = [line.typed for line in lines(page) if re.match(r"(sed|echo) ", line.typed)]
    subprocess.run(["/bin/sh", "-e"], input="\n".join(edits), cwd=there, text=True, check=True, timeout=60)
    for block in blocks(ROOT / "docs" / "extending.md", "python", "diff"):
        if block.language == "diff":
            file = there / block.lines[1].removeprefix("+++ b/")
            text = file.read_text()
            for context, added in hunks(block.lines):
                assert text.count(f"{context}\n") == 1, context
                text = text.replace(f"{context}\n", "\n".join([context, *added, ""]))
        else:
            name, _, at_the_end = block.lines[0].removeprefix("# ").partition(", ")
            file = there / name
            assert file.exists() == bool(at_the_end), name
            before = file.read_text() + "\n\n" if at_the_end else ""
            text = before + "\n".join(block.lines[1:]) + "\n"
        file.write_text(text)
    return there


@pytest.fixture(scope="module")
def previewed(second: Path) -> Path:
    """Preview that copy's second stack, which passes, and return its export."""
    export = second / "graph.json"
    ran = blueprint("preview", "recovery", "--export", str(export), root=second)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return export


def test_a_second_stack_previews_in_the_backup_region(previewed: Path) -> None:
    text = previewed.read_text()
    # Nothing of it has the name of something in the first stack, whose account it shares.
    assert not re.findall(r'"(?:name|bucket)": "(?:secure-ml-platform|smlp)-', text)
    assert "us-west-2" in text


def test_what_the_page_adds_is_built_and_held_by_its_control(previewed: Path, second: Path) -> None:
    text = previewed.read_text()
    assert "secureml:work_queue:WorkQueue" in text
    careless = second / "careless.json"
    careless.write_text(text.replace('"messageRetentionSeconds": 345600', '"messageRetentionSeconds": 600'))
    ran = blueprint("check", str(careless), root=second)
    assert ran.returncode == 1
    assert "AUD-24" in ran.stdout


def test_what_the_page_adds_to_the_rehearsal_is_asked(second: Path) -> None:
    asks = "from blueprint.rehearsal.assertions.every import assertions; print(*(a.sentence for _, a in assertions()), sep='\\n')"
    ran = subprocess.run(
        [sys.executable, "-c", asks],
        cwd=second,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "A queue keeps for a day what nobody takes" in ran.stdout
