"""A waiver is exact: it is shown, and a wrong one is a violation and waives nothing in silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from blueprint import deployment
from blueprint.environments import ROOT
from blueprint.graph import Graph
from blueprint.pack import RunningPack
from blueprint.recorder import record
from blueprint.verdict import Verdict
from controls import CATALOGUE
from machinery.waiver_file import read
from tests.blueprint.commands import blueprint
from tests.blueprint.waived import TODAY, pack_of
from tests.policies.cases import ACCOUNT, REGION, TAGS

STACKS = (
    "held",
    "expired",
    "last",
    "idle",
    "broad",
    "names",
    "short",
    "long",
    "whole",
    "twin",
    "dots",
    "other",
)

SUBNET = "aws:ec2/subnet:Subnet"


def entry(stack: str, control: str, resource: str, expiry: date, **more: object) -> str:
    lines = {
        "control": control,
        "stacks": f"[{stack}]",
        "resource": f'"{resource}"',
        "reason": "A trial of two weeks without any data in it",
        "owner": "platform@example.org",
        "expiry": expiry.isoformat(),
        **more,
    }
    return "  - " + "\n    ".join(f"{key}: {value}" for key, value in lines.items())


IN_A_YEAR = TODAY + timedelta(days=365)

WAIVERS = "waivers:\n" + "\n".join(
    [
        entry("held", "NET-05", f"{SUBNET}::open", IN_A_YEAR),
        entry("held", "NET-03", "aws:ec2/vpc:Vpc::vpc", IN_A_YEAR),
        entry("expired", "NET-05", f"{SUBNET}::open", TODAY - timedelta(days=1)),
        entry("last", "NET-05", f"{SUBNET}::open", TODAY),
        entry("idle", "NET-05", f"{SUBNET}::closed", IN_A_YEAR),
        entry("broad", "NET-05", f"{SUBNET}::o*", IN_A_YEAR),
        entry("names", "NET-05", f"{SUBNET}::o*", IN_A_YEAR, count=2),
        entry("short", "NET-02", "aws:vpc/securityGroupIngressRule:*", TODAY, count=1).replace(
            "Rule:*", "Rule:SecurityGroupIngressRule::ssh"
        ),
        entry(
            "long",
            "NET-02",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::ssh",
            TODAY + timedelta(days=31),
        ),
        entry("whole", "STO-11", "pulumi:pulumi:Stack::secure-ml-platform-whole", IN_A_YEAR),
        entry("twin", "NET-05", f"{SUBNET}::open", IN_A_YEAR),
        entry("dots", "NET-05", f"{SUBNET}::o.en", IN_A_YEAR),
    ]
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPack]:
    folder = tmp_path_factory.mktemp("waived")
    with RunningPack(pack_of(folder, WAIVERS, stacks=STACKS)) as running:
        yield running


def graph_of(stack: str, *, opened: tuple[str, ...] = ("open",), unknowns: bool = False) -> Graph:
    """Return a VPC with its default group left alone, subnets, an open SSH port and a bucket."""

    def program() -> None:
        provider = aws.Provider(
            "home", region=REGION, allowed_account_ids=[ACCOUNT], default_tags={"tags": dict(TAGS)}
        )
        opts = pulumi.ResourceOptions(provider=provider)
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        for index, name in enumerate((*opened, "closed")):
            aws.ec2.Subnet(
                name,
                vpc_id=vpc.id,
                cidr_block=f"10.0.{index}.0/24",
                map_public_ip_on_launch=name != "closed",
                opts=opts,
            )
        group = aws.ec2.SecurityGroup("group", description="group", vpc_id=vpc.id, opts=opts)
        aws.vpc.SecurityGroupIngressRule(
            "ssh",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=22,
            to_port=22,
            cidr_ipv4="0.0.0.0/0",
            description="everybody",
            opts=opts,
        )
        aws.s3.Bucket("bucket", opts=opts)

    return record(program, stack=stack, unknowns=unknowns)


def found(verdict: Verdict, control: str) -> list[str]:
    return [violation.problem for violation in verdict.violations if violation.control == control]


def waived(verdict: Verdict) -> set[tuple[str, str]]:
    return {(each.control, each.urn.rpartition("::")[2]) for each in verdict.waived}


def wrong_waivers(verdict: Verdict) -> dict[str, str]:
    return {v.control: v.problem for v in verdict.violations if v.control.startswith("WAV-")}


def test_what_is_waived_is_shown_with_its_reason_and_stops_nothing(pack: RunningPack) -> None:
    without, with_ = pack.judge(graph_of("other")), pack.judge(graph_of("held"))
    assert found(without, "NET-05")
    assert found(without, "NET-03")
    assert without.waived == ()
    assert found(with_, "NET-05") == found(with_, "NET-03") == []
    assert waived(with_) == {("NET-05", "open"), ("NET-03", "vpc")}
    first = with_.waived[0]
    assert (first.severity, first.owner, first.expiry) == ("high", "platform@example.org", "2032-04-30")
    assert first.why == "A trial of two weeks without any data in it"
    assert first.fix.startswith("Add an aws.ec2.DefaultSecurityGroup")
    assert wrong_waivers(with_) == {}


def test_a_waiver_covers_no_other_control_and_no_other_resource(pack: RunningPack) -> None:
    verdict = pack.judge(graph_of("held", opened=("open", "open-too")))
    assert {v.urn.rpartition("::")[2] for v in verdict.violations if v.control == "NET-05"} == {"open-too"}
    assert found(verdict, "NET-02")


def test_an_expired_waiver_is_a_violation_and_waives_nothing(pack: RunningPack) -> None:
    verdict = pack.judge(graph_of("expired"))
    assert found(verdict, "NET-05")
    assert wrong_waivers(verdict) == {"WAV-02": "stacks/waivers.yaml: waivers[2]: expired on 2031-04-30"}


def test_a_waiver_holds_through_its_last_day(pack: RunningPack) -> None:
    verdict = pack.judge(graph_of("last"))
    assert waived(verdict) == {("NET-05", "open")}
    assert wrong_waivers(verdict) == {}


def test_a_waiver_that_waives_nothing_is_a_violation(pack: RunningPack) -> None:
    verdict = pack.judge(graph_of("idle"))
    assert wrong_waivers(verdict) == {
        "WAV-03": "stacks/waivers.yaml: waivers[4]: waives nothing: NET-05 finds nothing there"
    }
    assert not verdict.passed


def test_only_a_star_stands_for_anything(pack: RunningPack) -> None:
    verdict = pack.judge(graph_of("dots"))
    assert found(verdict, "NET-05")
    assert set(wrong_waivers(verdict)) == {"WAV-03"}


def test_a_waiver_that_matches_more_than_it_names_is_a_violation(pack: RunningPack) -> None:
    assert wrong_waivers(pack.judge(graph_of("broad"))) == {}
    wider = pack.judge(graph_of("broad", opened=("open", "other-one")))
    assert wrong_waivers(wider) == {
        "WAV-04": "stacks/waivers.yaml: waivers[5]: matches 2 resources, but its count names 1"
    }
    assert wrong_waivers(pack.judge(graph_of("names", opened=("open", "other-one")))) == {}
    assert set(wrong_waivers(pack.judge(graph_of("names")))) == {"WAV-04"}


def test_a_critical_finding_is_waived_for_thirty_days_at_most(pack: RunningPack) -> None:
    assert waived(pack.judge(graph_of("short"))) == {("NET-02", "ssh")}
    verdict = pack.judge(graph_of("long"))
    assert found(verdict, "NET-02")
    assert verdict.waived == ()
    assert wrong_waivers(verdict) == {
        "WAV-05": "stacks/waivers.yaml: waivers[8].expiry: lets a critical finding stand for more than 30 days"
    }


def test_what_the_stack_as_a_whole_lacks_is_waived_by_the_stacks_own_name(pack: RunningPack) -> None:
    verdict = pack.judge(graph_of("whole"))
    assert found(verdict, "STO-11") == []
    assert waived(verdict) == {("STO-11", "secure-ml-platform-whole")}
    assert wrong_waivers(verdict) == {}


def test_a_finding_that_waits_for_a_value_is_not_waived_and_its_waiver_not_idle(pack: RunningPack) -> None:
    assert wrong_waivers(pack.judge(graph_of("held", unknowns=True))) == {}


def test_every_verdict_is_the_same_whoever_asks_twice(pack: RunningPack) -> None:
    assert pack.judge(graph_of("twin")) == pack.judge(graph_of("twin"))


GOOD = entry("test", "NET-05", f"{SUBNET}::open", IN_A_YEAR)


def told(tmp_path: Path, text: str | bytes) -> list[str]:
    pack_of(tmp_path, "")
    file = tmp_path / "stacks" / "waivers.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    waivers = read(tmp_path / "stacks", CATALOGUE)
    assert not (waivers.entries and waivers.problems), "what is wrong is not applied"
    return [f"{problem.path}: {problem.problem}" for problem in waivers.problems]


def changed(key: str, value: str | None) -> str:
    lines = GOOD.removeprefix("  - ").split("\n    ")
    kept = [line for line in lines if not line.startswith(f"{key}:")] + ([f"{key}: {value}"] if value else [])
    return "waivers:\n  - " + "\n    ".join(kept)


def test_a_good_file_has_no_problem(tmp_path: Path) -> None:
    assert told(tmp_path, f"waivers:\n{GOOD}") == []
    assert told(tmp_path, "") == []
    assert told(tmp_path, "waivers: []") == []
    (tmp_path / "stacks" / "waivers.yaml").unlink()
    assert read(tmp_path / "stacks", CATALOGUE).problems == ()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("reason", None, "waivers[0].reason: is missing; write on one line"),
        ("reason", '""', "waivers[0].reason: cannot be used; write on one line, in 20 to 500"),
        ("reason", "because", "waivers[0].reason: cannot be used"),
        ("reason", '"                              "', "waivers[0].reason: cannot be used"),
        ("reason", r'"first a line of text\nand another"', "waivers[0].reason: cannot be used"),
        ("owner", "somebody", "waivers[0].owner: cannot be used; write the mail address"),
        ("owner", None, "waivers[0].owner: is missing"),
        ("expiry", None, "waivers[0].expiry: is missing; write its last day"),
        ("expiry", "never", "waivers[0].expiry: cannot be used; write its last day without quotes"),
        ("expiry", "2031-02-30", "waivers.yaml: cannot be read as YAML"),
        ("expiry", "2031-05-01T10:00:00Z", "waivers[0].expiry: cannot be used"),
        ("expiry", "20310501", "waivers[0].expiry: cannot be used"),
        ("control", "NET-99", "waivers[0].control: is no control of this pack"),
        ("control", "WAV-03", "waivers[0].control: is no control of this pack"),
        ("control", '"*"', "waivers[0].control: cannot be used; write the id of a control"),
        ("stacks", "[tset]", "waivers[0].stacks[0]: has no stack file beside it; there are test"),
        ("stacks", "[]", "waivers[0].stacks: cannot be used; write a list"),
        ("stacks", "test", "waivers[0].stacks: cannot be used; write a list"),
        ("resource", '"*"', "waivers[0].resource: cannot be used; write type::name"),
        ("resource", '"aws:*::open"', "waivers[0].resource: cannot be used; write type::name"),
        ("resource", "open", "waivers[0].resource: cannot be used; write type::name"),
        ("count", "0", "waivers[0].count: cannot be used; write how many"),
        ("count", '"2"', "waivers[0].count: cannot be used; write how many"),
        ("count", "true", "waivers[0].count: cannot be used; write how many"),
        ("expires", "2031-05-01", "waivers[0].expires: unknown key; did you mean expiry?"),
        ("severity", "low", "waivers[0].severity: unknown key; the keys here are control, stacks"),
    ],
)
def test_a_wrong_key_is_located_in_one_line(key: str, value: str | None, says: str, tmp_path: Path) -> None:
    problems = told(tmp_path, changed(key, value))
    assert len(problems) == 1
    assert problems[0].startswith("stacks/waivers.yaml: ")
    assert says in problems[0]
    assert "\n" not in problems[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("waivers: [", "line 1, column"),
        ("waivers: []\nwaivers: []", "a key that stands here a second time"),
        ("a: &x [1]\nwaivers: *x", "an alias; write it out"),
        ("- NET-05", "is not a mapping; its first line is waivers:"),
        ("waivers: [1]", "waivers[0]: is no waiver; write its keys below it"),
        ("waivers: {}", "waivers: cannot be used; write a list of waivers below it"),
        ("waiver: []", "waiver: unknown key; did you mean waivers?"),
        ("waivers: []\n" + "#" * 300_000, "is larger than 256 KiB"),
        (f"waivers:\n{GOOD}\n{GOOD}", "waivers[1]: says what waivers[0] says; take one out"),
        (b"waivers: [\xff]", "is not UTF-8 text"),
        ("waivers: !!python/object/apply:os.system ['true']", "mend the YAML there"),
        ("waivers: " + "[" * 5000, "cannot be read as YAML"),
        (
            "waivers: [" + ",".join("{}" for _ in range(201)) + "]",
            "write a list of waivers below it, 200 at most",
        ),
    ],
)
def test_a_file_that_is_none_is_located_in_one_line(text: str | bytes, says: str, tmp_path: Path) -> None:
    problems = told(tmp_path, text)
    assert problems
    assert any(says in problem for problem in problems), problems
    assert all(problem.startswith("stacks/waivers.yaml") and "\n" not in problem for problem in problems)


def test_a_problem_tells_no_value(tmp_path: Path) -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"
    for key in ("reason", "owner", "expiry", "control", "resource", "count", "stacks"):
        assert secret not in " ".join(told(tmp_path, changed(key, f"[{secret}]")))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "graph.json"
    path.write_text(deployment.write(graph_of("dev")))
    return path


@pytest.mark.parametrize(
    ("days", "status"), [(-1, "expired"), (0, "waived")], ids=["until yesterday", "until today"]
)
def test_the_command_judges_by_todays_date(days: int, status: str, fork: Path, export: Path) -> None:
    expiry = datetime.now(UTC).date() + timedelta(days=days)
    file = fork / "stacks" / "waivers.yaml"
    file.write_text("waivers:\n" + entry("dev", "NET-05", f"{SUBNET}::open", expiry))
    ran = blueprint("check", str(export), "--format", "markdown", root=fork)
    assert ran.returncode == 1
    assert ("<summary>1 waived</summary>" in ran.stdout) == (status == "waived")
    assert ("WAV-02" in ran.stdout) == (status == "expired")


def test_a_file_that_cannot_be_used_is_a_violation_and_waives_nothing(fork: Path, export: Path) -> None:
    (fork / "stacks" / "waivers.yaml").write_text("waivers:\n  - control: NET-05\n")
    ran = blueprint("check", str(export), "--format", "json", root=fork)
    assert ran.returncode == 1
    assert '"problem": "stacks/waivers.yaml: waivers[0].reason: is missing;' in ran.stdout
    assert '"waived": []' in ran.stdout
    assert "Traceback" not in ran.stderr


def test_nothing_but_the_clock_says_what_day_it_is() -> None:
    # The day is an argument for tests; the program of the pack gives none and reads it from nowhere.
    program = (ROOT / "policies" / "__main__.py").read_text()
    assert "today" not in program
    assert "environ" not in program
    for module in ("waivers", "waiver_file", "pack"):
        assert "environ[" not in (ROOT / "policies" / "machinery" / f"{module}.py").read_text()
