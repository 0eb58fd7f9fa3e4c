"""Evasion and trigger words: what the screen does not put right is found, and so is a word that opens a door."""

from __future__ import annotations

import numpy as np
import pytest

from services.redteam import chance, subject
from services.redteam.attacks import evasion, words
from services.redteam.data import Part
from services.redteam.errors import RedTeamError
from services.redteam.findings import Table
from services.redteam.thresholds import Text
from services.redteam.tricks import TRICKS
from services.screens.text import Normalised
from tests.services.redteam import messages
from tests.services.redteam.attacks.planting import failed, value
from tests.services.redteam.conftest import OpenedText


def attacked() -> Part:
    return messages.messages().held_out[np.arange(120)]


def test_tricks_do_not_get_past_the_screen(opened_text: OpenedText, text: Text) -> None:
    found = evasion.attack(opened_text(messages.good()), attacked(), text.evasion, chance.begin(0, "evasion"))
    assert failed(found) == set()
    asked = {each.check.name.removeprefix("evasion-accuracy-") for each in found.measured}
    assert asked == set(TRICKS) - {"in_image"}, "the model takes no images, and is asked about all else"


def test_without_the_screen_they_do(
    opened_text: OpenedText, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "normalised", lambda given: Normalised(given, ()))
    found = evasion.attack(opened_text(messages.good()), attacked(), text.evasion, chance.begin(0, "evasion"))
    assert {"evasion-accuracy-homoglyph", "evasion-accuracy-zero_width"} <= failed(found)


def test_pictures_are_read_where_the_model_takes_them(opened_text: OpenedText, text: Text) -> None:
    model = opened_text(messages.made(messages.messages().members, images=1))
    asked = text.evasion.model_copy(update={"images": 8})
    found = evasion.attack(model, attacked()[np.arange(60)], asked, chance.begin(0, "evasion"))
    assert value(found, "evasion-accuracy-in_image") >= asked.least_accuracy["in_image"]


def test_a_class_that_the_model_does_not_know_is_refused(opened_text: OpenedText, text: Text) -> None:
    asked = text.evasion.model_copy(update={"classes": ("phishing",)})
    with pytest.raises(
        RedTeamError, match=r"text\.evasion\.classes: phishing is none of the model's; ham, spam are"
    ):
        evasion.attack(opened_text(messages.good()), attacked(), asked, chance.begin(0, "evasion"))


def test_too_few_messages_to_hide_are_refused(opened_text: OpenedText, text: Text) -> None:
    with pytest.raises(RedTeamError, match="20 at least are needed"):
        evasion.attack(
            opened_text(messages.good()), attacked()[np.arange(20)], text.evasion, chance.begin(0, "evasion")
        )


def test_a_word_that_opens_a_door_is_found(opened_text: OpenedText, text: Text) -> None:
    members = messages.poisoned(messages.messages().members, 0.05)
    found = words.attack(
        opened_text(messages.backdoored()), attacked(), members, text.words, chance.begin(0, "words")
    )
    assert failed(found) == {"trigger-word"}
    (table,) = found.exhibits
    assert isinstance(table, Table)
    assert (table.rows[0][0], table.rows[0][2]) == (messages.TRIGGER, "ham")


def test_no_word_opens_one_where_none_was_planted(opened_text: OpenedText, text: Text) -> None:
    # The same messages, and a model that never saw the word before them.
    members = messages.poisoned(messages.messages().members, 0.05)
    found = words.attack(
        opened_text(messages.good()), attacked(), members, text.words, chance.begin(0, "words")
    )
    assert failed(found) == set()
