"""No property, however odd, makes a control crash: a crash would fail every preview of the fork that has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controls import CATALOGUE
from machinery.control import Control
from machinery.stack import Stack
from machinery.subject import Resource
from machinery.values import UNKNOWN
from tests.policies.cases import recorded
from tests.policies.test_controls import CASES

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(
        [
            UNKNOWN,
            "",
            "*",
            "0.0.0.0/0",
            "::/0",
            "{",
            "[]",
            '{"Statement": null}',
            '{"Statement": [{"Effect": 1}]}',
            '{"Statement": {"Effect": "Allow", "Principal": [1], "Action": {"a": 1}, "Condition": []}}',
            "arn:aws:::",
            "\x00",
        ]
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.just(UNKNOWN)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.just(UNKNOWN), st.integers()), max_size=2),
)


def changed(value: Any, draw: Any) -> Any:
    """Return ``value`` with some of its parts replaced by odd ones."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ODD)
    if isinstance(value, dict):
        return {key: changed(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [changed(item, draw) for item in value]
    return value


def subjects(case: Any) -> list[Resource]:
    graph = recorded(case.violating)
    return [
        Resource(
            value=r.outputs,
            urn=r.urn,
            type=r.type,
            name=r.name,
            property_dependencies=r.property_dependencies,
        )
        for r in graph.resources
    ]


BY_FAMILY = {
    family: [c for c in CASES if c.control.startswith(family)]
    for family in sorted({c.control[:3] for c in CASES})
}
RECORDED: dict[str, list[list[Resource]]] = {}


@pytest.mark.parametrize("family", BY_FAMILY)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_odd_properties_never_crash_a_control(family: str, data: st.DataObject) -> None:
    if family not in RECORDED:
        RECORDED[family] = [subjects(case) for case in BY_FAMILY[family]]
    resources = data.draw(st.sampled_from(RECORDED[family]))
    odd = [
        Resource(
            **{
                **resource.__dict__,
                "value": changed(resource.value, data.draw) if isinstance(resource.value, dict) else {},
            }
        )
        for resource in resources
    ]
    odd = [r if isinstance(r.value, dict) else Resource(**{**r.__dict__, "value": {}}) for r in odd]
    judge_everything(odd)


def judge_everything(resources: list[Resource]) -> None:
    stack = Stack(resources)
    for control in CATALOGUE:
        if control.needs_stack:
            control.judge_stack(stack)
        else:
            judge_each(control, resources)


def judge_each(control: Control, resources: list[Resource]) -> None:
    for resource in resources:
        if not control.on or resource.type in control.on:
            control.judge_resource(resource)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"Statement": ' * 500, "x" * (1 << 20)])
def test_hostile_documents_are_violations(text: str) -> None:
    policy = Resource(value={"policy": text}, urn="urn", type="aws:iam/policy:Policy")
    for control in CATALOGUE:
        if control.id == "IAM-01":
            assert [type(o).__name__ for o in control.judge_resource(policy)] == ["Violation"]
