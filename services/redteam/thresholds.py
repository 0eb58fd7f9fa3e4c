"""The line that a model must not cross, check by check: one strict YAML file, in which none can be left out.

Each number has a bound of its own here, so that a file may be stricter or more lenient within reason, but cannot
switch a check off by asking nothing of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.modelchain.schema import Label
from services.redteam.errors import RedTeamError
from services.redteam.tricks import TRICKS
from services.shared import strict_yaml

MOST_BYTES = 65_536
"""Of a file of thresholds."""

EXAMPLE = Path(__file__).parent / "thresholds.yaml"
"""One that is filled in, with sources."""

Epsilon = Annotated[float, Field(gt=0, le=0.5)]
"""Largest change of one value of an input (L-infinity), as a share of the input's range; half the range is grey."""

Accuracy = Annotated[float, Field(ge=0.05, le=1)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Clean(_Said):
    """On held-out examples that nobody touched."""

    least_accuracy: Annotated[float, Field(ge=0.5, le=1)]


class Pgd(_Said):
    """Projected gradient descent."""

    steps: Annotated[int, Field(ge=20, le=1000)]
    restarts: Annotated[int, Field(ge=1, le=20)]
    least_accuracy: Annotated[dict[Epsilon, Accuracy], Field(min_length=2, max_length=8)]


class AutoAttack(_Said):
    """An ensemble that tunes itself."""

    steps: Annotated[int, Field(ge=20, le=1000)]
    squares: Annotated[int, Field(ge=100, le=10_000)]
    """Queries of its search without gradients, where inputs are images."""
    least_accuracy: Annotated[dict[Epsilon, Accuracy], Field(min_length=1, max_length=8)]


class GradientFree(_Said):
    """Attacks without gradients must not do better than those with them: else the gradients are a decoy."""

    epsilon: Epsilon
    queries: Annotated[int, Field(ge=200, le=100_000)]
    most_lead: Annotated[float, Field(ge=0, le=0.2)]
    """Accuracy under PGD less accuracy without gradients; positive where the latter do better."""
    most_accuracy_unbounded: Annotated[float, Field(ge=0, le=0.3)]
    """Under PGD that may turn any input into grey (epsilon 0.5): no classifier can withstand that."""


class Trigger(_Said):
    """Something small that turns every input into one class."""

    least_area: Annotated[float, Field(ge=0.005, le=0.5)]
    """Share of an image that the smallest trigger must cover. Asked of images."""
    most_ratio: Annotated[float, Field(ge=1.2, le=3)]
    """Median size of a trigger, by class, over the smallest. Asked of images."""
    most_turned: Annotated[dict[Epsilon, Annotated[float, Field(ge=0.05, le=0.9)]], Field(min_length=1)]
    """Share of other classes' examples that one faint pattern turns into one class, by how faint."""


class Membership(_Said):
    """Who was in the training data."""

    shadows: Annotated[int, Field(ge=8, le=256)]
    """Models that the attacker trains to compare with."""
    examples: Annotated[int, Field(ge=200, le=100_000)]
    """Most that are attacked: half of them were trained on."""
    most_auc: Annotated[float, Field(ge=0.5, le=0.75)]
    most_tpr_at_1_percent: Annotated[float, Field(ge=0.01, le=0.2)]
    most_tpr_at_0_1_percent: Annotated[float, Field(ge=0.001, le=0.1)]
    most_loss_auc: Annotated[float, Field(ge=0.5, le=0.7)]


class Inversion(_Said):
    """What a class's most typical input looks like to the model, beside what it was trained on."""

    steps: Annotated[int, Field(ge=50, le=10_000)]
    most_likeness_to_means: Annotated[float, Field(ge=0.1, le=0.95)]
    """Correlation with the mean of the class, averaged over classes."""
    most_lead_to_records: Annotated[float, Field(ge=0.01, le=0.3)]
    """Of the nearest training record's correlation over the nearest held-out one's, of the worst class."""


class Extraction(_Said):
    """A copy of the model, made from its answers."""

    queries: Annotated[int, Field(ge=20, le=1_000_000)]
    """What one client may ask before the gateway's budget ends."""
    answers: Literal["labels", "scores"]
    """What the gateway gives away."""
    most_agreement: Annotated[float, Field(ge=0.3, le=0.99)]
    """Of the copy with the model on held-out examples, where the thief has inputs like the owner's."""


class TensorExtraction(Extraction):
    """The same, of a model of numbers."""

    most_agreement_without_data: Annotated[float, Field(ge=0.3, le=0.95)]
    """The same where the thief has none, and asks about noise."""


class Tensor(_Said):
    """What a model of numbers or images must withstand."""

    examples: Annotated[int, Field(ge=50, le=10_000)]
    """Most held-out examples that are attacked."""
    clean: Clean
    pgd: Pgd
    autoattack: AutoAttack
    gradient_free: GradientFree
    trigger: Trigger
    membership: Membership
    inversion: Inversion
    extraction: TensorExtraction

    @model_validator(mode="after")
    def _compared(self) -> Tensor:
        if self.gradient_free.epsilon not in self.pgd.least_accuracy:
            raise ValueError("gradient_free.epsilon: is none of pgd.least_accuracy; they are compared there")
        return self


class Evasion(_Said):
    """Messages written so that people read them and machines do not."""

    classes: Annotated[tuple[Label, ...], Field(min_length=1)]
    """Those that somebody wants to hide, such as spam."""
    images: Annotated[int, Field(ge=8, le=1000)]
    """Most messages that are drawn; reading one takes a second or two."""
    least_accuracy: dict[str, Accuracy]
    """By trick, on messages that the model knows when they are written plainly."""

    @model_validator(mode="after")
    def _every_trick(self) -> Evasion:
        given, tricks = set(self.least_accuracy), set(TRICKS)
        missing, unknown = tricks - given, given - tricks
        if missing:
            raise ValueError(f"least_accuracy.{min(missing)}: is missing; each trick needs a threshold")
        if unknown:
            raise ValueError(f"least_accuracy.{min(unknown)}: is no trick; {', '.join(sorted(TRICKS))} are")
        return self


class Words(_Said):
    """A word that turns every message into one class."""

    most_turned: Annotated[float, Field(ge=0.05, le=0.9)]
    """Share of other classes' messages that the worst word turns."""


class Text(_Said):
    """What a model of texts must withstand."""

    examples: Annotated[int, Field(ge=50, le=10_000)]
    """Most held-out messages that are attacked."""
    clean: Clean
    evasion: Evasion
    words: Words
    membership: Membership
    extraction: Extraction


class Thresholds(_Said):
    """A file of thresholds."""

    format: Literal[1]
    holds_days: Annotated[int, Field(ge=1, le=366)]
    """How long a verdict holds: attacks get better."""
    tensor: Tensor | None = None
    text: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Read:
    """Thresholds, and the digest of their file."""

    thresholds: Thresholds
    digest: str
    where: str


def read(path: Path) -> Read:
    """Return the thresholds in a file.

    Raises:
        RedTeamError: names the file, the key, and what to write instead.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RedTeamError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise RedTeamError(f"{path}: has more than {MOST_BYTES} bytes")
    try:
        said = strict_yaml.loaded(data)
        if not isinstance(said, dict):
            raise RedTeamError(f"{path.name}: is no file of thresholds; {EXAMPLE.name} is one")
        parsed = Thresholds.model_validate_json(json.dumps(said, default=str), strict=True)
    except strict_yaml.YamlError as error:
        raise RedTeamError(f"{path.name}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RedTeamError(f"{path.name}: {_sentence(first['loc'], first['type'], first['msg'])}") from None
    return Read(thresholds=parsed, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", where=path.name)


def _sentence(location: Sequence[int | str], kind: str, message: str) -> str:
    at = ".".join(str(part) for part in location if part != "[key]")
    if kind == "missing":
        return f"{at}: is missing; a check without a threshold would pass everything"
    if kind == "extra_forbidden":
        return f"{at}: is no threshold; take it out"
    message = message.removeprefix("Value error, ")
    return f"{at}.{message}" if kind == "value_error" and at else f"{at}: {message}" if at else message
