"""Every Kubernetes object of every environment, against the published schemas of the pinned version, strictly."""

from __future__ import annotations

from functools import cache
from typing import Any

import kubernetes_validate
import pytest

from blueprint import program
from blueprint.graph import Graph
from blueprint.manifests import manifests

ENVIRONMENTS = ("dev", "staging", "prod")

# Kinds of the AWS controllers and of Kyverno, whose schemas Kubernetes does not publish.
FOREIGN = {"SecurityGroupPolicy", "ClusterPolicy", "TargetGroupBinding"}


@cache
def graph_of(environment: str) -> Graph:
    return program.run(environment)


def version_of(environment: str) -> str:
    (cluster,) = graph_of(environment).of("aws:eks/cluster:Cluster")
    return str(cluster.inputs["version"])


def problems(body: dict[str, Any], version: str) -> list[str]:
    """Return what is wrong with an object; a field that the schema does not know is wrong too."""
    try:
        kubernetes_validate.validate(body, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_is_valid(environment: str) -> None:
    version = version_of(environment)
    checked = 0
    for manifest in manifests(graph_of(environment)):
        if manifest.body["kind"] not in FOREIGN:
            assert problems(manifest.body, version) == [], manifest.path
            checked += 1
    assert checked >= 57


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_else_is_left_unchecked(environment: str) -> None:
    unchecked = {
        manifest.body["apiVersion"].partition("/")[0]
        for manifest in manifests(graph_of(environment))
        if manifest.body["kind"] in FOREIGN
    }
    assert unchecked <= {"vpcresources.k8s.aws", "kyverno.io", "elbv2.k8s.aws"}


def test_the_check_finds_a_field_that_does_not_exist() -> None:
    (deployment, *_) = [m.body for m in manifests(graph_of("dev")) if m.body["kind"] == "Deployment"]
    spec = {**deployment["spec"], "replica": 3}
    assert "replica" in str(problems({**deployment, "spec": spec}, version_of("dev")))


def test_the_check_finds_a_value_of_another_kind() -> None:
    (deployment, *_) = [m.body for m in manifests(graph_of("dev")) if m.body["kind"] == "Deployment"]
    spec = {**deployment["spec"], "replicas": "three"}
    assert "replicas" in str(problems({**deployment, "spec": spec}, version_of("dev")))
