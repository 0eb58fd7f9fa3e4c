"""A pack that crashes, hangs or answers garbage fails the preview; nothing is ever passed by accident."""

from __future__ import annotations

import os
import time
from pathlib import Path
from textwrap import dedent

import pulumi_aws as aws
import pytest

from blueprint.errors import PackFailure
from blueprint.graph import Graph
from blueprint.pack import RunningPack
from tests.policies.cases import recorded


@pytest.fixture
def graph() -> Graph:
    return recorded(lambda: aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16"))


def pack_of(folder: Path, program: str) -> Path:
    """Write a policy pack whose program is ``program``."""
    (folder / "PulumiPolicy.yaml").write_text("name: broken\nruntime: python\n")
    (folder / "__main__.py").write_text(dedent(program))
    return folder


POLICY = """
    from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy
    def validate(args, report):
        {body}
    PolicyPack("broken", enforcement_level=EnforcementLevel.MANDATORY, policies=[
        ResourceValidationPolicy("p", "d", validate, tags={tags}),
    ])
"""


def broken(folder: Path, body: str, tags: str = "['NET-01']") -> Path:
    return pack_of(folder, POLICY.format(body=body, tags=tags))


def test_a_pack_that_cannot_start_fails(tmp_path: Path) -> None:
    with pytest.raises(PackFailure, match=r"ended with status 1 before it answered.*nothing was passed"):
        RunningPack(pack_of(tmp_path, "raise RuntimeError('the import is broken')")).__enter__()


def test_a_pack_that_never_answers_fails(tmp_path: Path) -> None:
    with pytest.raises(PackFailure, match="did not start within 1 s"):
        RunningPack(pack_of(tmp_path, "import time; time.sleep(600)"), start_seconds=1).__enter__()


def test_a_pack_that_answers_with_something_else_than_a_port_fails(tmp_path: Path) -> None:
    with pytest.raises(PackFailure, match="not a port"):
        RunningPack(pack_of(tmp_path, "print('hello'); import time; time.sleep(600)")).__enter__()


def test_a_pack_on_a_port_where_nobody_listens_fails(tmp_path: Path) -> None:
    folder = pack_of(tmp_path, "print(1); import time; time.sleep(600)")
    with pytest.raises(PackFailure, match="failed in GetAnalyzerInfo"):
        RunningPack(folder, call_seconds=5).__enter__()


def test_a_pack_without_controls_fails(tmp_path: Path) -> None:
    with pytest.raises(PackFailure, match="names no mandatory policy"):
        RunningPack(broken(tmp_path, "pass", tags="[]")).__enter__()


def test_a_control_that_crashes_fails_the_preview(tmp_path: Path, graph: Graph) -> None:
    with (
        RunningPack(broken(tmp_path, "raise KeyError('surprise')")) as pack,
        pytest.raises(PackFailure, match=r"failed in Analyze .*nothing was passed"),
    ):
        pack.judge(graph)


def test_a_control_that_hangs_fails_the_preview(tmp_path: Path, graph: Graph) -> None:
    folder = broken(tmp_path, "import time; time.sleep(60)")
    with (
        RunningPack(folder, call_seconds=1) as pack,
        pytest.raises(PackFailure, match="did not answer Analyze within 1 s"),
    ):
        pack.judge(graph)


def test_a_pack_that_dies_in_the_middle_fails_the_preview(tmp_path: Path, graph: Graph) -> None:
    with (
        RunningPack(broken(tmp_path, "import os; os._exit(9)")) as pack,
        pytest.raises(PackFailure, match="failed in Analyze"),
    ):
        pack.judge(graph)


@pytest.mark.parametrize(
    "message",
    ["whatever", "NET-99 high: is unheard of\\n  Fix: Do what nobody knows.", "NET-01 high: no fix"],
)
def test_a_finding_that_no_control_says_fails_the_preview(message: str, tmp_path: Path, graph: Graph) -> None:
    with (
        RunningPack(broken(tmp_path, f'report("{message}")')) as pack,
        pytest.raises(PackFailure, match="reported something that none of its controls says"),
    ):
        pack.judge(graph)


def test_the_sdks_own_skip_of_an_unknown_is_not_a_pass(tmp_path: Path) -> None:
    # The SDK turns a mandatory rule that touches an unknown into an advisory note: our controls never do.
    graph = recorded(
        lambda: aws.ec2.Subnet("s", vpc_id=aws.ec2.Vpc("v").id, cidr_block="10.0.0.0/24"), unknowns=True
    )
    with RunningPack(broken(tmp_path, "args.props.get('vpcId')")) as pack, pytest.raises(PackFailure):
        pack.judge(graph)


def test_the_process_of_a_failed_pack_has_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"import os; open({str(pid)!r}, 'w').write(str(os.getpid())); print('x'); import time; time.sleep(600)"
    with pytest.raises(PackFailure):
        RunningPack(pack_of(tmp_path, program)).__enter__()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and Path(f"/proc/{pid.read_text()}").exists():
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
