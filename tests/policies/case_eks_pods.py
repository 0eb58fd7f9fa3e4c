"""Cases of the family EKS: what pods may do, what they run, and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.case_eks import custom, unknown
from tests.policies.cases import ACCOUNT, REGION, Case, Program, k8s

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"{REGISTRY}/ml/data-api@{DIGEST}"

HARDENED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
OF_POD: Mapping[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
LIMITS = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
LABELS = {"app": "x"}


def container(security: Any = None, **more: Any) -> dict[str, Any]:
    """Return a container that nothing is wrong with, but for what is given."""
    good = {
        "name": "main",
        "image": IMAGE,
        "securityContext": {**HARDENED, **(security or {})},
        "resources": LIMITS,
    }
    return {key: value for key, value in {**good, **more}.items() if value is not None}


def spec(*containers: Any, security: Any = None, **more: Any) -> dict[str, Any]:
    """Return a pod's spec that nothing is wrong with, but for what is given."""
    good = {
        "serviceAccountName": "x",
        "automountServiceAccountToken": False,
        "securityContext": {**OF_POD, **(security or {})},
        "containers": list(containers) or [container()],
    }
    return {key: value for key, value in {**good, **more}.items() if value is not None}


Kind = Callable[[Any], object]
"""Makes an object of one kind around a pod's spec."""

META = {"name": "x", "namespace": "ml"}


def _template(pod: Any) -> Any:
    return {"metadata": {"labels": LABELS}, "spec": pod}


def _selecting(pod: Any) -> Any:
    return {"selector": {"matchLabels": LABELS}, "template": _template(pod)}


def deployment(pod: Any) -> object:
    return k8s.apps.v1.Deployment("x", metadata=META, spec=_selecting(pod))


def deployment_patch(pod: Any) -> object:
    return k8s.apps.v1.DeploymentPatch("x", metadata=META, spec={"template": {"spec": pod}})


def job(pod: Any, **more: Any) -> object:
    return k8s.batch.v1.Job("x", metadata=META, spec={"template": _template(pod), **more})


def custom_object(version: str, kind: str, around: Callable[[Any], Any]) -> Kind:
    return lambda pod: custom(version, kind, around(pod), name="x", namespace="ml")()


training_job: Kind = custom_object(
    "kubeflow.org/v1",
    "PyTorchJob",
    lambda pod: {"pytorchReplicaSpecs": {"Worker": {"template": _template(pod)}}},
)

KINDS: Mapping[str, Kind] = {
    "Pod": lambda pod: k8s.core.v1.Pod("x", metadata={**META, "labels": LABELS}, spec=pod),
    "PodList": lambda pod: k8s.core.v1.PodList("x", items=[{"metadata": META, "spec": pod}]),
    "PodTemplate": lambda pod: k8s.core.v1.PodTemplate("x", metadata=META, template=_template(pod)),
    "Deployment": deployment,
    "DeploymentList": lambda pod: k8s.apps.v1.DeploymentList(
        "x", items=[{"metadata": META, "spec": _selecting(pod)}]
    ),
    "StatefulSet": lambda pod: k8s.apps.v1.StatefulSet(
        "x", metadata=META, spec={**_selecting(pod), "serviceName": "x"}
    ),
    "DaemonSet": lambda pod: k8s.apps.v1.DaemonSet("x", metadata=META, spec=_selecting(pod)),
    "ReplicaSet": lambda pod: k8s.apps.v1.ReplicaSet("x", metadata=META, spec=_selecting(pod)),
    "ReplicationController": lambda pod: k8s.core.v1.ReplicationController(
        "x", metadata=META, spec={"selector": LABELS, "template": _template(pod)}
    ),
    "Job": job,
    "CronJob": lambda pod: k8s.batch.v1.CronJob(
        "x",
        metadata=META,
        spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": _template(pod)}}},
    ),
    "an old Deployment": lambda pod: k8s.apps.v1beta1.Deployment("x", metadata=META, spec=_selecting(pod)),
    "an older Deployment": lambda pod: k8s.extensions.v1beta1.Deployment(
        "x", metadata=META, spec=_selecting(pod)
    ),
    "PyTorchJob": training_job,
    "RayCluster": custom_object(
        "ray.io/v1", "RayCluster", lambda pod: {"workerGroupSpecs": [{"template": _template(pod)}]}
    ),
    "Workflow": custom_object(
        "argoproj.io/v1alpha1",
        "Workflow",
        lambda pod: {"templates": [{**pod, "container": pod["containers"][0], "containers": None}]},
    ),
}
"""Every kind that holds pods, former API versions and two of other people's operators among them."""


def of(pod: Any, kind: Kind = deployment) -> Program:
    return lambda: kind(pod)


def with_one(kind: str = "containers", security: Any = None, **more: Any) -> Program:
    """Return a program of a hardened pod with one more container that something may be wrong with."""
    if kind == "containers":
        return of(spec(container(security, **more)))
    return of(spec(**{kind: [container(security, name="other", **more)]}))


def case(control: str, compliant: Program, violating: Program, mentions: str) -> Case:
    return Case(control=control, compliant=compliant, violating=violating, mentions=mentions)


GOOD = of(spec())


def annotated(name: str, value: str) -> Program:
    metadata = {**META, "annotations": {name: value}}
    return lambda: k8s.core.v1.Pod("x", metadata=metadata, spec=spec())


# --- EKS-07, EKS-08

_SECURITY: list[Case] = [
    *(
        case(
            "EKS-07",
            of(spec(), kind),
            of(spec(container({"allowPrivilegeEscalation": True})), kind),
            "gain rights",
        )
        for kind in KINDS.values()
    ),
    *(
        case("EKS-08", of(spec(), kind), of(spec(container({"privileged": True})), kind), "privileged")
        for kind in KINDS.values()
    ),
    *(
        case("EKS-07", GOOD, with_one(security=security), mentions)
        for security, mentions in (
            ({"allowPrivilegeEscalation": None}, "allowPrivilegeEscalation"),
            ({"capabilities": None}, "capabilities.drop"),
            ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities.drop"),
            ({"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}, "capabilities.add"),
            ({"readOnlyRootFilesystem": None}, "readOnlyRootFilesystem"),
            # The container's own word wins over the pod's.
            ({"runAsNonRoot": False}, "runAsNonRoot"),
            ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
            ({"runAsUser": 0}, "is root"),
        )
    ),
    case("EKS-07", GOOD, of(spec(security={"runAsNonRoot": None})), "runAsNonRoot"),
    case("EKS-07", GOOD, of(spec(security={"seccompProfile": None})), "seccompProfile"),
    case("EKS-07", GOOD, of(spec(security={"runAsUser": 0})), "is root"),
    case(
        "EKS-07",
        of(
            spec(
                container({"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}),
                securityContext=None,
            )
        ),
        of(spec(securityContext=None)),
        "runAsNonRoot",
    ),
    case(
        "EKS-07",
        with_one("initContainers"),
        with_one("initContainers", {"runAsNonRoot": False}),
        "initContainers[0]",
    ),
    case(
        "EKS-07",
        with_one("ephemeralContainers"),
        with_one("ephemeralContainers", {"capabilities": None}),
        "ephemeralContainers[0]",
    ),
    case(
        "EKS-07",
        of({**spec(container(securityContext={})), "os": {"name": "windows"}}),
        of({**spec(container(securityContext={}), securityContext=None), "os": {"name": "windows"}}),
        "runAsNonRoot",
    ),
    case(
        "EKS-07",
        GOOD,
        lambda: deployment(spec(container({"runAsNonRoot": unknown().apply(lambda _: False)}))),
        "runAsNonRoot",
    ),
    case(
        "EKS-07",
        of(spec(), deployment_patch),
        of({"containers": [container({"allowPrivilegeEscalation": True})]}, deployment_patch),
        "gain rights",
    ),
    *(
        case("EKS-08", GOOD, of(spec(**more)), mentions)
        for more, mentions in (
            ({"hostNetwork": True}, "hostNetwork"),
            ({"hostPID": True}, "hostPID"),
            ({"hostIPC": True}, "hostIPC"),
            ({"volumes": [{"name": "v", "hostPath": {"path": "/var/run"}}]}, "hostPath"),
            ({"security": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "kernel"),
            ({"security": {"windowsOptions": {"hostProcess": True}}}, "hostProcess"),
            ({"security": {"seccompProfile": {"type": "Unconfined"}}}, "confinement"),
            ({"security": {"seLinuxOptions": {"type": "spc_t"}}}, "seLinuxOptions"),
        )
    ),
    *(
        case("EKS-08", GOOD, with_one(kind, security, **more), mentions)
        for kind, security, more, mentions in (
            ("initContainers", {"privileged": True}, {}, "initContainers[0]"),
            ("ephemeralContainers", {"privileged": True}, {}, "ephemeralContainers[0]"),
            (
                "containers",
                {"capabilities": {"drop": ["ALL"], "add": ["CAP_SYS_ADMIN"]}},
                {},
                "rights over the node",
            ),
            ("containers", {"procMount": "Unmasked"}, {}, "procMount"),
            ("containers", {"appArmorProfile": {"type": "Unconfined"}}, {}, "confinement"),
            ("containers", {"windowsOptions": {"hostProcess": True}}, {}, "hostProcess"),
            ("containers", {}, {"ports": [{"containerPort": 80, "hostPort": 80}]}, "hostPort"),
        )
    ),
    case(
        "EKS-08",
        of(spec(volumes=[{"name": "v", "emptyDir": {}}])),
        of(spec(volumes=[{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/"}}])),
        "volumes[1].hostPath",
    ),
    case(
        "EKS-08",
        annotated("container.apparmor.security.beta.kubernetes.io/main", "runtime/default"),
        annotated("container.apparmor.security.beta.kubernetes.io/main", "unconfined"),
        "AppArmor",
    ),
    case("EKS-08", annotated("proxy", "unconfined"), with_one(security={"privileged": True}), "privileged"),
    case(
        "EKS-08",
        of(spec(security={"seLinuxOptions": {"type": "container_t"}})),
        of(spec(security={"seLinuxOptions": {"type": "container_t", "user": "system_u"}})),
        "seLinuxOptions",
    ),
]

# --- EKS-09


def from_repository(suffix: str) -> Program:
    def program() -> None:
        # The name of an image is put together from what AWS knows first.
        made = aws.ecr.Repository("repository", name="ml/data-api")
        host = made.arn.apply(lambda arn: f"{arn.split(':')[4]}.dkr.ecr.{arn.split(':')[3]}.amazonaws.com")
        deployment(spec(container(image=pulumi.Output.concat(host, "/ml/data-api", suffix))))

    return program


_IMAGES: list[Case] = [
    *(
        case("EKS-09", GOOD, with_one(image=image), mentions)
        for image, mentions in (
            ("nginx", "not ours"),
            ("nginx", "digest"),
            (f"docker.io/library/nginx@{DIGEST}", "not ours"),
            (f"999999999999.dkr.ecr.{REGION}.amazonaws.com/x@{DIGEST}", "not ours"),
            (f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/x@{DIGEST}", "not ours"),
            (f"{REGISTRY}.evil.example/x@{DIGEST}", "not ours"),
            (f"evil.example/{REGISTRY}/x@{DIGEST}", "not ours"),
            (f"{REGISTRY}/ml/data-api:1.2", "digest"),
            (f"{REGISTRY}/ml/data-api@sha256:0123", "digest"),
        )
    ),
    case(
        "EKS-09", with_one("initContainers"), with_one("initContainers", image="busybox"), "initContainers[0]"
    ),
    case(
        "EKS-09",
        with_one("ephemeralContainers"),
        with_one("ephemeralContainers", image="busybox"),
        "not ours",
    ),
    case(
        "EKS-09",
        of(spec(volumes=[{"name": "m", "image": {"reference": IMAGE}}])),
        of(spec(volumes=[{"name": "m", "image": {"reference": "ghcr.io/x/y:1"}}])),
        "volumes[0].image",
    ),
    case("EKS-09", from_repository(f"@{DIGEST}"), from_repository(":1.2"), "digest"),
    case(
        "EKS-09",
        with_one(image=f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws/x@{DIGEST}"),
        of(spec(container(image="x")), training_job),
        "not ours",
    ),
    case(
        "EKS-09",
        of(spec(), deployment_patch),
        of({"containers": [{"name": "a", "image": "b"}]}, deployment_patch),
        "not ours",
    ),
]

# --- EKS-12

PROBE = {"httpGet": {"path": "/healthz", "port": 8080}}
PORTS = [{"containerPort": 8080}]
PROBED: Any = {"readinessProbe": PROBE, "livenessProbe": PROBE}

_BOUNDS: list[Case] = [
    case("EKS-12", GOOD, with_one(resources=None), "limits.memory"),
    case("EKS-12", GOOD, with_one(resources={"limits": {"memory": "1Gi"}}), "limits.cpu"),
    case(
        "EKS-12",
        of(spec(container(resources=None), resources=LIMITS)),
        with_one("initContainers", resources={}),
        "initContainers[0]",
    ),
    case(
        "EKS-12",
        with_one("ephemeralContainers", resources=None),
        with_one(resources={"requests": {"cpu": "1"}}),
        "limits",
    ),
    case(
        "EKS-12",
        with_one(ports=PORTS, **PROBED),
        with_one(ports=PORTS, readinessProbe=PROBE),
        "livenessProbe",
    ),
    case("EKS-12", of(spec(container(ports=PORTS)), job), with_one(ports=PORTS), "readinessProbe"),
]

_BOUNDS.append(
    case(
        "EKS-12",
        of(spec(initContainers=[container(name="proxy", ports=PORTS)])),
        with_one(ports=PORTS, livenessProbe=PROBE),
        "readinessProbe",
    )
)

# --- EKS-13


def account(
    pod: Any, *, bound: bool = False, told: bool = True, namespace: str = "ml", **more: Any
) -> Program:
    def program() -> None:
        k8s.core.v1.ServiceAccount(
            "account",
            metadata={"name": "x", "namespace": namespace},
            automount_service_account_token=more.get("automount"),
        )
        if bound:
            k8s.rbac.v1.RoleBinding(
                "binding",
                metadata={"namespace": namespace},
                role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                subjects=[
                    {"kind": "ServiceAccount", "name": "x", **({"namespace": namespace} if told else {})}
                ],
            )
        deployment(pod)

    return program


MOUNTED = spec(automountServiceAccountToken=None)

_ACCOUNTS: list[Case] = [
    case(
        "EKS-13",
        account(MOUNTED, bound=True, told=False),
        account(MOUNTED, bound=True, told=False, namespace="other"),
        "no role",
    ),
    case(
        "EKS-13",
        of(spec(serviceAccountName=None, serviceAccount="x")),
        account({**MOUNTED, "serviceAccountName": "y"}, bound=True),
        "no role",
    ),
    case("EKS-13", GOOD, of(spec(serviceAccountName=None)), "default one"),
    case("EKS-13", GOOD, of(spec(serviceAccountName="default")), "default one"),
    case("EKS-13", account(MOUNTED, automount=False), account(MOUNTED), "no role"),
    case("EKS-13", account(MOUNTED, bound=True), account(MOUNTED, bound=True, namespace="other"), "no role"),
    case(
        "EKS-13",
        account(spec(), automount=True),
        account(spec(automountServiceAccountToken=True), automount=False),
        "no role",
    ),
]

# --- EKS-18, EKS-24

PASSWORD = "correct-horse-battery-9"


def env(*variables: Any, **more: Any) -> Program:
    return with_one(env=list(variables), **more)


def config_map(**data: str) -> Program:
    return lambda: k8s.core.v1.ConfigMap("map", metadata=META, data=data)


def secret(**more: Any) -> Program:
    return lambda: k8s.core.v1.Secret("secret", metadata=META, **more)


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----\n"
FROM_SECRET = {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}


def generated() -> None:
    secret(string_data={"token": unknown()})()


_SECRETS: list[Case] = [
    case(
        "EKS-18",
        env({"name": "MODE", "value": "strict"}),
        env({"name": "DB_PASSWORD", "value": PASSWORD}),
        "env[0].value",
    ),
    case(
        "EKS-18",
        env(FROM_SECRET),
        env({"name": "URL", "value": "postgres://app:hunter22@db/x"}),
        "env[0].value",
    ),
    case("EKS-18", with_one(args=["--verbose"]), with_one(args=["--password", PASSWORD]), "args"),
    case(
        "EKS-18",
        with_one("initContainers", command=["true"]),
        with_one("initContainers", command=["sh", "-c", f"export PGPASSWORD={PASSWORD}; run"]),
        "initContainers[0].command",
    ),
    case("EKS-18", config_map(mode="strict"), config_map(password=PASSWORD), "data.password"),
    case(
        "EKS-18",
        of(spec(), KINDS["CronJob"]),
        of(
            spec(
                container(
                    env=[
                        {"name": "AWS_SECRET_ACCESS_KEY", "value": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
                    ]
                )
            ),
            KINDS["CronJob"],
        ),
        "credential",
    ),
    case("EKS-24", secret(), secret(string_data={"password": PASSWORD}), "stringData"),
    case("EKS-24", secret(string_data={"ca.crt": CERTIFICATE}), secret(data={"x": "aGVsbG8="}), "data"),
    case("EKS-24", secret(type="Opaque"), secret(type="kubernetes.io/service-account-token"), "lasts"),
    case("EKS-24", secret(), generated, "stringData"),
]

CASES = [*_SECURITY, *_IMAGES, *_BOUNDS, *_ACCOUNTS, *_SECRETS]
