"""The real AWS provider plans, applies and destroys an environment; what AWS would refuse is refused here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blueprint.environments import ROOT
from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions import every
from blueprint.rehearsal.assertions.assertion import Assertion, ask
from blueprint.rehearsal.forgotten import differences
from blueprint.rehearsal.mended import OneAtATime
from blueprint.rehearsal.schema import Block, camel, snake
from blueprint.rehearsal.terraform import Terraform, plugin_folder
from blueprint.rehearsal.translate import Untranslatable, _text
from tests.blueprint.commands import blueprint

HAS_PROVIDER = bool(shutil.which("terraform") or shutil.which("tofu")) and plugin_folder() is not None

needs_provider = pytest.mark.skipif(
    not HAS_PROVIDER, reason="needs terraform or tofu and a local hashicorp/aws provider"
)


def rehearse(environment: str, *more: str, root: Path = ROOT) -> tuple[int, dict[str, Any], str]:
    ran = blueprint("rehearse", environment, "--format", "json", *more, root=root)
    assert "Traceback" not in ran.stderr
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else {}, ran.stderr


@needs_provider
def test_an_environment_can_be_applied_and_taken_down_again() -> None:
    # prod has every kind that the others have; they are planned below.
    code, found, errors = rehearse("prod")
    assert (code, found["problems"]) == (0, []), errors
    assert len(found["applied"]) >= 0.85 * len(found["planned"])
    assert set(found["applied"]) | found["planned_only"].keys() == set(found["planned"])
    assert len(found["assertions"]) >= 30
    assert all(each["holds"] and each["looked_at"] for each in found["assertions"])
    assert found["second_plan"] == []
    assert found["left_behind"] == []
    assert found["protected"]
    # What is let go by hand is not terraform's to destroy.
    assert found["destroyed"] >= len(found["applied"]) - len(found["protected"])


@needs_provider
@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_the_provider_plans_every_resource_of(environment: str) -> None:
    code, found, errors = rehearse(environment, "--plan")
    assert code == 0, errors
    assert len(found["planned"]) > 150
    assert len(found["not_planned"]) <= 4
    assert found["applied"] == []


def test_every_topic_is_asked_in_one_place() -> None:
    modules = {path.stem for path in (ROOT / "blueprint/rehearsal/assertions").glob("*.py")}
    assert {topic.topic for topic in every.TOPICS} == modules - {"__init__", "assertion", "every"}
    assert len({assertion.sentence for _, assertion in every.assertions()}) >= 30


def account() -> Account:
    return Account(
        endpoint="http://127.0.0.1:9", home_region="us-east-1", backup_region="us-west-2", applied=()
    )


@pytest.mark.parametrize(
    ("seen", "holds"),
    [([("a", True)], True), ([("a", True), ("b", False)], False), ([], False)],
)
def test_an_assertion_that_sees_nothing_does_not_hold(seen: list[tuple[str, bool]], holds: bool) -> None:
    outcome = ask("topic", Assertion("It is so", lambda _: iter(seen), "aws:ec2/vpc:Vpc"), account())
    assert outcome.holds is holds


def test_an_assertion_that_cannot_look_does_not_hold() -> None:
    def look(_: Account) -> Iterator[tuple[str, bool]]:
        raise KeyError("PubliclyAccessible")
        yield ("", True)

    assert not ask("topic", Assertion("It is so", look, "aws:ec2/vpc:Vpc"), account()).holds


@needs_provider
def test_a_kind_that_nobody_counts_fails_the_rehearsal(fork: Path) -> None:
    (fork / "__main__.py").write_text(SMALL + "aws.ecs.Cluster('cluster', opts=at)\n")
    _, found, _ = rehearse("dev", root=fork)
    assert found["failed"]["assert"] == [
        "aws:ecs/cluster:Cluster: the inventory does not count it; give it a row in inventory.py"
    ]


@needs_provider
def test_a_program_without_a_region_is_refused(fork: Path) -> None:
    (fork / "__main__.py").write_text("import pulumi\n")
    ran = blueprint("rehearse", "dev", root=fork)
    assert ran.returncode == 2
    assert "declares no aws.Provider with a region" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_request_that_is_made_again_is_answered_as_at_first() -> None:
    deleted: list[str] = []

    def delete(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        name = environ["PATH_INFO"]
        start_response("404 Not Found" if name in deleted else "200 OK", [])
        deleted.append(name)
        return [name.encode()]

    told: list[str] = []
    app = OneAtATime(delete)

    def ask(request: str) -> None:
        app(
            {"PATH_INFO": "/it", "HTTP_AMZ_SDK_INVOCATION_ID": request}, lambda status, _: told.append(status)
        )

    for request in ("first", "first", "second", ""):
        ask(request)
    assert told == ["200 OK", "200 OK", "404 Not Found", "404 Not Found"]
    assert len(deleted) == 3


def test_a_failure_of_the_server_is_tried_again() -> None:
    answers = iter(["500 Internal Server Error", "200 OK"])
    told: list[str] = []

    def flaky(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(next(answers), [])
        return [b""]

    app = OneAtATime(flaky)
    for _ in range(3):
        app({"HTTP_AMZ_SDK_INVOCATION_ID": "one"}, lambda status, _: told.append(status))
    assert told == ["500 Internal Server Error", "200 OK", "200 OK"]


def change(type_: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    actions = ["update"] if before and after else ["create"] if after else ["delete"]
    body = {
        "actions": actions,
        "before": before,
        "after": after,
        "after_unknown": {"later": True, "known": [{}]},
    }
    return {"resource_changes": [{"address": f"{type_}.it", "type": type_, "change": body}]}


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (change("aws_vpc", {"a": 1}, {"a": 2}), [("aws_vpc.it", "a")]),
        # Known blocks leave empty ones among what is unknown: they are compared all the same.
        (change("aws_vpc", {"known": [{"b": 1}]}, {"known": [{"b": 2}]}), [("aws_vpc.it", "known")]),
        (change("aws_vpc", {"a": ""}, {"a": None}), []),
        (change("aws_vpc", {"later": 1}, {"later": None}), []),
        (change("aws_vpc", {"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 2}, {"b": 1}]}), []),
        (change("aws_vpc", None, {"a": 1}), [("aws_vpc.it", "create")]),
        (change("aws_vpc", {"a": 1}, None), [("aws_vpc.it", "delete")]),
        (change("aws_kms_key", {"rotation_period_in_days": 0}, {"rotation_period_in_days": 365}), []),
        (change("aws_vpc", {"rotation_period_in_days": 0}, {"rotation_period_in_days": 365}),
         [("aws_vpc.it", "rotation_period_in_days")]),
        (change("aws_network_acl", {"ingress": [{"rule_no": 1, "protocol": "6"}]},
                {"ingress": [{"rule_no": 1, "protocol": "tcp"}]}), []),
        (change("aws_network_acl", {"ingress": [{"rule_no": 1, "to_port": 22}]},
                {"ingress": [{"rule_no": 1, "to_port": 23}]}), [("aws_network_acl.it", "ingress")]),
    ],
)  # fmt: skip
def test_the_second_plan_tells_what_the_emulator_did_not_forget(
    plan: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    assert list(differences(plan)) == told


FAULTS = [
    # file, what stands there, the fault, what is said
    (
        "alerts.py",
        'protocol="email"',
        'protocol="pigeon"',
        "alerts-ml-platform-alerts@example.org (aws:sns/topicSubscription:TopicSubscription)",
    ),
    ("database.py", "monitoring_interval=60", "monitoring_interval=7", "expected monitoring_interval"),
    (
        "guardrails.py",
        'type="ACCOUNT"',
        'type="ACOUNT"',
        "guardrails-analyzer (aws:accessanalyzer/analyzer:Analyzer)",
    ),
    (
        "network_logs.py",
        "retention_in_days=self._retention_days",
        "retention_in_days=42",
        "expected retention_in_days",
    ),
]


@needs_provider
@pytest.mark.parametrize(("file", "good", "bad", "says"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_refused_by_name(file: str, good: str, bad: str, says: str, fork: Path) -> None:
    path = fork / "components" / file
    text = path.read_text()
    assert good in text
    path.write_text(text.replace(good, bad))
    code, found, errors = rehearse("dev", root=fork)
    assert code == 1
    assert says in errors
    assert {problem.partition(":")[0] for problem in found["problems"]} == {"validate"}


# One network and what stands in it, so that an apply takes seconds.
SMALL = """
import pulumi, pulumi_aws as aws
home = aws.Provider('home', region='us-east-1', allowed_account_ids=['111122223333'])
at = pulumi.ResourceOptions(provider=home)
vpc = aws.ec2.Vpc('vpc', cidr_block='10.20.0.0/16', opts=at)
def subnet(name, cidr, zone):
    return aws.ec2.Subnet(name, vpc_id=vpc.id, cidr_block=cidr, availability_zone=zone, opts=at)
a, b = subnet('a', '10.20.0.0/24', 'us-east-1a'), subnet('b', '10.20.1.0/24', 'us-east-1b')
aws.rds.SubnetGroup('group', subnet_ids=[a.id, b.id], opts=at)
"""


@needs_provider
@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ("10.20.1.0/24", "10.99.1.0/24", "b (aws:ec2/subnet:Subnet): creating EC2 Subnet"),
        (
            "subnet_ids=[a.id, b.id]",
            "subnet_ids=[a.id]",
            "group (aws:rds/subnetGroup:SubnetGroup): creating RDS DB",
        ),
    ],
    ids=["a CIDR outside the VPC", "a subnet group with one zone"],
)
def test_what_only_aws_can_refuse_is_refused_in_the_apply(good: str, bad: str, says: str, fork: Path) -> None:
    (fork / "__main__.py").write_text(SMALL.replace(good, bad))
    code, found, errors = rehearse("dev", root=fork)
    assert code == 1
    assert list(found["failed"]) == ["apply"]
    assert says in errors


@needs_provider
def test_a_value_that_is_never_settled_shows_in_the_second_plan(fork: Path) -> None:
    flapping = "aws.ec2.Tag('flap', resource_id=vpc.id, key='x', value='1', opts=at)\n"
    (fork / "__main__.py").write_text(SMALL + flapping)
    code, found, _ = rehearse("dev", root=fork)
    assert code == 1
    assert found["second_plan"] == ["vpc (aws:ec2/vpc:Vpc): tags", "vpc (aws:ec2/vpc:Vpc): tags_all"]


@needs_provider
def test_an_account_that_is_not_the_pinned_one_is_refused(fork: Path) -> None:
    (fork / "__main__.py").write_text(SMALL.replace("111122223333", "999999999999"))
    code, found, errors = rehearse("dev", root=fork)
    assert code == 1
    assert list(found["failed"]) == ["plan"]
    assert "111122223333" in errors


@needs_provider
def test_what_is_kept_can_be_looked_at_until_it_is_ended(fork: Path) -> None:
    (fork / "__main__.py").write_text(SMALL)
    _, _, errors = rehearse("dev", "--keep", root=fork)
    pid = int(errors.rpartition("kill ")[2].split()[0])
    try:
        endpoint = errors.partition("AWS_ENDPOINT_URL=")[2].split()[0]
        kept = Account(endpoint=endpoint, home_region="us-east-1", backup_region="us-west-2", applied=())
        assert {"10.20.0.0/16"} < {vpc["CidrBlock"] for vpc in kept.every("ec2", "describe_vpcs", "Vpcs")}
    finally:
        os.kill(pid, signal.SIGTERM)
    assert _ends(pid)


@contextlib.contextmanager
def rehearsing(root: Path, until: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start a rehearsal; yield it and all that it started once it says that it has come so far."""
    running = subprocess.Popen(
        [sys.executable, "-m", "blueprint.cli", "rehearse", "dev"],
        cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    children: list[int] = []
    try:
        assert running.stderr
        for line in running.stderr:
            if line.startswith(until):
                break
        children = _descendants(running.pid)
        yield running, children
    finally:
        for pid in (running.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.communicate()


def _emulator(children: list[int]) -> int:
    (found,) = (pid for pid in children if "blueprint.rehearsal.mended" in _command(pid))
    return found


def _said(running: subprocess.Popen[str]) -> list[str]:
    assert running.stderr
    return running.stderr.read().strip().splitlines()


@needs_provider
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_leaves_nothing_running(sent: int) -> None:
    with rehearsing(ROOT, "Applying") as (running, children):
        assert _runs(_emulator(children))
        running.send_signal(sent)
        assert running.wait(timeout=30) == 130
        assert _said(running)[-1:] == ["stopped"]
        assert all(_ends(pid) for pid in children)


@needs_provider
def test_an_emulator_that_dies_in_the_apply_ends_the_rehearsal() -> None:
    with rehearsing(ROOT, "Applying") as (running, children):
        os.kill(_emulator(children), signal.SIGKILL)
        assert running.wait(timeout=60) == 1
        assert _said(running) == ["apply: the emulator died: it said nothing"]
        assert all(_ends(pid) for pid in children)


@needs_provider
def test_an_emulator_that_dies_while_it_is_looked_at_ends_the_rehearsal(fork: Path) -> None:
    (fork / "__main__.py").write_text(SMALL)
    with rehearsing(fork, "Looking") as (running, children):
        os.kill(_emulator(children), signal.SIGKILL)
        assert running.wait(timeout=60) == 1
        last = _said(running)[-1]
        assert last.startswith(("assert: ", "second plan: the emulator died"))
        assert "Traceback" not in last
        assert all(_ends(pid) for pid in children)


@needs_provider
def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = blueprint("rehearse", "dev", "--plan", "--port", str(port))
    assert ran.returncode == 1
    assert (
        ran.stderr.strip()
        == f"emulator: port {port} is taken; name another with --port, or none for a free one"
    )


@pytest.mark.parametrize("port", ["0", "80", "65536", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    ran = blueprint("rehearse", "dev", "--port", port)
    assert ran.returncode == 2
    assert "--port: write a port from 1024 to 65535" in ran.stderr


def _descendants(pid: int) -> list[int]:
    """Return every process that a process started, and those that they started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found: list[int] = []
    wave = [pid]
    while wave:
        wave = [child for child, parent in parents.items() if parent in wave]
        found += wave
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _ends(pid: int) -> bool:
    ended = time.monotonic() + 10
    while time.monotonic() < ended and _runs(pid):
        time.sleep(0.05)
    return not _runs(pid)


@needs_provider
def test_a_misspelt_argument_is_refused_before_the_plan(fork: Path) -> None:
    program = fork / "__main__.py"
    program.write_text(
        "import pulumi, pulumi_aws as aws\n"
        "home = aws.Provider('home', region='us-east-1')\n"
        "pulumi.CustomResource('aws:ec2/vpc:Vpc', 'v', {'cidrBlok': '10.0.0.0/16'}, pulumi.ResourceOptions(provider=home))\n"
        "pulumi.CustomResource('aws:ec2/vpcc:Vpcc', 'w', {}, pulumi.ResourceOptions(provider=home))\n"
    )
    ran = blueprint("rehearse", "dev", root=fork)
    assert ran.returncode == 1
    assert "w (aws:ec2/vpcc:Vpcc)" in ran.stderr
    program.write_text(program.read_text().rpartition("pulumi.CustomResource('aws:ec2/vpcc")[0])
    ran = blueprint("rehearse", "dev", root=fork)
    assert "v (aws:ec2/vpc:Vpc): argument cidrBlok is unknown to the provider" in ran.stderr


@needs_provider
def test_the_time_limit_names_the_phase() -> None:
    ran = blueprint("rehearse", "dev", "--timeout", "0.1")
    assert ran.returncode == 1
    assert (
        ran.stderr.strip().splitlines()[-1]
        == "init: took longer than the time limit; give it more with --timeout"
    )


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan"])
def test_a_time_limit_that_is_none_is_refused(seconds: str) -> None:
    ran = blueprint("rehearse", "dev", "--timeout", seconds)
    assert ran.returncode == 2
    assert "--timeout: write seconds, more than 0" in ran.stderr


def test_what_terraform_started_ends_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake, child = tmp_path / "terraform", tmp_path / "child"
    fake.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {child}\nwait\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    started = time.monotonic()
    terraform = Terraform(tmp_path, endpoint="", deadline=lambda: started + 2 - time.monotonic())
    assert list(terraform.events("plan"))[-1]["timed_out"]
    assert _ends(int(child.read_text()))


def _runs(pid: int) -> bool:
    """Say whether a process is there and has not ended (one that nobody reaped yet has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_terraform_one_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = blueprint("rehearse", "dev")
    assert ran.returncode == 2
    assert "needs terraform or tofu on the PATH" in ran.stderr


@pytest.mark.parametrize(
    ("one", "other"), [("mapPublicIpOnLaunch", "map_public_ip_on_launch"), ("kmsKeyId", "kms_key_id")]
)
def test_names_go_both_ways(one: str, other: str) -> None:
    assert snake(one) == other
    assert camel(other) == one


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("rules", "rule"),
        ("policies", "policy"),
        ("addresses", "address"),
        ("tags", "tags"),
        ("nothing", None),
    ],
)
def test_plurals_find_their_block(key: str, name: str | None) -> None:
    block = Block({"attributes": {"tags": {}, "policy": {}, "address": {}}, "block_types": {"rule": {}}})
    assert block.names(key) == name


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("@@aws_vpc.main.id@@", "${aws_vpc.main.id}"),
        ("arn:@@aws_vpc.main.arn@@/*", "arn:${aws_vpc.main.arn}/*"),
        ("@@aws_acm_certificate.c.options.*.name[0]@@", "${aws_acm_certificate.c.options.*.name[0]}"),
        ("${aws:username}", "$${aws:username}"),
        ("%{if}", "%%{if}"),
        ("QEBhd3NfdnBjLm1haW4uaWRAQA==", '${base64encode("${aws_vpc.main.id}")}'),
    ],
)
def test_only_our_tokens_become_references(text: str, written: str) -> None:
    assert _text(text) == written


def test_what_has_no_counterpart_is_an_error_of_the_rehearsal() -> None:
    assert Untranslatable.exit_code == 1
