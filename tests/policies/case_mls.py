"""Cases of the family MLS: models, what serves them, what they learn from, and federations."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.case_eks import custom
from tests.policies.case_eks_pods import DIGEST, LABELS, META, REGISTRY, case, container, job, spec
from tests.policies.cases import ACCOUNT, REGION, Case, Program, k8s

Text = pulumi.Input[str]

# --- a small platform ------------------------------------------------------------------------------------


def env(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def deployed(variables: Mapping[str, Any], *, account: str = "server", **more: Any) -> object:
    """Make a deployment that is told something."""
    pod = spec(container(env=env(variables), **more), serviceAccountName=account)
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return k8s.apps.v1.Deployment(
        account,
        metadata={"name": account, "namespace": "ml"},
        spec={"selector": {"matchLabels": LABELS}, "template": template},
    )


def started(variables: Mapping[str, Any], *, called: str = "trainer", **more: Any) -> object:
    """Make a job that is called and told something, under an account of the same name."""
    pod = spec(container(env=env(variables), **more), serviceAccountName=called)
    template = {"metadata": {"labels": {"app": called}}, "spec": pod}
    return k8s.batch.v1.Job(called, metadata={"name": called, "namespace": "ml"}, spec={"template": template})


def role(name: str, *statements: Any, accounts: Sequence[str] | None = None) -> aws.iam.Role:
    """Make a role with rights, worn by the pods of accounts (of its own name, where none are given)."""
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
    }
    made = aws.iam.Role(name, name=name, assume_role_policy=json.dumps({"Statement": trust}))
    if statements:
        aws.iam.RolePolicy(
            name, role=made.name, policy=pulumi.Output.json_dumps({"Statement": list(statements)})
        )
    for account in (name,) if accounts is None else accounts:
        aws.eks.PodIdentityAssociation(
            f"{name}-{account}", cluster_name="ml", namespace="ml", service_account=account, role_arn=made.arn
        )
    return made


def allow(actions: str | list[str], *resources: Text) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def below(bucket: aws.s3.Bucket, prefix: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(bucket.arn, "/", prefix, "*")


def models(**more: Any) -> aws.s3.Bucket:
    made = aws.s3.Bucket("models", bucket="models", tags={"data-domain": "models"}, **more)
    aws.s3.BucketVersioning("models", bucket=made.bucket, versioning_configuration={"status": "Enabled"})
    return made


def locked(bucket: aws.s3.Bucket) -> None:
    aws.s3.BucketObjectLockConfiguration(
        "models", bucket=bucket.bucket, rule={"default_retention": {"mode": "GOVERNANCE", "days": 30}}
    )


def signing_key(
    name: str, *, usage: str = "SIGN_VERIFY", statements: Sequence[Any] | None = None
) -> aws.kms.Key:
    policy = None if statements is None else json.dumps({"Statement": list(statements)})
    return aws.kms.Key(name, key_usage=usage, policy=policy)


def platform(
    *,
    lock: bool = True,
    versions: bool = True,
    released_by: Sequence[str] = ("redteam",),
    candidates_by: Sequence[str] = ("trainer",),
    trainer_wears: str = "trainer",
    server_signs: Any = None,
    policy: Any = None,
    signs: Mapping[str, Sequence[str]] | None = None,
    told: Sequence[str] = ("TRAINER_KEY_ARN", "VERDICT_KEY_ARN"),
) -> Program:
    """Return a program of a trainer, a red team and a server, in which one thing may be wrong."""

    def program() -> None:
        bucket = (
            models() if versions else aws.s3.Bucket("models", bucket="models", tags={"data-domain": "models"})
        )
        if lock:
            locked(bucket)
        if policy:
            document = pulumi.Output.json_dumps({"Statement": {**policy, "Resource": below(bucket, "")}})
            aws.s3.BucketPolicy("models", bucket=bucket.bucket, policy=document)
        keys = {name: signing_key(name) for name in ("TRAINER_KEY_ARN", "VERDICT_KEY_ARN")}
        who_signs = signs or {"trainer": ["TRAINER_KEY_ARN"], "redteam": ["VERDICT_KEY_ARN"]}
        for name in ("trainer", "redteam", "server"):
            rights = (
                [allow("kms:Sign", *(keys[key].arn for key in who_signs.get(name, ())))]
                if name in who_signs
                else []
            )
            rights += [allow("s3:PutObject", below(bucket, "released/"))] if name in released_by else []
            rights += [allow("s3:PutObject", below(bucket, "candidates/"))] if name in candidates_by else []
            rights += [allow(["s3:GetObject"], below(bucket, "released/"))] if name == "server" else []
            rights += [server_signs] if server_signs and name == "server" else []
            accounts = (
                [name]
                if trainer_wears == "trainer"
                else {"trainer": [], trainer_wears: [name, "trainer"]}.get(name, [name])
            )
            role(name, *rights, accounts=accounts)
        started({"DP_EPSILON": "3", "DP_DELTA": "0.000001", "MODEL_BUCKET": bucket.bucket})
        started({}, called="redteam")
        deployed(
            {
                "MODEL_BUCKET": bucket.bucket,
                "MODEL_PREFIX": "released/",
                **{name: keys[name].arn for name in told},
            }
        )

    return program


GOOD = platform()

_CHAIN: list[Case] = [
    case("MLS-01", GOOD, platform(lock=False), "not locked"),
    case("MLS-01", GOOD, platform(versions=False), "no versions"),
    case("MLS-01", GOOD, platform(released_by=("redteam", "trainer")), "2 roles"),
    case("MLS-01", GOOD, platform(released_by=("server",)), "may replace them"),
    case(
        "MLS-01",
        platform(policy={"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}),
        platform(
            policy={
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/x"},
                "Action": "s3:Put*",
            }
        ),
        "no role of the stack",
    ),
    case("MLS-03", GOOD, platform(released_by=("trainer",)), "trains models and puts them"),
    case("MLS-03", GOOD, platform(candidates_by=("trainer", "redteam")), "candidates as well"),
    case("MLS-03", GOOD, platform(trainer_wears="redteam"), "trains models and puts them"),
    case(
        "MLS-03",
        GOOD,
        platform(signs={"redteam": ["TRAINER_KEY_ARN", "VERDICT_KEY_ARN"]}),
        "who made a model and as who judged it",
    ),
    case("MLS-08", GOOD, platform(told=("VERDICT_KEY_ARN",)), "one signature only"),
    case(
        "MLS-08", GOOD, platform(signs={"trainer": ["TRAINER_KEY_ARN", "VERDICT_KEY_ARN"]}), "every verdict"
    ),
    *(
        case("MLS-02", GOOD, platform(server_signs=allow(action, "*")), mentions)
        for action, mentions in (
            ("kms:Sign", "sign"),
            ("kms:S*", "sign"),
            ("kms:*", "sign"),
            ("kms:PutKeyPolicy", "give itself the right"),
            ("signer:SignPayload", "sign"),
        )
    ),
]

# --- servers, each kind of them --------------------------------------------------------------------------

KEYS = {
    "TRAINER_KEY_ARN": "arn:aws:kms:eu-central-1:1:key/a",
    "VERDICT_KEY_ARN": "arn:aws:kms:eu-central-1:1:key/b",
}
MODEL = {"MODEL_BUCKET": "models"}
CALLERS = {"CALLER_ISSUER": "https://issuer.example.org", "CALLER_AUDIENCE": "gateway"}
BUDGET = {"BUDGET_TABLE": "budgets"}


def serving(**variables: Any) -> Program:
    return lambda: deployed({**MODEL, **variables})


def imaged(image: str, **variables: Any) -> Program:
    return lambda: deployed(variables, image=f"{REGISTRY}/{image}@{DIGEST}")


def labelled(value: str, **variables: Any) -> Program:
    def program() -> None:
        template = {
            "metadata": {"labels": {**LABELS, "app.kubernetes.io/component": value}},
            "spec": spec(container(env=env(variables))),
        }
        k8s.apps.v1.StatefulSet(
            "x",
            metadata=META,
            spec={"selector": {"matchLabels": LABELS}, "serviceName": "x", "template": template},
        )

    return program


def kserve(**model: Any) -> Program:
    described = {"storageUri": "s3://models/released/digits", "modelFormat": {"name": "onnx"}, **model}
    return custom(
        "serving.kserve.io/v1beta1", "InferenceService", {"predictor": {"model": described}}, namespace="ml"
    )


def function(**variables: Any) -> Program:
    return lambda: aws.lambda_.Function(
        "f", role=f"arn:aws:iam::{ACCOUNT}:role/f", environment={"variables": {**MODEL, **variables}}
    )


def task(**variables: Any) -> Program:
    def program() -> None:
        definitions = [{"name": "server", "image": "x", "environment": env({**MODEL, **variables})}]
        made = aws.ecs.TaskDefinition("t", family="t", container_definitions=json.dumps(definitions))
        aws.ecs.Service("s", task_definition=made.arn)

    return program


def sagemaker(**variables: Any) -> Program:
    def program() -> None:
        made = aws.iam.Role(
            "r",
            assume_role_policy=json.dumps(
                {
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": "sagemaker.amazonaws.com"},
                    }
                }
            ),
        )
        aws.sagemaker.Model(
            "m",
            execution_role_arn=made.arn,
            primary_container={"image": "x", "environment": {**MODEL, **variables}},
        )

    return program


def configured(**data: str) -> Program:
    """Return a server whose environment stands in a ConfigMap."""

    def program() -> None:
        k8s.core.v1.ConfigMap("c", metadata={"name": "c", "namespace": "ml"}, data={**MODEL, **data})
        pod = spec(container(envFrom=[{"configMapRef": {"name": "c"}}]))
        k8s.apps.v1.Deployment(
            "x",
            metadata=META,
            spec={
                "selector": {"matchLabels": LABELS},
                "template": {"metadata": {"labels": LABELS}, "spec": pod},
            },
        )

    return program


def encrypting() -> None:
    key = signing_key("VERIFICATION_KEY_ARN", usage="ENCRYPT_DECRYPT")
    deployed({**MODEL, "VERIFICATION_KEY_ARN": key.arn})


def by_policy_of_the_key(account: str) -> Program:
    """Return a server whose key's own policy lets the pods of an account sign."""

    def program() -> None:
        lets_in = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "kms:Sign",
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "kms:CallerAccount": ACCOUNT,
                    "aws:PrincipalTag/kubernetes-namespace": "ml",
                    "aws:PrincipalTag/kubernetes-service-account": account,
                }
            },
        }
        key = signing_key("key", statements=[lets_in])
        role("server", allow("kms:Verify", key.arn))
        deployed({**MODEL, "SIGNING_KEY_ARN": key.arn})

    return program


_VERIFIES: list[Case] = [
    *(
        case("MLS-02", kind(**KEYS), kind(), "no key to verify")
        for kind in (serving, task, configured, sagemaker)
    ),
    *(
        case("MLS-02", imaged(image, VERIFICATION_KEY_FILE="/k.pub"), imaged(image), "no key to verify")
        for image in ("tritonserver", "ml/vllm-openai", "torchserve")
    ),
    case("MLS-02", labelled("inference", PUBLIC_KEY_PEM="x"), labelled("inference"), "no key to verify"),
    case("MLS-02", kserve(env=env({"COSIGN_KEY": "awskms:///x"})), kserve(), "no key to verify"),
    case("MLS-02", serving(**KEYS), serving(VERIFICATION_KEY_ARN=""), "no key to verify"),
    case("MLS-02", labelled("database"), encrypting, "no key to verify"),
    case(
        "MLS-02",
        by_policy_of_the_key("trainer"),
        by_policy_of_the_key("server"),
        "lets a server of models sign",
    ),
    case("MLS-08", serving(**KEYS), serving(TRAINER_KEY_ARN="a", VERDICT_KEY_ARN="a"), "one signature only"),
]

# --- budgets, logs, callers ------------------------------------------------------------------------------

ANY = {"AWS_REGION": REGION}


def limited(*, rate: bool = True, public: bool = True, action: str = "block") -> Program:
    """Return a server behind a load balancer whose web ACL limits rates, or does not."""

    def program() -> None:
        deployed({**MODEL, **BUDGET})
        balancer = aws.lb.LoadBalancer("lb", internal=not public)
        group = aws.lb.TargetGroup("group", port=443, protocol="HTTPS", vpc_id="vpc-1")
        aws.lb.Listener(
            "listener",
            load_balancer_arn=balancer.arn,
            default_actions=[{"type": "forward", "target_group_arn": group.arn}],
        )
        k8s.core.v1.Service("s", metadata={"name": "s", "namespace": "ml"}, spec={"selector": LABELS})
        k8s.apiextensions.CustomResource(
            "binding",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata={"name": "s", "namespace": "ml"},
            spec={"serviceRef": {"name": "s", "port": 443}, "targetGroupARN": group.arn},
        )
        limit: Any = {
            "name": "rate",
            "priority": 1,
            "action": {action: {}},
            "statement": {"rate_based_statement": {"limit": 100, "aggregate_key_type": "IP"}},
            "visibility_config": {
                "cloudwatch_metrics_enabled": True,
                "metric_name": "x",
                "sampled_requests_enabled": True,
            },
        }
        acl = aws.wafv2.WebAcl(
            "acl",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=[limit] if rate else [],
            visibility_config=limit["visibility_config"],
        )
        aws.wafv2.WebAclAssociation("acl", resource_arn=balancer.arn, web_acl_arn=acl.arn)

    return program


def planned(limit: int) -> Program:
    def program() -> None:
        function()()
        aws.apigateway.UsagePlan("plan", quota_settings={"limit": limit, "period": "DAY"})

    return program


def logging(*, days: int = 90, may: str = "logs:PutLogEvents") -> Program:
    def program() -> None:
        group = aws.cloudwatch.LogGroup("queries", name="/queries", retention_in_days=days)
        role("server", allow(may, pulumi.Output.concat(group.arn, ":*")))
        deployed({**MODEL, "QUERY_LOG_GROUP": group.name})

    return program


def writing(*arguments: str, **variables: Any) -> Program:
    def program() -> None:
        group = aws.cloudwatch.LogGroup("queries", name="/queries", retention_in_days=90)
        deployed({**MODEL, "REQUEST_LOG_GROUP": group.name, **variables}, args=list(arguments))

    return program


def capturing(*modes: str) -> Program:
    return lambda: aws.sagemaker.EndpointConfiguration(
        "e",
        production_variants=[{"model_name": "m", "variant_name": "v"}],
        data_capture_config={
            "enable_capture": True,
            "destination_s3_uri": "s3://x",
            "initial_sampling_percentage": 100,
            "capture_options": [{"capture_mode": mode} for mode in modes],
        },
    )


def logged_by_kserve(mode: str) -> Program:
    def program() -> None:
        group = aws.cloudwatch.LogGroup("queries", name="/queries", retention_in_days=90)
        model = {
            "storageUri": "s3://m",
            "modelFormat": {"name": "onnx"},
            "env": [{"name": "QUERY_LOG", "value": group.name}],
        }
        custom(
            "serving.kserve.io/v1beta1",
            "InferenceService",
            {"predictor": {"model": model, "logger": {"mode": mode}}},
            namespace="ml",
        )()

    return program


def in_front_of_a_task(*kinds: str) -> Program:
    """Return a task behind a listener that signs people in, or only forwards."""

    def program() -> None:
        definitions = [{"name": "server", "image": "x", "environment": env(MODEL)}]
        made = aws.ecs.TaskDefinition("t", family="t", container_definitions=json.dumps(definitions))
        balancer = aws.lb.LoadBalancer("lb")
        group = aws.lb.TargetGroup("group", port=443, protocol="HTTPS", vpc_id="vpc-1")
        oidc: Any = dict.fromkeys(
            (
                "authorization_endpoint",
                "client_id",
                "client_secret",
                "issuer",
                "token_endpoint",
                "user_info_endpoint",
            ),
            "https://x",
        )
        actions: Any = [
            {
                "type": kind,
                **(
                    {"authenticate_oidc": oidc}
                    if kind == "authenticate-oidc"
                    else {"target_group_arn": group.arn}
                ),
            }
            for kind in kinds
        ]
        aws.lb.Listener("l", load_balancer_arn=balancer.arn, default_actions=actions)
        aws.ecs.Service(
            "s",
            task_definition=made.arn,
            load_balancers=[
                {"target_group_arn": group.arn, "container_name": "server", "container_port": 443}
            ],
        )

    return program


def database_told(who: Callable[..., object], **variables: Any) -> Program:
    return lambda: who({**MODEL, **variables})


def aggregating(**variables: Any) -> object:
    return deployed(variables, account="superlink", command=["flower-superlink"])


_SERVES: list[Case] = [
    case("MLS-05", serving(**BUDGET), serving(**ANY), "no budget"),
    case("MLS-05", serving(DAILY_QUERY_BUDGET="1000"), serving(DAILY_QUERY_BUDGET="0"), "as many answers"),
    case("MLS-05", configured(QUERY_QUOTA="9"), configured(QUERY_QUOTA="unlimited"), "as many answers"),
    case("MLS-05", planned(100), function(), "no budget"),
    case("MLS-05", limited(), limited(rate=False), "limits rates"),
    case("MLS-05", limited(rate=False, public=False), limited(action="count"), "limits rates"),
    case("MLS-06", logging(), serving(**ANY), "nowhere who asked"),
    case("MLS-06", logging(), logging(days=30), "less than 90 days"),
    case("MLS-06", logging(), logging(may="logs:*"), "erase who asked"),
    case("MLS-06", writing(LOG_INPUTS="false"), writing(LOG_INPUTS="true"), "as it came"),
    case("MLS-06", writing("--log-digests"), writing("--enable-log-requests"), "as it came"),
    case("MLS-06", writing("--log-requests=false"), writing("--log-prompts", "true"), "as it came"),
    case("MLS-06", writing(), writing(GATEWAY_LOG_RAW_BODIES="1"), "as it came"),
    case("MLS-06", capturing("Output"), capturing("Input", "Output"), "keeps what clients ask"),
    case("MLS-06", logged_by_kserve("response"), logged_by_kserve("all"), "sends what clients ask"),
    *(
        case("MLS-11", database_told(who), database_told(who, DB_HOST="db"), "how to reach the database")
        for who in (deployed, lambda variables: aggregating(**variables))
    ),
    case("MLS-12", serving(**CALLERS), serving(**ANY), "nothing by which it could know"),
    case("MLS-12", serving(AUTH_REQUIRED="true"), serving(AUTH_REQUIRED="false"), "not to ask"),
    case("MLS-12", serving(OIDC_ISSUER="x"), serving(OIDC_ISSUER="x", DISABLE_AUTH="1"), "not to ask"),
    case(
        "MLS-12",
        in_front_of_a_task("authenticate-oidc", "forward"),
        in_front_of_a_task("forward"),
        "nothing by which it could know",
    ),
    case(
        "MLS-12",
        lambda: deployed(MODEL, args=["--api-key-file=/run/keys"]),
        lambda: deployed(MODEL, args=["--host=0.0.0.0"]),
        "nothing by which it could know",
    ),
]

# --- training --------------------------------------------------------------------------------------------

PRIVATE = {"DP_EPSILON": "3", "DP_DELTA": "0.000001"}


def training(**variables: Any) -> Program:
    return lambda: started(variables)


def argued(*arguments: str) -> Program:
    return lambda: started({}, command=["python", "-m", "services.trainer"], args=list(arguments))


def with_gpu(**variables: Any) -> Program:
    limits = {"limits": {"nvidia.com/gpu": "1", "cpu": "1", "memory": "1Gi"}}
    return lambda: job(spec(container(env=env(variables), resources=limits)))


def about(classification: str) -> Program:
    def program() -> None:
        template = {
            "metadata": {"labels": {"app": "trainer", "data-classification": classification}},
            "spec": spec(container()),
        }
        k8s.batch.v1.Job("x", metadata=META, spec={"template": template})

    return program


def described(text: str, *, mounted: str = "job") -> Program:
    """Return a job that reads what to do from a ConfigMap."""

    def program() -> None:
        k8s.core.v1.ConfigMap("job", metadata={"name": "job", "namespace": "ml"}, data={"job.yaml": text})
        pod = spec(container(), volumes=[{"name": "job", "configMap": {"name": mounted}}])
        template = {"metadata": {"labels": {"app": "trainer"}}, "spec": pod}
        k8s.batch.v1.Job("x", metadata=META, spec={"template": template})

    return program


def signed(usage: str) -> Program:
    def program() -> None:
        key = signing_key("manifests", usage=usage)
        started({"MANIFEST_KEY_ARN": key.arn})

    return program


def learning(
    *,
    versions: bool = True,
    quarantine: bool = True,
    reads: str = "",
    writers: Sequence[str] = ("ingest",),
    tagged: bool = True,
) -> Program:
    """Return a trainer that reads a bucket of data, into which somebody else puts what comes."""

    def program() -> None:
        tags = {"data-domain": "data"} if tagged else None
        data = aws.s3.Bucket("data", bucket="data", tags=tags)
        if versions:
            aws.s3.BucketVersioning(
                "data", bucket=data.bucket, versioning_configuration={"status": "Enabled"}
            )
        if quarantine:
            aws.s3.Bucket("quarantine", bucket="quarantine", tags={"data-domain": "quarantine"})
        puts = {name: [allow("s3:PutObject", below(data, ""))] for name in writers}
        role("trainer", allow("s3:GetObject", below(data, reads)), *puts.get("trainer", []))
        for name in writers:
            if name != "trainer":
                role(name, *puts[name], accounts=[])
        started({"MANIFEST_KEY_FILE": "/k.pub", "DATA_BUCKET": data.bucket})

    return program


def reading_quarantine(*, waits: bool) -> Program:
    def program() -> None:
        place = aws.s3.Bucket(
            "incoming", bucket="incoming", tags={"purpose": "quarantine" if waits else "other"}
        )
        role("trainer", allow("s3:GetObject", below(place, "")))
        started({"MANIFEST_KEY_FILE": "/k.pub"})

    return program


_TRAINS: list[Case] = [
    case("MLS-04", training(**PRIVATE), training(DP_DELTA="1e-6"), "no epsilon"),
    case("MLS-04", training(**PRIVATE), training(DP_EPSILON="3"), "no delta"),
    case(
        "MLS-04",
        training(**{**PRIVATE, "DP_EPSILON": "10"}),
        training(**{**PRIVATE, "DP_EPSILON": "10.1"}),
        "no epsilon over 0",
    ),
    case("MLS-04", training(**PRIVATE), training(**{**PRIVATE, "DP_EPSILON": "inf"}), "no epsilon over 0"),
    case("MLS-04", training(**PRIVATE), training(**{**PRIVATE, "DP_EPSILON": "0"}), "no epsilon over 0"),
    case("MLS-04", training(**PRIVATE), training(**{**PRIVATE, "DP_DELTA": "0.01"}), "no delta over 0"),
    case("MLS-04", training(**PRIVATE), training(PGD_EPSILON="0.03", DP_DELTA="1e-6"), "no epsilon"),
    case("MLS-04", with_gpu(**PRIVATE), with_gpu(), "no epsilon"),
    case("MLS-04", about("synthetic"), about("personal"), "no epsilon"),
    case(
        "MLS-04",
        argued("--epsilon", "3", "--delta=1e-6"),
        argued("--epsilon=300", "--delta=1e-6"),
        "no epsilon over 0",
    ),
    case(
        "MLS-04",
        described("privacy:\n  epsilon: 3.0\n  delta: 1.0e-6\n"),
        described("privacy: {epsilon: 50, delta: 1e-6}"),
        "no epsilon over 0",
    ),
    case(
        "MLS-04",
        described("{epsilon: 1, delta: 1e-5}"),
        described("adam_epsilon: 1e-8\ndelta: 1e-5"),
        "no epsilon",
    ),
    case("MLS-09", training(MANIFEST_KEY_FILE="/k.pub"), training(**PRIVATE), "no signed manifest"),
    case("MLS-09", argued("--manifest-key=/k.pub"), argued("--manifest=/m.json"), "no signed manifest"),
    case("MLS-09", signed("SIGN_VERIFY"), signed("ENCRYPT_DECRYPT"), "signs nothing"),
    case("MLS-09", learning(), learning(versions=False), "keeps no versions"),
    case("MLS-09", learning(), learning(quarantine=False), "arrived just now"),
    case(
        "MLS-09",
        learning(quarantine=False, reads="approved/"),
        learning(quarantine=False, tagged=False),
        "arrived just now",
    ),
    case("MLS-09", reading_quarantine(waits=False), reading_quarantine(waits=True), "in quarantine"),
    case("MLS-15", learning(), learning(writers=("ingest", "import")), "2 roles"),
    case("MLS-15", learning(), learning(writers=("trainer",)), "may change itself"),
]

# --- what runs by being loaded ---------------------------------------------------------------------------


def loading(*arguments: str, **variables: Any) -> Program:
    return lambda: started(variables, args=list(arguments))


_LOADS: list[Case] = [
    case("MLS-10", good, bad, mentions)
    for good, bad, mentions in (
        (loading("--load-format=safetensors"), loading("--trust-remote-code"), "run code when it is loaded"),
        (
            loading("--trust-remote-code=false"),
            loading("--trust_remote_code", "true"),
            "run code when it is loaded",
        ),
        (loading(TRUST_REMOTE_CODE="0"), loading(TRUST_REMOTE_CODE="1"), "run code when it is loaded"),
        (loading(), loading(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1"), "run code when it is loaded"),
        (loading(), loading(VLLM_ALLOW_INSECURE_SERIALIZATION="1"), "run code when it is loaded"),
        (loading("--weights-only", "true"), loading("--weights-only", "false"), "run code when it is loaded"),
        (loading("--load-format", "safetensors"), loading("--load-format", "pt"), "format that runs code"),
        (loading(MODEL_PATH="/m/model.onnx"), loading(MODEL_PATH="/m/model.pkl"), "pickle"),
        (loading("/m/model.safetensors"), loading("--model=/m/model.joblib"), "pickle"),
        (
            loading("-c", "print(1)"),
            loading("-c", "import pickle; pickle.load(open('m','rb'))"),
            "when it starts",
        ),
        (
            loading("-c", "torch.load(m, weights_only=True)"),
            loading("-c", "torch.load(m, weights_only=False)"),
            "when it starts",
        ),
        (
            loading("-c", "curl https://x -o y"),
            loading("-c", "curl -s https://x/install.sh | sh"),
            "when it starts",
        ),
        (kserve(), kserve(modelFormat={"name": "sklearn"}), "format that runs code"),
        (function(), function(MODEL_FILE="model.pickle"), "pickle"),
        (
            lambda: aws.s3.BucketObjectv2("o", bucket="b", key="model.onnx"),
            lambda: aws.s3.BucketObjectv2("o", bucket="b", key="model.pkl"),
            "is a pickle",
        ),
    )
]

# --- federations -----------------------------------------------------------------------------------------

SERVER = [
    "flower-superlink",
    "--ssl-ca-certfile=/tls/ca.crt",
    "--ssl-certfile=/tls/tls.crt",
    "--ssl-keyfile=/tls/tls.key",
    "--enable-supernode-auth",
]
NODE = ["flower-supernode", "--root-certificates=/tls/ca.crt", "--auth-supernode-private-key=/keys/node"]
SUMS = {"SECURE_AGGREGATION": "secagg+"}


def server(*command: str, **variables: Any) -> Program:
    return lambda: deployed(variables, account="superlink", command=list(command))


def node(*command: str, **variables: Any) -> Program:
    return lambda: deployed(variables, account="supernode", command=list(command))


def without(command: list[str], beginning: str) -> list[str]:
    return [word for word in command if not word.startswith(beginning)]


def in_the_environment(**changed: Any) -> Program:
    told = {
        "TLS_SECRET_ID": "x/tls",
        "NODE_PUBLIC_KEYS_FILE": "/keys",
        "SECAGG_THRESHOLD": "2",
        **changed,
    }
    return lambda: deployed(told, account="aggregator", image=f"{REGISTRY}/ml/fl-server@{DIGEST}")


def aggregator_that_reads(domain: str, action: str = "s3:GetObject") -> Program:
    def program() -> None:
        bucket = aws.s3.Bucket("bucket", bucket="bucket", tags={"data-domain": domain})
        role("superlink", allow(action, below(bucket, "")))
        server(*SERVER, **SUMS)()

    return program


_FEDERATES: list[Case] = [
    case("MLS-07", server(*SERVER, **SUMS), server(*SERVER, "--insecure", **SUMS), "without TLS"),
    case("MLS-07", server(*SERVER, **SUMS), server(*without(SERVER, "--ssl"), **SUMS), "no certificate"),
    case("MLS-07", server(*SERVER, **SUMS), server(*SERVER[:-1], **SUMS), "calls itself a node"),
    case("MLS-07", server(*SERVER, **SUMS), server(*SERVER), "instead of the sum"),
    case(
        "MLS-07",
        server(*SERVER, "--secure-aggregation"),
        server(*SERVER, SECAGG="false"),
        "instead of the sum",
    ),
    case("MLS-07", in_the_environment(), in_the_environment(INSECURE="1"), "without TLS"),
    case("MLS-07", in_the_environment(), in_the_environment(NODE_PUBLIC_KEYS_FILE=""), "calls itself a node"),
    case("MLS-07", node(*NODE), node(*without(NODE, "--root")), "knows no authority"),
    case("MLS-07", node(*NODE), node(*without(NODE, "--auth")), "no key to show"),
    case("MLS-07", node(*NODE), lambda: deployed({"FLWR_HOME": "/home"}), "knows no authority"),
    case("MLS-07", aggregator_that_reads("models"), aggregator_that_reads("data"), "a bucket of data"),
    case(
        "MLS-07",
        aggregator_that_reads("data", "s3:ListBucket"),
        aggregator_that_reads("models", "rds-db:connect"),
        "sign in to a database",
    ),
]

# --- what AWS manages ------------------------------------------------------------------------------------


def notebook(**changed: Any) -> Program:
    good = {"direct_internet_access": "Disabled", "root_access": "Disabled", "subnet_id": "subnet-1"}
    arguments: Any = {key: value for key, value in {**good, **changed}.items() if value}
    return lambda: aws.sagemaker.NotebookInstance(
        "n", instance_type="ml.t3.medium", role_arn=f"arn:aws:iam::{ACCOUNT}:role/n", **arguments
    )


def domain(access: str | None) -> Program:
    return lambda: aws.sagemaker.Domain(
        "d",
        auth_mode="IAM",
        default_user_settings={"execution_role": f"arn:aws:iam::{ACCOUNT}:role/n"},
        domain_name="d",
        subnet_ids=["subnet-1"],
        vpc_id="vpc-1",
        app_network_access_type=access,
    )


def isolated(**changed: Any) -> Program:
    good = {
        "enable_network_isolation": True,
        "vpc_config": {"security_group_ids": ["sg-1"], "subnets": ["subnet-1"]},
    }
    arguments: Any = {key: value for key, value in {**good, **changed}.items() if value is not None}
    return lambda: aws.sagemaker.Model("m", execution_role_arn=f"arn:aws:iam::{ACCOUNT}:role/m", **arguments)


def endpoint(key: str | None) -> Program:
    return lambda: aws.sagemaker.EndpointConfiguration(
        "e", kms_key_arn=key, production_variants=[{"model_name": "m", "variant_name": "v"}]
    )


_MANAGED: list[Case] = [
    case("MLS-13", notebook(), notebook(direct_internet_access=None), "directInternetAccess"),
    case("MLS-13", notebook(), notebook(root_access="Enabled"), "rootAccess"),
    case("MLS-13", notebook(), notebook(subnet_id=None), "subnetId"),
    case("MLS-13", domain("VpcOnly"), domain(None), "past the VPC"),
    case("MLS-14", isolated(), isolated(enable_network_isolation=False), "enableNetworkIsolation"),
    case("MLS-14", isolated(), isolated(vpc_config=None), "vpcConfig"),
    case("MLS-14", endpoint("arn:aws:kms:eu-central-1:1:key/a"), endpoint(None), "kmsKeyArn"),
]

CASES = [*_CHAIN, *_VERIFIES, *_SERVES, *_TRAINS, *_LOADS, *_FEDERATES, *_MANAGED]
