"""The cluster, its machines and its registry, as the account has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

cluster = Assertions("cluster")

_CLUSTER = "aws:eks/cluster:Cluster"
_NODES = "aws:eks/nodeGroup:NodeGroup"
_REPOSITORY = "aws:ecr/repository:Repository"
_KEY = "aws:kms/key:Key"

_WORLD = "0.0.0.0/0"

_LOGS = {"api", "audit", "authenticator", "controllerManager", "scheduler"}


def _clusters(account: Account) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in account.every("eks", "list_clusters", "clusters"):
        yield name, account.client("eks").describe_cluster(name=name)["cluster"]


def _node_groups(account: Account) -> Iterator[tuple[str, dict[str, Any]]]:
    eks = account.client("eks")
    for name, _ in _clusters(account):
        for group in eks.list_nodegroups(clusterName=name)["nodegroups"]:
            found = eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"]
            yield f"{name}/{group}", found


def _gpu_groups(account: Account) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, group) for name, group in _node_groups(account) if "NVIDIA" in group["amiType"])


@cluster("The Kubernetes API is met inside the VPC, or from listed addresses", about=_CLUSTER)
def the_api_is_private(account: Account) -> Iterator[Seen]:
    for name, found in _clusters(account):
        vpc = found["resourcesVpcConfig"]
        listed = vpc.get("publicAccessCidrs") or [_WORLD]
        open_ = vpc.get("endpointPublicAccess", True) and _WORLD in listed
        yield name, bool(vpc.get("endpointPrivateAccess")) and not open_


@cluster("The control plane writes all five logs, into a group under a key of ours", about=_CLUSTER)
def the_control_plane_is_recorded(account: Account) -> Iterator[Seen]:
    groups = {g["logGroupName"]: g for g in account.every("logs", "describe_log_groups", "logGroups")}
    for name, found in _clusters(account):
        on = {
            kind
            for setting in found["logging"]["clusterLogging"]
            if setting["enabled"]
            for kind in setting["types"]
        }
        group = groups.get(f"/aws/eks/{name}/cluster", {})
        yield name, on == _LOGS and "kmsKeyId" in group and "retentionInDays" in group


@cluster("Kubernetes secrets are under a key of ours", about=_CLUSTER)
def secrets_are_encrypted(account: Account) -> Iterator[Seen]:
    for name, found in _clusters(account):
        yield (
            name,
            any(
                "secrets" in each["resources"] and ":key/" in each["provider"]["keyArn"]
                for each in found.get("encryptionConfig", [])
            ),
        )


@cluster("GPU machines stand where no route leads to the internet", about=_NODES)
def gpus_are_isolated(account: Account) -> Iterator[Seen]:
    tables = account.every("ec2", "describe_route_tables", "RouteTables")
    ways_out = {
        association["SubnetId"]
        for table in tables
        for association in table["Associations"]
        if "SubnetId" in association
        and any(route.get("DestinationCidrBlock") == _WORLD for route in table["Routes"])
    }
    for name, group in _gpu_groups(account):
        yield name, bool(group["subnets"]) and not ways_out.intersection(group["subnets"])


@cluster("GPU machines scale to zero, have a bound, and take no pod that asks for none", about=_NODES)
def gpus_are_bounded(account: Account) -> Iterator[Seen]:
    for name, group in _gpu_groups(account):
        sizes = group["scalingConfig"]
        tainted = any(taint["effect"] == "NO_SCHEDULE" for taint in group.get("taints", []))
        yield name, sizes["minSize"] == 0 and 0 < sizes["maxSize"] <= 100 and tainted


@cluster("Machines take no SSH key, ask for IMDSv2 one hop away, on disks under a key of ours", about=_NODES)
def machines_are_hardened(account: Account) -> Iterator[Seen]:
    ec2 = account.client("ec2")
    for name, group in _node_groups(account):
        template = group.get("launchTemplate")
        if not template:
            yield name, False
            continue
        (version,) = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["id"], Versions=[template["version"]]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        options = data["MetadataOptions"]
        disks = [disk["Ebs"] for disk in data["BlockDeviceMappings"]]
        yield (
            name,
            "KeyName" not in data
            and options["HttpTokens"] == "required"
            and options["HttpPutResponseHopLimit"] == 1
            and bool(disks)
            and all(disk["Encrypted"] and ":key/" in disk["KmsKeyId"] for disk in disks),
        )


def _repositories(account: Account) -> list[dict[str, Any]]:
    return account.every("ecr", "describe_repositories", "repositories")


@cluster("Image tags cannot be moved, and images are scanned and under a key of ours", about=_REPOSITORY)
def images_are_kept(account: Account) -> Iterator[Seen]:
    for found in _repositories(account):
        encryption = found["encryptionConfiguration"]
        yield (
            found["repositoryName"],
            found["imageTagMutability"] == "IMMUTABLE"
            and found["imageScanningConfiguration"]["scanOnPush"]
            and encryption["encryptionType"] == "KMS"
            and ":key/" in encryption.get("kmsKey", ""),
        )


@cluster("Repositories refuse other accounts", about=_REPOSITORY)
def repositories_are_ours(account: Account) -> Iterator[Seen]:
    ecr = account.client("ecr")
    for found in _repositories(account):
        name = found["repositoryName"]
        try:
            policy = ecr.get_repository_policy(repositoryName=name)["policyText"]
        except ecr.exceptions.RepositoryPolicyNotFoundException:
            policy = ""
        yield name, '"Deny"' in policy and "aws:PrincipalAccount" in policy


@cluster("The registry scans every image again and again", about=_REPOSITORY)
def the_registry_scans(account: Account) -> Iterator[Seen]:
    found = account.client("ecr").get_registry_scanning_configuration()["scanningConfiguration"]
    continuous = any(rule["scanFrequency"] == "CONTINUOUS_SCAN" for rule in found["rules"])
    yield "registry", found["scanType"] == "ENHANCED" and continuous


@cluster("A key signs images, and can do nothing else", about=_KEY)
def a_key_signs(account: Account) -> Iterator[Seen]:
    kms = account.client("kms")
    for each in account.of(_KEY):
        if each.attributes.get("key_usage") == "SIGN_VERIFY":
            told = kms.describe_key(KeyId=each.id)["KeyMetadata"]
            yield each.name, (told["KeyUsage"], told["KeySpec"]) == ("SIGN_VERIFY", "ECC_NIST_P256")
