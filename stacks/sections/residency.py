"""Where the stack may be: a jurisdiction and two of its regions."""

from __future__ import annotations

from pydantic import model_validator

from stacks.fields import wrong
from stacks.residency import JURISDICTIONS, region_problem
from stacks.sections.section import Section


class Residency(Section):
    """Where the stack may be."""

    jurisdiction: str
    """A key of ``stacks.residency.JURISDICTIONS``."""
    home_region: str
    backup_region: str
    """A second region of the same jurisdiction: backups and replicas go there."""

    @model_validator(mode="after")
    def _two_regions_of_the_jurisdiction(self) -> Residency:
        if self.jurisdiction not in JURISDICTIONS:
            raise wrong(
                "jurisdiction",
                f"{self.jurisdiction!r:.40} is not known; choose among {', '.join(JURISDICTIONS)}",
            )
        if len(JURISDICTIONS[self.jurisdiction]) == 1:
            raise wrong(
                "jurisdiction",
                f"{self.jurisdiction!r} has one AWS region, and backups need a second; "
                "add one that your regulator accepts to stacks/residency.py",
            )
        for key in ("home_region", "backup_region"):
            if problem := region_problem(self.jurisdiction, getattr(self, key)):
                raise wrong(key, problem)
        if self.home_region == self.backup_region:
            others = [region for region in JURISDICTIONS[self.jurisdiction] if region != self.home_region]
            raise wrong("backup_region", f"is the home region; choose another one: {', '.join(others)}")
        return self
