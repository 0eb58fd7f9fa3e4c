"""The catalogue of controls comes out of the running pack, filtered and written as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from blueprint.controls import Catalogue, Control, catalogue_of, page
from blueprint.environments import ROOT
from blueprint.errors import BadInput, PackFailure
from blueprint.pack import RunningPack
from tests.blueprint.commands import blueprint


@pytest.fixture(scope="module")
def catalogue() -> Iterator[Catalogue]:
    with RunningPack() as pack:
        yield catalogue_of(pack)


def test_there_are_at_least_a_hundred_and_twenty(catalogue: Catalogue) -> None:
    assert len({control.id for control in catalogue.controls}) >= 120


def test_the_page_is_current(catalogue: Catalogue) -> None:
    assert (ROOT / "docs" / "controls.md").read_text() == page(catalogue), (
        "run blueprint controls --format markdown > docs/controls.md"
    )


def ids(catalogue: Catalogue) -> set[str]:
    return {control.id for control in catalogue.controls}


def test_a_filter_by_framework_keeps_what_refers_to_it(catalogue: Catalogue) -> None:
    found = catalogue.only(frameworks=["owasp-ml"])
    assert {"MLS-02", "EDG-02"} <= ids(found)
    assert all(control.references["owasp_ml"] for control in found.controls)
    assert "NET-01" not in ids(found)


def test_values_of_one_filter_add_up_and_filters_narrow(catalogue: Catalogue) -> None:
    found = catalogue.only(families=["iam", "KEY"], severities=["critical"], frameworks=["hipaa"])
    assert ids(found) == {"IAM-01", "IAM-03", "IAM-15", "KEY-03"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"frameworks": ["hippa"]}, "no framework 'hippa': did you mean hipaa?"),
        ({"frameworks": ["x"]}, "there are atlas, aws-ai, cis"),
        ({"families": ["XYZ"]}, "no family 'XYZ': there are ACC"),
    ],
)
def test_an_unknown_filter_is_told(catalogue: Catalogue, wrong: dict[str, list[str]], says: str) -> None:
    with pytest.raises(BadInput) as raised:
        catalogue.only(**wrong)
    assert says in str(raised.value)


def test_a_bar_in_a_text_is_none_of_the_table() -> None:
    control = Control(
        id="NET-01",
        family="NET",
        title="a | b",
        severity="low",
        mandatory=False,
        scope="stack",
        types=(),
        remedy="Do.",
        references={},
    )
    assert r"| a \| b |" in page(Catalogue(frameworks={}, controls=(control,)))


def test_the_command_prints_for_people_and_for_machines() -> None:
    table = blueprint("controls", "--family", "MLS")
    assert table.returncode == 0, table.stderr
    assert "MLS-02" in table.stdout
    assert "IAM-01" not in table.stdout
    listed = blueprint("controls", "--framework", "hipaa", "--format", "json")
    said = json.loads(listed.stdout)
    assert said["schema"] == 1
    assert {control["id"] for control in said["controls"]} >= {"IAM-01", "DAT-01"}


def test_bad_arguments_get_one_message_and_status_2() -> None:
    ran = blueprint("controls", "--framework", "sox")
    assert ran.returncode == 2
    assert ran.stderr.startswith("no framework 'sox'")
    assert "Traceback" not in ran.stderr


PACK = """
    from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy
    PolicyPack("other", enforcement_level=EnforcementLevel.MANDATORY, readme={readme!r}, policies=[
        ResourceValidationPolicy("p", "d", lambda args, report: None, tags=["NET-01"]),
    ])
"""


@pytest.mark.parametrize(
    ("readme", "says"),
    [
        (None, "does not describe its controls"),
        ("```json\n[1]\n```", "does not describe its controls"),
        ("```json\n{\n```", "does not describe its controls"),
        ('```json\n{"controls": [], "frameworks": {}}\n```', "describes other controls than it has"),
    ],
)
def test_a_pack_that_does_not_describe_itself_is_told(tmp_path: Path, readme: str | None, says: str) -> None:
    (tmp_path / "PulumiPolicy.yaml").write_text("name: other\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(dedent(PACK.format(readme=readme)))
    with RunningPack(tmp_path) as pack, pytest.raises(PackFailure, match=says):
        catalogue_of(pack)


def test_a_severity_that_nobody_has_keeps_nothing(catalogue: Catalogue) -> None:
    assert replace(catalogue, controls=()).only(severities=["low"]).controls == ()
