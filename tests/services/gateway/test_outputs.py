"""What leaves of an answer: one shape for each rule, nothing finer than the grid, and no answer that is no answer."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from services.gateway.outputs import LABEL_ONLY, LabelOnly, Rounded, TopK, hardened

CLASSES = tuple("abcdefghij")
RULES = [
    LABEL_ONLY,
    LabelOnly(undecided_below=0.5),
    *(Rounded(decimals=decimals, undecided_below=below) for decimals in (1, 2) for below in (0.0, 0.5)),
    *(TopK(k=k, decimals=decimals) for k in (1, 3, 10) for decimals in (1, 2)),
]


def rows(count: int, seed: int = 1) -> NDArray[np.float32]:
    """Return probabilities from nearly certain to nearly even."""
    chance = np.random.default_rng(seed)
    spread = 10 ** chance.uniform(-2, 1.5, (count, 1))
    raw = chance.exponential(size=(count, len(CLASSES))) ** (1 / spread)
    made: NDArray[np.float32] = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    return made


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_one_rule_gives_one_shape(rule: LabelOnly | Rounded | TopK) -> None:
    shapes = set()
    for row in rows(300):
        answer = hardened(row, CLASSES, rule)
        assert list(answer) == ["label", "scores"]
        assert set(answer["scores"]) <= set(CLASSES)
        assert json.loads(json.dumps(answer)) == answer
        shapes.add(len(answer["scores"]))
    assert shapes == {{"label": 0, "rounded": 10}.get(rule.kind, getattr(rule, "k", None))}


@pytest.mark.parametrize("decimals", [1, 2])
def test_a_score_is_the_nearest_point_of_the_grid(decimals: int) -> None:
    for row in rows(300):
        scores = hardened(row, CLASSES, Rounded(decimals=decimals))["scores"]
        for place, score in enumerate(scores.values()):
            assert score == round(score, decimals)
            assert len(str(score)) <= 2 + decimals
            assert abs(score - row[place]) <= 0.5 * 10**-decimals + 1e-6


def moved(row: NDArray[np.float64], steps: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Return another row of the same cells: pairs give and take as much as their cells have room for."""
    found = row.copy()
    best = int(np.argmax(row))
    for _ in range(20):
        gives, takes = chance.choice(np.delete(np.arange(len(row)), best), 2, replace=False)
        cells = np.rint(found * steps)
        room = min(
            found[gives] - max(0, (cells[gives] - 0.49) / steps),
            min(row[best] - 1e-9, (cells[takes] + 0.49) / steps) - found[takes],
        )
        if room > 0:
            found[gives] -= room
            found[takes] += room
    return found


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_nothing_is_told_but_the_label_and_the_grid(rule: LabelOnly | Rounded | TopK) -> None:
    """Whatever is moved about within the cells of the grid, the answer is the same to the byte, order and all."""
    chance = np.random.default_rng(2)
    far = 0
    for row in rows(300).astype(np.float64):
        other = moved(row, 10 ** getattr(rule, "decimals", 1), chance)
        first, second = (json.dumps(hardened(each, CLASSES, rule)) for each in (row, other))
        assert first == second
        far += not np.array_equal(np.argsort(row), np.argsort(other))
    assert far > 200, "rows were moved so far that the order of their classes changed"


def test_which_classes_are_among_the_best_does_not_tell_what_was_rounded_off() -> None:
    """The second of the best is 0.0 like all the others; which of them is shown is no secret of the row."""
    rule = TopK(k=3, decimals=1)
    row = np.full(10, 0.002)
    row[4] = 0.97
    row[8] = 1 - row.sum() + row[8]
    assert row[8] > row[0]
    assert hardened(row, CLASSES, rule) == {"label": "e", "scores": {"e": 1.0, "a": 0.0, "b": 0.0}}


def test_the_label_is_the_best_class_and_first_where_its_score_is_shared() -> None:
    row = np.array([0.28, 0.32, 0.4, 0, 0, 0, 0, 0, 0, 0])
    row[2] -= 0.07
    row[1] += 0.07
    # b and a and c are 0.4, 0.3, 0.3 on the grid.
    assert hardened(row, CLASSES, TopK(k=3, decimals=1)) == {
        "label": "b",
        "scores": {"b": 0.4, "a": 0.3, "c": 0.3},
    }
    close = np.array([0.26, 0.27, 0.22, 0.25, 0, 0, 0, 0, 0, 0])
    assert hardened(close, CLASSES, TopK(k=2, decimals=1)) == {
        "label": "b",
        "scores": {"b": 0.3, "a": 0.3},
    }
    even = np.full(10, 0.1)
    assert hardened(even, CLASSES, LABEL_ONLY)["label"] == "a"


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_best_shown_score_is_the_labels(rule: LabelOnly | Rounded | TopK) -> None:
    for row in rows(300):
        answer = hardened(row, CLASSES, rule)
        scores = answer["scores"]
        if scores and answer["label"] is not None:
            assert scores[answer["label"]] == max(scores.values())
        if isinstance(rule, TopK):
            assert all(first >= second for first, second in pairwise(scores.values()))


@pytest.mark.parametrize(
    "rule",
    [
        LabelOnly(undecided_below=0.5),
        Rounded(decimals=2, undecided_below=0.5),
        TopK(k=2, decimals=1, undecided_below=0.5),
    ],
    ids=str,
)
def test_an_answer_that_is_hardly_one_is_none(rule: LabelOnly | Rounded | TopK) -> None:
    low = np.array([0.01, 0.49, 0.3, 0.2, 0, 0, 0, 0, 0, 0])
    high = np.array([0.01, 0.5, 0.29, 0.2, 0, 0, 0, 0, 0, 0])
    assert hardened(high, CLASSES, rule)["label"] == "b"
    undecided = hardened(low, CLASSES, rule)
    assert undecided["label"] is None
    assert set(undecided["scores"].values()) <= {0.0}
    # Two that are undecided look the same, whatever they are.
    assert hardened(low[::-1].copy(), CLASSES, rule) == undecided


@pytest.mark.parametrize(
    "row",
    [
        [2.0, -1.0, 0.0],
        [5.1, 1.2, -3.3],
        [0.5, 0.5, 0.5],
        [0.0, 0.0, 0.0],
        [np.nan, 0.5, 0.5],
        [np.nan, np.nan, np.nan],
        [np.inf, 0.0, 0.0],
        [-np.inf, 1.0, 0.0],
        [0.5, 0.5],
        [0.25, 0.25, 0.25, 0.25],
        [[0.2, 0.3, 0.5]],
        [1.5, -0.25, -0.25],
        [0.9, 0.4, -0.3],
    ],
    ids=str,
)
@pytest.mark.parametrize("rule", [LABEL_ONLY, Rounded(decimals=1), TopK(k=2, decimals=1)], ids=str)
def test_what_is_no_probabilities_does_not_leave(row: list[float], rule: LabelOnly | Rounded | TopK) -> None:
    with pytest.raises(ValueError, match="the model gave"):
        hardened(np.array(row, np.float32), ("x", "y", "z"), rule)


def test_a_row_that_misses_one_by_a_rounding_error_is_probabilities() -> None:
    row = np.array([1.0004, -0.0002, -0.0001], np.float32)
    assert hardened(row, ("x", "y", "z"), Rounded(decimals=2))["scores"] == {"x": 1.0, "y": 0.0, "z": 0.0}


def test_scores_may_be_asked_for_that_are_fewer_than_the_best() -> None:
    answer = hardened(np.array([0.2, 0.8]), ("ham", "spam"), TopK(k=10, decimals=1))
    assert answer == {"label": "spam", "scores": {"spam": 0.8, "ham": 0.2}}


def test_no_rule_lets_scores_through_as_they_are() -> None:
    for decimals in (0, 3, 7):
        with pytest.raises(ValidationError):
            Rounded(decimals=decimals)
        with pytest.raises(ValidationError):
            TopK(k=3, decimals=decimals)
