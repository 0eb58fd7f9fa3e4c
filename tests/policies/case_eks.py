"""Cases of the family EKS: the cluster, its machines, and the registry."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from controls.eks import CONTROL_PLANE_LOGS, IN_STANDARD_SUPPORT
from tests.policies.cases import ACCOUNT, REGION, Case, Program, k8s

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/nodes"
NEWEST = max(IN_STANDARD_SUPPORT)

PRIVATE = {"endpoint_private_access": True, "endpoint_public_access": False}
SECRETS = {"provider": {"key_arn": KEY}, "resources": ["secrets"]}
ENTRIES = {"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False}


def cluster(vpc: dict[str, Any] | None = None, **more: Any) -> aws.eks.Cluster:
    config: Any = {"subnet_ids": ["subnet-0abc"], **(vpc or {})}
    return aws.eks.Cluster("cluster", name="ml", role_arn=ROLE, vpc_config=config, **more)


def a_cluster(vpc: dict[str, Any] | None = None, **more: Any) -> Program:
    return lambda: cluster(vpc, **more)


def unknown() -> pulumi.Output[str]:
    """Return a text that only AWS knows before an update."""
    return aws.ec2.Eip("address", domain="vpc").public_ip


# --- machines

METADATA: dict[str, Any] = {"http_tokens": "required", "http_put_response_hop_limit": 1}
DISK: dict[str, Any] = {
    "device_name": "/dev/xvda",
    "ebs": {"encrypted": "true", "kms_key_id": KEY, "volume_size": 50},
}


def template(**more: Any) -> aws.ec2.LaunchTemplate:
    return aws.ec2.LaunchTemplate(
        "template", **{"metadata_options": METADATA, "block_device_mappings": [DISK], **more}
    )


def node_group(**more: Any) -> aws.eks.NodeGroup:
    arguments: dict[str, Any] = {
        "subnet_ids": ["subnet-0abc"],
        "scaling_config": {"min_size": 0, "max_size": 4, "desired_size": 0},
        **more,
    }
    return aws.eks.NodeGroup("nodes", cluster_name="ml", node_role_arn=ROLE, **arguments)


def from_template(*, by: str = "id", group: dict[str, Any] | None = None, **more: Any) -> Program:
    def program() -> None:
        made = template(**more)
        named = {"id": made.id} if by == "id" else {"name": made.name}
        launch = {**named, "version": made.latest_version.apply(str)}
        node_group(launch_template=launch, **(group or {}))

    return program


def node_class(**spec: Any) -> Program:
    spec = {"role": "nodes", **spec}
    return custom("karpenter.k8s.aws/v1", "EC2NodeClass", spec)


def custom(version: str, kind: str, spec: Any, *, name: str = "made", **metadata: Any) -> Program:
    return lambda: k8s.apiextensions.CustomResource(
        name, api_version=version, kind=kind, metadata={"name": name, **metadata}, spec=spec
    )


def placed(*, public: bool, inline: bool = False, literal: bool = False) -> Program:
    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24")
        gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
        nat = aws.ec2.NatGateway("nat", subnet_id="subnet-0abc", allocation_id="eipalloc-0abc")
        way: dict[str, Any] = {"gateway_id": gateway.id} if public else {"nat_gateway_id": nat.id}
        if literal:
            way = {"gateway_id": "igw-0123456789abcdef0"}
        routes: Any = [{"cidr_block": "0.0.0.0/0", **way}] if inline else None
        table = aws.ec2.RouteTable("table", vpc_id=vpc.id, routes=routes)
        if not inline:
            aws.ec2.Route("route", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", **way)
        aws.ec2.RouteTableAssociation("link", subnet_id=subnet.id, route_table_id=table.id)
        node_group(subnet_ids=[subnet.id])

    return program


# --- registry

ENCRYPTED: Any = {"encryption_type": "KMS", "kms_key": KEY}


def repository(**more: Any) -> Program:
    good: dict[str, Any] = {
        "image_tag_mutability": "IMMUTABLE",
        "image_scanning_configuration": {"scan_on_push": True},
        "encryption_configurations": [ENCRYPTED],
    }
    return lambda: aws.ecr.Repository("repository", **{**good, **more})


def scanned(frequency: str, pattern: str) -> Program:
    def program() -> None:
        repository(image_scanning_configuration=None)()
        aws.ecr.RegistryScanningConfiguration(
            "scanning",
            scan_type="ENHANCED",
            rules=[
                {
                    "scan_frequency": frequency,
                    "repository_filters": [{"filter": pattern, "filter_type": "WILDCARD"}],
                }
            ],
        )

    return program


# --- add-ons


def addon(configuration: Any = None, *, name: str = "vpc-cni", fargate: bool = False) -> Program:
    def program() -> None:
        made = cluster()
        text = json.dumps(configuration) if isinstance(configuration, dict) else configuration
        aws.eks.Addon("addon", cluster_name=made.name, addon_name=name, configuration_values=text)
        if fargate:
            aws.eks.FargateProfile(
                "fargate",
                cluster_name=made.name,
                pod_execution_role_arn=ROLE,
                selectors=[{"namespace": "ml"}],
            )

    return program


def two_clusters(*addons: str) -> Program:
    def program() -> None:
        for name in ("one", "two"):
            made = aws.eks.Cluster(name, name=name, role_arn=ROLE, vpc_config={"subnet_ids": ["subnet-0abc"]})
            if name in addons:
                text = json.dumps({"enableNetworkPolicy": "true"})
                aws.eks.Addon(name, cluster_name=made.name, addon_name="vpc-cni", configuration_values=text)

    return program


def auto_mode(value: str | None, *, namespace: str = "kube-system", name: str = "amazon-vpc-cni") -> Program:
    def program() -> None:
        cluster(compute_config={"enabled": True})
        if value is not None:
            k8s.core.v1.ConfigMap(
                "cni",
                metadata={"name": name, "namespace": namespace},
                data={"enable-network-policy-controller": value},
            )

    return program


def with_chart(chart: str) -> Program:
    def program() -> None:
        cluster()
        k8s.helm.v3.Release("cni", chart=chart, version="1.18.2")

    return program


# --- administrators


def trust(principal: dict[str, str], action: str, condition: Any = None) -> str:
    statement = {"Effect": "Allow", "Action": action, "Principal": principal}
    return json.dumps({"Statement": statement | ({"Condition": condition} if condition else {})})


ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
PIPELINE = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}


def administrator(
    document: str, *, policy: str = "AmazonEKSClusterAdminPolicy", scope: str = "cluster", entry: bool = False
) -> Program:
    def program() -> None:
        role = aws.iam.Role("role", assume_role_policy=document)
        principal = role.arn
        if entry:
            principal = aws.eks.AccessEntry("entry", cluster_name="ml", principal_arn=role.arn).principal_arn
        associated(principal, policy, scope)

    return program


def associated(principal: pulumi.Input[str], policy: str, scope: str) -> None:
    aws.eks.AccessPolicyAssociation(
        "association",
        cluster_name="ml",
        principal_arn=principal,
        policy_arn=f"arn:aws:eks::aws:cluster-access-policy/{policy}",
        access_scope={"type": scope, "namespaces": ["ml"] if scope == "namespace" else None},
    )


def case(control: str, compliant: Program, violating: Program, mentions: str) -> Case:
    return Case(control=control, compliant=compliant, violating=violating, mentions=mentions)


def unknown_switch() -> None:
    cluster({"endpoint_private_access": True, "endpoint_public_access": unknown().apply(bool)})


def release(**more: Any) -> Program:
    return lambda: k8s.helm.v3.Release("release", **{"chart": "kyverno", "version": "3.5.2", **more})


_CLUSTER: list[Case] = [
    case("EKS-01", a_cluster(PRIVATE), a_cluster({"endpoint_private_access": True}), "endpointPublicAccess"),
    case("EKS-01", a_cluster(PRIVATE), a_cluster({"endpoint_public_access": False}), "endpointPrivateAccess"),
    case(
        "EKS-01",
        a_cluster({"endpoint_private_access": True, "public_access_cidrs": ["203.0.113.0/24"]}),
        a_cluster({"endpoint_private_access": True, "public_access_cidrs": ["203.0.113.0/24", "0.0.0.0/0"]}),
        "publicAccessCidrs[1]",
    ),
    case("EKS-01", a_cluster(PRIVATE), unknown_switch, "endpointPublicAccess"),
    case("EKS-02", a_cluster(encryption_config=SECRETS), a_cluster(), "encryptionConfig"),
    case(
        "EKS-02",
        a_cluster(encryption_config=SECRETS),
        a_cluster(encryption_config={**SECRETS, "resources": []}),
        "secrets",
    ),
    case(
        "EKS-02",
        a_cluster(encryption_config=SECRETS),
        a_cluster(encryption_config={**SECRETS, "provider": {"key_arn": ""}}),
        "keyArn",
    ),
    case(
        "EKS-03",
        a_cluster(enabled_cluster_log_types=list(CONTROL_PLANE_LOGS)),
        a_cluster(enabled_cluster_log_types=["api", "audit"]),
        "authenticator",
    ),
    case(
        "EKS-03",
        a_cluster(enabled_cluster_log_types=list(CONTROL_PLANE_LOGS)),
        a_cluster(),
        "leaves out audit",
    ),
    case("EKS-04", a_cluster(access_config=ENTRIES), a_cluster(), "authenticationMode"),
    case(
        "EKS-04",
        a_cluster(access_config=ENTRIES),
        a_cluster(access_config={"authentication_mode": "API"}),
        "bootstrapClusterCreatorAdminPermissions",
    ),
    case(
        "EKS-04",
        a_cluster(access_config=ENTRIES),
        a_cluster(access_config={**ENTRIES, "authentication_mode": "API_AND_CONFIG_MAP"}),
        "aws-auth",
    ),
    case("EKS-05", a_cluster(version=NEWEST), a_cluster(), "version"),
    case("EKS-05", a_cluster(version=NEWEST), a_cluster(version="1.29"), "standard support"),
    case(
        "EKS-05",
        lambda: node_group(),
        lambda: node_group(version="1.27"),
        "standard support",
    ),
]

_MACHINES: list[Case] = [
    case("EKS-06", from_template(), lambda: node_group(), "launchTemplate"),
    case(
        "EKS-06",
        from_template(by="name"),
        from_template(group={"remote_access": {"ec2_ssh_key": "admin"}}),
        "remoteAccess",
    ),
    case(
        "EKS-06",
        from_template(),
        from_template(metadata_options={**METADATA, "http_tokens": "optional"}),
        "IMDSv1",
    ),
    case("EKS-06", from_template(), from_template(by="name", metadata_options=None), "IMDSv1"),
    case(
        "EKS-06",
        from_template(
            metadata_options={**METADATA, "http_put_response_hop_limit": 2},
            tags={"hop-limit-reason": "an agent in a container reads the zone"},
        ),
        from_template(metadata_options={**METADATA, "http_put_response_hop_limit": 2}),
        "pods reach the machine's credentials",
    ),
    case("EKS-06", from_template(), from_template(block_device_mappings=None), "blockDeviceMappings"),
    case(
        "EKS-06",
        from_template(block_device_mappings=[DISK, {"device_name": "/dev/xvdb", "no_device": "true"}]),
        from_template(
            block_device_mappings=[DISK, {"device_name": "/dev/xvdb", "ebs": {"volume_size": 100}}]
        ),
        "blockDeviceMappings[1].ebs.encrypted",
    ),
    case("EKS-06", from_template(), from_template(key_name="admin"), "keyName"),
    case(
        "EKS-06", node_class(role="x"), node_class(metadataOptions={"httpTokens": "optional"}), "httpTokens"
    ),
    case(
        "EKS-06",
        node_class(blockDeviceMappings=[{"ebs": {"encrypted": True}}]),
        node_class(blockDeviceMappings=[{"ebs": {"volumeSize": "100Gi"}}]),
        "ebs.encrypted",
    ),
    case("EKS-06", node_class(), node_class(metadataOptions={"httpPutResponseHopLimit": 2}), "HopLimit"),
    case("EKS-06", node_class(), node_class(associatePublicIPAddress=True), "public addresses"),
    case("EKS-28", placed(public=False), placed(public=True, literal=True), "internet gateway"),
    case("EKS-28", placed(public=False), placed(public=True), "internet gateway"),
    case("EKS-28", placed(public=False, inline=True), placed(public=True, inline=True), "internet gateway"),
]

_REGISTRY: list[Case] = [
    case("EKS-16", repository(), repository(image_tag_mutability=None), "imageTagMutability"),
    case("EKS-16", repository(), repository(image_scanning_configuration=None), "scanOnPush"),
    case("EKS-16", scanned("CONTINUOUS_SCAN", "*"), scanned("CONTINUOUS_SCAN", "ml/*"), "scanOnPush"),
    case("EKS-16", scanned("SCAN_ON_PUSH", "*"), scanned("MANUAL", "*"), "scanOnPush"),
    case("EKS-16", repository(), repository(encryption_configurations=None), "encryptionType"),
    case(
        "EKS-16",
        repository(),
        repository(encryption_configurations=[{"encryption_type": "KMS"}]),
        "kmsKey",
    ),
    case(
        "EKS-16",
        lambda: aws.ecr.RepositoryCreationTemplate(
            "cache", prefix="quay", applied_fors=["PULL_THROUGH_CACHE"], encryption_configurations=[ENCRYPTED]
        ),
        lambda: aws.ecr.RepositoryCreationTemplate(
            "cache", prefix="quay", applied_fors=["PULL_THROUGH_CACHE"]
        ),
        "encryptionType",
    ),
]

_ADDONS: list[Case] = [
    case("EKS-19", addon({"enableNetworkPolicy": "true"}), a_cluster(), "vpc-cni"),
    case(
        "EKS-19",
        addon({"enableNetworkPolicy": "true"}),
        addon({"enableNetworkPolicy": "false"}),
        "policies on",
    ),
    case("EKS-19", addon({"enableNetworkPolicy": "true"}), addon("{"), "shape"),
    case(
        "EKS-19",
        addon({"enableNetworkPolicy": "true"}),
        addon({"enableNetworkPolicy": "true"}, fargate=True),
        "Fargate",
    ),
    case("EKS-19", addon({"enableNetworkPolicy": "true"}), addon("[]"), "policies on"),
    case("EKS-19", two_clusters("one", "two"), two_clusters("one"), "vpc-cni"),
    case("EKS-19", auto_mode("true"), auto_mode(None), "auto mode"),
    case("EKS-19", auto_mode("true"), auto_mode("true", namespace="ml"), "auto mode"),
    case("EKS-19", auto_mode("true"), auto_mode("true", name="amazon-vpc"), "auto mode"),
    case("EKS-19", with_chart("cilium"), with_chart("nginx"), "vpc-cni"),
    case(
        "EKS-27",
        lambda: aws.eks.Addon(
            "addon", cluster_name="ml", addon_name="coredns", addon_version="v1.14.3-eksbuild.16"
        ),
        addon(),
        "addonVersion",
    ),
    case("EKS-27", release(), release(version=None), "version"),
    case("EKS-27", release(chart="./charts/own", version=None), release(version="latest"), "version"),
    case(
        "EKS-27",
        release(repository_opts={"repo": "https://charts.example.org"}),
        release(repository_opts={"repo": "http://charts.example.org"}),
        "in clear",
    ),
]

_ADMINISTRATORS: list[Case] = [
    case(
        "EKS-26",
        administrator(trust(ROOT, "sts:AssumeRole", MFA)),
        administrator(trust(ROOT, "sts:AssumeRole")),
        "second factor",
    ),
    case(
        "EKS-26",
        administrator(trust(PIPELINE, "sts:AssumeRoleWithWebIdentity"), entry=True),
        administrator(trust({"Service": "ec2.amazonaws.com"}, "sts:AssumeRole"), entry=True),
        "second factor",
    ),
    case(
        "EKS-26",
        administrator(trust(ROOT, "sts:AssumeRole"), policy="AmazonEKSViewPolicy"),
        lambda: associated(f"arn:aws:iam::{ACCOUNT}:user/admin", "AmazonEKSAdminPolicy", "cluster"),
        "no role",
    ),
    case(
        "EKS-26",
        administrator(trust(ROOT, "sts:AssumeRole"), scope="namespace"),
        administrator(trust(ROOT, "sts:AssumeRole"), policy="AmazonEKSAdminPolicy"),
        "second factor",
    ),
]

_BOTH_WAYS = json.dumps(
    {
        "Statement": [
            {"Effect": "Deny", "Action": "sts:TagSession", "Principal": "*"},
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": ROOT, "Condition": MFA},
        ]
    }
)

_ADMINISTRATORS.append(
    case(
        "EKS-26",
        administrator(_BOTH_WAYS),
        administrator(trust({**ROOT, **PIPELINE}, "sts:AssumeRole")),
        "second factor",
    )
)

CASES = [*_CLUSTER, *_MACHINES, *_REGISTRY, *_ADDONS, *_ADMINISTRATORS]
