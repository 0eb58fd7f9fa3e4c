"""Which models are served and how: the operator's ``serving.yaml``.

A screen's mode decides what becomes of an input that it objects to; there is none in which a screen does not look::

    models:
      digits:
        screens: {novelty: refuse, squeezing: answer-with-flag}
      spam:
        body_bytes: 4194304        # its messages bring images
        deadline_seconds: 40       # which have to be read
        screens: {text: flag, homoglyph: refuse}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.shared import strict_yaml
from services.shared.strict_yaml import YamlError

MOST_MODELS = 64

Mode = Literal["refuse", "flag", "answer-with-flag"]
"""Refused with the reason; answered, and written down alone; answered, written down, and told."""

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
ScreenName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]

TENSOR_SCREENS = frozenset({"novelty", "squeezing"})

TEXT = "text"
"""Stands for every screen of texts that has no mode of its own."""


class ServingError(Exception):
    """The file is wrong; the message says where and what to write."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Serving(_Told):
    """How one model is served."""

    least_version: Annotated[int, Field(ge=1, lt=2**53)] = 1
    """Nothing older is served, even where nobody remembers that there was something newer."""
    most_rows: Annotated[int, Field(ge=1, le=4096)] = 64
    """Inputs of one request."""
    body_bytes: Annotated[int, Field(ge=1024, le=32 * 2**20)] = 256 * 2**10
    """Of a request."""
    deadline_seconds: Annotated[float, Field(gt=0, le=120)] = 2.0
    """Until an answer must be ready; what is not is dropped."""
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    """Of one run of the model."""
    most_waiting: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Inputs that may wait for a run."""
    screens: Annotated[dict[ScreenName, Mode], Field(max_length=32)] = {}

    def mode(self, screen: str, *, family: str | None = None) -> Mode:
        """Return the mode of a screen; where none is given, its family's; where that has none, refuse."""
        return self.screens.get(screen) or self.screens.get(family or screen) or "refuse"


class _File(_Told):
    models: Annotated[dict[ModelName, Serving | None], Field(min_length=1, max_length=MOST_MODELS)]


def read(path: Path) -> dict[str, Serving]:
    """Return how each model is served, by name.

    Raises:
        ServingError: the file cannot be read, or says something wrong.
    """
    try:
        told = _File.model_validate(strict_yaml.read(path))
    except YamlError as error:
        raise ServingError(str(error)) from None
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"] if part != "[key]")
        raise ServingError(f"{path}: {where or 'the file'}: {found['msg']}") from None
    return {name: serving or Serving() for name, serving in told.models.items()}
