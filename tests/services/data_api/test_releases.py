"""Private training: a model is charged before it is trained, once, with its delta, by whoever may make one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from services.data_api.budget import Ledger
from services.data_api.database import Database
from services.data_api.declarations import Budget, Dataset, load
from services.data_api.settings import HERE, read
from services.shared.data_client import BUDGET_EXHAUSTED, DataApiClient, DataApiError
from services.shared.problems import Problem
from tests.services.data_api.conftest import World

DATASET = load(HERE / "datasets")["breast_cancer"]


def named(letter: str) -> str:
    return f"sha256:{letter * 64}"


def release(world: World, letter: str, *, token: str | None = None, **changes: Any) -> httpx.Response:
    asked = {"purpose": "model-training", "release": named(letter), "milli_epsilon": 500, "pico_delta": 10**7}
    path = "/v1/datasets/breast_cancer/releases"
    return world.call("POST", path, token=token, json={**asked, **changes})


def remaining(world: World) -> int:
    question = {"kind": "count", "milli_epsilon": 1}
    answer = world.call("POST", "/v1/datasets/breast_cancer/estimates", json=question)
    return int(answer.json()["remaining_milli_epsilon"])


def test_a_release_is_charged_once_however_often_it_is_asked(world: World) -> None:
    before = remaining(world)
    answers = [release(world, "a") for _ in range(3)]
    assert [answer.json()["charged"] for answer in answers] == [True, False, False]
    assert {answer.json()["remaining_milli_epsilon"] for answer in answers} == {before - 500}
    assert remaining(world) == before - 500


def test_the_same_name_for_something_else_is_refused(world: World) -> None:
    release(world, "b")
    for answer in (release(world, "b", milli_epsilon=501), release(world, "b", pico_delta=1)):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem:another-release")


def test_delta_has_a_budget_of_its_own(world: World) -> None:
    before = remaining(world)
    answer = release(world, "c", pico_delta=DATASET.budget.dataset_pico_delta)
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:problem:budget-exhausted")
    assert remaining(world) == before, "nothing is charged where one of both is too little"


def test_epsilon_is_the_budget_of_all_other_queries(world: World) -> None:
    answer = release(world, "d", milli_epsilon=100_000)
    assert answer.status_code == 429
    client = DataApiClient(world.address, token=world.issuer.token, tls=world.context())
    asked = {"purpose": "model-training", "release": named("d"), "milli_epsilon": 100_000, "pico_delta": 1}
    with pytest.raises(DataApiError) as refused:
        client.release("breast_cancer", asked)
    client.close()
    assert refused.value.kind == BUDGET_EXHAUSTED
    denied = [json.loads(row[0]) for row in world.sql("SELECT body FROM audit.event")]
    assert any(e["event"] == "release" and e.get("reason") == "budget-exhausted" for e in denied)


def test_every_charge_is_an_event(world: World) -> None:
    release(world, "e")
    events = [json.loads(row[0]) for row in world.sql("SELECT body FROM audit.event ORDER BY sequence")]
    (opened,) = [e for e in events if e.get("release") == named("e") and e["phase"] == "opened"]
    assert (opened["milli_epsilon"], opened["pico_delta"], opened["event"]) == (500, 10**7, "release")


@pytest.mark.parametrize(
    ("subject", "purpose"),
    [
        ("redteam:redteam", "model-training"),
        ("analysis:notebook", "model-training"),
        ("training:trainer", "marketing"),
    ],
)
def test_only_who_makes_models_spends_for_them(world: World, subject: str, purpose: str) -> None:
    token = world.issuer.token(subject)
    assert release(world, "f", token=token, purpose=purpose).status_code == 403


def test_the_declaration_must_give_delta() -> None:
    assert Budget(caller_milli_epsilon=1, dataset_milli_epsilon=1).dataset_pico_delta == 0


def test_the_schema_tells_whose_the_rows_are(world: World) -> None:
    assert world.call("GET", "/v1/datasets/breast_cancer").json()["privacy_unit"] == "patient"


def together(world: World, dataset: Dataset, names: list[str], pico_delta: int) -> int:
    async def run() -> int:
        database = Database(read(world.environment))
        ledger = Ledger(database)

        async def one(number: int, name: str) -> bool:
            try:
                charged, _ = await ledger.release(
                    dataset, "a/a", name, milli=10, pico_delta=pico_delta, request_id=f"request-{number}"
                )
            except Problem as problem:
                if problem.kind == "budget-exhausted":
                    return False
                raise
            return charged

        try:
            return sum(await asyncio.gather(*(one(n, name) for n, name in enumerate(names))))
        finally:
            await database.close()

    return asyncio.run(run())


def test_100_at_once_never_overspend_and_never_pay_twice(world: World) -> None:
    budget = Budget(caller_milli_epsilon=10_000, dataset_milli_epsilon=10_000, dataset_pico_delta=700)
    dataset = DATASET.model_copy(update={"name": "race_releases", "budget": budget})
    assert together(world, dataset, ["the same"] * 50, 100) == 1
    assert together(world, dataset, [f"model {n}" for n in range(50)], 100) == 6
    (spent,) = world.sql(
        "SELECT spent_milli, spent_pico_delta FROM budget.account WHERE dataset = 'race_releases' AND principal = '*'"
    )
    assert tuple(spent) == (70, 700)
