"""Every control accepts what it should and refuses what it must, resolved and with unknowns."""

from __future__ import annotations

import pytest

from blueprint.pack import RunningPack
from controls import CATALOGUE
from tests.policies import (
    case_acc,
    case_aud,
    case_aud_watch,
    case_dat,
    case_edg,
    case_eks,
    case_eks_inside,
    case_eks_pods,
    case_federation,
    case_gpu,
    case_iam,
    case_iam_policies,
    case_key,
    case_key_use,
    case_mls,
    case_net,
    case_red,
    case_refusals,
    case_res,
    case_second_lines,
    case_sto,
)
from tests.policies.cases import Case, judged, problems, waits

CASES: list[Case] = [
    case
    for family in (
        case_net,
        case_acc,
        case_iam,
        case_iam_policies,
        case_key,
        case_key_use,
        case_dat,
        case_edg,
        case_aud,
        case_aud_watch,
        case_red,
        case_refusals,
        case_second_lines,
        case_sto,
        case_eks,
        case_eks_pods,
        case_eks_inside,
        case_gpu,
        case_mls,
        case_federation,
        case_res,
    )
    for case in family.CASES
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_compliant_program_passes(case: Case, pack: RunningPack) -> None:
    verdict = judged(pack, case.compliant, tags=case.tags)
    assert problems(verdict, case.control) == []
    assert waits(verdict, case.control) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_violating_program_is_refused(case: Case, pack: RunningPack) -> None:
    found = problems(judged(pack, case.violating, tags=case.tags), case.control)
    assert any(case.mentions in problem for problem in found), found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_with_unknowns_a_compliant_program_is_not_refused(case: Case, pack: RunningPack) -> None:
    verdict = judged(pack, case.compliant, tags=case.tags, unknowns=True)
    assert problems(verdict, case.control) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_with_unknowns_a_violating_program_never_passes(case: Case, pack: RunningPack) -> None:
    verdict = judged(pack, case.violating, tags=case.tags, unknowns=True)
    assert problems(verdict, case.control) or waits(verdict, case.control)


def test_every_control_has_its_cases() -> None:
    assert {case.control for case in CASES} == {control.id for control in CATALOGUE}


def test_no_id_is_used_twice() -> None:
    ids = [control.id for control in CATALOGUE]
    assert len(ids) == len(set(ids))


def test_every_control_tells_what_to_do() -> None:
    assert [control.id for control in CATALOGUE if len(control.remedy.split()) < 4] == []
