"""EKS: what pods may do on their node, what they run, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.credentials import holds_credential, texts_in
from machinery.declarations import accounts_of
from machinery.manifests import Manifest, each, manifests
from machinery.pods import Container, Pod, each_pod, on_pods, per_container
from machinery.stack import AWS_PROVIDER, Stack
from machinery.subject import Malformed, Node, Outcomes, Resource, Undecided
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

# --- what a pod may do on its node -----------------------------------------------------------------------

_RESTRICTED_SECCOMP = ("RuntimeDefault", "Localhost")


@catalogue.resource(
    "EKS-07",
    "Pods run as nobody in particular, without rights over their node, on a root that cannot be written",
    severity=HIGH,
    remedy="Set run_as_non_root, allow_privilege_escalation False, capabilities drop ALL, seccomp RuntimeDefault and read_only_root_filesystem.",
    references=References(
        nist=["AC-6", "CM-7"],
        pci=["2.2.4"],
        atlas=["AML.T0105"],
        kubernetes=["5.2.6", "5.2.7", "5.2.8", "5.2.9", "5.6.2"],
    ),
)
@on_pods
def pods_are_restricted(pod: Pod) -> Outcomes:
    # Kubernetes documentation, "Pod Security Standards: Restricted"; the read-only root is ours.
    windows = pod.windows

    def judge(container: Container) -> Outcomes:
        yield from _is_nobody(container)
        if not windows:
            yield from _has_no_rights(container)

    yield from per_container(pod, judge)


def _is_nobody(container: Container) -> Outcomes:
    if container.context("runAsNonRoot", absent=False) is not True:
        yield container.lacks("securityContext.runAsNonRoot", "lets the container run as root")
    if str(container.context("runAsUser", absent="")) == "0":
        yield container.violation("securityContext.runAsUser", "is root")


def _has_no_rights(container: Container) -> Outcomes:
    if container.switch("securityContext.allowPrivilegeEscalation", absent=True) is not False:
        yield container.lacks("securityContext.allowPrivilegeEscalation", "lets a process gain rights")
    if "ALL" not in _capabilities(container, "drop"):
        yield container.lacks("securityContext.capabilities.drop", "does not name ALL")
    if set(_capabilities(container, "add")) - {"NET_BIND_SERVICE"}:
        yield container.violation("securityContext.capabilities.add", "gives back more than NET_BIND_SERVICE")
    if container.context("seccompProfile.type") not in _RESTRICTED_SECCOMP:
        yield container.lacks("securityContext.seccompProfile", "leaves every system call open")
    if container.switch("securityContext.readOnlyRootFilesystem", absent=False) is not True:
        yield container.lacks(
            "securityContext.readOnlyRootFilesystem", "lets a process change the image it runs from"
        )


def _capabilities(container: Container, key: str) -> list[str]:
    found = container.switch(f"securityContext.capabilities.{key}", absent=[])
    names = found if isinstance(found, list) else [found]
    return [str(name).upper().removeprefix("CAP_") for name in names]


# Kubernetes documentation, "Pod Security Standards: Baseline".
_BASELINE_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SAFE_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    )
)
_SAFE_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


@catalogue.resource(
    "EKS-08",
    "No pod is privileged, shares its node's namespaces, ports or files, or leaves its confinement",
    severity=HIGH,
    remedy="Take out privileged, host_network, host_pid, host_ipc, host_path, host_port and host_process; mount volumes of the cluster instead.",
    references=References(
        nist=["AC-6", "SC-39"],
        pci=["2.2.4"],
        atlas=["AML.T0105"],
        kubernetes=["5.2.2", "5.2.3", "5.2.4", "5.2.5", "5.2.11"],
    ),
)
@on_pods
def pods_stay_in_their_confinement(pod: Pod) -> Outcomes:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.switch(key, absent=False):
            yield pod.spec.violation(key, "shares a namespace of the node")
    for volume in pod.spec.items("volumes"):
        if volume.has("hostPath"):
            yield volume.violation("hostPath", "mounts files of the node")
    for sysctl in pod.spec.items("securityContext.sysctls"):
        if sysctl.switch("name", absent="") not in _SAFE_SYSCTLS:
            yield sysctl.violation("name", "changes the kernel for other pods too")
    for name, profile in pod.annotations.items():
        if str(name).startswith(_APPARMOR_ANNOTATION) and profile == "unconfined":
            yield pod.metadata.violation("annotations", "takes a container out of its AppArmor profile")
    yield from _confined(pod.spec)
    yield from per_container(pod, _stays_inside)


def _stays_inside(container: Container) -> Outcomes:
    if container.switch("securityContext.privileged", absent=False):
        yield container.violation("securityContext.privileged", "gives the container its node")
    if set(_capabilities(container, "add")) - _BASELINE_CAPABILITIES:
        yield container.violation("securityContext.capabilities.add", "gives rights over the node")
    if container.switch("securityContext.procMount", absent="Default") != "Default":
        yield container.violation("securityContext.procMount", "shows the kernel's own files")
    yield from _confined(container)
    for port in container.items("ports"):
        if port.switch("hostPort", absent=0):
            yield port.violation("hostPort", "listens on the node's own address")


def _confined(node: Node) -> Outcomes:
    """Judge what pod and container both may say."""
    if node.switch("securityContext.windowsOptions.hostProcess", absent=False):
        yield node.violation("securityContext.windowsOptions.hostProcess", "runs as a process of the node")
    for profile in ("seccompProfile", "appArmorProfile"):
        if node.switch(f"securityContext.{profile}.type") == "Unconfined":
            yield node.violation(f"securityContext.{profile}.type", "takes the confinement off")
    selinux = node.switch("securityContext.seLinuxOptions.type", absent="")
    others = [node.switch(f"securityContext.seLinuxOptions.{key}", absent="") for key in ("user", "role")]
    if selinux not in _SAFE_SELINUX or any(others):
        yield node.violation("securityContext.seLinuxOptions", "chooses a label of its own")


# --- what it runs ----------------------------------------------------------------------------------------

_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)"
)
_IMAGE = re.compile(r"(?P<host>[^/@]+)/(?P<repository>[^@]+)@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Registries:
    """The accounts and regions in which images are ours."""

    accounts: frozenset[str]
    regions: frozenset[str]

    def has(self, host: str) -> bool:
        """Say whether a registry is ours."""
        found = _HOST.fullmatch(host)
        return bool(found and found["account"] in self.accounts and found["region"] in self.regions)


def registries(stack: Stack) -> Registries:
    """Return the registries of the accounts and regions that the stack's AWS providers are pinned to."""
    providers = stack.of(AWS_PROVIDER)
    return Registries(
        accounts=frozenset().union(*(accounts_of(provider.value) for provider in providers)),
        regions=frozenset(r for p in providers if isinstance(r := p.value.get("region"), str)),
    )


@catalogue.stack(
    "EKS-09",
    "Every image comes from a registry of ours, by its digest",
    severity=HIGH,
    remedy="Name images <account>.dkr.ecr.<region>.amazonaws.com/<repository>@sha256:<digest>; bring others in by a pull-through cache.",
    references=References(
        nist=["CM-7(5)", "SI-7"],
        atlas=["AML.M0013", "AML.T0010.004"],
        owasp_ml=["ML06"],
        kubernetes=["5.5.1"],
    ),
)
def images_are_ours(stack: Stack) -> Outcomes:
    ours = stack.once(registries)
    yield from each_pod(stack, lambda pod: _images(pod, ours))
    for resource in stack.matching("kubernetes:"):
        if _is_opaque(resource, stack):
            yield Undecided("what pods a chart or a file makes", urn=resource.urn)


def _images(pod: Pod, ours: Registries) -> Outcomes:
    yield from per_container(pod, lambda container: _image(container, "image", ours))
    # A volume may be an image too.
    for volume in pod.spec.items("volumes"):
        if volume.has("image"):
            yield from _image(volume, "image.reference", ours)


def _image(node: Node, path: str, ours: Registries) -> Outcomes:
    image = node.reference(path)
    if image is None:
        # In a patch it is as somebody else wrote it; elsewhere the API refuses.
        return
    if not isinstance(image, str):
        raise Malformed(f"{node.path}.{path}")
    host = image.partition("/")[0]
    if "/" not in image or not ours.has(host):
        yield node.violation(path, "comes from a registry that is not ours")
    if not _IMAGE.fullmatch(image):
        yield node.violation(path, "is not pinned to a digest")


_FILES = (
    "kubernetes:helm.sh/v4:Chart",
    "kubernetes:yaml/v2:ConfigFile",
    "kubernetes:yaml/v2:ConfigGroup",
    "kubernetes:kustomize/v2:Directory",
)
_DEPLOYERS = (
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("argoproj.io", "Application"),
    ("argoproj.io", "ApplicationSet"),
)


def _is_opaque(resource: Resource, stack: Stack) -> bool:
    """Say whether a resource makes pods that are not in the graph: the cluster, or the provider, makes them later."""
    if resource.type in _FILES:
        return resource.urn not in stack.once(_parents)
    if resource.type == "kubernetes:helm.sh/v3:Release":
        return True
    return any((made.group, made.kind) in _DEPLOYERS for made in manifests(resource))


def _parents(stack: Stack) -> frozenset[str]:
    return frozenset(resource.parent for resource in stack.resources)


@catalogue.resource(
    "EKS-12",
    "Containers say what they need and at most take, and services how to tell whether they are well",
    severity=MEDIUM,
    remedy="Set resources limits (and requests below them) for cpu and memory; give what listens a readiness and a liveness probe.",
    references=References(nist=["SC-5", "SC-6"]),
)
@on_pods
def containers_are_bounded(pod: Pod) -> Outcomes:
    # The API takes no resources for ephemeral containers.
    yield from per_container(pod, lambda container: _bounded(pod, container), ephemeral=False)
    if pod.manifest.kind in _SERVING:
        yield from per_container(pod, _is_probed, ephemeral=False)


_SERVING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")


def _bounded(pod: Pod, container: Container) -> Outcomes:
    # A limit is the request too, where none is written (Kubernetes documentation, "Resource Management for Pods
    # and Containers").
    for path in ("resources.limits.cpu", "resources.limits.memory"):
        if not container.has(path) and not pod.spec.has(path):
            yield container.lacks(path, "is missing, so neighbours can be starved")


def _is_probed(container: Container) -> Outcomes:
    if container.role == "container" and container.has("ports"):
        for probe in ("readinessProbe", "livenessProbe"):
            if not container.has(probe):
                yield container.lacks(probe, "is missing, so nobody can tell whether it is well")


# --- what it holds ---------------------------------------------------------------------------------------


@catalogue.resource(
    "EKS-18",
    "No pod and no ConfigMap holds a credential in clear",
    severity=HIGH,
    remedy="Let the pod fetch it from Secrets Manager under the role of its service account.",
    references=References(nist=["IA-5(7)"], pci=["8.6.2"], atlas=["AML.T0055"], aws_ai=["AISF-DATA-05"]),
)
def nothing_holds_a_credential(resource: Resource) -> Outcomes:
    yield from on_pods(lambda pod: per_container(pod, _told_none))(resource)
    yield from each(manifests(resource), _map_tells_none)


def _told_none(container: Container) -> Outcomes:
    for place in ("env", "args", "command", "lifecycle", "readinessProbe", "livenessProbe", "startupProbe"):
        yield from _searched(container, place)


def _map_tells_none(made: Manifest) -> Outcomes:
    if made.kind == "ConfigMap" and made.group == "core":
        for place in ("data", "binaryData"):
            yield from _searched(made, place)


def _searched(node: Node, place: str) -> Outcomes:
    waiting = ""
    at = f"{node.path}.{place}" if node.path else place
    for path, name, found in texts_in(node.reference(place), at):
        if found is UNKNOWN:
            # A reference to a Secret names it; what is not known yet may be one.
            waiting = waiting or path
        elif holds_credential(str(found), name=name):
            yield Node(None, path).violation("", "holds a credential")
    if waiting:
        yield Undecided(waiting)


_CERTIFICATE = re.compile(
    r"\s*(?:-----BEGIN (?:TRUSTED )?CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END (?:TRUSTED )?CERTIFICATE-----\s*)+"
)
_LASTING_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type of Secret


@catalogue.resource(
    "EKS-24",
    "No Secret of Kubernetes gets its content from the program, or is a token that lasts",
    severity=HIGH,
    remedy="Let the pod fetch the secret from Secrets Manager, or an operator in the cluster copy it; use short-lived tokens.",
    references=References(nist=["IA-5(7)", "SC-28"], pci=["8.6.2"], atlas=["AML.T0055"]),
)
def secrets_do_not_come_through_the_program(resource: Resource) -> Outcomes:
    # Whatever a program writes also lies in the stack's state, and in what every preview shows.
    yield from each(manifests(resource), _is_no_content)


def _is_no_content(made: Manifest) -> Outcomes:
    if made.kind != "Secret" or made.group != "core":
        return
    if made.switch("type", absent="Opaque") == _LASTING_TOKEN:
        yield made.violation("type", "is a token that lasts for ever")
    for place in ("data", "stringData"):
        held = made.switch(place, absent={})
        if not isinstance(held, Mapping):
            raise Malformed(place)
        if any(_is_secret(value) for _, value in leaves(dict(held))):
            yield made.violation(place, "is written by the program")


def _is_secret(value: Any) -> bool:
    return value not in (None, "") and not (isinstance(value, str) and _CERTIFICATE.fullmatch(value))
