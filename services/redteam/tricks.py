"""Tricks that spam uses so that people read it and classifiers do not: each alters a message, the same way for a seed.

They are what senders really do (Boucher et al., "Bad Characters", IEEE S&P 2022, for what cannot be seen; Biggio et al.,
"A Survey and Experimental Evaluation of Image Spam Filtering Techniques", 2011, for text in images), written without a
look at the screens that should undo them.
"""

from __future__ import annotations

import io
import random
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WORD = re.compile(r"[A-Za-z]{3,}")
SHARE = 0.6
"""Of words that a trick alters, and of letters within one: what is left keeps a person from stumbling."""

CYRILLIC = dict(zip("aceiopsxyjABCEHIKMOPTX", "асеіорѕхујАВСЕНІКМОРТХ", strict=True))
GREEK = dict(zip("aeiopuvABEHIKMNOPTXYZ", "αειορυνΑΒΕΗΙΚΜΝΟΡΤΧΥΖ", strict=True))
WIDE = {chr(code): chr(code + 0xFEE0) for code in (*range(0x41, 0x5B), *range(0x61, 0x7B))}
BOLD = {chr(97 + n): chr(0x1D41A + n) for n in range(26)} | {chr(65 + n): chr(0x1D400 + n) for n in range(26)}
CIRCLED = {chr(97 + n): chr(0x24D0 + n) for n in range(26)} | {
    chr(65 + n): chr(0x24B6 + n) for n in range(26)
}
SQUARED = {
    letter: chr(0x1F170 + n % 26)
    for n, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
}
STYLES = (WIDE, BOLD, CIRCLED, SQUARED)

UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u2063"
DIRECTIONS = "\u200e\u200f\u2066\u2069"
OVERRIDE, POP = "\u202e", "\u202c"
ACCENTS, STRIKES = "\u0300\u0301\u0302\u0303\u0308\u030a\u0323\u0327", "\u0335\u0336\u0337\u0332"

LEET = {
    "a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!", "l": "1|", "o": "0", "s": "5$", "t": "7", "z": "2"
}  # fmt: skip
SEPARATORS = " .-_*"

COVER = (
    "see the picture, thanks",
    "hi, here it is",
    "as promised :)",
    "photo attached",
    "this one?",
    "from yesterday",
)
"""What a message says whose real text is drawn."""


@dataclass(frozen=True)
class Message:
    """What is sent."""

    text: str
    images: tuple[bytes, ...] = ()
    """PNG files."""


Trick = Callable[[str, random.Random], str]


def altered(text: str, trick: str, seed: int) -> Message:
    """Return a message after one of ``TRICKS``.

    Args:
        text: What people should read.
        trick: Its name.
        seed: Decides every choice: the same seed gives the same message, to the byte.
    """
    chance = random.Random(f"{trick} {seed}")  # noqa: S311 - nothing to guess
    if trick == "in_image":
        return Message(chance.choice(COVER), (in_image(text, chance),))
    return Message(TEXT_TRICKS[trick](text, chance))


def _each_word(how: Callable[[str, random.Random], str]) -> Trick:
    """Return a trick that alters most words, and the longest one for certain."""

    def trick(text: str, chance: random.Random) -> str:
        longest = max((match[0] for match in WORD.finditer(text)), key=len, default="")
        return WORD.sub(
            lambda match: (
                how(match[0], chance) if match[0] == longest or chance.random() < SHARE else match[0]
            ),
            text,
        )

    return trick


def _replaced(word: str, table: dict[str, str], chance: random.Random, share: float = SHARE) -> str:
    places = [n for n, letter in enumerate(word) if letter in table]
    chosen = {n for n in places if chance.random() < share} or set(places[:1])
    return "".join(chance.choice(table[letter]) if n in chosen else letter for n, letter in enumerate(word))


def _homoglyph(word: str, chance: random.Random) -> str:
    return _replaced(word, chance.choice((CYRILLIC, CYRILLIC, GREEK)), chance)


def _styled(word: str, chance: random.Random) -> str:
    return _replaced(word, chance.choice(STYLES), chance, share=1)


def _leetspeak(word: str, chance: random.Random) -> str:
    return _replaced(word, LEET | {letter.upper(): signs for letter, signs in LEET.items()}, chance)


def _sprinkled(word: str, characters: str, chance: random.Random) -> str:
    cuts = [n for n in range(1, len(word)) if chance.random() < SHARE] or [len(word) // 2]
    return "".join((chance.choice(characters) if n in cuts else "") + letter for n, letter in enumerate(word))


def _zero_width(word: str, chance: random.Random) -> str:
    return _sprinkled(word, UNSEEN, chance)


def _bidi(word: str, chance: random.Random) -> str:
    if chance.random() < SHARE:
        return OVERRIDE + word[::-1] + POP
    return _sprinkled(word, DIRECTIONS, chance)


def _marked(word: str, chance: random.Random) -> str:
    marks = STRIKES if chance.random() < 0.5 else ACCENTS
    return "".join(letter + "".join(chance.choices(marks, k=chance.choice((0, 1, 3)))) for letter in word)


def _spaced(word: str, chance: random.Random) -> str:
    if chance.random() < SHARE:
        return chance.choice(SEPARATORS).join(word)
    cut = chance.randrange(1, len(word))
    return word[:cut] + chance.choice(SEPARATORS) + word[cut:]


def _mixed(word: str, chance: random.Random) -> str:
    return chance.choice(list(BY_WORD.values()))(word, chance)


BY_WORD: dict[str, Trick] = {
    "homoglyph": _homoglyph,
    "styled": _styled,
    "zero_width": _zero_width,
    "bidi": _bidi,
    "marks": _marked,
    "leetspeak": _leetspeak,
    "spacing": _spaced,
}
TEXT_TRICKS: dict[str, Trick] = {name: _each_word(how) for name, how in (*BY_WORD.items(), ("mixed", _mixed))}
TRICKS = (*TEXT_TRICKS, "in_image")
"""Names of all."""


def in_image(text: str, chance: random.Random) -> bytes:
    """Return a PNG file in which a text is drawn, in one of many sizes and colours; now and then faint."""
    size = chance.randint(18, 34)
    font = ImageFont.load_default(size)
    lines = textwrap.wrap(text, chance.randint(24, 36)) or [""]
    width = int(max(font.getlength(line) for line in lines)) + 2 * size
    dark, light = chance.randint(0, 90), chance.randint(180, 255)
    if chance.random() < 0.25:
        dark = light - chance.randint(12, 30)
    colours = [
        tuple(min(255, max(0, level + chance.randint(-15, 15))) for _ in range(3)) for level in (dark, light)
    ]
    if chance.random() < 0.3:
        colours.reverse()
    image = Image.new("RGB", (width, int(1.4 * size * len(lines)) + 2 * size), colours[1])
    ImageDraw.Draw(image).multiline_text((size, size), "\n".join(lines), colours[0], font, spacing=size * 0.3)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
