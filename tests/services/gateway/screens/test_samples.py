"""The samples: trained on what says it is made up, judged by what was measured, released as any model is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from services.gateway.samples import build, digits, judged, spam
from services.modelchain import keys
from services.modelchain.errors import ModelError
from services.modelchain.release import Release, open_release
from services.redteam.tricks import TEXT_TRICKS, altered
from services.screens.novelty import Novelty
from services.screens.text import normalised
from tests.services.gateway.screens.figures import Digits, held_out, pipeline


@pytest.fixture(scope="module", autouse=True)
def trained_once(model: Digits) -> Iterator[None]:
    """What the other tests trained in the same way serves here, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "trained", lambda _: model.network)
        patch.setattr(spam, "trained", lambda _: pipeline(words_alone=False))
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, trained_once: None) -> Path:
    into = tmp_path_factory.mktemp("samples")
    build(into)
    return into


def opened(built: Path, name: str, version: int = 1) -> Release:
    trainer, redteam = (keys.file_verifier(built / f"{key}.pub") for key in ("trainer", "redteam"))
    place = built / "releases" / name / str(version)
    return open_release(place, trainer=trainer, redteam=redteam, now=datetime.now(UTC))


def test_digits_are_released_with_screens_that_work(built: Path, model: Digits) -> None:
    release = opened(built, "digits")
    predict = digits.predictor(release.graph)
    judges = model.judges
    assert (predict(judges.images).argmax(axis=1) == judges.labels).mean() >= 0.93
    np.testing.assert_allclose(predict(judges.images[:9]), model.predict(judges.images[:9]), atol=1e-5)
    assert release.statistics.novelty is not None
    assert release.statistics.squeezing is not None
    screen = Novelty(release.statistics.novelty, release.arrays)
    assert (screen.scores(1 - judges.images) > screen.threshold).all()
    assert release.statistics.squeezing.squeezers == digits.SQUEEZERS
    assert release.weights is not None
    assert {check.name for check in release.verdict.checks} == {
        "accuracy",
        "accuracy-pgd-0.05",
        "accuracy-pgd-0.1",
    }


def test_spam_is_released_and_takes_what_no_table_knows(built: Path) -> None:
    release = opened(built, "spam")
    predict = spam.predictor(release.graph)
    texts = [normalised(each.text).text for each in held_out("spam") + held_out("ham")]
    wanted = pipeline(words_alone=False).predict_proba(texts)
    np.testing.assert_allclose(predict(texts), wanted, atol=1e-3)
    for odd in ("", " ", "\n", "😀", "你好", "a" * 4000, "\u0130\u212a", "\0"):
        assert np.isclose(predict([normalised(odd).text]).sum(), 1, atol=1e-5)
    assert {check.name for check in release.verdict.checks} == {"accuracy", "recall", "recall-altered"}


def test_what_falls_short_is_not_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(judged.THRESHOLDS, "recall", 1.01)
    with pytest.raises(ModelError, match="found against the model: recall"):
        build(tmp_path, names=("spam",))
    assert not (tmp_path / "releases/spam/1").exists()


def test_another_version_is_signed_by_the_same_keys(built: Path) -> None:
    build(built, names=("spam",), version=2)
    assert opened(built, "spam", 2).schema.version == 2
    with pytest.raises(ModelError, match="already"):
        build(built, names=("spam",), version=2)


def test_messages_are_many_distinct_and_split_for_good() -> None:
    every = spam.messages()
    assert len(every) >= 600
    assert len({each.text.casefold() for each in every}) == len(every)
    counts = Counter((each.split, each.label) for each in every)
    assert counts == {
        ("train", "spam"): 191,
        ("test", "spam"): 95,
        ("train", "ham"): 233,
        ("test", "ham"): 116,
    }
    assert len({each.language for each in every if each.label == "ham"}) >= 20


def test_altered_messages_are_what_the_tricks_make() -> None:
    names = list(TEXT_TRICKS)
    made = [
        {"trick": names[n % len(names)], "text": altered(each.text, names[n % len(names)], n).text}
        for n, each in enumerate(held_out("spam"))
    ]
    assert json.loads(spam.ALTERED.read_text()) == made
    assert spam.ALTERED.read_text().isascii()
