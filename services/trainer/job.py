"""A training job as people write it: one YAML file, strict, with the limits of the environment over it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.modelchain.schema import Name
from services.shared import strict_yaml
from services.trainer.errors import TrainerError

MOST_BYTES = 65_536
"""Of a job's file."""

ColumnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(_Said):
    """What is read, at the data-access API and nowhere else."""

    dataset: ColumnName
    purpose: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=4096)]
    """Numbers and booleans that the model takes, in this order; each needs bounds in the dataset's declaration."""
    label: ColumnName
    """What it learns to tell: a boolean, a text with declared categories, or an integer with declared bounds."""
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=4)] | None = None
    """Of one example, such as [1, 8, 8]; a row of columns if not given."""

    @model_validator(mode="after")
    def _fits(self) -> Data:
        if self.label in self.columns:
            raise ValueError(
                f"columns: {self.label} is the label; a model that is told the answer learns nothing"
            )
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: one stands there twice; name each once")
        if self.shape is not None and math.prod(self.shape) != len(self.columns):
            raise ValueError(
                f"shape: holds {math.prod(self.shape)} values and there are {len(self.columns)} columns"
            )
        return self

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.shape or (len(self.columns),)


class Training(_Said):
    """How it learns. The objective is the cross-entropy."""

    objective: Literal["cross-entropy"] = "cross-entropy"
    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    """Expected: batches are drawn by Poisson sampling, and each has a size of its own."""
    optimiser: Literal["sgd", "adam"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.005
    checkpoint_steps: Annotated[int, Field(ge=1)] = 20
    """A checkpoint after every so many steps: what a kill may cost."""


class Privacy(_Said):
    """How much the weights may reveal of one person, or why nothing needs to be bounded."""

    epsilon: Annotated[float, Field(gt=0)] | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_grad_norm: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Each person's gradient is cut to this L2 norm."""
    reason_for_none: Annotated[str, StringConstraints(min_length=10, max_length=500)] | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Privacy:
        if (self.epsilon is None) == (self.reason_for_none is None):
            raise ValueError("epsilon: state epsilon and delta, or a reason_for_none, and not both")
        if (self.epsilon is None) != (self.delta is None):
            raise ValueError("delta: goes with epsilon; write one below 1 over the number of people")
        return self

    @property
    def budget(self) -> tuple[float, float] | None:
        """Epsilon and delta, where they are stated."""
        return None if self.epsilon is None or self.delta is None else (self.epsilon, self.delta)


class Robustness(_Said):
    """Adversarial training (Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018)."""

    epsilon: Annotated[float, Field(gt=0, le=0.5)]
    """Largest change of one input by the attacker (L-infinity), where inputs lie between 0 and 1."""
    steps: Annotated[int, Field(ge=1, le=50)] = 5
    """Of projected gradient descent, per batch."""


Share = Annotated[float, Field(ge=0, le=0.5)]


class Screening(_Said):
    """How many suspects a job bears, as shares of all rows; over one of them it stops. No screen can be left out."""

    most_backdoored: Annotated[float, Field(ge=0, le=0.1)] = 0.02
    most_mislabelled: Share = 0.15
    most_outliers: Share = 0.05
    most_duplicates: Share = 0.2
    mislabelled: Literal["review", "quarantine"] = "review"
    """What becomes of rows whose label looks wrong: among honest ones it is those that are hard to tell, which a model
    should see, so they are for people to look at, unless the job says that it can do without them."""


class Calibration(_Said):
    """What is held out: the screens of the gateway are drawn from it, and the model is measured on it."""

    share: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    false_positive_rate: Annotated[float, Field(gt=0, le=0.2)] = 0.05


class Job(_Said):
    """One training."""

    name: Name
    version: Annotated[int, Field(ge=1, lt=2**53)]
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    intended_use: Text
    limits: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    data: Data
    model: Name
    training: Training
    privacy: Privacy
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Of initial weights and of what is held out. Noise and batches of a private training never come from it."""
    robustness: Robustness | None = None
    screening: Screening = Screening()
    calibration: Calibration = Calibration()

    def digest(self) -> str:
        """Return the SHA-256 of what the job says, in hex."""
        said = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()


def read(path: Path) -> Job:
    """Return the job in a file.

    Raises:
        TrainerError: names the file, the key, and what to write instead.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise TrainerError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise TrainerError(f"{path}: has more than {MOST_BYTES} bytes")
    return parsed(data, path.name)


def parsed(data: bytes, where: str) -> Job:
    """Return the job that a YAML text says; ``where`` is the file's name, for what is said.

    Raises:
        TrainerError: see ``read``.
    """
    try:
        said = strict_yaml.loaded(data)
    except strict_yaml.YamlError as error:
        raise TrainerError(f"{where}: {error}") from None
    if not isinstance(said, dict):
        raise TrainerError(f"{where}: is not a job; see docs/training.md for one")
    try:
        return Job.model_validate_json(json.dumps(said, default=str), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise TrainerError(f"{where}: {_sentence(first['loc'], first['type'], first['msg'])}") from None


def within(job: Job, where: str, *, most_epsilon: float, most_delta: float) -> None:
    """Refuse a job that asks for more than its environment allows.

    Raises:
        TrainerError: says the limit.
    """
    budget = job.privacy.budget
    if budget is None:
        return
    for name, asked, most in (("epsilon", budget[0], most_epsilon), ("delta", budget[1], most_delta)):
        if asked > most:
            raise TrainerError(
                f"{where}: privacy.{name}: {asked:g} is over the limit {most:g} of this environment; "
                f"write {most:g} or less"
            )


def _sentence(location: Sequence[int | str], kind: str, message: str) -> str:
    at = ".".join(str(part) for part in location)
    said = {"missing": "is missing", "extra_forbidden": "is no key of a job; take it out"}
    message = said.get(kind, message.removeprefix("Value error, "))
    # A check of several keys names the one that is wrong itself.
    if kind == "value_error" and re.match(r"[a-z_]+: ", message):
        return f"{at}.{message}" if at else message
    return f"{at}: {message}" if at else message
