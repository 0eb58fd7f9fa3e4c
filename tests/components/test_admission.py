"""What the API server admits and refuses: the CEL rules, evaluated, against pods of ours and pods of attackers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from blueprint import program
from blueprint.graph import Graph
from components.admission import AdmissionRules
from components.admission_rules import SYSTEM_NAMESPACES, Rule, rules
from components.namespaces import ClosedNamespace, Quota
from tests.components.cel import refusals
from tests.components.support import built, one

REGISTRY = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
DIGEST = "sha256:" + "a" * 64
POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
BINDING = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"

Edit = Callable[[dict[str, Any]], Any]

RULES = {rule.name: rule for rule in rules(REGISTRY)}


def good_pod() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "it", "namespace": "training"},
        "spec": {
            "serviceAccountName": "trainer",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True},
            "containers": [good_container("main")],
        },
    }


def good_container(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": f"{REGISTRY}/platform/trainer@{DIGEST}",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def container(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["spec"]["containers"][0]
    return found


def context(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = container(pod)["securityContext"]
    return found


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_pod_that_keeps_every_rule_is_admitted(rule: Rule) -> None:
    assert refusals(rule, good_pod()) == []


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.name != "no-containers-added-later"])
def test_a_rule_is_no_stricter_on_a_second_container(rule: Rule, kind: str) -> None:
    pod = good_pod()
    second = good_container("second")
    if kind == "ephemeralContainers":
        del second["resources"]  # the API takes none there
    pod["spec"][kind] = [second]
    assert refusals(rule, pod) == []


@cache
def pods_of(environment: str) -> list[dict[str, Any]]:
    found = []
    for resource in program.run(environment).resources:
        template = resource.inputs.get("spec", {})
        if resource.type.endswith(":Deployment"):
            found.append(template["template"])
        elif resource.type.endswith(":CronJob"):
            found.append(template["jobTemplate"]["spec"]["template"])
    return found


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_every_pod_of_the_platform_is_admitted(environment: str) -> None:
    host = container(pods_of(environment)[0])["image"].partition("/")[0]
    assert len(pods_of(environment)) == 4
    for pod in pods_of(environment):
        for rule in rules(host):
            assert refusals(rule, pod) == []


def edits() -> dict[str, tuple[str, str, Edit]]:
    """Return attacks by name: the rule that must refuse, words of its message, and the edit."""

    def image(reference: str) -> Edit:
        return lambda pod: container(pod).update(image=reference)

    def said(**values: Any) -> Edit:
        return lambda pod: context(pod).update(values)

    def unsaid(key: str) -> Edit:
        return lambda pod: context(pod).pop(key)

    def pod_says(**values: Any) -> Edit:
        return lambda pod: pod["spec"].update(values)

    def both(*each: Edit) -> Edit:
        return lambda pod: [edit(pod) for edit in each]

    ours, digest = "images-are-ours", "by digest"
    low, host, named = "no-privileges", "nothing-of-the-host", "a-name-of-its-own"
    escalation, root, sealed = (
        "allowPrivilegeEscalation",
        "runAsNonRoot to true",
        "readOnlyRootFilesystem",
    )
    return {
        "a public image": (ours, "images come from", image(f"docker.io/library/python@{DIGEST}")),
        "a short name": (ours, "images come from", image(f"python@{DIGEST}")),
        "a registry that begins like ours": (
            ours,
            "images come from",
            image(f"{REGISTRY}.evil.example/x@{DIGEST}"),
        ),
        "our registry as a path": (ours, "images come from", image(f"evil.example/{REGISTRY}/x@{DIGEST}")),
        "a tag": (ours, digest, image(f"{REGISTRY}/platform/trainer:v1")),
        "no tag at all": (ours, digest, image(f"{REGISTRY}/platform/trainer")),
        "a digest that is cut short": (ours, digest, image(f"{REGISTRY}/platform/trainer@sha256:{'a' * 63}")),
        "a digest with something after it": (ours, digest, image(f"{REGISTRY}/platform/trainer@{DIGEST}x")),
        "an escalation": (low, escalation, said(allowPrivilegeEscalation=True)),
        "an escalation left to the default": (low, escalation, unsaid("allowPrivilegeEscalation")),
        "no security context": (low, escalation, lambda pod: container(pod).pop("securityContext")),
        "privileged": (low, "is privileged", said(privileged=True)),
        "capabilities kept": (low, "capabilities ALL", unsaid("capabilities")),
        "one capability dropped": (low, "capabilities ALL", said(capabilities={"drop": ["NET_RAW"]})),
        "a capability added": (
            low,
            "capabilities ALL",
            said(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ),
        "a root that can be written": (low, sealed, said(readOnlyRootFilesystem=False)),
        "a root left to the default": (low, sealed, unsaid("readOnlyRootFilesystem")),
        "root by the container": (low, root, said(runAsNonRoot=False)),
        "root by nobody's saying": (
            low,
            root,
            both(unsaid("runAsNonRoot"), lambda pod: pod["spec"].pop("securityContext")),
        ),
        "user 0": (low, "user 0", said(runAsUser=0)),
        "the machine's network": (host, "hostNetwork", pod_says(hostNetwork=True)),
        "the machine's processes": (host, "hostPID", pod_says(hostPID=True)),
        "the machine's memory": (host, "hostIPC", pod_says(hostIPC=True)),
        "the machine's disk": (
            host,
            "hostPath",
            pod_says(volumes=[{"name": "x", "emptyDir": {}}, {"name": "y", "hostPath": {"path": "/"}}]),
        ),
        "a port of the machine": (
            host,
            "hostPort",
            lambda pod: container(pod).update(ports=[{"containerPort": 80, "hostPort": 80}]),
        ),
        "everybody's service account": (named, "service account", pod_says(serviceAccountName="default")),
        "no service account": (named, "service account", lambda pod: pod["spec"].pop("serviceAccountName")),
        "a token of the API server": (named, "automount", pod_says(automountServiceAccountToken=True)),
        "a token by default": (
            named,
            "automount",
            lambda pod: pod["spec"].pop("automountServiceAccountToken"),
        ),
        "no limits": ("bounded", "limit of cpu", lambda pod: container(pod).pop("resources")),
        "no limit of processors": (
            "bounded",
            "limit of cpu",
            lambda pod: container(pod)["resources"]["limits"].pop("cpu"),
        ),
        "no limit of memory": (
            "bounded",
            "limit of memory",
            lambda pod: container(pod)["resources"]["limits"].pop("memory"),
        ),
        "kubectl debug": (
            "no-containers-added-later",
            "kubectl debug",
            pod_says(ephemeralContainers=[good_container("debugger")]),
        ),
    }


@pytest.mark.parametrize("attack", edits())
def test_an_attack_is_refused_by_its_rule_and_by_no_other(attack: str) -> None:
    rule, words, edit = edits()[attack]
    pod = good_pod()
    edit(pod)
    for name, each in RULES.items():
        found = refusals(each, pod)
        assert any(words in message for message in found) == (name == rule), (name, found)
        assert (found == []) == (name != rule)


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
@pytest.mark.parametrize(
    "attack", [a for a, (rule, _, _) in edits().items() if rule in ("images-are-ours", "no-privileges")]
)
def test_an_attack_does_not_hide_in_another_kind_of_container(attack: str, kind: str) -> None:
    rule, words, edit = edits()[attack]
    hidden = good_pod()
    edit(hidden)
    pod = good_pod()
    if "securityContext" not in hidden["spec"]:
        del pod["spec"]["securityContext"]
    pod["spec"][kind] = hidden["spec"]["containers"]
    assert any(words in message for message in refusals(RULES[rule], pod))


@pytest.mark.parametrize("name", RULES)
def test_no_expression_could_be_taken_out_unseen(name: str) -> None:
    """Each validation is the only one that tells on some attack."""
    rule = RULES[name]
    alone = set()
    for its, _, edit in edits().values():
        if its == name:
            pod = good_pod()
            edit(pod)
            found = refusals(rule, pod)
            alone |= set(found) if len(found) == 1 else set()
    assert alone == {each.message for each in rule.validations}


def test_what_the_rules_cannot_evaluate_they_refuse() -> None:
    pod = good_pod()
    del pod["spec"]["containers"]
    assert all(refusals(rule, pod) for rule in RULES.values() if rule.variables)


def admission() -> Graph:
    return built(lambda opts, _: AdmissionRules("platform", registry_host=REGISTRY, opts=opts))


def test_every_rule_is_bound_refuses_and_fails_closed() -> None:
    graph = admission()
    policies = {each.inputs["metadata"]["name"]: each for each in graph.of(POLICY)}
    bindings = {each.inputs["spec"]["policyName"]: each for each in graph.of(BINDING)}
    assert set(policies) == set(bindings) == {f"platform-{name}" for name in RULES}
    for policy in policies.values():
        assert policy.inputs["spec"]["failurePolicy"] == "Fail"
        (about,) = policy.inputs["spec"]["matchConstraints"]["resourceRules"]
        assert about["operations"] == ["CREATE", "UPDATE"]
        assert about["resources"] == ["pods", "pods/ephemeralcontainers"]
    for binding in bindings.values():
        assert binding.inputs["spec"]["validationActions"] == ["Deny", "Audit"]


def test_only_the_namespaces_of_the_system_are_left_out() -> None:
    for binding in admission().of(BINDING):
        (selector,) = binding.inputs["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert selector == {
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": list(SYSTEM_NAMESPACES),
        }


def test_what_is_evaluated_here_is_what_is_deployed() -> None:
    deployed = {
        each.inputs["metadata"]["name"].removeprefix("platform-"): [
            validation["expression"] for validation in each.inputs["spec"]["validations"]
        ]
        for each in admission().of(POLICY)
    }
    assert deployed == {name: [v.expression for v in rule.validations] for name, rule in RULES.items()}


def namespace() -> Graph:
    return built(
        lambda opts, _: ClosedNamespace(
            "training",
            namespace="training",
            kubernetes_version="1.36",
            quota=Quota(cpu="4", memory="8Gi", pods=2, gpus=1),
            opts=opts,
        )
    )


def test_a_namespace_enforces_the_strictest_standard_of_a_pinned_version() -> None:
    labels = one(namespace(), "kubernetes:core/v1:Namespace").inputs["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.36"


def test_a_namespace_lets_nothing_in_or_out_by_itself() -> None:
    policy = one(namespace(), "kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_namespace_is_bounded_and_opens_no_door_of_the_machines() -> None:
    hard = one(namespace(), "kubernetes:core/v1:ResourceQuota").inputs["spec"]["hard"]
    assert hard == {
        "requests.cpu": "4",
        "limits.cpu": "4",
        "requests.memory": "8Gi",
        "limits.memory": "8Gi",
        "pods": "2",
        "requests.nvidia.com/gpu": "1",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def test_nothing_is_in_a_namespace_before_it_is_there() -> None:
    graph = namespace()
    (made,) = graph.of("kubernetes:core/v1:Namespace")
    for resource in graph.resources:
        if resource.type.startswith("kubernetes:") and resource.urn != made.urn:
            assert made.urn in resource.dependencies
