"""What is written down, for how long, and who is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stacks.fields import Email, wrong
from stacks.sections.section import Section

LOG_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""The retention periods that CloudWatch Logs knows (PutRetentionPolicy)."""


class Retention(Section):
    """How long what is written stays, in days."""

    log_days: int
    """Log groups; one of the periods that CloudWatch knows."""
    audit_days: Annotated[int, Field(ge=1, le=36500)]
    """Object lock of audit logs: nobody can delete them before."""
    noncurrent_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Old versions of objects."""

    @model_validator(mode="after")
    def _cloudwatch_knows_the_period(self) -> Retention:
        if self.log_days not in LOG_DAYS:
            longer = next((days for days in LOG_DAYS if days > self.log_days), LOG_DAYS[-1])
            raise wrong(
                "log_days", f"{self.log_days} is not a period that CloudWatch Logs knows; write {longer}"
            )
        return self


class Alerts(Section):
    """Whom the platform tells when something is wrong."""

    email: Email
