"""The dated list of prices, ``prices.yaml``: read once, checked whole."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blueprint.errors import BadInput

FILE = Path(__file__).with_name("prices.yaml")

Unit = Literal["hour", "month", "GB and month"]


class Group(BaseModel):
    """Prices that stand on one page of AWS's, in US dollars a unit, read on one day for one region."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: str = Field(min_length=1)
    url: str = Field(pattern=r"^https://aws\.amazon\.com/[a-z0-9/-]+$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    date: date
    unit: Unit
    prices: dict[str, Decimal] = Field(min_length=1)


class Prices(BaseModel):
    """The whole list: what is paid for by time, what by use, and what never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours_a_month: int = Field(gt=0)
    groups: tuple[Group, ...]
    by_use: dict[str, str]
    """Type of a resource, and what of it is paid for."""
    free: tuple[str, ...]
    """Types of resources, or how a family of types begins."""

    def group_of(self, item: str) -> Group | None:
        """Return the group that names an item, such as ``NAT gateway``."""
        return next((group for group in self.groups if item in group.prices), None)

    @property
    def regions(self) -> list[str]:
        """Return the regions that the prices are of."""
        return sorted({group.region for group in self.groups})

    @property
    def oldest(self) -> date:
        """Return the day of the oldest price."""
        return min(group.date for group in self.groups)


@cache
def prices(file: Path = FILE) -> Prices:
    """Return the list.

    Raises:
        BadInput: the file cannot be read, an item stands twice in it, or a value is none.
    """
    try:
        found = Prices.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"{file.name}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadInput(f"{file.name}: is not YAML; mend it") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadInput(f"{file.name}: {place}: {first['msg']}") from None
    items = [item for group in found.groups for item in group.prices]
    twice = sorted({item for item in items if items.count(item) > 1})
    if twice:
        raise BadInput(f"{file.name}: {twice[0]}: has two prices; leave one")
    return found
