"""Evasion: messages that people read and machines do not, through the screen of the gateway (Boucher et al., IEEE S&P 2022).

Each trick of ``services.redteam.tricks`` rewrites messages of the classes that somebody wants to hide (spam, mostly) and
that the model knows when they are written plainly. What counts is whether it still knows them behind the screen that
puts texts right and reads images.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from services.modelchain.schema import TextInput
from services.redteam import findings
from services.redteam.data import Part
from services.redteam.errors import RedTeamError
from services.redteam.findings import Array, Result, Table, percent
from services.redteam.subject import TextModel
from services.redteam.thresholds import Evasion
from services.redteam.tricks import TRICKS, Message, altered
from services.screens.images import opened
from services.screens.reading import Reader

IN_IMAGE = "in_image"

_FEWEST = 20
"""Messages that have to be hidden, to say anything."""

_SHOWN, _LONGEST = 3, 90


def attack(model: TextModel, examples: Part, asked: Evasion, chance: np.random.Generator) -> Result:
    """Measure, trick by trick, how many messages are still recognised.

    Raises:
        RedTeamError: a class that is to be hidden is none of the model's, or has too few messages.
    """
    known = _known(model, examples, asked)
    takes = model.schema.input
    images = isinstance(takes, TextInput) and takes.most_images > 0
    measured, shown = [], []
    for trick in TRICKS:
        if trick == IN_IMAGE and not images:
            continue
        few = known if trick != IN_IMAGE else known.sample(asked.images, chance)
        sent = [altered(text, trick, int(chance.integers(2**31))) for text in few.inputs]
        right = _read(model, sent).argmax(axis=1) == few.labels
        about = f"{len(few)} messages that it knows when they are written plainly"
        measured.append(
            findings.at_least(
                f"evasion-accuracy-{trick}", float(right.mean()), asked.least_accuracy[trick], about
            )
        )
        shown += [
            (trick, _short(sent[n]), percent(float(right.mean()))) for n in np.flatnonzero(~right)[:_SHOWN]
        ]
    return Result(measured=tuple(measured), exhibits=(_table(shown),) if shown else ())


def _known(model: TextModel, examples: Part, asked: Evasion) -> Part:
    classes = model.schema.output.classes
    unknown = [name for name in asked.classes if name not in classes]
    if unknown:
        raise RedTeamError(
            f"text.evasion.classes: {unknown[0]} is none of the model's; {', '.join(classes)} are"
        )
    hidden = np.isin(examples.labels, [classes.index(name) for name in asked.classes])
    right = model.answers(examples.inputs).argmax(axis=1) == examples.labels
    if (hidden & right).sum() < _FEWEST:
        raise RedTeamError(
            f"text.evasion.classes: the model knows {int((hidden & right).sum())} messages of {', '.join(asked.classes)}; "
            f"{_FEWEST} at least are needed among those that are attacked"
        )
    return examples[hidden & right]


def _read(model: TextModel, sent: Sequence[Message]) -> Array:
    return model.answers(["\n".join([each.text, *map(_written, each.images)]) for each in sent])


def _written(image: bytes) -> str:
    return str(_reader().text(opened(image)))


@functools.cache
def _reader() -> Reader:
    # It takes a second to start, and models that take no images need none.
    return Reader()


def _short(message: Message) -> str:
    text = message.text if not message.images else f"{message.text} (and a picture)"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _table(shown: list[tuple[str, str, str]]) -> Table:
    return Table(
        title="Messages that got through",
        about="As they were sent; what cannot be seen is there.",
        head=("trick", "message", "recognised by this trick"),
        rows=tuple(shown),
    )
