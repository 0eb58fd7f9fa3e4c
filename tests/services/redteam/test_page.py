"""The page: readable without the network, without colours and without eyes, and nobody's words are taken for HTML."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.modelchain.schema import Check
from services.redteam import chance, drawing, findings, judgement, meaning, page, subject, thresholds
from services.redteam.findings import Chart, Line
from tests.services.redteam import messages, world


class Read(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "col"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def written(made: world.Made, examples: world.Examples, folder: Path) -> str:
    candidate = made.candidate(folder / "candidate")
    read = thresholds.read(thresholds.EXAMPLE)
    found = judgement.judge(subject.opened(candidate), examples, read, seed=0, watch=lambda *_: None)
    return page.written(candidate, judgement.verdict(candidate, found, read), found, examples)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(world.backdoored(), world.digits(), tmp_path_factory.mktemp("page"))


def test_it_loads_nothing(shown: str) -> None:
    read = Read(shown)
    assert read.open == []
    for tag, attributes in read.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "form", "base")
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), value
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in shown
    assert "@import" not in shown
    policy = [each for each in read.all("meta") if each.get("http-equiv")]
    assert policy[0]["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_picture_is_one_and_says_what_it_shows(shown: str) -> None:
    read = Read(shown)
    images = read.all("img")
    assert len(images) > 60
    for each in images:
        assert each["alt"]
        data = base64.b64decode((each["src"] or "").partition(",")[2])
        assert Image.open(io.BytesIO(data)).size == (64, 64)
    for each in read.all("svg"):
        assert each["role"] == "img"
        assert "from" in (each["aria-label"] or "")
    titles = re.findall(r"<h3>(.*?)</h3>", shown)
    assert titles == [
        "Accuracy under projected gradient descent",
        "Adversarial examples beside their originals",
        "Attacks with and without gradients",
        "Smallest triggers, by the class that they turn everything into",
        "Membership inference",
        "What the model gives away of its classes",
    ]


def test_it_says_what_failed_first_and_in_words(shown: str) -> None:
    assert "Must not serve" in shown
    assert shown.index("trigger-ratio") < shown.index("<nav")
    assert shown.count('class="mark bad">✗ failed') == 2
    assert shown.count('class="mark good">✓ passed') == 15
    ids = {each["id"] for each in Read(shown).all("section")}
    assert {f"#{each}" for each in ids} == {each["href"] for each in Read(shown).all("a")} | {"#trigger"}


def test_contrast_is_enough_to_read(shown: str) -> None:
    # WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text; in daylight and at night.
    for block in re.findall(r":root \{(.*?)\}", shown.partition("@media print")[0], re.DOTALL):
        colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for ink, paper in (
            ("ink", "paper"), ("soft", "paper"), ("soft", "wash"), ("good", "paper"), ("bad", "paper"),
            ("bad", "bad-wash"), ("good", "good-wash"), ("soft", "bad-wash"), ("soft", "good-wash"),
            ("first", "paper"), ("first", "bad-wash"), ("second", "wash"), ("third", "wash"),
        ):  # fmt: skip
            assert contrast(colour[ink], colour[paper]) >= 4.5, (ink, paper)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_what_a_candidate_calls_itself_is_text(tmp_path: Path) -> None:
    made, evil = messages.good(), "<script>alert(1)</script>"
    output = made.schema.output.model_copy(update={"classes": (evil, "spam")})
    named = made.but(schema=made.schema.model_copy(update={"output": output}))
    text = written(named, messages.messages(), tmp_path)
    assert evil not in text
    assert "<script" not in text


def test_every_check_says_what_it_means(shown: str) -> None:
    names = re.findall(r"<strong>([a-z0-9.%-]+)</strong>", shown)
    assert len(names) == 17
    for name in [*names, "trigger-word", "evasion-accuracy-mixed"]:
        assert meaning.of(Check(name=name, value=0, threshold=0, passed=True)), name


def test_every_attack_says_its_paper_in_its_first_line(tmp_path: Path) -> None:
    attacks = [
        attack
        for made, examples in ((world.good(), world.digits()), (messages.good(), messages.messages()))
        for attack in judgement.plan(
            subject.opened(made.candidate(tmp_path / made.schema.name)),
            examples,
            thresholds.read(thresholds.EXAMPLE),
            0,
        )
    ]
    for attack in attacks:
        assert attack.name == "accuracy" or re.search(r"\((.+), .*(19|20)\d\d", attack.idea), attack.idea


def test_a_curve_begins_where_nobody_is_named_by_mistake() -> None:
    chart = Chart(
        title="ROC",
        about="",
        x_name="false",
        y_name="true",
        logarithmic=True,
        lines=(Line(name="attack", x=(0.0, 0.01, 1.0), y=(0.05, 0.2, 1.0)),),
    )
    across, up = drawing._axes(chart)
    assert across.least == 0.01
    assert across.at(0.0) == drawing.LEFT
    assert across.at(1.0) == drawing.WIDTH - drawing.RIGHT
    assert up.at(0.1) == pytest.approx((up.at(0.01) + up.at(1.0)) / 2)
    assert "ROC. true against false. attack: from 0.05 at 0 to 1 at 1." in drawing.chart(chart)


def test_a_value_that_is_no_number_does_not_pass() -> None:
    for value in (float("nan"), float("inf"), float("-inf")):
        assert not findings.at_least("x", value, 0.5).check.passed
        assert not findings.at_most("x", value, 0.5).check.passed
    assert findings.at_least("x", 0.5, 0.5).check.passed
    assert findings.at_most("x", 0.5, 0.5).check.passed
    assert not findings.at_least("x", 0.4999, 0.5).check.passed
    assert not findings.at_most("x", 0.5001, 0.5).check.passed
    assert not findings.passed([])


def test_every_attack_begins_from_its_own_chance() -> None:
    first = chance.begin(3, "pgd").random()
    chance.begin(3, "membership").random()
    assert chance.begin(3, "pgd").random() == first
    assert chance.begin(4, "pgd").random() != first
