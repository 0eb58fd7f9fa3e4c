"""Cases of the family GPU: the machines that models are trained on, and what training jobs may reach."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from controls.gpu import MOST_MACHINES
from tests.policies.case_eks import custom, node_group, template
from tests.policies.case_eks_inside import together
from tests.policies.case_eks_pods import (
    LABELS,
    META,
    Kind,
    case,
    container,
    deployment,
    job,
    spec,
    training_job,
)
from tests.policies.cases import ACCOUNT, Case, Program, k8s

NVIDIA = "BOTTLEROCKET_x86_64_NVIDIA"
GPU = "nvidia.com/gpu"

# --- machines


def subnet(tier: str) -> aws.ec2.Subnet:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    return aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", tags={"tier": tier})


def group_in(tier: str, **more: Any) -> Program:
    return lambda: node_group(**{"subnet_ids": [subnet(tier).id], "ami_type": NVIDIA, **more})


def from_template(tier: str, **more: Any) -> Program:
    def program() -> None:
        made = template(**more)
        node_group(
            subnet_ids=[subnet(tier).id],
            launch_template={"id": made.id, "version": made.latest_version.apply(str)},
        )

    return program


def instance_in(tier: str, type_: str = "p5.48xlarge") -> Program:
    return lambda: aws.ec2.Instance("machine", ami="ami-0abc", instance_type=type_, subnet_id=subnet(tier).id)


def scaling_group(tier: str) -> Program:
    def program() -> None:
        made = template(instance_type="g6.xlarge")
        aws.autoscaling.Group(
            "group",
            min_size=0,
            max_size=2,
            vpc_zone_identifiers=[subnet(tier).id],
            launch_template={"id": made.id, "version": "$Latest"},
        )

    return program


TAINT = {"key": GPU, "value": "present", "effect": "NO_SCHEDULE"}


def pool(least: int = 0, most: int = 8, **more: Any) -> Program:
    good = {
        "ami_type": NVIDIA,
        "labels": {"workload": "training"},
        "taints": [TAINT],
        "scaling_config": {"min_size": least, "max_size": most, "desired_size": least},
    }
    return lambda: node_group(**{**good, **more})


def budget(kind: str = "COST", **tells: Any) -> Program:
    def program() -> None:
        pool()()
        notification = {
            "comparison_operator": "GREATER_THAN",
            "notification_type": "FORECASTED",
            "threshold": 80,
            "threshold_type": "PERCENTAGE",
            **tells,
        }
        aws.budgets.Budget(
            "budget",
            budget_type=kind,
            limit_amount="1000",
            limit_unit="USD",
            time_unit="MONTHLY",
            notifications=[notification],  # type: ignore[list-item]
        )

    return program


_MACHINES: list[Case] = [
    case("GPU-01", group_in("isolated"), group_in("private"), "not isolated"),
    case(
        "GPU-01",
        group_in("private", ami_type="BOTTLEROCKET_x86_64", instance_types=["m7i.large"]),
        group_in("private", ami_type="CUSTOM", instance_types=["m7i.large", "p4d.24xlarge"]),
        "not isolated",
    ),
    case(
        "GPU-01",
        from_template("isolated", instance_type="g5.xlarge"),
        from_template("public", instance_type="g5.xlarge"),
        "not isolated",
    ),
    case("GPU-01", instance_in("isolated"), instance_in("private"), "not isolated"),
    case(
        "GPU-01",
        instance_in("private", "m7i.large"),
        lambda: aws.ec2.Instance("machine", ami="ami-0abc", instance_type="trn2.48xlarge"),
        "AWS chooses",
    ),
    case("GPU-01", scaling_group("isolated"), scaling_group("private"), "not isolated"),
    case("GPU-02", pool(), pool(taints=[]), "taints"),
    case("GPU-02", pool(), pool(taints=[{**TAINT, "effect": "PREFER_NO_SCHEDULE"}]), "taints"),
    case("GPU-02", pool(), pool(labels=None), "labels"),
    case("GPU-02", pool(), pool(1), "minSize"),
    case("GPU-02", pool(most=MOST_MACHINES), pool(most=MOST_MACHINES + 1), "maxSize"),
    case("GPU-05", budget(subscriber_email_addresses=["ml@example.org"]), pool(), "no budget"),
    case(
        "GPU-05",
        lambda: node_group(ami_type="AL2023_x86_64_STANDARD"),
        budget("USAGE", subscriber_email_addresses=["ml@example.org"]),
        "no budget",
    ),
    case("GPU-05", budget(subscriber_sns_topic_arns=["arn:aws:sns:eu-central-1:1:t"]), budget(), "no budget"),
]

# --- training jobs

ASKS = {"resources": {"limits": {GPU: "1", "cpu": "4", "memory": "8Gi"}}}


def training(kind: Kind = job, *, more: Any = None, **of_container: Any) -> Program:
    """Return a program of a pod that asks for a GPU."""
    return lambda: kind(spec(container(**ASKS, **of_container), **(more or {})))


def tolerating(**more: Any) -> Program:
    return lambda: job(spec(container(**more), tolerations=[{"key": GPU, "operator": "Exists"}]))


def labelled(label: str, value: str, **more: Any) -> Program:
    return lambda: k8s.core.v1.Pod(
        "x", metadata={**META, "labels": {label: value}}, spec=spec(container(**more))
    )


def env(name: str, value: Any = None, **source: Any) -> Any:
    return [{"name": name, **({"valueFrom": source} if source else {"value": value})}]


DATABASE_HOST = env("DB_HOST", "db")


def told(*, of_database: bool) -> Program:
    """Return a program that tells training the address of a database, or of something else."""

    def program() -> None:
        database = aws.rds.Instance("db", identifier="db", instance_class="db.m7g.large")
        other = aws.sns.Topic("topic", name="topic")
        address: pulumi.Input[str] = database.address if of_database else other.arn
        job(spec(container(**ASKS, env=[{"name": "WHERE", "value": address}])))

    return program


def security_groups(*, client: bool, selector: Any = None) -> Program:
    """Return a program in which training wears a group: the one that a database lets in, or another."""

    def program() -> None:
        clients = aws.ec2.SecurityGroup("clients", description="Data-access API")
        others = aws.ec2.SecurityGroup("others", description="Training")
        of_database = aws.ec2.SecurityGroup("of-database", description="Database")
        aws.vpc.SecurityGroupIngressRule(
            "in",
            security_group_id=of_database.id,
            referenced_security_group_id=clients.id,
            ip_protocol="tcp",
            from_port=5432,
            to_port=5432,
        )
        aws.rds.Instance("db", instance_class="db.m7g.large", vpc_security_group_ids=[of_database.id])
        worn = clients if client else others
        k8s.apiextensions.CustomResource(
            "worn",
            api_version="vpcresources.k8s.aws/v1beta1",
            kind="SecurityGroupPolicy",
            metadata={"namespace": "ml"},
            spec={
                "podSelector": {"matchLabels": LABELS if selector is None else selector},
                "securityGroups": {"groupIds": [worn.id]},
            },
        )
        made = template(network_interfaces=[{"security_groups": [worn.id]}], instance_type="m7i.large")
        node_group(launch_template={"id": made.id, "version": "1"})
        training()()

    return program


def machines_wearing(*, client: bool) -> Program:
    def program() -> None:
        clients = aws.ec2.SecurityGroup("clients", description="Data-access API")
        others = aws.ec2.SecurityGroup("others", description="Training")
        of_database = aws.ec2.SecurityGroup(
            "of-database",
            description="Database",
            ingress=[
                {"protocol": "tcp", "from_port": 5432, "to_port": 5432, "security_groups": [clients.id]}
            ],
        )
        aws.rds.Cluster("db", engine="aurora-postgresql", vpc_security_group_ids=[of_database.id])
        worn = clients if client else others
        made = template(vpc_security_group_ids=[worn.id])
        node_group(ami_type=NVIDIA, launch_template={"id": made.id, "version": "1"})

    return program


def identity(action: str, *, account: str = "x", namespace: str = "ml", by: str = "policy") -> Program:
    """Return a program whose training pods take a role that may do something, in one of three ways."""

    def program() -> None:
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
        }
        rights = {
            "Effect": "Allow",
            "Action": action,
            "Resource": f"arn:aws:rds-db:*:{ACCOUNT}:dbuser:db/x",
        }
        document = json.dumps({"Statement": rights})
        inline: Any = [{"name": "rights", "policy": document}] if by == "inline" else None
        role = aws.iam.Role(
            "role", assume_role_policy=json.dumps({"Statement": trust}), inline_policies=inline
        )
        if by == "policy":
            aws.iam.RolePolicy("rights", role=role.id, policy=document)
        elif by == "attachment":
            policy = aws.iam.Policy("rights", policy=document)
            aws.iam.RolePolicyAttachment("rights", role=role.name, policy_arn=policy.arn)
        aws.eks.PodIdentityAssociation(
            "identity", cluster_name="ml", namespace=namespace, service_account=account, role_arn=role.arn
        )
        training()()

    return program


def allowed(*rules: Any, selector: Any = None, namespace: str = "ml") -> Program:
    return lambda: k8s.networking.v1.NetworkPolicy(
        "out",
        metadata={"namespace": namespace},
        spec={
            "podSelector": {"matchLabels": selector or {}},
            "policyTypes": ["Egress"],
            "egress": list(rules),
        },
    )


def reaching(*rules: Any, selector: Any = None) -> Program:
    return together(training(), allowed(*rules, selector=selector))


API = {"to": [{"podSelector": {"matchLabels": {"app": "data-api"}}}], "ports": [{"port": 8443}]}


def block(cidr: str, **more: Any) -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": cidr}}], **more}


MOUNTS_SECRET = {"volumes": [{"name": "v", "secret": {"secretName": "rds-credentials"}}]}
MOUNTS_OTHER = {"volumes": [{"name": "v", "secret": {"secretName": "data-api-token"}}]}
DRIVER = "secrets-store.csi.k8s.io"


def mounting(provider: str) -> dict[str, Any]:
    csi = {"driver": DRIVER, "volumeAttributes": {"secretProviderClass": provider}}
    return {"volumes": [{"name": "v", "csi": csi}]}


_REACH: list[Case] = [
    *(
        case("GPU-03", training(), training(env=variables), "env")
        for variables in (
            DATABASE_HOST,
            env("PGPASSWORD", "x"),
            env("FEATURES_DATABASE_URL", "x"),
            env("WHERE", "postgresql://x@10.0.0.9/y"),
            env("WHERE", "db.cx.eu-central-1.rds.amazonaws.com"),
            env("WHAT", secretKeyRef={"name": "postgres-credentials", "key": "password"}),
        )
    ),
    case("GPU-03", tolerating(), tolerating(env=DATABASE_HOST), "env[0].name"),
    case(
        "GPU-03",
        labelled("workload", "serving", env=DATABASE_HOST),
        labelled("workload", "training", env=DATABASE_HOST),
        "env[0].name",
    ),
    case(
        "GPU-03",
        lambda: deployment(spec(container(env=DATABASE_HOST))),
        lambda: training_job(spec(container(env=DATABASE_HOST))),
        "env[0].name",
    ),
    case(
        "GPU-03",
        training(envFrom=[{"secretRef": {"name": "data-api"}}]),
        training(envFrom=[{"secretRef": {"name": "db"}}]),
        "envFrom[0]",
    ),
    case("GPU-03", training(more=MOUNTS_OTHER), training(more=MOUNTS_SECRET), "mounts a credential"),
    case(
        "GPU-03", training(more=mounting("tokens")), training(more=mounting("aurora")), "mounts a credential"
    ),
    case("GPU-03", told(of_database=False), told(of_database=True), "something of the database"),
    case("GPU-03", security_groups(client=False), security_groups(client=True), "group that the database"),
    case(
        "GPU-03",
        security_groups(client=True, selector={"app": "data-api"}),
        security_groups(client=True),
        "securityGroups",
    ),
    case("GPU-03", machines_wearing(client=False), machines_wearing(client=True), "vpcSecurityGroupIds"),
    case("GPU-03", identity("s3:GetObject"), identity("rds-db:connect"), "sign in"),
    case("GPU-03", identity("rds-db:connect", account="data-api"), identity("rds-db:*"), "sign in"),
    case(
        "GPU-03",
        reaching(API),
        reaching(API, {"to": API["to"], "ports": [{"port": 5432}]}),
        "database's port",
    ),
    case(
        "GPU-03",
        identity("rds-db:connect", namespace="api"),
        identity("rds-db:connect", by="inline"),
        "sign in",
    ),
    case(
        "GPU-03",
        identity("s3:GetObject", by="attachment"),
        identity("rds-db:connect", by="attachment"),
        "sign in",
    ),
    case(
        "GPU-03",
        together(training(), allowed({}, namespace="api")),
        together(training(), allowed({"to": API["to"], "ports": [{"port": "postgres"}]})),
        "database's port",
    ),
    case("GPU-03", reaching(API), reaching({"ports": [{"port": 443}]}), "everybody"),
    case(
        "GPU-03",
        reaching(block("10.0.3.0/24", ports=[{"port": 443}])),
        reaching(block("10.0.3.0/24")),
        "database's port",
    ),
    case("GPU-03", reaching(API), reaching(block("0.0.0.0/0", ports=[{"port": 443}])), "whole internet"),
    case(
        "GPU-03",
        reaching({"to": API["to"], "ports": [{"port": 53, "protocol": "UDP"}]}),
        reaching({"to": API["to"], "ports": [{"port": 5000, "endPort": 6000}]}),
        "database's port",
    ),
    case(
        "GPU-03",
        reaching(block("0.0.0.0/0"), selector={"app": "other"}),
        reaching(block("::/0", ports=[{"port": 443}]), selector=LABELS),
        "whole internet",
    ),
]

ENDS = {"activeDeadlineSeconds": 86400, "ttlSecondsAfterFinished": 3600}


def a_job(**more: Any) -> Program:
    return training(lambda pod: job(pod, **more))


def operated(**policy: Any) -> Program:
    pod = {"template": {"spec": spec(container(**ASKS))}}
    return custom(
        "kubeflow.org/v1",
        "PyTorchJob",
        {"runPolicy": policy, "pytorchReplicaSpecs": {"Worker": pod}},
        namespace="ml",
    )


def every_night(**more: Any) -> Program:
    return training(
        lambda pod: k8s.batch.v1.CronJob(
            "x",
            metadata=META,
            spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}, **more}}},
        )
    )


_ENDS: list[Case] = [
    case("GPU-04", a_job(**ENDS), a_job(), "activeDeadlineSeconds"),
    case("GPU-04", a_job(**ENDS), a_job(activeDeadlineSeconds=60), "ttlSecondsAfterFinished"),
    case("GPU-04", a_job(**{**ENDS, "ttlSecondsAfterFinished": 0}), tolerating(), "activeDeadlineSeconds"),
    case("GPU-04", every_night(**ENDS), every_night(), "jobTemplate.spec.activeDeadlineSeconds"),
    case("GPU-04", operated(**ENDS), operated(), "runPolicy.ttlSecondsAfterFinished"),
    case("GPU-04", lambda: job(spec()), a_job(), "activeDeadlineSeconds"),
]

CASES = [*_MACHINES, *_REACH, *_ENDS]
