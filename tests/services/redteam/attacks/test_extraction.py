"""Extraction: what a few answers give away is found, and what they do not is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from services.redteam import chance, copying
from services.redteam.attacks import extraction
from services.redteam.findings import Result
from services.redteam.thresholds import Tensor, Text
from tests.services.redteam import messages, world
from tests.services.redteam.attacks.planting import attacked, failed, others, value
from tests.services.redteam.conftest import Opened, OpenedText


def run(opened: Opened, made: world.Made, tensor: Tensor, **changes: object) -> Result:
    asked = tensor.extraction.model_copy(update=changes)
    return extraction.attack(opened(made), attacked(), others(), asked, chance.begin(0, "extraction"))


def test_labels_within_the_budget_do_not_give_a_good_model_away(opened: Opened, tensor: Tensor) -> None:
    assert failed(run(opened, world.good(), tensor)) == set()


def test_scores_without_a_budget_give_it_away(opened: Opened, tensor: Tensor) -> None:
    found = run(opened, world.good(), tensor, answers="scores", queries=300)
    assert failed(found) == {"extraction-agreement", "extraction-agreement-without-data"}


def test_a_rule_that_noise_shows_is_copied_without_data(opened: Opened, tensor: Tensor) -> None:
    # Left or right half lighter: a plane through the middle, which noise falls on both sides of.
    simple = run(opened, world.left_or_right(), tensor, queries=300)
    assert "extraction-agreement-without-data" in failed(simple)


def test_no_more_is_asked_than_the_budget(opened: Opened, tensor: Tensor) -> None:
    model = opened(world.good())
    counted: list[int] = []
    answers = model.answers

    def counting(batch: np.ndarray) -> np.ndarray:
        counted.append(len(batch))
        return answers(batch)

    model.answers = counting  # type: ignore[method-assign]
    asked = tensor.extraction.model_copy(update={"queries": 50})
    extraction.attack(model, attacked(), others(), asked, chance.begin(0, "extraction"))
    # Fifty questions of each thief, one with inputs and the others without; and the owner's own comparison.
    assert sorted(counted) == [*[50] * (1 + extraction.THIEVES), 150]


def test_what_is_said_of_thieves_without_data_is_no_ones_luck(
    opened: Opened, tensor: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, made = opened(world.good()), []
    copied = copying.copied

    def remembered(*arguments: Any) -> Any:
        made.append(copied(*arguments))
        return made[-1]

    monkeypatch.setattr(extraction, "copied", remembered)
    inputs = attacked().inputs
    found = extraction.attack(model, attacked(), others(), tensor.extraction, chance.begin(0, "thief"))
    with torch.no_grad():
        labels = [copy(torch.from_numpy(inputs)).argmax(1).numpy() for copy in made[1:]]
    agreements = [float((each == model.labels(inputs)).mean()) for each in labels]
    assert max(agreements) - min(agreements) > 0.1, "thieves that are all alike show nothing here"
    assert value(found, "extraction-agreement-without-data") == pytest.approx(np.mean(agreements))


def test_the_thiefs_inputs_are_not_those_that_are_compared() -> None:
    own = {each.tobytes() for each in others().inputs}
    assert not own & {each.tobytes() for each in attacked().inputs}


def test_a_text_model_is_copied_by_its_answers(opened_text: OpenedText, text: Text) -> None:
    held_out = messages.messages().held_out
    parts = held_out[np.arange(200)], held_out[np.arange(200, 400)]
    model = opened_text(messages.good())
    within = extraction.attack_text(model, *parts, text.extraction, chance.begin(0, "extraction"))
    assert failed(within) == set()
    strict = text.extraction.model_copy(update={"queries": 200, "most_agreement": 0.8})
    assert failed(extraction.attack_text(model, *parts, strict, chance.begin(0, "extraction")))
    assert value(within, "extraction-agreement") > 0.6
