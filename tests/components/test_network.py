"""What an auditor asks of the network, and what must not be there."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.data_api import DataApiBoundary
from components.network import Network
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, named, one, statement

ZONES = (f"{HOME}a", f"{HOME}b", f"{HOME}c")
WORLD = "0.0.0.0/0"


def network(unknowns: bool = False, **changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "cidr_block": "10.0.0.0/16",
        "zones": ZONES,
        "nat_gateways": "per-zone",
        "flow_log_retention_days": 365,
        "logs_key_arn": key("logs"),
        "permissions_boundary_arn": BOUNDARY,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: Network("net", **arguments, opts=opts), unknowns=unknowns)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return network()


def tables_of(graph: Graph, tier: str) -> set[str]:
    return {t.id for t in graph.of("aws:ec2/routeTable:RouteTable") if t.inputs["tags"]["tier"] == tier}


def test_every_tier_has_a_subnet_in_every_zone(graph: Graph) -> None:
    subnets = graph.of("aws:ec2/subnet:Subnet")
    found = {(s.inputs["tags"]["tier"], s.inputs["availabilityZone"]) for s in subnets}
    assert found == {(tier, zone) for tier in ("public", "private", "isolated") for zone in ZONES}


def test_the_isolated_tier_has_no_route_at_all(graph: Graph) -> None:
    routed = {route.inputs["routeTableId"] for route in graph.of("aws:ec2/route:Route")}
    assert tables_of(graph, "isolated")
    assert not tables_of(graph, "isolated") & routed


def test_only_the_public_tier_meets_the_internet_gateway(graph: Graph) -> None:
    routed = {r.inputs["routeTableId"] for r in graph.of("aws:ec2/route:Route") if "gatewayId" in r.inputs}
    assert routed == tables_of(graph, "public")


def test_each_zone_goes_out_through_its_own_nat(graph: Graph) -> None:
    used = [r.inputs["natGatewayId"] for r in graph.of("aws:ec2/route:Route") if "natGatewayId" in r.inputs]
    assert len(set(used)) == len(used) == 3


def test_one_nat_serves_all_zones_when_asked() -> None:
    graph = network(nat_gateways="one")
    used = [r.inputs["natGatewayId"] for r in graph.of("aws:ec2/route:Route") if "natGatewayId" in r.inputs]
    assert len(graph.of("aws:ec2/natGateway:NatGateway")) == 1
    assert len(used) == 3
    assert len(set(used)) == 1


def test_the_default_group_admits_nothing(graph: Graph) -> None:
    group = one(graph, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert group.inputs["ingress"] == group.inputs["egress"] == []


def test_no_security_group_knows_the_world(graph: Graph) -> None:
    for kind in ("Ingress", "Egress"):
        for rule in graph.of(f"aws:vpc/securityGroup{kind}Rule:SecurityGroup{kind}Rule"):
            assert rule.inputs.get("cidrIpv4") != WORLD, rule.name


def test_all_traffic_is_logged_under_our_key(graph: Graph) -> None:
    flow = one(graph, "aws:ec2/flowLog:FlowLog")
    group = named(graph, "aws:cloudwatch/logGroup:LogGroup", "flow-log")
    assert flow.inputs["trafficType"] == "ALL"
    assert flow.inputs["logDestination"] == group.outputs["arn"]
    assert group.inputs["kmsKeyId"] == key("logs")
    assert group.inputs["retentionInDays"] == 365


def test_endpoints_serve_this_account_only(graph: Graph) -> None:
    for endpoint in graph.of("aws:ec2/vpcEndpoint:VpcEndpoint"):
        sid = "OwnPrincipalsOwnBuckets" if endpoint.name.endswith("-s3") else "OwnPrincipalsOwnResources"
        conditions = statement(endpoint, sid)["Condition"]
        assert conditions["StringEquals"]["aws:PrincipalAccount"] == ACCOUNT


def test_the_way_to_s3_leads_to_our_own_buckets(graph: Graph) -> None:
    endpoint = named(graph, "aws:ec2/vpcEndpoint:VpcEndpoint", "-s3")
    own = statement(endpoint, "OwnPrincipalsOwnBuckets")["Condition"]["StringEquals"]
    assert own["aws:ResourceAccount"] == ACCOUNT
    foreign = statement(endpoint, "ReadAmazonsImagesAndPackages")
    assert foreign["Action"] == ["s3:GetObject"]
    assert all(HOME in arn for arn in foreign["Resource"])


def test_isolated_subnets_reach_s3_without_the_internet(graph: Graph) -> None:
    endpoint = named(graph, "aws:ec2/vpcEndpoint:VpcEndpoint", "-s3")
    assert tables_of(graph, "isolated") <= set(endpoint.inputs["routeTableIds"])


def test_ssh_passes_the_public_acl_from_approved_addresses_only() -> None:
    graph = network(ssh_cidrs=["203.0.113.8/32", "2001:db8::/56"])
    acl = named(graph, "aws:ec2/networkAcl:NetworkAcl", "public-acl")
    ssh = [rule["cidrBlock"] for rule in acl.inputs["ingress"] if rule["fromPort"] <= 22 <= rule["toPort"]]
    assert ssh == ["203.0.113.8/32"]


def test_no_acl_lets_remote_desktop_in(graph: Graph) -> None:
    for acl in graph.of("aws:ec2/networkAcl:NetworkAcl"):
        hits = [
            rule["action"]
            for rule in sorted(acl.inputs["ingress"], key=lambda rule: rule["ruleNo"])
            if rule["cidrBlock"] == WORLD and rule["fromPort"] <= 3389 <= rule["toPort"]
        ]
        assert hits[:1] in ([], ["deny"]), acl.name


def test_with_an_allow_list_nothing_goes_out_but_through_the_firewall() -> None:
    graph = network(allowed_egress_domains=["pypi.org"])
    private = tables_of(graph, "private")
    routes = [r for r in graph.of("aws:ec2/route:Route") if r.inputs["routeTableId"] in private]
    assert len(routes) == 3
    assert all(r.inputs["vpcEndpointId"].startswith("vpce-") for r in routes)
    assert not any("natGatewayId" in r.inputs for r in routes)
    rules = one(graph, "aws:networkfirewall/ruleGroup:RuleGroup").inputs["ruleGroup"]["rulesSource"]
    assert rules["rulesSourceList"]["generatedRulesType"] == "ALLOWLIST"
    policy = one(graph, "aws:networkfirewall/firewallPolicy:FirewallPolicy").inputs["firewallPolicy"]
    assert "aws:drop_established" in policy["statefulDefaultActions"]


def test_answers_come_back_through_the_firewall() -> None:
    graph = network(allowed_egress_domains=["pypi.org"])
    public = tables_of(graph, "public")
    back = [
        r
        for r in graph.of("aws:ec2/route:Route")
        if r.inputs["routeTableId"] in public and "vpcEndpointId" in r.inputs
    ]
    assert len(back) == 9


def test_the_data_api_reaches_aws_and_is_reached_by_nobody() -> None:
    graph = built(
        lambda opts, _: DataApiBoundary("api", vpc_id="vpc-1", endpoint_security_group_id="sg-1", opts=opts)
    )
    rule = one(graph, "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-1"
    assert graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") == []
