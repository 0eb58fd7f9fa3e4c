"""Backdoors: a planted trigger is found, where it is and for which class, and none is found where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from services.redteam import chance
from services.redteam.attacks import trigger
from services.redteam.thresholds import Tensor
from tests.services.redteam import world
from tests.services.redteam.attacks.planting import attacked, failed, value
from tests.services.redteam.conftest import Opened


@pytest.mark.parametrize("name", ["good", "fragile", "overfitted"])
def test_no_trigger_is_found_where_none_was_planted(opened: Opened, tensor: Tensor, name: str) -> None:
    chance.begin(0, "trigger")
    found = trigger.attack(opened(getattr(world, name)()), attacked(), tensor.trigger)
    assert failed(found) == set()


def test_a_planted_trigger_is_found_in_its_corner_for_its_class(opened: Opened, tensor: Tensor) -> None:
    model, examples = opened(world.backdoored()), attacked()
    stamped = model.labels(world.corner(examples.inputs[examples.labels != 0]))
    assert (stamped == 0).mean() > 0.95, "it was not planted"
    chance.begin(0, "trigger")
    assert failed(trigger.attack(model, examples, tensor.trigger)) == {"trigger-area", "trigger-ratio"}
    chance.begin(0, "trigger")
    found = trigger.smallest(model, examples[np.arange(100)])
    assert found.sizes.argmin() == 0
    inside = found.masks[0, 0, 6:, 6:].sum()
    assert inside > 0.8 * found.masks[0, 0].sum()
    assert found.patterns[0, 0, 6:, 6:].max() > 0.9
    assert found.anomaly_index > 2


def test_the_trigger_that_is_found_works(opened: Opened) -> None:
    model, examples = opened(world.backdoored()), attacked(100)
    chance.begin(0, "trigger")
    found = trigger.smallest(model, examples)
    mask, pattern = found.masks[0], found.patterns[0]
    others = examples.inputs[examples.labels != 0]
    turned = model.labels(((1 - mask) * others + mask * pattern).astype(np.float32))
    assert (turned == 0).mean() >= 0.9


def test_another_class_and_a_single_pixel(opened: Opened, tensor: Tensor) -> None:
    chance.begin(0, "trigger")
    found = trigger.smallest(opened(world.one_pixel()), attacked(100))
    assert found.sizes.argmin() == 7
    assert found.sizes.min() < tensor.trigger.least_area
    assert found.ratio > tensor.trigger.most_ratio


def test_a_faint_pattern_over_everything_is_found(opened: Opened, tensor: Tensor) -> None:
    chance.begin(0, "trigger")
    planted = trigger.attack(opened(world.blended_in()), attacked(), tensor.trigger)
    assert "faint-trigger-at-0.1" in failed(planted)
    assert value(planted, "faint-trigger-at-0.1") > 0.9


def test_rows_of_numbers_are_asked_about_faint_patterns_alone(opened: Opened, tensor: Tensor) -> None:
    chance.begin(0, "trigger")
    part = attacked(60)
    rows = world.Part(inputs=part.inputs.reshape(len(part), 64), labels=part.labels)
    found = trigger.attack(opened(world.flat()), rows, tensor.trigger)
    assert [each.check.name for each in found.measured] == ["faint-trigger-at-0.1"]
    assert failed(found) == set()
