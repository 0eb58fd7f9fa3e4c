"""What a model is refused with: one plain sentence that says where and what."""

from __future__ import annotations

LONGEST = 400
"""Characters of a sentence: what is refused may have chosen some of them."""


class ModelError(Exception):
    """A model that is not genuine, or not of the shape that is taken."""

    def __init__(self, sentence: str) -> None:
        """Keep the sentence, without anything that a terminal or a log would act upon."""
        super().__init__(plain(sentence))


class Unreadable(ModelError):
    """A folder, file or key that cannot be read or used, so that nothing was found out about the model."""


def plain(text: str) -> str:
    """Return a text on one line, of bounded length, with what does not print written as an escape."""
    shown = text[:LONGEST] + ("…" if len(text) > LONGEST else "")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)
