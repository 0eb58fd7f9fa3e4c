"""The gate of the cluster: rules of the API server's own, and signatures that are checked before a pod starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import (
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)

from components.admission_rules import Rule, rules


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
    policy = ValidatingAdmissionPolicy(
        f"{name}-{rule.name}",
        metadata={"name": f"{name}-{rule.name}"},
        spec={
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["pods", "pods/ephemeralcontainers"],
                    }
                ],
            },
            "variables": [{"name": key, "expression": text} for key, text in rule.variables.items()],
            "validations": [
                {"expression": each.expression, "message": each.message, "reason": "Forbidden"}
                for each in rule.validations
            ],
        },
        opts=under,
    )
    binding = ValidatingAdmissionPolicyBinding(
        f"{name}-{rule.name}",
        metadata={"name": f"{name}-{rule.name}"},
        spec={
            "policyName": f"{name}-{rule.name}",
            "validationActions": ["Deny", "Audit"],
            "matchResources": {"namespaceSelector": _not_in(rule.exempt)},
        },
        opts=pulumi.ResourceOptions(parent=under.parent, depends_on=[policy]),
    )
    return [policy, binding]


def _not_in(namespaces: tuple[str, ...]) -> Mapping[str, Any]:
    # The API server sets this label itself, so that a namespace cannot name itself another.
    return {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(namespaces)}
        ]
    }
