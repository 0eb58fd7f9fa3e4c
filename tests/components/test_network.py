"""What an auditor asks of the network, and what must not be there."""

from __future__ import annotations

import ipaddress
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.graph import UNKNOWN, Graph, Resource
from components.addressing import TierPlan
from components.egress import _endpoint_in
from components.network import ExistingNetwork, Network, NetworkHandles
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, named, one, statement, statements

VPC = "10.0.0.0/16"
ZONES = (f"{HOME}a", f"{HOME}b", f"{HOME}c")
PLAN = TierPlan.split(VPC, zones=3)
WORLD = "0.0.0.0/0"

ACL = "aws:ec2/networkAcl:NetworkAcl"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
GROUP = "aws:cloudwatch/logGroup:LogGroup"
ROUTE = "aws:ec2/route:Route"
SUBNET = "aws:ec2/subnet:Subnet"
TABLE = "aws:ec2/routeTable:RouteTable"


def network(unknowns: bool = False, **changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "cidr_block": VPC,
        "zones": ZONES,
        "nat_gateways": "per-zone",
        "ssh_cidrs": ["203.0.113.8/32", "2001:db8::/56"],
        "flow_log_retention_days": 2192,
        "logs_key_arn": key("logs"),
        "permissions_boundary_arn": BOUNDARY,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }

    def build(opts: pulumi.ResourceOptions, _: aws.Provider) -> NetworkHandles:
        return Network("net", **arguments, opts=opts)

    return built(build, unknowns=unknowns)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return network()


@pytest.fixture(scope="module")
def inspected() -> Graph:
    return network(allowed_egress_domains=["pypi.org", ".example.org"])


def tables(graph: Graph, kind: str) -> dict[str, str]:
    """Zone letter to route table, of a tier or of a helper (``nat``, ``firewall``)."""
    return {t.name[-1]: t.id for t in graph.of(TABLE) if t.name.startswith(f"net-{kind}-")}


def routes(graph: Graph, kind: str) -> list[Resource]:
    ids = set(tables(graph, kind).values())
    return [route for route in graph.of(ROUTE) if route.inputs["routeTableId"] in ids]


def admits(acl: Resource, *, source: str, port: int, direction: str = "ingress") -> bool:
    """Walk the rules as AWS does: in order, the first that matches decides, and none is a no."""
    for rule in sorted(acl.inputs[direction], key=lambda rule: rule["ruleNo"]):
        tcp = rule["protocol"] == "-1" or (
            rule["protocol"] == "tcp" and rule["fromPort"] <= port <= rule["toPort"]
        )
        if tcp and ipaddress.ip_address(source) in ipaddress.ip_network(rule["cidrBlock"]):
            return bool(rule["action"] == "allow")
    return False


def host(cidr_block: str) -> str:
    return str(ipaddress.ip_network(cidr_block)[10])


# Tiers and routes


def test_every_tier_has_a_subnet_in_every_zone(graph: Graph) -> None:
    found = {
        (s.name.split("-")[1], s.inputs["availabilityZone"], s.inputs["tags"]["tier"])
        for s in graph.of(SUBNET)
    }
    tags = {"public": "public", "private": "private", "isolated": "isolated", "nat": "public"}
    assert found == {(kind, zone, tag) for kind, tag in tags.items() for zone in ZONES}


def test_no_subnet_hands_out_public_addresses(graph: Graph) -> None:
    assert all(subnet.inputs["mapPublicIpOnLaunch"] is False for subnet in graph.of(SUBNET))


def test_every_subnet_has_a_route_table_of_its_own(graph: Graph) -> None:
    associations = graph.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
    assert {a.inputs["subnetId"] for a in associations} == {s.id for s in graph.of(SUBNET)}
    assert len({a.inputs["routeTableId"] for a in associations}) == len(associations)


def test_the_isolated_tier_has_no_route_at_all(graph: Graph, inspected: Graph) -> None:
    assert len(tables(graph, "isolated")) == 3
    assert routes(graph, "isolated") == routes(inspected, "isolated") == []


def test_no_private_route_leads_straight_to_the_internet(graph: Graph) -> None:
    assert len(routes(graph, "private")) == 3
    assert not any("gatewayId" in route.inputs for route in routes(graph, "private"))


def test_each_zone_goes_out_through_its_own_nat(graph: Graph) -> None:
    zone_of = {nat.id: nat.name[-1] for nat in graph.of("aws:ec2/natGateway:NatGateway")}
    used = {route.name[-1]: zone_of[route.inputs["natGatewayId"]] for route in routes(graph, "private")}
    assert used == {"a": "a", "b": "b", "c": "c"}


def test_one_nat_serves_all_zones_when_asked() -> None:
    graph = network(nat_gateways="one")
    nat = one(graph, "aws:ec2/natGateway:NatGateway")
    assert [route.inputs["natGatewayId"] for route in routes(graph, "private")] == [nat.id] * 3
    assert len(graph.of("aws:ec2/eip:Eip")) == 1


def test_what_aws_puts_into_a_vpc_is_taken_over_empty(graph: Graph) -> None:
    for token in ("defaultSecurityGroup:DefaultSecurityGroup", "defaultNetworkAcl:DefaultNetworkAcl"):
        default = one(graph, f"aws:ec2/{token}")
        assert default.inputs["ingress"] == default.inputs["egress"] == []
    assert one(graph, "aws:ec2/defaultRouteTable:DefaultRouteTable").inputs["routes"] == []


def test_a_subnet_is_handed_out_only_with_its_way_out() -> None:
    """So a stack comes up and down without a machine that has no route, or a gateway held back by one."""

    def program(opts: pulumi.ResourceOptions, _: aws.Provider) -> None:
        made = Network(
            "net",
            cidr_block=VPC,
            zones=ZONES,
            nat_gateways="per-zone",
            ssh_cidrs=[],
            flow_log_retention_days=2192,
            logs_key_arn=key("logs"),
            permissions_boundary_arn=BOUNDARY,
            account_id=ACCOUNT,
            region=HOME,
            opts=opts,
        )
        for tier, ids in (("public", made.public_subnet_ids), ("private", made.private_subnet_ids)):
            aws.ec2.NetworkInterface(tier, subnet_id=ids[0], opts=opts)

    graph = built(program)
    for tier in ("public", "private"):
        waits_for = named(graph, "aws:ec2/networkInterface:NetworkInterface", tier).property_dependencies[
            "subnetId"
        ]
        assert named(graph, ROUTE, f"{tier}-a").urn in waits_for
        assert named(graph, SUBNET, f"{tier}-a").urn in waits_for


def test_an_elastic_address_waits_for_the_internet_gateway(graph: Graph) -> None:
    gateway = one(graph, "aws:ec2/internetGateway:InternetGateway")
    assert all(gateway.urn in address.dependencies for address in graph.of("aws:ec2/eip:Eip"))


# Network ACLs


@pytest.mark.parametrize("port", [22, 3389])
def test_no_acl_lets_the_world_administer(graph: Graph, inspected: Graph, port: int) -> None:
    for acl in (*graph.of(ACL), *inspected.of(ACL)):
        assert not admits(acl, source="198.51.100.7", port=port), acl.name


def test_no_acl_rule_for_the_world_covers_an_administration_port_even_behind_a_deny(graph: Graph) -> None:
    # Scanners read rules one by one (FSBP EC2.21), so an order of rules does not help there.
    for acl in graph.of(ACL):
        for rule in acl.inputs["ingress"]:
            if rule["cidrBlock"] == WORLD and rule["protocol"] == "tcp":
                assert not any(rule["fromPort"] <= port <= rule["toPort"] for port in (22, 3389)), acl.name


def test_ssh_passes_the_public_acl_from_approved_addresses_only(graph: Graph) -> None:
    acl = named(graph, ACL, "net-public")
    assert admits(acl, source="203.0.113.8", port=22)
    assert not admits(acl, source="203.0.113.9", port=22)


def test_answers_reach_every_port_that_a_node_masquerades_from(graph: Graph) -> None:
    # The VPC CNI rewrites pods' ports at random over 1024-65535, not over Linux's own 32768-60999.
    for tier in ("private", "isolated"):
        for port in (1024, 20000, 40000, 65535):
            assert admits(named(graph, ACL, f"net-{tier}"), source="52.216.0.1", port=port), (tier, port)


def test_the_isolated_tier_hears_its_neighbours_and_not_the_public_tier(graph: Graph) -> None:
    acl = named(graph, ACL, "net-isolated")
    assert admits(acl, source=host(PLAN.private[1]), port=5432)
    assert admits(acl, source=host(PLAN.isolated[2]), port=29500)
    assert not any(admits(acl, source=host(block), port=5432) for block in PLAN.public)
    assert not any(admits(acl, source=host(block), port=443, direction="egress") for block in PLAN.public)


def test_only_tls_leaves_the_vpc(graph: Graph) -> None:
    for tier in ("private", "isolated", "nat"):
        acl = named(graph, ACL, f"net-{tier}")
        assert admits(acl, source="198.51.100.7", port=443, direction="egress")
        assert not any(
            admits(acl, source="198.51.100.7", port=p, direction="egress") for p in (22, 53, 80, 8080)
        )


def test_plain_http_gets_as_far_as_the_edge_and_no_further(graph: Graph) -> None:
    passed = [acl.name for acl in graph.of(ACL) if admits(acl, source="198.51.100.7", port=80)]
    assert passed == ["net-public"]


def test_every_subnet_stands_behind_an_acl_and_no_acl_is_over_its_quota(
    graph: Graph, inspected: Graph
) -> None:
    for found in (graph, inspected):
        behind = [subnet_id for acl in found.of(ACL) for subnet_id in acl.inputs["subnetIds"]]
        assert sorted(behind) == sorted(subnet.id for subnet in found.of(SUBNET))
        assert all(len(acl.inputs[way]) <= 20 for acl in found.of(ACL) for way in ("ingress", "egress"))


def test_as_many_ssh_ranges_as_are_admitted_fit_into_the_quota() -> None:
    graph = network(ssh_cidrs=[f"203.0.113.{n}/32" for n in range(0, 26, 2)])
    assert len(named(graph, ACL, "net-public").inputs["ingress"]) <= 20
    with pytest.raises(ValueError, match="room for 13"):
        network(ssh_cidrs=[f"203.0.113.{n}/32" for n in range(0, 28, 2)])


# Endpoints


def test_every_service_that_isolated_nodes_need_has_an_endpoint(graph: Graph) -> None:
    offered = {
        endpoint.inputs["serviceName"].removeprefix(f"com.amazonaws.{HOME}.")
        for endpoint in graph.of(ENDPOINT)
    }
    needed = "ecr.api ecr.dkr sts logs kms eks eks-auth ec2 secretsmanager ssm monitoring s3 dynamodb"
    assert set(needed.split()) <= offered


def test_interface_endpoints_answer_under_the_services_own_names_in_every_zone(graph: Graph) -> None:
    private = {s.id for s in graph.of(SUBNET) if s.name.startswith("net-private-")}
    for endpoint in graph.of(ENDPOINT):
        if endpoint.inputs["vpcEndpointType"] == "Interface":
            assert endpoint.inputs["privateDnsEnabled"] is True
            assert set(endpoint.inputs["subnetIds"]) == private
            assert endpoint.inputs["securityGroupIds"] == [
                one(graph, "aws:ec2/securityGroup:SecurityGroup").id
            ]


def test_gateway_endpoints_are_in_the_tables_of_all_three_tiers(graph: Graph) -> None:
    wanted = {t for tier in ("public", "private", "isolated") for t in tables(graph, tier).values()}
    for endpoint in graph.of(ENDPOINT):
        if endpoint.inputs["vpcEndpointType"] == "Gateway":
            assert set(endpoint.inputs["routeTableIds"]) == wanted


def test_endpoints_are_called_from_the_private_and_isolated_tiers_over_tls_only(graph: Graph) -> None:
    rules = graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert {rule.inputs["cidrIpv4"] for rule in rules} == {*PLAN.private, *PLAN.isolated}
    assert {(rule.inputs["fromPort"], rule.inputs["toPort"]) for rule in rules} == {(443, 443)}
    assert graph.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule") == []


def test_endpoints_serve_this_accounts_principals_on_its_own_resources(graph: Graph) -> None:
    for endpoint in graph.of(ENDPOINT):
        ours = statement(endpoint, "OwnPrincipalsOnOwnResources")
        assert ours["Condition"] == {
            "StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}
        }
        assert "*" not in ours["Action"]


def test_whatever_else_an_endpoint_admits_is_reading_of_named_resources(graph: Graph) -> None:
    beyond = [
        s for e in graph.of(ENDPOINT) for s in statements(e) if s["Sid"] != "OwnPrincipalsOnOwnResources"
    ]
    beyond = [s for s in beyond if s["Sid"] != "OwnAgentsReport"]
    actions = {action for s in beyond for action in s["Action"]} - {"sts:AssumeRoleWithWebIdentity"}
    assert all(action.split(":")[1].startswith(("Get", "BatchGet", "BatchCheck")) for action in actions)
    assert "*" not in {resource for s in beyond for resource in s["Resource"]}


def test_agents_report_to_guardduty_as_this_account_only(graph: Graph) -> None:
    report = statement(named(graph, ENDPOINT, "-guardduty-data"), "OwnAgentsReport")
    assert report["Action"] == ["guardduty:SendSecurityTelemetry"]
    assert report["Condition"] == {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}


def test_packages_and_image_layers_are_read_only_and_of_the_region(graph: Graph) -> None:
    amazon = statement(named(graph, ENDPOINT, "-s3"), "ReadPackagesAndLayersOfAmazon")
    assert amazon["Action"] == ["s3:GetObject"]
    assert f"arn:aws:s3:::prod-{HOME}-starport-layer-bucket/*" in amazon["Resource"]
    assert all(HOME in arn for arn in amazon["Resource"])


def test_nodes_can_pull_the_images_of_eks_and_push_none(graph: Graph) -> None:
    for service in ("ecr.api", "ecr.dkr"):
        pull = statement(named(graph, ENDPOINT, f"-{service}"), "PullImagesOfEks")
        assert pull["Resource"] == [f"arn:aws:ecr:{HOME}:602401143452:repository/*"]
        assert pull["Condition"] == {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}


def test_eks_has_another_registry_where_the_region_says_so() -> None:
    graph = network(region="eu-south-1", zones=["eu-south-1a", "eu-south-1b"])
    pull = statement(named(graph, ENDPOINT, "-ecr.dkr"), "PullImagesOfEks")
    assert pull["Resource"] == ["arn:aws:ecr:eu-south-1:590381155156:repository/*"]


def test_a_pod_trades_its_token_for_roles_of_this_account_only(graph: Graph) -> None:
    trade = statement(named(graph, ENDPOINT, "-sts"), "PodsTakeOwnRoles")
    assert trade["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/*"]
    assert "aws:PrincipalAccount" not in trade["Condition"]["StringEquals"]


def test_an_organisation_widens_the_resources_and_not_the_callers() -> None:
    graph = network(organization_id="o-abcdefghij")
    for endpoint in graph.of(ENDPOINT):
        equal = statement(endpoint, "OwnPrincipalsOnOwnResources")["Condition"]["StringEquals"]
        assert equal == {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceOrgID": "o-abcdefghij"}


# Records


def test_all_traffic_and_every_query_is_recorded(graph: Graph) -> None:
    flow = one(graph, "aws:ec2/flowLog:FlowLog")
    assert flow.inputs["trafficType"] == "ALL"
    assert flow.inputs["logDestination"] == named(graph, GROUP, "-flow").outputs["arn"]
    queries = one(graph, "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig")
    assert queries.inputs["destinationArn"] == named(graph, GROUP, "-dns").outputs["arn"]
    association = one(
        graph, "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"
    )
    assert association.inputs["resourceId"] == one(graph, "aws:ec2/vpc:Vpc").id


def test_every_record_stays_as_long_as_asked_under_the_given_key(inspected: Graph) -> None:
    groups = inspected.of(GROUP)
    assert len(groups) == 3
    assert {group.inputs["kmsKeyId"] for group in groups} == {key("logs")}
    assert {group.inputs["retentionInDays"] for group in groups} == {2192}


def test_the_flow_log_role_writes_to_its_group_and_stands_under_the_boundary(graph: Graph) -> None:
    role = one(graph, "aws:iam/role:Role")
    trust = statement(role, "FlowLogsOfThisAccount", "assumeRolePolicy")
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert role.inputs["permissionsBoundary"] == BOUNDARY
    arn = named(graph, GROUP, "-flow").outputs["arn"]
    assert statement(one(graph, "aws:iam/rolePolicy:RolePolicy"), "WriteToTheFlowLog")["Resource"] == [
        arn,
        f"{arn}:*",
    ]


def test_aws_needs_no_policy_of_its_own_making_to_deliver(inspected: Graph) -> None:
    delivery = one(inspected, "aws:cloudwatch/logResourcePolicy:LogResourcePolicy")
    rule = statement(delivery, "DeliverLogsOfThisAccount", "policyDocument")
    assert rule["Resource"] == [f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/vpc/net/*"]
    assert rule["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    for token in (
        "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig",
        "aws:networkfirewall/loggingConfiguration:LoggingConfiguration",
    ):
        assert delivery.urn in one(inspected, token).dependencies


def test_names_that_carry_data_are_refused_and_doubt_is_a_no(graph: Graph) -> None:
    rules = graph.of("aws:route53/resolverFirewallRule:ResolverFirewallRule")
    assert {rule.inputs["dnsThreatProtection"] for rule in rules} == {
        "DNS_TUNNELING",
        "DGA",
        "DICTIONARY_DGA",
    }
    assert {rule.inputs["action"] for rule in rules} == {"BLOCK"}
    config = one(graph, "aws:route53/resolverFirewallConfig:ResolverFirewallConfig")
    assert config.inputs["firewallFailOpen"] == "DISABLED"


# The allow-list


def test_without_an_allow_list_there_is_no_firewall(graph: Graph) -> None:
    assert not [resource for resource in graph.resources if resource.type.startswith("aws:networkfirewall/")]


def test_with_an_allow_list_the_private_tier_has_no_other_way_out(inspected: Graph) -> None:
    assert len(routes(inspected, "private")) == 3
    for route in routes(inspected, "private"):
        assert {"natGatewayId", "gatewayId"}.isdisjoint(route.inputs)
        assert (
            one(inspected, "aws:networkfirewall/firewall:Firewall").urn
            in route.property_dependencies["vpcEndpointId"]
        )


def test_answers_come_back_through_the_firewall(inspected: Graph) -> None:
    back = [route for route in routes(inspected, "nat") if "vpcEndpointId" in route.inputs]
    assert {(r.name[-1], r.inputs["destinationCidrBlock"]) for r in back} == set(
        zip("abc", PLAN.private, strict=True)
    )
    nat_tables = tables(inspected, "nat")
    assert all(route.inputs["routeTableId"] == nat_tables[route.name[-1]] for route in back)


def test_with_one_gateway_the_answers_to_all_zones_come_back_to_it() -> None:
    graph = network(nat_gateways="one", allowed_egress_domains=["pypi.org"])
    back = [route for route in routes(graph, "nat") if "vpcEndpointId" in route.inputs]
    assert {route.inputs["destinationCidrBlock"] for route in back} == set(PLAN.private)
    assert len(tables(graph, "nat")) == len(tables(graph, "firewall")) == 1


def test_traffic_between_the_public_and_private_tiers_does_not_pass_the_firewall(inspected: Graph) -> None:
    # It would see requests of the load balancer and never the answers, and drop both.
    for route in routes(inspected, "public"):
        assert route.inputs["destinationCidrBlock"] == WORLD
        assert "gatewayId" in route.inputs


def test_the_firewall_lets_listed_names_pass_drops_the_rest_and_says_so(inspected: Graph) -> None:
    group = one(inspected, "aws:networkfirewall/ruleGroup:RuleGroup").inputs
    names = group["ruleGroup"]["rulesSource"]["rulesSourceList"]
    assert names == {
        "generatedRulesType": "ALLOWLIST",
        "targetTypes": ["TLS_SNI"],
        "targets": ["pypi.org", ".example.org"],
    }
    policy = one(inspected, "aws:networkfirewall/firewallPolicy:FirewallPolicy").inputs["firewallPolicy"]
    assert (
        policy["statelessDefaultActions"]
        == policy["statelessFragmentDefaultActions"]
        == ["aws:forward_to_sfe"]
    )
    assert set(policy["statefulDefaultActions"]) == {"aws:drop_established", "aws:alert_established"}
    assert (
        policy["statefulEngineOptions"]["ruleOrder"] == group["ruleGroup"]["statefulRuleOptions"]["ruleOrder"]
    )
    logging = one(inspected, "aws:networkfirewall/loggingConfiguration:LoggingConfiguration").inputs
    logged = logging["loggingConfiguration"]["logDestinationConfigs"]
    assert {(log["logType"], log["logDestination"]["logGroup"]) for log in logged} == {
        ("ALERT", "/vpc/net/firewall"),
        ("FLOW", "/vpc/net/firewall"),
    }


def test_a_growing_list_does_not_replace_the_rule_group() -> None:
    few, many = (
        one(network(allowed_egress_domains=[f"host{n}.example.org" for n in range(count)]), token).inputs[
            "capacity"
        ]
        for count, token in (
            (1, "aws:networkfirewall/ruleGroup:RuleGroup"),
            (400, "aws:networkfirewall/ruleGroup:RuleGroup"),
        )
    )
    assert few == many


def test_each_zone_goes_through_the_endpoint_in_it(inspected: Graph) -> None:
    firewall = one(inspected, "aws:networkfirewall/firewall:Firewall")
    endpoint_of = {
        state["availabilityZone"][-1]: state["attachments"][0]["endpointId"]
        for state in firewall.outputs["firewallStatuses"][0]["syncStates"]
    }
    used = {route.name[-1]: route.inputs["vpcEndpointId"] for route in routes(inspected, "private")}
    assert used == {letter: endpoint_of[letter] for letter in "abc"}


def test_a_zone_without_an_endpoint_is_an_error_and_no_route_to_nowhere() -> None:
    with pytest.raises(ValueError, match="no endpoint in us-east-1a"):
        _endpoint_in([], f"{HOME}a")


# Bad arguments, and a network brought along


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"zones": [f"{HOME}a", "eu-west-1b"]},
            r"zones\[1\].*not a zone of us-east-1; write one like us-east-1a",
        ),
        ({"zones": [f"{HOME}a", f"{HOME}a"]}, "name each once"),
        ({"cidr_block": "10.0.0.0/24"}, "between /16 and /20"),
        ({"ssh_cidrs": [WORLD]}, "ssh_cidrs: .* wider than /24"),
        ({"ssh_cidrs": ["203.0.113.9/24"]}, "ssh_cidrs: .*write ranges like"),
        ({"allowed_egress_domains": []}, "names no domain"),
        ({"allowed_egress_domains": ["*"]}, r"\[0\]: .* is not a domain"),
        ({"allowed_egress_domains": ["pypi.org", ".com"]}, r"\[1\]: .* is not a domain"),
        ({"allowed_egress_domains": ["https://pypi.org/"]}, "is not a domain"),
        ({"allowed_egress_domains": ["pypi.org\n"]}, "is not a domain"),
    ],
)
def test_a_wrong_argument_is_named_with_what_to_write(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        network(**changed)


def test_every_group_and_rule_carries_a_description(graph: Graph) -> None:
    for token in (
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    ):
        assert all(resource.inputs["description"] for resource in graph.of(token))


def test_switches_are_literals_when_nothing_exists_yet() -> None:
    graph = network(unknowns=True, allowed_egress_domains=["pypi.org"])
    assert all(subnet.inputs["mapPublicIpOnLaunch"] is False for subnet in graph.of(SUBNET))
    assert one(graph, "aws:ec2/flowLog:FlowLog").inputs["trafficType"] == "ALL"
    assert all(group.inputs["retentionInDays"] == 2192 for group in graph.of(GROUP))
    assert UNKNOWN not in [rule["cidrBlock"] for acl in graph.of(ACL) for rule in acl.inputs["ingress"]]


def test_every_resource_belongs_to_the_given_provider(inspected: Graph) -> None:
    home = named(inspected, "pulumi:providers:aws", "home").urn
    for resource in inspected.resources:
        if resource.type.startswith("aws:"):
            assert resource.provider.startswith(home), resource.name


def test_a_network_brought_along_has_the_same_handles() -> None:
    existing: NetworkHandles = ExistingNetwork(
        vpc_id="vpc-0abc12345",
        public_subnet_ids=("subnet-1", "subnet-2"),
        private_subnet_ids=("subnet-3", "subnet-4"),
        isolated_subnet_ids=("subnet-5", "subnet-6"),
        endpoint_security_group_id="sg-1",
        s3_prefix_list_id="pl-1",
    )
    assert existing.private_cidrs == ()
