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


Parts = tuple[str, ...]
"""The text of a message, and what is written in each of its images."""


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
    """Reads what is written in images, in a thread of its own: one takes seconds."""

    def __init__(self) -> None:
        """Begin; what reads images starts when a model needs it."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="images")
        self._waiting = 0
        self._reader: Any = None

    def prepare(self) -> None:
        """Start what reads images; it takes a second and 100 MB."""
        if self._reader is None:
            from services.screens.reading import Reader

            self._reader = Reader()

    async def parts(self, message: Message, field: str) -> Parts:
        """Return the texts of one message: its own, and what is written in each image.

        Raises:
            Problem: 422, an image is refused; 503, too many images wait.
        """
        found = [await self._written(image, f"{field}.images.{n}") for n, image in enumerate(message.images)]
        return (message.text, *found)

    async def _written(self, image: bytes, field: str) -> str:
        if self._waiting >= MOST_IMAGES_WAITING:
            raise unavailable("Too many images wait to be read.", retry_after_seconds=5)
        self._waiting += 1
        try:
            # Whoever leaves takes along what has not begun.
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._text_in, image)
        except ImageRefused as refused:
            raise Problem(422, "image-refused", f"{field}: {refused}.", fields=[field]) from None
        finally:
            self._waiting -= 1

    def _text_in(self, image: bytes) -> str:
        self.prepare()
        return str(self._reader.text(opened(image)))


def read(parts: Parts, most_characters: int) -> Read:
    """Return a message as a person would read it. Of what is written in an image the first characters count."""
    found = [normalised(parts[0]), *(normalised(part[:most_characters]) for part in parts[1:])]
    text = "\n".join(each.text for each in found if each.text)
    return Read(text, tuple(dict.fromkeys(finding for each in found for finding in each.findings)))
