"""Who may ask which model, how much a day, and what they get to see: the operator's ``clients.yaml``.

Whoever is not named is nobody. Principals are named whole: with a pattern, whoever may make service accounts could
multiply their budget, and be watched as many instead of one.
::

    classes:
      partner:
        digits:
          outputs: {kind: top-k, k: 3, decimals: 1}
          daily_queries: 5000
          on_suspicion: label-only
    principals:
      ward/triage: partner
    usual:                        # of inputs, for the watch: python -m services.gateway.calibration
      digits: {shapiro_least: 0.9, spread_least: 0.15, spread_most: 0.4}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.gateway.extraction import Bounds
from services.gateway.outputs import OutputRule
from services.shared.strict_yaml import YamlError, loaded

MOST_BYTES = 2**20
"""Of the file: ten thousand principals fit."""

ClassName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
ModelName = ClassName
Principal = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9.-]{0,252}$")]
"""Namespace and service account, as Kubernetes names them ("Object Names and IDs")."""


class ClientsError(Exception):
    """The file is wrong; the message says where and what to write."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rules(_Told):
    """What one class of clients may do with one model."""

    outputs: OutputRule
    daily_queries: Annotated[int, Field(ge=1, le=100_000_000)]
    """Inputs a day, UTC, over all replicas."""
    on_suspicion: Literal["label-only", "refuse"]
    """What a client gets whose queries look like an extraction."""


class Allowance(Rules):
    """The rules, and the class that they come from."""

    client_class: ClassName


class _File(_Told):
    classes: Annotated[
        dict[ClassName, Annotated[dict[ModelName, Rules], Field(min_length=1)]], Field(min_length=1)
    ]
    principals: dict[Principal, ClassName]
    usual: dict[ModelName, Bounds] = {}

    @model_validator(mode="after")
    def _classes_exist(self) -> _File:
        for principal, name in self.principals.items():
            if name not in self.classes:
                raise ValueError(f"principals.{principal}: is of the class {name}, which is not declared")
        for model in self.usual:
            if not any(model in models for models in self.classes.values()):
                raise ValueError(f"usual.{model}: is a model that no class may ask")
        return self


class Clients:
    """The file as it was when it was read."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ClientsError: it cannot be read, or says something wrong.
        """
        told = _parsed(path)
        self._allowances = {
            (name, model): Allowance(client_class=name, **dict(rules))
            for name, models in told.classes.items()
            for model, rules in models.items()
        }
        self._classes, self._usual = dict(told.principals), dict(told.usual)

    def of(self, principal: str, model: str) -> Allowance | None:
        """Return what a principal may do with a model; ``None`` is nothing at all."""
        name = self._classes.get(principal)
        return None if name is None else self._allowances.get((name, model))

    def usual(self, model: str) -> Bounds | None:
        """Return what is usual for a model's inputs; ``None`` where nobody measured it."""
        return self._usual.get(model)


def _parsed(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ClientsError(f"{path}: is larger than {MOST_BYTES} bytes")
        return _File.model_validate(loaded(data))
    except OSError as error:
        raise ClientsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ClientsError(f"{path}: {_first(error)}") from None
    except YamlError as error:
        raise ClientsError(f"{path}: {error}") from None


_PLAINLY = {
    "missing": "is missing",
    "extra_forbidden": "means nothing here; take it out",
    "string_pattern_mismatch": "is no name; write small letters, digits and dashes",
    "dict_type": "write names, each with what it stands for",
    "model_type": "write names, each with what it stands for",
    "too_short": "write one or more",
    "union_tag_not_found": "write the kind: label, top-k or rounded",
    "union_tag_invalid": "write the kind: label, top-k or rounded",
}


def _first(error: ValidationError) -> str:
    """Return the first thing that is wrong, in one line."""
    found = error.errors()[0]
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    # Between the names, pydantic puts the kind of a rule, and a mark where a name itself is wrong.
    path = [str(part) for part in found["loc"] if part not in ("[key]", "label", "top-k", "rounded")]
    what = _PLAINLY.get(found["type"]) or found["msg"].replace("Input should be", "write what is")
    if path[:1] == ["principals"] and found["type"] == "string_pattern_mismatch" and len(path) == 2:
        what = "is no principal; write NAMESPACE/SERVICE-ACCOUNT, whole"
    return f"{'.'.join(path) or 'the file'}: {what}"
