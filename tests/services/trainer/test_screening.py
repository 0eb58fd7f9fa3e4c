"""Poison: what attackers put into data is found, what honest people put there mostly is not, and values stay inside."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.trainer.job import Screening
from services.trainer.screening import backdoor, duplicates, mislabelled, outliers, plain, quarantine
from services.trainer.screening.neighbours import Pool
from services.trainer.screening.screen import Outcome, screened
from tests.services.trainer import figures
from tests.services.trainer.conftest import digits, examples

ROWS = 900


@pytest.fixture(scope="module")
def clean() -> tuple[np.ndarray, np.ndarray]:
    values, labels = digits()
    return values[:ROWS], labels[:ROWS]


@pytest.mark.parametrize(
    ("share", "trigger"), [(0.02, figures.corner), (0.05, figures.corner), (0.05, figures.blended)]
)
def test_a_backdoor_is_found_in_the_class_that_it_leads_to(
    clean: tuple[np.ndarray, np.ndarray], share: float, trigger: Any
) -> None:
    values, labels, rows, target = figures.backdoored(*clean, share, trigger, seed=4)
    network = plain.trained(values, labels, 10, 4)
    accused = backdoor.accused(network, values, labels, 10, 4)
    assert [each.label for each in accused] == [target]
    precision, recall = figures.precision_recall(accused[0].rows, rows)
    assert recall > 0.8
    assert precision > 0.5
    assert accused[0].probability < 1e-4


def test_a_model_that_was_trained_after_the_screen_has_no_backdoor(
    clean: tuple[np.ndarray, np.ndarray],
) -> None:
    values, labels, _, target = figures.backdoored(*clean, 0.05, figures.corner, seed=4)
    outcome = screened(examples(values, labels), Screening(), 4)
    assert outcome.excess, "5% are more than a job bears"
    before = figures.plain(values, labels, epochs=25)
    after = figures.plain(values[outcome.stays], labels[outcome.stays], epochs=25)
    assert figures.success(before, figures.corner, target) > 0.9
    assert figures.success(after, figures.corner, target) < 0.2
    assert after.curve[-1].accuracy > before.curve[-1].accuracy - 0.02


@pytest.mark.parametrize("seed", range(3))
def test_honest_data_are_not_accused(seed: int) -> None:
    values, labels = digits()
    rows = np.random.default_rng(seed).permutation(len(labels))[:ROWS]
    outcome = screened(examples(values[rows], labels[rows]), Screening(), seed)
    assert outcome.accused == {}
    assert not outcome.excess
    assert len(outcome.findings) < 0.03 * ROWS
    assert outcome.stays.sum() > 0.99 * ROWS


def test_flipped_labels_are_found_and_reviewed_or_quarantined(clean: tuple[np.ndarray, np.ndarray]) -> None:
    values, labels = clean
    wrong, rows = figures.flipped(labels, 0.1, 2)
    for asked in ("review", "quarantine"):
        outcome = screened(examples(values, wrong), Screening(mislabelled=asked), 2)  # type: ignore[arg-type]
        suspects = figures.found(outcome, "mislabelled")
        precision, recall = figures.precision_recall(suspects, rows)
        assert precision > 0.75
        assert recall > 0.75
        assert outcome.stays[suspects].all() == (asked == "review")
    wrong, _ = figures.flipped(labels, 0.25, 2)
    assert any("mislabelled" in each for each in screened(examples(values, wrong), Screening(), 2).excess)


def test_labels_of_classes_that_nobody_has_are_no_matter(clean: tuple[np.ndarray, np.ndarray]) -> None:
    values, labels = clean
    some = labels < 3
    told = plain.out_of_fold(values[some], labels[some], 10, 0)
    names = tuple("abcdefghij")
    assert len(mislabelled.found(told, labels[some], names)) < 10


def test_rows_that_break_their_bounds_never_train(clean: tuple[np.ndarray, np.ndarray]) -> None:
    values, labels = clean[0].copy(), clean[1]
    values[3, 5], values[7, 0] = 1.5, -0.001
    outcome = screened(examples(values, labels), Screening(), 0)
    assert figures.found(outcome, "out-of-bounds").tolist() == [3, 7]
    assert not outcome.stays[[3, 7]].any()


def test_rows_that_lie_far_from_all_others_are_told(clean: tuple[np.ndarray, np.ndarray]) -> None:
    values = clean[0].copy()
    values[11] = np.random.default_rng(0).integers(0, 2, 64)
    assert 11 in [each.row for each in outliers.far(values, 0)]


def test_copies_are_taken_out_but_for_the_first_and_contradictions_wholly(
    clean: tuple[np.ndarray, np.ndarray],
) -> None:
    values, labels = clean[0][:200].copy(), clean[1][:200].copy()
    values[50:54] = values[10]
    labels[50:54] = labels[10]
    values[60], labels[60] = values[20], (labels[20] + 1) % 10
    values[70] = np.clip(values[30] + 0.001, 0, 1)
    rows = {each.row: each.reason for each in duplicates.found(values, labels, 0)}
    assert set(rows) == {50, 51, 52, 53, 20, 60, 70}
    assert rows[20] == rows[60] == "is there again with another label"
    assert "a little noise" in rows[70]


def test_a_pool_knows_who_is_nearest(clean: tuple[np.ndarray, np.ndarray]) -> None:
    values = clean[0][:300]
    rows, far = Pool(values, 0).nearest(np.arange(300), 3)
    apart = np.linalg.norm(values[:, None] - values[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.allclose(np.sort(far, 1), np.sort(apart, 1)[:, :3], atol=1e-3)
    without = np.tile(np.arange(8), (300, 1))
    _, fewer = Pool(values, 0).nearest(np.arange(300), 1, without=without)
    rest = np.linalg.norm(values[:, None, 8:] - values[None, :, 8:], axis=2)
    np.fill_diagonal(rest, np.inf)
    assert np.allclose(fewer[:, 0], rest.min(1), atol=1e-3)
    assert (rows != np.arange(300)[:, None]).all()


def test_a_quarantine_names_rows_and_no_values(tmp_path: Path, clean: tuple[np.ndarray, np.ndarray]) -> None:
    values, labels = clean[0].copy(), clean[1]
    values[3, 5] = 123.4375
    made = examples(values, labels)
    keys = made.keys.astype("U40")
    keys[3] = "=HYPERLINK(1)"
    made = type(made)(keys=keys, units=made.units, values=values, labels=labels, classes=made.classes)
    outcome: Outcome = screened(made, Screening(), 0)
    quarantine.write(tmp_path / "q", made, outcome, dataset="d", manifest="sha256:1")
    text = (tmp_path / "q" / "suspects.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert {"key": "'=HYPERLINK(1)", "screen": "out-of-bounds", "taken_out": "yes"}.items() <= rows[
        -1
    ].items() or any(row["key"] == "'=HYPERLINK(1)" for row in rows)
    assert "123.4375" not in text
    assert "123.4375" not in (tmp_path / "q" / "report.json").read_text()
