"""The pages of the repository, taken apart: links, anchors, fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.M)
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")


def name_of(page: Path) -> str:
    """Return the path of a page inside the repository."""
    return page.relative_to(ROOT).as_posix()


@cache
def text_of(page: Path) -> str:
    """Return what stands on a page."""
    return page.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its lines."""

    page: Path
    language: str
    lines: tuple[str, ...]

    @property
    def heading(self) -> str:
        """What the block says of itself: its first line, where that is a comment."""
        first = self.lines[0] if self.lines else ""
        return first.removeprefix("# ") if first.startswith("# ") else ""


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in some languages."""
    for found in _FENCE.finditer(text_of(page)):
        if found["language"] in languages:
            indent = len(found["indent"])
            yield Block(page, found["language"], tuple(line[indent:] for line in found["body"].splitlines()))


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def links(page: Path) -> Iterator[str]:
    """Yield the targets of all links of a page."""
    yield from (found["target"] for found in _LINK.finditer(prose(page)))


def code(page: Path) -> Iterator[str]:
    """Yield what stands in backquotes on a page, outside fenced blocks."""
    yield from (found["code"] for found in _CODE.finditer(prose(page)))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.finditer(prose(page)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"]).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        found.add(next(s for s in (slug, *(f"{slug}-{n}" for n in range(1, 100))) if s not in found))
    return found


@dataclass(frozen=True)
class Line:
    """A command as it is typed, and what is said of it: behind it, or at the head of its block."""

    block: Block
    typed: str
    said: str


def lines(page: Path) -> Iterator[Line]:
    """Yield every command of a page's shell blocks; what goes on in the next line is one."""
    yield from _rows(page)
    for block in blocks(page, "sh"):
        joined = "\n".join(block.lines).replace("\\\n", " ")
        for text in joined.splitlines():
            typed, said = _without_comment(text)
            if typed:
                yield Line(block, typed, f"{said} {block.heading}".strip())


def _rows(page: Path) -> Iterator[Line]:
    """Yield the commands of a table of commands: one a row, in backquotes, with what it does behind."""
    table = prose(page).partition("| Command | Does |\n")[2].partition("\n\n")[0]
    for found in re.finditer(r"^\| `(?P<typed>[^`]+)` \| (?P<said>.+) \|$", table, re.M):
        yield Line(Block(page, "", ()), found["typed"], found["said"])


def _without_comment(text: str) -> tuple[str, str]:
    """Part a line from its comment: a hash outside quotes, behind a space or at the beginning."""
    quote = ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (index == 0 or text[index - 1] == " "):
            return text[:index].strip(), text[index + 1 :].strip()
    return text.strip(), ""


@dataclass(frozen=True)
class AwsCall:
    """A call of AWS's command line: service, operation, and its words behind."""

    line: Line
    service: str
    operation: str
    words: tuple[str, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options, without their dashes."""
        return tuple(word[2:].partition("=")[0] for word in self.words if word.startswith("--"))

    def value(self, option: str) -> str | None:
        """Return what follows an option."""
        if f"--{option}" not in self.words:
            return None
        return self.words[self.words.index(f"--{option}") + 1]


_AWS = re.compile(r"(?:^|(?<=[\s(]))aws (?P<service>[a-z0-9-]+) (?P<operation>[a-z0-9-]+)")


def aws_calls(page: Path) -> Iterator[AwsCall]:
    """Yield the calls of AWS's command line on a page, those inside ``$(…)`` too."""
    for line in lines(page):
        for found in _AWS.finditer(line.typed):
            words = shlex.split(_to_the_end(line.typed[found.end() :]))
            yield AwsCall(line, found["service"], found["operation"], tuple(words))


def _to_the_end(text: str) -> str:
    """Return a command's words up to the bracket, pipe or semicolon that ends it."""
    quote, depth = "", 0
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character in ")|;":
            return text[:index]
    return text
