"""The watch itself: what it remembers and forgets, what it makes of odd numbers, and when it speaks."""

from __future__ import annotations

import random
import re
from itertools import cycle, islice
from pydoc_data.topics import topics

import numpy as np
import pytest
from numpy.typing import NDArray

from services.gateway import distances, extraction
from services.gateway.distances import text_features
from services.gateway.extraction import Suspicion, Watch
from tests.services.gateway.attacks import Floats, noise, victim

WHO, MODEL = "ward/triage", "digits"


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def chance(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def shown(watch: Watch, queries: NDArray[np.floating], who: str = WHO) -> list[Suspicion | None]:
    """Show queries that all get one label, and return what the watch says of each."""
    return [watch.seen(who, MODEL, each, 3) for each in queries]


def digits() -> tuple[Floats, list[int]]:
    of = victim("mlp", 0)
    return of.pool, of.scores(of.pool).argmax(1).tolist()


def test_it_speaks_once_and_stands_by_it_for_a_day() -> None:
    clock = Clock()
    watch = Watch(clock=clock)
    said = shown(watch, noise(200, chance()))
    first = next(number for number, each in enumerate(said) if each)
    assert said[first] == Suspicion(
        test="spread",
        statistic=said[first].statistic,  # type: ignore[union-attr]
        threshold=extraction.NUMBERS.spread_least,
        queries=first + 1,
        news=True,
    )
    assert first + 1 < 150
    assert all(each is not None and not each.news for each in said[first + 1 :])
    # Behaving for a while does not help: what stands is dropped a day after the last test that failed.
    clock.now += extraction.HELD_SECONDS - 1
    assert watch.seen(WHO, MODEL, np.zeros(64), 3) is not None
    clock.now += 1
    assert watch.seen(WHO, MODEL, np.ones(64), 3) is None
    # And whoever goes on is news again.
    again = [each for each in shown(watch, noise(64, chance(2))) if each]
    assert [each.news for each in again][:2] == [True, False]


def test_a_suspicion_is_of_one_client_and_one_model() -> None:
    watch = Watch()
    assert shown(watch, noise(200, chance()))[-1]
    assert watch.seen("ward/other", MODEL, np.zeros(64), 3) is None
    assert watch.seen(WHO, "spam", np.zeros(64), 3) is None


def test_queries_of_several_clients_are_not_thrown_together() -> None:
    """Each alone has asked too little for a test; together they have asked enough for ten."""
    watch = Watch()
    for number in range(30):
        assert not any(shown(watch, noise(90, chance(number)), f"ward/{number}"))


def test_what_is_asked_in_turns_with_harmless_queries_is_noticed_later() -> None:
    """Not an evasion that costs nothing: as many ordinary queries as made ones do not hide them."""
    data, labels = digits()
    of = victim("mlp", 0)
    made = noise(400, chance())
    watch, found = Watch(), None
    for number in range(400):
        watch.seen(WHO, MODEL, data[number], labels[number])
        if watch.seen(WHO, MODEL, made[number], int(of.scores(made[number : number + 1]).argmax())):
            found = number
            break
    assert found is not None


def test_what_was_asked_before_says_nothing_new() -> None:
    """A probe sends the same again and again, and learns nothing by it."""
    watch = Watch()
    probes = noise(50, chance())
    assert not any(shown(watch, np.stack(list(islice(cycle(probes), 5000)))))


def test_a_repetition_in_between_does_not_put_off_a_test() -> None:
    watch = Watch()
    said = [each for x in noise(200, chance()) for each in shown(watch, np.stack([x, x, x]))]
    assert any(said[: 3 * 150])


def test_a_long_harmless_past_is_no_credit() -> None:
    """Three times as many ordinary queries as the window holds, then noise: as soon as from a stranger."""
    data, labels = digits()
    watch = Watch()
    for x, label in zip(data, labels, strict=True):
        assert watch.seen(WHO, MODEL, x, label) is None
    of = victim("mlp", 0)
    made = noise(400, chance())
    said = [watch.seen(WHO, MODEL, x, int(of.scores(x[None]).argmax())) for x in made]
    assert any(said[: distances.WINDOW])


@pytest.mark.parametrize("kept", [extraction.DRAWN, 50])
def test_nobody_is_forgotten_on_purpose(kept: int) -> None:
    """A suspect floods the watch with names that come once, forty times as many as it has room for."""
    watch = Watch(most_watched=kept)
    assert shown(watch, noise(200, chance()))[-1]
    for number in range(40 * kept):
        watch.seen(f"ward/{number}", MODEL, np.full(64, number % 7), 3)
    assert watch.seen(WHO, MODEL, np.zeros(64), 3) is not None
    assert len(watch._watched) == len(watch._keys) == kept


def test_a_client_with_a_past_is_not_forgotten_for_strangers() -> None:
    """Not yet suspected, but on the way there: ninety queries are not lost to a flood of names."""
    watch = Watch(most_watched=50)
    made = noise(200, chance())
    shown(watch, made[:90])
    for number in range(2000):
        watch.seen(f"ward/{number}", MODEL, np.full(64, number % 7), 3)
    assert any(shown(watch, made[90:150]))


def test_two_strangers_do_not_push_each_other_out() -> None:
    """In a house that is full of regulars, whoever comes under two names in turns is still seen."""
    watch = Watch(most_watched=50)
    for number in range(50):
        shown(watch, noise(20, chance(number)), f"ward/regular-{number}")
    said = []
    for x, y in zip(noise(400, chance(1)), noise(400, chance(2)), strict=True):
        said += [*shown(watch, x[None], "ward/one"), *shown(watch, y[None], "ward/two")]
    assert any(said)


def test_what_is_remembered_of_a_client_is_bounded() -> None:
    watch = Watch()
    labels = chance().integers(0, 1000, 6000)
    for x, label in zip(noise(6000, chance()), labels, strict=True):
        watch.seen(WHO, MODEL, x, int(label))
    stream = watch._watched[(WHO, MODEL)].stream
    assert sum(each.count for each in stream._classes.values()) == distances.MOST_ROWS
    allocated = sum(each.rows.nbytes for each in stream._classes.values())
    assert allocated <= 4 * (distances.MOST_ROWS + 1000) * 4 * distances.WIDTH
    assert len(stream._repeats) == distances.MOST_REPEATS
    assert max(each.count for each in stream._classes.values()) <= distances.MOST_ROWS_A_CLASS


def test_one_class_does_not_take_all_the_room() -> None:
    watch = Watch()
    # Each is farther from all before than any was.
    shown(watch, np.stack([np.full(64, number**2.0) for number in range(200)]))
    (of_class,) = watch._watched[(WHO, MODEL)].stream._classes.values()
    assert of_class.count == distances.MOST_ROWS_A_CLASS


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e18, 1e37])
def test_noise_is_noise_on_any_scale(scale: float) -> None:
    with np.errstate(over="ignore"):
        assert any(shown(Watch(), noise(200, chance()) * np.float32(scale)))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38])
def test_numbers_that_are_none_do_not_blind_it(odd: float) -> None:
    """Screens refuse them before; if they did not, nobody would be safe from suspicion for it."""
    queries = noise(400, chance())
    queries[:, 0] = odd
    with np.errstate(over="ignore", invalid="ignore"):
        assert any(shown(Watch(), queries))


def test_queries_that_hardly_differ_are_noticed() -> None:
    base = victim("mlp", 0).pool[0]
    for step in (1e-6, 1e-3):
        assert any(shown(Watch(), np.stack([base + step * number for number in range(300)])))


def test_a_large_input_is_sketched_and_noise_in_it_noticed() -> None:
    """Of natural inputs a few numbers decide over three thousand; of noise each for itself."""
    watch = Watch()
    basis = chance(5).normal(size=(4, 3072)).astype(np.float32)
    smooth = chance(6).normal(size=(600, 4)).astype(np.float32) @ basis
    assert not any(shown(watch, smooth.reshape(-1, 3, 32, 32)))
    assert any(shown(watch, noise(200 * 48, chance(7)).reshape(-1, 3, 32, 32), "ward/noise"))
    assert watch._watched[(WHO, MODEL)].stream.width == distances.WIDTH


def test_distances_of_a_sketch_are_about_those_of_inputs() -> None:
    watch = Watch()
    x = chance().normal(size=(40, 5000)).astype(np.float32)
    exact = np.linalg.norm(x[:20] - x[20:], axis=1)
    about = np.linalg.norm(
        np.stack([watch._sketch(a) - watch._sketch(b) for a, b in zip(x[:20], x[20:], strict=True)]), axis=1
    )
    assert abs(float((about / exact).mean()) - 1) < 0.1
    assert float((about / exact).std()) < 0.2


def test_nobody_knows_how_inputs_are_sketched() -> None:
    x = noise(48, chance()).reshape(-1)
    sketches = [Watch()._sketch(x) for _ in range(2)]
    assert not np.array_equal(sketches[0], sketches[1])


def test_a_model_that_takes_another_input_begins_anew() -> None:
    watch = Watch()
    shown(watch, noise(90, chance()))
    wide = noise(90, chance()).reshape(-1, 32)
    assert not any(shown(watch, wide[:90]))


SENTENCES = sorted(
    {
        " ".join(sentence.split())
        for topic in topics.values()
        for sentence in re.split(r"(?<=[.:])\s+|\n\n", topic)
        if 40 < len(" ".join(sentence.split())) < 400
    }
)
"""Of Python's own documentation."""


def told(texts: list[str]) -> list[Suspicion | None]:
    watch = Watch()
    return [watch.seen(WHO, "spam", text_features(each), len(each) % 3 == 0) for each in texts]


@pytest.mark.parametrize("seed", range(4))
def test_texts_of_ones_own_are_not_suspected(seed: int) -> None:
    assert not any(told(random.Random(seed).sample(SENTENCES, 1200)))  # noqa: S311 - the same every time


@pytest.mark.parametrize("seed", range(4))
def test_texts_that_are_made_out_of_a_few_are_noticed(seed: int) -> None:
    """A word is replaced in one of fifty texts, again and again."""
    luck = random.Random(seed)  # noqa: S311 - the same every time
    seeds, words = luck.sample(SENTENCES, 50), " ".join(SENTENCES).split()

    def altered() -> str:
        text = luck.choice(seeds).split()
        text[luck.randrange(len(text))] = luck.choice(words)
        return " ".join(text)

    said = told([altered() for _ in range(600)])
    assert any(said[:250])


@pytest.mark.parametrize("text", ["", "a", "ab", "\x00", "\ud800", "\U0001f600" * 5000, "a" * 100_000])
def test_any_text_has_numbers_of_one_length(text: str) -> None:
    numbers = text_features(text)
    assert numbers.shape == (512,)
    assert abs(float(np.linalg.norm(numbers)) - 1) < 1e-5


def test_texts_that_are_alike_are_near() -> None:
    one, alike, other = (
        text_features(text)
        for text in (
            "you have won a prize, click here",
            "you have won a price, click here",
            "minutes of the last board meeting",
        )
    )
    assert np.linalg.norm(one - alike) < 0.5 * np.linalg.norm(one - other)
