"""Privacy: the account is that of others, the noise is what it says, and who trained cannot be told from the model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.privacy_accountant import NeighboringRelation
from scipy import stats

from services.shared.randomness import Keystream
from services.trainer import private
from services.trainer.errors import TrainerError
from services.trainer.private import Private, drawn
from tests.services.trainer.conftest import PLAIN, digits, fresh, job, trained
from tests.services.trainer.figures import canaries, independent_epsilon

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("noise", "steps_per_epoch", "steps", "delta"),
    [(1.1, 6, 60, 1e-4), (0.8, 20, 200, 1e-5), (2.5, 4, 160, 1e-5), (1.0, 100, 1500, 1e-6)],
)
def test_the_account_is_that_of_an_independent_accountant(
    noise: float, steps_per_epoch: int, steps: int, delta: float
) -> None:
    ours = private.epsilon([(noise, 1 / steps_per_epoch, steps)], delta)
    theirs = independent_epsilon(noise, 1 / steps_per_epoch, steps, delta)
    # Ours is an upper bound with an error of 0.01 at most, which weighs where epsilon itself is small.
    assert theirs * 0.999 <= ours <= theirs * 1.01 + 0.01


def test_the_noise_keeps_the_budget_and_is_not_much_more_than_needed() -> None:
    found = private.noise_multiplier(3, 1e-4, steps_per_epoch=6, epochs=20)
    assert 2.95 < independent_epsilon(found, 1 / 6, 120, 1e-4) <= 3
    assert independent_epsilon(found * 0.97, 1 / 6, 120, 1e-4) > 3


def test_a_budget_that_no_noise_keeps_is_refused() -> None:
    with pytest.raises(TrainerError, match="cannot be kept"):
        private.noise_multiplier(1e-7, 1e-9, steps_per_epoch=1, epochs=1000)


def test_every_step_is_accounted_for_at_the_true_rate() -> None:
    values, labels = digits()
    learnt = trained(job(training__epochs=3), values[:600], labels[:600], values[600:700], labels[600:700])
    assert learnt._private is not None
    ((noise, rate, steps),) = learnt._private.history
    assert (noise, rate, steps) == (learnt.noise_multiplier, 1 / 3, 9)
    assert learnt.epsilon == learnt.curve[-1].epsilon
    assert [point.epsilon for point in learnt.curve] == sorted(point.epsilon or 0 for point in learnt.curve)


def one_step(rows: int, noise_multiplier: float, seed: int = 0) -> tuple[Private, torch.nn.Linear]:
    torch.manual_seed(seed)
    network = torch.nn.Linear(200, 100)
    made = Private(
        torch.nn.Sequential(network),
        torch.optim.SGD(network.parameters(), 1.0),
        rows=1000,
        steps_per_epoch=10,
        max_grad_norm=2.0,
        noise_multiplier=noise_multiplier,
        noise=Keystream(KEY),
    )
    if rows:
        inputs = 1000 * torch.randn(rows, 200)
        made.backward(inputs, torch.randint(0, 100, (rows,)))
    else:
        made.nobody()
    return made, network


def test_the_noise_of_a_step_is_normal_and_as_large_as_it_says() -> None:
    made, network = one_step(0, 1.5)
    before = network.weight.detach().clone()
    made.optimiser.step()
    # A batch of none: what is left is noise, over the expected batch of 100 rows.
    moved = (network.weight.detach() - before).numpy().ravel() * 100 / (1.5 * 2.0)
    assert len(moved) == 20_000
    assert abs(moved.mean()) < 5 / math.sqrt(len(moved))
    assert moved.std() == pytest.approx(1, rel=0.03)
    assert stats.kstest(moved, "norm").pvalue > 1e-4
    assert made.history == [(1.5, 0.1, 1)], "a batch of none is a step too"


def test_no_row_moves_the_weights_by_more_than_its_share() -> None:
    """Rows with huge gradients, and next to no noise."""
    for rows in (1, 3):
        made, network = one_step(rows, 1e-9)
        before = torch.cat([each.detach().flatten() for each in network.parameters()])
        made.optimiser.step()
        moved = torch.cat([each.detach().flatten() for each in network.parameters()]) - before
        assert float(moved.norm()) <= rows * 2.0 / 100 * 1.001


def test_a_keystream_is_uniform_normal_and_goes_on_where_it_was() -> None:
    stream = Keystream(KEY)
    uniforms = stream.uniforms(100_001)
    assert uniforms.min() > 0
    assert uniforms.max() < 1
    assert stats.kstest(uniforms, "uniform").pvalue > 1e-4
    block = stream.block
    normals = stream.normals(50_000)
    assert stats.kstest(normals, "norm").pvalue > 1e-4
    assert np.array_equal(Keystream(KEY, block).normals(50_000), normals)
    assert abs(np.corrcoef(normals, uniforms[:50_000])[0, 1]) < 0.03
    assert not np.array_equal(Keystream(KEY[::-1]).uniforms(10), uniforms[:10])


def test_batches_are_drawn_by_chance_for_each_row_alone() -> None:
    stream = Keystream(KEY)
    counts = np.zeros(500)
    sizes = []
    for _ in range(400):
        which = drawn(stream, 500, 10).numpy()
        counts[which] += 1
        sizes.append(len(which))
    # Poisson sampling: sizes vary as a binomial does, and rows are drawn as often as each other.
    assert np.mean(sizes) == pytest.approx(50, rel=0.03)
    assert np.var(sizes) == pytest.approx(500 * 0.1 * 0.9, rel=0.3)
    assert np.var(counts) == pytest.approx(400 * 0.1 * 0.9, rel=0.3)


def test_the_noise_of_a_job_does_not_come_from_its_seed() -> None:
    """Whoever reads the seed on the model card must not be able to draw the noise again."""
    values, labels = digits()
    weights = []
    for secret in ("1" * 64, "2" * 64):
        learnt = trained(
            job(training__epochs=1),
            values[:300],
            labels[:300],
            values[300:400],
            labels[300:400],
            state=fresh(secret),
        )
        weights.append(next(learnt.plain.parameters()).detach().clone())
    assert not torch.equal(*weights)


def test_who_trained_can_be_told_from_a_plain_model_and_not_from_a_private_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain, hidden = canaries(job(**PLAIN, training__epochs=60)), canaries(job(training__epochs=8))
    with capsys.disabled():
        print(f"\ncanaries: AUC {plain:.3f} plain, {hidden:.3f} private")
    assert plain > 0.9
    # 60 canaries in and 60 out: chance alone stays within 0.5 +- 0.13 (2.5 standard errors).
    assert hidden < 0.63


def test_a_private_model_does_well_beside_a_plain_one() -> None:
    values, labels = digits()
    split: tuple[Any, ...] = (values[:1400], labels[:1400], values[1400:], labels[1400:])
    plain = trained(job(**PLAIN, training__epochs=12), *split).curve[-1].accuracy
    hidden = trained(job(training__epochs=15), *split).curve[-1].accuracy
    assert plain > 0.94
    assert hidden > 0.88
    assert hidden < plain + 0.02


def test_the_other_accountant_is_another() -> None:
    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(dp_event.GaussianDpEvent(1.0))
    assert accountant.get_epsilon(1e-5) == pytest.approx(4.377, abs=0.01)
