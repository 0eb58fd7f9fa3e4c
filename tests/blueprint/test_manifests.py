"""Kubernetes objects as files: all of them, readable by others, and never over somebody else's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint import program
from blueprint.errors import BadInput
from blueprint.graph import Graph, Resource
from blueprint.manifests import FIRST_LINE, Manifest, manifests, releases, write
from tests.blueprint.commands import blueprint


@pytest.fixture(scope="module")
def graph() -> Graph:
    return program.run("dev")


def test_the_command_writes_every_object_and_says_how_many(tmp_path: Path) -> None:
    out = tmp_path / "manifests"
    ran = blueprint("manifests", "dev", "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    files = list(out.rglob("*.yaml"))
    assert f"{len(files) - 2} objects, and the values of 2 Helm releases" in ran.stdout
    assert (out / "training" / "cronjob-trainer.yaml").is_file()
    assert (out / "cluster" / "namespace-training.yaml").is_file()


def test_a_machine_is_told_the_files(tmp_path: Path) -> None:
    out = tmp_path / "manifests"
    ran = blueprint("manifests", "dev", "--out", str(out), "--format", "json")
    told = json.loads(ran.stdout)["files"]
    assert {str(path.relative_to(out)) for path in out.rglob("*.yaml")} == set(told)


def test_what_is_read_back_is_what_the_program_declares(graph: Graph, tmp_path: Path) -> None:
    write(manifests(graph), tmp_path)
    for manifest in manifests(graph):
        assert yaml.safe_load((tmp_path / manifest.path).read_text()) == manifest.body


def test_only_what_the_charts_make_is_not_there(graph: Graph) -> None:
    declared = [r for r in graph.resources if r.type.startswith("kubernetes:")]
    assert len(manifests(graph)) + len(releases(graph)) == len(declared)
    assert releases(graph)
    for release in releases(graph):
        assert release.body["version"]
        assert release.body["chart"].startswith("oci://")


def test_a_second_run_replaces_the_first_and_leaves_nothing_behind(graph: Graph, tmp_path: Path) -> None:
    write(manifests(graph), tmp_path)
    write(manifests(graph)[:1], tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / manifests(graph)[0].path]


@pytest.mark.parametrize("name", ["notes.txt", "theirs.yaml", "deep/er.yaml"])
def test_somebody_elses_file_stops_it_before_anything_is_written(
    graph: Graph, tmp_path: Path, name: str
) -> None:
    write(manifests(graph), tmp_path)
    before = {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    theirs = tmp_path / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("kept: true\n")
    ran = blueprint("manifests", "dev", "--out", str(tmp_path))
    assert ran.returncode == 2
    assert f"{theirs}: was not written by this command; name an empty folder" in ran.stderr
    assert theirs.read_text() == "kept: true\n"
    assert {p: p.read_text() for p in before} == before


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    there = tmp_path / "file"
    there.write_text("x")
    ran = blueprint("manifests", "dev", "--out", str(there))
    assert ran.returncode == 2
    assert "is no folder" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("text", ["1e-06", "3", "0x10", "1_000", "inf", "true", "null", "no", "2026-01-01"])
def test_text_stays_text_for_every_reader(tmp_path: Path, text: str) -> None:
    write((Manifest(path=Path("a.yaml"), body={"value": text}),), tmp_path)
    written = (tmp_path / "a.yaml").read_text()
    assert written.startswith(FIRST_LINE)
    quoted = f"value: '{text}'\n"
    assert written.endswith(quoted) or (text == "0x10" and yaml.safe_load(written) == {"value": text})


def broken(graph: Graph, **changes: Any) -> Graph:
    first = next(r for r in graph.resources if r.type == "kubernetes:core/v1:Namespace")
    inputs = {**first.inputs, **changes}
    return replace(
        graph,
        resources=(*graph.resources, replace(first, urn=first.urn + "-again", inputs=inputs)),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metadata": {}}, "write metadata.name"),
        ({"metadata": None}, "write metadata.name"),
        ({"kind": None}, "has no kind"),
        ({}, "is another object already"),
    ],
    ids=["no name", "no metadata", "no kind", "twice"],
)
def test_an_object_without_a_place_of_its_own_is_told(
    graph: Graph, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        manifests(broken(graph, **changes))


def test_a_name_cannot_lead_out_of_the_folder(graph: Graph) -> None:
    resource: Resource = next(r for r in graph.resources if r.type == "kubernetes:core/v1:Namespace")
    for name, place in (("../../x", None), ("x", "../../y")):
        metadata = {"name": name, "namespace": place}
        odd = replace(resource, urn=resource.urn + "-odd", inputs={**resource.inputs, "metadata": metadata})
        with pytest.raises(BadInput, match="is no name"):
            manifests(replace(graph, resources=(odd,)))
