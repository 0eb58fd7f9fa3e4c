"""What every section of the settings is: frozen, typed strictly, without a key that is not declared."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section: frozen, typed strictly, no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
