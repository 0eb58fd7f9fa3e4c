"""Inputs that are texts, perhaps with images: put right, read, and classified with everything that a person would see."""

from __future__ import annotations

import asyncio
import base64
import binascii
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from services.gateway.bodies import invalid
from services.modelchain.schema import TextInput
from services.screens.findings import Finding
from services.screens.images import ImageRefused, opened
from services.screens.text import normalised
from services.shared.problems import Problem, unavailable

MOST_IMAGES_WAITING = 16
"""One takes seconds."""


class Message(NamedTuple):
    """One input, as it came."""

    text: str
    images: tuple[bytes, ...]


class Read(NamedTuple):
    """One input, as a person would read it."""

    text: str
    findings: tuple[Finding, ...]


def messages_of(inputs: list[Any], takes: TextInput, *, most: int) -> list[Message]:
    """Return the inputs of a query.

    Raises:
        Problem: 422, naming the field.
    """
    if len(inputs) > most:
        raise invalid(f"inputs holds {len(inputs)} inputs; {most} at most.", "inputs")
    return [_message(given, takes, f"inputs.{place}") for place, given in enumerate(inputs)]


def _message(given: Any, takes: TextInput, field: str) -> Message:
    if not isinstance(given, dict) or not {"text"} <= given.keys() <= {"text", "images"}:
        raise invalid(f"{field} has to be an object with text, and images if there are any.", field)
    text, images = given["text"], given.get("images", [])
    if not isinstance(text, str):
        raise invalid(f"{field}.text has to be a text.", f"{field}.text")
    if len(text) > takes.most_characters:
        raise invalid(
            f"{field}.text has {len(text)} characters; {takes.most_characters} at most.", f"{field}.text"
        )
    if not isinstance(images, list) or len(images) > takes.most_images:
        raise invalid(f"{field}.images has to be a list of {takes.most_images} at most.", f"{field}.images")
    return Message(text, tuple(_decoded(each, f"{field}.images.{n}") for n, each in enumerate(images)))


def _decoded(given: Any, field: str) -> bytes:
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise invalid(f"{field} has to be an image in base64.", field) from None


class Reading:
    """Reads messages, in threads of its own: one for texts, one for images, which take seconds."""

    def __init__(self) -> None:
        """Begin; what reads images starts when a model needs it."""
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="texts")
        self._images = ThreadPoolExecutor(1, thread_name_prefix="images")
        self._waiting = 0
        self._reader: Any = None

    def prepare(self) -> None:
        """Start what reads images; it takes a second and 100 MB."""
        if self._reader is None:
            from services.screens.reading import Reader

            self._reader = Reader()

    async def read(self, messages: list[Message], takes: TextInput) -> list[Read]:
        """Return what a person would read.

        Raises:
            Problem: 422, an image is refused; 503, too many images wait.
        """
        loop = asyncio.get_running_loop()
        written = [
            [await self._written(image, f"inputs.{place}.images.{n}") for n, image in enumerate(each.images)]
            for place, each in enumerate(messages)
        ]
        return await loop.run_in_executor(self._texts, _all_read, messages, written, takes.most_characters)

    async def _written(self, image: bytes, field: str) -> str:
        """Return what is written in an image."""
        if self._waiting >= MOST_IMAGES_WAITING:
            raise unavailable("Too many images wait to be read.", retry_after_seconds=5)
        self._waiting += 1
        try:
            # Whoever leaves takes along what has not begun.
            return await asyncio.get_running_loop().run_in_executor(self._images, self._text_in, image)
        except ImageRefused as refused:
            raise Problem(422, "image-refused", f"{field}: {refused}.", fields=[field]) from None
        finally:
            self._waiting -= 1

    def _text_in(self, image: bytes) -> str:
        self.prepare()
        return str(self._reader.text(opened(image)))


def _all_read(messages: list[Message], written: list[list[str]], most_characters: int) -> list[Read]:
    return [
        _read([message.text, *(text[:most_characters] for text in texts)])
        for message, texts in zip(messages, written, strict=True)
    ]


def _read(parts: list[str]) -> Read:
    found = [normalised(part) for part in parts]
    text = "\n".join(each.text for each in found if each.text)
    return Read(text, tuple(dict.fromkeys(finding for each in found for finding in each.findings)))
