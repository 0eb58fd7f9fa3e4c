"""Training machines: what they reach, what they cannot, and that nobody pays for them while nothing trains."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import moto
import pytest

from blueprint.graph import Graph
from components.gpu_families import GPU_TYPES
from components.training import Pool, Training
from tests.components.support import BOUNDARY, HOME, built, key, named, one
from tests.components.test_cluster import INTO, NODES, OUT, TEMPLATE, rules

SMALL = Pool(
    name="small",
    instance_types=("g6.xlarge", "g6.2xlarge"),
    max_nodes=1,
    capacity="spot",
    subnet_id="subnet-a",
)
LARGE = Pool(
    name="large", instance_types=("p5.48xlarge",), max_nodes=4, capacity="on-demand", subnet_id="subnet-b"
)
RESERVED = Pool(
    name="reserved",
    instance_types=("p5en.48xlarge",),
    max_nodes=8,
    capacity="capacity-block",
    subnet_id="subnet-b",
    capacity_reservation_id="cr-0abc1234",
)
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"


def training(*pools: Pool) -> Graph:
    return built(
        lambda opts, _: Training(
            "training",
            pools=pools,
            cluster_name="main",
            kubernetes_version="1.36",
            cluster_security_group_id="sg-control-plane",
            node_security_group_id="sg-system",
            data_api_security_group_id="sg-data-api",
            data_api_port=8443,
            endpoint_security_group_id="sg-endpoints",
            s3_prefix_list_id="pl-1",
            vpc_id="vpc-1",
            key_arn=key("platform"),
            permissions_boundary_arn=BOUNDARY,
            region=HOME,
            after=[],
            opts=opts,
        )
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return training(SMALL, LARGE, RESERVED)


def pool(graph: Graph, name: str) -> dict[str, Any]:
    return named(graph, NODES, f"-{name}-nodes").inputs


def template(graph: Graph, name: str) -> dict[str, Any]:
    return named(graph, TEMPLATE, f"-{name}-template").inputs


def test_data_comes_through_the_data_api_and_there_is_no_other_way_out(graph: Graph) -> None:
    own = one(graph, "aws:ec2/securityGroup:SecurityGroup").id
    assert rules(graph, OUT, own) == {
        (own, None),
        ("sg-control-plane", 443),
        ("sg-system", 53),
        ("sg-data-api", 8443),
        ("sg-endpoints", 443),
        ("pl-1", 443),
    }


def test_no_rule_of_theirs_names_an_address(graph: Graph) -> None:
    for rule in (*graph.of(INTO), *graph.of(OUT)):
        assert not {"cidrIpv4", "cidrIpv6"} & rule.inputs.keys()


def test_only_the_control_plane_and_their_own_kind_reach_them(graph: Graph) -> None:
    own = one(graph, "aws:ec2/securityGroup:SecurityGroup").id
    assert rules(graph, INTO, own) == {(own, None), ("sg-control-plane", 10250)}


def test_names_are_asked_for_over_tcp_and_udp(graph: Graph) -> None:
    asked = {r.inputs["ipProtocol"] for r in graph.of(INTO) if r.inputs["securityGroupId"] == "sg-system"}
    assert asked == {"tcp", "udp"}


def test_a_pool_stands_in_the_subnet_of_its_zone_alone(graph: Graph) -> None:
    assert pool(graph, "small")["subnetIds"] == ["subnet-a"]
    assert pool(graph, "large")["subnetIds"] == ["subnet-b"]


def test_a_pool_is_empty_while_nothing_trains_and_ends_at_its_bound(graph: Graph) -> None:
    assert pool(graph, "large")["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}
    # A number that an autoscaler chose is not put back by the next deployment.
    assert "scalingConfig.desiredSize" in named(graph, NODES, "-large-nodes").ignore_changes


def test_only_pods_that_ask_for_a_gpu_come_onto_them(graph: Graph) -> None:
    for name in ("small", "large", "reserved"):
        found = pool(graph, name)
        assert found["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
        assert found["labels"]["workload"] == "training"
        assert found["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA"
    assert pool(graph, "large")["labels"]["gpu"] == "H100"


def test_capacity_is_bought_as_the_pool_says(graph: Graph) -> None:
    assert pool(graph, "small")["capacityType"] == "SPOT"
    assert pool(graph, "large")["capacityType"] == "ON_DEMAND"
    assert pool(graph, "reserved")["capacityType"] == "CAPACITY_BLOCK"


def test_a_block_of_capacity_is_named_by_the_template_which_names_the_type_too(graph: Graph) -> None:
    found = template(graph, "reserved")
    assert found["instanceType"] == "p5en.48xlarge"
    assert found["instanceMarketOptions"] == {"marketType": "capacity-block"}
    target = found["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationId": "cr-0abc1234"}
    assert "instanceTypes" not in pool(graph, "reserved")
    assert "instanceMarketOptions" not in template(graph, "large")


def test_machines_of_a_pool_stand_close_unless_there_is_only_one(graph: Graph) -> None:
    assert {p.inputs["strategy"] for p in graph.of(PLACEMENT)} == {"cluster"}
    assert len(graph.of(PLACEMENT)) == 2
    large = named(graph, PLACEMENT, "-large-together")
    assert template(graph, "large")["placement"] == {"groupName": large.inputs["name"]}
    assert large.urn in named(graph, TEMPLATE, "-large-template").dependencies
    assert "placement" not in template(graph, "small")


def test_pods_cannot_become_the_machine_and_disks_are_encrypted(graph: Graph) -> None:
    for found in graph.of(TEMPLATE):
        options = found.inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)
        disks = [disk["ebs"] for disk in found.inputs["blockDeviceMappings"]]
        assert {(d["encrypted"], d["kmsKeyId"]) for d in disks} == {("true", key("platform"))}
        assert "keyName" not in found.inputs
    for made in graph.of(NODES):
        assert "remoteAccess" not in made.inputs


def test_no_machine_joins_before_it_may_talk(graph: Graph) -> None:
    wanted = {r.urn for r in (*graph.of(INTO), *graph.of(OUT))}
    for made in graph.of(NODES):
        assert wanted <= set(made.dependencies)


def test_without_pools_there_is_a_group_and_no_role() -> None:
    graph = training()
    assert len(graph.of("aws:ec2/securityGroup:SecurityGroup")) == 1
    assert graph.of("aws:iam/role:Role") == []


def changed(**values: Any) -> Pool:
    return Pool(**{**LARGE.__dict__, **values})


@pytest.mark.parametrize(
    ("pools", "says"),
    [
        ([SMALL, changed(name="small")], r"pools\[1\].name: 'small' is the name of another pool"),
        (
            [changed(instance_types=("p5e.24xlarge",))],
            r"instance_types\[0\]: .* did you mean p5e.48xlarge\?",
        ),
        ([changed(instance_types=("m7i.large",))], "no GPU type"),
        ([changed(instance_types=())], "is empty"),
        ([changed(instance_types=("g6.xlarge", "g5.xlarge"))], "mixes GPUs"),
        ([changed(instance_types=("g6.xlarge", "g6.12xlarge"))], "mixes GPUs"),
        ([changed(max_nodes=0)], "write 1 to 100"),
        ([changed(max_nodes=1000)], "write 1 to 100"),
        ([changed(name="Large pool")], "is not a name"),
        ([changed(capacity="capacity-block")], "capacity_reservation_id: is missing"),
        ([changed(capacity_reservation_id="cr-0abc1234")], "leave it out"),
        (
            [
                changed(
                    capacity="capacity-block",
                    capacity_reservation_id="cr-0abc1234",
                    instance_types=("p5en.48xlarge", "p5e.48xlarge"),
                )
            ],
            "names several",
        ),
    ],
)
def test_a_wrong_pool_is_named(pools: list[Pool], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        training(*pools)


def test_the_table_of_gpus_says_what_ec2_says() -> None:
    # moto carries what DescribeInstanceTypes answered in an account.
    path = Path(moto.__file__).parent / "ec2" / "resources" / "instance_types.json.gz"
    known = json.loads(gzip.decompress(path.read_bytes()))
    assert set(GPU_TYPES) <= set(known)
    for name, type_ in GPU_TYPES.items():
        told = known[name]
        (gpu,) = told["GpuInfo"]["Gpus"]
        assert (gpu["Manufacturer"], gpu["Name"]) == ("NVIDIA", type_.gpu)
        assert (gpu["Count"], gpu["MemoryInfo"]["SizeInMiB"]) == (type_.count, type_.memory_mib), name
        assert told["NetworkInfo"]["EncryptionInTransitSupported"] is True
        assert told["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
