"""EKS: who pushes images, who administers the cluster, and what pods may reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from machinery.control import HIGH, LOW, MEDIUM, Catalogue, References, stack_violation
from machinery.documents import Statement, statements
from machinery.grants import own_accounts
from machinery.manifests import Manifest, manifests, objects
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, Violation, per_item

catalogue = Catalogue()

REPOSITORY = "aws:ecr/repository:Repository"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
SCANNING = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"
ACCESS_ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
AUTO_SCALING = "aws:autoscaling/group:Group"
NETWORK_POLICY = "NetworkPolicy"


def _refuses(refusal: Statement, key: str, *, negated: bool) -> bool:
    """Say whether a refusal is bound by ``key`` and spares nobody else but AWS's services."""
    return any(c.key == key and c.negated is negated for c in refusal.conditions) and all(
        c.key in (key, "aws:principalisawsservice") and "*" not in c.values for c in refusal.conditions
    )


@catalogue.stack(
    "EKS-29",
    "A repository refuses other accounts, and pushes of anybody but its publishers",
    severity=HIGH,
    on=REPOSITORY,
    remedy="Add a RepositoryPolicy that denies ecr:* to other accounts (aws:PrincipalAccount), and ecr:PutImage to all but the publishing roles (aws:PrincipalArn).",
    references=References(nist=["AC-3", "CM-5", "SI-7"], atlas=["AML.M0013"]),
)
def only_publishers_push(repository: Resource, stack: Stack) -> Outcomes:
    refusals = [
        statement
        for policy in stack.referrers(repository, "repository", REPOSITORY_POLICY)
        for statement in statements(policy, "policy")
        if not statement.allows and statement.everyone
    ]
    if not any(_refuses(r, "aws:principalaccount", negated=True) and "ecr:*" in r.actions for r in refusals):
        yield repository.violation("", "does not refuse other accounts")
    if not any(
        _refuses(r, "aws:principalarn", negated=True) and "ecr:putimage" in r.actions for r in refusals
    ):
        yield repository.violation("", "takes images of anybody who may push")


@catalogue.resource(
    "EKS-30",
    "Repositories that AWS makes for a cache are as safe as the others",
    severity=MEDIUM,
    on=TEMPLATE,
    remedy="Set image_tag_mutability IMMUTABLE, and a repository_policy that denies other accounts.",
    references=References(fsbp=["ECR.2"], nist=["CM-5", "AC-3"]),
)
def cached_repositories_are_safe(template: Resource) -> Outcomes:
    if not str(template.switch("imageTagMutability", absent="MUTABLE")).startswith("IMMUTABLE"):
        yield template.violation("imageTagMutability", "lets a tag mean another image tomorrow")
    refusals = [s for s in statements(template, "repositoryPolicy") if not s.allows]
    if not any(_refuses(r, "aws:principalaccount", negated=True) for r in refusals):
        yield template.violation("repositoryPolicy", "does not refuse other accounts")


@catalogue.stack(
    "EKS-31",
    "Every image is scanned, and again when new weaknesses are known",
    severity=MEDIUM,
    on=REPOSITORY,
    remedy="Add a RegistryScanningConfiguration of type ENHANCED that scans * continuously.",
    references=References(fsbp=["ECR.1"], nist=["RA-5"], pci=["11.3.1"]),
)
def images_are_scanned_again(_: Resource, stack: Stack) -> Outcomes:
    for scanning in stack.of(SCANNING):
        for rule in scanning.items("rules"):
            filters = {str(f.switch("filter")) for f in rule.items("repositoryFilters")}
            if rule.switch("scanFrequency") == "CONTINUOUS_SCAN" and "*" in filters:
                return
    yield stack_violation("does not scan every image again and again")


_MASTERS = "system:masters"
_ADMINISTRATORS = 2
"""Who deploys, and who breaks the glass."""


@catalogue.stack(
    "EKS-32",
    "Entries into a cluster are for roles of the account, and few of them administer it",
    severity=HIGH,
    on=(ACCESS_ENTRY, ASSOCIATION),
    remedy="Name roles of accounts in allowed_account_ids; leave system:masters out; scope policies to namespaces, but for whoever deploys and break-glass.",
    references=References(nist=["AC-3", "AC-6(5)"], kubernetes=["5.1.1", "5.1.7"]),
)
def entries_are_ours_and_few(entry: Resource, stack: Stack) -> Outcomes:
    own = own_accounts(entry)
    parts = str(entry.reference("principalArn", absent="")).split(":")
    if len(parts) > 4 and own and parts[4] not in own:
        yield entry.violation("principalArn", "is of another account")
    if entry.type == ACCESS_ENTRY:
        for path, group in entry.texts("kubernetesGroups"):
            if group == _MASTERS:
                yield entry.violation(path, "is the group that no rule binds")
        return
    if not _administers(entry):
        return
    rivals = [other for other in stack.of(ASSOCIATION) if _administers(other)]
    if len(rivals) > _ADMINISTRATORS:
        yield entry.violation("policyArn", f"makes one of {len(rivals)} administrators of the cluster")


def _administers(association: Resource) -> bool:
    return association.word("policyArn").endswith(("ClusterAdminPolicy", "EKSAdminPolicy")) or (
        association.switch("accessScope.type") == "cluster" and "View" not in association.word("policyArn")
    )


@catalogue.stack(
    "EKS-33",
    "A policy that reaches a whole cluster only looks",
    severity=MEDIUM,
    on=ASSOCIATION,
    remedy="Scope the association to namespaces; views of the whole cluster are for auditors and operators.",
    references=References(nist=["AC-6"], kubernetes=["5.1.1"]),
)
def cluster_wide_views_are_few(association: Resource, stack: Stack) -> Outcomes:
    if association.switch("accessScope.type") != "cluster" or _administers(association):
        return
    wide = [
        other
        for other in stack.of(ASSOCIATION)
        if other.switch("accessScope.type") == "cluster" and not _administers(other)
    ]
    if len(wide) > _ADMINISTRATORS:
        yield association.violation("accessScope.type", "is the whole cluster, as for several others")


_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
_WORLD = ("0.0.0.0/0", "::/0")


@catalogue.resource(
    "EKS-34",
    "A network policy that names the world leaves out private and link-local addresses, and names both directions",
    severity=MEDIUM,
    remedy="Name pods, namespaces or ranges; except 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 and 169.254.0.0/16 from 0.0.0.0/0; list Ingress and Egress.",
    references=References(nist=["SC-7"], kubernetes=["5.3.2"]),
)
def network_policies_stay_narrow(resource: Resource) -> Outcomes:
    if not resource.type.startswith("kubernetes:"):
        return
    for policy in manifests(resource):
        if policy.kind == NETWORK_POLICY:
            yield from _narrow(policy)


def _narrow(policy: Manifest) -> Outcomes:
    types = {text for _, text in policy.texts("spec.policyTypes")}
    for direction, peers in (("Ingress", "from"), ("Egress", "to")):
        if direction not in types:
            yield policy.violation("spec.policyTypes", f"does not name {direction}")
        yield from per_item(
            policy.items(f"spec.{direction.lower()}"),
            lambda rule, peers=peers: _rule(rule, peers),  # type: ignore[misc]
        )


def _rule(rule: Node, peers: str) -> Outcomes:
    named = rule.items(peers)
    if not named:
        yield rule.violation(peers, "names nobody, so it admits everybody")
    for peer in named:
        if peer.switch("ipBlock.cidr") in _WORLD:
            left_out = {text for _, text in peer.texts("ipBlock.except")}
            if set(_PRIVATE) - left_out:
                yield peer.violation("ipBlock", "admits the world, and private addresses with it")


@catalogue.resource(
    "EKS-35",
    "A service account gives no token unless a pod asks for one",
    severity=LOW,
    remedy="Set automountServiceAccountToken to false in the service account.",
    references=References(nist=["AC-6"], kubernetes=["5.1.6"]),
)
def accounts_give_no_tokens(resource: Resource) -> Outcomes:
    if not resource.type.startswith("kubernetes:"):
        return
    for account in manifests(resource):
        if account.kind == "ServiceAccount" and account.switch("automountServiceAccountToken", absent=True):
            yield account.violation("automountServiceAccountToken", "is on for every pod that wears it")


@catalogue.resource(
    "EKS-36",
    "Machines start from an image and a template whose versions are written down",
    severity=MEDIUM,
    on=(NODE_GROUP, AUTO_SCALING),
    remedy="Name the number of the launch template's version, and for nodes the Kubernetes version and a Bottlerocket or AL2023 image.",
    references=References(nist=["CM-2", "SI-2"], pci=["6.3.3"]),
)
def machines_are_pinned(group: Resource) -> Outcomes:
    if str(group.reference("launchTemplate.version", absent="")) in ("$Latest", "$Default"):
        yield group.violation("launchTemplate.version", "is whatever comes next")
    if group.type == NODE_GROUP:
        if not group.has("version"):
            yield group.violation("version", "is whatever the cluster has")
        image = group.word("amiType", absent="AL2_x86_64")
        if not image.startswith(("BOTTLEROCKET", "AL2023")):
            yield group.violation("amiType", "is an image that gets no updates, or one of nobody's")
        if not 0 < group.number("scalingConfig.maxSize", 0) <= _MOST_NODES:
            yield group.violation("scalingConfig.maxSize", "is no bound")


_MOST_NODES = 100

_LOOSENING = {
    "features.forceFailurePolicyIgnore.enabled": "admits what the policies could not look at",
    "features.policyExceptions.enabled": "lets objects of the cluster make exceptions",
    "features.registryClient.allowInsecure": "asks registries without TLS",
}


@catalogue.resource(
    "EKS-37",
    "The values of a chart switch no check off and pin the images that they name",
    severity=HIGH,
    on="kubernetes:helm.sh/v3:Release",
    remedy="Leave forceFailurePolicyIgnore, policyExceptions and allowInsecure off; write each tag with its digest, v1@sha256:….",
    references=References(nist=["CM-7", "SI-7"], atlas=["AML.M0013"]),
)
def charts_switch_nothing_off(release: Resource) -> Outcomes:
    values = release.part("values")
    for path, what in _LOOSENING.items():
        if values.switch(path, absent=False):
            yield values.violation(path, what)
    for where, image in _images(values.value, "values"):
        tag = image.get("tag")
        if isinstance(tag, str) and "@sha256:" not in tag and "digest" not in image:
            yield release.violation(f"{where}.tag", "may mean another image tomorrow")


def _images(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        if "repository" in value and "tag" in value:
            yield path, value
        for key, item in value.items():
            yield from _images(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _images(item, f"{path}[{index}]")


_REFUSED = {
    "serviceAccountName": "the default service account",
    "automountServiceAccountToken": "tokens that nobody asked for",
    "'cpu'": "containers without a limit of cpu",
    "'memory'": "containers without a limit of memory",
    ".image.startsWith": "images of other registries",
    "@sha256": "images without a digest",
    "ephemeralContainers": "containers that are added later",
    "allowPrivilegeEscalation": "escalation of privileges",
    ".privileged": "privileged containers",
    "capabilities": "capabilities",
    "readOnlyRootFilesystem": "roots that can be written",
    "runAsNonRoot": "containers that may be root",
    "runAsUser": "user 0",
    "hostNetwork": "the machine's network",
    "hostPID": "the machine's processes",
    "hostIPC": "the machine's shared memory",
    "hostPath": "the machine's disk",
    "hostPort": "ports of the machine",
}
"""What a cluster's own admission refuses, and a word that its rule cannot do without (Pod Security Standards, and more)."""


@catalogue.stack(
    "EKS-38",
    "The cluster's own admission refuses all that the pods of the program are held to",
    severity=MEDIUM,
    remedy="Add a validation to a ValidatingAdmissionPolicy for each: host namespaces, paths and ports, privileges, root, limits, tokens, registries, digests.",
    references=References(nist=["CM-7", "AC-6"], kubernetes=["5.2.2", "5.2.6", "5.5.1"]),
)
def admission_refuses_everything(stack: Stack) -> Outcomes:
    policies = objects(stack).of("ValidatingAdmissionPolicy")
    if not policies:
        return
    rules = " ".join(
        rule.word("expression") for policy in policies for rule in policy.items("spec.validations")
    )
    for word, what in _REFUSED.items():
        if word not in rules:
            yield stack_violation(f"admits {what} into its cluster")


@catalogue.resource(
    "EKS-39",
    "No role of a namespace touches its secrets",
    severity=MEDIUM,
    remedy="Leave secrets out of resources; pods get theirs from Secrets Manager under their own role.",
    references=References(nist=["AC-6"], kubernetes=["5.1.2"]),
)
def roles_touch_no_secrets(resource: Resource) -> Outcomes:
    if not resource.type.startswith("kubernetes:rbac"):
        return
    for role in manifests(resource):
        for rule in role.items("rules"):
            for path, named in rule.texts("resources"):
                if named == "secrets":
                    yield Violation(path, "are secrets, of whoever is in the namespace", urn=resource.urn)
