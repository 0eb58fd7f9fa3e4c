"""No property, however odd, makes a control crash: a crash would fail every preview of the fork that has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controls import CATALOGUE
from machinery.control import Control
from machinery.stack import Stack
from machinery.subject import Resource
from machinery.values import UNKNOWN
from tests.policies.cases import recorded
from tests.policies.test_controls import CASES

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(
        [
            UNKNOWN,
            "",
            "*",
            "0.0.0.0/0",
            "::/0",
            "{",
            "[]",
            '{"Statement": null}',
            '{"Statement": [{"Effect": 1}]}',
            '{"Statement": {"Effect": "Allow", "Principal": [1], "Action": {"a": 1}, "Condition": []}}',
            "arn:aws:::",
            "\x00",
        ]
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.just(UNKNOWN)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.just(UNKNOWN), st.integers()), max_size=2),
)


def changed(value: Any, draw: Any) -> Any:
    """Return ``value`` with some of its parts replaced by odd ones."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ODD)
    if isinstance(value, dict):
        return {key: changed(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [changed(item, draw) for item in value]
    return value


def subjects(case: Any) -> list[Resource]:
    graph = recorded(case.violating)
    return [
        Resource(
            value=r.outputs,
            urn=r.urn,
            type=r.type,
            name=r.name,
            property_dependencies=r.property_dependencies,
        )
        for r in graph.resources
    ]


BY_FAMILY = {
    family: [c for c in CASES if c.control.startswith(family)]
    for family in sorted({c.control[:3] for c in CASES})
}
RECORDED: dict[str, list[list[Resource]]] = {}


@pytest.mark.parametrize("family", BY_FAMILY)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_odd_properties_never_crash_a_control(family: str, data: st.DataObject) -> None:
    if family not in RECORDED:
        RECORDED[family] = [subjects(case) for case in BY_FAMILY[family]]
    resources = data.draw(st.sampled_from(RECORDED[family]))
    odd = [
        Resource(
            **{
                **resource.__dict__,
                "value": changed(resource.value, data.draw) if isinstance(resource.value, dict) else {},
            }
        )
        for resource in resources
    ]
    odd = [r if isinstance(r.value, dict) else Resource(**{**r.__dict__, "value": {}}) for r in odd]
    judge_everything(odd)


def judge_everything(resources: list[Resource]) -> None:
    stack = Stack(resources)
    for control in CATALOGUE:
        if control.needs_stack:
            control.judge_stack(stack)
        else:
            judge_each(control, resources)


def judge_each(control: Control, resources: list[Resource]) -> None:
    for resource in resources:
        if not control.on or resource.type in control.on:
            control.judge_resource(resource)


KEYS = st.sampled_from(
    [
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "spec",
        "template",
        "jobTemplate",
        "containers",
        "container",
        "initContainers",
        "ephemeralContainers",
        "securityContext",
        "capabilities",
        "add",
        "drop",
        "image",
        "volumes",
        "hostPath",
        "env",
        "value",
        "valueFrom",
        "ports",
        "resources",
        "limits",
        "tolerations",
        "key",
        "serviceAccountName",
        "rules",
        "verbs",
        "subjects",
        "roleRef",
        "podSelector",
        "matchLabels",
        "policyTypes",
        "egress",
        "to",
        "ipBlock",
        "cidr",
        "items",
        "kind",
        "apiVersion",
        "webhooks",
        "verifyImages",
        "match",
        "any",
        "attestors",
        "validationActions",
        "args",
        "command",
        "envFrom",
        "configMapRef",
        "configMapKeyRef",
        "configMap",
        "data",
        "predictor",
        "model",
        "modelFormat",
        "storageUri",
        "logger",
        "selector",
        "serviceRef",
        "restartPolicy",
    ]
)
"""What the controls of Kubernetes read, so that odd values stand where they look."""

OBJECTS = st.recursive(
    ODD,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=30,
)

KUBERNETES = [
    f"kubernetes:{group}:{kind}"
    for group, kinds in {
        "core/v1": "Pod PodList PodPatch PodTemplate Namespace NamespacePatch Secret ConfigMap Service List",
        "apps/v1": "Deployment DeploymentList DeploymentPatch StatefulSet DaemonSet ReplicaSet",
        "batch/v1": "Job CronJob CronJobList",
        "networking.k8s.io/v1": "NetworkPolicy NetworkPolicyPatch Ingress",
        "rbac.authorization.k8s.io/v1": "Role ClusterRole RoleBinding ClusterRoleBinding",
        "admissionregistration.k8s.io/v1": (
            "ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
        ),
        "kyverno.io/v1": "ClusterPolicy",
        "policies.kyverno.io/v1": "ImageValidatingPolicy",
        "policy.sigstore.dev/v1beta1": "ClusterImagePolicy",
        "vpcresources.k8s.aws/v1beta1": "SecurityGroupPolicy",
        "karpenter.k8s.aws/v1": "EC2NodeClass",
        "kubeflow.org/v1": "PyTorchJob",
        "argoproj.io/v1alpha1": "Application Workflow",
        "serving.kserve.io/v1beta1": "InferenceService",
        "ray.io/v1": "RayService",
        "elbv2.k8s.aws/v1beta1": "TargetGroupBinding",
        "helm.sh/v3": "Release",
        "helm.sh/v4": "Chart",
    }.items()
    for kind in kinds.split()
]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(KUBERNETES), st.dictionaries(KEYS, OBJECTS, max_size=5)),
        min_size=1,
        max_size=6,
    )
)
def test_odd_objects_of_kubernetes_never_crash_a_control(objects: list[tuple[str, dict[str, Any]]]) -> None:
    cluster = Resource(value={"name": "ml"}, urn="cluster", type="aws:eks/cluster:Cluster")
    judge_everything(
        [
            cluster,
            *(
                Resource(value=value, urn=str(number), type=type_)
                for number, (type_, value) in enumerate(objects)
            ),
        ]
    )


@pytest.mark.parametrize("text", ["[" * 100_000, '{"Statement": ' * 500, "x" * (1 << 20)])
def test_hostile_documents_are_violations(text: str) -> None:
    policy = Resource(value={"policy": text}, urn="urn", type="aws:iam/policy:Policy")
    for control in CATALOGUE:
        if control.id == "IAM-01":
            assert [type(o).__name__ for o in control.judge_resource(policy)] == ["Violation"]
