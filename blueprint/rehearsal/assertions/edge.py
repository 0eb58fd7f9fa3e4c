"""The edge as it is: what the internet meets, what it must pass, and what is written down of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

edge = Assertions("edge")

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
TARGETS = "aws:lb/targetGroup:TargetGroup"
ACL = "aws:wafv2/webAcl:WebAcl"
IP_SET = "aws:wafv2/ipSet:IpSet"

MANAGED = {
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
}


def _public(account: Account) -> list[Any]:
    return [
        each
        for each in account.every("elbv2", "describe_load_balancers", "LoadBalancers")
        # What is not called internal is public, and the emulator does not always say so.
        if each.get("Scheme") != "internal"
    ]


def _attributes(account: Account, balancer: Any) -> dict[str, str]:
    told = account.client("elbv2").describe_load_balancer_attributes(
        LoadBalancerArn=balancer["LoadBalancerArn"]
    )
    return {each["Key"]: each["Value"] for each in told["Attributes"]}


def _listeners(account: Account) -> Iterator[tuple[str, Any]]:
    for balancer in _public(account):
        told = account.client("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])
        for listener in told["Listeners"]:
            yield f"{balancer['LoadBalancerName']}:{listener['Port']}", listener


def _acls(account: Account) -> Iterator[Any]:
    for acl in account.of(ACL):
        yield account.client("wafv2").get_web_acl(Name=acl.attributes["name"], Scope="REGIONAL", Id=acl.id)[
            "WebACL"
        ]


def _ordered(acl: Any) -> list[Any]:
    return sorted(acl["Rules"], key=lambda rule: int(rule["Priority"]))


def _block_sets(account: Account) -> set[str]:
    return {each.attributes["arn"] for each in account.of(IP_SET) if "-blocked-" in each.name}


def _names_of_sets(statement: Any) -> Iterator[str]:
    """Yield the ARN of every set that a statement asks about, but not those it makes an exception of."""
    if "IPSetReferenceStatement" in statement:
        yield statement["IPSetReferenceStatement"]["ARN"]
    for inner in statement.get("AndStatement", {}).get("Statements", []):
        yield from _names_of_sets(inner)


@edge(
    "The internet meets load balancers over TLS 1.2 or 1.3 only, and is sent on to it from plain HTTP",
    about=LISTENER,
)
def listeners_speak_tls(account: Account) -> Iterator[Seen]:
    for name, listener in _listeners(account):
        if listener["Protocol"] == "HTTPS":
            yield name, listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
        else:
            (action,) = listener["DefaultActions"]
            yield name, action.get("RedirectConfig", {}).get("Protocol") == "HTTPS"


@edge("Doubtful requests and headers go no further than the load balancer", about=BALANCER)
def doubtful_requests_end(account: Account) -> Iterator[Seen]:
    for balancer in _public(account):
        found = _attributes(account, balancer)
        yield (
            balancer["LoadBalancerName"],
            found["routing.http.desync_mitigation_mode"] == "strictest"
            and found["routing.http.drop_invalid_header_fields.enabled"] == "true",
        )


@edge("A load balancer writes down requests and handshakes, into a bucket of ours", about=BALANCER)
def requests_are_written_down(account: Account) -> Iterator[Seen]:
    buckets = {each["Name"] for each in account.client("s3").list_buckets()["Buckets"]}
    for balancer in _public(account):
        found = _attributes(account, balancer)
        for kind in ("access_logs", "connection_logs"):
            yield (
                f"{balancer['LoadBalancerName']} {kind}",
                found[f"{kind}.s3.enabled"] == "true" and found[f"{kind}.s3.bucket"] in buckets,
            )


@edge("A load balancer cannot be deleted by one careless call", about=BALANCER)
def deletion_is_guarded(account: Account) -> Iterator[Seen]:
    for balancer in _public(account):
        yield (
            balancer["LoadBalancerName"],
            _attributes(account, balancer)["deletion_protection.enabled"] == "true",
        )


@edge("A load balancer talks to one port of private addresses, and to nothing else", about=BALANCER)
def balancers_talk_inside(account: Account) -> Iterator[Seen]:
    for balancer in _public(account):
        groups = account.every(
            "ec2", "describe_security_groups", "SecurityGroups", GroupIds=balancer["SecurityGroups"]
        )
        for group in groups:
            for rule in group["IpPermissionsEgress"]:
                ranges = [each["CidrIp"] for each in rule["IpRanges"]]
                one_port = rule.get("FromPort") is not None and rule["FromPort"] == rule["ToPort"]
                inside = all(cidr.startswith(("10.", "172.", "192.168.")) for cidr in ranges)
                yield group["GroupName"], one_port and inside and not rule["Ipv6Ranges"]


@edge("Targets are reached over TLS, and asked whether they are well", about=TARGETS)
def targets_speak_tls(account: Account) -> Iterator[Seen]:
    for group in account.every("elbv2", "describe_target_groups", "TargetGroups"):
        yield (
            group["TargetGroupName"],
            group["Protocol"] == group["HealthCheckProtocol"] == "HTTPS" and group["TargetType"] == "ip",
        )


@edge("Every public load balancer has a web ACL", about=BALANCER)
def balancers_have_a_web_acl(account: Account) -> Iterator[Seen]:
    for balancer in _public(account):
        found = account.client("wafv2").get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])
        yield balancer["LoadBalancerName"], bool(found.get("WebACL"))


@edge("A web ACL refuses who is in a block set before any rule allows anybody", about=ACL)
def blocks_come_first(account: Account) -> Iterator[Seen]:
    for acl in _acls(account):
        waiting = _block_sets(account)
        for rule in _ordered(acl):
            if "Allow" in rule.get("Action", {}):
                break
            if "Block" in rule.get("Action", {}):
                waiting -= set(_names_of_sets(rule["Statement"]))
        yield acl["Name"], not waiting


@edge("A web ACL refuses who asks too often, over all paths", about=ACL)
def floods_are_refused(account: Account) -> Iterator[Seen]:
    for acl in _acls(account):
        rates = [
            rule["Statement"]["RateBasedStatement"]
            for rule in acl["Rules"]
            if "RateBasedStatement" in rule["Statement"] and "Block" in rule["Action"]
        ]
        whole = [rate for rate in rates if "ScopeDownStatement" not in rate]
        yield (
            acl["Name"],
            any(rate["AggregateKeyType"] == "IP" and int(rate["Limit"]) <= 20_000 for rate in whole),
        )


@edge("A web ACL refuses what AWS's managed groups know", about=ACL)
def managed_groups_refuse(account: Account) -> Iterator[Seen]:
    for acl in _acls(account):
        refusing = {
            rule["Statement"]["ManagedRuleGroupStatement"]["Name"]
            for rule in acl["Rules"]
            if "ManagedRuleGroupStatement" in rule["Statement"] and "None" in rule["OverrideAction"]
        }
        yield acl["Name"], refusing >= MANAGED


@edge("A web ACL refuses bodies that it cannot see whole", about=ACL)
def large_bodies_are_refused(account: Account) -> Iterator[Seen]:
    for acl in _acls(account):
        sizes = [
            rule["Statement"]["SizeConstraintStatement"]
            for rule in acl["Rules"]
            if "SizeConstraintStatement" in rule["Statement"] and "Block" in rule["Action"]
        ]
        yield (
            acl["Name"],
            any(
                size["ComparisonOperator"] == "GT"
                and int(size["Size"]) <= 8192
                and size["FieldToMatch"]["Body"]["OversizeHandling"] == "MATCH"
                for size in sizes
            ),
        )


@edge("Every request is written down, without what could be signed in with", about=ACL)
def waf_logs_are_redacted(account: Account) -> Iterator[Seen]:
    for acl in _acls(account):
        told = account.client("wafv2").get_logging_configuration(ResourceArn=acl["ARN"])
        logging = told["LoggingConfiguration"]
        hidden = {
            each["SingleHeader"]["Name"] for each in logging["RedactedFields"] if "SingleHeader" in each
        }
        to_us = all(":log-group:aws-waf-logs-" in arn for arn in logging["LogDestinationConfigs"])
        yield acl["Name"], to_us and hidden >= {"authorization", "cookie"}
