"""Cases of the family EDG."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, REGION, Case

CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/12345678-90ab-cdef-1234-567890abcdef"
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/t/0123456789abcdef"
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
MODERN = "ELBSecurityPolicy-TLS13-1-2-2021-06"
GROUPS = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesSQLiRuleSet",
)

Rule = dict[str, Any]
Change = Callable[[list[Rule]], object]

VISIBLE = {"metric_name": "m", "cloudwatch_metrics_enabled": True, "sampled_requests_enabled": False}


def balancer(**more: Any) -> aws.lb.LoadBalancer:
    said: dict[str, Any] = {
        "load_balancer_type": "application",
        "internal": False,
        "subnets": SUBNETS,
        "drop_invalid_header_fields": True,
        "enable_deletion_protection": True,
        "access_logs": {"bucket": "logs", "enabled": True},
    }
    return aws.lb.LoadBalancer("balancer", **{**said, **more})


def ip_set(name: str = "blocked") -> aws.wafv2.IpSet:
    return aws.wafv2.IpSet(name, scope="REGIONAL", ip_address_version="IPV4", addresses=[])


def rule(name: str, priority: int, statement: Rule, **action: Any) -> Rule:
    return {
        "name": name,
        "priority": priority,
        "statement": statement,
        "visibility_config": VISIBLE,
        **action,
    }


BLOCK: Rule = {"action": {"block": {}}}
ALLOW: Rule = {"action": {"allow": {}}}
COUNT: Rule = {"action": {"count": {}}}


def rules() -> list[Rule]:
    """Return the rules of a web ACL that keeps every promise."""
    in_set = {"ip_set_reference_statement": {"arn": ip_set().arn}}
    own = {"not_statement": {"statement": {"ip_set_reference_statement": {"arn": ip_set("own").arn}}}}
    size = {
        "size_constraint_statement": {
            "comparison_operator": "GT",
            "size": 8192,
            "field_to_match": {"body": {"oversize_handling": "MATCH"}},
            "text_transformations": [{"priority": 0, "type": "NONE"}],
        }
    }
    managed = [
        rule(
            group,
            40 + index,
            {"managed_rule_group_statement": {"vendor_name": "AWS", "name": group}},
            override_action={"none": {}},
        )
        for index, group in enumerate(GROUPS)
    ]
    return [
        rule("blocked", 10, {"and_statement": {"statements": [in_set, own]}}, **BLOCK),
        rule("rate", 20, {"rate_based_statement": {"limit": 1000, "aggregate_key_type": "IP"}}, **BLOCK),
        rule("size", 30, size, **BLOCK),
        *managed,
    ]


def acl(change: Change | None = None, *, tags: dict[str, str] | None = None, fills: bool = True) -> Any:
    said: Any = copy.copy(rules())
    visible: Any = VISIBLE
    if change:
        change(said)
    if fills:
        document = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["wafv2:UpdateIPSet"],
                    "Resource": f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/ipset/blocked/1",
                }
            ],
        }
        aws.iam.RolePolicy("fills", role="blocker", policy=json.dumps(document))
    return aws.wafv2.WebAcl(
        "acl",
        scope="REGIONAL",
        default_action={"allow": {}},
        rules=said,
        visibility_config=visible,
        tags=tags or {},
    )


def named(name: str, **changes: Any) -> Change:
    """Return a change of the rule of a name."""
    return lambda said: next(each for each in said if each["name"] == name).update(changes)


def without(name: str) -> Change:
    return lambda said: said.remove(next(each for each in said if each["name"] == name))


def with_rule(extra: Rule) -> Change:
    return lambda said: said.append(extra)


def rate(limit: int, **more: Any) -> Rule:
    return {"rate_based_statement": {"limit": limit, **more}}


def group(name: str, **more: Any) -> Rule:
    return {"managed_rule_group_statement": {"vendor_name": "AWS", "name": name, **more}}


def override(name: str) -> Rule:
    return group(GROUPS[0], rule_action_overrides=[{"name": name, "action_to_use": {"count": {}}}])


def day(away: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=away)).isoformat()


def guarded(*, associated: bool = True, **more: Any) -> None:
    made = balancer(**more)
    if associated:
        aws.wafv2.WebAclAssociation("association", resource_arn=made.arn, web_acl_arn=acl().arn)


def stage(*, associated: bool) -> None:
    made = aws.apigateway.Stage("stage", deployment="d", rest_api="r", stage_name="s")
    if associated:
        aws.wafv2.WebAclAssociation("association", resource_arn=made.arn, web_acl_arn=acl().arn)


def recorded(*headers: str, filter_: str | None = None, logging: bool = True) -> None:
    made = acl()
    if not logging:
        return
    more: Any = {}
    if filter_:
        keeps = {"behavior": "KEEP", "requirement": "MEETS_ANY"}
        conditions = [{"action_condition": {"action": "BLOCK"}}]
        more = {
            "logging_filter": {
                "default_behavior": filter_,
                "filters": [{**keeps, "conditions": conditions}],
            }
        }
    aws.wafv2.WebAclLoggingConfiguration(
        "logging",
        resource_arn=made.arn,
        log_destination_configs=[f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:aws-waf-logs-x"],
        redacted_fields=[{"single_header": {"name": header}} for header in headers],
        **more,
    )


def listener(protocol: str = "HTTPS", policy: str | None = MODERN, *, redirect: bool = False) -> None:
    action: Any = {"type": "forward", "target_group_arn": TARGETS}
    if redirect:
        action = {
            "type": "redirect",
            "redirect": {"protocol": "HTTPS", "port": "443", "status_code": "HTTP_301"},
        }
    aws.lb.Listener(
        "listener",
        load_balancer_arn=balancer().arn,
        port=443 if protocol == "HTTPS" else 80,
        protocol=protocol,
        ssl_policy=policy,
        certificate_arn=CERTIFICATE if protocol == "HTTPS" else None,
        default_actions=[action],
    )


STAGING = {"environment": "staging"}


def method(authorization: str, verb: str = "GET") -> Callable[[], object]:
    return lambda: aws.apigateway.Method(
        "m", rest_api="a", resource_id="r", http_method=verb, authorization=authorization
    )


def route(authorization: str | None, key: str = "POST /v1/predict") -> Callable[[], object]:
    return lambda: aws.apigatewayv2.Route("r", api_id="a", route_key=key, authorization_type=authorization)


def function_url(authorization: str) -> Callable[[], object]:
    return lambda: aws.lambda_.FunctionUrl("u", function_name="f", authorization_type=authorization)


def graph_api(authentication: str) -> Callable[[], object]:
    return lambda: aws.appsync.GraphQLApi("g", authentication_type=authentication)


CASES = [
    Case(
        control="EDG-01",
        compliant=guarded,
        violating=lambda: guarded(associated=False),
        mentions="has no web ACL",
    ),
    Case(
        control="EDG-01",
        compliant=lambda: guarded(associated=False, internal=True),
        violating=lambda: balancer(internal=None),
        mentions="has no web ACL",
    ),
    Case(
        control="EDG-01",
        compliant=lambda: stage(associated=True),
        violating=lambda: stage(associated=False),
        mentions="has no web ACL",
    ),
    Case(
        control="EDG-02", compliant=acl, violating=lambda: acl(without("rate")), mentions="asking too often"
    ),
    Case(
        control="EDG-02",
        compliant=lambda: acl(named("rate", statement=rate(2000))),
        violating=lambda: acl(named("rate", statement=rate(2001))),
        mentions="more than the limit",
    ),
    Case(
        control="EDG-02",
        compliant=lambda: acl(named("rate", statement=rate(3000)), tags={"max-requests-per-5min": "3000"}),
        violating=lambda: acl(named("rate", statement=rate(3001)), tags={"max-requests-per-5min": "3000"}),
        mentions="more than the limit",
    ),
    Case(
        control="EDG-02",
        compliant=lambda: acl(named("rate", statement=rate(400, evaluation_window_sec=60))),
        violating=lambda: acl(named("rate", statement=rate(401, evaluation_window_sec=60))),
        mentions="more than the limit",
    ),
    Case(
        control="EDG-02",
        compliant=acl,
        violating=lambda: acl(named("rate", **COUNT)),
        mentions="asking too often",
    ),
    Case(
        control="EDG-02",
        compliant=acl,
        violating=lambda: acl(
            named(
                "rate",
                statement=rate(100, scope_down_statement={"geo_match_statement": {"country_codes": ["AQ"]}}),
            )
        ),
        mentions="asking too often",
    ),
    Case(
        control="EDG-02",
        compliant=acl,
        violating=lambda: acl(
            named(
                "rate",
                statement=rate(
                    100,
                    aggregate_key_type="FORWARDED_IP",
                    forwarded_ip_config={"header_name": "X-Forwarded-For", "fallback_behavior": "MATCH"},
                ),
            )
        ),
        mentions="asking too often",
    ),
    *(
        Case(
            control="EDG-03",
            compliant=acl,
            violating=lambda group_=each: acl(without(group_)),  # type: ignore[misc]
            mentions=f"have no group {each}",
        )
        for each in GROUPS
    ),
    Case(
        control="EDG-03",
        compliant=lambda: acl(
            named(GROUPS[3], override_action={"count": {}}),
            tags={"waf-count-until": f"{day(3)} {GROUPS[3]}"},
        ),
        violating=lambda: acl(
            named(GROUPS[3], override_action={"count": {}}),
            tags={"waf-count-until": f"{day(-1)} {GROUPS[3]}"},
        ),
        mentions="only counts",
        tags=STAGING,
    ),
    Case(
        control="EDG-03",
        compliant=acl,
        violating=lambda: acl(
            named(GROUPS[3], override_action={"count": {}}),
            tags={"waf-count-until": f"{day(3)} {GROUPS[3]}"},
        ),
        mentions="only counts",
        tags={"environment": "prod"},
    ),
    Case(
        control="EDG-03",
        compliant=lambda: acl(named(GROUPS[0], statement=override("SizeRestrictions_BODY"))),
        violating=lambda: acl(named(GROUPS[0], statement=override("CrossSiteScripting_BODY"))),
        mentions="lets through",
    ),
    Case(
        control="EDG-04",
        compliant=lambda: recorded("authorization", "cookie"),
        violating=lambda: recorded(logging=False),
        mentions="records no requests",
    ),
    Case(
        control="EDG-04",
        compliant=lambda: recorded("Authorization", "Cookie"),
        violating=lambda: recorded("authorization"),
        mentions="leave the header cookie",
    ),
    Case(
        control="EDG-04",
        compliant=lambda: recorded("authorization", "cookie", filter_="KEEP"),
        violating=lambda: recorded("authorization", "cookie", filter_="DROP"),
        mentions="drops records",
    ),
    Case(
        control="EDG-05",
        compliant=lambda: listener("HTTP", None, redirect=True),
        violating=lambda: listener("HTTP", None),
        mentions="answers in clear",
    ),
    *(
        Case(
            control="EDG-05",
            compliant=listener,
            violating=lambda policy=policy: listener(policy=policy),  # type: ignore[misc]
            mentions="versions or ciphers",
        )
        for policy in ("ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", None)
    ),
    *(
        Case(
            control="EDG-06",
            compliant=balancer,
            violating=lambda change=change: balancer(**change),  # type: ignore[misc]
            mentions=mentions,
            tags=STAGING,
        )
        for change, mentions in (
            ({"drop_invalid_header_fields": False}, "dropInvalidHeaderFields"),
            ({"access_logs": {"bucket": "logs", "enabled": False}}, "accessLogs"),
            ({"desync_mitigation_mode": "monitor"}, "desyncMitigationMode"),
            ({"enable_deletion_protection": False}, "enableDeletionProtection"),
        )
    ),
    Case(control="EDG-07", compliant=acl, violating=lambda: acl(without("blocked")), mentions="no set"),
    Case(
        control="EDG-07",
        compliant=lambda: acl(
            with_rule(rule("own", 15, {"ip_set_reference_statement": {"arn": "arn:aws:x"}}, **ALLOW))
        ),
        violating=lambda: acl(
            with_rule(rule("own", 5, {"ip_set_reference_statement": {"arn": "arn:aws:x"}}, **ALLOW))
        ),
        mentions="before blocked addresses",
    ),
    Case(
        control="EDG-07", compliant=acl, violating=lambda: acl(named("blocked", **COUNT)), mentions="no set"
    ),
    Case(control="EDG-07", compliant=acl, violating=lambda: acl(fills=False), mentions="no role"),
    Case(control="EDG-08", compliant=acl, violating=lambda: acl(without("size")), mentions="no bound"),
    Case(
        control="EDG-08",
        compliant=lambda: acl(
            with_rule(rule("own", 15, {"ip_set_reference_statement": {"arn": "arn:aws:x"}}, **ALLOW))
        ),
        violating=lambda: acl(
            with_rule(rule("all", 15, {"geo_match_statement": {"country_codes": ["DE"]}}, **ALLOW))
        ),
        mentions="whoever fits",
    ),
]

CASES += [
    Case(control="EDG-09", compliant=good, violating=bad, mentions="answers whoever calls")
    for good, bad in (
        (method("AWS_IAM"), method("NONE")),
        (method("NONE", "OPTIONS"), method("NONE", "POST")),
        (route("JWT"), route(None)),
        (route(None, "OPTIONS /v1"), route("NONE")),
        (function_url("AWS_IAM"), function_url("NONE")),
        (graph_api("AWS_IAM"), graph_api("API_KEY")),
    )
]
