"""Careless clusters, and what runs in them."""

from __future__ import annotations

from typing import Any

import pulumi_aws as aws

from tests.careless.mistakes import mistake
from tests.policies.cases import k8s

ROLE = "arn:aws:iam::111122223333:role/cluster"
NGINX = {"name": "main", "image": "nginx:latest"}


def pod(name: str, *, namespace: str = "careless", **spec: Any) -> None:
    k8s.core.v1.Pod(name, metadata={"namespace": namespace}, spec={"containers": [NGINX], **spec})


def cluster(name: str, **more: Any) -> None:
    aws.eks.Cluster(name, role_arn=ROLE, **{"vpc_config": {"subnet_ids": ["subnet-0abc"]}, **more})


def node_group(name: str, **more: Any) -> None:
    sizes = {"min_size": 1, "max_size": 3, "desired_size": 1}
    arguments: dict[str, Any] = {"subnet_ids": ["subnet-0abc"], "scaling_config": sizes, **more}
    aws.eks.NodeGroup(name, cluster_name="x", node_role_arn=ROLE, **arguments)


@mistake("EKS-01")
def api_as_aws_opens_it(name: str) -> None:
    cluster(name)


@mistake("EKS-02")
def secrets_under_no_key_of_ours(name: str) -> None:
    cluster(name)


@mistake("EKS-03")
def cluster_without_its_audit_log(name: str) -> None:
    cluster(name, enabled_cluster_log_types=["api"])


@mistake("EKS-04")
def cluster_whose_maker_stays_administrator(name: str) -> None:
    cluster(name, access_config={"authentication_mode": "API"})


@mistake("EKS-05")
def version_of_years_ago(name: str) -> None:
    cluster(name, version="1.24")


@mistake("EKS-06")
def machines_with_a_key_for_ssh(name: str) -> None:
    node_group(name, remote_access={"ec2_ssh_key": "team"})


@mistake("EKS-07")
def pod_as_the_tutorial_has_it(name: str) -> None:
    pod(name)


@mistake("EKS-08")
def pod_with_the_docker_socket(name: str) -> None:
    pod(name, volumes=[{"name": "docker", "hostPath": {"path": "/var/run/docker.sock"}}])


@mistake("EKS-08")
def debugging_with_a_privileged_init_container(name: str) -> None:
    pod(name, init_containers=[{**NGINX, "name": "tune", "security_context": {"privileged": True}}])


@mistake("EKS-09")
def image_by_its_tag_from_anywhere(name: str) -> None:
    pod(name)


@mistake("EKS-10")
def pod_in_the_default_namespace(name: str) -> None:
    k8s.core.v1.Pod(name, spec={"containers": [NGINX]})


@mistake("EKS-10")
def namespace_that_only_warns(name: str) -> None:
    k8s.core.v1.Namespace(name, metadata={"labels": {"pod-security.kubernetes.io/warn": "restricted"}})


@mistake("EKS-11")
def namespace_closed_on_the_way_in_alone(name: str) -> None:
    made = k8s.core.v1.Namespace(name)
    k8s.networking.v1.NetworkPolicy(
        f"{name}-in",
        metadata={"namespace": made.metadata["name"]},
        spec={"podSelector": {}, "policyTypes": ["Ingress"]},
    )


@mistake("EKS-12")
def pod_without_limits(name: str) -> None:
    pod(name)


@mistake("EKS-13")
def pod_with_the_default_token(name: str) -> None:
    pod(name)


@mistake("EKS-14")
def pipeline_as_cluster_administrator(name: str) -> None:
    k8s.rbac.v1.ClusterRoleBinding(
        name,
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        subjects=[{"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"}],
    )


@mistake("EKS-16")
def repository_whose_tags_move(name: str) -> None:
    aws.ecr.Repository(name)


@mistake("EKS-18")
def password_in_the_environment(name: str) -> None:
    variable = {"name": "DB_PASSWORD", "value": "correct-horse-battery"}
    k8s.apps.v1.Deployment(
        name,
        metadata={"namespace": "careless"},
        spec={
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{**NGINX, "env": [variable]}]},
            },
        },
    )


@mistake("EKS-19")
def network_policies_that_nobody_enforces(name: str) -> None:
    cluster(name)


@mistake("EKS-20")
def service_for_the_whole_internet(name: str) -> None:
    k8s.core.v1.Service(name, spec={"type": "LoadBalancer", "ports": [{"port": 80}]})


@mistake("EKS-21")
def webhook_that_lets_in_what_it_misses(name: str) -> None:
    client = {"service": {"name": "hook", "namespace": "hooks"}}
    hook: Any = {
        "name": "hook.example.org",
        "clientConfig": client,
        "failurePolicy": "Ignore",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    k8s.admissionregistration.v1.ValidatingWebhookConfiguration(name, webhooks=[hook])


@mistake("EKS-22")
def admission_policy_that_nobody_bound(name: str) -> None:
    k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        name, spec={"validations": [{"expression": "object.spec.replicas < 9"}]}
    )


@mistake("EKS-23")
def support_role_that_opens_shells(name: str) -> None:
    k8s.rbac.v1.Role(name, rules=[{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}])


@mistake("EKS-24")
def secret_that_the_program_writes(name: str) -> None:
    k8s.core.v1.Secret(name, string_data={"password": "correct-horse-battery"})


@mistake("EKS-27")
def chart_of_whatever_version(name: str) -> None:
    k8s.helm.v3.Release(name, chart="kyverno")


@mistake("GPU-02")
def gpus_that_anybody_may_take(name: str) -> None:
    node_group(name, ami_type="AL2023_x86_64_NVIDIA", instance_types=["p5.48xlarge"])


@mistake("GPU-03")
def training_with_the_database_at_hand(name: str) -> None:
    asks = {"limits": {"nvidia.com/gpu": "1"}}
    pod(
        name,
        containers=[{**NGINX, "resources": asks, "env": [{"name": "PGHOST", "value": "10.0.3.9"}]}],
    )


@mistake("GPU-04")
def training_job_without_an_end(name: str) -> None:
    asks = {"limits": {"nvidia.com/gpu": "8"}}
    k8s.batch.v1.Job(
        name,
        metadata={"namespace": "careless"},
        spec={"template": {"spec": {"containers": [{**NGINX, "resources": asks}]}}},
    )


@mistake("GPU-05", on="")
def gpus_without_a_budget(name: str) -> None:
    aws.ec2.Instance(name, ami="ami-0abc", instance_type="g6.xlarge")


@mistake("EKS-15", on="")
def admission_that_takes_unsigned_images(name: str) -> None:
    cluster(name)
    pod(f"{name}-pod")
