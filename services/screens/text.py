"""Text as a person reads it: what is hidden, disguised or taken apart is put right, and each repair says why.

A classifier reads code points, a person reads shapes; whoever wants to be read by the one and not by the other writes
in the gap. ``normalised`` closes it before the classifier reads.
"""

from __future__ import annotations

from typing import NamedTuple

from services.screens import invisible, lookalikes, words
from services.screens.findings import Finding as Finding

STEPS = (invisible.removed, lookalikes.scripts_and_styles_plain, words.together)
MOST_ROUNDS = 8
"""One repair can lay bare another; two rounds are the rule. What is not settled after so many is said to be tangled."""


class Normalised(NamedTuple):
    """A text put right."""

    text: str
    findings: tuple[Finding, ...]
    """In the order of the repairs; none for a text that was as it seems."""


def normalised(text: str) -> Normalised:
    """Return the text as a person reads it, in NFKC, and what had to be repaired for that.

    Takes time in proportion to the length. The text that it returns is returned as it is when given again.

    Args:
        text: Anything; lone surrogates are replaced, so what is returned can be encoded.
    """
    findings: dict[Finding, None] = {}
    for _ in range(MOST_ROUNDS):
        before = text
        for step in STEPS:
            text, found = step(text)
            findings |= dict.fromkeys(found)
        if text == before:
            return Normalised(text, tuple(findings))
    findings[Finding("tangled", f"disguises within disguises, more than {MOST_ROUNDS} deep")] = None
    return Normalised(text, tuple(findings))
