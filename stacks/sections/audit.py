"""Who hears of findings, and how much a question of the audit may read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stacks.fields import Email, wrong
from stacks.sections.section import Section


class Audit(Section):
    """Who hears of findings, and how much a question may read."""

    findings_emails: Annotated[tuple[Email, ...], Field(min_length=1, max_length=20)]
    """Who is told of attacks, weak spots and what CIS asks to be told of, in either region."""
    query_limit_gb: Annotated[int, Field(ge=1, le=10_000)] = 100
    """A question over the logs that reads more is ended."""

    @model_validator(mode="after")
    def _each_is_told_once(self) -> Audit:
        for index, email in enumerate(self.findings_emails):
            if email in self.findings_emails[:index]:
                raise wrong(f"findings_emails[{index}]", "stands there twice; name each address once")
        return self
