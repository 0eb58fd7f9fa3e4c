"""The data-access API's pods reach AWS, and nobody reaches them yet."""

from __future__ import annotations

import pytest

from blueprint.graph import Graph
from components.data_api import DataApiBoundary
from tests.components.support import built, one


@pytest.fixture(scope="module")
def graph() -> Graph:
    return built(
        lambda opts, _: DataApiBoundary("api", vpc_id="vpc-1", endpoint_security_group_id="sg-1", opts=opts)
    )


def test_the_only_way_out_is_to_the_endpoints(graph: Graph) -> None:
    rule = one(graph, "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-1"
    assert (rule.inputs["ipProtocol"], rule.inputs["fromPort"], rule.inputs["toPort"]) == ("tcp", 443, 443)
    assert "cidrIpv4" not in rule.inputs


def test_nobody_comes_in(graph: Graph) -> None:
    group = one(graph, "aws:ec2/securityGroup:SecurityGroup")
    assert graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") == []
    assert "ingress" not in group.inputs
    assert "egress" not in group.inputs


def test_group_and_rule_say_what_they_are_for(graph: Graph) -> None:
    for token in (
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    ):
        assert one(graph, token).inputs["description"]


def test_the_component_hands_its_group_on(graph: Graph) -> None:
    boundary = one(graph, "secureml:data_api:DataApiBoundary")
    assert boundary.outputs["security_group_id"] == one(graph, "aws:ec2/securityGroup:SecurityGroup").id
