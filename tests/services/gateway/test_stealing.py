"""Copying a model by asking: what rounded answers, the watch and the budget leave of it.

Every test runs the same attack on the model's own scores, to see that it would succeed. Bigger sizes:
``python -m tests.services.gateway.figures``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.gateway.budget import Budget
from services.gateway.ledgers import SqliteLedger
from services.gateway.outputs import LABEL_ONLY
from services.shared.problems import Problem
from tests.services.gateway import attacks
from tests.services.gateway.attacks import RULES, Floats, Victim, victim

SEEDS = range(3)


def chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(1000 + seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_equations_give_a_model_away_whose_scores_are_told_and_no_other(seed: int) -> None:
    """A logistic model of 650 weights falls to 130 queries, in whole."""
    of = victim("logistic", seed)
    assert attacks.solved(of.through(None), 130, of, chance(seed)) > 0.95
    for name, rule in RULES.items():
        assert attacks.solved(of.through(rule), 130, of, chance(seed)) < 0.75, name


def test_a_copy_is_the_worse_the_less_is_told() -> None:
    """From fifty digits and fifty made out of them, the most that a student learns from as many answers."""

    def mean(rule: attacks.Rule | None) -> float:
        return float(np.mean([_by_jacobian(victim("mlp", seed), rule, 100, seed) for seed in SEEDS]))

    told = mean(None)
    assert told > 0.75, "the attack works where scores are told"
    assert mean(RULES["one decimal"]) < told - 0.01
    assert mean(RULES["label"]) < told - 0.03


def _by_jacobian(of: Victim, rule: attacks.Rule | None, count: int, seed: int) -> float:
    asked, answers = attacks.jacobian(of.through(rule), of.pool[:50], count, 0.1, chance(seed))
    return attacks.copied(asked, answers, of)


MADE: dict[str, tuple[int, Callable[[Victim, int], Floats]]] = {
    "noise": (180, lambda of, seed: attacks.noise(400, chance(seed))),
    "jitter": (250, lambda of, seed: attacks.jitter(of.pool[:20], 400, 0.1, chance(seed))),
    "jacobian": (
        300,
        lambda of, seed: attacks.jacobian(of.through(LABEL_ONLY), of.pool[:50], 400, 0.1, chance(seed))[0],
    ),
    "climbing": (180, lambda of, seed: attacks.climbed(of.through(None), seed, 400, chance(seed))[1]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("made", MADE)
def test_queries_that_are_made_are_noticed(made: str, seed: int) -> None:
    within, ask = MADE[made]
    of = victim("mlp", seed)
    found = attacks.noticed(of, ask(of, seed))
    assert found is not None
    number, suspicion = found
    assert number <= within
    assert suspicion.news


@pytest.mark.parametrize("seed", range(8))
def test_clients_with_digits_of_their_own_are_not_suspected(seed: int) -> None:
    of = victim("mlp", seed)
    scanned = of.pool + chance(seed).normal(0, 0.02, of.pool.shape)
    for stream in (
        of.pool,
        of.pool[chance(seed).integers(0, len(of.pool), 1500)],
        np.clip(scanned, 0, 1).astype(np.float32),
        np.repeat(of.pool[:30], 40, axis=0),
    ):
        assert attacks.noticed(of, stream) is None


def test_a_days_budget_bounds_a_copy_that_nothing_else_notices(tmp_path: Path) -> None:
    """Digits of one's own look like a client's, and are one; what is left is how many are answered a day."""
    daily = 100

    async def answered(budget: Budget, of: Victim) -> int:
        count = 0
        for _ in of.pool:
            try:
                await budget.take("ward/thief", "digits", 1, daily)
            except Problem:
                break
            count += 1
        return count

    found, unbounded = [], []
    for seed in SEEDS:
        of = victim("mlp", seed)
        assert attacks.noticed(of, of.pool) is None
        budget = Budget(SqliteLedger(tmp_path / f"{seed}.sqlite"))
        count = asyncio.run(answered(budget, of))
        assert count == daily
        answers = of.through(LABEL_ONLY)(of.pool)
        found.append(attacks.copied(of.pool[:count], answers[:count], of))
        unbounded.append(attacks.copied(of.pool, answers, of))
    assert np.mean(found) < np.mean(unbounded) - 0.04
