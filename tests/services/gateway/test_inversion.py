"""Drawing training data out of a model by asking: likeness of what comes out to the mean digits, as a correlation.

Bigger sizes: ``python -m tests.services.gateway.figures``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.services.gateway import attacks
from tests.services.gateway.attacks import RULES, Rule, victim

SEEDS = range(3)
QUERIES = 1000
"""For each class."""


def chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(2000 + seed)


@cache
def climbed(rule: Rule | None) -> float:
    """Return the likeness that climbing reaches, over seeds and classes."""
    found = []
    for seed in SEEDS:
        of = victim("mlp", seed)
        images = [attacks.climbed(of.through(rule), digit, QUERIES, chance(seed))[0] for digit in range(10)]
        found.append(attacks.likeness(np.stack(images), of))
    return float(np.mean(found))


def test_scores_let_an_asker_climb_nearly_as_high_as_who_has_the_model() -> None:
    """The attack that the others are measured by is no straw man."""
    best = float(
        np.mean(
            [
                attacks.likeness(attacks.inverted(victim("mlp", seed), 100), victim("mlp", seed))
                for seed in SEEDS
            ]
        )
    )
    assert climbed(None) > 0.35
    assert climbed(None) > 0.7 * best


def test_a_coarse_grid_leaves_little_to_climb() -> None:
    for name in ("one decimal", "best three"):
        assert climbed(RULES[name]) < 0.6 * climbed(None), name
    assert climbed(RULES["two decimals"]) < 0.75 * climbed(None)


def test_a_label_leaves_nothing_to_climb() -> None:
    assert climbed(RULES["label"]) < 0.1


def test_whoever_climbs_is_noticed_before_there_is_a_picture() -> None:
    """Whatever is told, the watch has seen enough after a fraction of the queries."""
    for seed in SEEDS:
        of = victim("mlp", seed)
        pictures = []
        for digit in range(10):
            _, asked = attacks.climbed(of.through(None), digit, 400, chance(seed))
            found = attacks.noticed(of, asked)
            assert found is not None
            number, suspicion = found
            assert number <= 200
            assert suspicion.test == "spread"
            pictures.append(attacks.climbed(of.through(None), digit, number, chance(seed))[0])
        assert attacks.likeness(np.stack(pictures), of) < 0.75 * climbed(None)


def test_averaging_noise_is_noticed_before_there_is_a_picture() -> None:
    """Labels alone give a picture to whoever may average enough of them; nobody may."""
    few, many = [], []
    for seed in SEEDS:
        of = victim("mlp", seed)
        found = attacks.noticed(of, attacks.noise(400, chance(seed)))
        assert found is not None
        ask = of.through(RULES["label"])
        few.append(attacks.likeness(attacks.averaged(ask, found[0], chance(seed)), of))
        many.append(attacks.likeness(attacks.averaged(ask, 10_000, chance(seed)), of))
    assert np.mean(many) > 0.2, "the attack works where nobody watches"
    assert np.mean(few) < 0.5 * np.mean(many)
