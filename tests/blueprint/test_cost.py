"""The cost floor: every resource is priced, paid for by use, free, or named as one without a price."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from blueprint import deployment
from blueprint.cost.floor import Floor, floor_of
from blueprint.cost.prices import FILE, prices
from blueprint.errors import BadInput
from blueprint.graph import UNKNOWN, Graph, Resource
from blueprint.program import run
from tests.blueprint.commands import blueprint

NODES = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
DATABASE = "aws:rds/instance:Instance"


def resource(type_: str, name: str = "one", **inputs: Any) -> Resource:
    return Resource(
        urn=f"urn:pulumi:test::secure-ml-platform::{type_}::{name}", type=type_, custom=True, inputs=inputs
    )


def floor(*resources: Resource) -> Floor:
    return floor_of(Graph(stack="test", resources=resources))


def costs(*resources: Resource) -> dict[str, Decimal]:
    found = floor(*resources)
    assert not found.unpriced
    return {line.item: line.quantity for line in found.lines}


def nodes(smallest: int, **more: Any) -> list[Resource]:
    template = resource(TEMPLATE, blockDeviceMappings=[{"ebs": {"volumeType": "gp3", "volumeSize": 50}}])
    group = Resource(
        urn=f"urn:pulumi:test::secure-ml-platform::{NODES}::nodes",
        type=NODES,
        custom=True,
        inputs={"scalingConfig": {"minSize": smallest, "maxSize": 9}, "instanceTypes": ["m7i.large"], **more},
        property_dependencies={"launchTemplate": (template.urn,)},
    )
    return [template, group]


def test_machines_count_at_the_smallest_size_with_their_disks() -> None:
    assert costs(*nodes(2)) == {"instance m7i.large": 2, "disk gp3": 100}
    assert costs(*nodes(0, capacityType="SPOT")) == {}


def test_a_second_copy_of_a_database_costs_twice() -> None:
    def database(copies: bool) -> Resource:
        return resource(
            DATABASE,
            engine="postgres",
            instanceClass="db.t4g.medium",
            allocatedStorage=20,
            storageType="gp3",
            multiAz=copies,
        )

    assert floor(database(True)).usd_a_month == 2 * floor(database(False)).usd_a_month
    assert floor(database(False)).usd_a_month == Decimal("0.065") * 730 + Decimal("0.115") * 20


def test_endpoints_count_by_zone_and_gateways_of_the_route_table_are_free() -> None:
    endpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
    assert costs(
        resource(endpoint, "kms", vpcEndpointType="Interface", subnetIds=["a", "b"]),
        resource(endpoint, "s3", vpcEndpointType="Gateway"),
    ) == {"interface endpoint in one zone": 2}


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (resource("aws:cloudhsmv2/cluster:Cluster"), "its kind is on no list"),
        (resource(DATABASE, engine="postgres", instanceClass="db.x9.huge", allocatedStorage=1), "db.x9.huge"),
        (resource(DATABASE, engine="postgres", instanceClass=UNKNOWN, allocatedStorage=1), UNKNOWN),
        (
            resource("aws:ec2/vpcEndpoint:VpcEndpoint", vpcEndpointType="Interface", subnetIds=UNKNOWN),
            "subnetIds",
        ),
        (resource("aws:eks/cluster:Cluster"), "EXTENDED"),
        (resource("aws:dynamodb/table:Table", billingMode="PROVISIONED"), "its kind is on no list"),
        (resource("kubernetes:core/v1:Service", spec={"type": "LoadBalancer"}), "its kind is on no list"),
        (
            resource("kubernetes:apps/v1:StatefulSet", spec={"volumeClaimTemplates": [{}]}),
            "its kind is on no list",
        ),
        (
            resource("aws:acm/certificate:Certificate", options={"export": "ENABLED"}),
            "its kind is on no list",
        ),
        (nodes(1, capacityType="SPOT")[1], "spot"),
        (nodes(1)[1], "launch template"),
        (resource(NODES, scalingConfig=UNKNOWN), "scalingConfig"),
    ],
)
def test_what_has_no_price_is_named_and_not_free(odd: Resource, why: str) -> None:
    found = floor(odd)
    assert [why in each.why for each in found.unpriced] == [True]
    assert found.as_json_value()["unpriced"][0]["resource"]


def test_what_is_paid_for_by_use_is_listed_with_what_is_paid_for() -> None:
    ((kind, count, what),) = floor(
        resource("aws:s3/bucket:Bucket"), resource("aws:s3/bucket:Bucket", "two")
    ).by_use
    assert (kind, count) == ("aws:s3/bucket:Bucket", 2)
    assert "gigabytes" in what


def test_regions_that_the_list_does_not_know_are_named() -> None:
    found = floor(resource("pulumi:providers:aws", region="eu-central-1"))
    assert found.elsewhere == ("eu-central-1",)


def test_no_kind_stands_on_two_lists() -> None:
    table = prices()
    assert not [kind for kind in table.by_use if kind.startswith(table.free)]


@pytest.fixture(scope="module")
def dev() -> Graph:
    return run("dev")


def test_the_platform_itself_is_priced_as_a_whole(dev: Graph) -> None:
    found = floor_of(dev)
    assert found.unpriced == ()
    assert {"NAT gateway", "control plane STANDARD", "database db.t4g.medium", "web ACL"} <= {
        line.item for line in found.lines
    }


def test_the_command_prints_a_table_and_the_same_for_machines(dev: Graph, tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text(deployment.write(dev))
    said = json.loads(blueprint("cost", str(file), "--format", "json").stdout)
    assert sum(Decimal(line["usd_a_month"]) for line in said["lines"]) == pytest.approx(
        Decimal(said["floor_a_month"]), abs=Decimal("0.10")
    )
    shown = blueprint("cost", str(file))
    assert shown.returncode == 0
    assert f"{Decimal(said['floor_a_month']):,.2f}" in shown.stdout
    assert said["prices_of"] in shown.stdout
    refused = blueprint("cost", "nowhere")
    assert refused.returncode == 2
    assert "no environment" in refused.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- : {", "is not YAML"),
        ("groups: []", "Field required"),
        (FILE.read_text().replace("alarm: 0.10", "alarm: 0.10\n      key: 1"), "key: has two prices"),
        (FILE.read_text().replace("alarm: 0.10", "alarm: much"), "alarm"),
    ],
)
def test_a_list_that_cannot_be_trusted_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(BadInput, match=said):
        prices(tmp_path / "prices.yaml")
