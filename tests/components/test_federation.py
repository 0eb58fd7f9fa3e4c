"""A federation's door, its server and a silo: who is enrolled comes to one port, the operator to another, nobody else anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from blueprint.graph import Graph
from components.federation import (
    CONTROL_PORT,
    FLEET_PORT,
    Doorway,
    Federation,
    Outcome,
    Runs,
    Surroundings,
)
from components.federation_door import MOST_SILOS, FederationDoor, Ground, Silo
from components.ml_jobs import Models
from components.model_signing import ModelSigningKey
from components.pod_network import Addresses, Pods
from components.rights import Secrets
from components.silo import FederationLink, Membership, Reading, SiloKey, SiloNode
from components.target_registration import TargetRegistration
from components.workload import SoleWorkload
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, named, one, statement, statements
from tests.components.test_workload import IMAGE, SMALL, container, rights

INGRESS, EGRESS = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
)
SERVICE = "aws:ec2/vpcEndpointService:VpcEndpointService"
ACCEPTER = "aws:ec2/vpcEndpointConnectionAccepter:VpcEndpointConnectionAccepter"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SET = "kubernetes:apps/v1:StatefulSet"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"

ALPHA = Silo(
    name="alpha",
    account_id="333344445555",
    region="us-west-2",
    cidr="10.80.0.0/16",
    endpoint_id="vpce-0a1b2c3d4e5f60718",
)
BETA = Silo(name="beta", account_id="555566667777", region="us-east-1", cidr="10.81.0.0/16")
STRANGER = Silo(name="stranger", account_id="999900001111", region="us-east-1", cidr="10.99.0.0/16")

NODE_KEY = "ecdsa-sha2-nistp384 AAAA"
TRAINER_KEY = key("candidates")
MODELS = Models(bucket="models", bucket_arn="arn:aws:s3:::models", key_arn=key("models"))


# --- the door ----------------------------------------------------------------------------------------------


def door(silos: Sequence[Silo] = (ALPHA, BETA), *, name: str = "federation") -> Graph:
    return built(
        lambda opts, _: FederationDoor(
            name,
            silos=silos,
            ground=Ground(
                vpc_id="vpc-1", subnet_ids=["subnet-a", "subnet-b"], node_security_group_id="sg-nodes"
            ),
            port=FLEET_PORT,
            region=HOME,
            opts=opts,
        )
    )


def test_the_accounts_of_enrolled_silos_alone_may_ask_for_an_endpoint_and_each_waits() -> None:
    service = one(door(), SERVICE).inputs
    assert service["acceptanceRequired"] is True
    assert service["allowedPrincipals"] == [
        "arn:aws:iam::333344445555:root",
        "arn:aws:iam::555566667777:root",
    ]
    assert service["supportedRegions"] == ["us-east-1", "us-west-2"]


def test_an_endpoint_is_accepted_that_the_operator_wrote_down_and_no_other() -> None:
    accepted = one(door(), ACCEPTER).inputs
    assert accepted["vpcEndpointId"] == ALPHA.endpoint_id
    assert door([BETA]).of(ACCEPTER) == []


def test_who_is_not_enrolled_has_no_rule_no_principal_and_no_acceptance() -> None:
    with_stranger, without = door([ALPHA, BETA, STRANGER]), door()
    for trace in (STRANGER.account_id, STRANGER.cidr):
        assert trace in _said(with_stranger), "or this test would see nothing"
        assert trace not in _said(without)


def _said(graph: Graph) -> str:
    return json.dumps([each.inputs for each in graph.resources])


def test_the_link_is_crossed_from_the_silos_ranges_to_one_port_and_to_none_besides() -> None:
    graph = door()
    (group,) = graph.of("aws:ec2/securityGroup:SecurityGroup")
    assert "ingress" not in group.inputs
    assert "egress" not in group.inputs
    inward = [each.inputs for each in graph.of(INGRESS) if each.inputs["securityGroupId"] == group.id]
    assert {(each["cidrIpv4"], each["fromPort"], each["toPort"]) for each in inward} == {
        (ALPHA.cidr, 443, 443),
        (BETA.cidr, 443, 443),
    }
    (outward,) = graph.of(EGRESS)
    assert (outward.inputs["referencedSecurityGroupId"], outward.inputs["fromPort"]) == (
        "sg-nodes",
        FLEET_PORT,
    )
    (balancer,) = graph.of("aws:lb/loadBalancer:LoadBalancer")
    said = balancer.inputs
    # Off, the group would admit everybody behind the link.
    assert said["enforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] == "on"
    assert (said["internal"], said["loadBalancerType"], said["securityGroups"]) == (
        True,
        "network",
        [group.id],
    )


def test_tls_passes_the_load_balancer_unopened_to_the_nodes_door() -> None:
    graph = door()
    (listener,) = graph.of("aws:lb/listener:Listener")
    assert (listener.inputs["protocol"], listener.inputs["port"]) == ("TCP", 443)
    assert "certificateArn" not in listener.inputs
    (targets,) = graph.of("aws:lb/targetGroup:TargetGroup")
    assert (targets.inputs["targetType"], targets.inputs["port"]) == ("ip", FLEET_PORT)


def test_the_operators_port_is_in_nothing_of_the_door() -> None:
    assert str(CONTROL_PORT) not in _said(door())


WRONG_DOORS: Mapping[str, tuple[Sequence[Silo], str]] = {
    "nobody": ([], "enrol 1 to"),
    "a crowd": ([replace(BETA, name=f"s-{n}") for n in range(MOST_SILOS + 1)], "enrol 1 to"),
    "one account twice": ([ALPHA, replace(BETA, account_id=ALPHA.account_id)], "the same account_id"),
    "one name twice": ([ALPHA, replace(BETA, name=ALPHA.name)], "the same name"),
    "one endpoint twice": ([ALPHA, replace(BETA, endpoint_id=ALPHA.endpoint_id)], "the same endpoint_id"),
}


@pytest.mark.parametrize("case", WRONG_DOORS)
def test_a_door_for_the_wrong_people_is_refused(case: str) -> None:
    silos, words = WRONG_DOORS[case]
    with pytest.raises(ValueError, match=words):
        door(silos)


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "0.0.0.0/0"])
def test_a_silo_is_no_wider_than_a_vpc(cidr: str) -> None:
    with pytest.raises(ValueError, match="wider than a VPC"):
        replace(ALPHA, cidr=cidr)


def test_a_silo_has_a_name_and_a_door_a_short_one() -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        replace(ALPHA, name="Alpha GmbH")
    with pytest.raises(ValueError, match="18 characters"):
        door(name="the-federation-of-all")


# --- the server --------------------------------------------------------------------------------------------


def surroundings(app: str, namespace: str) -> Surroundings:
    return Surroundings(
        cluster_name="main",
        namespace=namespace,
        needs=[],
        image=IMAGE,
        size=SMALL,
        secrets=Secrets(prefix=f"p/{app}/", account_id=ACCOUNT, region=HOME, key_arn=key("platform")),
        aws_endpoints=Addresses(cidr="10.0.0.0/16", port=443),
        region=HOME,
        permissions_boundary_arn=BOUNDARY,
    )


def federation(*, operator: str = "federation-operator", node_keys: Mapping[str, str] | None = None) -> Graph:
    def build(opts: pulumi.ResourceOptions, _: object) -> None:
        registration = TargetRegistration(
            "registration",
            cluster_name="main",
            vpc_id="vpc-1",
            region=HOME,
            registry_host="r",
            repository_prefix="p",
            image=IMAGE,
            target_group_arns={"federation": "arn:tg"},
            permissions_boundary_arn=BOUNDARY,
            needs=[],
            opts=opts,
        )
        Federation(
            "federation",
            server=surroundings("superlink", "federation"),
            operator=surroundings("federation-operator", operator),
            doorway=Doorway(cidrs=["10.0.0.0/20"], target_group_arn="arn:tg", registration=registration),
            outcome=Outcome(models=MODELS, s3_url="https://s3", signing_key_arn=TRAINER_KEY),
            node_keys={"beta": NODE_KEY, "alpha": NODE_KEY} if node_keys is None else node_keys,
            runs=Runs(terms={"rounds": 3}, app_entity="board", deadline_seconds=3600),
            opts=opts,
        )

    return built(build)


@pytest.fixture(scope="module")
def made() -> Graph:
    return federation()


def policy_of(graph: Graph, app: str) -> dict[str, Any]:
    spec: dict[str, Any] = named(graph, POLICY, f"{app}-network").inputs["spec"]
    return spec


def test_nodes_come_from_the_door_and_the_operator_from_its_own_namespace_each_to_a_port(made: Graph) -> None:
    came = {
        (json.dumps(rule["from"][0], sort_keys=True), rule["ports"][0]["port"])
        for rule in policy_of(made, "superlink")["ingress"]
    }
    operator = Pods(namespace="federation-operator", app="federation-operator", port=CONTROL_PORT).peer()
    assert came == {
        (json.dumps({"ipBlock": {"cidr": "10.0.0.0/20"}}), FLEET_PORT),
        (json.dumps(operator, sort_keys=True), CONTROL_PORT),
    }


def test_the_operators_port_is_in_no_target_group_and_in_no_policy_but_two(made: Graph) -> None:
    about = {each.name for each in made.resources if str(CONTROL_PORT) in json.dumps(each.inputs)}
    assert about == {
        "superlink-network",
        "federation-operator-network",
        # The address at which the operator's job finds it, and the server is told to listen.
        "superlink-service",
        "superlink-set",
        "federation-operator-job",
    }
    binding = next(each for each in made.resources if each.type.endswith(":TargetGroupBinding"))
    assert binding.inputs["spec"]["serviceRef"] == {"name": "superlink", "port": 443}
    ports = named(made, "kubernetes:core/v1:Service", "superlink-service").inputs["spec"]["ports"]
    assert [(each["port"], each["targetPort"]) for each in ports] == [
        (443, "https"),
        (CONTROL_PORT, CONTROL_PORT),
    ]


def server_environment(graph: Graph) -> dict[str, str]:
    (inside,) = named(graph, SET, "superlink-set").inputs["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in inside["env"]}


def test_the_server_knows_whose_nodes_are_enrolled_and_takes_no_update_without_a_mask(made: Graph) -> None:
    told = server_environment(made)
    assert json.loads(told["NODE_PUBLIC_KEYS"]) == {"alpha": NODE_KEY, "beta": NODE_KEY}
    assert told["SECURE_AGGREGATION"] == "required"
    # Two authorities: what a silo holds opens no door of the operator's.
    assert told["OPERATOR_CA_SECRET_ID"] != told["TLS_SECRET_ID"]


def test_there_is_one_server_and_it_keeps_nothing(made: Graph) -> None:
    spec = named(made, SET, "superlink-set").inputs["spec"]
    assert spec["replicas"] == 1
    assert "volumeClaimTemplates" not in spec
    assert [volume["name"] for volume in spec["template"]["spec"]["volumes"]] == ["scratch"]


def test_the_server_writes_candidates_and_signs_them_and_can_do_nothing_else(made: Graph) -> None:
    policy = named(made, ROLE_POLICY, "superlink-identity-role")
    allowed = {action: each["Resource"] for each in statements(policy) for action in each["Action"]}
    assert set(allowed) == {
        "s3:PutObject",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:GetPublicKey",
        "kms:Sign",
        "secretsmanager:GetSecretValue",
    }
    assert allowed["s3:PutObject"] == ["arn:aws:s3:::models/candidates/*"]
    assert allowed["kms:Sign"] == [TRAINER_KEY]
    assert all(":secret:p/superlink/*" in where for where in allowed["secretsmanager:GetSecretValue"])


def test_who_starts_runs_reads_its_secrets_and_signs_nothing(made: Graph) -> None:
    policy = named(made, ROLE_POLICY, "federation-operator-identity-role")
    assert {action for each in statements(policy) for action in each["Action"]} == {
        "kms:Decrypt",
        "secretsmanager:GetSecretValue",
    }


def test_the_operators_jobs_do_not_run_where_the_server_does() -> None:
    with pytest.raises(ValueError, match="give each its own"):
        federation(operator="federation")


def test_a_federation_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="learns nothing"):
        federation(node_keys={})


def test_a_key_of_two_signers_signs_for_each_in_its_own_place_and_for_no_mixture() -> None:
    graph = built(
        lambda opts, _: ModelSigningKey(
            "candidates",
            cluster_name="main",
            namespace="training",
            service_account="trainer",
            others=[("federation", "superlink")],
            about="Says who made a model",
            administrator_arns=["arn:aws:iam::111122223333:role/operator"],
            deletion_window_days=30,
            account_id=ACCOUNT,
            region=HOME,
            opts=opts,
        )
    )
    policy = one(graph, "aws:kms/key:Key")
    signers = [
        each["Condition"]["StringEquals"] for each in statements(policy) if "kms:Sign" in each["Action"]
    ]
    tags = "aws:PrincipalTag/kubernetes-"
    assert [(each[f"{tags}namespace"], each[f"{tags}service-account"]) for each in signers] == [
        ("training", "trainer"),
        ("federation", "superlink"),
    ]


# --- what there is one of ----------------------------------------------------------------------------------


def sole(**changes: Any) -> Graph:
    said: dict[str, Any] = {"namespace": "n", "container": container(), "reaches": [], "rights": rights()}
    return built(lambda opts, _: SoleWorkload("sole", **{**said, **changes}, opts=opts))


def test_what_does_not_listen_has_no_name_in_the_cluster_and_nobody_calls_it() -> None:
    graph = sole()
    assert graph.of("kubernetes:core/v1:Service") == []
    assert one(graph, POLICY).inputs["spec"]["ingress"] == []


def test_what_listens_is_asked_whether_it_does() -> None:
    graph = sole(container=container(port=9092), reached_by=[Addresses(cidr="10.0.0.0/20", port=9092)])
    (inside,) = one(graph, SET).inputs["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert inside[probe]["tcpSocket"] == {"port": 9092}


@pytest.mark.parametrize(
    "changes", [{"reached_by": [Pods(namespace="n", app="a", port=1)]}, {"other_ports": {"control": 1}}]
)
def test_a_way_into_what_does_not_listen_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="listens on no port"):
        sole(**changes)


def test_a_controller_of_one_namespace_looks_at_no_other_and_changes_its_groups_alone() -> None:
    def registration(**groups: str) -> Graph:
        return built(
            lambda opts, _: TargetRegistration(
                "registration",
                cluster_name="main",
                vpc_id="vpc-1",
                region=HOME,
                registry_host="r",
                repository_prefix="p",
                image=IMAGE,
                target_group_arns=groups,
                permissions_boundary_arn=BOUNDARY,
                needs=[],
                opts=opts,
            )
        )

    release = "kubernetes:helm.sh/v3:Release"
    assert one(registration(serving="arn:a"), release).inputs["values"]["watchNamespace"] == "serving"
    both = registration(serving="arn:a", federation="arn:b")
    assert "watchNamespace" not in one(both, release).inputs["values"]
    said = statement(named(both, ROLE_POLICY, "registration-identity-role"), "RegisterInTheseGroups")
    assert said["Resource"] == ["arn:a", "arn:b"]
    with pytest.raises(ValueError, match="target_group_arns is empty"):
        registration()


# --- a silo ------------------------------------------------------------------------------------------------


def link(service_region: str = "us-east-1") -> Graph:
    return built(
        lambda opts, _: FederationLink(
            "federation",
            service_name=f"com.amazonaws.vpce.{service_region}.vpce-svc-0a1b2c3d4e5f60718",
            service_region=service_region,
            domain_name="server.federation.example.org",
            vpc_id="vpc-1",
            subnet_ids=["subnet-a", "subnet-b"],
            node_security_group_id="sg-nodes",
            region=HOME,
            opts=opts,
        )
    )


def test_a_silo_calls_the_federation_under_its_name_and_is_called_by_nobody() -> None:
    graph = link()
    endpoint = one(graph, "aws:ec2/vpcEndpoint:VpcEndpoint")
    group = one(graph, "aws:ec2/securityGroup:SecurityGroup")
    assert endpoint.inputs["securityGroupIds"] == [group.id]
    inward = one(graph, INGRESS).inputs
    assert (inward["securityGroupId"], inward["referencedSecurityGroupId"]) == (group.id, "sg-nodes")
    # Nothing goes from the endpoint to the machines.
    outward = one(graph, EGRESS).inputs
    assert (outward["securityGroupId"], outward["referencedSecurityGroupId"]) == ("sg-nodes", group.id)
    record = one(graph, "aws:route53/record:Record").inputs
    assert record["aliases"][0]["name"] == endpoint.outputs["dnsEntries"][0]["dnsName"]
    assert one(graph, "aws:route53/zone:Zone").inputs["vpcs"] == [{"vpcId": "vpc-1"}]


def test_a_federation_elsewhere_is_asked_for_where_it_is() -> None:
    endpoint = one(link("us-west-2"), "aws:ec2/vpcEndpoint:VpcEndpoint").inputs
    assert endpoint["serviceRegion"] == "us-west-2"
    assert "serviceRegion" not in one(link(HOME), "aws:ec2/vpcEndpoint:VpcEndpoint").inputs


def silo_key(administrators: Sequence[str] = ("arn:aws:iam::111122223333:role/operator",)) -> Graph:
    return built(
        lambda opts, _: SiloKey(
            "silo",
            cluster_name="main",
            namespace="silo",
            administrator_arns=administrators,
            deletion_window_days=30,
            account_id=ACCOUNT,
            region=HOME,
            opts=opts,
        )
    )


def test_what_a_silo_keeps_is_opened_by_its_node_and_by_no_role_beside() -> None:
    made = one(silo_key(), "aws:kms/key:Key")
    uses = [each for each in statements(made) if {"kms:Decrypt", "kms:*"} & set(each["Action"])]
    assert [each["Sid"] for each in uses] == ["OnlyTheNodeUses"]
    said = uses[0]["Condition"]["StringEquals"]
    assert said["kms:CallerAccount"] == ACCOUNT
    assert said["aws:PrincipalTag/kubernetes-namespace"] == "silo"
    assert said["aws:PrincipalTag/kubernetes-service-account"] == "supernode"
    assert made.inputs["enableKeyRotation"] is True
    assert made.protect


def test_a_key_that_nobody_administers_is_refused() -> None:
    with pytest.raises(ValueError, match="administrator_arns is empty"):
        silo_key(())


def node(trusted: Mapping[str, str] | None = None) -> Graph:
    return built(
        lambda opts, _: SiloNode(
            "silo",
            surroundings=surroundings("supernode", "silo"),
            membership=Membership(
                domain_name="server.federation.example.org",
                silo="alpha",
                trusted_entities={"board": "ssh-ed25519 AAAA"} if trusted is None else trusted,
                terms={"rounds": 3},
            ),
            store_key_arn=key("silo"),
            reading=Reading(
                data_api=Pods(namespace="data-api", app="data-api", port=8443),
                dataset="readings",
                purpose="research",
                columns=["age", "glucose"],
                label="admitted",
            ),
            opts=opts,
        )
    )


def test_a_node_reaches_its_data_access_api_and_the_link_and_has_no_way_in() -> None:
    graph = node()
    spec = policy_of(graph, "supernode")
    assert spec["ingress"] == []
    reached = [rule["to"][0] for rule in spec["egress"][2:]]
    assert reached == [
        Pods(namespace="data-api", app="data-api", port=8443).peer(),
        {"ipBlock": {"cidr": "10.0.0.0/16"}},
    ]
    assert graph.of("kubernetes:core/v1:Service") == []


def test_a_node_may_use_its_key_and_read_its_secrets_and_nothing_of_any_bucket_or_database() -> None:
    policy = named(node(), ROLE_POLICY, "supernode-identity-role")
    assert {action for each in statements(policy) for action in each["Action"]} == {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "secretsmanager:GetSecretValue",
    }
    assert statement(policy, "SealAndOpenItsStore")["Resource"] == [key("silo")]


def test_a_node_knows_the_server_and_whose_apps_it_runs() -> None:
    (inside,) = one(node(), SET).inputs["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each["value"] for each in inside["env"]}
    assert {"FEDERATION_CA_SECRET_ID", "NODE_KEY_SECRET_ID", "STORE_KEY_ARN"} <= set(told)
    assert json.loads(told["TRUSTED_ENTITIES"]) == {"board": "ssh-ed25519 AAAA"}
    assert json.loads(told["TERMS"]) == {"rounds": 3}
    assert told["COLUMNS"] == "age,glucose"


def test_a_node_that_trusts_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="run whatever it is sent"):
        node({})
