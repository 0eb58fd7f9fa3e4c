"""Cases of the family EKS: who may do what inside a cluster, namespaces, traffic and admission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.case_eks import KEY, cluster, custom, unknown
from tests.policies.case_eks_pods import META, REGISTRY, case, deployment, spec
from tests.policies.cases import Case, Program, k8s

PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----"


def together(*programs: Program) -> Program:
    def program() -> None:
        for each in programs:
            each()

    return program


# --- EKS-14, EKS-23


def role(kind: str = "Role", /, **rule: Any) -> Program:
    made = {"Role": k8s.rbac.v1.Role, "ClusterRole": k8s.rbac.v1.ClusterRole}[kind]
    good = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    whole = {key: value for key, value in {**good, **rule}.items() if value is not None}
    return lambda: made("role", metadata={"name": "role"}, rules=[good, whole])


def binding(
    name: str, kind: str = "ClusterRole", subject: Any = None, *, cluster_wide: bool = True
) -> Program:
    made = k8s.rbac.v1.ClusterRoleBinding if cluster_wide else k8s.rbac.v1.RoleBinding
    return lambda: made(
        "binding",
        metadata={"name": "binding"},
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        subjects=[subject or {"kind": "ServiceAccount", "name": "x", "namespace": "ml"}],
    )


GROUP: dict[str, Any] = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io"}

_RIGHTS: list[Case] = [
    *(
        case("EKS-14", role(), role(**rule), mentions)
        for rule, mentions in (
            ({"verbs": ["*"]}, "rules[1].verbs"),
            ({"resources": ["*"]}, "rules[1].resources"),
            ({"apiGroups": ["*"]}, "rules[1].apiGroups"),
            ({"resources": ["secrets"], "verbs": ["list"]}, "every secret"),
            ({"resources": ["secrets"], "verbs": ["get"]}, "every secret"),
        )
    ),
    case(
        "EKS-14",
        role("ClusterRole", resources=["secrets"], verbs=["get"], resourceNames=["tls"]),
        role("ClusterRole", resources=None, apiGroups=None, nonResourceURLs=["*"]),
        "nonResourceURLs",
    ),
    case(
        "EKS-14",
        role(resources=["secrets"], verbs=["create"]),
        role(resources=["secrets"], verbs=["watch"]),
        "every secret",
    ),
    case(
        "EKS-14",
        binding("viewer"),
        binding("viewer", subject={**GROUP, "name": "system:serviceaccounts:ml"}),
        "every pod of a namespace",
    ),
    case("EKS-14", binding("viewer"), binding("cluster-admin"), "binds a role"),
    case(
        "EKS-14",
        binding("admin", "Role", cluster_wide=False),
        binding("admin", cluster_wide=False),
        "binds a role",
    ),
    case(
        "EKS-14",
        binding("viewer"),
        binding("viewer", subject={**GROUP, "name": "system:masters"}),
        "subjects[0]",
    ),
    case(
        "EKS-14",
        binding("viewer", subject={**GROUP, "name": "platform:auditor"}),
        binding("viewer", subject={**GROUP, "name": "system:serviceaccounts"}),
        "everybody",
    ),
    *(
        case("EKS-23", role(), role(**rule), mentions)
        for rule, mentions in (
            ({"resources": ["users"], "verbs": ["impersonate"]}, "impersonate"),
            ({"resources": ["roles"], "verbs": ["escalate"]}, "escalate"),
            ({"resources": ["roles"], "verbs": ["bind"]}, "bind"),
            ({"resources": ["pods/exec"], "verbs": ["create"]}, "pods/exec"),
            ({"resources": ["nodes/proxy"], "verbs": ["get"]}, "nodes/proxy"),
            ({"resources": ["serviceaccounts/token"], "verbs": ["create"]}, "serviceaccounts/token"),
            ({"resources": ["validatingwebhookconfigurations"], "verbs": ["delete"]}, "webhook"),
            ({"resources": ["namespaces"], "verbs": ["patch"]}, "namespaces"),
        )
    ),
    case(
        "EKS-23",
        role(resources=["roles"], verbs=["bind"], resourceNames=["viewer"]),
        role("ClusterRole", verbs=["impersonate"]),
        "impersonate",
    ),
]

# --- EKS-20


def service(annotations: Any = None, **more: Any) -> Program:
    return lambda: k8s.core.v1.Service(
        "service", metadata={**META, "annotations": annotations or {}}, spec={"ports": [{"port": 80}], **more}
    )


def ingress(annotations: Any = None) -> Program:
    return lambda: k8s.networking.v1.Ingress(
        "ingress", metadata={**META, "annotations": annotations or {}}, spec={"ingressClassName": "alb"}
    )


SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
LEGACY = "service.beta.kubernetes.io/aws-load-balancer-internal"
FACING = {"alb.ingress.kubernetes.io/scheme": "internet-facing"}
GUARDED = {**FACING, "alb.ingress.kubernetes.io/wafv2-acl-arn": "arn:aws:wafv2:eu-central-1:111122223333:x"}

_OFFERS: list[Case] = [
    case("EKS-20", service(), service(type="NodePort"), "opens a port"),
    case(
        "EKS-20",
        service({SCHEME: "internal"}, type="LoadBalancer"),
        service(type="LoadBalancer"),
        "internet reaches",
    ),
    case(
        "EKS-20",
        service({SCHEME: "internal"}, type="LoadBalancer"),
        service({SCHEME: "internet-facing"}, type="LoadBalancer", loadBalancerSourceRanges=["0.0.0.0/0"]),
        "wide range",
    ),
    case(
        "EKS-20",
        service({LEGACY: "true"}, type="LoadBalancer"),
        service({LEGACY: "true", SCHEME: "internet-facing"}, type="LoadBalancer"),
        "internet reaches",
    ),
    case("EKS-20", service(), service(externalIPs=["203.0.113.9"]), "externalIPs"),
    case("EKS-20", ingress(), ingress(FACING), "web ACL"),
    case(
        "EKS-20",
        ingress(GUARDED),
        ingress({**GUARDED, "alb.ingress.kubernetes.io/wafv2-acl-arn": ""}),
        "web ACL",
    ),
    case(
        "EKS-20",
        custom("elbv2.k8s.aws/v1beta1", "IngressClassParams", {"scheme": "internal"}),
        custom("elbv2.k8s.aws/v1beta1", "IngressClassParams", {"scheme": "internet-facing"}),
        "spec.scheme",
    ),
]

# --- EKS-10, EKS-11

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
BASELINE = {"pod-security.kubernetes.io/enforce": "baseline", "reason": "the agent needs it"}


def namespace(labels: Any = None, name: str = "ml", **more: Any) -> Any:
    return k8s.core.v1.Namespace(name, metadata={"name": name, "labels": labels or {}}, **more)


def a_namespace(labels: Any = None, name: str = "ml") -> Program:
    return lambda: namespace(labels, name)


def default_patch(labels: Any) -> Program:
    return lambda: k8s.core.v1.NamespacePatch("default", metadata={"name": "default", "labels": labels})


def in_namespace(name: str | None) -> Program:
    return lambda: k8s.apps.v1.Deployment(
        "x",
        metadata={"namespace": name} if name else {},
        spec={"selector": {"matchLabels": {}}, "template": {"spec": spec()}},
    )


BOTH = ["Ingress", "Egress"]


def policy(place: pulumi.Input[str], types: Any = None, *, name: str = "deny", **more: Any) -> object:
    return k8s.networking.v1.NetworkPolicy(
        name,
        metadata={"name": name, "namespace": place},
        spec={"podSelector": {}, "policyTypes": BOTH if types is None else types, **more},
    )


def denied(types: Any = None, *, by: str = "reference", **more: Any) -> Program:
    def program() -> None:
        made = namespace()
        places: Mapping[str, pulumi.Input[str]] = {
            "reference": made.metadata["name"],
            "name": "ml",
            "another": "other",
        }
        policy(places[by], types, **more)

    return program


def auto_named(*, deny: bool) -> Program:
    """Return a program in which Pulumi names the namespace."""

    def program() -> None:
        made = k8s.core.v1.Namespace("ml", metadata={"labels": RESTRICTED})
        if deny:
            policy(made.metadata["name"])

    return program


def in_two_clusters(*denying: str) -> Program:
    """Return a program with the same namespace in two clusters, each reached by two providers."""

    def program() -> None:
        for name in ("one", "two"):
            made = aws.eks.Cluster(name, name=name, role_arn=KEY, vpc_config={"subnet_ids": ["subnet-0abc"]})
            providers = [
                k8s.Provider(f"{name}-{number}", kubeconfig=made.arn) for number in ("first", "second")
            ]
            k8s.core.v1.Namespace(
                f"ml-{name}",
                metadata={"name": "ml", "labels": RESTRICTED},
                opts=pulumi.ResourceOptions(provider=providers[0]),
            )
            if name in denying:
                k8s.networking.v1.NetworkPolicy(
                    f"deny-{name}",
                    metadata={"namespace": "ml"},
                    spec={"podSelector": {}, "policyTypes": BOTH},
                    opts=pulumi.ResourceOptions(provider=providers[1]),
                )

    return program


_NAMESPACES: list[Case] = [
    case("EKS-10", a_namespace(RESTRICTED), a_namespace(), "no Pod Security Standard"),
    case("EKS-10", a_namespace(RESTRICTED), a_namespace(BASELINE), "less than restricted"),
    case("EKS-10", a_namespace({}, "kube-system"), a_namespace({}, "kyverno"), "no Pod Security Standard"),
    case(
        "EKS-10",
        a_namespace({**RESTRICTED, "pod-security.kubernetes.io/enforce-version": "v1.33"}),
        a_namespace({**RESTRICTED, "pod-security.kubernetes.io/enforce-version": "v1.19"}),
        "long ago",
    ),
    case(
        "EKS-10",
        together(a_namespace(RESTRICTED), in_namespace("ml")),
        in_namespace(None),
        "default namespace",
    ),
    case(
        "EKS-10",
        together(default_patch(RESTRICTED), in_namespace("default")),
        in_namespace("default"),
        "default namespace",
    ),
    case(
        "EKS-10",
        default_patch(RESTRICTED),
        default_patch({"pod-security.kubernetes.io/enforce": "privileged"}),
        "less than restricted",
    ),
    case(
        "EKS-10",
        a_namespace(RESTRICTED),
        lambda: namespace({"pod-security.kubernetes.io/enforce": unknown().apply(lambda _: "baseline")}),
        "metadata",
    ),
    case(
        "EKS-10",
        lambda: k8s.core.v1.NamespaceList("all", items=[{"metadata": {"name": "ml", "labels": RESTRICTED}}]),
        lambda: k8s.core.v1.NamespaceList("all", items=[{"metadata": {"name": "ml"}}]),
        "items[0].metadata.labels",
    ),
    case("EKS-11", denied(), a_namespace(), "refuses ingress"),
    case("EKS-11", denied(by="name"), denied(by="another"), "refuses egress"),
    case("EKS-11", denied(), denied(["Ingress"]), "refuses egress"),
    case("EKS-11", denied(), denied([]), "refuses ingress"),
    case("EKS-11", denied(), denied(podSelector={"matchLabels": {"app": "x"}}), "refuses ingress"),
    case("EKS-11", denied(podSelector={"matchLabels": {}}, egress=[]), denied(egress=[{}]), "refuses egress"),
    case("EKS-11", auto_named(deny=True), auto_named(deny=False), "refuses ingress"),
    case("EKS-11", in_two_clusters("one", "two"), in_two_clusters("one"), "refuses egress"),
    case(
        "EKS-11",
        together(
            a_namespace(), lambda: policy("ml", ["Ingress"]), lambda: policy("ml", ["Egress"], name="out")
        ),
        together(a_namespace(), lambda: policy("ml", ["Egress"])),
        "refuses ingress",
    ),
    case("EKS-11", a_namespace({}, "kube-public"), default_patch({}), "refuses ingress"),
]

# --- EKS-15, EKS-17

EVERY_POD = {"any": [{"resources": {"kinds": ["Pod"]}}]}
BY_KEY = [{"entries": [{"keys": {"publicKeys": PEM}}]}]


def kyverno(check: Any = None, rule: Any = None, **more: Any) -> Program:
    checked = {"imageReferences": ["*"], "attestors": BY_KEY, **(check or {})}
    ruled = {"name": "signed", "match": EVERY_POD, "verifyImages": [checked], **(rule or {})}
    whole = {"validationFailureAction": "Enforce", "rules": [ruled], **more}
    return custom("kyverno.io/v1", "ClusterPolicy", whole, name="signed")


PODS = {"resourceRules": [{"apiGroups": [""], "resources": ["pods"]}]}
SIGNED = "images.containers.map(i, verifyImageSignatures(i, [attestors.key])).all(e, e > 0)"


def kyverno_cel(*, name: str = "signed", **more: Any) -> Program:
    whole = {
        "validationActions": ["Deny"],
        "matchConstraints": PODS,
        "matchImageReferences": [{"glob": "*"}],
        "attestors": [{"name": "key", "cosign": {"key": {"data": PEM}}}],
        "validations": [{"expression": SIGNED}],
        **more,
    }
    return custom("policies.kyverno.io/v1", "ImageValidatingPolicy", whole, name=name)


def sigstore(**more: Any) -> Program:
    whole = {"images": [{"glob": "**"}], "authorities": [{"key": {"data": PEM}}], **more}
    return custom("policy.sigstore.dev/v1beta1", "ClusterImagePolicy", whole, name="signed")


def running(*admission: Program, labels: Any = None) -> Program:
    """Return a program of a cluster with a workload behind this admission."""

    def program() -> None:
        cluster()
        namespace(labels)
        deployment(spec())
        for each in admission:
            each()

    return program


def by_kms(usage: str, *, by_alias: bool = False) -> Program:
    def program() -> None:
        cluster()
        deployment(spec())
        key = aws.kms.Key("key", key_usage=usage, customer_master_key_spec="ECC_NIST_P256")
        alias = aws.kms.Alias("alias", name="alias/signing", target_key_id=key.key_id)
        name = pulumi.Output.concat("awskms:///", alias.name if by_alias else key.arn)
        kyverno({"attestors": [{"entries": [{"keys": {"kms": name}}]}]})()

    return program


def by_profile(*, used: bool) -> Program:
    def program() -> None:
        cluster()
        deployment(spec())
        profile = aws.signer.SigningProfile("profile", platform_id="Notation-OCI-SHA384-ECDSA")
        value: pulumi.Input[str] = profile.arn if used else "none"
        kyverno({"type": "Notary", "attestors": [{"entries": [{"annotations": {"profile": value}}]}]})()

    return program


def keyless(subject: str) -> Program:
    entry = {"keyless": {"issuer": "https://token.actions.githubusercontent.com", "subject": subject}}
    return running(kyverno({"attestors": [{"entries": [entry]}]}))


FOREIGN = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000"


def by_awskms(name: str) -> Any:
    return [{"entries": [{"keys": {"kms": f"awskms:///{name}"}}]}]


INCLUDED = {"policy.sigstore.dev/include": "true"}
WORKFLOW = "https://github.com/org/repo/.github/workflows/release.yaml@refs/heads/main"


def one_cluster_without_admission(*guarded: str) -> Program:
    def program() -> None:
        for name in ("one", "two"):
            made = aws.eks.Cluster(name, name=name, role_arn=KEY, vpc_config={"subnet_ids": ["subnet-0abc"]})
            opts = pulumi.ResourceOptions(provider=k8s.Provider(name, kubeconfig=made.arn))
            k8s.core.v1.Pod(name, metadata={"namespace": "ml"}, spec=spec(), opts=opts)
            if name in guarded:
                k8s.apiextensions.CustomResource(
                    f"signed-{name}",
                    api_version="policy.sigstore.dev/v1beta1",
                    kind="ClusterImagePolicy",
                    spec={"images": [{"glob": "**"}], "authorities": [{"key": {"data": PEM}}]},
                    opts=opts,
                )

    return program


Weak = Callable[..., Program]

_SIGNATURES: list[Case] = [
    case("EKS-15", running(kyverno()), running(), "asks for no signature"),
    case(
        "EKS-15",
        running(kyverno_cel()),
        running(custom("kyverno.io/v1", "ClusterPolicy", {"rules": []})),
        "asks for no signature",
    ),
    case("EKS-15", running(sigstore(), labels=INCLUDED), running(sigstore()), "policy.sigstore.dev/include"),
    case(
        "EKS-15",
        one_cluster_without_admission("one", "two"),
        one_cluster_without_admission("one"),
        "asks for no signature",
    ),
    # One that holds is enough.
    case(
        "EKS-15",
        running(kyverno(), custom("policies.kyverno.io/v1", "ImageValidatingPolicy", {}, name="weak")),
        running(custom("policies.kyverno.io/v1", "ImageValidatingPolicy", {}, name="weak")),
        "attestors",
    ),
    *(
        case("EKS-15", running(good()), running(weak(*given, **more)), mentions)
        for good, weak, given, more, mentions in (
            (kyverno, kyverno, (), {"validationFailureAction": "Audit"}, "lets it in"),
            (kyverno, kyverno, (), {"validationFailureAction": None}, "lets it in"),
            (kyverno, kyverno, ({"failureAction": "Audit"},), {}, "lets it in"),
            (kyverno, kyverno, (), {"failurePolicy": "Ignore"}, "nobody checks"),
            (kyverno, kyverno, (), {"webhookConfiguration": {"failurePolicy": "Ignore"}}, "nobody checks"),
            (
                kyverno,
                kyverno,
                (),
                {"validationFailureActionOverrides": [{"action": "Audit"}]},
                "namespaces out",
            ),
            (kyverno, kyverno, (), {"admission": False}, "admission"),
            (kyverno, kyverno, ({"required": False},), {}, "required"),
            (kyverno, kyverno, ({"attestors": []},), {}, "whose signature"),
            (kyverno, kyverno, ({"imageReferences": []},), {}, "no images"),
            (
                kyverno,
                kyverno,
                (None, {"match": {"any": [{"resources": {"kinds": ["Pod"], "namespaces": ["a"]}}]}}),
                {},
                "pods out",
            ),
            (
                kyverno,
                kyverno,
                (None, {"exclude": {"any": [{"resources": {"namespaces": ["ml"]}}]}}),
                {},
                "pods out",
            ),
            (kyverno_cel, kyverno_cel, (), {"validationActions": ["Audit"]}, "lets it in"),
            (kyverno_cel, kyverno_cel, (), {"failurePolicy": "Ignore"}, "nobody checks"),
            (kyverno_cel, kyverno_cel, (), {"evaluation": {"admission": {"enabled": False}}}, "is off"),
            (kyverno_cel, kyverno_cel, (), {"validationConfigurations": {"required": False}}, "is off"),
            (kyverno_cel, kyverno_cel, (), {"attestors": []}, "attestors"),
            (kyverno_cel, kyverno_cel, (), {"validations": [{"expression": "true"}]}, "no signature"),
            (kyverno_cel, kyverno_cel, (), {"matchConditions": [{"expression": "false"}]}, "pods out"),
            (
                kyverno_cel,
                kyverno_cel,
                (),
                {"matchConstraints": {"resourceRules": [{"resources": ["jobs"]}]}},
                "pods out",
            ),
        )
    ),
    *(
        case("EKS-15", running(*covering), running(*leaving), "no policy")
        for covering, leaving in (
            (
                [kyverno({"imageReferences": [f"{REGISTRY}/*"]})],
                [kyverno({"imageReferences": ["ghcr.io/org/*"]})],
            ),
            (
                [
                    kyverno({"imageReferences": ["ghcr.io/*"]}),
                    kyverno_cel(name="more", matchImageReferences=[{"glob": f"{REGISTRY}/*"}]),
                ],
                [kyverno_cel(matchImageReferences=[{"glob": "docker.io/*"}])],
            ),
        )
    ),
    case(
        "EKS-15",
        running(sigstore(images=[{"glob": f"{REGISTRY}/**"}]), labels=INCLUDED),
        running(sigstore(images=[{"glob": f"{REGISTRY}/*"}]), labels=INCLUDED),
        "no policy",
    ),
    case(
        "EKS-15",
        running(kyverno()),
        running(kyverno({"skipImageReferences": [f"{REGISTRY}/*"]})),
        "images out",
    ),
    case(
        "EKS-15",
        running(kyverno(None, {"exclude": {"any": [{"resources": {"namespaces": ["kube-system"]}}]}})),
        running(kyverno(None, {"exclude": {"any": [{"subjects": [{"kind": "User", "name": "x"}]}]}})),
        "pods out",
    ),
    *(
        case(
            "EKS-15",
            running(sigstore(), labels=INCLUDED),
            running(sigstore(**more), labels=INCLUDED),
            mentions,
        )
        for more, mentions in (
            ({"mode": "warn"}, "lets it in"),
            ({"authorities": []}, "whose signature"),
            ({"authorities": [{"static": {"action": "pass"}}]}, "every image"),
            ({"images": []}, "no images"),
        )
    ),
    case("EKS-17", running(kyverno()), running(), "uses no signing key"),
    case(
        "EKS-17", running(kyverno_cel()), running(kyverno({"attestors": [{"entries": [{}]}]})), "names no key"
    ),
    case("EKS-17", by_kms("SIGN_VERIFY"), by_kms("ENCRYPT_DECRYPT"), "names no key"),
    case(
        "EKS-17",
        by_kms("SIGN_VERIFY", by_alias=True),
        by_kms("ENCRYPT_DECRYPT", by_alias=True),
        "names no key",
    ),
    case("EKS-17", by_profile(used=True), by_profile(used=False), "names no key"),
    case(
        "EKS-15",
        running(kyverno({"attestors": [], "attestations": [{"type": "x"}]})),
        running(kyverno({"attestors": []})),
        "whose signature",
    ),
    case(
        "EKS-15",
        running(kyverno(None, {"match": {"resources": {"kinds": ["v1/Pod"]}}})),
        running(kyverno(None, {"match": {"resources": {"kinds": ["Deployment"]}}})),
        "pods out",
    ),
    case(
        "EKS-17",
        running(kyverno({"attestors": by_awskms(FOREIGN)})),
        running(kyverno({"attestors": by_awskms("signing")})),
        "names no key",
    ),
    case(
        "EKS-17",
        running(kyverno({"attestors": by_awskms("alias/elsewhere")})),
        running(
            kyverno_cel(
                attestors=[
                    {
                        "name": "any",
                        "cosign": {
                            "keyless": {
                                "identities": [{"subjectRegExp": ".*", "issuer": "x", "subject": "y"}]
                            }
                        },
                    }
                ]
            )
        ),
        "is anybody",
    ),
    case("EKS-17", keyless(WORKFLOW), keyless("https://github.com/org/*"), "wildcard"),
]

# --- EKS-21, EKS-22

CLIENT = {"service": {"name": "hook", "namespace": "hooks"}}


def webhook(kind: str = "Validating", **more: Any) -> Program:
    made = {
        "Validating": k8s.admissionregistration.v1.ValidatingWebhookConfiguration,
        "Mutating": k8s.admissionregistration.v1.MutatingWebhookConfiguration,
    }[kind]
    hook = {"name": "x.example.org", "clientConfig": CLIENT, "sideEffects": "None", **more}
    return lambda: made("hook", webhooks=[{**hook, "admissionReviewVersions": ["v1"]}])


def old_webhook(**more: Any) -> Program:
    hook = {"name": "x.example.org", "clientConfig": CLIENT, **more}
    return lambda: k8s.admissionregistration.v1beta1.ValidatingWebhookConfiguration("hook", webhooks=[hook])


def admission(*actions: str, bound: bool = True, to: str = "", named: bool = True, **more: Any) -> Program:
    def program() -> None:
        made = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            "policy",
            metadata={"name": "policy"} if named else {},
            spec={"validations": [{"expression": "object.spec.replicas < 9"}], **more},
        )
        if bound:
            k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
                "binding",
                spec={"policyName": to or made.metadata["name"], "validationActions": list(actions)},
            )

    return program


_ADMISSION: list[Case] = [
    case("EKS-21", webhook(), webhook(failurePolicy="Ignore"), "webhooks[0].failurePolicy"),
    case(
        "EKS-21",
        webhook("Mutating", failurePolicy="Fail"),
        webhook("Mutating", failurePolicy="Ignore"),
        "failurePolicy",
    ),
    case("EKS-21", old_webhook(failurePolicy="Fail"), old_webhook(), "failurePolicy"),
    case("EKS-22", admission("Deny"), admission(bound=False), "bound to nothing"),
    case("EKS-22", admission("Deny", "Audit"), admission("Audit", "Warn"), "only tells"),
    case("EKS-22", admission("Deny", to="policy"), admission("Deny", to="another"), "bound to nothing"),
    case("EKS-22", admission("Deny", named=False), admission("Deny", failurePolicy="Ignore"), "cannot judge"),
]

CASES = [*_RIGHTS, *_OFFERS, *_NAMESPACES, *_SIGNATURES, *_ADMISSION]
