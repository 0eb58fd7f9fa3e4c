"""Insecure edits: found everywhere, judged as the whole pack would judge them, and seen but for reasons given.

The full run is ``make mutate``; here a seeded sample stands for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from blueprint import program
from blueprint.errors import BadInput
from blueprint.graph import Graph
from blueprint.mutation import foreign, run, survivors, tables
from blueprint.mutation.families import home
from blueprint.mutation.judging import Judge, Judgement, judged
from blueprint.mutation.mutant import Edit, Mutant, Scene, bare, leaves, put, without, written
from blueprint.mutation.mutants import mutants
from blueprint.mutation.operators import OPERATORS
from blueprint.mutation.statements import loosened
from blueprint.pack import RunningPack
from blueprint.verdict import Finding, Violation
from tests.blueprint.commands import blueprint

ENVIRONMENT = "staging"
"""The one with everything: a certificate, a replica, two sizes of machines that train."""
SEED = 20270131
SAMPLE = 120


@pytest.fixture(scope="module")
def graph() -> Graph:
    return program.run(ENVIRONMENT)


@pytest.fixture(scope="module")
def every(graph: Graph) -> list[Mutant]:
    return list(mutants(ENVIRONMENT, graph))


@pytest.fixture(scope="module")
def judge(graph: Graph) -> Iterator[Judge]:
    with Judge() as running:
        running.open(graph)
        yield running


def test_there_are_thousands_and_each_is_told_from_every_other(every: Sequence[Mutant], graph: Graph) -> None:
    assert len(every) >= 1500
    assert len({mutant.key for mutant in every}) == len(every)
    assert [m.key for m in mutants(ENVIRONMENT, graph)] == [m.key for m in every]


def test_every_operator_finds_something(every: Sequence[Mutant]) -> None:
    assert {mutant.operator for mutant in every} == {operator.name for operator in OPERATORS}


def test_every_switch_of_the_graph_is_in_a_table(graph: Graph) -> None:
    unknown = {
        f"{resource.type}|{bare(path)}"
        for resource in graph.resources
        for path, value in leaves(resource.inputs)
        if isinstance(value, bool)
        and "tags" not in path
        and tables.row(tables.SWITCHES, resource.type, path) is None
        and tables.row(tables.NEUTRAL, resource.type, path) is None
    }
    assert unknown == set(), "say in blueprint/mutation/tables.py which value is secure, or why neither is"


def test_no_mutant_is_what_it_was_made_from(every: Sequence[Mutant], graph: Graph) -> None:
    by_urn = graph.by_urn()
    for mutant in every:
        assert mutant.edit.dropped or any(by_urn.get(r.urn) != r for r in mutant.edit.changed), mutant.key


def some(those: Sequence[Mutant], count: int, seed: int = SEED) -> list[Mutant]:
    return random.Random(seed).sample(those, min(count, len(those)))  # noqa: S311 - a sample, no secret


def edited(graph: Graph, edit: Edit) -> Graph:
    changed = {resource.urn: resource for resource in edit.changed}
    kept = [changed.pop(r.urn, r) for r in graph.resources if r.urn not in edit.dropped]
    return Graph(stack=graph.stack, resources=(*kept, *changed.values()))


def rooted(findings: frozenset[Finding], graph: Graph) -> set[Finding]:
    """Name the stack as a whole by its URN, as the workbench does."""
    root = Scene(graph).root.urn
    return {
        replace(f, urn=f.urn or root, mandatory=False)
        if isinstance(f, Violation)
        else replace(f, urn=f.urn or root)
        for f in findings
    }


def test_what_an_edit_changes_is_what_a_full_run_of_the_pack_would_say(
    graph: Graph, every: Sequence[Mutant], judge: Judge
) -> None:
    chosen = some(every, 4)
    chosen += [m for m in every if m.operator in ("drop", "move-region")][:1]
    before = rooted(judge.open(graph), graph)
    with RunningPack() as pack:
        for mutant in chosen:
            judgement = judge.judge(mutant)
            verdict = pack.judge(edited(graph, mutant.edit))
            full = rooted(frozenset([*verdict.violations, *verdict.undecided, *verdict.waived]), graph)
            partly = before | rooted(judgement.more, graph)
            assert partly - rooted(judgement.gone, graph) == full, mutant.key


def test_an_edit_leaves_nothing_behind_for_the_next(
    graph: Graph, every: Sequence[Mutant], judge: Judge
) -> None:
    # A second process that sees each mutant as a stack of its own says the same.
    chosen = some(every, 4, SEED + 1)
    before = judge.open(graph)
    with Judge() as other:
        for mutant in chosen:
            judgement = judge.judge(mutant)
            assert (before | judgement.more) - judgement.gone == other.open(edited(graph, mutant.edit)), (
                mutant.key
            )


def test_what_survives_has_a_reason(graph: Graph, every: Sequence[Mutant]) -> None:
    keys = run.sampled(every, SAMPLE, SEED)
    chosen = [mutant for mutant in every if mutant.key in keys]
    found = survivors.outcome(judged([(graph, chosen)]), survivors.reasons())
    assert [gap.mutant.key for gap in found.gaps] == []
    assert found.share > 0.9, "a sample strays by some percent; make mutate asks for 97"


def test_no_reason_is_stale(graph: Graph, every: Sequence[Mutant], judge: Judge) -> None:
    judge.open(graph)
    stale = []
    for reason in survivors.reasons():
        fitting = [mutant for mutant in every if reason.fits(mutant)]
        if all(judge.judge(mutant).killed for mutant in some(fitting, 60)):
            stale.append(f"{reason.operator} {reason.type} {reason.field}: {reason.because}")
    assert stale == [], "take these reasons out of explained.yaml"


def mutant_of(graph: Graph, type_: str, path: tuple[str, ...], value: object) -> Mutant:
    scene = Scene(graph)
    resource = graph.of(type_)[0]
    edit = Edit(field=written(path), what="changed", changed=(scene.put(resource, path, value),))
    return Mutant(environment=ENVIRONMENT, operator="test", subject=resource, edit=edit, families=home(type_))


def test_a_control_of_another_family_kills_nothing(graph: Graph, judge: Judge) -> None:
    judge.open(graph)
    opened = mutant_of(graph, "aws:rds/instance:Instance", ("publiclyAccessible",), True)
    judgement = judge.judge(opened)
    assert "DAT-02" in judgement.killed_by
    assert judgement.killed
    assert not Judgement(
        mutant=replace(opened, families=frozenset({"GPU"})), more=judgement.more, gone=frozenset()
    ).killed


def test_an_edit_without_harm_survives(graph: Graph, judge: Judge) -> None:
    judge.open(graph)
    harmless = mutant_of(graph, "aws:rds/instance:Instance", ("allocatedStorage",), 21)
    assert judge.judge(harmless).killed_by == frozenset()


def test_a_survivor_without_a_reason_is_a_gap(graph: Graph, judge: Judge) -> None:
    judge.open(graph)
    judgement = judge.judge(mutant_of(graph, "aws:rds/instance:Instance", ("allocatedStorage",), 21))
    found = survivors.outcome([judgement], [])
    assert found.gaps == [judgement]
    assert not found.passed
    reason = survivors.Reason(operator="test", type="aws:rds/*", because="more storage harms nobody at all")
    explained = survivors.outcome([judgement], [reason])
    assert explained.gaps == []
    assert not explained.passed, "no list of reasons makes up for a pack that sees too little"


def test_a_change_of_a_key_moves_the_dependency_with_it(graph: Graph) -> None:
    scene = Scene(graph)
    topic = graph.of("aws:sns/topic:Topic")[0]
    other = next(
        key
        for key in graph.of("aws:kms/key:Key")
        if key.urn not in topic.property_dependencies["kmsMasterKeyId"]
    )
    moved = scene.put(topic, ("kmsMasterKeyId",), other.outputs["arn"])
    assert moved.property_dependencies["kmsMasterKeyId"] == (other.urn,)
    assert moved.outputs["kmsMasterKeyId"] == other.outputs["arn"]


def test_paths_lead_where_they_say() -> None:
    value = {"a": [{"b": 1}, {"b": 2}]}
    assert list(leaves(value)) == [(("a", 0, "b"), 1), (("a", 1, "b"), 2)]
    assert put(value, ("a", 1, "b"), 3) == {"a": [{"b": 1}, {"b": 3}]}
    assert put(value, ("c", "d"), 1) == {**value, "c": {"d": 1}}
    assert without(value, ("a", 0)) == {"a": [{"b": 2}]}
    assert written(("a", 0, "b")) == "a[0].b"


def test_a_policy_is_loosened_statement_by_statement() -> None:
    document = {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": ["arn:aws:s3:::b/*"],
                "Condition": {"StringEquals": {"aws:PrincipalTag/team": "a", "aws:RequestTag/x": "y"}},
            },
            {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["*"]},
        ]
    }
    found = {(field, what) for field, what, _ in loosened(document, "aws:iam/policy:Policy")}
    assert found == {
        ("", "everything for everybody added"),
        ("Statement[0].Action", "→ *"),
        ("Statement[0].Action", "s3:* added"),
        ("Statement[0].Resource", "→ *"),
        ("Statement[0].Condition", "taken out"),
        ("Statement[0].Condition.StringEquals.aws:PrincipalTag/team", "taken out"),
        ("Statement[0].Condition.StringEquals.aws:RequestTag/x", "taken out"),
        ("Statement[1]", "refusal taken out"),
        ("Statement[1].Condition", "spares everybody"),
    }


def test_every_neutral_and_unprotecting_thing_has_its_reason() -> None:
    short = [
        key
        for table in (tables.NEUTRAL, foreign.NOT_PROTECTING)
        for key, why in table.items()
        if len(why) < 6
    ]
    assert short == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- operator: drop\n", "type"),
        ("- operator: drop\n  type: '*'\n  because: short\n", "because"),
        ("- operator: [\n", "cannot be read"),
        ("- operator: drop\n  type: '*'\n  because: because it is so, and always was\n  why: x\n", "why"),
        ("drop: 1\n", "explained.yaml"),
    ],
)
def test_a_reason_that_cannot_be_used_is_located(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=says) as told:
        survivors.reasons(path)
    assert "\n" not in str(told.value)


def test_the_command_says_what_it_found_and_refuses_what_it_cannot_do() -> None:
    ran = blueprint("mutate", "dev", "--sample", "3", "--format", "json")
    assert ran.returncode in (0, 1), ran.stderr
    assert '"mutants": 3' in ran.stdout
    for arguments, says in (
        (["mutate", "prd"], "did you mean prod?"),
        (["mutate", "--sample", "0"], "write a whole number"),
        (["mutate", "dev", "--write"], "leave ENV and --sample out"),
    ):
        refused = blueprint(*arguments)
        assert refused.returncode == 2
        assert says in refused.stderr
        assert "Traceback" not in refused.stderr


def test_the_page_shows_the_reasons_that_hold() -> None:
    page = run.PAGE.read_text()
    for reason in survivors.reasons():
        assert survivors.cell(reason.because) in page, "make mutate writes the page anew"
    assert "no reason yet" not in page
