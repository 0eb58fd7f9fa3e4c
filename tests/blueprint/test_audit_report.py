"""The auditor's report says what is so, says it first when something is wrong, and lets nobody write into it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import regex
from bs4 import BeautifulSoup, Tag

from blueprint import cli, deployment, roles
from blueprint.audit_report import facts, oscal, paths, rehearsed
from blueprint.audit_report.architecture import architecture
from blueprint.audit_report.drawing import Box, Picture, Way, Words, svg
from blueprint.audit_report.facts import Facts
from blueprint.audit_report.page import page, picture
from blueprint.audit_report.reading import Reader
from blueprint.audit_report.rehearsed import Rehearsed
from blueprint.environments import ROOT
from blueprint.formats.places import resource_name
from blueprint.graph import SECRET, SIGNATURE, UNKNOWN, Graph, Resource
from blueprint.verdict import Verdict, Waived
from tests.blueprint.judged import INGRESS, Judged, both, opened

DAY = date(2027, 1, 31)
SCHEMA = Path(__file__).parent / "schemas" / "oscal-assessment-results-1.2.3.json"

SCRIPT = "</script></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>"


def judged() -> Judged:
    """Return prod as it is."""
    return both()[0]


def gathered(
    change: Callable[[Resource], Resource] = lambda resource: resource,
    *,
    verdict: Verdict | None = None,
    day: date = DAY,
    commit: str = "abc",
    source: str = "a test",
    rehearsed: Rehearsed | None = None,
) -> Facts:
    """Return the facts of prod after a change to its resources that nobody judged."""
    graph, catalogue, said = judged()
    return facts.gathered(
        Graph(graph.stack, tuple(map(change, graph.resources))),
        verdict or said,
        catalogue,
        day=day,
        commit=commit,
        source=source,
        rehearsed=rehearsed,
    )


@cache
def report() -> BeautifulSoup:
    return parsed(page(gathered()))


def parsed(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def found(soup: BeautifulSoup | Tag, selector: str) -> Tag:
    tags = soup.select(selector)
    assert len(tags) == 1, f"{len(tags)} of {selector}"
    return tags[0]


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


@cache
def careless() -> tuple[Graph, Facts]:
    """Return prod with an open bastion, judged by the pack."""
    graph, catalogue, verdict = both()[1]
    return graph, facts.gathered(graph, verdict, catalogue, day=DAY, commit="abc", source="a test")


# --- what it says -----------------------------------------------------------------------------------------


def test_the_first_screen_says_what_was_judged_and_how_it_ended() -> None:
    _, catalogue, verdict = judged()
    first = words(found(report(), "header.first"))
    for said in (
        "No control is violated",
        f"{verdict.resource_count} resources judged against {len(catalogue.controls)} controls",
        "0 critical 0 high 0 medium 0 low 0 waived",
        f"{len(verdict.undecided)} undecided",
        "Date 2027-01-31",
        "Commit abc",
        "Profile hipaa",
        "Jurisdiction us : us-east-1, us-west-2",
        "Rehearsed not in this report",
    ):
        assert said.replace(" :", ":") in first.replace(" :", ":")
    assert "bad" not in found(report(), "header.first")["class"]


def test_every_control_is_there_once_with_what_it_looked_at() -> None:
    graph, catalogue, _ = judged()
    shown = {str(tag["id"]): tag for tag in report().select("[data-item=control]")}
    assert sorted(shown) == sorted(control.id for control in catalogue.controls)
    assert len(shown) == len(report().select("[data-item=control]"))
    rule = shown["NET-01"]
    assert f"vpc SecurityGroupIngressRule ( {len(graph.of(INGRESS))} )" in words(rule).replace(
        "(", "( "
    ).replace(")", " )")
    assert "bastion-from-2001:db8:1234:5600::/56" in words(rule)
    assert {str(tag["data-state"]) for tag in shown.values()} == {"holds", "undecided", "nothing"}
    # A control of which the environment has nothing is not said to be satisfied.
    (peering,) = [
        each
        for each in catalogue.controls
        if "not applicable" in words(shown[each.id]) and each.id == "NET-24"
    ]
    assert not {resource.type for resource in graph.resources} & set(peering.types)


def test_every_requirement_of_every_framework_is_there_and_every_link_leads_somewhere() -> None:
    _, catalogue, _ = judged()
    for key in catalogue.frameworks:
        asked = {id_ for control in catalogue.controls for id_ in control.references.get(key, ())}
        rows = found(report(), f"#framework-{key}").select("[data-item=requirement] > th")
        assert {words(row) for row in rows} == asked
        assert len(rows) == len(asked)
    ids = [str(tag["id"]) for tag in report().select("[id]")]
    assert len(ids) == len(set(ids))
    links = [str(tag["href"]) for tag in report().select("a[href]")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_data_is_mapped_to_regions_keys_copies_and_backups() -> None:
    rows = {
        words(found(row, "th")).split()[0]: [words(cell) for cell in row.select("td")]
        for row in report().select("[data-item=store]")
    }
    assert rows["data-bucket"] == [
        "data",
        "us-east-1",
        "data",
        "data-replica, us-west-2",
        "yes",
        "old versions 90 days",
    ]
    assert rows["database-instance"][:5] == ["data", "us-east-1", "data", "none", "yes"]
    assert rows["models-replica"][1:3] == ["us-west-2", "backup-replica"]
    graph = judged()[0]
    types = ("aws:s3/bucket:Bucket", "aws:rds/instance:Instance", "aws:dynamodb/table:Table")
    assert len(rows) == sum(len(graph.of(type_)) for type_ in types)


def test_the_objectives_of_recovery_are_those_of_the_settings() -> None:
    shown = words(found(report(), "#recovery"))
    settings = (ROOT / "stacks/Pulumi.prod.yaml").read_text()
    for key, said in (("recovery_point_hours", "may be lost"), ("recovery_time_hours", "may take")):
        hours = re.search(rf"{key}: (\d+)", settings)
        assert hours
        assert f"{said} {hours[1]} hours" in shown
    assert "cron(0 0/6 ? * * *) 35 days" in shown
    assert "secure-ml-platform-prod-copies, us-west-2" in shown


def test_every_role_is_there_with_what_it_may_do() -> None:
    made = roles.roles_of(judged()[0])
    shown = report().select("[data-item=role]")
    assert len(shown) == len(made)
    for role, tag in zip(made, shown, strict=True):
        said = words(tag)
        assert all(action in said for statement in role.rights for action in statement.actions)
        assert all(arn in said for arn in role.managed)


def test_every_resource_is_listed() -> None:
    made = [resource for resource in judged()[0].resources if resource.custom]
    assert len(report().select("[data-item=resource]")) == len(made)


def test_undecided_is_said_and_is_not_passed() -> None:
    verdict = judged()[2]
    assert verdict.undecided
    for each in verdict.undecided:
        assert found(report(), f"#{each.control}")["data-state"] == "undecided"
        assert each.waits_for in words(found(report(), "#waivers"))


# --- what is wrong is said first --------------------------------------------------------------------------


def test_violations_are_on_the_first_screen_in_words() -> None:
    _, wrong = careless()
    soup = parsed(page(wrong))
    first = found(soup, "header.first")
    assert "bad" in first["class"]
    assert "This environment must not be deployed" in words(first)
    assert "critical NET-01 No security group rule admits the internet" in words(first)
    assert found(soup, "#NET-01")["data-state"] == "violated"
    # Open without a script, and above everything that holds.
    assert found(soup, "#NET-01").has_attr("open")
    assert "the internet to bastion" in words(found(soup, "#architecture"))


def test_the_command_writes_the_page_of_an_environment_with_violations_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, out, machine = tmp_path / "graph.json", tmp_path / "report.html", tmp_path / "report.json"
    export.write_text(deployment.write(careless()[0]))
    asked = [
        "report",
        "prod",
        "--from",
        str(export),
        "--out",
        str(out),
        "--json",
        str(machine),
        "--date",
        "2027-01-31",
    ]
    assert cli.main(asked) == 1
    assert "must not be deployed" in capsys.readouterr().out
    assert "must not be deployed" in words(found(parsed(out.read_text()), "header.first"))
    assert json.loads(machine.read_text())["assessment-results"]["results"]


def test_a_name_with_an_address_in_it_is_whole() -> None:
    urn = "urn:pulumi:prod::platform::secureml:bastion:Bastion$aws:vpc/rule:Rule::from-2001:db8::/56"
    assert resource_name(urn) == "from-2001:db8::/56 (aws:vpc Rule)"


def test_advice_alone_does_not_refuse_and_is_not_called_good() -> None:
    verdict = judged()[2]
    (some,) = careless()[1].verdict.violations[:1]
    advised = replace(verdict, violations=(replace(some, severity="low", mandatory=False),))
    first = found(parsed(page(gathered(verdict=advised))), "header.first")
    assert "warn" in first["class"]
    assert "Nothing mandatory is violated, but" in words(first)


# --- nobody writes into it --------------------------------------------------------------------------------


def waived(why: str) -> Verdict:
    urn = judged()[0].resources[-1].urn
    one = Waived(
        control="NET-01",
        severity="critical",
        urn=urn,
        problem="admits the world",
        fix="do not",
        why=why,
        owner="net@example.org",
        expiry="2027-02-10",
    )
    return replace(judged()[2], waived=(one,))


def test_a_waiver_is_shown_with_its_reason_its_owner_and_its_last_day() -> None:
    soup = parsed(page(gathered(verdict=waived("The scanner of the ministry needs it"))))
    row = words(found(soup, "[data-item=waiver]"))
    for said in ("NET-01", "The scanner of the ministry needs it", "net@example.org", "2027-02-10 (10 days)"):
        assert said in row
    assert found(soup, "#NET-01")["data-state"] == "waived"
    assert "1 is waived" in words(found(soup, "header.first"))


def hostile(resource: Resource) -> Resource:
    inputs = {
        key: f"{value}{SCRIPT}"
        if key in ("description", "name", "engine", "instanceClass") and isinstance(value, str)
        else value
        for key, value in resource.inputs.items()
    }
    source = f"{resource.source}{SCRIPT}"
    if resource.custom and not resource.type.startswith("pulumi:"):
        return replace(resource, urn=f"{resource.urn}{SCRIPT}", inputs=inputs, source=source)
    return resource


def test_names_reasons_and_files_cannot_write_into_the_page(tmp_path: Path) -> None:
    tried = rehearsed.read(rehearsal(tmp_path, sentence=SCRIPT), "prod")
    html = page(gathered(hostile, verdict=waived(SCRIPT), commit=SCRIPT, source=SCRIPT, rehearsed=tried))
    soup = parsed(html)
    assert len(soup.select("script")) == 1
    assert len(soup.select("style")) == 1
    assert soup.select("img, iframe, object, embed, link, base") == []
    assert html.count("&lt;script&gt;alert(1)") > 1000
    # The content security policy admits neither, and a style in a tag is one that it would have to.
    attributes = {name for tag in soup.select("*") for name in tag.attrs}
    assert not {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")}
    alone = parsed(picture(gathered(hostile)))
    assert alone.select("script, img, foreignObject") == []


def test_only_the_style_and_the_script_of_the_page_are_admitted() -> None:
    policy = str(found(report(), "meta[http-equiv=Content-Security-Policy]")["content"])
    assert policy.startswith("default-src 'none'; ")
    for name in ("style", "script"):
        text = found(report(), name).string or ""
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", str(report())) == []


PASSWORD = "correct-horse-battery-staple"
HIDDEN = {SIGNATURE: SECRET, "value": PASSWORD}


def secretive(resource: Resource) -> Resource:
    """Make a secret of every text that a report would show."""
    texts = (
        "description",
        "name",
        "engine",
        "cidrBlock",
        "availabilityZone",
        "cidrIpv4",
        "targetVaultName",
        "policy",
    )
    inputs = {key: HIDDEN if key in texts else value for key, value in resource.inputs.items()}
    if isinstance(inputs.get("tags"), dict):
        inputs["tags"] = dict.fromkeys(inputs["tags"], HIDDEN)
    return replace(resource, inputs=inputs)


def test_values_of_secrets_are_in_no_file() -> None:
    secret = gathered(secretive)
    assert PASSWORD not in page(secret)
    assert PASSWORD not in picture(secret)
    assert PASSWORD not in json.dumps(oscal.assessment_results(secret))
    assert "could not be read" in words(found(parsed(page(secret)), "#roles"))


# --- the same again ---------------------------------------------------------------------------------------


def test_the_same_graph_and_day_give_the_same_page() -> None:
    assert page(gathered()) == page(gathered())
    assert page(gathered()) != page(gathered(day=date(2027, 2, 1)))


def test_the_day_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export, out = tmp_path / "graph.json", tmp_path / "report.html"
    export.write_text(deployment.write(judged()[0]))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1801353600")
    assert cli.main(["report", "prod", "--from", str(export), "--out", str(out)]) == 0
    first = words(found(parsed(out.read_text()), "header.first"))
    assert "Date 2027-01-31" in first
    asked = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"Commit {head.stdout[:12] or 'not known'}" in first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert cli.main(["report", "prod", "--from", str(export), "--out", str(out)]) == 2


def test_the_picture_in_the_documentation_is_current() -> None:
    current = (ROOT / "docs" / "architecture.svg").read_text() == picture(gathered())
    assert current, "run: blueprint report prod --picture docs/architecture.svg"


# --- the picture ------------------------------------------------------------------------------------------


def drawn(change: Callable[[Resource], Resource] = lambda resource: resource) -> tuple[paths.Paths, Picture]:
    made = gathered(change)
    return made.network, architecture("prod", made.regions, made.network, made.services)


def test_arrows_are_the_ways_that_every_layer_lets_through() -> None:
    network, _ = drawn()
    ways = {(path.start, path.end) for path in network.paths if path.open}
    assert {
        ("the internet", "edge"),
        ("approved addresses", "bastion"),
        ("edge", "gateway"),
        ("data-api", "database"),
        ("trainer", "data-api"),
    } <= ways
    assert not {("trainer", "database"), ("gateway", "database"), ("the internet", "database")} & ways
    assert not any(end == paths.INTERNET for _, end in ways)


def test_an_arrow_goes_where_a_rule_does() -> None:
    def closed(resource: Resource) -> Resource:
        if resource.type == INGRESS and "database-from-client" in resource.urn:
            return replace(resource, inputs={**resource.inputs, "fromPort": 1, "toPort": 2})
        return resource

    before, after = (
        {(p.start, p.end, p.port) for p in drawn(c)[0].paths if p.open} for c in (lambda r: r, closed)
    )
    assert before - after == {("data-api", "database", 5432)}


def test_who_comes_by_a_private_link_is_told_from_the_internet() -> None:
    graph, catalogue, verdict = judged()

    def linked(resource: Resource) -> Resource:
        if resource.type == INGRESS and resource.urn.endswith("edge-from-internet-443"):
            return replace(resource, inputs={**resource.inputs, "cidrIpv4": "10.9.0.0/16"})
        return resource

    (balancer,) = graph.of("aws:lb/loadBalancer:LoadBalancer")
    offered = {
        "networkLoadBalancerArns": [balancer.id],
        "allowedPrincipals": ["arn:aws:iam::333344445555:root"],
    }
    service = replace(
        balancer,
        urn="urn:pulumi:prod::p::aws:ec2/vpcEndpointService:VpcEndpointService::link",
        type="aws:ec2/vpcEndpointService:VpcEndpointService",
        inputs=offered,
    )
    offering = Graph("prod", (*map(linked, graph.resources), service))
    made = facts.gathered(offering, verdict, catalogue, day=DAY, commit="abc", source="a test")
    ways = {(path.start, path.end, path.port) for path in made.network.paths if path.open}
    assert (paths.ACCOUNTS, "edge", 443) in ways
    assert not {(paths.INTERNET, "edge", 443), (paths.ACCOUNTS, "edge", 80)} & ways


def test_a_tier_is_what_its_routes_make_it_whatever_its_tag_says() -> None:
    graph = judged()[0]
    (table,) = [
        each.inputs["routeTableId"]
        for each in graph.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
        if each.urn.endswith("isolated-a")
    ]

    def leading_out(resource: Resource) -> Resource:
        if resource.type == "aws:ec2/route:Route" and resource.urn.endswith("public-b"):
            return replace(resource, inputs={**resource.inputs, "routeTableId": table})
        return resource

    tiers = {subnet.name: subnet.tier for subnet in drawn(leading_out)[0].subnets}
    assert tiers["isolated-a"] == "public"
    assert tiers["isolated-b"] == "isolated"


@pytest.mark.parametrize("change", [lambda r: r, opened], ids=["prod", "careless"])
def test_nothing_lies_on_anything_else(change: Callable[[Resource], Resource]) -> None:
    _, pictured = drawn(change)
    boxes = [s for s in pictured.shapes if isinstance(s, Box) and s.css.split()[0] in ("node", "card", "tag")]
    for index, one in enumerate(boxes):
        assert 0 <= one.x <= one.x + one.width <= pictured.width
        assert 0 <= one.y <= one.y + one.height <= pictured.height
        assert not any(overlap(one, other) for other in boxes[index + 1 :]), one
    ways = [shape for shape in pictured.shapes if isinstance(shape, Way)]
    assert len({way.about for way in ways}) == len(ways)
    # Lines to different ends share no lane.
    lanes: dict[float, set[str]] = {}
    for way in ways:
        for height in levels(way.d):
            lanes.setdefault(height, set()).add(way.about.split(" to ")[-1])
    assert all(len(ends) == 1 for ends in lanes.values()), lanes


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def levels(d: str) -> Iterator[float]:
    """Yield the heights at which a path runs level: between two points of the same height."""
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", d)]
    ends = [(float(x), float(y)) for x, y in re.findall(r"Q[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)", d)]
    for start, end in zip(ends, points[2:], strict=False):
        if start[1] == end[1] and start[0] != end[0]:
            yield start[1]


def test_the_picture_says_in_words_what_it_shows() -> None:
    root = found(parsed(svg(drawn()[1], alone=True)), "svg")
    assert root["role"] == "img"
    labels = str(root["aria-labelledby"]).split()
    said = [words(found(root, f"#{label}")) for label in labels]
    assert said[0] == "Architecture of prod"
    assert "data-api to database on 5432" in said[1]


def test_long_texts_are_cut_to_their_room_and_kept_whole_beside() -> None:
    def long(resource: Resource) -> Resource:
        if resource.type == "aws:rds/instance:Instance":
            return replace(resource, inputs={**resource.inputs, "engineVersion": "1" * 60})
        return resource

    cut = [
        shape
        for shape in drawn(long)[1].shapes
        if isinstance(shape, Words) and shape.whole.startswith("postgres")
    ]
    assert [shape.text.endswith("…") for shape in cut] == [True]


# --- whatever it is given ---------------------------------------------------------------------------------


def test_a_stack_without_a_network_has_a_report() -> None:
    graph, catalogue, verdict = judged()
    few = Graph("prod", tuple(each for each in graph.resources if each.type == "aws:s3/bucket:Bucket"))
    empty = replace(verdict, undecided=())
    made = facts.gathered(few, empty, catalogue, day=DAY, commit="abc", source="a test")
    soup = parsed(page(made))
    assert "not declared" in words(found(soup, "header.first"))
    assert "No backup plan." in words(found(soup, "#recovery"))


def test_what_is_not_known_yet_is_said() -> None:
    def unknown(resource: Resource) -> Resource:
        return replace(resource, inputs=dict.fromkeys(resource.inputs, UNKNOWN))

    soup = parsed(page(gathered(unknown)))
    assert "could not be worked out" in words(found(soup, "#architecture"))
    assert UNKNOWN not in str(soup)


# --- the rehearsal ----------------------------------------------------------------------------------------


def rehearsal(folder: Path, *, sentence: str = "Buckets refuse the public", **changed: Any) -> Path:
    said = {
        "schema": 2,
        "stack": "prod",
        "provider": "hashicorp/aws 6.1.0",
        "passed": True,
        "problems": [],
        "planned": ["a", "b", "c"],
        "not_planned": {},
        "applied": ["a", "b"],
        "planned_only": {"c": "the emulator has no such service"},
        "failed": {},
        "assertions": [
            {"topic": "storage", "sentence": sentence, "looked_at": 10, "holds": True, "broken": []}
        ],
        "not_asked": ["No pool is idle"],
        "second_plan": [],
        "destroyed": 2,
        "protected": [],
        "kept_on_purpose": {},
        "left_behind": [],
        "seconds": {"plan": 8.0, "apply": 60.0},
    } | changed
    path = folder / "rehearsal.json"
    path.write_text(json.dumps(said))
    return path


def test_what_was_rehearsed_is_said(tmp_path: Path) -> None:
    tried = rehearsed.read(rehearsal(tmp_path), "prod")
    soup = parsed(page(gathered(rehearsed=tried)))
    assert "Rehearsed passed: 2 of 3 resources applied" in words(found(soup, "header.first"))
    said = words(found(soup, "#rehearsal"))
    assert "1 of 1 hold" in said
    assert "Buckets refuse the public (10 looked at)" in said
    assert "the emulator has no such service" in said
    assert "No pool is idle" in said


def test_a_rehearsal_that_did_not_pass_is_not_called_one_that_did(tmp_path: Path) -> None:
    path = rehearsal(tmp_path, passed=True, problems=["apply: refused"], seconds={"plan": 8.0})
    soup = parsed(page(gathered(rehearsed=rehearsed.read(path, "prod"))))
    assert "Rehearsed did not pass: planned only: 3 resources" in words(found(soup, "header.first"))
    assert "apply: refused" in words(found(soup, "#rehearsal"))


WRONG_REHEARSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "of another environment": (
        lambda p: rehearsal(p.parent, stack="dev"),
        "is a rehearsal of 'dev', not of prod",
    ),
    "of another version": (
        lambda p: rehearsal(p.parent, schema=1),
        "no rehearsal, or one of another version",
    ),
    "without its parts": (lambda p: p.write_text('{"schema": 2, "stack": "prod"}'), "not a whole rehearsal"),
    "not JSON": (lambda p: p.write_text("{"), "is not JSON"),
    "deep": (lambda p: p.write_text("[" * 100_000), "is not JSON"),
    "a list": (lambda p: p.write_text("[]"), "no rehearsal"),
    "not there": (lambda p: p.unlink(missing_ok=True), "cannot be read"),
}


@pytest.mark.parametrize("what", WRONG_REHEARSALS)
def test_a_wrong_rehearsal_gets_one_message(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rehearsal.json"
    make, message = WRONG_REHEARSALS[what]
    make(path)
    out = tmp_path / "report.html"
    assert cli.main(["report", "prod", "--out", str(out), "--rehearsal", str(path)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no file is asked for"),
        (["--out", "."], "is a folder"),
        (["--out", "nowhere/report.html"], "nowhere is not there"),
        (["--out", "report.html", "--json", "nowhere/report.json"], "nowhere is not there"),
        (["--out", "report.html", "--from", "nowhere.json"], "nowhere.json"),
    ],
)
def test_a_wrong_file_gets_one_message_before_anything_is_run(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "prod", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_an_export_of_another_environment_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "graph.json"
    export.write_text(deployment.write(judged()[0]))
    assert cli.main(["report", "dev", "--from", str(export), "--out", str(tmp_path / "r.html")]) == 2
    assert "not of dev; write blueprint report prod" in capsys.readouterr().err


def test_a_wrong_day_gets_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", "prod", "--out", str(tmp_path / "r.html"), "--date", "tomorrow"])
    assert ended.value.code == 2
    assert "write a day as 2027-01-31" in capsys.readouterr().err


# --- OSCAL ------------------------------------------------------------------------------------------------


def matches(_: object, pattern: str, instance: object, __: object) -> Iterator[jsonschema.ValidationError]:
    # NIST's patterns name Unicode categories, which the standard library does not know.
    if isinstance(instance, str) and not regex.search(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


@cache
def oscal_validator() -> Any:
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"pattern": matches})
    return validator(schema)


def documents() -> dict[str, Facts]:
    return {
        "prod": gathered(),
        "careless": careless()[1],
        "waived and hostile": gathered(hostile, verdict=waived(SCRIPT)),
    }


@pytest.mark.parametrize("which", ["prod", "careless", "waived and hostile"])
def test_the_file_for_machines_is_oscal(which: str) -> None:
    made = documents()[which]
    document = oscal.assessment_results(made)
    errors = [
        f"{list(each.absolute_path)}: {each.message[:200]}"
        for each in oscal_validator().iter_errors(document)
    ]
    assert errors == []
    (result,) = document["assessment-results"]["results"]
    states = {each["target"]["target-id"]: each["target"]["status"]["state"] for each in result["findings"]}
    assert list(states) == [each.control.id for each in made.controls]
    satisfied = {each.control.id for each in made.controls if each.state in ("holds", "nothing")}
    assert {id_ for id_, state in states.items() if state == "satisfied"} == satisfied
    observed = {each["uuid"] for each in result["observations"]}
    related = {
        each["observation-uuid"] for one in result["findings"] for each in one.get("related-observations", ())
    }
    assert related == observed
    assert len(observed) == len(result["observations"])


def test_the_schema_refuses_what_is_not_oscal() -> None:
    document = oscal.assessment_results(gathered())
    del document["assessment-results"]["results"][0]["findings"][0]["target"]["status"]
    assert list(oscal_validator().iter_errors(document))


def test_a_reader_knows_regions_keys_and_names() -> None:
    reader = Reader(judged()[0])
    assert reader.regions == ("us-east-1", "us-west-2")
    assert reader.accounts == ("777788889999",)
    (database,) = reader.graph.of("aws:rds/instance:Instance")
    assert reader.key(database.inputs["kmsKeyId"]) == "data"
    assert reader.key("arn:aws:kms:us-east-1:1:key/other") == "arn:aws:kms:us-east-1:1:key/other"
