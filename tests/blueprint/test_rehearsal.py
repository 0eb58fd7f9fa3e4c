"""The real AWS provider plans every resource; what it would refuse in an account it refuses here."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from blueprint.rehearsal.schema import Block, camel, snake
from blueprint.rehearsal.terraform import Terraform, plugin_folder
from blueprint.rehearsal.translate import Untranslatable, _text
from tests.blueprint.commands import blueprint

HAS_PROVIDER = bool(shutil.which("terraform") or shutil.which("tofu")) and plugin_folder() is not None

needs_provider = pytest.mark.skipif(
    not HAS_PROVIDER, reason="needs terraform or tofu and a local hashicorp/aws provider"
)


@needs_provider
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_provider_plans_every_resource(environment: str) -> None:
    ran = blueprint("rehearse", environment, "--format", "json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert len(found["planned"]) > 150
    assert len(found["left_out"]) <= 4


FAULTS = [
    # file, what stands there, the fault, what is said
    (
        "alerts.py",
        'protocol="email"',
        'protocol="pigeon"',
        "alerts-email (aws:sns/topicSubscription:TopicSubscription)",
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
    ran = blueprint("rehearse", "dev", root=fork)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


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
    assert ran.stderr.strip() == "init: took longer than the time limit; give it more with --timeout"


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
    pid = int(child.read_text())
    ended = time.monotonic() + 5
    while time.monotonic() < ended and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


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
        ("${aws:username}", "$${aws:username}"),
        ("%{if}", "%%{if}"),
        ("QEBhd3NfdnBjLm1haW4uaWRAQA==", '${base64encode("${aws_vpc.main.id}")}'),
    ],
)
def test_only_our_tokens_become_references(text: str, written: str) -> None:
    assert _text(text) == written


def test_what_has_no_counterpart_is_an_error_of_the_rehearsal() -> None:
    assert Untranslatable.exit_code == 1
