"""Differential privacy: the account agrees with others, the noise is what was accounted for, and the budget ends the run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant
from scipy import optimize, stats

from services.federated import models, privacy
from services.federated.errors import FederatedError
from services.federated.settings import Privacy, Settings
from tests.services.federated.inprocess import Silos, honest, plain, settings
from tests.services.federated.inprocess import privacy as agreed_privacy

CHANCE = 1e-7


def private(**changed: object) -> Privacy:
    return Privacy.model_validate(agreed_privacy(**changed))


def gaussian_epsilon(noise: float, steps: int, delta: float) -> float:
    """Return epsilon of composed Gaussians in closed form (Balle and Wang, ICML 2018, theorem 8)."""
    mu = math.sqrt(steps) / noise

    def excess(epsilon: float) -> float:
        first = stats.norm.cdf(mu / 2 - epsilon / mu)
        return float(first - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu) - delta)

    return float(optimize.brentq(excess, 0, 200))


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (2.0, 8), (5.0, 50)])
def test_the_account_is_the_closed_formula_where_there_is_one(noise: float, steps: int) -> None:
    agreed = private(noise_multiplier=noise)
    assert privacy.spent(agreed, steps) == pytest.approx(gaussian_epsilon(noise, steps, 1e-5), rel=0.01)


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.0, 0.1, 100), (2.0, 1.0, 10), (2.0, 0.2, 50)])
def test_renyi_agrees_within_the_slack_it_is_known_for(noise: float, rate: float, steps: int) -> None:
    agreed = private(noise_multiplier=noise, sample_rate=rate)
    renyi = RdpAccountant()
    renyi.compose(privacy.event(agreed), steps)
    assert privacy.spent(agreed, steps) <= renyi.get_epsilon(1e-5) <= 1.15 * privacy.spent(agreed, steps)


def test_a_silo_is_not_hidden_by_sampling_rows() -> None:
    of_silo = private(of="silo", sample_rate=0.1)
    assert privacy.spent(of_silo, 5) == pytest.approx(gaussian_epsilon(2.0, 5, 1e-5), rel=0.01)


def test_the_budget_ends_the_run_before_it_is_exceeded() -> None:
    agreed = settings(rounds=50, privacy=agreed_privacy(epsilon=4.0))
    outcome = Silos(agreed).federate()
    assert outcome.stopped == "budget"
    last = outcome.rounds[-1]
    assert last.epsilon is not None
    assert last.epsilon <= 4.0 < privacy.spent(private(), last.round + 1)
    assert last.epsilon == pytest.approx(gaussian_epsilon(2.0, last.round, 1e-5), rel=0.01)
    assert outcome.privacy()["epsilon"] == last.epsilon


def test_a_budget_for_no_round_is_refused() -> None:
    with pytest.raises(FederatedError, match="not even one round"):
        Silos(settings(privacy=agreed_privacy(epsilon=0.1))).federate()


def test_a_silo_keeps_its_own_account_whatever_the_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = settings(rounds=50, privacy=agreed_privacy(epsilon=4.0))
    honest_rounds = len(Silos(agreed).federate().rounds)
    silos, ledger = Silos(agreed), privacy.Ledger.affords
    # A server that does not stop: its ledger affords everything, the silos' do not.
    asked = iter(range(10_000))
    monkeypatch.setattr(
        privacy.Ledger, "affords", lambda self, rounds: next(asked) % 4 == 0 or ledger(self, rounds)
    )
    with pytest.raises(FederatedError, match="0 of 0 updates"):
        silos.federate()
    assert len(plain(silos)) == agreed.silos
    answered = [message for message in silos.received if message.has_content()]
    assert len(answered) == honest_rounds * agreed.silos
    assert set(silos.said) == {"privacy: this silo's budget for the run is spent; nothing is sent"}


def moved(agreed: Settings, silos: Silos) -> np.ndarray:
    """Return the noise in the model after one round, float64[size]: what came out, less the mean of honest updates."""
    net = models.network(agreed)
    after = models.flat(silos.federate().arrays) - models.flat(models.initial(net, agreed.seed))
    updates = np.stack([honest(agreed, number) for number in range(agreed.silos)])
    return np.asarray(after - updates.mean(0))


def is_noise(values: np.ndarray, deviation: float) -> bool:
    """Return whether values are normal, of that standard deviation."""
    close = abs(values.std() / deviation - 1) < 6 / math.sqrt(2 * len(values))
    return bool(close and stats.kstest(values / deviation, "norm").pvalue > CHANCE)


ONE_ROUND = {"model": "mlp", "rounds": 1, "silos": 3}


@pytest.mark.parametrize("of", ["record", "silo"])
def test_under_secure_aggregation_the_silos_parts_make_the_whole_noise(of: str) -> None:
    # Three add up parts that two would have sufficed for: the noise is never less than what is accounted for.
    agreed = settings(
        **ONE_ROUND,
        protection="secure-aggregation",
        threshold=2,
        privacy=agreed_privacy(of=of, epsilon=50.0),
    )
    sensitivity = agreed.update_norm if of == "silo" else 1.0 * 3 / 1437
    wanted = 2.0 * sensitivity * math.sqrt(3 / 2) / 3
    assert is_noise(moved(agreed, Silos(agreed)), wanted)


def test_with_as_few_silos_as_may_be_the_noise_is_what_is_accounted_for() -> None:
    agreed = settings(
        **ONE_ROUND,
        protection="secure-aggregation",
        threshold=3,
        privacy=agreed_privacy(of="silo", epsilon=50.0),
    )
    noise = moved(agreed, Silos(agreed)) * 3 / agreed.update_norm
    assert is_noise(noise, 2.0)
    assert not is_noise(noise, 1.6)


def test_in_clear_the_server_adds_it_and_sees_updates_without() -> None:
    agreed = settings(**ONE_ROUND, privacy=agreed_privacy(of="silo", epsilon=50.0), threshold=2)
    silos = Silos(agreed)
    assert is_noise(moved(agreed, silos), 2.0 * agreed.update_norm / 3)
    for number, update in plain(silos).items():
        assert np.allclose(update, honest(agreed, number), atol=1e-6)


@pytest.mark.parametrize("of", ["record", "silo"])
def test_locally_each_update_is_hidden_before_it_is_sent(of: str) -> None:
    agreed = settings(
        **ONE_ROUND,
        threshold=2,
        update_norm=1.0 if of == "silo" else 100.0,
        privacy=agreed_privacy(of=of, mode="local", epsilon=50.0),
    )
    silos = Silos(agreed)
    silos.federate()
    sensitivity = 1.0 if of == "silo" else 3 / 1437
    assert len(plain(silos)) == 3
    for number, update in plain(silos).items():
        assert is_noise(update - honest(agreed, number), 2.0 * sensitivity)


def test_locally_each_step_is_hidden_and_accounted_for() -> None:
    agreed = settings(
        **ONE_ROUND, threshold=2, local_steps=4, privacy=agreed_privacy(mode="local", epsilon=50.0)
    )
    outcome = Silos(agreed).federate()
    assert outcome.rounds[0].epsilon == pytest.approx(gaussian_epsilon(2.0, 4, 1e-5), rel=0.01)


def test_rows_are_drawn_by_chance() -> None:
    agreed = settings(
        rounds=1,
        silos=3,
        learning_rate=1.0,
        privacy=agreed_privacy(mode="local", sample_rate=0.25, noise_multiplier=1e-9),
    )
    x, y = np.ones((400, 64), np.float32), np.zeros(400, np.int64)
    net = models.network(agreed)
    start = models.initial(net, 0)
    one = models.gradient_sum(start, x[:1], y[:1], record_norm=1.0)
    counts = [
        float(-privacy.update(agreed, net, start, x, y) @ one / (one @ one)) / privacy.step_scale(agreed)
        for _ in range(60)
    ]
    assert np.mean(counts) == pytest.approx(100, abs=6 * math.sqrt(75 / 60))
    assert len({round(count) for count in counts}) > 10


def test_one_row_moves_a_silos_update_by_no_more_than_was_accounted_for() -> None:
    agreed = settings(rounds=1, privacy=agreed_privacy(noise_multiplier=1e-12))
    net = models.network(agreed)
    start = models.initial(net, 0)
    x, y = np.full((50, 64), 100, np.float32), np.arange(50) % 10
    whole = privacy.update(agreed, net, start, x, y)
    without = privacy.update(agreed, net, start, x[1:], y[1:])
    assert np.linalg.norm(whole - without) <= 1.0001 * privacy.step_scale(agreed)
