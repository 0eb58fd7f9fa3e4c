"""Novelty: what no training data is like is called so, clean data seldom, whatever its scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.modelchain.schema import Calibrated
from services.screens import novelty, thresholds
from services.screens.novelty import MEAN, RESIDUAL, WHITENING, Novelty
from tests.services.gateway.screens import figures
from tests.services.gateway.screens.figures import Array, Digits


@pytest.mark.parametrize("case", figures.strange(np.zeros((1, 1, 8, 8), np.float32)))
def test_what_is_no_digit_is_novel(model: Digits, case: str) -> None:
    images = figures.strange(model.judges.images)[case]
    assert (model.novel.scores(images) > model.novel.threshold).mean() >= 0.95


def test_clean_digits_are_seldom_novel(model: Digits) -> None:
    # One in a hundred is allowed; of 497 the number varies by two standard deviations and the threshold's own.
    assert (model.novel.scores(model.judges.images) > model.novel.threshold).mean() <= 0.03


def test_attacks_that_do_not_know_the_screen_are_novel(model: Digits, attacked: dict[str, Array]) -> None:
    for images in attacked.values():
        assert (model.novel.scores(images) > model.novel.threshold).mean() >= 0.85


def gaussian(chance: np.random.Generator, count: int, values: int = 6) -> Array:
    spread = np.linspace(0.5, 3, values)
    return np.asarray(2 + chance.standard_normal((count, values)) * spread)


def test_the_score_is_the_mahalanobis_distance(chance: np.random.Generator) -> None:
    examples, batch = gaussian(chance, 4000), gaussian(chance, 50)
    line, arrays = novelty.calibrated(examples, gaussian(chance, 500), false_positive_rate=0.05)
    inverse = np.linalg.inv(np.cov(examples.T))
    apart = batch - examples.mean(axis=0)
    wanted = np.sqrt(np.einsum("ni,ij,nj->n", apart, inverse, apart))
    np.testing.assert_allclose(Novelty(line, arrays).scores(batch), wanted, rtol=1e-3)
    # Squared, it has a chi-square distribution: the threshold at 5% of 6 dimensions is 12.6.
    assert math.isclose(line.threshold**2, 12.6, rel_tol=0.15)


def test_what_leaves_the_plane_of_the_components_is_far_away(
    chance: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(novelty, "MOST_COMPONENTS", 3)
    plane = np.linalg.qr(chance.standard_normal((20, 20)))[0]
    spread = np.array([4.0, 3, 2] + [0.1] * 17)

    def drawn(count: int) -> Array:
        return np.asarray((chance.standard_normal((count, 20)) * spread) @ plane.T)

    line, arrays = novelty.calibrated(drawn(500), drawn(200), false_positive_rate=0.05)
    screen = Novelty(line, arrays)
    assert arrays[WHITENING].shape == (20, 3)
    assert (screen.scores(drawn(500)) > line.threshold).mean() < 0.1
    # Half the length of a usual example, in a direction that none has.
    assert screen.scores(2 * plane[:, 10][None])[0] > 2 * line.threshold
    assert screen.scores(2 * plane[:, 1][None])[0] < line.threshold


def test_a_rounding_error_where_nothing_varies_is_no_attack(chance: np.random.Generator) -> None:
    def drawn(count: int) -> Array:
        return np.pad(chance.standard_normal((count, 5)), ((0, 0), (0, 5)))

    line, arrays = novelty.calibrated(drawn(300), drawn(200), false_positive_rate=0.05)
    touched = drawn(200)
    touched[:, 5:] += 1e-4
    assert (Novelty(line, arrays).scores(touched) > line.threshold).mean() < 0.15


def test_a_batch_is_scored_as_its_examples_are(model: Digits) -> None:
    images = model.judges.images[:30]
    one_by_one = [model.novel.scores(image[None])[0] for image in images]
    np.testing.assert_allclose(model.novel.scores(images), one_by_one, rtol=1e-3)
    assert model.novel.scores(images[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("examples", "held_out", "rate", "says"),
    [
        (np.ones((1, 4)), np.ones((99, 4)), 0.05, "at least 2"),
        (np.ones((50, 4)), np.ones((99, 4)), 0.05, "all are the same"),
        (np.eye(4), np.eye(4), 0.05, "at least 19"),
        (np.eye(4), np.ones((99, 4)), 0.0, "false_positive_rate"),
        (np.eye(4), np.ones((99, 4)), 0.5, "false_positive_rate"),
        (np.eye(4), np.full((99, 4), np.nan), 0.05, "finite"),
    ],
)
def test_what_cannot_be_calibrated_says_why(examples: Array, held_out: Array, rate: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        novelty.calibrated(examples, held_out, false_positive_rate=rate)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({MEAN: np.zeros(5, np.float32)}, "do not fit"),
        ({MEAN: np.zeros((4, 1), np.float32)}, "do not fit"),
        ({RESIDUAL: np.zeros(2, np.float32)}, "do not fit"),
        ({RESIDUAL: np.zeros(1, np.float32)}, "not above zero"),
        ({WHITENING: np.zeros((4, 2), np.float32)}, "not above zero"),
        ({WHITENING: np.full((4, 2), np.inf, np.float32)}, "NaN or infinities"),
        ({MEAN: None}, "missing"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(broken: dict[str, Array | None], says: str) -> None:
    whole = {
        MEAN: np.zeros(4, np.float32),
        WHITENING: np.eye(4, 2, dtype=np.float32),
        RESIDUAL: np.ones(1, np.float32),
    }
    line = Calibrated(threshold=1, false_positive_rate=0.05)
    Novelty(line, whole)
    arrays = {name: array for name, array in (whole | broken).items() if array is not None}
    with pytest.raises(ValueError, match=says), np.errstate(divide="ignore"):
        Novelty(line, arrays)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_rate_of_false_positives_is_kept_on_average(chance: np.random.Generator, rate: float) -> None:
    """Over draws of what is held out, for a distribution with heavy tails: the rate at most, and not far below."""
    mistaken = []
    for _ in range(300):
        line = thresholds.calibrated(chance.standard_cauchy(150), rate)
        mistaken.append((chance.standard_cauchy(150) > line.threshold).mean())
    # (n + 1)(1 - rate), rounded up, is at most one place of 150 too high; four standard errors.
    error = 4 * math.sqrt(2 * rate * (1 - rate) / 150 / 300)
    assert rate - 1 / 150 - error <= np.mean(mistaken) <= rate + error
