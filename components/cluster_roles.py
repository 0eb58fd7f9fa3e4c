"""What a persona may change inside a namespace: start and stop jobs, or restart pods, and nothing else.

Looking is granted outside, by the access entries (``components.cluster_access``). Nobody may write a pod directly,
open a shell in one, or read a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pulumi
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from components.cluster_access import GROUP_PREFIX
from components.fields import Fields, metadata
from components.personas import Persona

Duty = Literal["runs-jobs", "restarts"]

_RULES: Mapping[Duty, Fields] = {
    # kubectl create job --from=cronjob/… reads the one and creates the other.
    "runs-jobs": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "delete"]}],
    # A pod that is deleted is made anew from what was reviewed.
    "restarts": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}],
}


class Duties(pulumi.ComponentResource):
    """Who may do what in one namespace."""

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        duties: Mapping[Persona, Duty],
        needs: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the roles, and bind each to the group of its persona.

        Args:
            name: Logical name.
            namespace: Where.
            duties: What each persona may change.
            needs: The namespace.
            opts: Options of the component, with the cluster's provider.
        """
        super().__init__("secureml:cluster_roles:Duties", name, None, opts)
        under = pulumi.ResourceOptions(parent=self, depends_on=needs)
        for persona, duty in duties.items():
            said = metadata(f"{persona}-{duty}", namespace=namespace)
            subject: Fields = {
                "kind": "Group",
                "name": f"{GROUP_PREFIX}{persona}",
                "apiGroup": "rbac.authorization.k8s.io",
            }
            role = Role(f"{name}-{persona}", metadata=said, rules=_RULES[duty], opts=under)
            bound: Fields = {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": f"{persona}-{duty}",
            }
            RoleBinding(
                f"{name}-{persona}",
                metadata=said,
                role_ref=bound,
                subjects=[subject],
                opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
            )
        self.register_outputs({})
