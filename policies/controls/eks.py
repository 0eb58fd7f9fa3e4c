"""EKS: the control plane, its administrators and add-ons, and the registry that images come from.

The rest of the family: ``eks_machines``, ``eks_pods`` (what runs), ``eks_access`` (who may do what inside),
``eks_admission`` (namespaces, and what is let in) and ``eks_signatures``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from controls.eks_machines import FARGATE, NODE_GROUP
from machinery.addresses import is_wider_than_listed, members, network_of
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.documents import Statement, statements
from machinery.grants import ROLE, needs_second_factor
from machinery.manifests import (
    DEFAULT_NAMESPACE,
    EKS_CLUSTER,
    Manifest,
    Objects,
    manifests,
    objects,
)
from machinery.stack import Stack
from machinery.subject import Malformed, Node, Outcomes, Resource, Undecided, Violation, per_item

catalogue = Catalogue()

CLUSTER = EKS_CLUSTER
ADDON = "aws:eks/addon:Addon"
REPOSITORY = "aws:ecr/repository:Repository"
REPOSITORY_TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
SCANNING = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"

# --- the control plane -----------------------------------------------------------------------------------


@catalogue.resource(
    "EKS-01",
    "The Kubernetes API is private, or meets listed addresses only",
    severity=CRITICAL,
    on=CLUSTER,
    remedy="Set endpoint_private_access to True and endpoint_public_access to False, or list ranges of /24 or narrower.",
    references=References(fsbp=["EKS.1"], nist=["SC-7"], pci=["1.3.1"], aws_ai=["AISF-RUNTIME-01"]),
)
def the_api_is_private(cluster: Resource) -> Outcomes:
    if not cluster.switch("vpcConfig.endpointPrivateAccess", absent=False):
        yield cluster.violation(
            "vpcConfig.endpointPrivateAccess",
            "is off, so machines meet their control plane over the internet",
        )
    # AWS opens it to everybody where nothing is said.
    if not cluster.switch("vpcConfig.endpointPublicAccess", absent=True):
        return
    if not cluster.has("vpcConfig.publicAccessCidrs"):
        yield cluster.violation("vpcConfig.endpointPublicAccess", "opens the Kubernetes API to the internet")

    def judge(range_: Node) -> Outcomes:
        if is_wider_than_listed(network_of(range_)):
            yield range_.violation("", "opens the Kubernetes API to a wide range")

    yield from per_item(members(cluster, "vpcConfig.publicAccessCidrs"), judge)


@catalogue.resource(
    "EKS-02",
    "Kubernetes secrets are encrypted with a customer-managed key",
    severity=HIGH,
    on=CLUSTER,
    remedy='Set encryption_config with resources ["secrets"] and the ARN of a key of the stack.',
    references=References(fsbp=["EKS.3"], nist=["SC-28(1)"], hipaa=["164.312(a)(2)(iv)"], pci=["3.5.1"]),
)
def secrets_are_under_a_key(cluster: Resource) -> Outcomes:
    if "secrets" not in _words(cluster, "encryptionConfig.resources"):
        yield cluster.violation("encryptionConfig.resources", "does not name secrets")
    elif not cluster.has("encryptionConfig.provider.keyArn"):
        yield cluster.violation("encryptionConfig.provider.keyArn", "is missing, so AWS's own key is used")


CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All that there are (Amazon EKS User Guide, "Send control plane logs to CloudWatch Logs")."""


@catalogue.resource(
    "EKS-03",
    "All five logs of the control plane are kept",
    severity=HIGH,
    on=CLUSTER,
    remedy="List api, audit, authenticator, controllerManager and scheduler in enabled_cluster_log_types.",
    references=References(fsbp=["EKS.8"], nist=["AU-12"], hipaa=["164.312(b)"], pci=["10.2.1"]),
)
def the_control_plane_is_logged(cluster: Resource) -> Outcomes:
    kept = _words(cluster, "enabledClusterLogTypes")
    for log in CONTROL_PLANE_LOGS:
        if log not in kept:
            yield cluster.violation("enabledClusterLogTypes", f"leaves out {log}")


@catalogue.resource(
    "EKS-04",
    "Access goes through access entries, and who made the cluster is no administrator for ever",
    severity=HIGH,
    on=CLUSTER,
    remedy="Set access_config: authentication_mode API, bootstrap_cluster_creator_admin_permissions False.",
    references=References(nist=["AC-2", "AC-6"]),
)
def access_goes_through_entries(cluster: Resource) -> Outcomes:
    # The EKS API takes CONFIG_MAP and true where nothing is said (CreateAccessConfigRequest).
    if cluster.switch("accessConfig.authenticationMode", absent="CONFIG_MAP") != "API":
        yield cluster.violation(
            "accessConfig.authenticationMode", "lets a list inside the cluster (aws-auth) decide who gets in"
        )
    if cluster.switch("accessConfig.bootstrapClusterCreatorAdminPermissions", absent=True):
        yield cluster.violation(
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "leaves who made the cluster its administrator for ever",
        )


IN_STANDARD_SUPPORT: Mapping[str, str] = {"1.35": "2027-03-27", "1.36": "2027-08-02"}
"""Versions, and the last day of their standard support (Amazon EKS User Guide, "Understand the Kubernetes version
lifecycle on EKS", read in November 2026, days before that of 1.34 ends). The pack has no clock, so that the same
program gets the same verdict on every day: take a line out when its day has come, and add the new versions."""


@catalogue.resource(
    "EKS-05",
    "Clusters and their machines run a Kubernetes version in standard support, and say which",
    severity=MEDIUM,
    on=(CLUSTER, NODE_GROUP),
    remedy=f"Set version to one of {', '.join(IN_STANDARD_SUPPORT)}.",
    references=References(fsbp=["EKS.2"], nist=["SI-2"], pci=["6.3.3"]),
)
def the_version_is_supported(resource: Resource) -> Outcomes:
    version = resource.switch("version")
    if version is None:
        # A node group takes its cluster's version when it is made, which is judged there.
        if resource.type == CLUSTER:
            yield resource.violation("version", "is missing, so AWS chooses one")
    elif str(version) not in IN_STANDARD_SUPPORT:
        yield resource.violation("version", "is not in standard support")


# --- the registry ----------------------------------------------------------------------------------------


@catalogue.stack(
    "EKS-16",
    "Images cannot be replaced under their tag, are scanned, and lie under a customer-managed key",
    severity=MEDIUM,
    on=(REPOSITORY, REPOSITORY_TEMPLATE),
    remedy="Set image_tag_mutability IMMUTABLE, scan_on_push True and encryption_type KMS with a key of the stack.",
    references=References(
        fsbp=["ECR.1", "ECR.2"], pci=["11.3.1"], atlas=["AML.M0016", "AML.T0010.004"], owasp_ml=["ML06"]
    ),
)
def images_are_kept_safely(repository: Resource, stack: Stack) -> Outcomes:
    # Pull-through caches refresh their tags (Amazon ECR User Guide, "Repository creation templates").
    if (
        repository.type == REPOSITORY
        and repository.switch("imageTagMutability", absent="MUTABLE") != "IMMUTABLE"
    ):
        yield repository.violation("imageTagMutability", "lets another image take a tag's place")
    if repository.type == REPOSITORY and not (
        repository.switch("imageScanningConfiguration.scanOnPush", absent=False)
        or stack.once(_scans_everything)
    ):
        yield repository.violation(
            "imageScanningConfiguration.scanOnPush", "is off, so nobody looks for known flaws"
        )
    if not str(repository.switch("encryptionConfigurations.encryptionType", absent="AES256")).startswith(
        "KMS"
    ):
        yield repository.violation("encryptionConfigurations.encryptionType", "is not KMS")
    elif not repository.has("encryptionConfigurations.kmsKey"):
        yield repository.violation("encryptionConfigurations.kmsKey", "is missing, so AWS's own key is used")


def _scans_everything(stack: Stack) -> bool:
    """Say whether the registry scans every repository, which takes the place of the repositories' own switches."""
    return any(
        rule.switch("scanFrequency") in ("SCAN_ON_PUSH", "CONTINUOUS_SCAN")
        and any(f.switch("filter") == "*" for f in rule.items("repositoryFilters"))
        for scanning in stack.of(SCANNING)
        for rule in scanning.items("rules")
    )


# --- network policies and add-ons ------------------------------------------------------------------------

_OTHER_ENGINES = ("calico", "cilium", "tigera-operator")
"""Charts that enforce network policies in the place of the VPC CNI."""


@catalogue.stack(
    "EKS-19",
    "Something in the cluster enforces network policies",
    severity=HIGH,
    on=CLUSTER,
    remedy='Install the add-on vpc-cni with configuration_values {"enableNetworkPolicy": "true"}; run nothing on Fargate.',
    references=References(nist=["AC-4", "SC-7"], pci=["1.3.1"], kubernetes=["5.3.1"]),
)
def network_policies_are_enforced(cluster: Resource, stack: Stack) -> Outcomes:
    for profile in stack.referrers(cluster, "clusterName", FARGATE):
        # Amazon EKS User Guide, "Limit Pod traffic with Kubernetes network policies": Linux machines only.
        yield Violation("", "runs pods on Fargate, where network policies do not hold", urn=profile.urn)
    if cluster.switch("computeConfig.enabled", absent=False):
        if not any(map(_turns_policies_on, _config_maps(cluster, objects(stack)))):
            yield cluster.violation(
                "", "is in auto mode without the ConfigMap that turns network policies on"
            )
        return
    if any(_is_engine(chart) for chart in objects(stack).of("Release", "Chart", groups=("helm.sh",))):
        return
    found = [addon for addon in stack.referrers(cluster, "clusterName", ADDON) if _is_cni(addon)]
    if not found:
        yield cluster.violation("", "has no add-on vpc-cni that enforces network policies")
    for addon in found:
        if not _enforces(addon):
            yield replace(
                addon.violation("configurationValues", "does not turn network policies on"), urn=addon.urn
            )


def _is_cni(addon: Resource) -> bool:
    return bool(addon.switch("addonName") == "vpc-cni")


def _enforces(addon: Resource) -> bool:
    text = addon.reference("configurationValues", absent="{}")
    try:
        said = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise Malformed("configurationValues") from None
    return isinstance(said, Mapping) and str(said.get("enableNetworkPolicy", "")).lower() == "true"


def _is_engine(chart: Manifest) -> bool:
    name = str(chart.reference("chart", absent="")) if chart.known("chart") else ""
    return name.rpartition("/")[2] in _OTHER_ENGINES


def _config_maps(cluster: Resource, found: Objects) -> Sequence[Manifest]:
    """Return the ConfigMaps of a cluster: of this one, or of one that the program does not make."""
    return [
        made
        for made in found.of("ConfigMap", groups=("core",))
        if cluster.urn in found.cluster(made) or not any(EKS_CLUSTER in urn for urn in found.cluster(made))
    ]


def _turns_policies_on(made: Manifest) -> bool:
    # Amazon EKS User Guide, "Use Network Policies with EKS Auto Mode".
    return (
        made.switch("metadata.name") == "amazon-vpc-cni"
        and made.switch("metadata.namespace", absent=DEFAULT_NAMESPACE) == "kube-system"
        and str(made.switch("data.enable-network-policy-controller", absent="")).lower() == "true"
    )


@catalogue.resource(
    "EKS-27",
    "Add-ons and charts are pinned to a version",
    severity=MEDIUM,
    remedy="Set addon_version, or the chart's version; take charts from a registry of yours or over HTTPS.",
    references=References(nist=["CM-2", "SI-7"], atlas=["AML.M0013", "AML.T0010.001"], owasp_ml=["ML06"]),
)
def what_is_installed_is_pinned(resource: Resource) -> Outcomes:
    if resource.type == ADDON:
        if not resource.has("addonVersion"):
            yield resource.violation("addonVersion", "is missing, so AWS chooses one")
        return
    for chart in manifests(resource):
        if chart.group != "helm.sh" or _is_local(chart):
            continue
        if chart.switch("version", absent="") in ("", "latest", "*"):
            yield chart.violation("version", "is missing, so whoever owns the chart chooses one")
        if str(chart.switch("repositoryOpts.repo", absent="")).startswith("http://"):
            yield chart.violation(
                "repositoryOpts.repo", "is fetched in clear, so anybody on the way can change it"
            )


def _is_local(chart: Manifest) -> bool:
    """Say whether a chart lies beside the program, which pins it."""
    return str(chart.reference("chart", absent="")).startswith((".", "/"))


# --- administrators --------------------------------------------------------------------------------------

ACCESS_POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
ACCESS_ENTRY = "aws:eks/accessEntry:AccessEntry"

_ADMINISTRATION = ("AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy")


@catalogue.stack(
    "EKS-26",
    "Administrators of a cluster sign in with a second factor, or are the pipeline",
    severity=HIGH,
    on=ACCESS_POLICY,
    remedy="Give the policy to a role that requires MFA (aws:MultiFactorAuthPresent) or trusts the pipeline's identity provider; others get a narrower one.",
    references=References(nist=["AC-6(5)", "IA-2(1)"], pci=["8.4.1"]),
)
def administrators_are_few_and_sure(association: Resource, stack: Stack) -> Outcomes:
    policy = str(association.reference("policyArn", absent="")).rpartition("/")[2]
    if policy not in _ADMINISTRATION or association.switch("accessScope.type", absent="cluster") != "cluster":
        return
    holders = [association, *stack.targets(association, "principalArn", ACCESS_ENTRY)]
    roles = [role for holder in holders for role in stack.targets(holder, "principalArn", ROLE)]
    for role in roles:
        if any(not _is_sure(statement) for statement in statements(role, "assumeRolePolicy")):
            yield association.violation("principalArn", "is a role that is taken without a second factor")
    if roles:
        return
    if ":role/" not in str(association.reference("principalArn", absent="")):
        yield association.violation("principalArn", "is no role, so its credentials last for ever")
    else:
        yield Undecided("who may take the role of another stack")


def _is_sure(statement: Statement) -> bool:
    if not statement.allows or needs_second_factor(statement):
        return True
    return bool(statement.principals) and all(p.kind == "Federated" for p in statement.principals)


def _words(node: Node, path: str) -> list[str]:
    """Return the switches in the list at ``path``."""
    found = node.switch(path, absent=[])
    return [str(member) for member in (found if isinstance(found, list) else [found])]
