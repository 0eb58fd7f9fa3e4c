"""Characters that nobody sees: joiners, marks of direction, tags, selectors, controls.

They split words where people see none, write them backwards, or carry a second text under the first (Boucher,
Shumailov, Anderson and Papernot, "Bad Characters: Imperceptible NLP Attacks", IEEE S&P 2022; Boucher and Anderson,
"Trojan Source", 2021). Some are honest: Persian and Indic scripts and emoji need joiners, emoji and ideographs
selectors; those stay. All else goes, and is reported where it did something: marks of direction around a telephone
number, or a byte order mark, are what honest programs leave.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from services.screens.findings import Finding, counted

BLANKS = "\u2800\u3164\uffa0"
"""Letters and a pattern that show as an empty space."""

HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Default_Ignorable_Code_Point of the Unicode Character Database (DerivedCoreProperties.txt, 15.1), and what is as good
as that: controls, lone surrogates, separators of lines, blanks, marks of annotations. Format characters of Arabic, Kaithi
and Egyptian that show as a sign are not among them."""

RUN = re.compile(f"[{HIDDEN}]+")
OVERRIDE = re.compile("[\u202d\u202e]")

LEFT_TO_RIGHT_OVERRIDE, RIGHT_TO_LEFT_OVERRIDE, POP = "\u202d", "\u202e", "\u202c"
EMBEDDINGS = "\u202a\u202b"
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
DEEPEST = 125
"""Directions nested deeper have no effect (Unicode Standard Annex 9, BD2)."""

JOINERS = frozenset("\u200c\u200d")
ZERO_WIDTH_JOINER, TEXT_STYLE, EMOJI_STYLE, KEYCAP = "\u200d", "\ufe0e", "\ufe0f", "\u20e3"
FLAGS = frozenset(
    "".join(chr(0xE0000 + ord(letter)) for letter in code) + "\U000e007f"
    for code in ("gbeng", "gbsct", "gbwls")
)
"""Tags after a black flag that make the flags of England, Scotland and Wales: the only ones in general use (Unicode
Technical Standard 51, RGI_Emoji_Tag_Sequence)."""

JOINING = ((0x0600, 0x08FF), (0x0900, 0x0DFF), (0x1000, 0x109F), (0x1780, 0x18AF), (0xA840, 0xA87F))
"""Scripts whose spelling uses joiners: Arabic to Mandaic, Indic, Burmese, Khmer and Mongolian, Phags-pa."""
WITHOUT_SPACES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF))
"""Scripts that mark the ends of words with a zero-width space: Thai, Lao, Burmese, Khmer, Tai."""
INDICATORS = ((0x1F1E6, 0x1F1FF),)
IDEOGRAPHS = ((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
MONGOLIAN = ((0x1800, 0x18AF),)
HANGUL = ((0x1100, 0x11FF), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))

MANY = 4
"""So many in a row are no accident, wherever they stand."""

REASONS = {
    "bidi": ("character", "that turns the direction of a text around"),
    "control": ("character", "that controls a device or is half of one"),
    "tag": ("tag character", "that carries text which nobody sees"),
    "variation-selector": ("selector", "of a variant that does not exist"),
    "zero-width": ("character", "that nobody sees, inside words or in a row"),
}
"""What is said of how many, by screen."""


def removed(text: str) -> tuple[str, list[Finding]]:
    """Return a text without what nobody sees, and what that did."""
    if not RUN.search(text):
        return text, []
    counts: Counter[str] = Counter()
    if OVERRIDE.search(text):
        counts["bidi"] = len(OVERRIDE.findall(text))
        text = _as_displayed(text)
    pieces: list[str] = []
    done = 0
    for run in RUN.finditer(text):
        pieces += text[done : run.start()], _kept(text, run.start(), run.end(), counts)
        done = run.end()
    pieces.append(text[done:])
    found = [
        Finding(screen, f"{counted(count, REASONS[screen][0])} {REASONS[screen][1]}")
        for screen, count in sorted(counts.items())
    ]
    return "".join(pieces), found


def _kept(text: str, start: int, end: int, counts: Counter[str]) -> str:
    """Return what stays of a run of hidden characters; count what did harm."""
    before, after = text[start - 1 : start], text[end : end + 1]
    run = text[start:end]
    if before == "\U0001f3f4" and run in FLAGS:
        return run
    if _within(before, INDICATORS) and _within(after, INDICATORS):
        counts["zero-width"] += 1
        return " "  # or two letters of a word would become a flag
    kept = ""
    if _styles(before, run[0], after):
        kept, run = run[0], run[1:]
    elif before and run[0] in (TEXT_STYLE, EMOJI_STYLE) and unicodedata.normalize("NFKC", before) != before:
        run = run[1:]  # of an emoji that NFKC writes out, such as the sign of a trade mark
    if run and run[0] in JOINERS and _joins(before, run[0], after):
        kept, run = kept + run[0], run[1:]
    inside = len(run) >= MANY or (_in_word(before) and _in_word(after))
    for character in run:
        kept += _replacement(character)
        screen = _objection(character, inside, text[max(start - 2, 0) : start], text[end : end + 2])
        if screen:
            counts[screen] += 1
    return kept


def _replacement(character: str) -> str:
    if character in BLANKS or character in "\x0b\x0c\x1c\x1d\x1e\x1f":
        return " "
    if character in "\x85\u2028\u2029":
        return "\n"
    return "\ufffd" if "\ud800" <= character <= "\udfff" else ""


def _objection(character: str, inside: bool, before: str, after: str) -> str:
    """Return the screen that objects to a hidden character, or nothing."""
    if character in "\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029":
        return ""
    if character < "\xa0" or "\ud800" <= character <= "\udfff":
        return "control"
    if "\U000e0000" <= character <= "\U000e007f":
        return "tag"
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return "variation-selector"
    if character in DIRECTIONS:
        honest = _right_to_left(before[-1:]) or _right_to_left(after[:1])
        return "bidi" if inside and not honest else ""
    if character == "\u00ad" and before.isalpha() and after.isalpha() and len(before) == len(after) == 2:
        return ""  # where a long word may be broken
    if character == "\u200b" and (_within(before[-1:], WITHOUT_SPACES) or _within(after[:1], WITHOUT_SPACES)):
        return ""
    if character in "\u115f\u1160" and (_within(before[-1:], HANGUL) or _within(after[:1], HANGUL)):
        return ""
    return "zero-width" if inside else ""


def _styles(before: str, selector: str, after: str) -> bool:
    """Whether a selector chooses between forms that its base has."""
    if not before:
        return False
    if selector in (TEXT_STYLE, EMOJI_STYLE):
        # NFKC writes some emoji as letters; what stands after these is dropped, or it would follow a letter.
        shown = _pictured(before) and unicodedata.normalize("NFKC", before) == before
        return shown or (before in "#*0123456789" and after == KEYCAP)
    if "\ufe00" <= selector <= "\ufe02":
        return _pictured(before) or _within(before, IDEOGRAPHS)
    if "\U000e0100" <= selector <= "\U000e01ef":
        return _within(before, IDEOGRAPHS)
    return selector in "\u180b\u180c\u180d\u180e\u180f" and _within(before, MONGOLIAN)


def _joins(before: str, joiner: str, after: str) -> bool:
    if not before or not after:
        return False
    if joiner == ZERO_WIDTH_JOINER and _pictured(before):
        return _pictured(after)
    return _within(before, JOINING) and _within(after, JOINING)


def _pictured(character: str) -> bool:
    # Pictures newer than Python's own tables have no category yet.
    return unicodedata.category(character) in ("So", "Sm", "Sk") or _within(character, ((0x1F000, 0x1FAFF),))


def _in_word(character: str) -> bool:
    return character.isalnum() or (character != "" and unicodedata.category(character) in ("Mn", "Mc"))


def _right_to_left(character: str) -> bool:
    return character != "" and unicodedata.bidirectional(character) in ("R", "AL", "AN")


def _within(character: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return character != "" and any(first <= ord(character) <= last for first, last in ranges)


def _as_displayed(text: str) -> str:
    """Return a text in the order in which its overrides make it appear (Unicode Standard Annex 9, rules X4 to L2)."""
    return "".join(_line_as_displayed(line) for line in re.split("([\n\r\x1c-\x1e\x85\u2029])", text))


def _line_as_displayed(line: str) -> str:
    if not OVERRIDE.search(line):
        return line
    levels = [_Level(LEFT_TO_RIGHT_OVERRIDE)]
    too_deep = 0
    for character in line:
        if character in (LEFT_TO_RIGHT_OVERRIDE, RIGHT_TO_LEFT_OVERRIDE) or character in EMBEDDINGS:
            if len(levels) > DEEPEST:
                too_deep += 1
            else:
                levels.append(_Level(character))
        elif character == POP:
            if too_deep:
                too_deep -= 1
            elif len(levels) > 1:
                levels.pop().into(levels[-1])
        else:
            levels[-1].pieces.append(character)
            levels[-1].right_to_left |= _right_to_left(character)
    while len(levels) > 1:
        levels.pop().into(levels[-1])
    return "".join(levels[0].pieces)


class _Level:
    """What stands between a mark of direction and its end; pieces are characters and inner levels."""

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.pieces: list[str] = []
        self.right_to_left = False

    def into(self, outer: _Level) -> None:
        # Letters of right-to-left scripts run that way by themselves, with or without the override.
        if self.direction == RIGHT_TO_LEFT_OVERRIDE and not self.right_to_left:
            self.pieces.reverse()
        outer.pieces.append("".join(self.pieces))
        outer.right_to_left |= self.right_to_left
