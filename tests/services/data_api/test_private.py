"""Privacy: the budget is never overspent, and the noise is what the theory says."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import numpy as np
import opendp.prelude as opendp
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from services.data_api import private
from services.data_api.budget import Ledger
from services.data_api.database import Database
from services.data_api.declarations import Budget, Dataset, load
from services.data_api.private import Aggregate
from services.data_api.settings import HERE, read
from services.shared.problems import Problem
from tests.services.data_api.conftest import World

DATASET = load(HERE / "datasets")["breast_cancer"]
dp: Any = opendp
DRAWS = 2000


def with_budget(name: str, caller: int, everybody: int) -> Dataset:
    budget = Budget(caller_milli_epsilon=caller, dataset_milli_epsilon=everybody)
    return DATASET.model_copy(update={"name": name, "budget": budget})


async def spends(world: World, dataset: Dataset, principals: list[str], cost: int) -> int:
    database = Database(read(world.environment))
    ledger = Ledger(database)

    async def one(number: int, principal: str) -> bool:
        try:
            await ledger.charge(dataset, principal, cost, f"request-{number}")
        except Problem as problem:
            if problem.kind == "budget-exhausted":
                return False
            raise
        return True

    try:
        done = await asyncio.gather(*(one(n, p) for n, p in enumerate(principals)))
    finally:
        await database.close()
    return sum(done)


def test_200_concurrent_spends_of_one_caller_never_overspend(world: World) -> None:
    dataset = with_budget("race_one", 1000, 10_000)
    assert asyncio.run(spends(world, dataset, ["a/a"] * 200, 30)) == 33
    (spent,) = world.sql(
        "SELECT spent_milli FROM budget.account WHERE dataset = 'race_one' AND principal = 'a/a'"
    )
    (written,) = world.sql("SELECT sum(milli)::bigint FROM budget.charge WHERE dataset = 'race_one'")
    assert spent[0] == written[0] == 990


def test_200_callers_together_never_overspend_the_dataset(world: World) -> None:
    dataset = with_budget("race_all", 1000, 2000)
    assert asyncio.run(spends(world, dataset, [f"n/{n}" for n in range(200)], 30)) == 66


def test_an_exhausted_budget_is_429_says_what_remains_and_survives_a_restart(world: World) -> None:
    token = world.issuer.token("redteam:redteam")
    question = {"kind": "count", "milli_epsilon": 2000}
    answers = [world.aggregate(question, token=token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[1].json()["remaining_milli_epsilon"] == 1000
    world.stop()
    world.start()
    refused = world.aggregate(question, token=token)
    assert refused.status_code == 429
    assert refused.json()["remaining_milli_epsilon"] == 1000
    denied = [json.loads(row[0]) for row in world.sql("SELECT body FROM audit.event")]
    assert any(e.get("outcome") == "budget-exhausted" and e["decision"] == "deny" for e in denied)


def test_an_estimate_costs_nothing_and_is_what_is_charged(world: World) -> None:
    question = {"kind": "mean", "column": "mean_radius", "milli_epsilon": 101}
    path = "/v1/datasets/breast_cancer/estimates"
    told = [world.call("POST", path, json=question).json() for _ in range(2)]
    assert told[0] == told[1]
    charged = world.aggregate(question).json()
    assert charged["cost_milli_epsilon"] == told[0]["cost_milli_epsilon"] == 101
    assert charged["remaining_milli_epsilon"] == told[0]["remaining_milli_epsilon"] - 101


def test_a_charge_is_kept_when_the_query_fails(world: World) -> None:
    question = {"kind": "sum", "column": "mean_area", "milli_epsilon": 77}
    path = "/v1/datasets/breast_cancer/estimates"
    before = world.call("POST", path, json=question).json()["remaining_milli_epsilon"]
    world.sql("ALTER TABLE clinical.breast_cancer RENAME TO away")
    try:
        assert world.aggregate(question).status_code == 503
    finally:
        world.sql("ALTER TABLE clinical.away RENAME TO breast_cancer")
    assert world.call("POST", path, json=question).json()["remaining_milli_epsilon"] == before - 77


def test_differencing_is_stopped_by_the_budget(world: World) -> None:
    """Two counts that differ in one patient's row, asked again and again until the noise averages out, or the budget ends."""
    token, differences = world.issuer.token("analysis:notebook"), []
    milli = 250
    while True:
        pair = [
            world.aggregate({"kind": "count", "filters": [wanted], "milli_epsilon": milli}, token=token)
            for wanted in (
                {"column": "sample", "op": "le", "value": 101},
                {"column": "sample", "op": "le", "value": 100},
            )
        ]
        if any(answer.status_code == 429 for answer in pair):
            break
        differences.append(pair[0].json()["value"] - pair[1].json()["value"])
    assert len(differences) <= DATASET.budget.caller_milli_epsilon // (2 * milli)
    assert world.aggregate({"kind": "count", "milli_epsilon": milli}, token=token).status_code == 429
    # The error that stays: Laplace noise of scale rows/epsilon in each answer, averaged over what the budget admits.
    scale = DATASET.privacy.most_rows / (milli / 1000)
    assert math.sqrt(2 * 2 * scale**2 / len(differences)) > 1


def test_one_unit_counts_with_its_declared_rows_only(world: World) -> None:
    """A patient with hundreds of rows must not move an answer by more than ``most_rows``."""
    from services.data_api.query import values

    text, arguments = values(DATASET, None, [], 10_000)
    sent = text
    for place, argument in reversed(list(enumerate(arguments, 1))):
        sent = sent.replace(f"${place}::", f"{argument}::")
    before = len(world.sql(sent)[0][0])
    world.sql(
        "INSERT INTO clinical.breast_cancer SELECT n, 'patient-0001', '10000', '1950-01-01', 1, 1, 1, 0.1, true, "
        "NULL, true FROM generate_series(90001, 90500) n"
    )
    try:
        assert len(world.sql(sent)[0][0]) <= before + DATASET.privacy.most_rows
    finally:
        world.sql("DELETE FROM clinical.breast_cancer WHERE sample > 90000")


@pytest.mark.parametrize("kind", ["count", "sum", "mean", "histogram", "quantile"])
def test_every_aggregate_answers(world: World, kind: str) -> None:
    column = None if kind == "count" else "mean_radius"
    answer = world.aggregate({"kind": kind, "column": column, "milli_epsilon": 50})
    assert answer.status_code == 200, answer.text


def test_categories_are_counted(world: World) -> None:
    answer = world.aggregate({"kind": "histogram", "column": "ward", "milli_epsilon": 50}).json()
    assert answer["categories"] == ["north", "south", "west"]
    assert len(answer["counts"]) == 3


@pytest.mark.parametrize("kind", ["count", "sum"])
def test_the_error_over_2000_draws_is_that_of_the_theory(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Laplace noise of scale b errs by b on average (Dwork and Roth, 2014, section 3.3)."""
    column = None if kind == "count" else "mean_radius"
    asked = Aggregate(kind=kind, column=column, milli_epsilon=1000)  # type: ignore[arg-type]
    values = np.linspace(5, 25, 500).tolist() if column else [1] * 500
    truth = sum(values)
    errors = np.array([abs(private.answer(DATASET, asked, values)["value"] - truth) for _ in range(DRAWS)])
    sensitivity = DATASET.privacy.most_rows * (30 if column else 1)
    # 2,000 draws of a spread b: the mean lies within 12% (five standard errors); integer noise errs by a bit less.
    assert errors.mean() == pytest.approx(sensitivity, rel=0.12)
    with capsys.disabled():
        print(f"\n{kind}: mean error {errors.mean():.3f}, theory {sensitivity:.3f}, {DRAWS} draws")


def test_the_median_is_near_the_truth() -> None:
    asked = Aggregate(kind="quantile", column="mean_radius", milli_epsilon=1000)
    values = np.random.default_rng(1).normal(14, 3, 3000).tolist()
    answers = [private.answer(DATASET, asked, values)["value"] for _ in range(200)]
    assert np.median(answers) == pytest.approx(14, abs=0.3)


@pytest.mark.parametrize("kind", ["count", "sum", "mean", "histogram", "quantile"])
@pytest.mark.parametrize("milli", [2, 101, 999, 10_000])
def test_a_query_costs_what_opendp_says_it_costs(kind: str, milli: int) -> None:
    column = None if kind == "count" else "mean_radius"
    asked = Aggregate(kind=kind, column=column, milli_epsilon=milli)  # type: ignore[arg-type]
    assert private.cost_milli(DATASET, asked) == milli


def test_the_ledger_never_says_less_than_the_accountants() -> None:
    """Sums of whole thousandths against OpenDP's composition, and against the tighter PLD of dp-accounting."""
    spent = [250, 333, 1000, 77]
    asked = [Aggregate(kind="count", milli_epsilon=milli) for milli in spent]
    parts = [private._parts(DATASET, question)[0][0] for question in asked]
    composed = dp.c.make_composition(parts).map(DATASET.privacy.most_rows)
    assert sum(spent) / 1000 == pytest.approx(composed, rel=1e-6)
    accountant = PLDAccountant()
    for milli in spent:
        accountant.compose(dp_event.LaplaceDpEvent(1000 / milli))
    assert accountant.get_epsilon(1e-6) <= sum(spent) / 1000 + 1e-3
