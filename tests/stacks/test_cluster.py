"""The cluster in the platform: its pools stand in the zone that they name, in a VPC of ours or of the fork's."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from blueprint.graph import Graph
from blueprint.recorder import record
from stacks.platform import build
from stacks.reading import parse
from tests.components.support import named, one, statement
from tests.stacks.test_settings import Change, edit, refusal, remove, texts, values

EXISTING = {
    "vpc_id": "vpc-0123456789abcdef0",
    "public_subnet_ids": ["subnet-00000001", "subnet-00000002"],
    "private_subnet_ids": ["subnet-00000011", "subnet-00000012"],
    "isolated_subnet_ids": ["subnet-00000021", "subnet-00000022"],
    "private_cidrs": ["10.60.0.0/19"],
    "endpoint_security_group_id": "sg-0123456789abcdef0",
    "s3_prefix_list_id": "pl-01234567",
}
POOL = {"name": "gpus", "instance_types": ["g6.xlarge"], "max_nodes": 2, "zone": "b"}


def platform(*changes: Change) -> Graph:
    settings: dict[str, Any] = copy.deepcopy(values("prod"))
    for change in changes:
        change(settings)
    return record(lambda: build(parse(texts(settings), stack="prod")), stack="prod")


@pytest.fixture(scope="module")
def brought() -> Graph:
    return platform(edit("network.existing", EXISTING), edit("training.pools", [POOL]))


def test_a_pool_stands_in_the_isolated_subnet_of_its_zone() -> None:
    graph = platform(edit("training.pools", [POOL]))
    subnet = named(graph, "aws:ec2/subnet:Subnet", "-isolated-b").id
    assert named(graph, "aws:eks/nodeGroup:NodeGroup", "-gpus-nodes").inputs["subnetIds"] == [subnet]


def test_a_vpc_that_was_brought_holds_the_cluster_and_its_pools(brought: Graph) -> None:
    assert brought.of("aws:ec2/vpc:Vpc") == []
    cluster = one(brought, "aws:eks/cluster:Cluster").inputs["vpcConfig"]
    assert cluster["subnetIds"] == EXISTING["private_subnet_ids"]
    pool = named(brought, "aws:eks/nodeGroup:NodeGroup", "-gpus-nodes")
    assert pool.inputs["subnetIds"] == ["subnet-00000022"]
    groups = brought.of("aws:ec2/securityGroup:SecurityGroup")
    assert {group.inputs["vpcId"] for group in groups} == {EXISTING["vpc_id"]}


def test_a_pool_in_a_zone_without_an_isolated_subnet_is_refused() -> None:
    def change(settings: dict[str, Any]) -> None:
        edit("network.existing", EXISTING)(settings)
        edit("training.pools", [{**POOL, "zone": "c"}])(settings)

    message = refusal(change)
    assert message.startswith("stacks/Pulumi.prod.yaml: training.pools[0].zone")
    assert "list one a zone in network.existing" in message


def publishers(graph: Graph) -> list[str]:
    policy = named(graph, "aws:ecr/repositoryPolicy:RepositoryPolicy", "-gateway")
    found: list[str] = statement(policy, "OnlyPublishersPush")["Condition"]["ArnNotEquals"][
        "aws:PrincipalArn"
    ]
    return found


def test_the_pipeline_publishes_and_without_one_who_deploys_does(brought: Graph) -> None:
    account = values("prod")["account_id"]
    assert publishers(brought) == [f"arn:aws:iam::{account}:role/secure-ml-platform-prod-pipeline"]
    without = platform(remove("identity.github_repository"))
    assert publishers(without) == [f"arn:aws:iam::{account}:role/secure-ml-platform-prod-deploy"]


def test_who_deploys_is_the_role_that_the_settings_name() -> None:
    account = values("prod")["account_id"]
    runner = f"arn:aws:iam::{account}:role/runner"
    graph = platform(edit("cluster.deployer_role_arn", runner))
    assert named(graph, "aws:eks/accessEntry:AccessEntry", "-deployer").inputs["principalArn"] == runner


def test_listed_addresses_reach_the_api_from_outside() -> None:
    graph = platform(edit("cluster.endpoint", ["203.0.113.8/32"]))
    vpc = one(graph, "aws:eks/cluster:Cluster").inputs["vpcConfig"]
    assert (vpc["endpointPublicAccess"], vpc["publicAccessCidrs"]) == (True, ["203.0.113.8/32"])


def test_machines_of_the_cluster_cannot_reach_the_database(brought: Graph) -> None:
    database = named(brought, "aws:ec2/securityGroup:SecurityGroup", "-database-group").id
    admitted = {
        rule.inputs["referencedSecurityGroupId"]
        for rule in brought.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
        if rule.inputs["securityGroupId"] == database
    }
    assert admitted == {named(brought, "aws:ec2/securityGroup:SecurityGroup", "data-api-group").id}
