"""Feature squeezing: the squeezers are the paper's, attacks are found, clean inputs seldom mistaken."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from services.modelchain.schema import BitDepth, Median, NonLocalMeans, Squeezer
from services.screens import squeezing
from tests.services.gateway.screens import figures
from tests.services.gateway.screens.figures import Array, Digits


def test_attacks_are_detected(model: Digits, attacked: dict[str, Array]) -> None:
    screen = figures.deceiving(model)
    least = {
        "FGSM 0.1": 0.5,
        "PGD 0.1": 0.6,
        "FGSM 0.15": 0.5,
        "PGD 0.15": 0.6,
        "FGSM 0.2": 0.4,
        "PGD 0.2": 0.35,
    }
    found = {name: float(screen(attacked[name]).mean()) for name in least}
    assert all(found[name] >= share for name, share in least.items()), found


def test_attacks_succeed_without_a_screen(attacked: dict[str, Array]) -> None:
    # Of 200 at most; or there would be nothing to find.
    assert len(attacked["PGD 0.1"]) >= 25
    assert len(attacked["PGD 0.2"]) >= 100


def test_clean_digits_are_seldom_taken_for_attacks(model: Digits) -> None:
    # At 5%, of 497, with the threshold's own chance from 300.
    assert figures.deceiving(model)(model.judges.images).mean() <= 0.085


def test_the_squeezers_of_the_sample_beat_the_papers_for_larger_digits(
    model: Digits, attacked: dict[str, Array]
) -> None:
    papers = figures.deceiving(model, (BitDepth(bits=1), Median(window=2)))
    for name in ("FGSM 0.1", "PGD 0.1", "PGD 0.15"):
        assert figures.deceiving(model)(attacked[name]).mean() > papers(attacked[name]).mean() + 0.3


@pytest.mark.parametrize("bits", range(1, 8))
def test_fewer_bits_leave_so_many_levels(bits: int) -> None:
    ramp = np.linspace(-2, 3, 2000, dtype=np.float32).reshape(1, 40, 50)
    (few,) = squeezing.squeezed(ramp, [BitDepth(bits=bits)], -2, 3)
    levels = np.unique(few.round(4))
    assert len(levels) == 2**bits
    assert levels[0] == -2
    assert levels[-1] == 3
    assert np.abs(few - ramp).max() <= 2.5 / (2**bits - 1) + 1e-5


@pytest.mark.parametrize("window", range(2, 8))
@pytest.mark.parametrize("shape", [(3, 8, 9), (2, 3, 8, 9), (1, 1, 1, 1), (2, 1, 2, 3)])
def test_medians_are_those_of_the_papers_code(
    chance: np.random.Generator, window: int, shape: tuple[int, ...]
) -> None:
    batch = chance.random(shape, dtype=np.float32)
    size = (1,) * (len(shape) - 2) + (window, window)
    (smooth,) = squeezing.squeezed(batch, [Median(window=window)], 0, 1)
    np.testing.assert_array_equal(smooth, ndimage.median_filter(batch, size=size, mode="reflect"))


def test_non_local_means_smooth_noise_and_keep_edges(chance: np.random.Generator) -> None:
    clean = np.full((2, 1, 24, 24), 0.25, np.float32)
    clean[..., 12:] = 0.75
    noisy = (clean + chance.normal(0, 0.05, clean.shape)).astype(np.float32)
    squeezers = [NonLocalMeans(search=11, patch=3, strength=30)]
    (smooth,) = squeezing.squeezed(noisy, squeezers, 0, 1)
    assert smooth.shape == clean.shape
    assert np.abs(smooth - clean).mean() < 0.5 * np.abs(noisy - clean).mean()
    # In other units the same.
    (elsewhere,) = squeezing.squeezed(noisy * 8 - 3, squeezers, -3, 5)
    np.testing.assert_allclose(elsewhere, smooth * 8 - 3, atol=1e-4)


ALL: tuple[Squeezer, ...] = (BitDepth(bits=3), Median(window=2), Median(window=5))


@pytest.mark.parametrize("squeezer", [*ALL, NonLocalMeans(search=5, patch=3, strength=9)])
def test_a_batch_is_squeezed_as_its_images_are(chance: np.random.Generator, squeezer: Squeezer) -> None:
    batch = chance.random((5, 2, 8, 8), dtype=np.float32)
    before = batch.copy()
    (together,) = squeezing.squeezed(batch, [squeezer], 0, 1)
    one_by_one = [squeezing.squeezed(image[None], [squeezer], 0, 1)[0][0] for image in batch]
    np.testing.assert_array_equal(together, one_by_one)
    np.testing.assert_array_equal(batch, before)
    assert together.dtype == np.float32


def test_the_distance_is_the_largest_l1_distance_of_any_squeezer() -> None:
    answers = np.array([[0.9, 0.1], [0.5, 0.5]])
    squeezed = [np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([[0.9, 0.1], [0.0, 1.0]])]
    np.testing.assert_allclose(squeezing.distances(answers, squeezed), [0.2, 1.0])


def test_filters_refuse_what_is_no_image() -> None:
    with pytest.raises(ValueError, match="need images"):
        squeezing.squeezed(np.zeros((3, 64), np.float32), [Median(window=2)], 0, 1)
    assert squeezing.squeezed(np.zeros((3, 64), np.float32), [BitDepth(bits=1)], 0, 1)[0].shape == (3, 64)


def test_the_threshold_comes_with_its_squeezers(model: Digits) -> None:
    held_out = model.calibrates.images
    said = squeezing.calibrated(model.predict, held_out, ALL, 0, 1, false_positive_rate=0.1)
    assert said.squeezers == ALL
    assert said.false_positive_rate == 0.1
    scores = squeezing.scores(model.predict, held_out, ALL, 0, 1)
    assert 0.08 <= (scores > said.threshold).mean() <= 0.1
    with pytest.raises(ValueError, match="at least 99"):
        squeezing.calibrated(model.predict, held_out[:98], ALL, 0, 1, false_positive_rate=0.01)
