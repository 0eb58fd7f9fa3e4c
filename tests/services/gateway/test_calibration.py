"""What is usual for a model is measured on its own inputs, and what is not usual is then noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_sample_images

from services.gateway.calibration import FEWEST, CalibrationError, main, measured
from services.gateway.distances import text_features
from services.gateway.extraction import NUMBERS, TEXTS, Bounds, Watch
from tests.services.gateway.attacks import Floats, jitter, noise, victim
from tests.services.gateway.test_extraction import SENTENCES


def patches() -> tuple[Floats, list[int]]:
    """Return pieces of two photographs, some sky and some leaves, and a label by how bright they are."""
    found = [
        image[row : row + 32, column : column + 32].astype(np.float32) / 255
        for image in load_sample_images().images
        for row in range(0, image.shape[0] - 32, 33)
        for column in range(0, image.shape[1] - 32, 33)
    ]
    order = np.random.default_rng(3).permutation(len(found))
    shuffled = np.stack(found)[order]
    return shuffled, (shuffled.mean(axis=(1, 2, 3)) * 5).astype(int).tolist()


def suspected(usual: Bounds, inputs: Floats, labels: list[int]) -> bool:
    watch = Watch(lambda _: usual)
    return any(watch.seen("ward/client", "any", x, y) for x, y in zip(inputs, labels, strict=True))


def test_measuring_digits_gives_what_is_written_down_for_them() -> None:
    of = victim("mlp", 0)
    found = measured(of.pool, of.scores(of.pool).argmax(1).tolist())
    assert abs(found.shapiro_least - NUMBERS.shapiro_least) <= 0.03
    assert abs(found.spread_least - NUMBERS.spread_least) <= 0.03
    assert abs(found.spread_most - NUMBERS.spread_most) <= 0.05


def test_photographs_are_not_digits() -> None:
    """Measured by digits, everybody who sends photographs is a thief; measured by photographs, thieves are."""
    inputs, labels = patches()
    assert suspected(NUMBERS, inputs, labels)
    usual = measured(inputs[:320], labels[:320])
    assert not suspected(usual, inputs[::-1].copy(), labels[::-1])
    for deviation in (0.01, 0.05, 0.2):
        made = jitter(inputs[:20].reshape(20, -1), 600, deviation, np.random.default_rng(1))
        assert suspected(usual, made, [0] * len(made))
    assert suspected(usual, noise(200 * 48, np.random.default_rng(1)).reshape(200, -1), [0] * 200)


def test_a_table_is_measured_where_its_numbers_are_on_one_scale() -> None:
    """Where areas are in hundreds and smoothness in tenths, one number is all of a distance."""
    data = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.data))
    inputs, labels = data.data[order].astype(np.float32), data.target[order].tolist()
    with pytest.raises(CalibrationError, match="on one scale"):
        measured(inputs, labels)
    scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    assert not suspected(measured(scaled, labels), scaled[::-1].copy(), labels[::-1])


def test_texts_are_measured_too() -> None:
    texts = [text_features(each) for each in SENTENCES[::3]]
    usual = measured(texts, [len(each) % 2 for each in SENTENCES[::3]])
    assert 0 < usual.spread_least < usual.spread_most < TEXTS.spread_most


def test_too_little_is_not_measured() -> None:
    few = noise(FEWEST - 1, np.random.default_rng(1))
    with pytest.raises(CalibrationError, match=f"give {FEWEST} of each"):
        measured(few, [0] * len(few))
    with pytest.raises(CalibrationError, match="labels"):
        measured(noise(FEWEST, np.random.default_rng(1)), [0])
    with pytest.raises(CalibrationError, match="alone in their class"):
        measured(noise(FEWEST, np.random.default_rng(1)), list(range(FEWEST)))
    with pytest.raises(CalibrationError, match="alone in their class, or come twice"):
        measured(np.zeros((FEWEST, 4)), [0] * FEWEST)


def test_lines_to_write_down_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of = victim("mlp", 0)
    path = tmp_path / "held_out.npz"
    np.savez(path, inputs=of.pool, labels=of.scores(of.pool).argmax(1))
    assert main([str(path)]) == 0
    found = measured(of.pool, of.scores(of.pool).argmax(1).tolist())
    assert capsys.readouterr().out == (
        f"usual:\n  MODEL: {{shapiro_least: {found.shapiro_least}, spread_least: {found.spread_least}, "
        f"spread_most: {found.spread_most}}}\n"
    )


@pytest.mark.parametrize(
    "what", ["nothing", "a folder", "a text", "objects", "one array", "texts", "too few"]
)
def test_a_file_that_is_none_is_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "held_out.npz"
    good = np.zeros((FEWEST, 4), np.float32)
    if what == "a folder":
        path.mkdir()
    elif what == "a text":
        path.write_text("inputs: many")
    elif what == "objects":
        np.savez(path, inputs=np.array([object()] * 400), labels=[0] * 400)
    elif what == "one array":
        np.savez(path, inputs=good)
    elif what == "texts":
        np.savez(path, inputs=np.array(["a"] * FEWEST), labels=[0] * FEWEST)
    elif what == "too few":
        np.savez(path, inputs=good[:5], labels=[0] * 5)
    assert main([str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"calibration: {path}: ")
    assert said.err.count("\n") == 1


def test_without_a_file_it_says_what_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "FILE.npz" in capsys.readouterr().err
