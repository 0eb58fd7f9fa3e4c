"""Services in the platform: who may sign, release, read and spend; and what their settings refuse."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from blueprint import program
from blueprint.graph import Graph, Resource
from tests.components.support import named, one, statement, statements
from tests.stacks.test_cluster import EXISTING, POOL, platform
from tests.stacks.test_settings import Change, edit, refusal, remove

ROLE_POLICY, KEY = "aws:iam/rolePolicy:RolePolicy", "aws:kms/key:Key"
CLUSTER_POLICY = "kubernetes:kyverno.io/v1:ClusterPolicy"
RELEASE = "kubernetes:helm.sh/v3:Release"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
DIGEST = "sha256:" + "b" * 64


@cache
def prod() -> Graph:
    return program.run("prod")


def rights(workload: str) -> dict[str, list[str]]:
    """Return the actions of a workload's role by the sid of their statement."""
    policy = named(prod(), ROLE_POLICY, f"{workload}-identity-role")
    return {each["Sid"]: each["Action"] for each in statements(policy)}


def actions(workload: str) -> set[str]:
    return {action for found in rights(workload).values() for action in found}


def resources(workload: str, action: str) -> set[str]:
    policy = named(prod(), ROLE_POLICY, f"{workload}-identity-role")
    return {
        resource
        for each in statements(policy)
        if action in each["Action"]
        for resource in ([each["Resource"]] if isinstance(each["Resource"], str) else each["Resource"])
    }


# --- separation of duties ----------------------------------------------------------------------------------


def test_who_trains_signs_as_itself_and_cannot_release() -> None:
    assert not resources("trainer", "kms:Sign") & resources("redteam", "kms:Sign")
    assert all(where.endswith("/candidates/*") for where in resources("trainer", "s3:PutObject"))
    assert "s3:GetObject" not in actions("trainer")


def test_the_red_team_releases_and_cannot_make_a_candidate() -> None:
    both = resources("trainer", "kms:Sign") | resources("redteam", "kms:Sign")
    assert resources("redteam", "kms:GetPublicKey") == both
    assert all(where.endswith("/released/*") for where in resources("redteam", "s3:PutObject"))
    assert all(where.endswith("/candidates/*") for where in resources("redteam", "s3:GetObject"))


def test_the_gateway_asks_for_both_signatures_and_makes_none() -> None:
    both = resources("trainer", "kms:Sign") | resources("redteam", "kms:Sign")
    assert resources("gateway", "kms:GetPublicKey") == both
    assert len(both) == 2
    assert not {"kms:Sign", "s3:PutObject", "s3:DeleteObject"} & actions("gateway")
    assert all(where.endswith("/released/*") for where in resources("gateway", "s3:GetObject"))


def test_the_gateway_spends_budgets_in_its_own_table_and_cannot_list_or_empty_it() -> None:
    spent = {action for action in actions("gateway") if action.startswith("dynamodb:")}
    assert spent == {"dynamodb:UpdateItem"}
    (where,) = resources("gateway", "dynamodb:UpdateItem")
    assert "budgets" in where


@pytest.mark.parametrize("workload", ["trainer", "redteam", "gateway"])
def test_nobody_but_the_data_api_signs_in_to_the_database(workload: str) -> None:
    assert "rds-db:connect" not in actions(workload)


def test_the_data_api_signs_in_as_its_own_user_of_one_database() -> None:
    (where,) = resources("data-api", "rds-db:connect")
    assert where.startswith("arn:aws:rds-db:us-east-1:")
    assert where.endswith("/data_api")
    assert "*" not in where


@pytest.mark.parametrize("workload", ["trainer", "redteam", "gateway", "data-api"])
def test_a_service_reads_no_secret_but_its_own(workload: str) -> None:
    for where in resources(workload, "secretsmanager:GetSecretValue"):
        assert where.endswith(f":secret:secure-ml-platform-prod/{workload}/*")


@pytest.mark.parametrize("workload", ["gateway", "data-api"])
def test_a_log_can_be_added_to_and_neither_read_nor_emptied(workload: str) -> None:
    assert {action for action in actions(workload) if action.startswith("logs:")} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


@pytest.mark.parametrize(
    ("key", "namespace", "pods"),
    [("candidates-signing-key", "training", "trainer"), ("models-signing-key", "redteam", "redteam")],
)
def test_a_key_signs_for_the_pods_of_one_account_and_for_no_role_beside(
    key: str, namespace: str, pods: str
) -> None:
    found = next(each for each in prod().of(KEY) if each.name.endswith(key))
    sign = statement(found, "OnlyThesePodsSign")
    assert sign["Action"] == ["kms:Sign"]
    assert sign["Condition"]["StringEquals"]["aws:PrincipalTag/kubernetes-service-account"] == pods
    assert sign["Condition"]["StringEquals"]["aws:PrincipalTag/kubernetes-namespace"] == namespace
    others = [each for each in statements(found) if each["Sid"] != "OnlyThesePodsSign"]
    assert not any("kms:Sign" in each["Action"] or "kms:*" in each["Action"] for each in others)


def duties(namespace: str) -> dict[str, set[tuple[str, str]]]:
    """Return what each group may do in a namespace, as pairs of verb and resource."""
    roles = {
        role.inputs["metadata"]["name"]: role
        for role in prod().of("kubernetes:rbac.authorization.k8s.io/v1:Role")
        if role.inputs["metadata"]["namespace"] == namespace
    }
    return {
        binding.inputs["subjects"][0]["name"]: {
            (verb, kind)
            for rule in roles[binding.inputs["roleRef"]["name"]].inputs["rules"]
            for verb in rule["verbs"]
            for kind in rule["resources"]
        }
        for binding in prod().of("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding")
        if binding.inputs["metadata"]["namespace"] == namespace
    }


def test_who_starts_training_cannot_start_what_signs() -> None:
    jobs = {("create", "jobs"), ("delete", "jobs")}
    assert duties("training") == {"platform:ml-engineer": jobs}
    assert duties("redteam") == {"platform:operator": jobs}


def test_services_are_restarted_and_not_rewritten() -> None:
    for namespace in ("data-api", "serving"):
        assert duties(namespace) == {"platform:operator": {("delete", "pods")}}


# --- signatures --------------------------------------------------------------------------------------------


def test_every_image_is_verified_against_the_platforms_key_and_nothing_runs_while_nobody_can() -> None:
    spec = one(prod(), CLUSTER_POLICY).inputs["spec"]
    assert spec["failurePolicy"] == "Fail"
    (rule,) = spec["rules"]
    assert "exclude" not in rule
    (check,) = rule["verifyImages"]
    assert check["imageReferences"] == ["*"]
    assert (check["failureAction"], check["required"], check["verifyDigest"]) == ("Enforce", True, True)
    signing = next(each for each in prod().of(KEY) if each.name.endswith("registry-signing"))
    arn = signing.outputs["arn"]
    assert check["attestors"][0]["entries"][0]["keys"]["kms"] == f"awskms:///{arn}"


def kyverno() -> dict[str, Any]:
    (release,) = [each for each in prod().of(RELEASE) if each.inputs["name"] == "kyverno"]
    return release.inputs


def test_kyverno_is_our_copy_in_a_version_and_with_digests_of_ours() -> None:
    release = kyverno()
    host = release["chart"].split("/")[2]
    assert release["chart"] == f"oci://{host}/secure-ml-platform-prod/mirror/charts/kyverno"
    assert host.endswith(".dkr.ecr.us-east-1.amazonaws.com")
    assert release["version"]
    admission = release["values"]["admissionController"]
    for image in (admission["container"]["image"], admission["initContainer"]["image"]):
        assert image["registry"] == host
        assert "@sha256:" in image["tag"]


def test_kyverno_makes_no_exceptions_and_has_no_controller_that_is_not_needed() -> None:
    values = kyverno()["values"]
    assert values["features"]["policyExceptions"] == {"enabled": False}
    assert values["features"]["forceFailurePolicyIgnore"] == {"enabled": False}
    assert values["features"]["registryClient"]["allowInsecure"] is False
    for controller in ("backgroundController", "cleanupController", "reportsController"):
        assert values[controller] == {"enabled": False}
    account = values["admissionController"]["rbac"]["serviceAccount"]
    assert account["automountServiceAccountToken"] is False


def needed(graph: Graph, resource: Resource) -> set[str]:
    """Return the URNs of everything that must be there before a resource."""
    index, found, waiting = graph.by_urn(), set[str](), [resource]
    while waiting:
        for urn in waiting.pop().dependencies:
            if urn not in found:
                found.add(urn)
                waiting.append(index[urn])
    return found


def test_no_workload_is_deployed_before_its_gate_stands() -> None:
    gate = {
        each.urn
        for each in prod().resources
        if each.type.endswith((":ValidatingAdmissionPolicyBinding", ":ClusterPolicy"))
    }
    assert len(gate) == 7
    for each in prod().resources:
        if each.type.endswith((":Deployment", ":CronJob")):
            assert gate <= needed(prod(), each), each.name


def test_kyverno_is_called_by_the_control_plane_alone() -> None:
    (policy,) = [each for each in prod().of(POLICY) if each.inputs["metadata"]["name"] == "kyverno"]
    private = {s.inputs["cidrBlock"] for s in prod().of("aws:ec2/subnet:Subnet") if "private" in s.name}
    callers = policy.inputs["spec"]["ingress"]
    assert {peer["ipBlock"]["cidr"] for rule in callers for peer in rule["from"]} == private
    assert {port["port"] for rule in callers for port in rule["ports"]} == {9443}


# --- the way in ---------------------------------------------------------------------------------------------


def test_what_registers_pods_changes_one_target_group_and_makes_nothing_in_aws() -> None:
    (group,) = prod().of("aws:lb/targetGroup:TargetGroup")
    assert resources("registration", "elasticloadbalancing:RegisterTargets") == {group.outputs["arn"]}
    changing = {each for each in actions("registration") if ":Describe" not in each}
    assert changing == {"elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"}


def test_what_registers_pods_is_our_copy_for_one_namespace() -> None:
    (release,) = [each.inputs for each in prod().of(RELEASE) if each.inputs["name"] != "kyverno"]
    host = release["chart"].split("/")[2]
    assert release["values"]["image"]["repository"].startswith(f"{host}/secure-ml-platform-prod/mirror/")
    assert "@sha256:" in release["values"]["image"]["tag"]
    assert release["values"]["watchNamespace"] == "serving"
    for key in ("createIngressClassResource", "enableServiceMutatorWebhook", "enableBackendSecurityGroup"):
        assert release["values"][key] is False


def test_the_gateways_pods_stand_behind_the_load_balancer_once_somebody_registers_them() -> None:
    (binding,) = [each for each in prod().resources if each.type.endswith(":TargetGroupBinding")]
    (group,) = prod().of("aws:lb/targetGroup:TargetGroup")
    assert binding.inputs["spec"]["targetGroupARN"] == group.outputs["arn"]
    assert binding.inputs["spec"]["targetType"] == group.inputs["targetType"] == "ip"
    registers = {each.urn for each in prod().of(RELEASE)}
    assert registers <= needed(prod(), binding)


# --- bounds ------------------------------------------------------------------------------------------------


def test_a_budget_warns_half_way_at_the_end_and_on_the_way() -> None:
    budget = one(prod(), "aws:budgets/budget:Budget").inputs
    assert (budget["budgetType"], budget["timeUnit"], budget["limitUnit"]) == ("COST", "MONTHLY", "USD")
    told = [(each["notificationType"], each["threshold"]) for each in budget["notifications"]]
    assert told == [("ACTUAL", 50), ("ACTUAL", 100), ("FORECASTED", 100)]
    types = {
        kind for group in prod().of("aws:eks/nodeGroup:NodeGroup") for kind in group.inputs["instanceTypes"]
    }
    (counted,) = budget["costFilters"]
    assert set(counted["values"]) == {kind for kind in types if kind[0] in "gp"}


def test_a_quota_has_room_for_what_it_is_for_and_no_more() -> None:
    for environment in ("dev", "prod"):
        graph = program.run(environment)
        quotas = {
            each.inputs["metadata"]["namespace"]: each.inputs["spec"]["hard"]
            for each in graph.of("kubernetes:core/v1:ResourceQuota")
        }
        for deployment in graph.of("kubernetes:apps/v1:Deployment"):
            replicas = deployment.inputs["spec"]["replicas"]
            (inside,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
            hard = quotas[deployment.inputs["metadata"]["namespace"]]
            assert hard["pods"] == str(replicas + 1)
            asked = int(inside["resources"]["limits"]["cpu"].removesuffix("m"))
            assert hard["limits.cpu"] == f"{(replicas + 1) * asked}m"


# --- without, and in a VPC that was brought ----------------------------------------------------------------


def test_without_services_the_rules_of_the_api_server_stand_and_nothing_runs() -> None:
    graph = platform(remove("services"))
    assert len(graph.of("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding")) == 6
    assert not [each for each in graph.resources if each.type.endswith((":Deployment", ":CronJob"))]
    assert graph.of(RELEASE) == []


def test_in_a_vpc_that_was_brought_policies_name_its_own_ranges() -> None:
    graph = platform(edit("network.existing", EXISTING), edit("training.pools", [POOL]))
    (kyverno,) = [each for each in graph.of(POLICY) if each.inputs["metadata"]["name"] == "kyverno"]
    callers = {p["ipBlock"]["cidr"] for rule in kyverno.inputs["spec"]["ingress"] for p in rule["from"]}
    assert callers == set(EXISTING["private_cidrs"])


@pytest.mark.parametrize(
    ("vpc", "service"), [("10.60.0.0/16", "172.20.0.0/16"), ("172.20.0.0/20", "10.100.0.0/16")]
)
def test_services_have_addresses_that_are_not_the_vpcs(vpc: str, service: str) -> None:
    graph = platform(edit("network.cidr_block", vpc))
    cluster = one(graph, "aws:eks/cluster:Cluster").inputs
    assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == service
    (kyverno,) = [each for each in graph.of(POLICY) if each.inputs["metadata"]["name"] == "kyverno"]
    assert service.replace(".0/16", ".1/32") in json.dumps(kyverno.inputs["spec"]["egress"])


# --- settings ----------------------------------------------------------------------------------------------

TAGGED = f"111122223333.dkr.ecr.us-east-1.amazonaws.com/data-api@{DIGEST}"

MISTAKES: list[tuple[Change, str, str]] = [
    (edit("services.data_api.image", "v1.4.2"), "services.data_api.image", "a tag can be moved"),
    (edit("services.data_api.image", "latest"), "services.data_api.image", "sha256: and 64"),
    (edit("services.data_api.image", "sha256:abc"), "services.data_api.image", "sha256: and 64"),
    (edit("services.data_api.image", TAGGED), "services.data_api.image", "write the digest alone"),
    (edit("services.gateway.image", f"docker.io/x@{DIGEST}"), "services.gateway.image", "platform's own"),
    (edit("services.signatures.kyverno", "v1.18.2"), "services.signatures.kyverno", "a tag can be moved"),
    (remove("services.signatures"), "services.signatures", "mirror Kyverno"),
    (remove("services.signatures.kyvernopre"), "services.signatures.kyvernopre", "is missing"),
    (edit("services.data_api.replicas", 1), "services.data_api.replicas", "2"),
    (edit("services.data_api.memory_mb", 1), "services.data_api.memory_mb", "128"),
    (remove("services.trainer"), "services.redteam", "add trainer"),
    (edit("services.trainer.gpu_quota", 0), "services.trainer.gpu_quota", "is below the 1 GPUs"),
    (edit("services.trainer.gpus", 17), "services.trainer.gpus", "16"),
    (edit("services.trainer.deadline_hours", 0), "services.trainer.deadline_hours", "1"),
    (edit("services.trainer.epsilon", 0), "services.trainer.epsilon", "0"),
    (edit("services.trainer.epsilon", 100), "services.trainer.epsilon", "10"),
    (edit("services.trainer.delta", 0.5), "services.trainer.delta", "0.001"),
    (remove("services.trainer.epsilon"), "services.trainer.epsilon", "is missing"),
    (remove("services.data_api"), "services.trainer", "add data_api"),
    (remove("services.redteam"), "services.gateway", "add redteam"),
    (
        remove("services.load_balancer_controller"),
        "services.load_balancer_controller",
        "nothing registers the gateway",
    ),
    (edit("services.notebook", {"image": DIGEST}), "services.notebook", "unknown key"),
    (edit("training.monthly_budget_usd", 0), "training.monthly_budget_usd", "1"),
    (remove("training.monthly_budget_usd"), "training.monthly_budget_usd", "US dollars a month"),
    (edit("training", {}), "services.trainer.gpus", "has no machines"),
]


@pytest.mark.parametrize(("change", "key", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_to_write(change: Change, key: str, words: str) -> None:
    said: Any = refusal(change)
    assert f"stacks/Pulumi.prod.yaml: {key}" in said
    assert words in said
