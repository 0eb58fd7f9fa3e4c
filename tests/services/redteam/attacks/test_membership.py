"""Membership inference: members of an overfitted model are named, and those of a good one hardly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from services.redteam import chance, subject
from services.redteam.attacks import membership
from services.redteam.data import Examples
from services.redteam.findings import Result
from services.redteam.thresholds import Tensor, Text
from tests.services.redteam import messages, world
from tests.services.redteam.attacks.planting import check, failed, value
from tests.services.redteam.conftest import Opened, OpenedText


def found(opened: Opened, made: world.Made, examples: Examples, tensor: Tensor) -> Result:
    return membership.attack(opened(made), examples, tensor.membership, chance.begin(0, "membership"))


def test_members_of_an_overfitted_model_are_named(opened: Opened, tensor: Tensor) -> None:
    result = found(opened, world.overfitted(), world.few(), tensor)
    assert {"membership-auc", "membership-loss-auc"} <= failed(result)
    # Guessing names 1% at 1%.
    assert value(result, "membership-tpr-at-1%-fpr") > 0.05


def test_members_of_a_good_model_are_hardly_named(opened: Opened, tensor: Tensor) -> None:
    assert failed(found(opened, world.good(), world.digits(), tensor)) == set()


def test_what_was_never_trained_on_is_told_from_nothing(opened: Opened, tensor: Tensor) -> None:
    # Two halves of what is held out: whoever told them apart would be telling noise.
    unseen = world.digits().held_out
    halves = Examples(members=unseen[np.arange(300)], held_out=unseen[np.arange(300, 600)])
    result = found(opened, world.overfitted(), halves, tensor)
    assert 0.4 < value(result, "membership-auc") < 0.6
    assert value(result, "membership-tpr-at-1%-fpr") < 0.05


def test_shadow_models_tell_more_than_the_loss_alone(opened: Opened, tensor: Tensor) -> None:
    result = found(opened, world.fragile(), world.digits(), tensor)
    assert value(result, "membership-auc") > value(result, "membership-loss-auc") + 0.05


def test_a_convolutional_network_has_shadows_of_its_own_kind(opened: Opened, tensor: Tensor) -> None:
    few = tensor.membership.model_copy(update={"shadows": 8})
    model = opened(world.convolutional())
    result = membership.attack(model, world.few(), few, chance.begin(0, "membership"))
    assert value(result, "membership-auc") > 0.65


def test_few_examples_are_said_to_be_few(opened: Opened, tensor: Tensor) -> None:
    result = found(opened, world.overfitted(), world.few(), tensor)
    about = check(result, "membership-tpr-at-0.1%-fpr").about
    assert "with 150 others the least rate above zero is 0.67%" in about
    assert "95% interval" in about


def test_a_text_model_that_knows_its_messages_by_heart_is_found(opened_text: OpenedText, text: Text) -> None:
    few = Examples(members=messages.messages().members[np.arange(120)], held_out=messages.messages().held_out)
    drawn = chance.begin(0, "membership")
    overfitted = membership.attack_text(opened_text(messages.overfitted()), few, text.membership, drawn)
    good = membership.attack_text(opened_text(messages.good()), messages.messages(), text.membership, drawn)
    assert {"membership-auc", "membership-loss-auc"} <= failed(overfitted)
    assert failed(good) == set()


def test_members_that_stand_out_by_a_higher_loss_stand_out() -> None:
    member = np.arange(200) < 100
    audit = membership.Audit(member=member, scores=np.zeros(200), losses=np.where(member, -1.0, 1.0))
    assert membership._either(audit) == 1.0


def test_the_curve_is_that_of_scikit_learn() -> None:
    drawn = np.random.default_rng(0)
    member = drawn.random(500) < 0.5
    for scores in (drawn.normal(member * 0.5), np.round(drawn.normal(member * 0.5), 1), np.zeros(500)):
        assert membership.area(scores, member) == pytest.approx(roc_auc_score(member, scores))


def test_a_rate_is_never_more_than_was_allowed() -> None:
    # Three members stand above every other; the fourth is level with one other.
    scores = np.array([9.0, 8, 7, 5, 1, 5, 4, 3, 2, 0])
    member = np.array([True] * 5 + [False] * 5)
    assert membership.named(scores, member, 0.0) == pytest.approx(3 / 5)
    assert membership.named(scores, member, 0.001) == pytest.approx(3 / 5)
    assert membership.named(scores, member, 0.2) == pytest.approx(4 / 5)


def test_confidence_keeps_its_digits_where_a_probability_rounds_to_one() -> None:
    answers = np.array([[1.0, 1e-12, 0.0], [1.0, 1e-20, 0.0]], dtype=np.float32)
    sure, surer = membership.confidence(answers, np.array([0, 0]))
    assert sure == pytest.approx(np.log(1e12), rel=1e-3)
    assert surer == pytest.approx(np.log(1e20), rel=1e-3)
    assert subject.MOST_APART < 0.01
