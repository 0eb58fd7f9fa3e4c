"""Workloads: sealed pods, an identity of their own, and no word with anybody who is not named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from blueprint.graph import Graph
from components.documents import Statement
from components.pod_network import Addresses, Pods, PublicAddresses, network_policy
from components.pods import Container, Image, Size
from components.workload import JobWorkload, Probe, Rights, ServiceWorkload
from tests.components.support import ACCOUNT, BOUNDARY, built, one, statement

DIGEST = "sha256:" + "a" * 64
IMAGE = Image(repository_url=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/platform/api", digest=DIGEST)
SMALL = Size(cpu="500m", memory="512Mi")
DEPLOYMENT, CRON_JOB = "kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:CronJob"
NETWORK = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
CALLER = Pods(namespace="training", app="trainer", port=8443)


def rights() -> Rights:
    return Rights(
        cluster_name="main",
        about="Reads its bucket",
        permissions_boundary_arn=BOUNDARY,
        statements=[Statement(sid="Read", actions=["s3:GetObject"], resources=["arn:aws:s3:::models/*"])],
    )


def container(**changes: Any) -> Container:
    said: dict[str, Any] = {"image": IMAGE, "size": SMALL, "environment": {"AWS_REGION": "us-east-1"}}
    return Container(**{**said, **changes})


def service(**changes: Any) -> Graph:
    said: dict[str, Any] = {
        "namespace": "data-api",
        "container": container(port=8443),
        "replicas": 2,
        "reached_by": [CALLER],
        "reaches": [Addresses(cidr="10.0.32.0/20", port=5432)],
        "probe": Probe(),
        "rights": rights(),
    }
    return built(lambda opts, _: ServiceWorkload("api", **{**said, **changes}, opts=opts))


def job(**changes: Any) -> Graph:
    said: dict[str, Any] = {
        "namespace": "training",
        "container": container(size=Size(cpu="2", memory="8Gi", gpus=1)),
        "deadline_seconds": 3600,
        "keep_seconds": 60,
        "retries": 2,
        "reaches": [],
        "rights": rights(),
    }
    return built(lambda opts, _: JobWorkload("trainer", **{**said, **changes}, opts=opts))


def pod_of(graph: Graph) -> dict[str, Any]:
    owners = graph.of(DEPLOYMENT) or [one(graph, CRON_JOB)]
    spec: dict[str, Any] = owners[0].inputs["spec"]
    found: dict[str, Any] = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("made", [service, job])
def test_a_pod_is_sealed(made: Callable[[], Graph]) -> None:
    pod = pod_of(made())
    (inside,) = pod["containers"]
    assert inside["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert (pod["hostNetwork"], pod["hostPID"], pod["hostIPC"]) == (False, False, False)
    assert [volume.get("emptyDir") for volume in pod["volumes"]] == [{"sizeLimit": "1Gi"}]


@pytest.mark.parametrize("made", [service, job])
def test_a_pod_is_bounded_and_promised_what_it_may_take(made: Callable[[], Graph]) -> None:
    resources = pod_of(made())["containers"][0]["resources"]
    assert set(resources["limits"]) >= {"cpu", "memory", "ephemeral-storage"}
    assert resources["limits"] == resources["requests"]


@pytest.mark.parametrize("made", [service, job])
def test_a_pod_is_somebody_and_holds_no_token_of_the_api_server(made: Callable[[], Graph]) -> None:
    graph = made()
    pod = pod_of(graph)
    account = one(graph, "kubernetes:core/v1:ServiceAccount").inputs
    assert pod["serviceAccountName"] == account["metadata"]["name"] != "default"
    assert pod["automountServiceAccountToken"] is account["automountServiceAccountToken"] is False


def test_pods_act_in_aws_under_a_role_of_their_service_account() -> None:
    graph = service()
    link = one(graph, "aws:eks/podIdentityAssociation:PodIdentityAssociation").inputs
    assert (link["namespace"], link["serviceAccount"]) == ("data-api", "api")
    role = one(graph, "aws:iam/role:Role")
    assert role.inputs["permissionsBoundary"] == BOUNDARY
    trust = statement(role, "PodsOfOneServiceAccount", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert "data-api" in str(trust["Condition"])
    assert statement(one(graph, "aws:iam/rolePolicy:RolePolicy"), "Read")["Action"] == ["s3:GetObject"]


def test_who_needs_nothing_of_aws_has_no_role_and_no_way_to_credentials() -> None:
    graph = service(rights=None)
    assert graph.of("aws:iam/role:Role") == []
    egress = one(graph, NETWORK).inputs["spec"]["egress"]
    assert "169.254.170.23" not in str(egress)


def test_a_pod_talks_to_whom_is_named_and_to_nobody_else() -> None:
    spec = one(service(), NETWORK).inputs["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app": "api"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (caller,) = spec["ingress"]
    assert caller == {"from": [CALLER.peer()], "ports": [{"protocol": "TCP", "port": 8443}]}
    names, credentials, database = spec["egress"]
    assert {each["port"] for each in names["ports"]} == {53}
    assert credentials["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]
    assert database == {
        "to": [{"ipBlock": {"cidr": "10.0.32.0/20"}}],
        "ports": [{"protocol": "TCP", "port": 5432}],
    }


def test_nobody_calls_a_job() -> None:
    assert one(job(), NETWORK).inputs["spec"]["ingress"] == []


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "10.0.0.0/8", "169.254.169.254/32", "169.254.0.0/16"], ids=str)
def test_no_peer_is_the_world_or_the_machine(cidr: str) -> None:
    with pytest.raises(ValueError, match="wider than a VPC, or link-local"):
        Addresses(cidr=cidr, port=443)


def test_public_addresses_are_nobodys_own() -> None:
    block = PublicAddresses(port=443).peer()["ipBlock"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])


def test_a_policy_is_about_pods_with_all_its_labels() -> None:
    said = network_policy({"a": "1", "b": "2"}, reached_by=[], reaches=[], calls_aws=False)
    assert said["podSelector"] == {"matchLabels": {"a": "1", "b": "2"}}


def test_a_service_survives_a_machine_and_a_zone() -> None:
    graph = service()
    spec = one(graph, DEPLOYMENT).inputs["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    zones, machines = pod_of(graph)["topologySpreadConstraints"]
    assert (zones["topologyKey"], zones["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "DoNotSchedule",
    )
    assert machines["topologyKey"] == "kubernetes.io/hostname"
    assert one(graph, "kubernetes:policy/v1:PodDisruptionBudget").inputs["spec"]["maxUnavailable"] == 1


def test_a_service_is_asked_over_tls_whether_it_lives() -> None:
    (inside,) = pod_of(service())["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert inside[probe]["httpGet"]["scheme"] == "HTTPS"
        assert inside[probe]["timeoutSeconds"] == 3


def test_a_service_is_reached_by_name_inside_the_cluster_alone() -> None:
    spec = one(service(), "kubernetes:core/v1:Service").inputs["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["ports"] == [{"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}]


def test_a_job_ends_and_goes_and_starts_when_somebody_wants_it() -> None:
    spec = one(job(), CRON_JOB).inputs["spec"]
    assert spec["suspend"] is True
    run = spec["jobTemplate"]["spec"]
    assert (run["activeDeadlineSeconds"], run["ttlSecondsAfterFinished"], run["backoffLimit"]) == (
        3600,
        60,
        2,
    )
    assert run["template"]["spec"]["restartPolicy"] == "Never"


def test_a_gpu_job_goes_to_the_gpus_and_no_other_pod_does() -> None:
    pod = pod_of(job())
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["nodeSelector"]["workload"] == "training"
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "tolerations" not in pod_of(service())


@pytest.mark.parametrize("made", [service, job])
def test_pods_start_after_all_that_guards_them(made: Callable[[], Graph]) -> None:
    graph = made()
    owner = next(r for r in graph.resources if r.type in (DEPLOYMENT, CRON_JOB))
    needed = {graph.by_urn()[urn].type for urn in owner.dependencies}
    # A dependency on a component stands for its children; the wire lists what it resolves to.
    assert {NETWORK, "kubernetes:core/v1:ServiceAccount"} <= needed
    assert any("podIdentity" in each or "PodIdentity" in each for each in needed)


@pytest.mark.parametrize(
    "digest",
    ["v1.2.3", "latest", "sha256:abc", "sha256:" + "A" * 64, "sha256:" + "a" * 64 + "\n", ""],
)
def test_an_image_by_anything_but_its_digest_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="a tag can be moved to another image"):
        Image(repository_url="r", digest=digest)


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "API_TOKEN", "SECRET", "apikey", "AWS_SECRET_ACCESS_KEY", "PRIVATE_KEY"]
)
def test_no_secret_goes_into_the_environment(name: str) -> None:
    with pytest.raises(ValueError, match="looks like a secret"):
        container(environment={name: "x"})


@pytest.mark.parametrize("name", ["TLS_SECRET_ID", "DATA_API_TOKEN_FILE", "SIGNING_KEY_ARN"])
def test_where_a_secret_is_may_be_said(name: str) -> None:
    assert name in container(environment={name: "x"}).environment


WRONG: Mapping[str, tuple[Callable[[], object], str]] = {
    "one replica": (lambda: service(replicas=1), "write 2 or more"),
    "no port": (lambda: service(container=container()), "a service listens"),
    "no deadline": (lambda: job(deadline_seconds=0), "write 1 to"),
    "a deadline in the next year": (lambda: job(deadline_seconds=400 * 86400), "write 1 to"),
    "kept for ever": (lambda: job(keep_seconds=-1), "write 0 to"),
    "endless retries": (lambda: job(retries=7), "write 0 to 6"),
    "no memory": (lambda: Size(cpu="1", memory="0"), "is no quantity"),
    "words for memory": (lambda: Size(cpu="1", memory="lots"), "is no quantity"),
    "too many GPUs": (lambda: Size(cpu="1", memory="1Gi", gpus=17), "a machine has 1 to 16"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_number_is_told_with_what_to_write(case: str) -> None:
    wrong, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        wrong()
