"""EDG: what every request from the internet passes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.documents import statements
from machinery.manifests import mapping
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, Violation, per_item

catalogue = Catalogue()

LOAD_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
STAGE = "aws:apigateway/stage:Stage"
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
WEB_ACL = "aws:wafv2/webAcl:WebAcl"
ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
POLICY = "aws:iam/policy:Policy"

HTTP, HTTPS = ("HTTP", "HTTPS")

LIMIT_PER_5MIN = 2000
"""What a tag ``max-requests-per-5min`` on the web ACL may raise, so that whoever reviews it sees it."""

ALWAYS = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesSQLiRuleSet",
)
"""AWS WAF Developer Guide, "AWS Managed Rules rule groups list"."""


@catalogue.stack(
    "EDG-01",
    "Everything public that answers HTTP stands behind a web ACL",
    severity=HIGH,
    on=(*LOAD_BALANCERS, STAGE, DISTRIBUTION),
    remedy="Add an aws.wafv2.WebAclAssociation for it; a CloudFront distribution names its web ACL in web_acl_id.",
    references=References(
        fsbp=["ELB.16", "APIGateway.4"], nist=["SC-7"], pci=["6.4.1"], aws_ai=["AISF-INFRA-03"]
    ),
)
def public_entrances_have_a_web_acl(entrance: Resource, stack: Stack) -> Outcomes:
    if entrance.type in LOAD_BALANCERS and not is_public(entrance):
        return
    if entrance.type == DISTRIBUTION:
        if not entrance.has("webAclId"):
            yield entrance.violation("webAclId", "is missing, so every request reaches what is behind")
    elif not stack.referrers(entrance, "resourceArn", ASSOCIATION):
        yield entrance.violation("", "has no web ACL, so every request reaches what is behind")


def is_public(balancer: Resource) -> bool:
    """Say whether an application load balancer meets the internet."""
    application = balancer.switch("loadBalancerType", absent="application") == "application"
    return application and balancer.switch("internal", absent=False) is not True


@catalogue.resource(
    "EDG-02",
    "A web ACL blocks whoever asks too often",
    severity=HIGH,
    on=WEB_ACL,
    remedy="Add a rule with a rate_based_statement on IP, without a scope, action block, and a limit of 2000 in five minutes or less; a higher one is said in the tag max-requests-per-5min.",
    references=References(nist=["SC-5"], pci=["6.4.1"], atlas=["AML.M0004"], owasp_ml=["ML05"]),
)
def who_asks_too_often_is_blocked(acl: Resource) -> Outcomes:
    blocking = rate_limits(acl)
    if not blocking:
        yield acl.violation("rules", "have none that blocks an address for asking too often")
    elif min(map(_per_5min, blocking)) > _limit(acl):
        yield acl.violation("rules", "let one address ask for more than the limit before it is blocked")


def rate_limits(acl: Resource) -> list[Node]:
    """Return the rules of a web ACL that block whoever asks too often, whatever for."""
    rates = [rule for rule in acl.items("rules") if rule.has("statement.rateBasedStatement")]
    return [rule for rule in rates if _blocks(rule) and _is_for_everybody(rule)]


def _is_for_everybody(rule: Node) -> bool:
    rate = rule.part("statement.rateBasedStatement")
    return not rate.has("scopeDownStatement") and rate.switch("aggregateKeyType", absent="IP") == "IP"


def _per_5min(rule: Node) -> float:
    rate = rule.part("statement.rateBasedStatement")
    return rate.number("limit") * 300 / (rate.number("evaluationWindowSec", absent=300) or 300)


def _limit(acl: Resource) -> int:
    said = str(acl.switch("tags.max-requests-per-5min", absent=""))
    return int(said) if said.isdecimal() else LIMIT_PER_5MIN


def _blocks(rule: Node) -> bool:
    return "block" in mapping(rule, "action")


def _allows(rule: Node) -> bool:
    return "allow" in mapping(rule, "action")


@catalogue.stack(
    "EDG-03",
    "AWS's managed groups refuse: common attacks, known bad input, SQL injection, addresses of ill repute",
    severity=HIGH,
    on=WEB_ACL,
    remedy="Add the four groups with override_action none; to watch one first, outside of prod, say until when in the tag waf-count-until: a day, then the groups.",
    references=References(fsbp=["WAF.10", "WAF.12"], nist=["SC-7", "SI-10"], pci=["6.4.1"]),
)
def managed_groups_refuse(acl: Resource, stack: Stack) -> Outcomes:
    groups = {
        rule.word("statement.managedRuleGroupStatement.name"): rule
        for rule in acl.items("rules")
        if rule.switch("statement.managedRuleGroupStatement.vendorName", absent="") == "AWS"
    }
    watched = _watched(acl) if stack.declared.environment != "prod" else frozenset[str]()
    for group in ALWAYS:
        if group not in groups:
            yield acl.violation("rules", f"have no group {group}")
        elif group not in watched:
            yield from _refuses(groups[group], group)


def _refuses(rule: Node, group: str) -> Outcomes:
    if "none" not in mapping(rule, "overrideAction"):
        yield rule.violation("overrideAction", f"only counts what {group} would refuse")
    managed = rule.part("statement.managedRuleGroupStatement")
    for override in managed.items("ruleActionOverrides"):
        weakened = not {"block", "captcha", "challenge"} & set(mapping(override, "actionToUse"))
        # Where uploads are expected, a rule of one's own bounds bodies (EDG-08).
        if weakened and override.switch("name") != "SizeRestrictions_BODY":
            yield override.violation("actionToUse", f"lets through what a rule of {group} would refuse")


def _watched(acl: Resource) -> frozenset[str]:
    """Return the groups that only count for now, as a tag says, while its day is not over."""
    until, *groups = str(acl.switch("tags.waf-count-until", absent="")).split() or [""]
    try:
        over = date.fromisoformat(until) < datetime.now(UTC).date()
    except ValueError:
        return frozenset()
    return frozenset() if over else frozenset(groups)


@catalogue.stack(
    "EDG-04",
    "A web ACL records every request, without its credentials",
    severity=HIGH,
    on=WEB_ACL,
    remedy="Add an aws.wafv2.WebAclLoggingConfiguration that keeps every record and redacts the headers authorization and cookie.",
    references=References(
        fsbp=["WAF.11"], nist=["AU-12"], hipaa=["164.312(b)"], pci=["10.2.1"], atlas=["AML.M0024"]
    ),
)
def requests_are_recorded(acl: Resource, stack: Stack) -> Outcomes:
    logs = stack.referrers(acl, "resourceArn", LOGGING)
    if not logs:
        yield acl.violation("", "records no requests")
    yield from per_item(logs, _keeps_no_credentials)


def _keeps_no_credentials(logging: Node) -> Outcomes:
    redacted = {
        str(field.switch("singleHeader.name")).lower()
        for field in logging.items("redactedFields")
        if field.has("singleHeader")
    }
    for header in ("authorization", "cookie"):
        if header not in redacted:
            yield logging.violation("redactedFields", f"leave the header {header} in the log")
    if logging.switch("loggingFilter.defaultBehavior", absent="KEEP") != "KEEP":
        yield logging.violation("loggingFilter", "drops records")


@catalogue.resource(
    "EDG-05",
    "Listeners speak modern TLS, and plain HTTP only sends people on to it",
    severity=HIGH,
    on=LISTENERS,
    remedy="Use protocol HTTPS with an ELBSecurityPolicy-TLS13-1-2-… or -1-3-… policy (none of the Ext ones); let HTTP redirect to HTTPS.",
    references=References(fsbp=["ELB.1", "ELB.17"], nist=["SC-8"], hipaa=["164.312(e)(1)"], pci=["4.2.1"]),
)
def listeners_speak_modern_tls(listener: Resource) -> Outcomes:
    protocol = listener.switch("protocol", absent=HTTP)
    if protocol == HTTP and not _only_redirects(listener):
        yield listener.violation("protocol", "answers in clear")
    if protocol in (HTTPS, "TLS") and not _is_modern(listener.word("sslPolicy")):
        yield listener.violation("sslPolicy", "takes versions or ciphers that are broken")


def _only_redirects(listener: Resource) -> bool:
    actions = listener.items("defaultActions")
    return bool(actions) and all(
        action.switch("type") == "redirect" and action.switch("redirect.protocol") == HTTPS
        for action in actions
    )


def _is_modern(policy: str) -> bool:
    modern = policy.startswith(("ELBSecurityPolicy-TLS13-1-2", "ELBSecurityPolicy-TLS13-1-3"))
    return modern and "-Ext" not in policy


@catalogue.stack(
    "EDG-06",
    "Load balancers drop what is malformed, write down what they do, and are not deleted by a slip",
    severity=MEDIUM,
    on=LOAD_BALANCERS,
    remedy="Set drop_invalid_header_fields, access_logs (enabled) and, outside of dev, enable_deletion_protection; leave desync_mitigation_mode at defensive or make it strictest.",
    references=References(fsbp=["ELB.4", "ELB.5", "ELB.6", "ELB.12"], nist=["AU-12"], pci=["10.2.1"]),
)
def load_balancers_are_careful(balancer: Resource, stack: Stack) -> Outcomes:
    if balancer.switch("loadBalancerType", absent="application") != "application":
        return
    if balancer.switch("dropInvalidHeaderFields", absent=False) is not True:
        yield balancer.violation("dropInvalidHeaderFields", "is off, so a header may mean two things")
    if balancer.switch("accessLogs.enabled", absent=False) is not True:
        yield balancer.violation("accessLogs", "are off")
    if balancer.switch("desyncMitigationMode", absent="defensive") == "monitor":
        yield balancer.violation("desyncMitigationMode", "only watches requests that are smuggled in")
    protected = balancer.switch("enableDeletionProtection", absent=False) is True
    if not protected and stack.declared.environment != "dev":
        yield balancer.violation("enableDeletionProtection", "is off")


@catalogue.stack(
    "EDG-07",
    "A set of blocked addresses comes before everything that lets through, and a program fills it",
    severity=MEDIUM,
    on=WEB_ACL,
    remedy="Refer to an aws.wafv2.IpSet in a blocking rule of the first priorities, and let a role of a function hold wafv2:UpdateIPSet on it.",
    references=References(nist=["SI-4(7)", "SC-7"], owasp_ml=["ML05"]),
)
def offenders_are_blocked_first(acl: Resource, stack: Stack) -> Outcomes:
    rules = acl.items("rules")
    blocking = [
        rule.number("priority")
        for rule in rules
        if _blocks(rule) and any(_leaves(rule.part("statement"), "ipSetReferenceStatement"))
    ]
    allowing = [rule.number("priority") for rule in rules if _allows(rule)]
    if not blocking:
        yield acl.violation("rules", "block no set of addresses")
    elif allowing and min(allowing) < min(blocking):
        yield acl.violation("rules", "let somebody through before blocked addresses are refused")
    if not any(_fills_sets(policy) for policy in stack.of(ROLE_POLICY, POLICY)):
        yield Violation("", "has block sets that no role of the stack may fill", urn=acl.urn)


def _fills_sets(policy: Resource) -> bool:
    return any(
        statement.allows and "wafv2:updateipset" in [action.lower() for action in statement.actions]
        for statement in statements(policy, "policy")
    )


def _leaves(statement: Node, kind: str) -> Iterator[Node]:
    """Yield the statements of a kind that a statement is made of; what it excepts is none of them."""
    if statement.has(kind):
        yield statement.part(kind)
    for way in ("andStatement", "orStatement"):
        for inner in statement.items(f"{way}.statements"):
            yield from _leaves(inner, kind)


@catalogue.resource(
    "EDG-08",
    "A web ACL bounds bodies, and lets nobody past its blocks but listed addresses",
    severity=MEDIUM,
    on=WEB_ACL,
    remedy="Block bodies over a size (size_constraint_statement on body); keep rules that allow to IP sets.",
    references=References(nist=["SC-5", "SI-10"], owasp_ml=["ML01"]),
)
def bodies_are_bounded_and_nobody_passes(acl: Resource) -> Outcomes:
    rules = acl.items("rules")
    if not any(_blocks(rule) and _bounds_bodies(rule) for rule in rules):
        yield acl.violation("rules", "set no bound on bodies")
    last_block = max((rule.number("priority") for rule in rules if not _allows(rule)), default=-1)
    for rule in rules:
        listed = any(_leaves(rule.part("statement"), "ipSetReferenceStatement"))
        if _allows(rule) and not listed and rule.number("priority") < last_block:
            yield rule.violation("action", "lets through whoever fits, ahead of rules that refuse")


def _bounds_bodies(rule: Node) -> bool:
    return any(
        size.has("fieldToMatch.body") and size.switch("comparisonOperator") in ("GT", "GE")
        for size in _leaves(rule.part("statement"), "sizeConstraintStatement")
    )


_METHOD = "aws:apigateway/method:Method"
_ROUTE = "aws:apigatewayv2/route:Route"
_FUNCTION_URL = "aws:lambda/functionUrl:FunctionUrl"
_GRAPH_API = "aws:appsync/graphQLApi:GraphQLApi"
_ASKS_NOBODY: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    _METHOD: ("authorization", "", ("NONE", "")),
    _ROUTE: ("authorizationType", "NONE", ("NONE",)),
    _FUNCTION_URL: ("authorizationType", "", ("NONE", "")),
    # A key of AppSync is told to every client, and says nothing of who that is.
    _GRAPH_API: ("authenticationType", "", ("API_KEY", "")),
}


@catalogue.resource(
    "EDG-09",
    "Every route of an API asks who calls",
    severity=HIGH,
    on=tuple(_ASKS_NOBODY),
    remedy="Set authorization_type to AWS_IAM, JWT or CUSTOM (of a REST method: authorization; of a function's address: AWS_IAM).",
    references=References(
        fsbp=["APIGateway.8"],
        nist=["AC-3", "IA-9"],
        hipaa=["164.312(d)"],
        pci=["7.2.1"],
        aws_ai=["AISF-IAM-08"],
        atlas=["AML.M0019"],
    ),
)
def routes_ask_who_calls(route: Resource) -> Outcomes:
    key, absent, nobody = _ASKS_NOBODY[route.type]
    # A browser asks first whether it may, without credentials (Fetch standard, "CORS-preflight request").
    if str(route.switch("httpMethod", absent="")) == "OPTIONS":
        return
    if str(route.switch("routeKey", absent="")).startswith(("OPTIONS ", "$disconnect")):
        return
    if route.switch(key, absent=absent) in nobody:
        yield route.violation(key, "answers whoever calls")
