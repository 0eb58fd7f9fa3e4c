"""What the API server refuses, in its own language: rules about pods, each a few expressions of CEL.

Pod Security ``restricted`` says much of it too. These say it again, where a label of a namespace cannot take it
back, and add what Pod Security does not know: whose images, whose service accounts, a root that cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SYSTEM_NAMESPACES = ("kube-system", "kube-node-lease", "kube-public", "amazon-guardduty")
"""Where EKS's own add-ons run, which need the machine: the network, the disks, GuardDuty's agent.

No rule holds there, and nobody but the deployer and break-glass may write there.
"""

_EVERY = (
    "object.spec.containers"
    " + (has(object.spec.initContainers) ? object.spec.initContainers : [])"
    " + (has(object.spec.ephemeralContainers) ? object.spec.ephemeralContainers : [])"
)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """An expression that must be true, and what who breaks it is told."""

    expression: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One ValidatingAdmissionPolicy about pods."""

    name: str
    validations: tuple[Validation, ...]
    variables: Mapping[str, str] = field(default_factory=lambda: {"containers": _EVERY})


def rules(registry_host: str) -> tuple[Rule, ...]:
    """Return the rules for a cluster whose images come from one registry."""
    return (_images(registry_host), *_ALWAYS)


def _images(registry_host: str) -> Rule:
    return Rule(
        name="images-are-ours",
        validations=(
            Validation(
                expression=f"variables.containers.all(c, c.image.startsWith('{registry_host}/'))",
                message=f"images come from {registry_host}; push or mirror yours there",
            ),
            Validation(
                expression="variables.containers.all(c, c.image.matches('@sha256:[0-9a-f]{64}$'))",
                message="images are named by digest: name@sha256:...; a tag can be moved to another image",
            ),
        ),
    )


_PRIVILEGES = Rule(
    name="no-privileges",
    validations=(
        Validation(
            expression=(
                "variables.containers.all(c, has(c.securityContext)"
                " && has(c.securityContext.allowPrivilegeEscalation)"
                " && c.securityContext.allowPrivilegeEscalation == false)"
            ),
            message="set securityContext.allowPrivilegeEscalation to false in every container",
        ),
        Validation(
            expression=(
                "variables.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged)"
                " || c.securityContext.privileged == false)"
            ),
            message="no container is privileged",
        ),
        Validation(
            expression=(
                "variables.containers.all(c, has(c.securityContext) && has(c.securityContext.capabilities)"
                " && has(c.securityContext.capabilities.drop)"
                " && c.securityContext.capabilities.drop.exists(each, each == 'ALL')"
                " && (!has(c.securityContext.capabilities.add)"
                " || size(c.securityContext.capabilities.add) == 0))"
            ),
            message="drop the capabilities ALL in every container, and add none",
        ),
        Validation(
            expression=(
                "variables.containers.all(c, has(c.securityContext)"
                " && has(c.securityContext.readOnlyRootFilesystem)"
                " && c.securityContext.readOnlyRootFilesystem == true)"
            ),
            message="set securityContext.readOnlyRootFilesystem to true; write to an emptyDir",
        ),
        Validation(
            expression=(
                "variables.containers.all(c, has(c.securityContext) && has(c.securityContext.runAsNonRoot)"
                " ? c.securityContext.runAsNonRoot == true"
                " : has(object.spec.securityContext) && has(object.spec.securityContext.runAsNonRoot)"
                " && object.spec.securityContext.runAsNonRoot == true)"
            ),
            message="set runAsNonRoot to true, in the pod or in every container",
        ),
        Validation(
            expression=(
                "variables.containers.all(c, !has(c.securityContext) || !has(c.securityContext.runAsUser)"
                " || c.securityContext.runAsUser != 0)"
            ),
            message="no container runs as user 0",
        ),
    ),
)

_HOST = Rule(
    name="nothing-of-the-host",
    validations=(
        Validation(
            expression="!has(object.spec.hostNetwork) || object.spec.hostNetwork == false",
            message="hostNetwork reaches the machine's own credentials; leave it out",
        ),
        Validation(
            expression="!has(object.spec.hostPID) || object.spec.hostPID == false",
            message="hostPID shows every process of the machine; leave it out",
        ),
        Validation(
            expression="!has(object.spec.hostIPC) || object.spec.hostIPC == false",
            message="hostIPC shares the memory of others; leave it out",
        ),
        Validation(
            expression="!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.hostPath))",
            message="hostPath volumes open the machine's disk; use an emptyDir or a claim",
        ),
        Validation(
            expression=(
                "variables.containers.all(c, !has(c.ports)"
                " || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))"
            ),
            message="hostPort opens a port of the machine; use a Service",
        ),
    ),
)

_IDENTITY = Rule(
    name="a-name-of-its-own",
    validations=(
        Validation(
            expression="has(object.spec.serviceAccountName) && object.spec.serviceAccountName != 'default'",
            message="name a service account of the workload's own; default is everybody's",
        ),
        Validation(
            expression=(
                "has(object.spec.automountServiceAccountToken)"
                " && object.spec.automountServiceAccountToken == false"
            ),
            message="set automountServiceAccountToken to false; AWS is reached by pod identity",
        ),
    ),
    variables={},
)

_BOUNDED = Rule(
    name="bounded",
    validations=tuple(
        Validation(
            expression=(
                "variables.containers.all(c, has(c.resources) && has(c.resources.limits)"
                f" && '{what}' in c.resources.limits)"
            ),
            message=f"every container has a limit of {what}",
        )
        for what in ("cpu", "memory")
    ),
    variables={
        "containers": "object.spec.containers"
        " + (has(object.spec.initContainers) ? object.spec.initContainers : [])"
    },
)

_DEBUGGING = Rule(
    name="no-containers-added-later",
    validations=(
        Validation(
            expression="!has(object.spec.ephemeralContainers) || size(object.spec.ephemeralContainers) == 0",
            message="kubectl debug would add a container that nobody reviewed; look at logs and metrics",
        ),
    ),
    variables={},
)

_ALWAYS = (_PRIVILEGES, _HOST, _IDENTITY, _BOUNDED, _DEBUGGING)
