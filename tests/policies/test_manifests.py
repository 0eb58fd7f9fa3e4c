"""The pack sees every pod that pulumi-kubernetes can register, and says so where it cannot see them."""

from __future__ import annotations

import re
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.pack import RunningPack
from machinery.manifests import manifests
from machinery.pods import pods
from machinery.subject import Resource
from tests.policies.case_eks import cluster, node_group
from tests.policies.case_eks_pods import KINDS, container, deployment, spec
from tests.policies.cases import Program, judged, k8s, problems, recorded, waits

SDK = Path(k8s.__file__).parent

_SPEC = re.compile(r"class (\w+?)(?:Spec)?\(dict\)")
_HOLDS_PODS = re.compile(r"def \w+\(self\) -> .*(?:PodTemplateSpec|JobTemplateSpec|outputs\.PodSpec)'")


def kinds_that_hold_pods() -> set[str]:
    """Return the kinds of the SDK whose own properties, or whose spec's, hold a pod."""
    found = set()
    for source in SDK.glob("*/*/outputs.py"):
        owner = ""
        for line in source.read_text().splitlines():
            if declared := _SPEC.match(line):
                owner = declared.group(1)
            elif _HOLDS_PODS.search(line):
                found.add(owner)
    # What a CronJob holds is no kind of its own.
    return found - {"JobTemplate"}


def test_no_kind_of_the_sdk_that_holds_pods_is_left_out() -> None:
    found = kinds_that_hold_pods()
    assert {"Pod", "Deployment", "CronJob"} <= found
    assert found <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pod_of_every_kind_is_found(kind: str) -> None:
    held = [
        pod
        for resource in recorded(lambda: KINDS[kind](spec())).resources
        for manifest in manifests(Resource(value=resource.outputs, type=resource.type, urn=resource.urn))
        for pod in pods(manifest)
    ]
    assert [[each.value.get("name") for each in pod.containers()] for pod in held] == [["main"]]


def test_the_members_of_a_list_are_objects_of_their_own() -> None:
    whole = Resource(
        type="kubernetes:core/v1:List",
        value={
            "kind": "List",
            "items": [
                {"apiVersion": "apps/v1", "kind": "Deployment"},
                {"apiVersion": "v1", "kind": "Pod"},
                "odd",
            ],
        },
    )
    found = [(each.group, each.kind, each.path) for each in manifests(whole)]
    assert found == [
        ("apps", "Deployment", "items[0]"),
        ("core", "Pod", "items[1]"),
        ("core", "", "items[2]"),
    ]


@pytest.mark.parametrize(
    ("token", "kind", "patch"),
    [("DeploymentPatch", "Deployment", True), ("Deployment", "Deployment", False), ("Patch", "Patch", False)],
)
def test_a_patch_is_told_from_a_kind_that_is_called_so(token: str, kind: str, patch: bool) -> None:
    resource = Resource(type=f"kubernetes:apps/v1:{token}", value={"kind": kind})
    assert [(each.kind, each.patch) for each in manifests(resource)] == [(kind, patch)]


OPAQUE: dict[str, Program] = {
    "release": lambda: k8s.helm.v3.Release("opaque", chart="kyverno", version="3.5.2"),
    "chart": lambda: k8s.helm.v4.Chart("opaque", chart="kyverno", version="3.5.2"),
    "files": lambda: k8s.yaml.v2.ConfigGroup("opaque", files=["manifests/*.yaml"]),
    "argo": lambda: k8s.apiextensions.CustomResource(
        "opaque", api_version="argoproj.io/v1alpha1", kind="Application", spec={"source": {}}
    ),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_pods_that_something_else_makes_are_undecided(kind: str, pack: RunningPack) -> None:
    assert waits(judged(pack, OPAQUE[kind]), "EKS-09") == ["what pods a chart or a file makes"]


def test_a_pod_with_unknown_containers_is_undecided(pack: RunningPack) -> None:
    def program() -> None:
        other = aws.ec2.Eip("address", domain="vpc")
        deployment({"containers": other.public_ip.apply(lambda _: [container()])})

    verdict = judged(pack, program, unknowns=True)
    for control in ("EKS-07", "EKS-08", "EKS-09", "EKS-12", "EKS-18"):
        assert waits(verdict, control), control


def test_a_patch_that_leaves_something_out_is_undecided(pack: RunningPack) -> None:
    def program() -> None:
        pod = {"containers": [{"name": "main", "command": ["serve"]}]}
        k8s.apps.v1.DeploymentPatch(
            "patch", metadata={"name": "x", "namespace": "ml"}, spec={"template": {"spec": pod}}
        )

    verdict = judged(pack, program)
    assert problems(verdict, "EKS-07") == []
    assert waits(verdict, "EKS-07")


def test_a_namespace_of_another_stack_is_undecided(pack: RunningPack) -> None:
    verdict = judged(pack, lambda: deployment(spec()))
    assert problems(verdict, "EKS-10") == []
    assert waits(verdict, "EKS-10") == ["what the namespace of another stack enforces"]


def test_the_admission_of_another_stacks_cluster_is_undecided(pack: RunningPack) -> None:
    verdict = judged(pack, lambda: deployment(spec()))
    assert problems(verdict, "EKS-15") == []
    assert waits(verdict, "EKS-15")


def test_a_launch_template_and_subnets_of_another_stack_are_undecided(pack: RunningPack) -> None:
    def program() -> None:
        launch = {"id": "lt-0123456789abcdef0", "version": "1"}
        node_group(launch_template=launch, ami_type="AL2023_x86_64_NVIDIA")

    verdict = judged(pack, program)
    assert problems(verdict, "EKS-06") == []
    assert waits(verdict, "EKS-06")
    assert waits(verdict, "GPU-01")


def test_an_image_that_is_not_known_yet_is_undecided(pack: RunningPack) -> None:
    def program() -> None:
        made = aws.ecr.Repository("repository")
        deployment(spec(container(image=pulumi.Output.concat(made.repository_url, "@sha256:", "0" * 64))))

    verdict = judged(pack, program, unknowns=True)
    assert problems(verdict, "EKS-09") == []
    assert waits(verdict, "EKS-09")


def test_a_cluster_without_workloads_needs_no_signatures(pack: RunningPack) -> None:
    verdict = judged(pack, cluster)
    assert problems(verdict, "EKS-15") == waits(verdict, "EKS-15") == []


def test_an_object_has_the_name_that_its_provider_makes_up_even_before_the_update() -> None:
    def program() -> None:
        k8s.core.v1.Namespace("ml")
        k8s.core.v1.ServiceAccount("account", metadata={"name": "x", "namespace": "ml"})

    resolved, unknown = (recorded(program, unknowns=unknowns) for unknowns in (False, True))
    for graph in (resolved, unknown):
        (namespace,) = graph.of("kubernetes:core/v1:Namespace")
        assert re.fullmatch(r"ml-[0-9a-f]{8}", namespace.outputs["metadata"]["name"])
    (account,) = resolved.of("kubernetes:core/v1:ServiceAccount")
    assert account.id == "ml/x"
