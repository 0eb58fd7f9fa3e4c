"""What machines and pull requests read: valid, located, in a stable order, with the fix, and nothing left out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pulumi_aws as aws
import pytest
from rich.console import Console

from blueprint import report
from blueprint.environments import ROOT
from blueprint.formats import FORMATS
from blueprint.formats.markdown import MAX_CHARACTERS
from blueprint.graph import Graph, Resource
from blueprint.pack import RunningPack
from blueprint.recorder import record
from blueprint.verdict import Undecided, Verdict, Violation, Waived, read_message
from components.storage import SecureBucket
from tests.blueprint.commands import blueprint
from tests.policies.cases import recorded

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text())

FORMS = ("text", *FORMATS)

PREFIX = "urn:pulumi:test::secure-ml-platform::"


def resource(name: str, source: str = "components/network.py:12", parent: str = "") -> Resource:
    type_ = "aws:ec2/subnet:Subnet"
    return Resource(urn=f"{PREFIX}{type_}::{name}", type=type_, custom=True, source=source, parent=parent)


PUBLIC = resource("public")
GRAPH = Graph(stack="test", resources=(PUBLIC, resource("closed")))

VIOLATION = Violation(
    control="NET-05",
    severity="high",
    mandatory=True,
    urn=PUBLIC.urn,
    problem="mapPublicIpOnLaunch: gives a public address to whatever starts here",
    fix="Set map_public_ip_on_launch to False.",
)
ADVICE = replace(
    VIOLATION, control="NET-11", severity="medium", mandatory=False, problem="description: is missing"
)
WAIVED = Waived(
    control="NET-09",
    severity="high",
    urn=PUBLIC.urn,
    problem="is open to the world",
    fix="Name the ranges that you know.",
    why="A trial of two weeks",
    owner="platform@example.org",
    expiry="2031-05-01",
)
UNDECIDED = Undecided(control="EKS-09", urn=PUBLIC.urn, waits_for="the images of a chart")
VERDICT = Verdict(
    stack="test",
    pack="secure-ml-platform@0.1.0",
    controls=("EKS-09", "KEY-01", "NET-05", "NET-09", "NET-11"),
    resource_count=2,
    violations=(VIOLATION, ADVICE),
    undecided=(UNDECIDED,),
    waived=(WAIVED,),
)


def rendered(form: str, graph: Graph = GRAPH, verdict: Verdict = VERDICT) -> str:
    if form != "text":
        return FORMATS[form](graph, verdict)
    console = Console(file=StringIO(), width=200)
    report.show(graph, verdict, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_every_finding_and_its_fix(form: str) -> None:
    text = " ".join(rendered(form).replace("\\", "").split())
    shown: list[Violation | Waived] = [*VERDICT.violations, WAIVED]
    for found in shown:
        assert found.control in text
        assert found.fix in text
    assert "EKS-09" in text
    assert "the images of a chart" in text


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_what_is_waived_with_reason_owner_and_last_day(form: str) -> None:
    # In a comment a space of no width keeps an address from calling anybody.
    text = rendered(form).replace("\\", "").replace("&#8203;", "")
    for said in (WAIVED.why, WAIVED.owner, WAIVED.expiry, "is open to the world"):
        assert said in text
    assert rendered(form, verdict=replace(VERDICT, waived=())) != rendered(form)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_verdict_gives_the_same_text(form: str) -> None:
    assert rendered(form) == rendered(form)


def sarif(graph: Graph = GRAPH, verdict: Verdict = VERDICT) -> Any:
    log = json.loads(FORMATS["sarif"](graph, verdict))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    return log["runs"][0]


def test_the_schema_refuses_what_is_no_sarif() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate({"version": "2.1.0", "runs": [{"results": []}]})


def test_sarif_is_valid_and_says_what_each_finding_is() -> None:
    run = sarif()
    assert [(r["ruleId"], r["kind"], r["level"]) for r in run["results"]] == [
        ("NET-05", "fail", "error"),
        ("NET-11", "fail", "warning"),
        ("NET-09", "fail", "error"),
        ("EKS-09", "open", "none"),
    ]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    suppressed = [r["ruleId"] for r in run["results"] if r.get("suppressions")]
    assert suppressed == ["NET-09"]


def test_sarif_of_an_empty_verdict_is_valid() -> None:
    assert sarif(verdict=replace(VERDICT, violations=(), waived=(), undecided=()))["results"] == []


def test_a_fingerprint_outlives_a_move_of_the_line() -> None:
    moved = Graph(stack="test", resources=(replace(PUBLIC, source="components/network.py:99"),))
    before, after = sarif()["results"][0], sarif(moved)["results"][0]
    assert before["locations"] != after["locations"]
    assert before["partialFingerprints"] == after["partialFingerprints"]


def located(graph: Graph, verdict: Verdict) -> list[tuple[str, int]]:
    places = [result["locations"][0]["physicalLocation"] for result in sarif(graph, verdict)["results"]]
    return [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places]


def line(file: str, number: int) -> str:
    return (ROOT / file).read_text().splitlines()[number - 1]


def test_a_location_is_the_line_that_made_the_resource() -> None:
    with RunningPack() as pack:
        graph = recorded(
            lambda: aws.ec2.Subnet(
                "open", cidr_block="10.0.0.0/24", vpc_id="vpc-1", map_public_ip_on_launch=True
            )
        )
        verdict = pack.judge(graph)
    ours = replace(verdict, violations=tuple(v for v in verdict.violations if v.control == "NET-05"))
    ((file, number),) = located(graph, replace(ours, undecided=()))
    assert file == "tests/blueprint/test_formats.py"
    assert "aws.ec2.Subnet(" in line(file, number)


def test_a_resource_of_a_component_is_located_in_the_component() -> None:
    graph = record(
        lambda: SecureBucket(
            "data",
            bucket_name="smlp-data",
            key_arn="arn:aws:kms:eu-central-1:111122223333:key/1",
            data_domain="data",
            access_log_bucket="smlp-logs",
            noncurrent_days=90,
        ),
        root=ROOT,
    )
    bucket = graph.of("aws:s3/bucket:Bucket")[0]
    verdict = replace(VERDICT, violations=(replace(VIOLATION, urn=bucket.urn),), waived=(), undecided=())
    ((file, number),) = located(graph, verdict)
    assert file == "components/storage.py"
    assert "aws.s3.Bucket" in line(file, number)


def test_what_has_no_line_is_located_in_what_can_mend_it() -> None:
    parent = replace(
        resource("parent", source="components/edge.py:3"), type="secureml:edge:Edge", custom=False
    )
    graph = Graph(stack="test", resources=(parent, resource("child", source="", parent=parent.urn)))
    stated = [
        (graph.resources[1].urn, "NET-05", ("components/edge.py", 3)),
        ("", "NET-05", ("stacks/Pulumi.test.yaml", 1)),
        ("", "WAV-02", ("stacks/waivers.yaml", 1)),
    ]
    for urn, control, place in stated:
        one = replace(VIOLATION, urn=urn, control=control)
        assert located(graph, replace(VERDICT, violations=(one,), waived=(), undecided=())) == [place]


def test_an_export_of_the_engine_has_columns_and_they_do_no_harm() -> None:
    graph = Graph(stack="test", resources=(resource("public", source="infra/net.py:7,3"),))
    assert located(graph, VERDICT)[0] == ("infra/net.py", 7)


def test_a_location_that_is_no_path_of_the_repository_is_still_valid_sarif() -> None:
    odd = Graph(stack="test", resources=(resource("public", source="C:\\x y:z"),))
    assert located(odd, VERDICT)[0] == ("stacks/Pulumi.test.yaml", 1)


def test_junit_fails_what_is_mandatory_and_skips_what_only_needs_to_be_seen() -> None:
    suites = ElementTree.fromstring(rendered("junit"))  # noqa: S314 - ours
    assert suites.attrib == {"tests": "5", "failures": "1", "errors": "0", "skipped": "3"}
    cases = {case.attrib["name"].split()[0]: case for case in suites.iter("testcase")}
    assert set(cases) == set(VERDICT.controls)
    assert [name for name, case in cases.items() if case.find("failure") is not None] == ["NET-05"]
    skipped = {name for name, case in cases.items() if case.find("skipped") is not None}
    assert skipped == {"NET-11", "NET-09", "EKS-09"}
    assert (cases["NET-05"].attrib["file"], cases["NET-05"].attrib["line"]) == ("components/network.py", "12")


HOSTILE = "</details><img src=x> **bold** [link](https://evil.example) @everyone | `code` \x00\x1b[31m"


@pytest.mark.parametrize("form", FORMS)
def test_hostile_names_stay_text_in_every_form(form: str) -> None:
    urn = f"{PREFIX}aws:ec2/subnet:Subnet::{HOSTILE}"
    bad = read_message(f"NET-05 high: {HOSTILE}\n  Fix: Mend it.", urn=urn, mandatory=True)
    assert isinstance(bad, Violation)
    text = rendered(form, verdict=replace(VERDICT, violations=(bad,)))
    if form == "junit":
        ElementTree.fromstring(text)  # noqa: S314 - ours
    if form == "sarif":
        jsonschema.Draft4Validator(SCHEMA).validate(json.loads(text))
    if form == "markdown":
        assert text.count("<details>") == text.count("</details>") == 3
        assert "<img" not in text
        assert "@everyone" not in text.replace("\\@", "")
        assert not re.search(r"(?<!\\)\]\(", text)
    if form == "text":
        assert "\x1b[31m" not in text


def test_a_comment_is_short_folded_and_led_by_one_line() -> None:
    lines = rendered("markdown").splitlines()
    assert lines[:2] == ["<!-- policies:test -->", "### Policies: test refused"]
    assert lines[3] == "2 resources against 5 controls: 1 high, 1 medium, 1 waived, 1 undecided"
    assert [each for each in lines if each.startswith("<details>")] == [
        "<details><summary>1 high</summary>",
        "<details><summary>1 medium</summary>",
        "<details><summary>1 waived</summary>",
        "<details><summary>1 undecided</summary>",
    ]


def test_a_comment_fits_however_much_is_wrong_and_says_what_it_leaves_out() -> None:
    many = tuple(replace(VIOLATION, problem=f"{n}: {'x' * 200}") for n in range(1000))
    text = rendered("markdown", verdict=replace(VERDICT, violations=many))
    assert len(text) <= MAX_CHARACTERS + 1000
    assert "more are left out here" in text
    assert text.count("<details>") == text.count("</details>")


def test_the_command_prints_the_form_and_keeps_its_status() -> None:
    ran = blueprint("preview", "dev", "--format", "sarif")
    jsonschema.Draft4Validator(SCHEMA).validate(json.loads(ran.stdout))
    assert ran.returncode == (1 if '"kind": "fail"' in ran.stdout and "error" in ran.stdout else 0)


def test_an_unknown_form_is_refused_with_the_choices() -> None:
    ran = blueprint("check", "x.json", "--format", "xml")
    assert ran.returncode == 2
    assert "sarif" in ran.stderr
    assert "Traceback" not in ran.stderr
