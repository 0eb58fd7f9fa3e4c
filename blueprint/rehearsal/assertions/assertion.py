"""An assertion: a sentence, and a function that looks at the account over boto3 and yields what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from blueprint.rehearsal.account import Account

Seen = tuple[str, bool]
"""Whom was looked at, and whether the sentence holds of them."""

Look = Callable[[Account], Iterator[Seen]]


@dataclass(frozen=True)
class Assertion:
    """A sentence about the account."""

    sentence: str
    look: Look
    about: str
    """Pulumi type of what it is about: asked when something of the type was applied."""


@dataclass
class Assertions:
    """The assertions of one topic, in the order in which they are written."""

    topic: str
    found: list[Assertion] = field(default_factory=list)

    def __call__(self, sentence: str, *, about: str) -> Callable[[Look], Look]:
        """Add an assertion: ``@storage("Every bucket keeps versions", about="aws:s3/bucket:Bucket")``."""

        def add(look: Look) -> Look:
            self.found.append(Assertion(sentence, look, about))
            return look

        return add


@dataclass(frozen=True)
class Outcome:
    """What became of an assertion."""

    topic: str
    sentence: str
    looked_at: int
    broken: tuple[str, ...]
    """Of whom it does not hold; an assertion that saw nothing holds of nothing, and is broken."""

    @property
    def holds(self) -> bool:
        """Whether it holds of all that was looked at."""
        return not self.broken


def ask(topic: str, assertion: Assertion, account: Account) -> Outcome:
    """Look, and tell what was seen."""
    try:
        seen = list(assertion.look(account))
    except (ClientError, KeyError, IndexError, ValueError) as error:
        # What cannot be seen is not there as it should be.
        why = f"nothing can be seen: {type(error).__name__}: {error}"
        return Outcome(topic, assertion.sentence, 0, (why[:300],))
    broken = tuple(sorted(name for name, holds in seen if not holds))
    if not seen:
        broken = ("nothing was found to look at",)
    return Outcome(topic, assertion.sentence, len(seen), broken)
