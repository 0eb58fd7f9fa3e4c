"""Letters that stand for others: of another script, styled, or buried under marks.

A word that mixes scripts and reads as one script's once each foreign letter is taken for the one it looks like, was made
to look so (Unicode Technical Standard 39, sections 4 and 5; Gabrilovich and Gontmakher, "The Homograph Attack", 2002).
Which letters look alike comes from that standard's table, as the library ``confusable-homoglyphs`` carries it, and
from a short one of our own for letters that are merely similar. Words of one foreign script are left alone unless the
words around are Latin, so Russian, Greek or Armenian text stays what it is.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence

from confusable_homoglyphs.confusables import confusables_data

from services.screens import words
from services.screens.findings import Finding, counted

LATIN = "LATIN"
WORD = re.compile(r"[^\W\d_]+")
FOREIGN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")
"""A letter that is not plain Latin."""
SHORTEST_MIXED = 3
"""Letters of a word of another script in which Latin ones are taken for that script's."""
AROUND = 4
"""Words on either side that tell in which script a place is written."""

SIMILAR = {
    **dict(zip("вгикмнптьєѓкґћђ", "brukmhntbergrhh", strict=True)),
    **dict(zip("βεηκτωχςζ", "benktwxcz", strict=True)),
    **dict(zip("ИЯЦЅ", "NRUS", strict=True)),
    **dict(zip("տցեհւյլկ", "mgthujlk", strict=True)),
}
"""Letters that pass for Latin ones in the middle of a Latin word: Cyrillic, Greek, Armenian. Mu is not among them: it
stands before units."""

MOST_MARKS = 4
"""Marks on one letter (Unicode Technical Standard 39, section 5.4); Latin, Greek and Cyrillic need two at most."""
MOST_MARKS_EUROPEAN = 2
OVERLAYS = re.compile(r"[\u0305\u0332\u0333\u0334-\u0338\u033f\u0489\u20d0-\u20e2\u20e4-\u20f0]")
"""Marks that run over or under a whole letter: what is struck out stays readable, to people."""
KEYCAP = "\u20e3"
EUROPEAN = re.compile(r"[\u0000-\u052f\u1e00-\u1fff\u2000-\u2bff]")

REPLACED_BY_NFKC = re.compile(r"[^\u0587\u0675-\u0678\u0e33\u0eb3\u0edc\u0edd\u3131-\u318e]+")
"""All but letters of living alphabets that NFKC takes apart to nobody's good: an Armenian, four Kazakh, a Thai and three
Lao ones, and Hangul's jamo, of which Koreans make laughter and tears."""


def scripts_and_styles_plain(text: str) -> tuple[str, list[Finding]]:
    """Return a text in plain letters of the script that it is read in, and what had to be replaced."""
    if text.isascii():
        return text, []
    found: list[Finding] = []
    for step in (_without_styles, _without_floods, _without_foreigners):
        text, more = step(text)
        found += more
    return text, found


# --- styles ---------------------------------------------------------------------------------------------------------


def _named(first: int, last: int, pattern: str) -> Iterator[tuple[int, str]]:
    for code in range(first, last + 1):
        match = re.fullmatch(pattern, unicodedata.name(chr(code), ""))
        if match:
            yield code, match[1]


SQUARED = dict(
    _named(0x1F150, 0x1F189, r"(?:NEGATIVE|CROSSED NEGATIVE) (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER (\w)")
)
"""Letters in black circles and squares, which NFKC leaves."""
INDICATORS = dict(_named(0x1F1E6, 0x1F1FF, r"REGIONAL INDICATOR SYMBOL LETTER (\w)"))
"""Letters of which two make a flag."""
_REGIONS = (
    "AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ "
    "CA CC CD CF CG CH CI CK CL CM CN CO CP CR CU CV CW CX CY CZ DE DG DJ DK DM DO DZ EA EC EE EG EH ER ES ET EU FI FJ "
    "FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU IC ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM "
    "MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT "
    "PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TF TG TH TJ TK TL "
    "TM TN TO TR TT TV TW TZ UA UG UM UN US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
)
REGIONS = frozenset(_REGIONS.split())
"""Those that have a flag (Unicode emoji-sequences.txt, RGI_Emoji_Flag_Sequence, 15.1)."""
SMALL_CAPITALS = {
    code: letter.lower()
    for first, last in ((0x0250, 0x02AF), (0x1D00, 0x1D2B), (0xA730, 0xA7AF))
    for code, letter in _named(first, last, r"LATIN LETTER SMALL CAPITAL (\w)")
} | {0x0251: "a", 0x0261: "g"}

MANY_STYLED = 3
"""Two raised letters end an ordinal, and one bold letter is a mathematician's."""

# Of the Latin Extended blocks' letters those alone that no spelling needs.
BOXED = re.compile(f"[{''.join(map(chr, SQUARED))}]+")
INDICATOR = re.compile(f"[{''.join(map(chr, INDICATORS))}]+")
SMALL_WORD = re.compile(f"[A-Za-z{''.join(map(chr, SMALL_CAPITALS))}]{{{MANY_STYLED},}}")
STYLED = re.compile(
    "[\u00aa\u00ba\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d6a\u2071\u207f\u2090-\u209c\u2100-\u214f"
    "\u249c-\u24e9\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7cb\U0001f110-\U0001f149]+"
)
"""Where letters lie that NFKC turns into plain ones: raised, bold, circled, wide."""
EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _without_styles(text: str) -> tuple[str, list[Finding]]:
    count = 0
    wide_is_honest = EAST_ASIAN.search(text) is not None
    for run in STYLED.finditer(text):
        written = run[0]
        if wide_is_honest and "\uff21" <= written[0] <= "\uff5a":
            continue
        before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
        if len(written) >= MANY_STYLED or (before.isalpha() and after.isalpha()):
            count += len(written)
    plain, boxed = _unboxed(text)
    plain = REPLACED_BY_NFKC.sub(lambda part: unicodedata.normalize("NFKC", part[0]), plain)
    count += boxed
    return plain, [
        Finding("styled", f"{counted(count, 'letter')} in a style that hides words")
    ] if count else []


def _unboxed(text: str) -> tuple[str, int]:
    """Return a text with letters for pictures of letters, where these make words."""
    count = 0

    def boxed(run: re.Match[str]) -> str:
        nonlocal count
        alone = len(run[0]) == 1 and not _beside_letter(text, run.start(), run.end())
        count += 0 if alone else len(run[0])
        return run[0] if alone else run[0].translate(SQUARED)

    def indicators(run: re.Match[str]) -> str:
        nonlocal count
        letters = run[0].translate(INDICATORS)
        if len(letters) % 2 == 0 and all(letters[n : n + 2] in REGIONS for n in range(0, len(letters), 2)):
            return run[0]  # flags
        count += len(letters)
        return letters

    def small(word: re.Match[str]) -> str:
        nonlocal count
        capitals = sum(ord(character) in SMALL_CAPITALS for character in word[0])
        if 2 * capitals < len(word[0]):
            return word[0]
        count += capitals
        return word[0].translate(SMALL_CAPITALS)

    text = BOXED.sub(boxed, text)
    text = INDICATOR.sub(indicators, text)
    return SMALL_WORD.sub(small, text), count


def _beside_letter(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isalpha() or text[end : end + 1].isalpha()


# --- marks ----------------------------------------------------------------------------------------------------------


def _without_floods(text: str) -> tuple[str, list[Finding]]:
    kept: list[str] = []
    base, marks, dropped = "", 0, 0
    flood: list[int] = []  # where the marks on this letter lie, as long as they may still be too many
    for character in text:
        if character < "\u0300" or not _is_mark(character):
            base, marks, flood = character, 0, []
            kept.append(character)
            continue
        european = EUROPEAN.match(base) is not None
        if not marks and european:
            marks = len(unicodedata.normalize("NFD", base)) - 1  # those that it was composed with
        marks += 1
        if (OVERLAYS.match(character) and base.isalnum()) or marks > MOST_MARKS:
            dropped += 1
            continue
        flood.append(len(kept))
        kept.append(character)
        if european and marks > MOST_MARKS_EUROPEAN:
            # More than any spelling needs: none of them means anything.
            dropped += len(flood)
            for place in flood:
                kept[place] = ""
            flood = []
    reason = f"{counted(dropped, 'mark')} that cover letters"
    return "".join(kept), [Finding("combining", reason)] if dropped else []


def _is_mark(character: str) -> bool:
    return character != KEYCAP and unicodedata.category(character) in ("Mn", "Me")


# --- scripts --------------------------------------------------------------------------------------------------------


@functools.cache
def _script(letter: str) -> str:
    """Return the script of a letter: what its name begins with."""
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0]


def _table() -> dict[str, str]:
    """Return the Latin letter that each letter of another script looks like."""
    table = {}
    for letter, alike in confusables_data.items():
        if len(letter) != 1 or not letter.isalpha() or letter.isascii() or _script(letter) == LATIN:
            continue
        candidates = [
            each["c"] for each in alike if len(each["c"]) == 1 and each["c"] in string.ascii_letters
        ]
        if candidates:
            same_case = [each for each in candidates if each.isupper() == letter.isupper()]
            # The standard takes a capital I for a small L.
            table[letter] = same_case[0] if same_case else candidates[0].replace("l", "I")
    return table | {"\u04cf": "l"}


ALIKE = _table()
PASSING = ALIKE | {letter: latin for letter, latin in SIMILAR.items() if letter not in ALIKE}
BACK = {
    script: {
        latin: letter for letter, latin in ALIKE.items() if _script(letter) == script and letter in common
    }
    for script, common in (
        ("CYRILLIC", "асеіјорѕухАВСЕНІЈКМОРЅТХУ"),
        ("GREEK", "ονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"),
    )
}
"""Latin letters that stand for those of another script, in a word of that script."""


def _without_foreigners(text: str) -> tuple[str, list[Finding]]:
    if not FOREIGN.search(text):
        return text, []
    places = list(WORD.finditer(text))
    found = [_Word(place[0]) for place in places]
    latin = _sums([each.latin for each in found])
    certain = _sums([each.certain for each in found])
    pieces: list[str] = []
    done = count = 0
    for number, (place, word) in enumerate(zip(places, found, strict=True)):
        if not word.foreign:
            continue
        first, last = max(number - AROUND, 0), min(number + AROUND + 1, len(found))
        latin_around = latin[last] - latin[first] - word.latin
        certain_around = certain[last] - certain[first] - word.certain
        beside = any(found[n].certain for n in (number - 1, number + 1) if 0 <= n < len(found))
        plain = word.plain(latin_around, certain_around, beside)
        count += sum(old != new for old, new in zip(word.written, plain, strict=True))
        pieces += text[done : place.start()], plain
        done = place.end()
    pieces.append(text[done:])
    reason = f"{counted(count, 'letter')} of another script in the place of those that look the same"
    return "".join(pieces), [Finding("homoglyph", reason)] if count else []


def _sums(flags: Sequence[bool]) -> list[int]:
    sums = [0]
    for flag in flags:
        sums.append(sums[-1] + flag)
    return sums


class _Word:
    """A run of letters, and in which scripts they are."""

    def __init__(self, written: str) -> None:
        self.written = written
        scripts = {LATIN} if written.isascii() else {_script(letter) for letter in written}
        self.foreign = scripts - {LATIN}
        self.mixed = len(scripts) > 1
        self.latin = scripts == {LATIN} and len(written) > 1
        # A word that only the other script can be meant by.
        self.certain = not self.mixed and bool(self.foreign) and not set(written) <= set(ALIKE)

    def plain(self, latin_around: int, certain_around: int, certain_beside: bool) -> str:
        """Return the word as it is read, given how many words of each kind stand around."""
        here = latin_around > certain_around or not (latin_around or certain_around)
        if self.mixed:
            return self._of_one_script(here)
        alike = self._as_latin(ALIKE)
        if alike is not None and here and latin_around and not certain_beside:
            return self.written if self._is_a_quantity() else alike
        passing = self._as_latin(PASSING)
        if passing is not None and latin_around >= certain_around and words.known(passing):
            return passing
        return self.written

    def _of_one_script(self, latin_here: bool) -> str:
        if self.foreign == {"GREEK"} and self._is_named_after_greek():
            return self.written
        towards_latin = self._as_latin(ALIKE) or (self._as_latin(PASSING) if latin_here else None)
        back = self._back()
        if len(self.written) < SHORTEST_MIXED:
            back = None  # ΔT
        if back is not None and not latin_here:
            return back
        return towards_latin or back or self.written

    def _as_latin(self, table: dict[str, str]) -> str | None:
        letters = [letter if _script(letter) == LATIN else table.get(letter) for letter in self.written]
        return None if None in letters else "".join(letter for letter in letters if letter)

    def _back(self) -> str | None:
        """Return the word with its Latin letters taken for those of the other script, if they can be."""
        table = BACK.get(next(iter(self.foreign)), {}) if len(self.foreign) == 1 else {}
        letters = [letter if _script(letter) != LATIN else table.get(letter) for letter in self.written]
        return None if None in letters else "".join(letter for letter in letters if letter)

    def _is_a_quantity(self) -> bool:
        return (
            self.foreign == {"GREEK"}
            and len(self.written) == 1
            and self.written.islower()
            and self.written != "ο"
        )

    def _is_named_after_greek(self) -> bool:
        """Whether it is written as scientists write (TNFα): capitals, and small Greek letters."""
        return all(letter.islower() != (_script(letter) == LATIN) for letter in self.written)
