"""What is written in a picture, read twice by a neural engine and once by a classical one: they miss different things.

RapidOCR (PaddleOCR's models, which come with the package: nothing is fetched) reads text on noise and at an angle. It
reads the picture as it is, and again after each colour's contrast was stretched piece by piece (CLAHE: Zuiderveld, 1994),
since what is nearly as bright as its background is the oldest way past a reader. Tesseract, where it is on the PATH, reads
small and dense text better.
"""

from __future__ import annotations

import functools
import io
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from PIL import Image
from rapidocr import RapidOCR

from services.screens.images import ImageRefused

MOST_PIXELS = 2_000_000
"""Larger pictures are made smaller first: a page at 150 dots an inch is as large."""
TILE, OVERLAP = 1280, 128
"""Pixels: the side of a piece that the engine sees at once, and how far two pieces overlap, for lines in between."""
DETECTED_AT = 960
"""Pixels of a piece's longer side where text is looked for; the time it takes grows with the square."""
LINES_AT_ONCE = 6
"""That are recognised between two looks at the clock."""
SECONDS = 30.0
"""A picture may take; a dense page takes 12. Whoever hides a word in a picture full of words is refused, not half read."""
TESSERACT_SECONDS = 5.0
"""It may take hours over noise; then it is done without."""
SURE = 0.8
"""Probability from which a line is not read again in the stretched picture."""
READ = 0.5
"""Probability from which a line counts as text (the engine's own)."""
CLIP, GRID = 8.0, (8, 8)
"""Of the stretching: how steep, and in how many pieces. They bring out letters 3 levels of 255 from the background."""
SEEN_BEFORE = 0.7
"""Share of the words of the second engine's line that the first one read already, from which it says nothing new."""

WORD = re.compile(r"\w+")

Box = Any
"""Corners, float32[4, 2]."""


class Reader:
    """Reads pictures, one after the other; one for a process, since the engine takes a second to start and 100 MB."""

    def __init__(self) -> None:
        """Start the engine."""
        self._turn = threading.Lock()
        self._tesseract = shutil.which("tesseract")
        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.max_side_len": TILE,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTED_AT,
            }
        )

    def text(self, image: Image.Image) -> str:
        """Return what is written in a picture, a line for each line, each once.

        Args:
            image: As ``images.opened`` gives it.

        Raises:
            ImageRefused: If it holds more writing than can be read in ``SECONDS``, those of others before it included.
        """
        until = time.monotonic() + SECONDS
        if not self._turn.acquire(timeout=SECONDS):
            raise ImageRefused("too many images wait to be read")
        try:
            lines = [line for tile in _tiles(image) for line in self._lines(tile, until)]
        finally:
            self._turn.release()
        if self._tesseract:
            lines += _news(lines, _by_tesseract(self._tesseract, _smaller(image), until))
        return "\n".join({" ".join(line.casefold().split()): line for line in lines}.values())

    def _lines(self, tile: np.ndarray, until: float) -> list[str]:
        sure: list[Box] = []
        lines: list[str] = []
        for picture in (tile, _stretched(tile)):
            boxes = [box for box in self._boxes(picture) if not any(_overlap(box, other) for other in sure)]
            for text, score, box in self._recognised(picture, boxes, until):
                if score >= READ:
                    lines.append(text)
                if score >= SURE:
                    sure.append(box)
        return lines

    def _boxes(self, picture: np.ndarray) -> list[Box]:
        found = self._engine(picture, use_det=True, use_cls=False, use_rec=False)
        boxes = getattr(found, "boxes", None)
        return [] if boxes is None else list(boxes)

    def _recognised(
        self, picture: np.ndarray, boxes: list[Box], until: float
    ) -> Iterator[tuple[str, float, Box]]:
        for first in range(0, len(boxes), LINES_AT_ONCE):
            if time.monotonic() > until:
                raise ImageRefused(f"the image holds more writing than can be read in {SECONDS:g} seconds")
            some = boxes[first : first + LINES_AT_ONCE]
            upright, _ = self._engine.cls_and_rotate(self._engine.crop_text_regions(picture, np.stack(some)))
            read = self._engine.recognize_txt(upright)
            yield from zip(read.txts or (), map(float, read.scores or ()), some, strict=True)


def _smaller(image: Image.Image) -> Image.Image:
    image = image.convert("RGB")
    scale = (MOST_PIXELS / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2)


def _tiles(image: Image.Image) -> Iterator[np.ndarray]:
    pixels = np.asarray(_smaller(image))[:, :, ::-1]  # blue, green, red, as OpenCV and its users have it
    for top in _starts(pixels.shape[0]):
        for left in _starts(pixels.shape[1]):
            yield np.ascontiguousarray(pixels[top : top + TILE, left : left + TILE])


def _starts(length: int) -> range:
    return range(0, max(length - OVERLAP, 1), TILE - OVERLAP)


def _stretched(picture: np.ndarray) -> np.ndarray:
    stretch = cv2.createCLAHE(CLIP, GRID)
    return np.dstack([stretch.apply(np.ascontiguousarray(picture[:, :, n])) for n in range(3)])


def _overlap(box: Box, other: Box) -> bool:
    """Whether the middle of a box lies within another one's sides."""
    x, y = box.mean(axis=0)
    (left, top), (right, bottom) = other.min(axis=0), other.max(axis=0)
    return bool(left <= x <= right and top <= y <= bottom)


def _by_tesseract(program: str, image: Image.Image, until: float) -> list[str]:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    try:
        # Over pipes, so that no picture lies on a disk; psm 11 looks for text anywhere.
        done = subprocess.run(  # noqa: S603 - an absolute path, and no argument from outside
            [program, "stdin", "stdout", "-l", "eng", "--psm", "11"],
            input=data.getvalue(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            timeout=max(0.1, min(TESSERACT_SECONDS, until - time.monotonic())),
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return []
    return [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]


@functools.cache
def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("TESSDATA_PREFIX", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "OMP_THREAD_LIMIT": "1"}


def _news(lines: list[str], others: list[str]) -> list[str]:
    """Return the other engine's lines that say something new."""
    seen = {word for line in lines for word in WORD.findall(line.casefold())}
    spoken = [(line, WORD.findall(line.casefold())) for line in others]
    return [line for line, words in spoken if sum(word in seen for word in words) < SEEN_BEFORE * len(words)]
