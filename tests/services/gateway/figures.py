"""Figures of copying and inverting a model by asking, side by side: ``python -m tests.services.gateway.figures``.

Digits (scikit-learn's, 8 by 8), a network of one hidden layer and a logistic model, each trained on 600; everything is
seeded. It takes some minutes on one core.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from services.screens.novelty import Novelty, calibrated
from tests.services.gateway import attacks
from tests.services.gateway.attacks import RULES, Floats, Rule, Victim, victim

SEEDS = range(5)
TOLD: Mapping[str, Rule | None] = {"all scores": None, **RULES}


def chance(seed: int) -> np.random.Generator:
    """Return the chance of one run."""
    return np.random.default_rng(3000 + seed)


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Print a table."""
    width = max(map(len, rows)) + 2
    sys.stdout.write(f"\n{title}\n{'':{width}}" + "".join(f"{each:>14}" for each in columns) + "\n")
    for name, cells in rows.items():
        sys.stdout.write(f"{name:{width}}" + "".join(f"{each:>14}" for each in cells) + "\n")
    sys.stdout.flush()


def mean(of: Callable[[int], float]) -> str:
    """Return the mean over the seeds, as it is printed."""
    return f"{np.mean([of(seed) for seed in SEEDS]):.3f}"


def equations() -> None:
    """Print what solving for a logistic model's weights yields."""

    def one(count: int, rule: Rule | None, seed: int) -> float:
        of = victim("logistic", seed)
        return attacks.solved(of.through(rule), count, of, chance(seed))

    rows = {
        f"{count} queries": [mean(lambda seed, c=count, r=rule: one(c, r, seed)) for rule in TOLD.values()]  # type: ignore[misc]
        for count in (65, 130, 650, 2600)
    }
    table("Equations against a logistic model: agreement of what was solved with the model", list(TOLD), rows)


Asked = Callable[[Victim, Rule | None, int, int], tuple[Floats, Floats]]


def _plain(queries: Callable[[Victim, int, np.random.Generator], Floats]) -> Asked:
    def asked(of: Victim, rule: Rule | None, count: int, seed: int) -> tuple[Floats, Floats]:
        inputs = queries(of, count, chance(seed))
        return inputs, of.through(rule)(inputs)

    return asked


COPIES: Mapping[str, Asked] = {
    "digits of one's own": _plain(lambda of, count, _: of.pool[:count]),
    "mixed from 50 digits": _plain(lambda of, count, luck: attacks.mixed(of.pool[:50], count, luck)),
    "jacobian from 50": lambda of, rule, count, seed: attacks.jacobian(
        of.through(rule), of.pool[:50], count, 0.1, chance(seed)
    ),
    "noise": _plain(lambda of, count, luck: attacks.noise(count, luck)),
}


def copies() -> None:
    """Print how well students learn from so many answers."""
    for name, asked in COPIES.items():
        rows = {}
        for count in (100, 200, 400, 800):

            def one(seed: int, rule: Rule | None, count: int = count, asked: Asked = asked) -> float:
                of = victim("mlp", seed)
                return attacks.copied(*asked(of, rule, count, seed), of)

            rows[f"{count} queries"] = [
                mean(lambda seed, r=rule: one(seed, r))  # type: ignore[misc]
                for rule in TOLD.values()
            ]
        table(f"A copy that learns from {name}: agreement with the network", list(TOLD), rows)


STREAMS: Mapping[str, Callable[[Victim, np.random.Generator], Floats]] = {
    "digits of one's own, each once": lambda of, _: of.pool,
    "digits of one's own, drawn": lambda of, luck: of.pool[luck.integers(0, len(of.pool), 2000)],
    "digits, scanned with noise of 0.02": lambda of, luck: np.clip(
        of.pool + luck.normal(0, 0.02, of.pool.shape), 0, 1
    ).astype(np.float32),
    "three kinds of digits alone": lambda of, _: of.pool[of.scores(of.pool).argmax(1) < 3],
    "noise": lambda of, luck: attacks.noise(1000, luck),
    "jitter of 0.05 around 20": lambda of, luck: attacks.jitter(of.pool[:20], 1000, 0.05, luck),
    "jitter of 0.2 around 20": lambda of, luck: attacks.jitter(of.pool[:20], 1000, 0.2, luck),
    "jitter of 0.1 around 200": lambda of, luck: attacks.jitter(of.pool[:200], 1000, 0.1, luck),
    "jacobian, steps of 0.1": lambda of, luck: attacks.jacobian(
        of.through(None), of.pool[:50], 1000, 0.1, luck
    )[0],
    "jacobian, steps of 0.25": lambda of, luck: attacks.jacobian(
        of.through(None), of.pool[:50], 1000, 0.25, luck
    )[0],
    "climbing a score": lambda of, luck: attacks.climbed(of.through(None), 3, 1000, luck)[1],
    "mixed from 50 digits": lambda of, luck: attacks.mixed(of.pool[:50], 1000, luck),
}


def watching() -> None:
    """Print when the watch speaks, and what the novelty screen would have refused at one false alarm in a hundred."""
    rows = {}
    for name, stream in STREAMS.items():
        found, tests, novel = [], set(), []
        for seed in range(10):
            of = victim("mlp", seed)
            inputs = stream(of, chance(seed))
            if noticed := attacks.noticed(of, inputs):
                found.append(noticed[0])
                tests.add(noticed[1].test)
            screen = Novelty(*calibrated(of.trained_on, of.held_out, false_positive_rate=0.01))
            novel.append(float((screen.scores(inputs) > screen.threshold).mean()))
        when = f"{int(np.median(found))} ({min(found)}-{max(found)})" if found else "-"
        rows[name] = [f"{len(found)} of 10", when, "+".join(sorted(tests)), f"{np.mean(novel):.0%}"]
    table("Who is suspected", ["suspected", "after queries", "test", "also novel"], rows)


def inversions() -> None:
    """Print how much what was drawn out of the model is like the mean digits."""

    def held(seed: int) -> float:
        return attacks.likeness(attacks.inverted(victim("mlp", seed), 500), victim("mlp", seed))

    def climbed(rule: Rule | None, count: int, seed: int) -> float:
        of = victim("mlp", seed)
        images = [attacks.climbed(of.through(rule), digit, count, chance(seed))[0] for digit in range(10)]
        return attacks.likeness(np.stack(images), of)

    def averaged(rule: Rule | None, count: int, seed: int) -> float:
        of = victim("mlp", seed)
        return attacks.likeness(attacks.averaged(of.through(rule), count, chance(seed)), of)

    rows: dict[str, list[str]] = {"who has the model (MIFace)": [mean(held)]}
    for count in (160, 1000, 4000):
        rows[f"climbing, {count} queries a class"] = [
            mean(lambda seed, r=rule, c=count: climbed(r, c, seed))  # type: ignore[misc]
            for rule in TOLD.values()
        ]
    for count in (150, 2000, 20_000):
        rows[f"averaging {count} images of noise"] = [
            mean(lambda seed, r=rule, c=count: averaged(r, c, seed))  # type: ignore[misc]
            for rule in TOLD.values()
        ]
    table("Inversion: correlation with the mean digits of the training data", list(TOLD), rows)


def main() -> None:
    """Print all tables."""
    # Warnings of the toolbox about its own code.
    warnings.simplefilter("ignore")
    for print_table in (equations, copies, watching, inversions):
        print_table()


if __name__ == "__main__":
    main()
