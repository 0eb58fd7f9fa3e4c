"""How much may be lost, how long a restore may take, and the backups that follow from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.backup import Schedule, recovery_point_problem
from stacks.fields import wrong
from stacks.sections.section import Section

Days = Annotated[int, Field(ge=1, le=36_500)]


class Backup(Section):
    """The recovery objectives, and the plan that meets them."""

    recovery_point_hours: Annotated[int, Field(ge=2, le=336)]
    """How much work may be lost at most when the region is lost (RPO)."""
    recovery_time_hours: Annotated[int, Field(ge=1, le=336)]
    """How long a restore may take (RTO); AWS Backup Audit Manager measures it at every restore test."""
    every_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24]
    complete_within_hours: Annotated[int, Field(ge=2, le=168)]
    """Counted from the scheduled time; what takes longer is ended, and people are told."""
    retention_days: Days
    weekly_retention_days: Days
    monthly_retention_days: Days
    vault_lock_days: Days
    """Nobody deletes a backup before."""

    @property
    def schedule(self) -> Schedule:
        """How often, and for how long."""
        return Schedule(
            every_hours=self.every_hours,
            complete_within_hours=self.complete_within_hours,
            retention_days=self.retention_days,
            weekly_retention_days=self.weekly_retention_days,
            monthly_retention_days=self.monthly_retention_days,
        )

    @model_validator(mode="after")
    def _the_vault_takes_what_is_made(self) -> Backup:
        shortest = self.schedule.shortest_retention_days
        if self.vault_lock_days > shortest:
            raise wrong(
                "vault_lock_days",
                f"{self.vault_lock_days} is more than the {shortest} days that some backups stay, and the vault "
                f"would refuse those; write {shortest} or less, or keep them longer",
            )
        return self

    @model_validator(mode="after")
    def _the_schedule_meets_the_recovery_point(self) -> Backup:
        if problem := recovery_point_problem(self.schedule, self.recovery_point_hours):
            worst = self.every_hours + self.complete_within_hours
            raise wrong("recovery_point_hours", f"{problem}; write {worst} or more, or back up more often")
        return self
