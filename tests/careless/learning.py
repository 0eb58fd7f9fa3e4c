"""Careless machine learning: models that anybody replaces, servers that ask nobody, training that tells everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes

from tests.careless.mistakes import mistake

k8s: Any = pulumi_kubernetes

REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
DIGEST = "sha256:" + "0123456789abcdef" * 4
NAMESPACE = "learning"


def _pod(
    name: str,
    variables: dict[str, Any],
    *,
    image: str = "app",
    command: Sequence[str] = (),
    args: Sequence[str] = (),
) -> Any:
    env = [{"name": key, "value": value} for key, value in variables.items()]
    container = {
        "name": "main",
        "image": f"{REGISTRY}/ml/{image}@{DIGEST}",
        "env": env,
        "command": list(command) or None,
        "args": list(args) or None,
    }
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "serviceAccountName": name,
            "containers": [{k: v for k, v in container.items() if v is not None}],
        },
    }


GOOD_SERVER: dict[str, Any] = {
    "MODEL_BUCKET": "models-of-everybody",
    "TRAINER_KEY_ARN": "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001",
    "VERDICT_KEY_ARN": "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000002",
    "BUDGET_TABLE": "budgets",
    "QUERY_LOG_GROUP": "/queries",
    "CALLER_ISSUER": "https://issuer.example.org",
}


def _server(name: str, *, without: Sequence[str] = (), args: Sequence[str] = (), **more: Any) -> None:
    """Make a server that is right but for what is left out and added."""
    told = {key: value for key, value in {**GOOD_SERVER, **more}.items() if key not in without}
    k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": NAMESPACE},
        spec={"selector": {"matchLabels": {"app": name}}, "template": _pod(name, told, args=args)},
    )


def _job(name: str, *, image: str = "trainer", args: Sequence[str] = (), **told: Any) -> None:
    variables = {"MANIFEST_KEY_FILE": "/keys/steward.pub", "DP_EPSILON": "3", "DP_DELTA": "0.000001", **told}
    template = _pod(name, {key: value for key, value in variables.items() if value}, image=image, args=args)
    k8s.batch.v1.Job(name, metadata={"name": name, "namespace": NAMESPACE}, spec={"template": template})


def _role(name: str, *statements: Any, account: str | None = None) -> aws.iam.Role:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
    }
    role = aws.iam.Role(name, name=name, assume_role_policy=json.dumps({"Statement": trust}))
    document = pulumi.Output.json_dumps({"Statement": list(statements)})
    aws.iam.RolePolicy(f"{name}-rights", role=role.name, policy=document)
    aws.eks.PodIdentityAssociation(
        f"{name}-pods",
        cluster_name="ml",
        namespace=NAMESPACE,
        service_account=account or name,
        role_arn=role.arn,
    )
    return role


def _allow(action: str | list[str], *resources: pulumi.Input[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": list(resources)}


@mistake("MLS-01")
def bucket_of_models_that_two_roles_write(name: str) -> None:
    bucket = aws.s3.Bucket(name, bucket=name, tags={"data-domain": "models"})
    objects = pulumi.Output.concat(bucket.arn, "/*")
    for who in ("one", "other"):
        _role(f"{name}-{who}", _allow("s3:PutObject", objects))
    _role(f"{name}-server", _allow("s3:GetObject", objects))
    _server(f"{name}-server", MODEL_BUCKET=bucket.bucket)


@mistake("MLS-02")
def server_without_a_key(name: str) -> None:
    _server(name, without=("TRAINER_KEY_ARN", "VERDICT_KEY_ARN"))


@mistake("MLS-02", on="server-that-signs-rights")
def server_that_signs(name: str) -> None:
    _role(name, _allow("kms:Sign", "*"))
    _server(name)


@mistake("MLS-03")
def role_that_signs_twice(name: str) -> None:
    keys = [aws.kms.Key(f"{name}-{who}", key_usage="SIGN_VERIFY") for who in ("trainer", "redteam")]
    _role(name, _allow("kms:Sign", *(key.arn for key in keys)))
    _server(f"{name}-server", TRAINER_KEY_ARN=keys[0].arn, VERDICT_KEY_ARN=keys[1].arn)


@mistake("MLS-04")
def training_without_a_budget(name: str) -> None:
    _job(name, DP_EPSILON="", DP_DELTA="")


@mistake("MLS-04")
def training_that_tells_everything(name: str) -> None:
    _job(name, DP_EPSILON="1000")


@mistake("MLS-05")
def server_without_budgets(name: str) -> None:
    _server(name, without=("BUDGET_TABLE",))


@mistake("MLS-06")
def server_that_writes_nothing_down(name: str) -> None:
    _server(name, without=("QUERY_LOG_GROUP",))


@mistake("MLS-06")
def server_that_writes_down_inputs(name: str) -> None:
    _server(name, LOG_RAW_INPUTS="true")


@mistake("MLS-07")
def aggregator_in_clear(name: str) -> None:
    template = _pod(name, {}, image="superlink", command=["flower-superlink", "--insecure"])
    k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": NAMESPACE},
        spec={"selector": {"matchLabels": {"app": name}}, "template": template},
    )


@mistake("MLS-08")
def server_that_asks_for_no_verdict(name: str) -> None:
    _server(name, without=("VERDICT_KEY_ARN",))


@mistake("MLS-09")
def training_on_whatever_comes(name: str) -> None:
    _job(name, MANIFEST_KEY_FILE="")


@mistake("MLS-10")
def server_that_runs_what_comes_with_a_model(name: str) -> None:
    _server(name, args=["--model=some/model", "--trust-remote-code"])


@mistake("MLS-10")
def server_of_a_pickle(name: str) -> None:
    _server(name, MODEL_PATH="/models/model.pkl")


@mistake("MLS-11")
def server_that_knows_the_database(name: str) -> None:
    _server(name, DB_HOST="db.example.org")


@mistake("MLS-12")
def server_for_anybody(name: str) -> None:
    _server(name, without=("CALLER_ISSUER",))


@mistake("MLS-13")
def notebook_of_root_on_the_internet(name: str) -> None:
    aws.sagemaker.NotebookInstance(
        name, instance_type="ml.t3.medium", role_arn="arn:aws:iam::111122223333:role/notebook"
    )


@mistake("MLS-14")
def model_that_calls_out(name: str) -> None:
    aws.sagemaker.Model(name, execution_role_arn="arn:aws:iam::111122223333:role/model")


@mistake("MLS-15")
def data_that_two_roles_change(name: str) -> None:
    data = aws.s3.Bucket(name, bucket=name, tags={"data-domain": "data"})
    for who in ("one", "other"):
        _role(
            f"{name}-{who}", _allow(["s3:PutObject", "s3:DeleteObject"], pulumi.Output.concat(data.arn, "/*"))
        )
