"""Images: a hostile file is refused in one sentence before it costs anything, and an honest one hides nothing."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from services.screens import images
from services.screens.images import ImageRefused, opened

WIDTH, HEIGHT = 40, 24


def picture(mode: str = "RGB") -> Image.Image:
    """Return a picture that is not the same upside down or mirrored."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 9, 7), "black")
    return image.convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **more)
    return data.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PNG, JPEG = saved(picture()), saved(picture(), "JPEG", quality=95)
HEADER_END = 8 + 25


def with_size(width: int, height: int) -> bytes:
    return PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + PNG[HEADER_END:]


def jpeg_with_size(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


def jpeg_with_scans(count: int) -> bytes:
    progressive = saved(picture(), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    return progressive[:-2] + scan * count + b"\xff\xd9"


def animated() -> bytes:
    return saved(picture(), save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT), "red")])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "not a PNG or JPEG"),
    "a page": (lambda: b"<html><script>alert(1)</script></html>", "not a PNG or JPEG"),
    "a GIF": (lambda: saved(picture("P"), "GIF"), "not a PNG or JPEG"),
    "a WebP": (lambda: saved(picture(), "WEBP"), "not a PNG or JPEG"),
    "a TIFF": (lambda: saved(picture(), "TIFF"), "not a PNG or JPEG"),
    "an EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a PNG or JPEG"),
    "an image after something else": (lambda: b"\n" + PNG, "not a PNG or JPEG"),
    "too many bytes": (lambda: PNG + b"\0" * images.MOST_BYTES, "bytes"),
    "30,000 pixels a side, PNG": (lambda: with_size(30_000, 30_000), "pixels"),
    "30,000 pixels a side, JPEG": (lambda: jpeg_with_size(30_000, 30_000), "pixels"),
    "5,000 pixels a side, PNG": (lambda: with_size(5000, 5000), "pixels"),
    "5,000 pixels a side, JPEG": (lambda: jpeg_with_size(5000, 5000), "pixels"),
    "one long line": (lambda: with_size(10_001, 1), "pixels"),
    "no pixels": (lambda: with_size(0, 1), "pixels"),
    "no height yet": (lambda: jpeg_with_size(10, 0), "pixels"),
    "a cut off PNG": (lambda: PNG[:-20], "damaged"),
    "a PNG cut off in its header": (lambda: PNG[:20], "damaged"),
    "a PNG without an end": (lambda: PNG[:-12], "damaged"),
    "a cut off JPEG": (lambda: JPEG[:-30], "damaged"),
    "a JPEG cut off in a segment": (lambda: JPEG[:30], "damaged"),
    "an altered chunk": (lambda: PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "damaged"),
    "a chunk longer than the file": (lambda: PNG[:8] + b"\x7f\xff\xff\xff" + PNG[12:], "damaged"),
    "no header": (lambda: PNG[:8] + PNG[HEADER_END:], "header"),
    "two headers": (lambda: PNG[:HEADER_END] + PNG[8:], "header"),
    "a header of another length": (lambda: PNG[:8] + chunk(b"IHDR", bytes(20)) + PNG[HEADER_END:], "header"),
    "pixels that are not packed": (
        lambda: PNG[:HEADER_END] + chunk(b"IDAT", b"no zlib") + chunk(b"IEND", b""),
        "cannot be decoded",
    ),
    "fewer pixels than it says": (
        lambda: PNG[:HEADER_END] + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""),
        "cannot be decoded",
    ),
    "an unknown critical chunk": (
        lambda: PNG[:HEADER_END] + chunk(b"XYZW", b"") + PNG[HEADER_END:],
        "critical",
    ),
    "an animation": (animated, "animated"),
    "a hundred thousand chunks": (
        lambda: PNG[:HEADER_END] + chunk(b"tEXt", b"a\0b") * 100_000 + PNG[HEADER_END:],
        "parts",
    ),
    "a hundred thousand segments": (lambda: JPEG[:2] + b"\xff\xfe\0\2" * 100_000 + JPEG[2:], "parts"),
    "a thousand scans": (lambda: jpeg_with_scans(1000), "scans"),
    "two frames": (lambda: JPEG[:-2] + JPEG[JPEG.index(b"\xff\xc0") :], "header"),
    "no picture": (lambda: b"\xff\xd8\xff\xfe\0\2\xff\xd9", "no picture"),
    "a segment without a length": (lambda: JPEG[:2] + b"\xff\xfe\0\1" + JPEG[2:], "damaged"),
    "an archive behind a PNG": (lambda: PNG + b"PK\x03\x04 evil.jar", "follows the end"),
    "a page behind a JPEG": (lambda: JPEG + b"<script>alert(1)</script>", "follows the end"),
    "a second PNG": (lambda: PNG + PNG, "follows the end"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence(case: str) -> None:
    make, reason = HOSTILE[case]
    with pytest.raises(ImageRefused) as refused:
        opened(make())
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None


def bombs() -> dict[str, bytes]:
    much = zlib.compress(bytes(60_000_000), 9)
    text = chunk(b"zTXt", b"a\0\0" + much) + chunk(b"iTXt", b"a\0\1\0\0\0" + much)
    profile = chunk(b"iCCP", b"a\0\0" + much)
    return {
        "texts and a profile that unpack to 180 MB": PNG[:HEADER_END] + text + profile + PNG[HEADER_END:],
        "pixels that unpack to 60 MB more": PNG[:HEADER_END] + chunk(b"IDAT", much) + chunk(b"IEND", b""),
    }


@pytest.mark.parametrize("case", bombs())
def test_what_unpacks_to_much_is_never_unpacked(case: str) -> None:
    data = bombs()[case]
    tracemalloc.start()
    try:
        assert opened(data).size == (WIDTH, HEIGHT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_large_files_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object, **__: object) -> None:
        raise AssertionError("a decoder was reached")

    monkeypatch.setattr(Image, "open", decoded)
    for data in (with_size(30_000, 30_000), jpeg_with_size(60_000, 60_000), animated(), PNG + b"PK"):
        with pytest.raises(ImageRefused, match=r"pixels|animated|follows"):
            opened(data)


def test_nothing_but_the_picture_reaches_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "SECRET", zip=True)
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    seen: list[bytes] = []
    real = Image.open

    def watched(file: io.BytesIO, **more: Any) -> Image.Image:
        seen.append(file.getvalue())
        return real(file, **more)

    monkeypatch.setattr(Image, "open", watched)
    opened(saved(picture(), pnginfo=notes, icc_profile=b"SECRET" * 9))
    opened(saved(picture(), "JPEG", comment=b"SECRET", icc_profile=b"SECRET" * 9, xmp=b"SECRET"))
    assert len(seen) == 2
    assert all(b"SECRET" not in data and b"iCCP" not in data and b"ICC_PROFILE" not in data for data in seen)


def close(image: Image.Image, other: Image.Image, by: int = 12) -> bool:
    first, second = np.asarray(image, dtype=int), np.asarray(other, dtype=int)
    return first.shape == second.shape and int(np.abs(first - second).max()) <= by


HONEST = {
    "PNG": PNG,
    "JPEG": JPEG,
    "progressive JPEG": saved(picture(), "JPEG", progressive=True, quality=95),
    "grey": saved(picture("L")),
    "grey JPEG": saved(picture("L"), "JPEG"),
    "black and white": saved(picture("1")),
    "palette": saved(picture("P")),
    "interlaced": saved(picture("L"), interlace=1),
    "CMYK JPEG": saved(picture("CMYK"), "JPEG", quality=95),
    "sixteen bits of grey": saved(Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257)),
    "opaque alpha": saved(picture("RGBA")),
    "a camera's padding": JPEG + bytes(500),
    "a phone's second picture": JPEG + saved(Image.new("L", (9, 9)), "JPEG"),
    "profile and notes": saved(picture(), icc_profile=b"x" * 3000),
}


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_file_is_opened_as_people_see_it(case: str) -> None:
    image = opened(HONEST[case])
    assert image.mode == "RGB"
    assert close(image, picture())


def test_sixteen_bits_of_grey_keep_their_levels() -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    image = opened(saved(Image.fromarray(levels * 257)))
    np.testing.assert_array_equal(np.asarray(image)[:, :, 0], levels)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_stands_upright(kind: str, orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = picture().transpose(turns[orientation]) if orientation in turns else picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    more: dict[str, Any] = {"quality": 95} if kind == "JPEG" else {}
    assert close(opened(saved(turned, kind, exif=exif, **more)), picture(), by=25)


def test_a_damaged_note_about_turning_does_no_harm() -> None:
    for exif in (
        b"Exif\0\0",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40,
    ):
        data = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
        assert close(opened(data), picture())


@pytest.mark.parametrize("ink", ["black", "white"])
def test_what_is_drawn_in_the_alpha_channel_alone_shows_on_white_or_on_black(ink: str) -> None:
    hidden = Image.new("RGBA", (WIDTH, HEIGHT), ink)
    hidden.putalpha(Image.eval(picture("L"), lambda level: 255 - level))
    both = opened(saved(hidden))
    assert both.size == (WIDTH, 2 * HEIGHT)
    on_white, on_black = (both.crop((0, top, WIDTH, top + HEIGHT)) for top in (0, HEIGHT))
    shown = on_white if ink == "black" else on_black
    assert len(shown.getcolors() or []) == 2


def test_one_transparent_colour_counts_as_transparent() -> None:
    image = picture("P")
    data = saved(image, transparency=image.getpixel((WIDTH - 1, HEIGHT - 1)))
    assert opened(data).size == (WIDTH, 2 * HEIGHT)


def test_any_damage_is_answered_in_one_way() -> None:
    chance = random.Random(7)  # noqa: S311 - nothing to guess
    files = [PNG, JPEG, HONEST["progressive JPEG"], HONEST["palette"], HONEST["CMYK JPEG"]]
    for _ in range(400):
        data = bytearray(chance.choice(files))
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        try:
            assert opened(cut).mode == "RGB"
        except ImageRefused:
            continue
