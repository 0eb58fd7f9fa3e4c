"""The database: its size, its standby, its backups."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.fields import matching, wrong
from stacks.sections.section import Section


class Database(Section):
    """The relational database behind the data-access API."""

    instance_class: Annotated[
        str, matching(r"db\.[a-z0-9]+\.[a-z0-9]+", "is not an RDS class; write one like db.t4g.medium")
    ]
    allocated_storage_gb: Annotated[int, Field(ge=20, le=65536)]
    max_allocated_storage_gb: Annotated[int, Field(ge=20, le=65536)]
    standby: Literal["none", "other-zone"] = "other-zone"
    backup_retention_days: Annotated[int, Field(ge=7, le=35)]

    @model_validator(mode="after")
    def _storage_can_grow(self) -> Database:
        if self.max_allocated_storage_gb <= self.allocated_storage_gb:
            raise wrong("max_allocated_storage_gb", "is not above allocated_storage_gb; leave room to grow")
        return self
