"""The Kubernetes cluster: a control plane that nobody meets from the internet, its records, its add-ons, its own machines.

Machines and control plane wear security groups of ours. The one that EKS makes lets out to everybody: it stays on
the control plane's interfaces, and no machine wears it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes

from components.cluster_access import ClusterAccess
from components.cluster_addons import AFTER_NODES, BEFORE_NODES, ClusterAddons
from components.cluster_limits import SMALLEST_DISK_GB, api_range_problem, system_type_problem
from components.documents import Statement, partition_of, policy_document
from components.eks_versions import RELEASES, Addon
from components.kubeconfig import kubeconfig
from components.nodes import HTTPS, between_groups, launch_template, node_role, to_aws
from components.personas import Persona

CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All that there are (Amazon EKS User Guide, "Send control plane logs to CloudWatch Logs")."""

KUBELET, WEBHOOKS = 10250, 9443
"""Where the control plane calls the machines; webhooks of admission listen on 9443."""


class Cluster(pulumi.ComponentResource):
    """An EKS cluster with its system machines, and a provider that deploys into it.

    Attributes:
        name: Name of the cluster.
        arn: ARN of the cluster.
        endpoint: URL of the Kubernetes API.
        certificate_authority: Its certificate authority, PEM in base64.
        oidc_issuer: URL that signs the tokens of service accounts; its keys check them.
        cluster_security_group_id: Group of the control plane's interfaces.
        node_security_group_id: Group of the system machines, where the cluster's DNS runs.
        kubernetes: Deploys into the cluster; it holds no secret.
        ready_for_nodes: What must be there before more machines join.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    cluster_security_group_id: pulumi.Output[str]
    node_security_group_id: pulumi.Output[str]
    kubernetes: pulumi_kubernetes.Provider
    ready_for_nodes: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        kubernetes_version: str,
        vpc_id: pulumi.Input[str],
        private_subnet_ids: Sequence[pulumi.Input[str]],
        service_cidr: str,
        endpoint_security_group_id: pulumi.Input[str],
        s3_prefix_list_id: pulumi.Input[str],
        api_cidrs: Sequence[str],
        key_arn: pulumi.Input[str],
        logs_key_arn: pulumi.Input[str],
        log_retention_days: int,
        deployer_role_arn: pulumi.Input[str],
        deployer_security_group_id: pulumi.Input[str] | None,
        role_arns: Mapping[Persona, pulumi.Input[str]],
        namespaces: Mapping[Persona, Sequence[str]],
        permissions_boundary_arn: pulumi.Input[str],
        region: str,
        instance_type: str = "m7i.large",
        min_nodes: int = 2,
        max_nodes: int = 4,
        disk_gb: int = 50,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the cluster.

        Args:
            name: Logical name, and the cluster's: it is unique in account and region.
            kubernetes_version: A key of ``components.eks_versions.RELEASES``.
            vpc_id: The VPC.
            private_subnet_ids: Where the control plane's interfaces and the system machines stand.
            service_cidr: Range of the addresses of services in the cluster (``cluster_limits.service_range``).
            endpoint_security_group_id: Group of the VPC's endpoints of AWS services.
            s3_prefix_list_id: Addresses of S3, where ECR keeps the layers of images.
            api_cidrs: IPv4 ranges, /24 or narrower, that may reach the Kubernetes API from outside; none make it
                private.
            key_arn: Key of Kubernetes secrets and of the machines' disks.
            logs_key_arn: Key of the control plane's logs.
            log_retention_days: How long those stay.
            deployer_role_arn: Role that deploys into the cluster.
            deployer_security_group_id: Group of the machine inside the VPC that deploys, where there is one.
            role_arns: The role of each persona.
            namespaces: Where the personas that are limited to namespaces may look.
            permissions_boundary_arn: Boundary of every role.
            region: The region.
            instance_type: Type of the system machines; of a family whose interfaces can be shared with pods.
            min_nodes: Fewest system machines; two, so that one may fail.
            max_nodes: Most system machines.
            disk_gb: Room for pods and images on each.
            opts: Options of the component.

        Raises:
            ValueError: the version is not pinned here, a range is too wide, or a number is out of bounds.
        """
        super().__init__("secureml:cluster:Cluster", name, None, opts)
        sizes = (min_nodes, max_nodes)
        _check(kubernetes_version, api_cidrs, sizes, disk_gb, instance_type)
        self._name = name
        self._kubernetes_version = kubernetes_version
        self._region = region
        self._partition = partition_of(region)
        self._boundary_arn = permissions_boundary_arn
        self._key_arn = key_arn
        self._under = pulumi.ResourceOptions(parent=self)

        logs = self._logs(logs_key_arn, log_retention_days)
        control_plane = self._group("control-plane", "Control plane of the cluster", vpc_id)
        cluster = self._control_plane(private_subnet_ids, service_cidr, control_plane, api_cidrs, logs)
        self.name, self.arn, self.endpoint = cluster.name, cluster.arn, cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.data
        self.oidc_issuer = cluster.identities[0].oidcs[0].issuer
        self.cluster_security_group_id = control_plane.id

        group = self._group("nodes", "System machines of the cluster", vpc_id)
        self.node_security_group_id = group.id
        rules = self._rules(endpoint_security_group_id, s3_prefix_list_id)
        if deployer_security_group_id is not None:
            self._rule(
                "deployer-to-api",
                deployer_security_group_id,
                self.cluster_security_group_id,
                HTTPS,
                "Kubernetes API from the machine that deploys",
            )
        access = ClusterAccess(
            name,
            cluster_name=self.name,
            partition=self._partition,
            deployer_role_arn=deployer_role_arn,
            role_arns=role_arns,
            namespaces=namespaces,
            opts=self._under,
        )
        first = self._addons(f"{name}-network", BEFORE_NODES, after=[])
        nodes = self._nodes(group, private_subnet_ids, instance_type, sizes, disk_gb, [*first.ready, *rules])
        self.ready_for_nodes = first.ready
        then = self._addons(f"{name}-services", AFTER_NODES, after=[nodes])
        self.kubernetes = self._kubernetes_provider([*access.ready, *then.ready])
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "endpoint": self.endpoint,
                "oidc_issuer": self.oidc_issuer,
                "cluster_security_group_id": self.cluster_security_group_id,
                "node_security_group_id": self.node_security_group_id,
            }
        )

    def _logs(self, key_arn: pulumi.Input[str], retention_days: int) -> aws.cloudwatch.LogGroup:
        """Make the log group first: EKS would make it unencrypted, and keep it for ever."""
        return aws.cloudwatch.LogGroup(
            f"{self._name}-control-plane",
            name=f"/aws/eks/{self._name}/cluster",
            kms_key_id=key_arn,
            retention_in_days=retention_days,
            opts=self._under,
        )

    def _control_plane(
        self,
        subnet_ids: Sequence[pulumi.Input[str]],
        service_cidr: str,
        group: aws.ec2.SecurityGroup,
        api_cidrs: Sequence[str],
        logs: aws.cloudwatch.LogGroup,
    ) -> aws.eks.Cluster:
        role = aws.iam.Role(
            f"{self._name}-control-plane",
            description="The control plane of the cluster",
            assume_role_policy=policy_document(
                Statement(
                    sid="ControlPlane",
                    actions=["sts:AssumeRole"],
                    principals={"Service": ["eks.amazonaws.com"]},
                )
            ),
            permissions_boundary=self._boundary_arn,
            opts=self._under,
        )
        # The second one lends interfaces to pods that have a security group.
        rights = [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{policy}",
                role=role.name,
                policy_arn=f"arn:{self._partition}:iam::aws:policy/{policy}",
                opts=self._under,
            )
            for policy in ("AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController")
        ]
        return aws.eks.Cluster(
            f"{self._name}-cluster",
            name=self._name,
            version=self._kubernetes_version,
            role_arn=role.arn,
            access_config={
                "authentication_mode": "API",
                # Who makes the cluster gets in by an access entry like everybody else, or not at all.
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            vpc_config=_vpc_config(subnet_ids, group.id, api_cidrs),
            kubernetes_network_config={"service_ipv4_cidr": service_cidr, "ip_family": "ipv4"},
            enabled_cluster_log_types=list(CONTROL_PLANE_LOGS),
            encryption_config={"provider": {"key_arn": self._key_arn}, "resources": ["secrets"]},
            # At the end of standard support EKS upgrades, rather than to keep an old version for a fee.
            upgrade_policy={"support_type": "STANDARD"},
            # Every add-on is one that is pinned here.
            bootstrap_self_managed_addons=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs, *rights]),
        )

    def _group(self, label: str, about: str, vpc_id: pulumi.Input[str]) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            f"{self._name}-{label}",
            description=about,
            vpc_id=vpc_id,
            tags={"Name": f"{self._name}-{label}"},
            opts=self._under,
        )

    def _rules(
        self, endpoint_security_group_id: pulumi.Input[str], s3_prefix_list_id: pulumi.Input[str]
    ) -> list[pulumi.Resource]:
        """Let the machines reach each other, the control plane and AWS, and no internet."""
        control_plane, nodes = self.cluster_security_group_id, self.node_security_group_id
        return [
            *self._rule("nodes-among-themselves", nodes, nodes, None, "Pods among themselves"),
            *self._rule("nodes-to-api", nodes, control_plane, HTTPS, "Kubernetes API"),
            *self._rule("api-to-kubelet", control_plane, nodes, KUBELET, "Control plane to the kubelet"),
            *self._rule("api-to-webhooks", control_plane, nodes, WEBHOOKS, "Control plane to admission"),
            *to_aws(
                f"{self._name}-nodes",
                group_id=nodes,
                endpoint_security_group_id=endpoint_security_group_id,
                s3_prefix_list_id=s3_prefix_list_id,
                opts=self._under,
            ),
        ]

    def _rule(
        self,
        label: str,
        from_group_id: pulumi.Input[str],
        to_group_id: pulumi.Input[str],
        port: int | None,
        about: str,
    ) -> list[pulumi.Resource]:
        return between_groups(
            f"{self._name}-{label}",
            from_group_id=from_group_id,
            to_group_id=to_group_id,
            port=port,
            about=about,
            opts=self._under,
        )

    def _addons(self, name: str, addons: Sequence[Addon], after: Sequence[pulumi.Resource]) -> ClusterAddons:
        return ClusterAddons(
            name,
            cluster_name=self.name,
            kubernetes_version=self._kubernetes_version,
            addons=addons,
            volume_key_arn=self._key_arn,
            permissions_boundary_arn=self._boundary_arn,
            partition=self._partition,
            after=after,
            opts=self._under,
        )

    def _nodes(
        self,
        group: aws.ec2.SecurityGroup,
        subnet_ids: Sequence[pulumi.Input[str]],
        instance_type: str,
        sizes: tuple[int, int],
        disk_gb: int,
        after: Sequence[pulumi.Resource],
    ) -> aws.eks.NodeGroup:
        """Make the machines of the cluster's own services and of the platform's."""
        least, most = sizes
        name = f"{self._name}-system"
        role = node_role(
            name,
            about="System machines of the cluster",
            partition=self._partition,
            permissions_boundary_arn=self._boundary_arn,
            opts=self._under,
        )
        template = launch_template(
            name,
            about="System machines",
            security_group_id=group.id,
            disk_gb=disk_gb,
            key_arn=self._key_arn,
            opts=self._under,
        )
        return aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=self.name,
            node_group_name="system",
            node_role_arn=role.arn,
            subnet_ids=list(subnet_ids),
            version=self._kubernetes_version,
            ami_type="BOTTLEROCKET_x86_64",
            capacity_type="ON_DEMAND",
            instance_types=[instance_type],
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"min_size": least, "max_size": most, "desired_size": least},
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            labels={"pool": "system"},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*after, *role.policies],
                # How many there are is the autoscaler's to say.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )

    def _kubernetes_provider(self, after: Sequence[pulumi.Resource]) -> pulumi_kubernetes.Provider:
        """Make the provider that deploys into the cluster: its token is fetched anew at each call, and kept nowhere."""
        return pulumi_kubernetes.Provider(
            f"{self._name}-kubernetes",
            kubeconfig=pulumi.Output.json_dumps(
                kubeconfig(
                    name=self.name,
                    endpoint=self.endpoint,
                    certificate_authority=self.certificate_authority,
                    region=self._region,
                )
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


def _vpc_config(
    subnet_ids: Sequence[pulumi.Input[str]], group_id: pulumi.Input[str], api_cidrs: Sequence[str]
) -> aws.eks.ClusterVpcConfigArgsDict:
    inside: aws.eks.ClusterVpcConfigArgsDict = {
        "subnet_ids": list(subnet_ids),
        "security_group_ids": [group_id],
        "endpoint_private_access": True,
        "endpoint_public_access": bool(api_cidrs),
    }
    # Without a list, AWS takes everybody.
    return {**inside, "public_access_cidrs": list(api_cidrs)} if api_cidrs else inside


def _check(
    kubernetes_version: str,
    api_cidrs: Sequence[str],
    sizes: tuple[int, int],
    disk_gb: int,
    instance_type: str,
) -> None:
    if kubernetes_version not in RELEASES:
        raise ValueError(
            f"kubernetes_version is {kubernetes_version!r:.20}; the pinned ones are {', '.join(RELEASES)}"
        )
    for index, text in enumerate(api_cidrs):
        if problem := api_range_problem(text):
            raise ValueError(f"api_cidrs[{index}]: {problem}")
    if problem := system_type_problem(instance_type):
        raise ValueError(f"instance_type: {problem}")
    least, most = sizes
    if not 2 <= least <= most:
        raise ValueError(
            f"min_nodes is {least} and max_nodes {most}; write two or more, and no fewer at most"
        )
    if disk_gb < SMALLEST_DISK_GB:
        raise ValueError(f"disk_gb is {disk_gb}; write {SMALLEST_DISK_GB} or more")
