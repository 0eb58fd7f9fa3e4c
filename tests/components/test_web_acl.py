"""The web ACL: what it refuses, whom it can never refuse, and what it writes down."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from blueprint.graph import Graph
from components.waf_rules import ALWAYS, BOT_CONTROL, Limits
from components.web_acl import WebAcl
from tests.components.support import ACCOUNT, HOME, built, key, named, one, statement
from tests.components.waf import ACL, IP_SET, Request, decision

LIMITS = Limits(max_requests_per_5min=1000, path_max_requests_per_5min={"/v1/predict": 300})
OFFICE, MONITOR, STRANGER = "198.51.100.9", "192.0.2.17", "203.0.113.7"
LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"


def web_acl(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "resource_arn": f"arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:loadbalancer/app/edge/1",
        "limits": LIMITS,
        "own_cidrs": ["198.51.100.0/24", "2001:db8:5::/48"],
        "monitor_cidrs": ["192.0.2.16/28"],
        "logs_key_arn": key("logs"),
        "log_retention_days": 365,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: WebAcl("edge", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return web_acl()


def test_a_stranger_with_an_ordinary_request_gets_through(graph: Graph) -> None:
    assert decision(graph, Request(body_bytes=8192, asked_before=299)) == ("default", "allow", None)


@pytest.mark.parametrize("address", [STRANGER, "2001:db8:9::1"])
def test_whoever_is_in_a_block_set_is_refused_whatever_they_ask(graph: Graph, address: str) -> None:
    for path in ("/", "/v1/predict", "/healthz"):
        _, action, _ = decision(graph, Request(address=address, path=path), blocked=[f"{address}"])
        assert action == "block"


@pytest.mark.parametrize("address", [OFFICE, MONITOR, "2001:db8:5::1"])
def test_nobody_can_have_our_own_addresses_blocked(graph: Graph, address: str) -> None:
    # Even if an attacker brings the blocker to it, by forged traffic from our network say.
    everybody = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]
    assert decision(graph, Request(address=STRANGER), blocked=everybody)[1] == "block"
    assert decision(graph, Request(address=address), blocked=everybody)[1] == "allow"


def test_without_ranges_of_ours_the_block_sets_reach_everybody() -> None:
    graph = web_acl(own_cidrs=[], monitor_cidrs=[])
    assert len(graph.of(IP_SET)) == 2
    assert decision(graph, Request(address=OFFICE), blocked=[OFFICE])[1] == "block"


def test_our_own_office_is_looked_at_like_anybody_else(graph: Graph) -> None:
    # An infected laptop attacks from inside.
    assert decision(graph, Request(address=OFFICE, attack="AWSManagedRulesSQLiRuleSet"))[1] == "block"
    assert decision(graph, Request(address=OFFICE, asked_before=5000))[1] == "block"


def test_monitors_pass_and_only_they(graph: Graph) -> None:
    often = Request(address=MONITOR, asked_before=100_000)
    assert decision(graph, often) == ("monitors-1", "allow", None)
    assert decision(graph, Request(address="192.0.2.32", asked_before=100_000))[1] == "block"


def test_no_rule_allows_before_the_block_sets_have_spoken(graph: Graph) -> None:
    rules = sorted(one(graph, ACL).inputs["rules"], key=lambda rule: int(rule["priority"]))
    actions = [next(iter(rule.get("action", {"": None}))) for rule in rules]
    assert actions.index("allow") > max(
        index for index, rule in enumerate(rules) if rule["name"].startswith("blocked-")
    )
    assert actions.count("allow") == 1


def test_a_flood_from_one_address_is_refused_with_the_status_that_says_so(graph: Graph) -> None:
    assert decision(graph, Request(path="/", asked_before=999))[1] == "allow"
    assert decision(graph, Request(path="/", asked_before=1000)) == ("rate", "block", 429)


def test_a_model_is_asked_more_slowly_than_the_rest(graph: Graph) -> None:
    assert decision(graph, Request(asked_before=300)) == ("rate-path-1", "block", 429)
    assert decision(graph, Request(path="/v1/models", asked_before=300))[1] == "allow"


@pytest.mark.parametrize("path", ["/v1/%70redict", "/v1//predict", "/v1/x/../predict", "/v1/predict/again"])
def test_a_path_written_otherwise_does_not_slip_past_its_limit(graph: Graph, path: str) -> None:
    assert decision(graph, Request(path=path, asked_before=300))[1] == "block"


def test_a_rate_is_counted_by_the_address_of_the_connection(graph: Graph) -> None:
    # A header would be the client's own word, and a new one each time.
    rates = [r["statement"].get("rateBasedStatement") for r in one(graph, ACL).inputs["rules"]]
    for rate in filter(None, rates):
        assert rate["aggregateKeyType"] == "IP"
        assert "forwardedIpConfig" not in rate
        assert rate["evaluationWindowSec"] == 300


def test_a_body_that_cannot_be_inspected_whole_is_refused(graph: Graph) -> None:
    # Padding in front of an attack would push it out of sight.
    assert decision(graph, Request(body_bytes=8193)) == ("body-size", "block", 413)
    assert (
        decision(
            web_acl(limits=Limits(max_requests_per_5min=10, max_body_bytes=2048)), Request(body_bytes=2049)
        )[2]
        == 413
    )


def test_large_bodies_go_where_they_are_looked_at_and_nowhere_else() -> None:
    graph = web_acl(limits=Limits(max_requests_per_5min=1000, upload_paths=["/v1/images"]))
    assert decision(graph, Request(path="/v1/images/x", body_bytes=1 << 20))[1] == "allow"
    for path in ("/v1/predict", "/v1/images/../predict", "/v1/images%2F..%2Fpredict"):
        assert decision(graph, Request(path=path, body_bytes=1 << 20))[1] == "block"


def test_the_common_group_lets_large_bodies_to_the_rule_on_bodies_only_where_there_are_uploads() -> None:
    def overrides(graph: Graph) -> list[Any]:
        (rule,) = [r for r in one(graph, ACL).inputs["rules"] if r["name"] == "AWSManagedRulesCommonRuleSet"]
        found: list[Any] = rule["statement"]["managedRuleGroupStatement"].get("ruleActionOverrides", [])
        return found

    assert overrides(web_acl()) == []
    uploads = web_acl(limits=Limits(max_requests_per_5min=1000, upload_paths=["/v1/images"]))
    assert [each["name"] for each in overrides(uploads)] == ["SizeRestrictions_BODY"]


@pytest.mark.parametrize("group", ALWAYS)
def test_what_a_managed_group_knows_is_refused(graph: Graph, group: str) -> None:
    assert decision(graph, Request(attack=group)) == (group, "block", None)


def test_a_group_that_is_tried_out_counts_until_its_day_and_a_tag_says_so() -> None:
    counted: Any = {
        "AWSManagedRulesSQLiRuleSet": date(2031, 3, 1),
        "AWSManagedRulesAnonymousIpList": date(2031, 2, 1),
    }
    graph = web_acl(counted_until=counted)
    assert decision(graph, Request(attack="AWSManagedRulesSQLiRuleSet"))[1] == "allow"
    assert decision(graph, Request(attack="AWSManagedRulesCommonRuleSet"))[1] == "block"
    assert one(graph, ACL).inputs["tags"] == {
        "waf-count-until": "2031-02-01 AWSManagedRulesAnonymousIpList AWSManagedRulesSQLiRuleSet"
    }


def test_a_limit_above_the_usual_is_told_in_a_tag(graph: Graph) -> None:
    assert not one(graph, ACL).inputs.get("tags")
    assert not one(web_acl(limits=Limits(max_requests_per_5min=2000)), ACL).inputs.get("tags")
    assert one(web_acl(limits=Limits(max_requests_per_5min=2001)), ACL).inputs["tags"] == {
        "max-requests-per-5min": "2001"
    }


def test_bot_control_costs_money_and_comes_only_when_asked_for(graph: Graph) -> None:
    names = [rule["name"] for rule in one(graph, ACL).inputs["rules"]]
    assert BOT_CONTROL not in names
    asked = web_acl(bot_control="targeted")
    (rule,) = [rule for rule in one(asked, ACL).inputs["rules"] if rule["name"] == BOT_CONTROL]
    config = rule["statement"]["managedRuleGroupStatement"]["managedRuleGroupConfigs"][0]
    assert config == {"awsManagedRulesBotControlRuleSet": {"inspectionLevel": "TARGETED"}}
    assert decision(asked, Request(attack=BOT_CONTROL))[1] == "block"


def test_priorities_and_names_are_unique(graph: Graph) -> None:
    rules = one(graph, ACL).inputs["rules"]
    assert len({rule["priority"] for rule in rules}) == len({rule["name"] for rule in rules}) == len(rules)


def test_the_capacity_stays_within_the_basic_price() -> None:
    # AWS WAF Developer Guide, "Rule statements list" and "AWS Managed Rules rule groups list".
    paths = {f"/v1/path-{n}": 10 for n in range(5)}
    limits = Limits(max_requests_per_5min=1000, path_max_requests_per_5min=paths, upload_paths=list(paths))
    rules = one(web_acl(limits=limits, bot_control="common"), ACL).inputs["rules"]
    assert sum(_capacity(rule["statement"]) for rule in rules) <= 1500


_GROUPS = {
    "AWSManagedRulesAmazonIpReputationList": 25,
    "AWSManagedRulesAnonymousIpList": 50,
    "AWSManagedRulesKnownBadInputsRuleSet": 200,
    "AWSManagedRulesCommonRuleSet": 700,
    "AWSManagedRulesSQLiRuleSet": 200,
    BOT_CONTROL: 50,
}


def _capacity(statement_: dict[str, Any]) -> int:
    ((kind, of),) = statement_.items()
    match kind:
        case "andStatement":
            return sum(_capacity(each) for each in of["statements"])
        case "notStatement":
            return _capacity(of["statement"])
        case "rateBasedStatement":
            return 2 + (_capacity(of["scopeDownStatement"]) if "scopeDownStatement" in of else 0)
        case "byteMatchStatement":
            return 2 + 10 * len(of["textTransformations"])
        case "managedRuleGroupStatement":
            return _GROUPS[of["name"]]
        case _:
            return 1


# The sets


def test_an_update_of_the_stack_does_not_let_the_blocked_go(graph: Graph) -> None:
    for made in graph.of(IP_SET):
        assert ("addresses" in made.ignore_changes) is ("-blocked-" in made.name), made.name


def test_ranges_of_ours_are_merged(graph: Graph) -> None:
    merged = web_acl(own_cidrs=["198.51.100.0/25", "198.51.100.128/25"])
    assert named(merged, IP_SET, "own-ipv4").inputs["addresses"] == ["198.51.100.0/24"]


@pytest.mark.parametrize("argument", ["own_cidrs", "monitor_cidrs"])
@pytest.mark.parametrize(
    "cidr", ["0.0.0.0/0", "::/0", "10.0.0.0/8", "2001::/16", "198.51.100.9/24", "office"]
)
def test_a_range_that_is_not_one_organisations_is_refused(argument: str, cidr: str) -> None:
    with pytest.raises(ValueError, match=rf"{argument}\[0\]"):
        web_acl(**{argument: [cidr]})


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(max_requests_per_5min=9), "max_requests_per_5min is 9"),
        (Limits(max_requests_per_5min=2_000_000_001), "2000000000 at most"),
        (Limits(max_requests_per_5min=100, path_max_requests_per_5min={"/a": 0}), "path_max"),
        (Limits(max_requests_per_5min=100, path_max_requests_per_5min={"/": 50}), "how a path begins"),
        (Limits(max_requests_per_5min=100, path_max_requests_per_5min={"a": 50}), "how a path begins"),
        (Limits(max_requests_per_5min=100, upload_paths=["/"]), "upload_paths"),
        (Limits(max_requests_per_5min=100, upload_paths=[f"/{n}" for n in range(6)]), "name 5 at most"),
        (Limits(max_requests_per_5min=100, max_body_bytes=8193), "max_body_bytes is 8193"),
        (Limits(max_requests_per_5min=100, max_body_bytes=0), "max_body_bytes is 0"),
    ],
)
def test_a_limit_that_would_limit_nothing_is_refused(limits: Limits, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        web_acl(limits=limits)


# The log


def test_every_request_is_written_down_encrypted_and_without_credentials(graph: Graph) -> None:
    group = one(graph, "aws:cloudwatch/logGroup:LogGroup")
    assert group.inputs["name"] == "aws-waf-logs-edge"
    assert (group.inputs["kmsKeyId"], group.inputs["retentionInDays"]) == (key("logs"), 365)
    logging = one(graph, LOGGING).inputs
    assert logging["logDestinationConfigs"] == [group.outputs["arn"]]
    assert "loggingFilter" not in logging
    redacted = {each["singleHeader"]["name"] for each in logging["redactedFields"]}
    assert redacted == {"authorization", "cookie"}


def test_samples_do_not_show_what_the_log_leaves_out(graph: Graph) -> None:
    acl = one(graph, ACL).inputs
    for shown in (acl, *acl["rules"]):
        assert shown["visibilityConfig"]["sampledRequestsEnabled"] is False
        assert shown["visibilityConfig"]["cloudwatchMetricsEnabled"] is True


def test_only_log_delivery_of_this_account_writes_and_nothing_stays_behind(graph: Graph) -> None:
    policy = one(graph, "aws:cloudwatch/logResourcePolicy:LogResourcePolicy")
    delivery = statement(policy, "DeliverLogsOfThisAccount", "policyDocument")
    assert delivery["Principal"] == {"Service": ["delivery.logs.amazonaws.com"]}
    assert delivery["Resource"] == [f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:aws-waf-logs-edge:*"]
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    # WAF writes a policy of its own where it finds none, so it must find one.
    assert policy.urn in one(graph, LOGGING).dependencies


def test_the_acl_is_put_onto_the_load_balancer(graph: Graph) -> None:
    association = one(graph, "aws:wafv2/webAclAssociation:WebAclAssociation").inputs
    assert association["resourceArn"].endswith("loadbalancer/app/edge/1")
    assert association["webAclArn"] == one(graph, ACL).outputs["arn"]
