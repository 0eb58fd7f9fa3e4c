"""Who may talk to whom, layer by layer, in every environment; and that no single protection can go unseen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from blueprint import program
from blueprint.graph import Graph, Resource
from blueprint.reach import Layer, Network, internet, metadata_service

ENVIRONMENTS = ("dev", "staging", "prod")
POSTGRESQL, API, HTTPS, HTTP, WEBHOOK = 5432, 8443, 443, 80, 9443
KYVERNO = {"app.kubernetes.io/component": "admission-controller"}

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
GROUP, ROUTE, TABLE = (
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
)

Matrix = dict[tuple[str, str], dict[Layer, bool]]

OUT: Layer = "pod's policy out"
IN: Layer = "pod's policy in"

NOTHING: set[Layer] = set()
ROUTE_ALONE: set[Layer] = {"route"}
GROUPS: set[Layer] = {"group out", "group in"}

# From, to, the layers that let through; every other layer on the way closes.
OPEN: dict[tuple[str, str], set[Layer]] = {
    ("training/trainer", "database"): set(),
    ("training/trainer", "internet"): set(),
    ("training/trainer", "metadata"): set(),
    ("training/trainer", "data-api/data-api"): {OUT, "group out", IN, "group in"},
    # Machines of one kind wear one group; between their pods the pods' policies stand.
    ("training/trainer", "redteam/redteam"): {"group out", "group in"},
    ("training/trainer", "serving/gateway"): set(),
    ("redteam/redteam", "database"): set(),
    ("redteam/redteam", "internet"): set(),
    ("redteam/redteam", "metadata"): set(),
    ("redteam/redteam", "data-api/data-api"): {OUT, "group out", IN, "group in"},
    ("redteam/redteam", "training/trainer"): {"group out", "group in"},
    ("redteam/redteam", "serving/gateway"): set(),
    ("serving/gateway", "database"): set(),
    ("serving/gateway", "internet"): {"route"},
    ("serving/gateway", "metadata"): set(),
    ("serving/gateway", "data-api/data-api"): {"group out", "group in"},
    ("serving/gateway", "training/trainer"): set(),
    ("serving/gateway", "redteam/redteam"): set(),
    ("data-api/data-api", "database"): {OUT, "group out", "group in"},
    ("data-api/data-api", "internet"): {"route"},
    ("data-api/data-api", "metadata"): set(),
    ("data-api/data-api", "training/trainer"): set(),
    ("data-api/data-api", "redteam/redteam"): set(),
    ("data-api/data-api", "serving/gateway"): set(),
    # No policy of pods is about a database, or about a load balancer.
    ("edge", "serving/gateway"): {OUT, "group out", IN, "group in"},
    ("edge", "data-api/data-api"): {OUT, "group out"},
    ("edge", "training/trainer"): {OUT},
    ("edge", "database"): {OUT},
    ("database", "internet"): {OUT},
    ("database", "data-api/data-api"): {OUT},
    **{
        (f"{namespace}/stranger", end): layers
        for namespace in ("data-api", "kyverno", "redteam", "serving", "training")
        for end, layers in (
            ("database", NOTHING),
            ("internet", ROUTE_ALONE),
            ("metadata", NOTHING),
            ("data-api/data-api", GROUPS),
        )
    },
    ("kyverno/kyverno", "database"): set(),
    # Of all public addresses the machines' group lets out to S3's alone.
    ("kyverno/kyverno", "internet"): {OUT, "route"},
    ("kyverno/kyverno", "metadata"): set(),
    ("kyverno/kyverno", "endpoints"): {OUT, "group out", "group in"},
    ("kyverno/kyverno", "data-api/data-api"): {"group out", "group in"},
    ("training/trainer", "kyverno/kyverno"): set(),
    ("training/trainer", "kyverno/stranger"): set(),
    **{
        (pod, "endpoints"): {OUT, "group out", "group in"}
        for pod in ("training/trainer", "redteam/redteam", "serving/gateway", "data-api/data-api")
    },
}

NAMESPACES = ("data-api", "kyverno", "redteam", "serving", "training")


def matrix(graph: Graph) -> Matrix:
    network = Network(graph)
    (database,) = network.databases().values()
    places = {**network.pods(), "database": database}
    (places["edge"],) = network.balancers().values()
    places["kyverno/kyverno"] = network.pod("kyverno", KYVERNO)
    for namespace in NAMESPACES:
        places[f"{namespace}/stranger"] = network.pod(namespace, {"app": "stranger"})
    ends = {
        **places,
        "internet": internet(),
        "metadata": metadata_service(),
        "endpoints": network.endpoints(),
    }
    ports = {
        "database": POSTGRESQL,
        "internet": HTTPS,
        "metadata": HTTP,
        "endpoints": HTTPS,
        "kyverno/kyverno": WEBHOOK,
    }
    return {
        (start, end): network.layers(places[start], ends[end], ports.get(end, API))
        for start in places
        for end in ends
        if (start, end) in OPEN
    }


@cache
def graph_of(environment: str) -> Graph:
    return program.run(environment)


@cache
def matrix_of(environment: str) -> Matrix:
    return matrix(graph_of(environment))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("path", OPEN, ids=" to ".join)
def test_each_layer_lets_through_what_it_must_and_closes_what_it_must(
    environment: str, path: tuple[str, str]
) -> None:
    said = matrix_of(environment)[path]
    assert {layer for layer, is_open in said.items() if is_open} == OPEN[path]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_the_named_paths_are_open_and_the_others_are_closed_at_least_twice(environment: str) -> None:
    ways = {
        path: [is_open for is_open in said.values() if not is_open]
        for path, said in matrix_of(environment).items()
    }
    assert {path for path, closed in ways.items() if not closed and path[1] != "endpoints"} == {
        ("edge", "serving/gateway"),
        ("training/trainer", "data-api/data-api"),
        ("redteam/redteam", "data-api/data-api"),
        ("data-api/data-api", "database"),
    }
    once = {path for path, closed in ways.items() if len(closed) == 1}
    # Kyverno reads signatures from S3, whose addresses no policy of pods can name.
    assert once == {("kyverno/kyverno", "internet")}


def test_the_matrix_leaves_no_workload_out() -> None:
    pods = set(Network(graph_of("prod")).pods())
    for start in pods:
        for end in (pods - {start}) | {"database", "internet", "metadata"}:
            assert (start, end) in OPEN


# --- one protection is taken out ---------------------------------------------------------------------------

Edit = Callable[[Resource], Resource | None]


def edited(graph: Graph, urn: str, edit: Edit) -> Graph:
    made = [edit(each) if each.urn == urn else each for each in graph.resources]
    return replace(graph, resources=tuple(each for each in made if each))


def added(graph: Graph, *more: Resource) -> Graph:
    return replace(graph, resources=graph.resources + more)


def with_inputs(resource: Resource, *path: str | int, value: Any) -> Resource:
    inputs = copy.deepcopy(resource.inputs)
    inside: Any = inputs
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return replace(resource, inputs=inputs)


def resource(type_: str, **inputs: Any) -> Resource:
    return Resource(urn=f"urn:pulumi:dev::platform::{type_}::foreign", type=type_, custom=True, inputs=inputs)


def without_policies(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for policy in graph.of(POLICY):
        where = f"{policy.inputs['metadata']['namespace']}/{policy.name}"
        yield f"no policy {where}", edited(graph, policy.urn, lambda _: None)


def with_open_policies(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for policy in graph.of(POLICY):
        for way, name in (("ingress", "in"), ("egress", "out")):
            opened = with_inputs(policy, "spec", way, value=[{}])
            yield (
                f"all the way {name} at {policy.inputs['metadata']['namespace']}/{policy.name}",
                edited(graph, policy.urn, lambda _, opened=opened: opened),  # type: ignore[misc]
            )


def with_metadata_in_policies(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for policy in graph.of(POLICY):
        rules = [*policy.inputs["spec"].get("egress", []), {"to": [{"ipBlock": {"cidr": "169.254.0.0/16"}}]}]
        opened = with_inputs(policy, "spec", "egress", value=rules)
        yield (
            f"link-local addresses at {policy.inputs['metadata']['namespace']}/{policy.name}",
            edited(graph, policy.urn, lambda _, opened=opened: opened),  # type: ignore[misc]
        )


def with_open_groups(graph: Graph) -> Iterator[tuple[str, Graph]]:
    # The bastion's and the endpoints' groups belong to no place of the matrix.
    for group in graph.of(GROUP):
        if not group.name.endswith(("nodes", "data-api-group", "database-group", "edge-group")):
            continue
        # The world may come in at the edge.
        for type_ in (EGRESS,) if group.name == "edge-group" else (INGRESS, EGRESS):
            way = "in" if type_ == INGRESS else "out"
            rule = resource(type_, securityGroupId=group.id, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
            yield f"the world {way} at {group.name}", added(graph, rule)
        inline = {"protocol": "tcp", "fromPort": 0, "toPort": 65535, "cidrBlocks": ["0.0.0.0/0"]}
        opened = with_inputs(group, "egress", value=[inline])
        yield (
            f"the world out, inline, at {group.name}",
            edited(graph, group.urn, lambda _, opened=opened: opened),  # type: ignore[misc]
        )


def with_ways_out(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for table in graph.of(TABLE):
        if "isolated" in table.name:
            route = resource(
                ROUTE, routeTableId=table.id, destinationCidrBlock="0.0.0.0/0", natGatewayId="nat-1"
            )
            yield f"a way out of {table.name}", added(graph, route)


def with_weak_machines(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for template in graph.of(TEMPLATE):
        if "bastion" in template.name:
            continue
        for key, value in (("httpPutResponseHopLimit", 2), ("httpTokens", "optional")):
            weak = with_inputs(template, "metadataOptions", key, value=value)
            yield (
                f"{key} {value} at {template.name}",
                edited(graph, template.urn, lambda _, weak=weak: weak),  # type: ignore[misc]
            )


def with_weak_workloads(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for each in graph.resources:
        path: tuple[str, ...] = ("spec", "template", "spec", "hostNetwork")
        if each.type.endswith(":CronJob"):
            path = ("spec", "jobTemplate", *path)
        if each.type.endswith((":Deployment", ":CronJob")):
            weak = with_inputs(each, *path, value=True)
            yield (
                f"{each.name} in the machine's network",
                edited(graph, each.urn, lambda _, weak=weak: weak),  # type: ignore[misc]
            )


def with_nothing_enforced(graph: Graph) -> Iterator[tuple[str, Graph]]:
    for addon in graph.of("aws:eks/addon:Addon"):
        if addon.inputs["addonName"] == "vpc-cni":
            off = with_inputs(addon, "configurationValues", value='{"enableNetworkPolicy": "false"}')
            yield "network policies off", edited(graph, addon.urn, lambda _, off=off: off)  # type: ignore[misc]
    for policy in graph.of("kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy"):
        yield "pods without a group of their own", edited(graph, policy.urn, lambda _: None)
    for rule in [*graph.of(INGRESS), *graph.of(EGRESS)]:
        if "database" in rule.name:
            yield f"no {rule.name}", edited(graph, rule.urn, lambda _: None)
    (private, *_) = [s for s in graph.of("aws:ec2/subnet:Subnet") if "private" in s.name]
    for group in graph.of("aws:eks/nodeGroup:NodeGroup"):
        if "training" in group.name:
            moved = with_inputs(group, "subnetIds", value=[private.id])
            yield (
                f"{group.name} in the private tier",
                edited(graph, group.urn, lambda _, moved=moved: moved),  # type: ignore[misc]
            )


TAKEN_OUT: tuple[Callable[[Graph], Iterator[tuple[str, Graph]]], ...] = (
    without_policies,
    with_open_policies,
    with_metadata_in_policies,
    with_open_groups,
    with_ways_out,
    with_weak_machines,
    with_weak_workloads,
    with_nothing_enforced,
)


@pytest.mark.parametrize("take_out", TAKEN_OUT, ids=lambda each: each.__name__)
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_matrix_changes_when_a_single_protection_is_taken_out(
    environment: str, take_out: Callable[[Graph], Iterator[tuple[str, Graph]]]
) -> None:
    tried, unseen = 0, []
    for what, graph in take_out(graph_of(environment)):
        tried += 1
        if matrix(graph) == matrix_of(environment):
            unseen.append(what)
    assert tried
    assert unseen == []
