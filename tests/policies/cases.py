"""Cases of controls: small real programs, judged by the running pack over its real protocol.

A case says what a control must accept and what it must refuse, side by side. Both are Pulumi programs in
which no resource needs a provider: one that declares the usual tags is put in. Each is judged twice, with
every output resolved and with every output unknown, since the engine's preview knows no ARN and no id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes

from blueprint.graph import Graph
from blueprint.pack import RunningPack
from blueprint.recorder import record
from blueprint.verdict import Verdict

ACCOUNT = "111122223333"
REGION = "eu-central-1"

TAGS: Mapping[str, str] = {
    "owner": "platform@example.org",
    "environment": "dev",
    "data-classification": "restricted",
    "profile": "baseline",
    "jurisdiction": "eu",
}

Program = Callable[[], object]

k8s: Any = pulumi_kubernetes
"""Untyped: a case writes pods as plain objects, and wrong ones on purpose, which no ``TypedDict`` takes."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """``violating`` must be refused by ``control`` with a problem that mentions ``mentions``."""

    control: str
    compliant: Program
    violating: Program
    mentions: str
    tags: Mapping[str, str] = field(default_factory=dict)
    """Default tags over the usual ones, ``{"environment": "prod"}`` for one."""

    def __str__(self) -> str:
        return f"{self.control} {self.mentions}"


def judged(
    pack: RunningPack, program: Program, *, tags: Mapping[str, str] | None = None, unknowns: bool = False
) -> Verdict:
    """Record ``program`` under a provider with the usual tags and return the pack's verdict."""
    return pack.judge(recorded(program, tags=tags, unknowns=unknowns))


def recorded(program: Program, *, tags: Mapping[str, str] | None = None, unknowns: bool = False) -> Graph:
    """Record ``program``, its resources under one pinned AWS provider unless they name another.

    A resource whose name begins with ``orphan`` is left without one.
    """

    def with_provider() -> None:
        provider = aws.Provider(
            "home",
            region=REGION,
            allowed_account_ids=[ACCOUNT],
            default_tags={"tags": {**TAGS, **(tags or {})}},
        )

        def provide(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
            if not args.type_.startswith("aws:") or args.opts.provider or args.name.startswith("orphan"):
                return None
            opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(provider=provider))
            return pulumi.ResourceTransformationResult(args.props, opts)

        pulumi.runtime.register_stack_transformation(provide)
        program()

    return record(with_provider, unknowns=unknowns)


def problems(verdict: Verdict, control: str) -> list[str]:
    """Return what ``control`` found wrong."""
    return [violation.problem for violation in verdict.violations if violation.control == control]


def waits(verdict: Verdict, control: str) -> list[str]:
    """Return what ``control`` waits for."""
    return [undecided.waits_for for undecided in verdict.undecided if undecided.control == control]
