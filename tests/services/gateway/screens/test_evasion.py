"""Evasion: spam that was altered so that machines do not see it is seen behind the screen, and ham is no worse off."""

from __future__ import annotations

import pytest

from services.gateway.samples.spam import messages
from services.redteam.tricks import TEXT_TRICKS, TRICKS, altered
from services.screens.images import opened
from services.screens.text import normalised
from tests.services.gateway.screens.figures import held_out, judge, read, sent

HIDES = dict.fromkeys(TEXT_TRICKS, 0.15)
"""By how much of the spam a trick gets past words alone, at least, when nothing puts the text right."""


@pytest.mark.parametrize("trick", TEXT_TRICKS)
def test_a_trick_that_gets_past_a_filter_does_not_get_past_the_screen(trick: str) -> None:
    words = judge(words_alone=True)
    plain = words([each.text for each in held_out("spam")]).mean()
    altered_texts = sent(trick)
    assert words(altered_texts).mean() <= plain - HIDES[trick]
    assert words(read(altered_texts)).mean() >= plain - 0.12


@pytest.mark.parametrize("trick", TEXT_TRICKS)
def test_the_sample_recognises_what_was_altered(trick: str) -> None:
    assert judge(words_alone=False)(read(sent(trick))).mean() >= 0.93


@pytest.mark.parametrize("trick", TEXT_TRICKS)
def test_every_trick_is_named(trick: str) -> None:
    found = [normalised(text).findings for text in sent(trick)]
    assert sum(map(bool, found)) >= 0.97 * len(found)


@pytest.mark.parametrize("trick", TEXT_TRICKS)
def test_ham_with_the_same_tricks_stays_ham(trick: str) -> None:
    sample = judge(words_alone=False)
    plain = sample([each.text for each in held_out("ham") if each.language == "en"]).mean()
    assert sample(read(sent(trick, "ham"))).mean() <= plain + 0.06


def test_honest_messages_are_left_alone_in_every_language() -> None:
    objected = [each.text for each in messages() if normalised(each.text).findings]
    assert objected == []


def test_honest_messages_are_seldom_called_spam() -> None:
    ham = held_out("ham")
    sample = judge(words_alone=False)
    assert sample(read([each.text for each in ham])).mean() <= 0.09
    assert sample(read([each.text for each in ham if each.language != "en"])).mean() <= 0.06


def test_tricks_are_the_same_for_a_seed_and_others_for_another() -> None:
    text = "You have won a free prize, claim it now"
    for trick in TRICKS:
        assert altered(text, trick, 1) == altered(text, trick, 1)
        assert len({altered(text, trick, seed).text for seed in range(20)}) > 1


def test_what_is_drawn_is_a_picture_that_is_opened() -> None:
    for seed in range(20):
        (data,) = altered("Free money! " * seed, "in_image", seed).images
        assert opened(data).width > 30


def test_a_trick_leaves_what_a_person_reads() -> None:
    # What is hidden falls away, and what is drawn another way keeps its place.
    text = "Congratulations, you have won a free prize"
    for trick in ("zero_width", "bidi", "homoglyph", "styled"):
        assert normalised(altered(text, trick, 3).text).text.casefold() == text.casefold()
