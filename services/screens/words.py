"""Words taken apart or misspelt for machines: digits for letters, letters set apart, marks inside, needless accents.

Whatever is put right becomes a word of a fixed list (``words.txt``: English, what messages that sell or steal are made
of, and the commonest words around them); what would not become one stays as it is, but for words s-p-e-l-t letter by letter. So ``2nd``, ``b2b``, ``h2o`` and
``4 PM`` are safe, and so are the languages that the list does not know. A word that is not in the list can still be
disguised in this way: the list bounds both what is found and what is mistaken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from services.screens.findings import Finding, counted

LEET = {
    "0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "|": "i", "+": "t", "(": "c", "<": "c", "¢": "c", "€": "e", "£": "i", "§": "s",
}  # fmt: skip
"""Letters that digits and signs are read as. I and L are one letter here, since 1, ! and | stand for either."""
AS_KEY = str.maketrans(LEET | {"l": "i"})

LONGEST = 15
"""Letters of the longest word in the list."""

WORDS = frozenset(Path(__file__).with_name("words.txt").read_text().split())
BY_KEY = {word.translate(AS_KEY): word for word in sorted(WORDS)}
_SHORT = (
    "a i u o e y x am an as at be by do go he hi if in is it me my no of oh ok on or so to up us we "
    "s t d m ll re ve pre un non co de da di du en el es et il la le les li lo los ma mi mon ne nu par pas per pour "
    "que qui se si son sur ta te tu une al con del den der des die das dem ein het een ist im mit och om op pro sin "
    "uma um os na por ter van von zu zum"
)
SHORT = frozenset(_SHORT.split())
"""What may stand by itself: English words, what is left of them after an apostrophe or before a hyphen, and what other
languages write most."""

_LINKS = "a i u am an as at be by do go he if in is it me my no of on or so to up us we"
LINKS = {word: word for word in _LINKS.split()}
"""Short words between longer ones, where letters stand apart; none has an L, which a key cannot tell from an I."""

LETTER = r"A-Za-z0-9@$€£¢§"
APART = r".\-_*~·•|/,+'\"’:;^=`\\#"
BETWEEN = rf"(?:\s{{0,3}}[{APART}]{{1,2}}\s{{0,3}}|\s{{1,3}})"
SPACED = re.compile(rf"(?<![{LETTER}])[{LETTER}](?:{BETWEEN}[{LETTER}!])+{BETWEEN}[{LETTER}](?![{LETTER}])")
"""Single letters with white space, a mark or both between each two."""

# Each begins where a run of letters does, so a long run is looked at once.
PUNCTUATED = re.compile(rf"(?<![{LETTER}!|])[{LETTER}!|]+(?:[{APART}?&%()\[\]{{}}<>]{{1,2}}[{LETTER}!|]+)+")
DISGUISED = re.compile(rf"(?<![{LETTER}!|+(<])[A-Za-z]*[0-9@$€£¢§!|+(<][{LETTER}!|+(<]*")
SWAPPED = re.compile(r"(?<![A-Za-z])[A-Za-z]*(?:[a-z]I|I[a-z]|[A-Z]l|l[A-Z])[A-Za-z]*")
PIECES = re.compile(rf"[{LETTER}!|]+")
ALPHABETIC = re.compile(r"[A-Za-z]+")
ACCENTED = re.compile(r"[A-Za-z\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]+")
HONEST_NUMBER = re.compile(r"\d+[a-z]{1,2}|[a-z]\d+|\d+(?:st|nd|rd|th)", re.IGNORECASE)
"""A number with its unit (``5ms``), or a letter with its number (``h20``)."""
ENDS_A_SENTENCE = "!|+(<"

MOST_PARTS = 4
"""Into which a word is split by spaces."""
LEAST_SPLIT = 4
"""Letters of a word that spaces split: shorter ones come about by chance."""
LEAST_SPELT = 5
"""Letters of a word that a mark takes apart and the list does not know: shorter ones are abbreviations."""
LEAST = 3
"""Letters of a word that is worth to be put together."""
MOST_LEFT = 5
"""One letter in so many may belong to no word, among letters set apart."""


def known(word: str) -> bool:
    """Whether a word is in the list."""
    return word.lower() in WORDS


def together(text: str) -> tuple[str, list[Finding]]:
    """Return a text with its words in one piece and in letters, and what had to be put right."""
    found: list[Finding] = []
    for step in STEPS:
        text, more = step(text)
        found += more
    return text, found


class _Repair:
    """Replaces what an expression matches by what a function makes of it, and counts."""

    def __init__(
        self, screen: str, about: str, what: re.Pattern[str], how: Callable[[str], str | None]
    ) -> None:
        self._screen, self._about, self._what, self._how = screen, about, what, how

    def __call__(self, text: str) -> tuple[str, list[Finding]]:
        count = 0

        def one(match: re.Match[str]) -> str:
            nonlocal count
            made = self._how(match[0])
            count += made is not None and made != match[0]
            return match[0] if made is None else made

        text = self._what.sub(one, text)
        return text, [Finding(self._screen, f"{counted(count, 'word')} {self._about}")] if count else []


def _like(word: str, written: str) -> str:
    """Return a word in capitals as it was written."""
    letters = [character for character in written if character.isalpha()]
    if len(letters) > 1 and all(letter.isupper() for letter in letters):
        return word.upper()
    return word.capitalize() if written[:1].isupper() else word


def _read(written: str) -> str | None:
    """Return the word of the list that something is read as, in capitals as it was written."""
    word = BY_KEY.get(written.lower().translate(AS_KEY)) if len(written) <= LONGEST else None
    return None if word is None else _like(word, written)


# --- letters set apart ----------------------------------------------------------------------------------------------


def _respaced(run: str) -> str | None:
    letters = [character for character in run if re.match(rf"[{LETTER}!]", character)]
    if 2 * sum(letter.isalpha() for letter in letters) < len(letters):
        return None
    parts = _segmented("".join(letters).lower().translate(AS_KEY))
    left = sum(end - start for start, end, word in parts if word is None)
    written = "".join(letters)
    if left * MOST_LEFT > len(letters) or not any(word and len(word) >= LEAST for *_, word in parts):
        return written if _one_mark_between(run) else None
    return " ".join(_like(word, written[a:b]) if word else written[a:b] for a, b, word in parts)


def _one_mark_between(run: str) -> bool:
    """Whether it is a longer word, spelt with the same mark after each letter: no list is needed to read that."""
    return (
        len(run) >= 2 * LEAST_SPELT - 1
        and run[::2].isalpha()
        and len(set(run[1::2])) == 1
        and not run[1].isspace()
    )


def _segmented(key: str) -> list[tuple[int, int, str | None]]:
    """Return the words that letters make, with the fewest letters left over, then the fewest words."""
    best: list[tuple[int, int, int, str | None]] = [
        (0, 0, 0, None)
    ]  # letters left, words, start of the last, the last
    for end in range(1, len(key) + 1):
        left, count, _, _ = best[-1]
        choice: tuple[int, int, int, str | None] = (left + 1, count + 1, end - 1, None)
        for start in range(max(end - LONGEST, 0), end):
            part = key[start:end]
            word = BY_KEY.get(part) if end - start >= LEAST else LINKS.get(part)
            if word and (best[start][0], best[start][1] + 1) < choice[:2]:
                choice = (best[start][0], best[start][1] + 1, start, word)
        best.append(choice)
    parts, end = [], len(key)
    while end:
        _, _, start, word = best[end]
        parts.append((start, end, word))
        end = start
    return parts[::-1]


# --- marks inside words ---------------------------------------------------------------------------------------------


def _unpunctuated(token: str) -> str | None:
    if len(token) > 3 * LONGEST:
        return None
    pieces = PIECES.findall(token)
    if all(piece.lower() in WORDS or piece.lower() in SHORT or piece.isdigit() for piece in pieces):
        return None
    joint = "".join(pieces)
    return _read(joint) if sum(character.isalpha() for character in joint) >= LEAST - 1 else None


# --- digits and signs for letters -----------------------------------------------------------------------------------


def _undisguised(token: str) -> str | None:
    core = token.strip(ENDS_A_SENTENCE)
    if core.isalpha() or HONEST_NUMBER.fullmatch(core):
        return None
    word = _read(core) if any(character.isalpha() for character in core) else None
    return None if word is None else token.replace(core, word, 1)


def _unswapped(token: str) -> str | None:
    """Return a word in which a capital I stands for a small L, or the reverse, as it is read."""
    capital_among_small = "I" in token and not token.isupper()
    small_among_capitals = "l" in token and sum(character.isupper() for character in token) > 1
    if known(token) or not (capital_among_small or small_among_capitals):
        return None
    word = BY_KEY.get(token.lower().translate(AS_KEY))
    if word is None:
        return None
    return (
        word.upper()
        if small_among_capitals and not capital_among_small
        else _like(word, token[0] + token[1:].lower())
    )


# --- words split by spaces ------------------------------------------------------------------------------------------


def _unsplit(text: str) -> tuple[str, list[Finding]]:
    places = list(ALPHABETIC.finditer(text))
    pieces: list[str] = []
    done = count = number = 0
    while number < len(places):
        size = _parts_of_a_word(text, places[number : number + MOST_PARTS])
        if size > 1:
            first, last = places[number], places[number + size - 1]
            pieces += (
                text[done : first.start()],
                "".join(place[0] for place in places[number : number + size]),
            )
            done, count = last.end(), count + 1
        number += size
    pieces.append(text[done:])
    return "".join(pieces), [Finding("spacing", f"{counted(count, 'word')} split by spaces")] if count else []


def _parts_of_a_word(text: str, places: list[re.Match[str]]) -> int:
    """Return how many of the runs of letters, from the first, are one word."""
    joint, strange, best = "", 0, 1
    for number, place in enumerate(places):
        if number and text[places[number - 1].end() : place.start()] not in (" ", "\t"):
            break
        part = place[0]
        joint += part
        if len(joint) > LONGEST:
            break
        # Ed, Al, Tim: a name before a short word makes another word by chance.
        strange += not (
            known(part) or part.lower() in SHORT or (part.istitle() and len(part) > 1 and number == 0)
        )
        if number and strange and len(joint) >= LEAST_SPLIT and known(joint):
            best = number + 1
    return best


# --- needless accents -----------------------------------------------------------------------------------------------


def _unaccented(token: str) -> str | None:
    # One accent is spelling (café, crédit, naïve), and so are many of the French kind (général, résumé).
    accented = [character for character in token.casefold() if not character.isascii()]
    if len(accented) < 2 or set(accented) == {"é"}:
        return None
    plain = "".join(c for c in unicodedata.normalize("NFD", token) if unicodedata.category(c) != "Mn")
    return plain if plain.isascii() and known(plain) else None


STEPS = (
    _Repair("spacing", "of letters that stand apart", SPACED, _respaced),
    _Repair("punctuation", "with marks inside", PUNCTUATED, _unpunctuated),
    _Repair("leetspeak", "with digits or signs for letters", DISGUISED, _undisguised),
    _Repair("homoglyph", "with I for L, or the reverse", SWAPPED, _unswapped),
    _unsplit,
    _Repair("accents", "with accents that no spelling has", ACCENTED, _unaccented),
)
