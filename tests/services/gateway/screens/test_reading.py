"""Reading: text in pictures is read whatever was done to hide it, within a bound, by many at once."""

from __future__ import annotations

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from services.screens import reading
from services.screens.images import ImageRefused, opened
from services.screens.reading import Reader
from services.screens.text import normalised
from tests.services.gateway.screens import figures

Colour = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LINES = "claim your free\nprize money now"
WORDS = set(LINES.split())


@pytest.fixture(scope="module")
def reader() -> Reader:
    """The neural engine alone: what is tested is the same with and without the other one."""
    made = Reader()
    made._tesseract = None
    return made


def drawn(
    text: str = LINES,
    *,
    ink: Colour = BLACK,
    paper: Colour = WHITE,
    size: int = 26,
    wide: int = 300,
    high: int = 100,
) -> Image.Image:
    image = Image.new("RGB", (wide, high), paper)
    ImageDraw.Draw(image).multiline_text((20, 16), text, ink, ImageFont.load_default(size))
    return image


def found(text: str) -> set[str]:
    return WORDS & set(text.casefold().split())


@pytest.mark.parametrize(
    "turned",
    [None, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_90],
    ids=["upright", "upside down", "sideways"],
)
def test_what_is_written_is_read_whichever_side_is_up(reader: Reader, turned: Image.Transpose | None) -> None:
    image = drawn() if turned is None else drawn().transpose(turned)
    assert found(reader.text(image)) == WORDS


def test_what_is_all_but_white_is_read_beside_what_is_bold(reader: Reader) -> None:
    image = drawn(ink=(249, 249, 249), high=160)
    ImageDraw.Draw(image).rectangle((20, 120, 280, 150), BLACK)
    assert found(reader.text(image)) == WORDS


def test_what_differs_in_colour_alone_is_read(reader: Reader) -> None:
    # Both are as bright: 0.299, 0.587 and 0.114 of red, green and blue are 110.
    assert found(reader.text(drawn(ink=(200, 60, 134), paper=(60, 125, 165)))) == WORDS


def test_what_is_drawn_in_the_alpha_channel_is_read(reader: Reader) -> None:
    hidden = Image.new("RGBA", (300, 100), "white")
    hidden.putalpha(Image.eval(drawn().convert("L"), lambda level: 255 - level))
    data = io.BytesIO()
    hidden.save(data, "PNG")
    assert found(reader.text(opened(data.getvalue()))) == WORDS


def test_a_long_strip_is_read_to_its_end(reader: Reader) -> None:
    strip = Image.new("RGB", (300, 5000), WHITE)
    strip.paste(drawn(), (0, 4890))
    assert found(reader.text(strip)) == WORDS


def test_an_empty_picture_says_nothing(reader: Reader) -> None:
    assert reader.text(Image.new("RGB", (1, 1))) == ""
    assert reader.text(Image.new("RGB", (200, 80), WHITE)) == ""


def test_large_pictures_are_made_smaller_first() -> None:
    for size in ((4000, 4000), (10_000, 1600), (1, 10_000), (10_000, 1)):
        tiles = list(reading._tiles(Image.new("L", size)))
        assert all(max(tile.shape[:2]) <= reading.TILE for tile in tiles)
        assert sum(tile.shape[0] * tile.shape[1] for tile in tiles) <= 1.3 * reading.MOST_PIXELS


def test_tiles_cover_all_of_a_picture() -> None:
    for length in (1, 1279, 1280, 1281, 1408, 2432, 2433, 6000):
        covered = [
            n for start in reading._starts(length) for n in range(start, min(start + reading.TILE, length))
        ]
        assert set(covered) == set(range(length))


def test_more_writing_than_can_be_read_is_refused_and_not_half_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.0)
    with pytest.raises(ImageRefused, match="more writing"):
        reader.text(drawn())


def test_who_waits_too_long_is_told_so(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.05)
    with reader._turn, pytest.raises(ImageRefused, match="wait"):
        reader.text(drawn())


def test_many_at_once_read_each_their_own(reader: Reader) -> None:
    texts = ["winter sale", "summer rain", "autumn wind"]
    with ThreadPoolExecutor(len(texts)) as threads:
        read = list(threads.map(lambda text: reader.text(drawn(text, high=60)), texts))
    assert [text.casefold() for text in read] == texts


def test_spam_in_pictures_is_caught(reader: Reader) -> None:
    files = figures.pictures(3)
    written = [normalised(reader.text(opened(data))).text for data in files]
    assert figures.judge(words_alone=False)(written).all()


def test_a_line_that_both_engines_read_is_said_once() -> None:
    ours = ["Claim your prize", "free money"]
    assert reading._news(ours, ["claim your pr1ze today", "FREE money", "call 0900 now", ". -"]) == [
        "claim your pr1ze today",
        "call 0900 now",
    ]


def test_another_engine_that_hangs_or_is_gone_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TESSERACT_SECONDS", 0.1)
    hangs = tmp_path / "tesseract"
    hangs.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    hangs.chmod(0o700)
    assert reading._by_tesseract(str(hangs), drawn(), float("inf")) == []
    assert reading._by_tesseract("/nowhere/tesseract", drawn(), float("inf")) == []


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not on the PATH")
def test_the_other_engine_reads_what_the_first_one_misses() -> None:
    page = Image.new("RGB", (3000, 2000), WHITE)
    ImageDraw.Draw(page).multiline_text((900, 900), LINES, BLACK, ImageFont.load_default(16))
    read = reading._by_tesseract(str(shutil.which("tesseract")), page, float("inf"))
    assert found("\n".join(read)) == WORDS
