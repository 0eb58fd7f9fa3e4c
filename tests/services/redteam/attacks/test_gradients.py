"""PGD, AutoAttack and the check of gradients: fragile models are found, robust ones withstand, decoys are seen through."""

from __future__ import annotations

import numpy as np
import torch

from services.redteam import chance
from services.redteam.attacks import autoattack, gradient_free, pgd
from services.redteam.thresholds import Tensor
from tests.services.redteam import world
from tests.services.redteam.attacks.planting import attacked, failed, others, value
from tests.services.redteam.conftest import Opened


def test_pgd_fails_the_fragile_model_and_not_the_robust_one(opened: Opened, tensor: Tensor) -> None:
    chance.begin(0, "pgd")
    fragile = pgd.attack(opened(world.fragile()), attacked(), tensor.pgd)
    robust = pgd.attack(opened(world.good()), attacked(), tensor.pgd)
    assert "pgd-accuracy-at-0.1" in failed(fragile)
    assert failed(robust) == set()
    assert value(fragile, "pgd-accuracy-at-0.1") < value(robust, "pgd-accuracy-at-0.1") - 0.2


def test_an_adversarial_example_stays_within_the_bound_and_the_range(opened: Opened) -> None:
    chance.begin(0, "pgd")
    examples, model = attacked(50), opened(world.fragile())
    changed = pgd.adversarial(model, examples, 0.1, steps=20, restarts=1)
    assert np.abs(changed - examples.inputs).max() <= 0.1 + 1e-6
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (model.labels(changed) != examples.labels).mean() > 0.4


def test_an_epsilon_is_a_share_of_the_range(opened: Opened) -> None:
    # The same digits from 0 to 16: what was 0.1 is 1.6.
    examples = attacked(50)
    wide = world.Part(inputs=examples.inputs * 16, labels=examples.labels)
    chance.begin(0, "pgd")
    changed = pgd.adversarial(opened(world.sixteenfold()), wide, 0.1, steps=20, restarts=1)
    assert 1.5 < np.abs(changed - wide.inputs).max() <= 1.6 + 1e-5


def test_autoattack_fails_the_fragile_model_and_not_the_robust_one(opened: Opened, tensor: Tensor) -> None:
    chance.begin(0, "autoattack")
    fragile = autoattack.attack(opened(world.fragile()), attacked(), tensor.autoattack)
    robust = autoattack.attack(opened(world.good()), attacked(), tensor.autoattack)
    assert failed(fragile) == {"autoattack-accuracy-at-0.1"}
    assert failed(robust) == set()


def test_autoattack_is_not_fooled_by_large_logits(opened: Opened, tensor: Tensor) -> None:
    # Cross-entropy is flat where the softmax is saturated; the ratio of logits is not.
    chance.begin(0, "autoattack")
    masked = opened(world.masked())
    by_cross_entropy = pgd.attack(masked, attacked(), tensor.pgd)
    by_ratio = autoattack.attack(masked, attacked(), tensor.autoattack)
    assert value(by_cross_entropy, "pgd-accuracy-at-0.1") > 0.85
    assert value(by_ratio, "autoattack-accuracy-at-0.1") < 0.55


def test_gradients_that_vanish_are_seen_through_without_them(opened: Opened, tensor: Tensor) -> None:
    masked = gradient_free.attack(
        opened(world.masked()), attacked(), others(), tensor, chance.begin(0, "gradient_free")
    )
    honest = gradient_free.attack(
        opened(world.fragile()), attacked(), others(), tensor, chance.begin(0, "gradient_free")
    )
    assert failed(masked) == {"gradient-free-lead", "pgd-accuracy-unbounded"}
    assert failed(honest) == set()


def test_a_copy_alone_shows_that_gradients_are_a_decoy(opened: Opened) -> None:
    torch.manual_seed(0)
    examples, masked = attacked(), opened(world.masked())
    transferred = gradient_free._transferred(masked, examples, others(), 0.1)
    chance.begin(0, "pgd")
    by_gradient = pgd.adversarial(masked, examples, 0.1, steps=40, restarts=1)
    assert np.abs(transferred - examples.inputs).max() <= 0.1 + 1e-6
    wrong = [(masked.labels(each) != examples.labels).mean() for each in (transferred, by_gradient)]
    assert wrong[0] > wrong[1] + 0.1


def test_inputs_that_are_no_images_are_attacked_too(opened: Opened, tensor: Tensor) -> None:
    part = attacked()
    flat = world.Part(inputs=part.inputs.reshape(len(part), 64), labels=part.labels)
    model = opened(world.flat())
    drawn = chance.begin(0, "flat")
    assert failed(pgd.attack(model, flat, tensor.pgd))
    assert failed(autoattack.attack(model, flat, tensor.autoattack))
    other = world.Part(inputs=others().inputs.reshape(-1, 64), labels=others().labels)
    assert not failed(gradient_free.attack(model, flat, other, tensor, drawn))
