"""The gate of the cluster: rules of the API server's own, and signatures that are checked before a pod starts."""

from __future__ import annotations

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import (
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)

from components.admission_rules import SYSTEM_NAMESPACES, Rule, rules
from components.fields import Fields, metadata


class AdmissionRules(pulumi.ComponentResource):
    """The rules, bound so that the API server refuses what breaks one, and refuses too when it cannot tell.

    Attributes:
        ready: What must be there before the first workload.
    """

    ready: list[pulumi.Resource]

    def __init__(self, name: str, *, registry_host: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make policies and bindings.

        Args:
            name: Logical name, and what the policies' names begin with.
            registry_host: Host of the registry that images come from.
            opts: Options of the component, with the cluster's provider.
        """
        super().__init__("secureml:admission:AdmissionRules", name, None, opts)
        self.ready = [
            made
            for rule in rules(registry_host)
            for made in _policy(name, rule, pulumi.ResourceOptions(parent=self))
        ]
        self.register_outputs({})


def _policy(name: str, rule: Rule, under: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    called = f"{name}-{rule.name}"
    spec: Fields = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [_PODS]},
        "variables": [{"name": key, "expression": text} for key, text in rule.variables.items()],
        "validations": [
            {"expression": each.expression, "message": each.message, "reason": "Forbidden"}
            for each in rule.validations
        ],
    }
    policy = ValidatingAdmissionPolicy(called, metadata=metadata(called), spec=spec, opts=under)
    bound: Fields = {
        "policyName": called,
        "validationActions": ["Deny", "Audit"],
        "matchResources": {"namespaceSelector": _not_in(SYSTEM_NAMESPACES)},
    }
    binding = ValidatingAdmissionPolicyBinding(
        called,
        metadata=metadata(called),
        spec=bound,
        opts=pulumi.ResourceOptions(parent=under.parent, depends_on=[policy]),
    )
    return [policy, binding]


_PODS: Fields = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["pods", "pods/ephemeralcontainers"],
}


def _not_in(namespaces: tuple[str, ...]) -> Fields:
    # The API server sets this label itself, so that a namespace cannot name itself another.
    return {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(namespaces)}
        ]
    }
