"""Cases of the families STO, EKS and RED about what policies refuse, backups keep and entries let in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, Case, k8s

SAFE = {
    "key": {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:x"}},
    "algorithm": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
    "caller": {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
}


def refusal(action: Any, condition: Any = None, resource: str = "*") -> dict[str, Any]:
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def bucket(
    *statements: dict[str, Any], encrypted: bool = False, domain: str = "data"
) -> Callable[[], object]:
    def program() -> None:
        made = aws.s3.Bucket("bucket", tags={"data-domain": domain})
        if statements:
            aws.s3.BucketPolicy("policy", bucket=made.id, policy=json.dumps({"Statement": list(statements)}))
        if encrypted:
            key = {"sse_algorithm": "aws:kms", "kms_master_key_id": "arn:aws:kms:x"}
            encryption: Any = {"apply_server_side_encryption_by_default": key}
            aws.s3.BucketServerSideEncryptionConfiguration("encryption", bucket=made.id, rules=[encryption])

    return program


def sealed(*, without: str = "", spared: str = "") -> Callable[[], object]:
    statements = []
    for name, condition in SAFE.items():
        if name != without:
            more = {"ArnNotLike": {"aws:PrincipalArn": "*"}} if name == spared else {}
            statements.append(refusal("s3:PutObject", {**condition, **more}))
    return bucket(*statements, encrypted=True)


OLD_TLS = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
DELETION = ["s3:DeleteObject", "s3:DeleteObjectVersion"]

OTHERS = refusal("ecr:*", {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}})
PUSHES = refusal("ecr:PutImage", {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/pipeline"}})


def repository(*statements: dict[str, Any]) -> Callable[[], object]:
    def program() -> None:
        made = aws.ecr.Repository("repository")
        if statements:
            aws.ecr.RepositoryPolicy(
                "policy", repository=made.name, policy=json.dumps({"Statement": list(statements)})
            )

    return program


def template(mutability: str, *statements: dict[str, Any]) -> Callable[[], object]:
    return lambda: aws.ecr.RepositoryCreationTemplate(
        "template",
        prefix="cache",
        applied_fors=["PULL_THROUGH_CACHE"],
        image_tag_mutability=mutability,
        repository_policy=json.dumps({"Statement": list(statements)}) if statements else None,
    )


def scanning(frequency: str, filter_: str = "*") -> Callable[[], object]:
    def program() -> None:
        aws.ecr.Repository("repository")
        aws.ecr.RegistryScanningConfiguration(
            "scanning",
            scan_type="ENHANCED",
            rules=[
                {
                    "scan_frequency": frequency,
                    "repository_filters": [{"filter": filter_, "filter_type": "WILDCARD"}],
                }
            ],
        )

    return program


def role(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def entry(principal: str, groups: Sequence[str] = ()) -> Callable[[], object]:
    return lambda: aws.eks.AccessEntry(
        "entry", cluster_name="c", principal_arn=principal, kubernetes_groups=list(groups)
    )


def associations(policy: str, count: int) -> Callable[[], object]:
    def program() -> None:
        for number in range(count):
            aws.eks.AccessPolicyAssociation(
                f"association-{number}",
                cluster_name="c",
                principal_arn=role(str(number)),
                policy_arn=f"arn:aws:eks::aws:cluster-access-policy/{policy}",
                access_scope={"type": "cluster"},
            )

    return program


PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"]


def network(spec: dict[str, Any]) -> Callable[[], object]:
    def program() -> None:
        cluster = k8s.Provider("cluster", kubeconfig="{}")
        k8s.networking.v1.NetworkPolicy(
            "policy",
            metadata={"name": "policy", "namespace": "training"},
            spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec},
            opts=pulumi.ResourceOptions(provider=cluster),
        )

    return program


def account(**more: Any) -> Callable[[], object]:
    def program() -> None:
        cluster = k8s.Provider("cluster", kubeconfig="{}")
        k8s.core.v1.ServiceAccount(
            "account",
            metadata={"name": "a", "namespace": "training"},
            opts=pulumi.ResourceOptions(provider=cluster),
            **more,
        )

    return program


def nodes(**more: Any) -> Callable[[], object]:
    settings = {
        "version": "1.36",
        "ami_type": "BOTTLEROCKET_x86_64",
        "launch_template": {"id": "lt-1", "version": "1"},
        "scaling_config": {"min_size": 0, "max_size": 3, "desired_size": 0},
        **more,
    }
    return lambda: aws.eks.NodeGroup(
        "nodes", cluster_name="c", node_role_arn=role("n"), subnet_ids=[], **settings
    )


def release(values: dict[str, Any]) -> Callable[[], object]:
    def program() -> None:
        cluster = k8s.Provider("cluster", kubeconfig="{}")
        k8s.helm.v3.Release(
            "release", chart="oci://x/y", values=values, opts=pulumi.ResourceOptions(provider=cluster)
        )

    return program


PINNED = {"image": {"repository": "r", "tag": "v1@sha256:" + "0" * 64}}


WORDS = (
    "serviceAccountName",
    "automountServiceAccountToken",
    "'cpu'",
    "'memory'",
    ".image.startsWith",
    "@sha256",
    "ephemeralContainers",
    "allowPrivilegeEscalation",
    ".privileged",
    "capabilities",
    "readOnlyRootFilesystem",
    "runAsNonRoot",
    "runAsUser",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPath",
    "hostPort",
)


def admission(*, without: str = "") -> Callable[[], object]:
    def program() -> None:
        cluster = k8s.Provider("cluster", kubeconfig="{}")
        k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            "policy",
            metadata={"name": "policy"},
            spec={"validations": [{"expression": word} for word in WORDS if word != without]},
            opts=pulumi.ResourceOptions(provider=cluster),
        )

    return program


def duties(resource: str) -> Callable[[], object]:
    def program() -> None:
        cluster = k8s.Provider("cluster", kubeconfig="{}")
        k8s.rbac.v1.Role(
            "duties",
            metadata={"name": "duties", "namespace": "training"},
            rules=[{"apiGroups": [""], "resources": [resource], "verbs": ["create"]}],
            opts=pulumi.ResourceOptions(provider=cluster),
        )

    return program


def plan(days: int, copies: int) -> Callable[[], object]:
    def program() -> None:
        aws.backup.VaultLockConfiguration("lock", backup_vault_name="v", min_retention_days=7)
        aws.backup.Plan(
            "plan",
            rules=[
                {
                    "rule_name": "daily",
                    "target_vault_name": "v",
                    "lifecycle": {"delete_after": days},
                    "copy_actions": [
                        {"destination_vault_arn": "arn:v", "lifecycle": {"delete_after": copies}}
                    ],
                }
            ],
        )

    return program


EMPTYING = ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"]


def vault(actions: list[str] | None, *, condition: Any = None, force: bool = False) -> Callable[[], object]:
    def program() -> None:
        made = aws.backup.Vault("vault", force_destroy=force)
        if actions:
            policy = json.dumps({"Statement": [refusal(actions, condition)]})
            aws.backup.VaultPolicy("policy", backup_vault_name=made.name, policy=policy)

    return program


KINDS = ("Aurora", "DocumentDB", "DynamoDB", "EBS", "EC2", "EFS", "FSx", "Neptune", "RDS", "Redshift", "S3")


def kinds(*, without: str = "") -> Callable[[], object]:
    return lambda: aws.backup.RegionSettings(
        "settings", resource_type_opt_in_preference={kind: kind != without for kind in KINDS}
    )


def trials(*tried: str, public: str = "false") -> Callable[[], object]:
    def program() -> None:
        plan(7, 7)()
        for kind in tried:
            aws.backup.RestoreTestingSelection(
                kind,
                name=kind,
                iam_role_arn=role("r"),
                protected_resource_type=kind,
                restore_testing_plan_name="p",
                restore_metadata_overrides={"publiclyAccessible": public},
            )

    return program


def chosen(tags: dict[str, str]) -> Callable[[], object]:
    def program() -> None:
        plan(7, 7)()
        aws.backup.Selection(
            "selection",
            iam_role_arn=role("r"),
            plan_id="p",
            selection_tags=[{"type": "STRINGEQUALS", "key": "backup", "value": "daily"}],
        )
        aws.s3.Bucket("bucket", tags={"data-domain": "models", **tags})

    return program


def lifecycle(**more: Any) -> Callable[[], object]:
    rule: Any = {
        "id": "r",
        "status": "Enabled",
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        "noncurrent_version_expiration": {"noncurrent_days": 90},
        **more,
    }
    return lambda: aws.s3.BucketLifecycleConfiguration("lifecycle", bucket="b", rules=[rule])


CASES = [
    *(
        Case(control="STO-13", compliant=sealed(), violating=sealed(without=part), mentions="takes objects")
        for part in SAFE
    ),
    *(
        Case(control="STO-13", compliant=sealed(), violating=sealed(spared=part), mentions="takes objects")
        for part in SAFE
    ),
    Case(
        control="STO-14",
        compliant=bucket(refusal("s3:*", OLD_TLS)),
        violating=bucket(refusal("s3:*", {"Bool": {"aws:SecureTransport": "false"}})),
        mentions="TLS 1.0",
    ),
    Case(
        control="STO-15",
        compliant=bucket(refusal(DELETION), domain="logs"),
        violating=bucket(refusal(DELETION[:1]), domain="logs"),
        mentions="deleteobjectversion",
    ),
    Case(
        control="STO-15",
        compliant=bucket(domain="data"),
        violating=bucket(refusal(DELETION, {"ArnNotLike": {"aws:PrincipalArn": "*"}}), domain="logs"),
        mentions="deleteobject",
    ),
    Case(
        control="STO-16",
        compliant=bucket(),
        violating=lambda: aws.s3.BucketWebsiteConfiguration("site", bucket="b"),
        mentions="plain HTTP",
    ),
    Case(
        control="STO-17",
        compliant=lifecycle(),
        violating=lifecycle(status="Disabled"),
        mentions="is off",
    ),
    Case(
        control="STO-17",
        compliant=lifecycle(),
        violating=lifecycle(noncurrent_version_expiration={"noncurrent_days": 36500}),
        mentions="noncurrentDays",
    ),
    Case(
        control="STO-17",
        compliant=lifecycle(),
        violating=lifecycle(abort_incomplete_multipart_upload={"days_after_initiation": 365}),
        mentions="daysAfterInitiation",
    ),
    Case(
        control="STO-18",
        compliant=lambda: aws.s3.Bucket("bucket", force_destroy=False),
        violating=lambda: aws.s3.Bucket("bucket", force_destroy=True),
        mentions="forceDestroy",
    ),
    Case(
        control="STO-18",
        compliant=lambda: aws.ecr.Repository("repository"),
        violating=lambda: aws.ecr.Repository("repository", force_delete=True),
        mentions="forceDelete",
    ),
    Case(
        control="EKS-29",
        compliant=repository(OTHERS, PUSHES),
        violating=repository(PUSHES),
        mentions="other accounts",
    ),
    Case(
        control="EKS-29",
        compliant=repository(OTHERS, PUSHES),
        violating=repository(OTHERS),
        mentions="anybody who may push",
    ),
    Case(
        control="EKS-30",
        compliant=template("IMMUTABLE", OTHERS),
        violating=template("MUTABLE", OTHERS),
        mentions="another image",
    ),
    Case(
        control="EKS-30",
        compliant=template("IMMUTABLE", OTHERS),
        violating=template("IMMUTABLE"),
        mentions="other accounts",
    ),
    Case(
        control="EKS-31",
        compliant=scanning("CONTINUOUS_SCAN"),
        violating=scanning("MANUAL"),
        mentions="again and again",
    ),
    Case(
        control="EKS-31",
        compliant=scanning("CONTINUOUS_SCAN"),
        violating=scanning("CONTINUOUS_SCAN", "some*"),
        mentions="again and again",
    ),
    Case(
        control="EKS-32",
        compliant=entry(role("r")),
        violating=entry(role("r", "999999999999")),
        mentions="another account",
    ),
    Case(
        control="EKS-32",
        compliant=entry(role("r"), ["team"]),
        violating=entry(role("r"), ["system:masters"]),
        mentions="no rule binds",
    ),
    Case(
        control="EKS-32",
        compliant=associations("AmazonEKSClusterAdminPolicy", 2),
        violating=associations("AmazonEKSClusterAdminPolicy", 3),
        mentions="one of 3 administrators",
    ),
    Case(
        control="EKS-33",
        compliant=associations("AmazonEKSViewPolicy", 2),
        violating=associations("AmazonEKSViewPolicy", 3),
        mentions="whole cluster",
    ),
    Case(
        control="EKS-34",
        compliant=network({"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}}]}]}),
        violating=network({"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE[:4]}}]}]}),
        mentions="admits the world",
    ),
    Case(
        control="EKS-34",
        compliant=network({"ingress": [{"from": [{"podSelector": {}}]}]}),
        violating=network({"ingress": [{}]}),
        mentions="names nobody",
    ),
    Case(
        control="EKS-34",
        compliant=network({}),
        violating=network({"policyTypes": ["Ingress"]}),
        mentions="does not name Egress",
    ),
    Case(
        control="EKS-35",
        compliant=account(automount_service_account_token=False),
        violating=account(),
        mentions="is on",
    ),
    Case(control="EKS-36", compliant=nodes(), violating=nodes(version=None), mentions="version"),
    Case(
        control="EKS-36",
        compliant=nodes(),
        violating=nodes(launch_template={"id": "lt-1", "version": "$Latest"}),
        mentions="whatever comes next",
    ),
    Case(control="EKS-36", compliant=nodes(), violating=nodes(ami_type="AL2_x86_64"), mentions="no updates"),
    Case(
        control="EKS-36",
        compliant=nodes(),
        violating=nodes(scaling_config={"min_size": 0, "max_size": 1000, "desired_size": 0}),
        mentions="no bound",
    ),
    Case(
        control="EKS-37",
        compliant=release(PINNED),
        violating=release({**PINNED, "features": {"policyExceptions": {"enabled": True}}}),
        mentions="make exceptions",
    ),
    Case(
        control="EKS-37",
        compliant=release(PINNED),
        violating=release({"image": {"repository": "r", "tag": "v1"}}),
        mentions="another image",
    ),
    *(
        Case(control="EKS-38", compliant=admission(), violating=admission(without=word), mentions="admits")
        for word in WORDS
    ),
    Case(
        control="EKS-39",
        compliant=duties("jobs"),
        violating=duties("secrets"),
        mentions="are secrets",
    ),
    Case(
        control="RES-07",
        compliant=lambda: aws.s3.Bucket("bucket", tags={"data-domain": "logs"}),
        violating=lambda: aws.s3.Bucket("bucket"),
        mentions="is missing",
    ),
    Case(control="RED-08", compliant=plan(7, 7), violating=plan(1, 7), mentions="the 7 days"),
    Case(control="RED-08", compliant=plan(30, 30), violating=plan(7, 1), mentions="the 7 days"),
    Case(control="RED-09", compliant=vault(EMPTYING), violating=vault(None), mentions="deleterecoverypoint"),
    Case(
        control="RED-09",
        compliant=vault(EMPTYING),
        violating=vault(EMPTYING, condition={"ArnNotLike": {"aws:PrincipalArn": "*"}}),
        mentions="deleterecoverypoint",
    ),
    Case(
        control="RED-09",
        compliant=vault(EMPTYING),
        violating=vault(EMPTYING, force=True),
        mentions="forceDestroy",
    ),
    Case(control="RED-10", compliant=kinds(), violating=kinds(without="S3"), mentions="S3"),
    Case(
        control="RED-11",
        compliant=trials("RDS", "S3", "EBS"),
        violating=trials("RDS", "S3"),
        mentions="restores no EBS",
    ),
    Case(
        control="RED-11",
        compliant=trials("RDS", "S3", "EBS"),
        violating=trials("RDS", "S3", "EBS", public="true"),
        mentions="into the open",
    ),
    Case(control="RED-12", compliant=chosen({"backup": "daily"}), violating=chosen({}), mentions="no tag"),
]
