"""A federation and a silo as stacks: who reaches which door, what each may do, and what their settings refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from ipaddress import IPv4Network
from typing import Any

import pytest

from blueprint import program
from blueprint.graph import Graph, Resource
from blueprint.manifests import manifests
from blueprint.pack import RunningPack
from blueprint.reach import Network, Place, internet
from blueprint.roles import roles_of
from components.federation import CONTROL_PORT, FLEET_PORT
from services.federated import places, settings
from services.federated.errors import FederatedError
from tests.open_questions import NOT_IN_ANY_GRAPH
from tests.stacks.calls import calls_of
from tests.stacks.test_kubernetes_objects import FOREIGN, problems
from tests.stacks.test_least_privilege import exists, idle
from tests.stacks.test_reachability import added, edited, resource, with_inputs
from tests.stacks.test_settings import Change, edit, refusal, remove, values

STACKS = ("federation", "silo")
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
SERVICE = "aws:ec2/vpcEndpointService:VpcEndpointService"

SERVER, OPERATOR, NODE = "federation/superlink", "federation-operator/federation-operator", "silo/supernode"


@cache
def graph(stack: str) -> Graph:
    return program.run(stack)


# --- the pack, and Kubernetes' own schemas -----------------------------------------------------------------


@pytest.fixture(scope="module")
def pack() -> Iterator[RunningPack]:
    with RunningPack() as running:
        yield running


@pytest.mark.parametrize("stack", STACKS)
def test_every_promise_is_kept(stack: str, pack: RunningPack) -> None:
    verdict = pack.judge(graph(stack))
    assert verdict.violations == ()
    assert {each.control for each in verdict.undecided} == NOT_IN_ANY_GRAPH


@pytest.mark.parametrize("stack", STACKS)
def test_every_object_is_valid(stack: str) -> None:
    (cluster,) = graph(stack).of("aws:eks/cluster:Cluster")
    bodies = [each.body for each in manifests(graph(stack)) if each.body["kind"] not in FOREIGN]
    assert "StatefulSet" in {body["kind"] for body in bodies}
    for body in bodies:
        assert problems(body, str(cluster.inputs["version"])) == []


@pytest.mark.parametrize("stack", STACKS)
def test_roles_may_do_what_aws_knows_and_nothing_about_nothing(stack: str) -> None:
    roles = roles_of(graph(stack))
    assert [right for role in roles for right in idle(role)] == []
    for role in roles:
        for statement in role.rights:
            assert all(map(exists, statement.actions)), f"{role.name} {statement.sid}"


# --- who reaches what --------------------------------------------------------------------------------------


def places_of(made: Graph) -> dict[str, Place]:
    network = Network(made)
    found = {**network.pods(), **network.databases()}
    found |= {name: place for name, place in network.balancers().items() if name != "edge"}
    for namespace in ("federation", "federation-operator", "silo", "serving"):
        if any(each.inputs["metadata"]["name"] == namespace for each in made.of(NAMESPACE)):
            found[f"{namespace}/stranger"] = network.pod(namespace, {"app": "stranger"})
    # A namespace that somebody made by hand: nothing is closed there but what the cluster closes.
    found["by-hand/stranger"] = network.pod("by-hand", {"app": OPERATOR.rpartition("/")[2]})
    return found


def who_reaches(made: Graph, end: str, port: int) -> set[str]:
    """Return whom every layer lets through to a pod's port."""
    network, known = Network(made), places_of(made)
    return {
        start
        for start, place in known.items()
        if start != end and all(network.layers(place, known[end], port).values())
    }


def test_the_operators_door_is_reached_by_the_operators_job_alone() -> None:
    assert who_reaches(graph("federation"), SERVER, CONTROL_PORT) == {OPERATOR}


def test_the_nodes_door_is_reached_by_the_private_link_alone() -> None:
    assert who_reaches(graph("federation"), SERVER, FLEET_PORT) == {"federation-link"}


def test_nobody_but_these_comes_past_the_servers_own_policy() -> None:
    network, known = Network(graph("federation")), places_of(graph("federation"))
    for port, admitted in ((CONTROL_PORT, OPERATOR), (FLEET_PORT, "federation-link")):
        for start in set(known) - {admitted, SERVER}:
            said = network.layers(known[start], known[SERVER], port)
            closed = [layer for layer, is_open in said.items() if not is_open]
            assert "pod's policy in" in closed, f"{start} on {port}"


def test_no_group_admits_the_load_balancer_to_the_operators_door() -> None:
    network, known = Network(graph("federation")), places_of(graph("federation"))
    said = network.layers(known["federation-link"], known[SERVER], CONTROL_PORT)
    assert {layer for layer, is_open in said.items() if is_open} == {"pod's policy out"}


@pytest.mark.parametrize("stack", STACKS)
def test_no_pod_of_a_federation_has_a_way_to_the_internet_or_to_a_database(stack: str) -> None:
    network, known = Network(graph(stack)), places_of(graph(stack))
    (database,) = network.databases().values()
    for start in (SERVER, OPERATOR) if stack == "federation" else (NODE,):
        for end, port in ((internet(), 443), (database, 5432)):
            said = network.layers(known[start], end, port)
            assert list(said.values()).count(False) >= 2, f"{start} to {end.name}"


def test_a_silo_reaches_its_data_through_its_own_api_and_is_reached_by_nobody() -> None:
    made = graph("silo")
    assert who_reaches(made, "data-api/data-api", 8443) == {NODE}
    for port in (443, 8443, FLEET_PORT, 9094):
        assert who_reaches(made, NODE, port) == set()


def test_a_silo_has_no_public_entrance() -> None:
    made = graph("silo")
    assert Network(made).balancers() == {}
    open_to_all = [
        rule.name for rule in made.of(INGRESS) if rule.inputs.get("cidrIpv4") in ("0.0.0.0/0", "::/0")
    ]
    assert open_to_all == []


def test_the_door_stands_where_no_pod_is() -> None:
    known = places_of(graph("federation"))
    door = known["federation-link"].addresses
    pods = [address for place in known.values() if place.is_pod for address in place.addresses]
    assert not any(each.overlaps(other) for each in door for other in pods)


# --- one protection is taken out ---------------------------------------------------------------------------


def closed(namespace: str) -> str:
    (found,) = [
        each.urn
        for each in graph("federation").of(POLICY)
        if each.inputs["metadata"] == {"name": "closed", "namespace": namespace}
    ]
    return found


def own(app: str) -> Resource:
    (found,) = [each for each in graph("federation").of(POLICY) if each.name == f"{app}-network"]
    return found


def without_policies() -> Graph:
    made = edited(graph("federation"), own("superlink").urn, lambda _: None)
    return edited(made, closed("federation"), lambda _: None)


def with_every_pod_admitted() -> Graph:
    policy = own("superlink")
    rules = [{"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": CONTROL_PORT}]}]
    opened = with_inputs(policy, "spec", "ingress", value=rules)
    return edited(graph("federation"), policy.urn, lambda _: opened)


def with_the_door_led_to_the_operators_port() -> Graph:
    groups = graph("federation").of("aws:ec2/securityGroup:SecurityGroup")
    group = next(each for each in groups if each.name == "federation-group")
    nodes = next(
        each.inputs["securityGroupId"]
        for each in graph("federation").of(INGRESS)
        if each.name == "federation-to-server-in"
    )
    ports = {"ipProtocol": "tcp", "fromPort": CONTROL_PORT, "toPort": CONTROL_PORT}
    made = added(
        graph("federation"),
        resource(INGRESS, securityGroupId=nodes, referencedSecurityGroupId=group.id, **ports),
        resource(
            INGRESS.replace("Ingress", "Egress").replace("ingress", "egress"),
            securityGroupId=group.id,
            referencedSecurityGroupId=nodes,
            **ports,
        ),
    )
    policy = own("superlink")
    rules = [
        {**rule, "ports": [{"protocol": "TCP", "port": CONTROL_PORT}]}
        for rule in policy.inputs["spec"]["ingress"]
    ]
    opened = with_inputs(policy, "spec", "ingress", value=rules)
    return edited(made, policy.urn, lambda _: opened)


TAKEN_OUT: dict[str, tuple[Callable[[], Graph], str]] = {
    "no policies around the server": (without_policies, "by-hand/stranger"),
    "a policy for every pod": (with_every_pod_admitted, "by-hand/stranger"),
    "a door to the operator's port": (with_the_door_led_to_the_operators_port, "federation-link"),
}


@pytest.mark.parametrize("case", TAKEN_OUT)
def test_without_a_protection_somebody_else_reaches_the_operators_door(case: str) -> None:
    broken, somebody = TAKEN_OUT[case]
    assert somebody in who_reaches(broken(), SERVER, CONTROL_PORT)


# --- enrolment ---------------------------------------------------------------------------------------------


def test_what_the_settings_name_is_enrolled_and_nobody_else() -> None:
    silos = values("federation")["federation"]["coordinates"]["silos"]
    made = graph("federation")
    (service,) = made.of(SERVICE)
    accounts = {each["account_id"] for each in silos}
    assert {each.split(":")[4] for each in service.inputs["allowedPrincipals"]} == accounts
    assert {each["name"]: each["public_key"] for each in silos} == read_keys(made)
    ranges = {
        IPv4Network(rule.inputs["cidrIpv4"])
        for rule in made.of(INGRESS)
        if rule.name.startswith("federation-from-")
    }
    assert ranges == {IPv4Network(each["cidr_block"]) for each in silos}


def read_keys(made: Graph) -> dict[str, str]:
    found: dict[str, str] = json.loads(environment(made, "superlink")["NODE_PUBLIC_KEYS"])
    return found


def test_a_silo_tells_the_federation_what_the_federation_writes_down() -> None:
    """The two files are one example: what the silo is and says is what is enrolled."""
    silo = values("silo")
    (enrolled,) = [
        each
        for each in values("federation")["federation"]["coordinates"]["silos"]
        if each["name"] == silo["federation"]["joins"]["silo"]
    ]
    assert enrolled["account_id"] == silo["account_id"]
    assert enrolled["region"] == silo["residency"]["home_region"]
    assert enrolled["cidr_block"] == silo["network"]["cidr_block"]
    coordinates = values("federation")["federation"]["coordinates"]
    assert coordinates["terms"] == silo["federation"]["joins"]["terms"]
    assert coordinates["app_entity"] in silo["federation"]["joins"]["trusted_entities"]


def signs_with(app: str) -> set[str]:
    (role,) = [
        role for role in roles_of(graph("federation")) if any(pod.endswith(f"/{app}") for pod in role.pods)
    ]
    return {key for right in role.rights if "kms:Sign" in right.actions for key in right.resources}


def test_the_server_signs_as_who_makes_models_and_not_as_who_judges_them() -> None:
    assert len(signs_with("superlink")) == 1
    assert signs_with("superlink") == signs_with("trainer")
    assert not signs_with("superlink") & signs_with("redteam")
    assert signs_with("federation-operator") == set()


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_without_the_section_nothing_of_a_federation_is_there(stack: str) -> None:
    assert "federation" not in values(stack)


# --- what the components pass, the programs read -----------------------------------------------------------


def environment(made: Graph, app: str) -> dict[str, str]:
    for each in made.resources:
        if each.type.endswith((":StatefulSet", ":CronJob")) and each.inputs["metadata"]["name"] == app:
            spec = each.inputs["spec"]
            spec = spec.get("jobTemplate", {}).get("spec", spec)
            (inside,) = spec["template"]["spec"]["containers"]
            return {one["name"]: str(one["value"]) for one in inside["env"]}
    raise AssertionError(f"nothing runs as {app}")


READ_BY_BOTO3 = {"AWS_ENDPOINT_URL_S3"}
"""Service-specific endpoints (AWS SDKs and Tools Reference Guide)."""

PROGRAMS: dict[str, tuple[str, type[Any]]] = {
    "superlink": ("federation", places.Server),
    "federation-operator": ("federation", places.Operator),
    "supernode": ("silo", places.Silo),
}


def passed(app: str) -> dict[str, str]:
    told = environment(graph(PROGRAMS[app][0]), app)
    return {name: value for name, value in told.items() if name not in READ_BY_BOTO3}


@pytest.mark.parametrize("app", PROGRAMS)
def test_a_program_reads_everything_that_its_component_passes(app: str) -> None:
    kind = PROGRAMS[app][1]
    assert set(passed(app)) <= set(places.BY_NAME[kind]), "the program would not hear of these"
    places.read(kind, passed(app))


def test_the_servers_doors_are_where_the_network_leads() -> None:
    server = places.read(places.Server, passed("superlink"))
    assert (server.port, server.control_port) == (FLEET_PORT, CONTROL_PORT)
    assert server.runtime_port not in (FLEET_PORT, CONTROL_PORT)
    assert server.secure_aggregation == "required"


@pytest.mark.parametrize(
    ("app", "left_out"),
    [
        ("supernode", "TRUSTED_ENTITIES"),
        ("supernode", "FEDERATION_ADDRESS"),
        ("supernode", "TERMS"),
        ("federation-operator", "SERVER_ADDRESS"),
        ("federation-operator", "TERMS"),
    ],
)
def test_what_a_program_cannot_do_without_is_passed(app: str, left_out: str) -> None:
    told = passed(app)
    assert told.pop(left_out)
    with pytest.raises(FederatedError, match=left_out):
        places.read(PROGRAMS[app][1], told)


def test_the_terms_that_the_examples_agree_to_are_terms() -> None:
    agreed = settings.read(passed("supernode")["TERMS"])
    assert agreed == settings.read(passed("federation-operator")["TERMS"])
    assert agreed.silos == len(values("federation")["federation"]["coordinates"]["silos"])
    assert agreed.inputs == len(passed("supernode")["COLUMNS"].split(","))
    assert agreed.protection == "secure-aggregation"


GRANTED_ONLY = {
    "supernode": {"kms:Decrypt", "kms:GenerateDataKey"},
}
"""What the AWS Encryption SDK asks for (``services/federated/silo_store.py``), which no line of ours names."""


@pytest.mark.parametrize(
    ("app", "asked_by"), [("superlink", "server"), ("federation-operator", "operator"), ("supernode", "silo")]
)
def test_a_role_may_do_what_its_program_does_and_nothing_else(app: str, asked_by: str) -> None:
    needed = {call.action for call in calls_of(f"services.federated.{asked_by}")}
    stack = PROGRAMS[app][0]
    (role,) = [each for each in roles_of(graph(stack)) if any(pod.endswith(f"/{app}") for pod in each.pods)]
    allowed = {
        action
        for right in role.rights
        # What a key does for a service that is called anyway.
        if not any("kms:ViaService" in each for each in right.conditions)
        for action in right.actions
    }
    assert allowed == needed | GRANTED_ONLY.get(app, set())


# --- what the settings refuse ------------------------------------------------------------------------------

ED25519 = values("silo")["federation"]["joins"]["trusted_entities"]["review-board"]
P384 = values("federation")["federation"]["coordinates"]["silos"][0]["public_key"]
P256 = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXY"
    "mMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
)
SILO = "federation.coordinates.silos"


def silo(index: int, key: str, value: Any) -> Change:
    def change(settings: dict[str, Any]) -> None:
        settings["federation"]["coordinates"]["silos"][index][key] = value

    return change


REFUSED: list[tuple[str, Change, str, str]] = [
    # (the stack, the change, the key it names, what it says)
    ("federation", silo(0, "public_key", ED25519), f"{SILO}[0].public_key", "ecdsa-sha2-nistp384"),
    ("federation", silo(0, "public_key", P256), f"{SILO}[0].public_key", "ecdsa-sha2-nistp384"),
    ("federation", silo(0, "public_key", "x"), f"{SILO}[0].public_key", "ssh-keygen -t ecdsa -b 384"),
    ("federation", silo(1, "public_key", P384), f"{SILO}[1].public_key", "another silo's too"),
    ("federation", silo(1, "account_id", "333344445555"), f"{SILO}[1].account_id", "another silo's too"),
    ("federation", silo(1, "name", "alpha"), f"{SILO}[1].name", "another silo's too"),
    ("federation", silo(0, "name", "Alpha"), f"{SILO}[0].name", "lower-case letters"),
    ("federation", silo(0, "region", "eu-central-1"), f"{SILO}[0].region", "jurisdiction 'us'"),
    ("federation", silo(0, "cidr_block", "10.0.0.0/8"), f"{SILO}[0].cidr_block", "/16 or narrower"),
    ("federation", silo(0, "cidr_block", "8.8.8.0/24"), f"{SILO}[0].cidr_block", "private IPv4 range"),
    ("federation", silo(0, "endpoint_id", "*"), f"{SILO}[0].endpoint_id", "vpce-"),
    ("federation", edit(SILO, []), SILO, "too few items"),
    ("federation", remove("services.redteam"), "services.", "red team"),
    (
        "federation",
        remove("services.load_balancer_controller"),
        "services.load_balancer_controller",
        "is missing",
    ),
    ("federation", remove("edge"), "edge", "is missing"),
    ("silo", edit("federation.joins.trusted_entities", {}), "federation.joins.trusted_entities", "too few"),
    (
        "silo",
        edit("federation.joins.trusted_entities", {"board": P384}),
        "federation.joins.trusted_entities.board",
        "ssh-ed25519",
    ),
    ("silo", edit("federation.joins.service_name", "s"), "federation.joins.service_name", "vpce-svc-"),
    (
        "silo",
        edit("federation.joins.service_name", "com.amazonaws.vpce.eu-central-1.vpce-svc-0a1b2c3d4e5f60718"),
        "federation.joins.service_name",
        "jurisdiction 'us'",
    ),
    ("silo", edit("federation.joins.domain_name", "*.x.org"), "federation.joins.domain_name", "domain name"),
    ("silo", remove("services.data_api"), "federation.joins", "add services.data_api"),
    ("silo", remove("federation.joins"), "edge", "is missing"),
]


@pytest.mark.parametrize(("stack", "change", "key", "words"), REFUSED)
def test_a_mistake_is_told_with_its_place(stack: str, change: Change, key: str, words: str) -> None:
    said = refusal(change, stack)
    assert f"stacks/Pulumi.{stack}.yaml: {key}" in said
    assert words in said


def test_a_key_that_is_refused_is_not_repeated() -> None:
    assert P256[20:60] not in refusal(silo(0, "public_key", P256), "federation")


def test_a_link_is_offered_in_the_regions_of_enrolled_silos_and_in_no_other() -> None:
    (service,) = graph("federation").of(SERVICE)
    assert set(service.inputs["supportedRegions"]) == {"us-east-1", "us-east-2", "us-west-2"}
