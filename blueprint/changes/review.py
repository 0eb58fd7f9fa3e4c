"""What a change does to each environment: resources, verdict, access and cost, put side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from blueprint.access import Access, new_access
from blueprint.changes.compare import STEPS, Difference, compare
from blueprint.cost.floor import Floor, floor_of
from blueprint.graph import Graph
from blueprint.pack import RunningPack
from blueprint.roles import roles_of
from blueprint.verdict import Undecided, Verdict, Violation, Waived


@dataclass(frozen=True, kw_only=True)
class Review:
    """One environment before and after. Where it is new there was nothing before; where it goes, nothing is after."""

    environment: str
    before: Verdict | None
    after: Verdict | None
    differences: tuple[Difference, ...]
    access: tuple[Access, ...]
    """What roles may do now that they could not before."""
    cost_before: Floor | None
    cost_after: Floor | None

    @property
    def passed(self) -> bool:
        """Say whether nothing mandatory is violated by what is there after the change."""
        return self.after is None or self.after.passed

    @property
    def new(self) -> tuple[Violation, ...]:
        """Return what the policies say now and did not say before."""
        return _beyond(_violations(self.after), _violations(self.before))

    @property
    def mended(self) -> tuple[Violation, ...]:
        """Return what the policies said before and say no more."""
        return _beyond(_violations(self.before), _violations(self.after))

    @property
    def waived(self) -> tuple[Waived, ...]:
        """Return what does not hold and is accepted for a while."""
        return self.after.waived if self.after else ()

    @property
    def newly_waived(self) -> tuple[Waived, ...]:
        """Return what is waived now and was not, or was with another end, owner or reason."""
        known = set(self.before.waived) if self.before else set()
        return tuple(each for each in self.waived if each not in known)

    @property
    def newly_undecided(self) -> tuple[Undecided, ...]:
        """Return what cannot be decided now and could before."""
        known = set(self.before.undecided) if self.before else set()
        return tuple(each for each in self.after.undecided if each not in known) if self.after else ()

    def counts(self) -> dict[str, int]:
        """Return how many resources take each step."""
        return {step: sum(each.step == step for each in self.differences) for step in STEPS}

    @property
    def usd_a_month(self) -> tuple[Decimal, Decimal]:
        """Return the cost floor before and after."""
        before, after = (
            each.usd_a_month if each else Decimal() for each in (self.cost_before, self.cost_after)
        )
        return before, after

    def as_json_value(self) -> dict[str, Any]:
        """Return the review for machines."""
        before, after = self.usd_a_month
        return {
            "environment": self.environment,
            "passed": self.passed,
            "counts": self.counts(),
            "differences": [each.as_json_value() for each in self.differences],
            "violations": len(_violations(self.after)),
            "new_violations": [asdict(each) for each in self.new],
            "mended_violations": [asdict(each) for each in self.mended],
            "new_undecided": [asdict(each) for each in self.newly_undecided],
            "waived": [asdict(each) for each in self.waived],
            "new_access": [asdict(each) for each in self.access],
            "floor_usd_a_month": {"before": f"{before:.2f}", "after": f"{after:.2f}"},
        }


def reviews(before: Mapping[str, Graph], after: Mapping[str, Graph]) -> tuple[Review, ...]:
    """Return the review of every environment, by name; both sides are judged by the pack that is here."""
    with RunningPack() as pack:
        return tuple(
            review(name, before.get(name), after.get(name), pack)
            for name in sorted(before.keys() | after.keys())
        )


def review(environment: str, before: Graph | None, after: Graph | None, pack: RunningPack) -> Review:
    """Return the review of one environment."""
    judged = pack.judge(after) if after else None
    # The same graph gets the same verdict, and most changes leave most environments alone.
    was = judged if before == after else pack.judge(before) if before else None
    nothing = Graph(stack=environment, resources=())
    return Review(
        environment=environment,
        before=was,
        after=judged,
        differences=compare(before or nothing, after or nothing),
        access=tuple(new_access(roles_of(after or nothing), roles_of(before or nothing))),
        cost_before=floor_of(before) if before else None,
        cost_after=floor_of(after) if after else None,
    )


def _violations(verdict: Verdict | None) -> tuple[Violation, ...]:
    return verdict.violations if verdict else ()


def _beyond(some: Iterable[Violation], others: Iterable[Violation]) -> tuple[Violation, ...]:
    """Return those of ``some`` that are not among ``others``, by what is wrong with what."""
    known = {_what(each) for each in others}
    return tuple(each for each in some if _what(each) not in known)


def _what(finding: Violation) -> tuple[str, str, str, bool]:
    return finding.control, finding.urn, finding.problem, finding.mandatory
