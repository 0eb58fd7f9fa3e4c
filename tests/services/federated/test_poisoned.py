"""Silos that lie: what is no update is refused, what is too large too, and robust means withstand what is neither."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Message
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat

from services.federated import models, privacy, samples
from services.federated.errors import FederatedError
from services.federated.models import Arrays
from services.federated.rounds import Updates
from services.federated.settings import Settings
from services.federated.updates import allowed, check, cut
from tests.services.federated.inprocess import Silos, settings

SILOS, ROUNDS = 6, 6

EVEN = 50.0
"""Silos much alike: what robust means need to tell a liar from a stranger."""


def examples(number: int) -> tuple[np.ndarray, np.ndarray]:
    return samples.partition(number, SILOS, concentration=EVEN)


def terms(aggregation: str = "mean", **changed: Any) -> Settings:
    robust = aggregation != "mean"
    return settings(
        **{
            "rounds": ROUNDS,
            "silos": SILOS,
            "threshold": 5,
            "learning_rate": 2.0,
            "aggregation": aggregation,
            "poisoned": 1 if robust else 0,
            **changed,
        }
    )


def lying(lie: Callable[[Arrays], Arrays]) -> Callable[[int, Message, Message], Message]:
    """Return a silo 0 that sends something else than its update."""

    def changed(silo: int, _asked: Message, answer: Message) -> Message:
        if silo != 0 or not answer.has_content():
            return answer
        result = compat.recorddict_to_fitres(answer.content, True)
        result.parameters = ndarrays_to_parameters(lie(parameters_to_ndarrays(result.parameters)))
        made = copy.copy(answer)
        made.content = compat.fitres_to_recorddict(result, False)
        return made

    return changed


def flipped(arrays: Arrays) -> Arrays:
    """As far in the wrong direction as the norm lets one go."""
    vector = -models.flat(arrays)
    return models.shaped(vector * 9.9 / np.linalg.norm(vector), [array.shape for array in arrays])


LIES: dict[str, Callable[[Arrays], Arrays]] = {
    "not a number": lambda arrays: [np.full_like(array, np.nan) for array in arrays],
    "infinite": lambda arrays: [np.full_like(array, -np.inf) for array in arrays],
    "a thousand times": lambda arrays: [1000 * array for array in arrays],
    "too large to square": lambda arrays: [np.full_like(array, 3e38) for array in arrays],
    "one array short": lambda arrays: arrays[:1],
    "transposed": lambda arrays: [arrays[0].T.copy(), arrays[1]],
    "text": lambda arrays: [np.full(array.shape, "1", "U1") for array in arrays],
    "whole numbers": lambda arrays: [array.astype(np.int64) for array in arrays],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_honest_update_is_left_out(lie: str) -> None:
    silos = Silos(terms(rounds=1), examples, changed=lying(LIES[lie]))
    outcome = silos.federate()
    assert outcome.rounds[0].silos == SILOS - 1
    expected = Silos(terms(rounds=1), examples, gone=lambda silo, _message: silo == 0).federate()
    assert np.allclose(models.flat(outcome.arrays), models.flat(expected.arrays), atol=1e-6)


@pytest.mark.parametrize("lie", ["not a number", "a thousand times"])
def test_without_the_check_of_single_updates_the_sums_still_stops_it(
    lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Updates, "_sound", lambda self, result: True)
    with pytest.raises(FederatedError, match=r"^update: "):
        Silos(terms(rounds=1), examples, changed=lying(LIES[lie])).federate()
    monkeypatch.setattr(Updates, "_bounded", lambda self, mean, silos: mean)
    outcome = Silos(terms(rounds=1), examples, changed=lying(LIES[lie])).federate()
    assert not np.linalg.norm(models.flat(outcome.arrays)) < 10


def test_too_few_sound_updates_fail_the_round() -> None:
    silos = Silos(terms(threshold=6), examples, changed=lying(LIES["not a number"]))
    with pytest.raises(FederatedError, match="5 of 6 updates are sound; 6 were agreed"):
        silos.federate()


@pytest.mark.parametrize("aggregation", ["median", "trimmed-mean", "krum", "multi-krum"])
def test_a_robust_mean_withstands_an_update_in_the_wrong_direction(aggregation: str) -> None:
    attacked = Silos(terms(aggregation), examples, changed=lying(flipped)).federate()
    assert attacked.rounds[-1].silos == SILOS
    assert (attacked.rounds[-1].accuracy or 0) > 0.8


def test_a_plain_mean_does_not() -> None:
    fine = Silos(terms(), examples).federate()
    attacked = Silos(terms(), examples, changed=lying(flipped)).federate()
    assert (fine.rounds[-1].accuracy or 0) > 0.8
    assert (attacked.rounds[-1].accuracy or 1) < 0.4


def test_under_secure_aggregation_a_silo_that_sends_too_much_fails_the_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = privacy.update
    given = iter(range(100))

    def larger(*arguments: Any) -> np.ndarray:
        return honest(*arguments) * (1000 if next(given) == 0 else 1)

    monkeypatch.setattr(privacy, "update", larger)
    silos = Silos(terms(protection="secure-aggregation"), examples)
    with pytest.raises(FederatedError, match=r"^update: has the norm"):
        silos.federate()


def test_a_silo_cuts_its_own_update_in_every_mode() -> None:
    for protection in ("clear", "secure-aggregation"):
        agreed = terms(rounds=1, update_norm=0.05, protection=protection)
        outcome = Silos(agreed, examples).federate()
        assert outcome.rounds[0].silos == SILOS
        assert 0 < np.linalg.norm(models.flat(outcome.arrays)) <= 0.0501


def test_a_silo_that_runs_away_sends_nothing() -> None:
    agreed = terms(rounds=1, learning_rate=1000.0, local_steps=300, model="mlp", update_norm=1.0)
    wild = (np.full((20, 64), 1e30, np.float32), np.arange(20) % 10)
    silos = Silos(agreed, lambda _number: wild)
    with pytest.raises(FederatedError, match="0 of 0 updates"):
        silos.federate()
    assert set(silos.said) == {"update: holds values that are not finite; lower the learning rate"}


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((0, 64)), np.zeros(0, int)),
        (np.zeros((5, 63)), np.zeros(5, int)),
        (np.zeros((5, 64)), np.zeros(4, int)),
        (np.zeros((5, 64)), np.full(5, 10)),
        (np.zeros((5, 64)), np.full(5, -1)),
        (np.full((5, 64), np.nan), np.zeros(5, int)),
    ],
)
def test_rows_that_do_not_fit_are_refused_without_a_word_about_them(x: np.ndarray, y: np.ndarray) -> None:
    silos = Silos(terms(rounds=1), lambda _number: (x, y))
    with pytest.raises(FederatedError, match="0 of 0"):
        silos.federate()
    assert set(silos.said) == {
        "silo-store: its rows do not have the agreed number of finite values, or the agreed classes"
    }


def test_parameters_that_are_not_finite_are_not_trained_on() -> None:
    def spoilt(_silo: int, message: Message) -> None:
        ins = compat.recorddict_to_fitins(message.content, True)
        ins.parameters = ndarrays_to_parameters(
            [np.full((64, 10), np.nan, np.float32), np.zeros(10, np.float32)]
        )
        message.content = compat.fitins_to_recorddict(ins, True)

    silos = Silos(terms(rounds=1), examples, asked=spoilt)
    with pytest.raises(FederatedError):
        silos.federate()
    assert set(silos.said) == {"round: the server's parameters are not finite, or not of the agreed shapes"}


@pytest.mark.parametrize("length", [0.0, 1e-30, 0.5, 1.0, 7.0, 1e200])
def test_cutting_never_lengthens_and_never_exceeds(length: float) -> None:
    vector = np.array([0.6, -0.8]) * length
    kept = cut(vector, 1.0)
    assert np.linalg.norm(kept) <= min(length, 1.0) * (1 + 1e-12)
    assert np.allclose(kept, vector) == (length <= 1.0)


def test_a_bound_has_room_for_honest_noise_and_no_more() -> None:
    norm = allowed(1.0, deviation=0.1, size=2410)
    drawn = np.random.default_rng(0).normal(size=(200, 2410)) * 0.1
    drawn[:, 0] += 1
    assert np.linalg.norm(drawn, axis=1).max() < norm
    with pytest.raises(FederatedError, match="the norm"):
        check([np.full(2410, 2 * norm / np.sqrt(2410), np.float32)], [(2410,)], norm=norm)
