"""Registers pods behind load balancers: AWS's controller, kept to the target groups that it is told.

It makes nothing in AWS. Load balancers, listeners and rules are the program's own, so that the policies see them;
of the controller's many rights only those remain that put a pod's address into the target group and take it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pulumi
from pulumi_kubernetes.helm.v3 import Release

from components.documents import Statement
from components.fields import Fields
from components.pod_identity import PodIdentity
from components.pods import Image

CHART_VERSION, _TAG = "3.5.0", "v3.5.0"
"""Version of the chart and of the controller in it (aws-load-balancer-controller, ``helm/…/Chart.yaml``)."""

MIRRORED = ("mirror/aws-load-balancer-controller", "mirror/charts/aws-load-balancer-controller")
"""Repositories that hold it, below the prefix of the services' own."""

_NAME = "aws-load-balancer-controller"

_NAMESPACE = "kube-system"
"""It asks the API server all the time, with a token that nobody but Kubernetes' own parts may carry elsewhere."""


class TargetRegistration(pulumi.ComponentResource):
    """The controller.

    Attributes:
        ready: What must be there before a ``TargetGroupBinding``.
    """

    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        vpc_id: pulumi.Input[str],
        region: str,
        registry_host: str,
        repository_prefix: str,
        image: Image,
        target_group_arns: Mapping[str, pulumi.Input[str]],
        permissions_boundary_arn: pulumi.Input[str],
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Install the controller.

        Args:
            name: Logical name.
            cluster_name: The cluster.
            vpc_id: Its VPC; the controller may not ask the machine for it.
            region: The region.
            registry_host: Host of the platform's registry.
            repository_prefix: Where ``MIRRORED`` is below it.
            image: The mirrored controller.
            target_group_arns: The only target groups that it changes, each by the namespace whose pods it registers there.
                Of one namespace it looks at no other; of several it looks at all, for it knows one or all.
            permissions_boundary_arn: Boundary of its role.
            needs: What must be there before its pods.
            opts: Options of the component, with the providers of AWS and of the cluster.

        Raises:
            ValueError: there is no target group.
        """
        super().__init__("secureml:target_registration:TargetRegistration", name, None, opts)
        if not target_group_arns:
            raise ValueError(
                "target_group_arns is empty; without a target group nothing is registered anywhere"
            )
        identity = PodIdentity(
            f"{name}-identity",
            cluster_name=cluster_name,
            namespace=_NAMESPACE,
            service_account=_NAME,
            about="Registers the gateway's pods behind the load balancer",
            permissions_boundary_arn=permissions_boundary_arn,
            statements=_rights(target_group_arns.values()),
            opts=pulumi.ResourceOptions(parent=self),
        )
        values: Fields = {
            "replicaCount": 2,
            "podDisruptionBudget": {"maxUnavailable": 1},
            "clusterName": cluster_name,
            "region": region,
            "vpcId": vpc_id,
            **({"watchNamespace": next(iter(target_group_arns))} if len(target_group_arns) == 1 else {}),
            "serviceAccount": {"name": _NAME},
            "image": {"repository": image.repository_url, "tag": f"{_TAG}@{image.digest}"},
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"cpu": "500m", "memory": "256Mi"},
            },
            # What it could do beside registering: none of it is wanted.
            "createIngressClassResource": False,
            "ingressClassParams": {"create": False},
            "enableServiceMutatorWebhook": False,
            "enableBackendSecurityGroup": False,
            "enableManageBackendSecurityGroupRules": False,
            "enableShield": False,
            "enableWaf": False,
            "enableWafv2": False,
        }
        release = Release(
            f"{name}-controller",
            chart=f"oci://{registry_host}/{repository_prefix}/mirror/charts/{_NAME}",
            version=CHART_VERSION,
            name=_NAME,
            namespace=_NAMESPACE,
            create_namespace=False,
            atomic=True,
            timeout=600,
            values=values,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*needs, identity]),
        )
        self.ready = [release]
        self.register_outputs({})


def _rights(target_group_arns: Iterable[pulumi.Input[str]]) -> list[Statement]:
    return [
        Statement(
            sid="RegisterInTheseGroups",
            actions=["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
            resources=list(target_group_arns),
        ),
        Statement(
            # These have no resource (Service Authorization Reference, "Elastic Load Balancing V2" and "Amazon EC2").
            sid="Look",
            actions=[
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstances",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            resources=["*"],
        ),
    ]
