"""The cluster: who reaches its API, who rules it, what it writes down, and what its machines can reach."""

from __future__ import annotations

import base64
import json
import tomllib
from datetime import date
from typing import Any

import pytest

from blueprint.graph import Graph, Resource
from components.cluster import Cluster
from components.cluster_access import REACHES
from components.documents import Statement
from components.eks_versions import ENDED, RELEASES, version_problem
from components.pod_identity import PodIdentity
from tests.components.support import ACCOUNT, BOUNDARY, HOME, built, key, named, one, statement, statements

CLUSTER = "aws:eks/cluster:Cluster"
ADDON = "aws:eks/addon:Addon"
NODES = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
INTO = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OUT = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ROLE = "aws:iam/role:Role"

PERSONAS = ("data-scientist", "ml-engineer", "auditor", "operator", "break-glass")
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deploy"


def role_arn(persona: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{persona}"


def cluster(*, unknowns: bool = False, **changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "kubernetes_version": "1.36",
        "vpc_id": "vpc-1",
        "private_subnet_ids": ["subnet-1", "subnet-2"],
        "service_cidr": "172.20.0.0/16",
        "endpoint_security_group_id": "sg-endpoints",
        "s3_prefix_list_id": "pl-1",
        "api_cidrs": [],
        "key_arn": key("platform"),
        "logs_key_arn": key("logs"),
        "log_retention_days": 365,
        "deployer_role_arn": DEPLOYER,
        "deployer_security_group_id": None,
        "role_arns": {persona: role_arn(persona) for persona in PERSONAS},
        "namespaces": {"data-scientist": ["training"], "ml-engineer": ["training", "serving"]},
        "permissions_boundary_arn": BOUNDARY,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: Cluster("main", **arguments, opts=opts), unknowns=unknowns)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return cluster()


def test_the_api_is_private_unless_ranges_are_listed(graph: Graph) -> None:
    private = one(graph, CLUSTER).inputs["vpcConfig"]
    assert (private["endpointPrivateAccess"], private["endpointPublicAccess"]) == (True, False)
    assert "publicAccessCidrs" not in private
    listed = one(cluster(api_cidrs=["203.0.113.8/32"]), CLUSTER).inputs["vpcConfig"]
    assert (listed["endpointPrivateAccess"], listed["endpointPublicAccess"]) == (True, True)
    assert listed["publicAccessCidrs"] == ["203.0.113.8/32"]


def test_all_that_the_control_plane_does_is_written_down_encrypted_and_kept(graph: Graph) -> None:
    made = one(graph, CLUSTER)
    assert set(made.inputs["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    group = one(graph, "aws:cloudwatch/logGroup:LogGroup")
    # Were it not there first, EKS would make it in clear.
    assert group.inputs["name"] == f"/aws/eks/{made.inputs['name']}/cluster"
    assert group.urn in made.dependencies
    assert (group.inputs["kmsKeyId"], group.inputs["retentionInDays"]) == (key("logs"), 365)


def test_kubernetes_secrets_are_under_our_key(graph: Graph) -> None:
    encryption = one(graph, CLUSTER).inputs["encryptionConfig"]
    assert encryption == {"provider": {"keyArn": key("platform")}, "resources": ["secrets"]}


def test_who_made_the_cluster_does_not_stay_its_administrator(graph: Graph) -> None:
    access = one(graph, CLUSTER).inputs["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}


def reaches(graph: Graph) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Return by principal the policy, its scope and its namespaces."""
    return {
        found.inputs["principalArn"].rpartition("/")[2]: (
            found.inputs["policyArn"].rpartition("/")[2],
            found.inputs["accessScope"]["type"],
            tuple(found.inputs["accessScope"].get("namespaces", ())),
        )
        for found in graph.of(ASSOCIATION)
    }


def test_each_persona_reaches_as_far_as_its_work_goes(graph: Graph) -> None:
    assert reaches(graph) == {
        "data-scientist": ("AmazonEKSViewPolicy", "namespace", ("training",)),
        "ml-engineer": ("AmazonEKSViewPolicy", "namespace", ("training", "serving")),
        "auditor": ("AmazonEKSViewPolicy", "cluster", ()),
        "operator": ("AmazonEKSViewPolicy", "cluster", ()),
        "break-glass": ("AmazonEKSClusterAdminPolicy", "cluster", ()),
        "deploy": ("AmazonEKSClusterAdminPolicy", "cluster", ()),
    }


def test_a_persona_is_known_inside_by_its_group_and_by_no_group_of_kubernetes(graph: Graph) -> None:
    groups = {
        e.inputs["principalArn"].rpartition("/")[2]: e.inputs.get("kubernetesGroups", [])
        for e in graph.of(ENTRY)
    }
    assert groups == {**{persona: [f"platform:{persona}"] for persona in PERSONAS}, "deploy": []}


def test_a_persona_without_namespaces_does_not_get_the_whole_cluster() -> None:
    with pytest.raises(ValueError, match="namespaces names none for ml-engineer"):
        cluster(namespaces={"data-scientist": ["training"]})


def test_the_only_persona_that_rules_is_break_glass() -> None:
    rulers = {persona for persona, reach in REACHES.items() if "Admin" in reach.policy}
    assert rulers == {"break-glass"}


def test_every_add_on_is_pinned_and_none_comes_by_itself(graph: Graph) -> None:
    assert one(graph, CLUSTER).inputs["bootstrapSelfManagedAddons"] is False
    found = {addon.inputs["addonName"]: addon.inputs["addonVersion"] for addon in graph.of(ADDON)}
    assert found == dict(RELEASES["1.36"].addons)


@pytest.mark.parametrize("version", sorted(RELEASES))
def test_every_version_pins_the_same_add_ons(version: str) -> None:
    assert set(RELEASES[version].addons) == {
        "vpc-cni",
        "kube-proxy",
        "eks-pod-identity-agent",
        "coredns",
        "aws-ebs-csi-driver",
        "aws-guardduty-agent",
    }
    assert RELEASES[version].addons["kube-proxy"].startswith(f"v{version}.")


def test_pods_have_network_policies_and_security_groups_of_their_own(graph: Graph) -> None:
    settings = json.loads(named(graph, ADDON, "-vpc-cni").inputs["configurationValues"])
    assert settings["enableNetworkPolicy"] == "true"
    assert settings["env"]["ENABLE_POD_ENI"] == "true"
    # In strict mode network policies do not hold for pods that have a security group.
    assert settings["env"]["POD_SECURITY_GROUP_ENFORCING_MODE"] == "standard"
    assert settings["env"]["AWS_VPC_K8S_CNI_EXTERNALSNAT"] == "true"


def test_add_ons_that_call_aws_do_so_under_roles_that_no_other_pod_gets(graph: Graph) -> None:
    for addon, account in (("vpc-cni", "aws-node"), ("aws-ebs-csi-driver", "ebs-csi-controller-sa")):
        role = named(graph, ROLE, f"-{addon}")
        trust = statement(role, "PodsOfOneServiceAccount", "assumeRolePolicy")
        assert trust["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
        assert trust["Condition"]["StringEquals"] == {
            "aws:RequestTag/eks-cluster-name": "main",
            "aws:RequestTag/kubernetes-namespace": "kube-system",
            "aws:RequestTag/kubernetes-service-account": account,
        }
        (identity,) = named(graph, ADDON, f"-{addon}").inputs["podIdentityAssociations"]
        assert (identity["serviceAccount"], identity["roleArn"]) == (account, role.outputs["arn"])


def test_the_volume_driver_uses_our_key_and_no_other(graph: Graph) -> None:
    use, hold = statements(one(graph, "aws:iam/rolePolicy:RolePolicy"))
    assert use["Resource"] == hold["Resource"] == [key("platform")]
    assert hold["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_every_role_carries_the_boundary(graph: Graph) -> None:
    assert len(graph.of(ROLE)) == 4
    assert {role.inputs["permissionsBoundary"] for role in graph.of(ROLE)} == {BOUNDARY}


def test_a_machine_knows_how_to_join_and_to_pull_and_nothing_else(graph: Graph) -> None:
    role = named(graph, ROLE, "-node")
    attached = {
        a.inputs["policyArn"].rpartition("/")[2]
        for a in graph.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if a.inputs["role"] == role.outputs["name"]
    }
    assert attached == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}


def test_pods_cannot_become_the_machine(graph: Graph) -> None:
    options = one(graph, TEMPLATE).inputs["metadataOptions"]
    assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_nobody_signs_in_to_a_machine(graph: Graph) -> None:
    template = one(graph, TEMPLATE).inputs
    assert "keyName" not in template
    assert "remoteAccess" not in one(graph, NODES).inputs
    user_data = tomllib.loads(base64.b64decode(template["userData"]).decode())
    containers = user_data["settings"]["host-containers"]
    assert (containers["admin"]["enabled"], containers["control"]["enabled"]) == (False, False)
    assert user_data["settings"]["kubernetes"]["seccomp-default"] is True


def test_both_disks_of_a_machine_are_under_our_key(graph: Graph) -> None:
    disks = {d["deviceName"]: d["ebs"] for d in one(graph, TEMPLATE).inputs["blockDeviceMappings"]}
    assert set(disks) == {"/dev/xvda", "/dev/xvdb"}
    assert {(d["encrypted"], d["kmsKeyId"]) for d in disks.values()} == {("true", key("platform"))}


def rules(graph: Graph, type_: str, group_id: str) -> set[tuple[Any, Any]]:
    """Return the other side and the port of each rule at a group."""
    return {
        (
            r.inputs.get("referencedSecurityGroupId")
            or r.inputs.get("prefixListId")
            or r.inputs.get("cidrIpv4"),
            r.inputs.get("fromPort"),
        )
        for r in graph.of(type_)
        if r.inputs["securityGroupId"] == group_id
    }


def group_id(graph: Graph, label: str) -> str:
    return named(graph, "aws:ec2/securityGroup:SecurityGroup", f"-{label}").id


def test_machines_reach_the_api_aws_and_each_other_and_no_internet(graph: Graph) -> None:
    nodes, control_plane = group_id(graph, "nodes"), group_id(graph, "control-plane")
    assert rules(graph, OUT, nodes) == {
        (nodes, None),
        (control_plane, 443),
        ("sg-endpoints", 443),
        ("pl-1", 443),
    }
    assert rules(graph, INTO, nodes) == {(nodes, None), (control_plane, 10250), (control_plane, 9443)}
    assert rules(graph, INTO, control_plane) == {(nodes, 443)}
    assert one(graph, CLUSTER).inputs["vpcConfig"]["securityGroupIds"] == [control_plane]


def test_machines_wear_our_group_and_not_the_one_of_eks_that_lets_out_to_everybody(graph: Graph) -> None:
    nodes = group_id(graph, "nodes")
    (interface,) = one(graph, TEMPLATE).inputs["networkInterfaces"]
    assert interface["securityGroups"] == [nodes]
    assert interface["associatePublicIpAddress"] == "false"


def test_a_machine_that_deploys_reaches_the_private_api() -> None:
    graph = cluster(deployer_security_group_id="sg-deployer")
    control_plane = group_id(graph, "control-plane")
    assert ("sg-deployer", 443) in rules(graph, INTO, control_plane)
    assert (control_plane, 443) in rules(graph, OUT, "sg-deployer")


def needs(graph: Graph, resource: Resource) -> set[str]:
    """Return the URNs of all that must be there before a resource."""
    index, found, waiting = graph.by_urn(), set[str](), [resource.urn]
    while waiting:
        for urn in index[waiting.pop()].needs():
            if urn in index and urn not in found:
                found.add(urn)
                waiting.append(urn)
    return found


def test_the_network_is_there_before_the_machines_and_the_machines_before_what_runs_on_them(
    graph: Graph,
) -> None:
    first = needs(graph, one(graph, NODES))
    for addon in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
        assert named(graph, ADDON, f"-{addon}").urn in first
    for addon in ("coredns", "aws-ebs-csi-driver", "aws-guardduty-agent"):
        assert one(graph, NODES).urn in needs(graph, named(graph, ADDON, f"-{addon}"))


def test_nothing_is_deployed_before_the_deployer_may_and_the_cluster_can(graph: Graph) -> None:
    first = needs(graph, one(graph, "pulumi:providers:kubernetes"))
    assert named(graph, ASSOCIATION, "-deployer").urn in first
    assert {addon.urn for addon in graph.of(ADDON)} <= first


def test_the_kubeconfig_holds_no_secret_and_names_the_cluster(graph: Graph) -> None:
    config = json.loads(one(graph, "pulumi:providers:kubernetes").inputs["kubeconfig"])
    made = one(graph, CLUSTER)
    (server,) = config["clusters"]
    assert server["cluster"]["server"] == made.outputs["endpoint"]
    assert server["cluster"]["certificate-authority-data"] == made.outputs["certificateAuthority"]["data"]
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["args"] == [
        *("--region", HOME, "eks", "get-token", "--cluster-name", "main", "--output", "json")
    ]


def test_it_previews_before_anything_exists() -> None:
    assert len(cluster(unknowns=True).of(NODES)) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"api_cidrs": ["0.0.0.0/0"]}, r"api_cidrs\[0\]: 0.0.0.0/0 opens the Kubernetes API to the world"),
        (
            {"api_cidrs": ["203.0.113.8/32", "198.51.0.0/16"]},
            r"api_cidrs\[1\]: 198.51.0.0/16 is wider than /24",
        ),
        ({"api_cidrs": ["::/0"]}, "not an IPv4 range"),
        ({"api_cidrs": ["203.0.113.8/24"]}, "not an IPv4 range"),
        ({"kubernetes_version": "1.34"}, "the pinned ones are"),
        ({"instance_type": "t3.large"}, "lends no interfaces"),
        ({"instance_type": "m7g.large"}, "is not x86-64"),
        ({"instance_type": "large"}, "is not an instance type"),
        ({"min_nodes": 1}, "write two or more"),
        ({"min_nodes": 3, "max_nodes": 2}, "write two or more"),
        ({"disk_gb": 5}, "write 20 or more"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cluster(**changed)


def test_a_version_is_good_to_the_last_day_of_its_support() -> None:
    for version, release in RELEASES.items():
        assert version_problem(version, release.supported_until) is None
    newest = max(RELEASES)
    late = date.fromordinal(RELEASES[newest].supported_until.toordinal() + 1)
    assert "left standard support" in str(version_problem(newest, late))
    assert "components/eks_versions.py" in str(version_problem(newest, late))


@pytest.mark.parametrize(("version", "ended"), sorted(ENDED.items()))
def test_an_ended_version_is_refused_with_its_date(version: str, ended: date) -> None:
    problem = str(version_problem(version, date(2026, 12, 24)))
    assert f"left standard support on {ended.isoformat()}; write 1.36" in problem


def test_an_unknown_version_is_refused() -> None:
    assert "is no version of EKS" in str(version_problem("1.99", date(2026, 12, 24)))


# Pods as themselves


def pod(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "cluster_name": "main",
        "namespace": "serving",
        "service_account": "gateway",
        "about": "Reads models",
        "permissions_boundary_arn": BOUNDARY,
        "statements": [Statement(sid="Read", actions=["s3:GetObject"], resources=["arn:aws:s3:::models/*"])],
        **changed,
    }
    return built(lambda opts, _: PodIdentity("gateway", **arguments, opts=opts))


def test_a_pods_role_is_of_no_use_to_another_service_account() -> None:
    graph = pod()
    trust = statement(one(graph, ROLE), "PodsOfOneServiceAccount", "assumeRolePolicy")
    assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-namespace"] == "serving"
    assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "gateway"
    association = one(graph, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert (association.inputs["namespace"], association.inputs["serviceAccount"]) == ("serving", "gateway")
    assert association.inputs["roleArn"] == one(graph, ROLE).outputs["arn"]
    assert one(graph, "aws:iam/rolePolicy:RolePolicy").urn in association.dependencies


def test_pods_that_call_nothing_get_no_role() -> None:
    with pytest.raises(ValueError, match="statements is empty"):
        pod(statements=[])
