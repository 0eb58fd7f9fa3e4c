"""Every mistake of the careless platform is caught, each by the control that should."""

from __future__ import annotations

import pytest

from blueprint.graph import STACK_TYPE
from blueprint.pack import RunningPack
from blueprint.verdict import Verdict
from tests.careless import cluster, data, edge, identity, learning, network
from tests.careless.mistakes import MISTAKES, Mistake, build_all
from tests.policies.cases import recorded

MODULES = (cluster, data, edge, identity, learning, network)
"""Importing them fills the list of mistakes."""


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    """The verdict over the whole careless platform: production, under the strictest reading."""
    with RunningPack() as pack:
        return pack.judge(recorded(build_all, tags={"environment": "prod", "profile": "hipaa"}))


def test_there_are_at_least_a_hundred_and_twenty() -> None:
    assert len({mistake.name for mistake in MISTAKES}) >= 120


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.control}-{mistake.name}")
def test_the_mistake_is_caught(mistake: Mistake, verdict: Verdict) -> None:
    about = {v.urn.split("::")[-1] for v in verdict.violations if v.control == mistake.control}
    stack = {v.urn for v in verdict.violations if v.control == mistake.control and STACK_TYPE in v.urn}
    wanted = mistake.name if mistake.on is None else mistake.on
    assert wanted in about if wanted else stack, f"{mistake.control} says nothing of {wanted or 'the stack'}"


def test_no_message_tells_a_value_of_the_program(verdict: Verdict) -> None:
    told = " ".join(v.problem + v.fix for v in verdict.violations)
    for secret in ("Sup3rS3cret9Zq", "correct-horse-battery", "b3BlbnNzaC1rZXktdjEAAAAA"):
        assert secret not in told
