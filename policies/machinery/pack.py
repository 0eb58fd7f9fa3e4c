"""Puts the controls into the SDK's policies and reports what they find.

The SDK deserialises every resource again for each of its policies, so there is one SDK policy per scope and
severity, not one per control; the control's id opens each message. The first of them to see a resource (or
the stack) runs all controls on it, and the others report from what it found.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import Severity as SdkSeverity

from machinery.control import Control, Severity
from machinery.declarations import declarations_of
from machinery.stack import Stack
from machinery.subject import Outcome, Resource, Undecided, Violation
from machinery.values import plain
from machinery.waivers import WAIVER_CONTROLS, Waiver, Waivers, root_of

Judged = list[tuple[Control, Outcome, Waiver | None]]
Args = TypeVar("Args")

NOTES = "notes"
"""What stops nothing and must be seen: what is undecided, and what is waived."""

# What an organisation may pin in a policy configuration, whatever a stack's tags say.
_CONFIG = PolicyConfigSchema(
    properties={
        "environment": {"type": "string", "description": "dev, staging or prod"},
        "profile": {"type": "string", "description": "the legal regime, for instance hipaa"},
        "jurisdiction": {"type": "string", "description": "the jurisdiction, for instance eu"},
    }
)

# pulumi-aws 7 keeps a ...V2 double of the S3 types; both are one type to a control.
_DOUBLE = re.compile(r"^(aws:s3/\w+)V2:(\w+)V2$")


def policies(controls: Sequence[Control], waivers: Waivers | None = None) -> list[Policy]:
    """Return the SDK policies that carry ``controls``, and apply ``waivers`` to what they find."""
    on_resource = [control for control in controls if not control.needs_stack]
    on_stack = [control for control in controls if control.needs_stack]
    waivers = waivers or Waivers()
    return [*_resource_policies(on_resource, waivers), *_stack_policies(on_stack, waivers)]


def _resource_policies(controls: Sequence[Control], waivers: Waivers) -> list[Policy]:
    by_type: dict[str, list[Control]] = {}
    for control in controls:
        for type_ in control.on or ("",):
            by_type.setdefault(type_, []).append(control)

    def judge(args: ResourceValidationArgs) -> Judged:
        resource = subject_of(args, args.get_config())
        matching = [*by_type.get("", ()), *by_type.get(resource.type, ())]
        return [
            (control, outcome, waivers.over(control, outcome, resource.urn))
            for control in matching
            for outcome in control.judge_resource(resource)
        ]

    memo: _Memo[ResourceValidationArgs] = _Memo(judge)

    def policy(name: str, level: EnforcementLevel, severity: Severity | None) -> Policy:
        def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
            for found in memo.judged(name, args.urn, args):
                _report(*found, severity, lambda text, _urn: report(text, None))

        return ResourceValidationPolicy(
            name,
            _description(severity, "what one resource decides by itself"),
            validate,
            level,
            **_labels(controls, severity),
        )

    return _by_severity("resource", policy)


def _stack_policies(controls: Sequence[Control], waivers: Waivers) -> list[Policy]:
    def judge(args: StackValidationArgs) -> Judged:
        stack = Stack([subject_of(resource, args.get_config()) for resource in args.resources])
        root = root_of(stack)
        found: Judged = [
            (control, outcome, waivers.over(control, outcome, outcome.urn or root))
            for control in controls
            for outcome in control.judge_stack(stack)
        ]
        return [*found, *((control, outcome, None) for control, outcome in waivers.judged(stack))]

    memo: _Memo[StackValidationArgs] = _Memo(judge)

    def policy(name: str, level: EnforcementLevel, severity: Severity | None) -> Policy:
        def validate(args: StackValidationArgs, report: ReportViolation) -> None:
            for found in memo.judged(name, "", args):
                _report(*found, severity, lambda text, urn: report(text, urn or None))

        return StackValidationPolicy(
            name,
            _description(severity, "what the stack as a whole decides"),
            validate,
            level,
            **_labels([*controls, *WAIVER_CONTROLS], severity),
        )

    return _by_severity("stack", policy)


def _by_severity(
    scope: str, policy: Callable[[str, EnforcementLevel, Severity | None], Policy]
) -> list[Policy]:
    graded = [
        policy(
            f"{scope}-{severity.value}",
            EnforcementLevel.MANDATORY if severity.mandatory else EnforcementLevel.ADVISORY,
            severity,
        )
        for severity in Severity
    ]
    return [*graded, policy(f"{scope}-{NOTES}", EnforcementLevel.ADVISORY, None)]


def _labels(controls: Sequence[Control], severity: Severity | None) -> dict[str, Any]:
    labels: dict[str, Any] = {"config_schema": _CONFIG}
    if severity is not None:
        labels["severity"] = SdkSeverity(severity.value)
        labels["tags"] = [control.id for control in controls if control.severity is severity]
    return labels


def _description(severity: Severity | None, scope: str) -> str:
    if severity is None:
        return f"Controls on {scope} that wait for a value only AWS can give, or that are waived."
    return f"Controls of severity {severity.value} on {scope}."


def _report(
    control: Control,
    outcome: Outcome,
    waiver: Waiver | None,
    severity: Severity | None,
    report: Callable[[str, str], None],
) -> None:
    """Report the outcome if it belongs to the policy of this severity (``None`` takes the notes)."""
    noted = isinstance(outcome, Undecided) or waiver is not None
    if noted if severity is None else (not noted and control.severity is severity):
        report(wording(control, outcome, waiver), outcome.urn)


def wording(control: Control, outcome: Outcome, waiver: Waiver | None = None) -> str:
    """Return what is said of an outcome. It is a contract: the workbench reads it back (``blueprint/verdict.py``)."""
    if isinstance(outcome, Undecided):
        return f"{control.id} undecided: {_one_line(outcome.path)} is not known yet"
    known = f"{control.id} {control.severity.value}"
    if waiver is None:
        return f"{known}: {_sentence(outcome)}\n  Fix: {control.remedy}"
    return (
        f"{known} waived until {waiver.expiry.isoformat()} by {waiver.owner}: {_sentence(outcome)}\n"
        f"  Why: {waiver.reason}\n  Fix: {control.remedy}"
    )


def _sentence(violation: Violation) -> str:
    return _one_line(f"{violation.path}: {violation.problem}" if violation.path else violation.problem)


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Memo(Generic[Args]):
    """Lets the SDK policies that see the same thing in one call share one judgement.

    The SDK runs its policies one after the other in one thread per call. A policy that comes a second time
    is in another call (an update after its preview, say), and judges anew.
    """

    def __init__(self, judge: Callable[[Args], Judged]) -> None:
        self._judge = judge
        self._local = threading.local()

    def judged(self, policy: str, urn: str, args: Args) -> Judged:
        last: tuple[str, set[str], Judged] | None = getattr(self._local, "last", None)
        if last is None or last[0] != urn or policy in last[1]:
            last = (urn, set(), self._judge(args))
            self._local.last = last
        last[1].add(policy)
        return last[2]


def subject_of(args: ResourceValidationArgs | PolicyResource, override: Mapping[str, Any]) -> Resource:
    """Return what the SDK shows, as a subject of controls."""
    value = plain(args.props)
    provider = plain(args.provider.props) if args.provider else {}
    speaker = value if args.resource_type.startswith("pulumi:providers:") else provider
    resource = Resource(
        value=value,
        urn=args.urn,
        type=_DOUBLE.sub(r"\1:\2", args.resource_type),
        name=args.name,
        protect=bool(args.opts.protect),
        parent=args.opts.parent or "",
        provider_urn=args.provider.urn if args.provider else "",
        provider=provider,
        declared=declarations_of(speaker, {key: str(said) for key, said in override.items()}),
    )
    if isinstance(args, ResourceValidationArgs):
        return resource
    return replace(
        resource,
        dependencies=tuple(target.urn for target in args.dependencies),
        property_dependencies={
            key: tuple(target.urn for target in targets)
            for key, targets in args.property_dependencies.items()
        },
    )
