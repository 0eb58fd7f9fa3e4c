"""Model inversion: a record that a model shows is found, and a class's outline alone is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from services.redteam import chance
from services.redteam.attacks import inversion
from services.redteam.data import Examples
from services.redteam.thresholds import Tensor
from tests.services.redteam import world
from tests.services.redteam.attacks.planting import failed, value
from tests.services.redteam.conftest import Opened


def test_a_class_that_is_one_record_is_given_away(opened: Opened, tensor: Tensor) -> None:
    # Each class is one picture, as in a model of faces of which it has seen one each.
    one = Examples(members=world.one_each(), held_out=world.digits().held_out)
    model = opened(world.of_one_each())
    found = inversion.attack(model, one, tensor.inversion, chance.begin(0, "inversion"))
    assert failed(found) == {"inversion-likeness-to-means", "inversion-lead-to-records"}


def test_a_good_model_gives_away_no_record(opened: Opened, tensor: Tensor) -> None:
    model = opened(world.good())
    found = inversion.attack(model, world.digits(), tensor.inversion, chance.begin(0, "inversion"))
    assert failed(found) == set()
    assert value(found, "inversion-likeness-to-means") > 0.3, "it was not inverted at all"


def test_what_is_inverted_is_taken_for_the_class_and_lies_in_the_range(opened: Opened) -> None:
    model = opened(world.good())
    inverted = inversion.invert(model, np.arange(10), 200)
    assert inverted.min() >= 0
    assert inverted.max() <= 1
    assert (model.labels(inverted) == np.arange(10)).mean() > 0.8


def test_the_nearest_of_many_is_not_held_against_the_nearest_of_few() -> None:
    drawn = np.random.default_rng(0)
    few, many = drawn.normal(size=20), drawn.normal(size=2000)
    of_few, of_many = inversion._nearest(few, many, drawn)
    assert of_few == few.max()
    assert of_many < many.max() - 0.5
    assert abs(of_few - of_many) < 1


def test_correlation_is_pearsons() -> None:
    drawn = np.random.default_rng(0)
    first, second = drawn.normal(size=(3, 8)), drawn.normal(size=(4, 8))
    expected = np.corrcoef(first, second)[:3, 3:]
    assert inversion.correlation(first, second) == pytest.approx(expected)
    assert inversion.correlation(np.ones((1, 8)), second) == pytest.approx(np.zeros((1, 4)))
