"""Whatever a graph holds, the running pack answers: it never crashes, and never passes what it could not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from blueprint.errors import BadInput
from blueprint.graph import SECRET, SIGNATURE, UNKNOWN, Graph, Resource
from blueprint.pack import RunningPack
from blueprint.verdict import Verdict
from controls import CATALOGUE
from controls.iam import DOORS
from machinery.grants import IDENTITY_POLICIES, RESOURCE_POLICIES
from machinery.subject import Resource as Subject
from tests.policies.cases import Case, problems, recorded, waits
from tests.policies.test_controls import CASES

ONE_EACH: dict[str, Case] = {case.control: case for case in reversed(CASES)}
"""The first case of each control."""


def everywhere(graph: Graph, change: Callable[[Any], Any]) -> Graph:
    """Return the graph with every scalar of its resources changed; what the stack says of itself stays."""
    return replace(
        graph,
        resources=tuple(
            resource
            if resource.type.startswith("pulumi:")
            else replace(
                resource, inputs=_within(resource.inputs, change), outputs=_within(resource.outputs, change)
            )
            for resource in graph.resources
        ),
    )


def _within(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        marked = SIGNATURE in value
        return value if marked else {key: _within(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_within(item, change) for item in value]
    return change(value)


def said(verdict: Verdict, control: str) -> list[str]:
    return problems(verdict, control) or waits(verdict, control)


@pytest.mark.parametrize("case", ONE_EACH.values(), ids=lambda case: case.control)
def test_a_secret_hides_nothing(case: Case, pack: RunningPack) -> None:
    graph = everywhere(
        recorded(case.violating, tags=case.tags), lambda value: {SIGNATURE: SECRET, "value": value}
    )
    assert problems(pack.judge(graph), case.control)


TOLD_ELSEWHERE = {
    "KEY-09": "KEY-04 waits for the key",
    "NET-11": "a description that is not known yet is one",
    "NET-15": "NET-01 waits for the range",
    "NET-16": "NET-01 waits for the ranges",
}


@pytest.mark.parametrize("case", ONE_EACH.values(), ids=lambda case: case.control)
def test_what_nobody_knows_never_passes(case: Case, pack: RunningPack) -> None:
    verdict = pack.judge(everywhere(recorded(case.violating, tags=case.tags), lambda _: UNKNOWN))
    assert bool(said(verdict, case.control)) is (case.control not in TOLD_ELSEWHERE)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda value: "x" * (1 << 20) if isinstance(value, str) and len(value) > 20 else value,
        lambda _: [[[]]],
        lambda _: {"": {"": None}},
        lambda _: -1e308,
        lambda value: "\x00￿" if isinstance(value, str) else value,
    ],
    ids=["null", "a megabyte", "lists", "objects", "a number", "no text"],
)
def test_odd_values_everywhere_get_an_answer(change: Callable[[Any], Any], pack: RunningPack) -> None:
    for case in list(ONE_EACH.values())[::13]:
        graph = everywhere(recorded(case.violating, tags=case.tags), change)
        assert pack.judge(graph).resource_count == len(graph.resources)


def broken(graph: Graph, change: Callable[[Resource], Resource]) -> Graph:
    return replace(graph, resources=tuple(map(change, graph.resources)))


NOWHERE = "urn:pulumi:test::secure-ml-platform::aws:s3/bucket:Bucket::nowhere"


def _lost(resource: Resource) -> Resource:
    """Cut a resource off: parent, provider and dependencies lead to what is not there."""
    return replace(
        resource,
        parent=NOWHERE if resource.parent else "",
        provider=f"{NOWHERE}::id" if resource.provider else "",
        dependencies=(NOWHERE,),
        property_dependencies=dict.fromkeys(resource.inputs, (NOWHERE,)),
    )


def _around(resource: Resource) -> Resource:
    """Let a resource be its own parent and need itself."""
    return replace(
        resource,
        parent=resource.urn if resource.parent else "",
        dependencies=(resource.urn,),
        property_dependencies=dict.fromkeys(resource.inputs, (resource.urn,)),
    )


def _strange(resource: Resource) -> Resource:
    return resource if resource.type.startswith("pulumi:") else replace(resource, type="aws:new/thing:Thing")


@pytest.mark.parametrize("change", [_lost, _around, _strange])
def test_graphs_that_no_engine_writes_get_an_answer(
    change: Callable[[Resource], Resource], pack: RunningPack
) -> None:
    for case in ONE_EACH.values():
        verdict = pack.judge(broken(recorded(case.violating, tags=case.tags), change))
        assert verdict.resource_count >= 2


def test_what_has_no_provider_is_refused_for_it(pack: RunningPack) -> None:
    verdict = pack.judge(broken(recorded(ONE_EACH["STO-01"].violating), _lost))
    assert problems(verdict, "RES-02")


@pytest.mark.parametrize("levels", [90, 200, 900])
def test_what_is_nested_too_deeply_is_told_or_judged(levels: int, pack: RunningPack) -> None:
    deep: Any = "x"
    for _ in range(levels):
        deep = {"a": deep}
    graph = broken(
        recorded(ONE_EACH["IAM-01"].violating),
        lambda r: (
            r
            if r.type.startswith("pulumi:")
            else replace(r, inputs={"policy": deep}, outputs={"policy": deep})
        ),
    )
    if levels < 100:
        assert problems(pack.judge(graph), "IAM-01")
    else:
        with pytest.raises(BadInput, match="has a property that is nested more than 100 levels deep"):
            pack.judge(graph)
    # The pack is still there for who comes next.
    assert problems(pack.judge(recorded(ONE_EACH["IAM-01"].violating)), "IAM-01")


DOCUMENTS = {**IDENTITY_POLICIES, **RESOURCE_POLICIES, **DOORS, "aws:s3/bucketPolicy:BucketPolicy": "policy"}
"""Where policy documents stand."""


@pytest.mark.parametrize("type_", sorted(DOCUMENTS))
@pytest.mark.parametrize("text", ["no json", "[]", '{"Statement": 3}', "[" * 100_000, "x" * (1 << 20)])
def test_a_document_that_is_none_never_passes(type_: str, text: str) -> None:
    subject = Subject(value={DOCUMENTS[type_]: text}, urn="urn", type=type_)
    found = [
        outcome
        for control in CATALOGUE
        if not control.needs_stack and type_ in control.on and control.severity.mandatory
        for outcome in control.judge_resource(subject)
        if DOCUMENTS[type_] in outcome.path
    ]
    assert found
