"""The rules of the web ACL, in the order in which a request meets them.

1. Whoever misbehaved before is refused (the block sets, which the IP blocker fills), unless the address is one
   of the organisation's own: those cannot be blocked, whatever the sets hold.
2. The organisation's own monitors pass.
3. Whoever asks too often is refused, over all paths and on the paths that have a limit of their own.
4. Bodies that are larger than what can be inspected are refused.
5. What AWS's managed groups know to be an attack is refused.

A block comes before the one rule that allows, and that one names a short list of addresses: nobody is let in by
a rule that a later one would have to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import pulumi
import pulumi_aws as aws

Rule = aws.wafv2.WebAclRuleArgsDict
Action = aws.wafv2.WebAclRuleActionArgsDict
Statement = aws.wafv2.WebAclRuleStatementArgsDict

Family = Literal["ipv4", "ipv6"]

ManagedGroup = Literal[
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesAnonymousIpList",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesSQLiRuleSet",
    "AWSManagedRulesBotControlRuleSet",
]

BOT_CONTROL: ManagedGroup = "AWSManagedRulesBotControlRuleSet"

ALWAYS: tuple[ManagedGroup, ...] = tuple(name for name in get_args(ManagedGroup) if name != BOT_CONTROL)
"""The groups that cost nothing extra, the cheap ones first. With all other rules they stay below the 1,500
capacity units of WAF's basic price (AWS WAF Developer Guide, "AWS Managed Rules rule groups list": 25, 50, 200,
700 and 200)."""

BotControl = Literal["none", "common", "targeted"]

INSPECTED_BYTES = 8192
"""All that WAF sees of a body behind an Application Load Balancer (AWS WAF Developer Guide, "Considerations for
managing body inspection"): the rest would pass unseen."""

LEAST_REQUESTS, MOST_REQUESTS = 10, 2_000_000_000
"""Bounds of a rate rule (AWS WAF API, "RateBasedStatement")."""

MAX_PATHS = 5
"""Each costs 22 to 24 capacity units."""

_WINDOW_SECONDS = 300
_PATH = re.compile(r"/[\w.~-]+(?:/[\w.~-]*)*")
"""More than the slash that every path begins with."""


@dataclass(frozen=True, kw_only=True)
class AddressSets:
    """ARNs of the IP sets that the rules refer to; a set is of one family of addresses."""

    blocked: Mapping[Family, pulumi.Input[str]]
    own: Sequence[pulumi.Input[str]] = ()
    """Never blocked."""
    monitors: Sequence[pulumi.Input[str]] = ()
    """Let through."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one address may ask for."""

    max_requests_per_5min: int
    path_max_requests_per_5min: Mapping[str, int] = field(default_factory=dict)
    """By how a path begins; each below the limit over all paths."""
    max_body_bytes: int = INSPECTED_BYTES
    upload_paths: Sequence[str] = ()
    """Where larger bodies may go, by how the path begins: what is there must look at them itself."""


def rules(
    sets: AddressSets,
    limits: Limits,
    *,
    counted: Iterable[ManagedGroup] = (),
    bot_control: BotControl = "none",
) -> list[Rule]:
    """Return the rules, their priorities in steps of ten: there is room for one that an incident calls for.

    Args:
        sets: The address sets.
        limits: Rates and sizes.
        counted: Managed groups that only count what they would refuse.
        bot_control: AWS's paid group against bots, and how closely it looks.

    Raises:
        ValueError: a limit is outside of WAF's bounds, or there are too many.
    """
    _check(limits)
    groups = [*ALWAYS, *([BOT_CONTROL] if bot_control != "none" else [])]
    found = [
        *_blocked(sets),
        *_monitors(sets),
        _rate("rate", limits.max_requests_per_5min),
        *(
            _rate(f"rate-path-{index}", limit, path)
            for index, (path, limit) in enumerate(sorted(limits.path_max_requests_per_5min.items()), 1)
        ),
        _body(limits),
        *(
            _managed(group, counted=group in counted, uploads=bool(limits.upload_paths), bots=bot_control)
            for group in groups
        ),
    ]
    for index, rule in enumerate(found, 1):
        rule["priority"] = index * 10
    return found


def _rule(name: str, statement: Statement, action: Action | None = None) -> Rule:
    rule: Rule = {
        "name": name,
        "priority": 0,
        "statement": statement,
        "visibility_config": {
            "metric_name": name,
            "cloudwatch_metrics_enabled": True,
            # Samples would show the headers that the log leaves out.
            "sampled_requests_enabled": False,
        },
    }
    if action is not None:
        rule["action"] = action
    return rule


def _in_set(arn: pulumi.Input[str]) -> Statement:
    return {"ip_set_reference_statement": {"arn": arn}}


def _unless(statement: Statement, exceptions: Sequence[Statement]) -> Statement:
    """Return what holds where ``statement`` does and none of the exceptions."""
    if not exceptions:
        return statement
    others: list[Statement] = [{"not_statement": {"statement": exception}} for exception in exceptions]
    return {"and_statement": {"statements": [statement, *others]}}


def _blocked(sets: AddressSets) -> list[Rule]:
    ours = [_in_set(arn) for arn in (*sets.own, *sets.monitors)]
    return [
        _rule(f"blocked-{family}", _unless(_in_set(arn), ours), {"block": {}})
        for family, arn in sets.blocked.items()
    ]


def _monitors(sets: AddressSets) -> list[Rule]:
    return [
        _rule(f"monitors-{index}", _in_set(arn), {"allow": {}}) for index, arn in enumerate(sets.monitors, 1)
    ]


def _rate(name: str, limit: int, path: str | None = None) -> Rule:
    rate: aws.wafv2.WebAclRuleStatementRateBasedStatementArgsDict = {
        # The address of the connection: a header would be the client's own word.
        "aggregate_key_type": "IP",
        "limit": limit,
        "evaluation_window_sec": _WINDOW_SECONDS,
    }
    if path is not None:
        rate["scope_down_statement"] = {"byte_match_statement": _path_begins(path)}
    # 429 tells a well-meant client to slow down (RFC 6585, section 4); a refusal would look like a fault.
    return _rule(name, {"rate_based_statement": rate}, {"block": {"custom_response": {"response_code": 429}}})


def _path_begins(path: str) -> aws.wafv2.WebAclRuleStatementByteMatchStatementArgsDict:
    return {
        "field_to_match": {"uri_path": {}},
        "positional_constraint": "STARTS_WITH",
        "search_string": path,
        # As the server will read it: %2F is a slash, and /a/../b is /b.
        "text_transformations": [
            {"priority": 0, "type": "URL_DECODE"},
            {"priority": 1, "type": "NORMALIZE_PATH"},
        ],
    }


def _body(limits: Limits) -> Rule:
    too_large: Statement = {
        "size_constraint_statement": {
            "comparison_operator": "GT",
            "size": limits.max_body_bytes,
            "field_to_match": {"body": {"oversize_handling": "MATCH"}},
            "text_transformations": [{"priority": 0, "type": "NONE"}],
        }
    }
    uploads: list[Statement] = [{"byte_match_statement": _path_begins(path)} for path in limits.upload_paths]
    refused: Action = {"block": {"custom_response": {"response_code": 413}}}
    return _rule("body-size", _unless(too_large, uploads), refused)


def _managed(group: ManagedGroup, *, counted: bool, uploads: bool, bots: BotControl) -> Rule:
    managed: aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementArgsDict = {
        "vendor_name": "AWS",
        "name": group,
    }
    if group == "AWSManagedRulesCommonRuleSet" and uploads:
        # It refuses what is over 8 KB everywhere; the rule on bodies does so everywhere else.
        managed["rule_action_overrides"] = [{"name": "SizeRestrictions_BODY", "action_to_use": {"count": {}}}]
    if group == BOT_CONTROL:
        managed["managed_rule_group_configs"] = [
            {"aws_managed_rules_bot_control_rule_set": {"inspection_level": bots.upper()}}
        ]
    rule = _rule(group, {"managed_rule_group_statement": managed})
    rule["override_action"] = {"count": {}} if counted else {"none": {}}
    return rule


def _check(limits: Limits) -> None:
    every = {"max_requests_per_5min": limits.max_requests_per_5min}
    every |= {f"path_max_requests_per_5min[{p!r}]": n for p, n in limits.path_max_requests_per_5min.items()}
    for argument, number in every.items():
        if not LEAST_REQUESTS <= number <= MOST_REQUESTS:
            raise ValueError(
                f"{argument} is {number}; WAF counts to {LEAST_REQUESTS} at least, {MOST_REQUESTS} at most"
            )
    if not 1 <= limits.max_body_bytes <= INSPECTED_BYTES:
        raise ValueError(
            f"max_body_bytes is {limits.max_body_bytes}; WAF sees {INSPECTED_BYTES} bytes behind a load balancer"
        )
    for argument, paths in (
        ("path_max_requests_per_5min", limits.path_max_requests_per_5min),
        ("upload_paths", limits.upload_paths),
    ):
        if len(paths) > MAX_PATHS:
            raise ValueError(f"{argument} names {len(paths)} paths; name {MAX_PATHS} at most")
        if wrong := next((path for path in paths if not _PATH.fullmatch(path)), None):
            raise ValueError(f"{argument} names {wrong!r:.60}; write how a path begins, like /v1/images")
