"""Cases of the family RES."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from tests.policies.cases import ACCOUNT, TAGS, Case, Program

Made = TypeVar("Made")
HOME = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"
AWAY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
HIPAA = {"profile": "hipaa"}


def _made(make: Callable[..., Made], name: str, **arguments: object) -> Made:
    return make(name, **{key: value for key, value in arguments.items() if value is not None})


def _one(make: Callable[..., object], **arguments: object) -> Program:
    """Return a program of one resource."""
    return lambda: _made(make, "it", **arguments)


def _provider(name: str, **changes: object) -> aws.Provider:
    pinned: dict[str, object] = {
        "region": "eu-west-1",
        "allowed_account_ids": [ACCOUNT],
        "default_tags": {"tags": TAGS},
    }
    return _made(aws.Provider, name, **{**pinned, **changes})


def _topic_by(**changes: object) -> Program:
    return lambda: aws.sns.Topic("t", opts=pulumi.ResourceOptions(provider=_provider("other", **changes)))


def _tagged(**changes: object) -> Program:
    """A second provider whose default tags differ; ``None`` leaves a tag out."""
    tags = {key: value for key, value in {**TAGS, **changes}.items() if value is not None}
    return _topic_by(default_tags={"tags": tags})


def _policy(statement: dict[str, Any], name: str = "policy") -> aws.iam.Policy:
    return aws.iam.Policy(name, policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _about(resource: str) -> Program:
    return lambda: _policy({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": [resource]})


def _user_data(script: str, *, encoded: bool = False) -> Program:
    text = base64.b64encode(script.encode()).decode() if encoded else script
    return _one(aws.ec2.LaunchTemplate, user_data=text)


def _function(region: str) -> Program:
    return _one(
        aws.lambda_.Function,
        role=f"arn:aws:iam::{ACCOUNT}:role/r",
        environment={"variables": {"AWS_REGION": region}},
    )


def _unknown_region() -> None:
    aws.sns.Topic("t", region=aws.kms.Key("k").key_id)


# --- global services


def _east() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=_provider("edge", region="us-east-1"))


def _web_acl(scope: str) -> None:
    visibility: Any = {
        "cloudwatch_metrics_enabled": True,
        "metric_name": "m",
        "sampled_requests_enabled": True,
    }
    aws.wafv2.WebAcl(
        "acl", scope=scope, default_action={"allow": {}}, visibility_config=visibility, opts=_east()
    )
    if scope == "CLOUDFRONT":
        _about(f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/acl/1")()


def _certificate(*, used: bool) -> None:
    options = _east()
    certificate = aws.acm.Certificate("c", domain_name="example.org", opts=options)
    validation = aws.acm.CertificateValidation("v", certificate_arn=certificate.arn, opts=options)
    if used:
        _made(
            aws.cloudfront.Distribution,
            "d",
            enabled=True,
            default_cache_behavior={
                "allowed_methods": ["GET"],
                "cached_methods": ["GET"],
                "target_origin_id": "o",
                "viewer_protocol_policy": "https-only",
            },
            origins=[{"domain_name": "b.s3.eu-central-1.amazonaws.com", "origin_id": "o"}],
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={"acm_certificate_arn": validation.certificate_arn},
        )


def _edge_provider_for(make: Callable[[pulumi.ResourceOptions], object]) -> Program:
    return lambda: make(_east())


# --- default providers


def _by_default_provider() -> None:
    aws.sns.Topic("t", opts=pulumi.ResourceOptions(provider=_provider("default_7_0_0")))


def _config_map(provider: kubernetes.Provider | None) -> None:
    kubernetes.core.v1.ConfigMap("m", data={}, opts=pulumi.ResourceOptions(provider=provider))


def _cluster(**arguments: object) -> Program:
    return lambda: _config_map(_made(kubernetes.Provider, "cluster", **arguments))


# --- destinations


def _copied_to(vault: str) -> Program:
    return _one(
        aws.backup.Plan,
        rules=[
            {
                "rule_name": "daily",
                "target_vault_name": "v",
                "copy_actions": [{"destination_vault_arn": vault}],
            }
        ],
    )


def _replicated(region: str, *, by_arn: bool = True) -> None:
    copy = aws.s3.Bucket("copy", region=region)
    aws.s3.BucketReplicationConfig(
        "r",
        bucket="named",
        role=f"arn:aws:iam::{ACCOUNT}:role/r",
        rules=[{"status": "Enabled", "destination": {"bucket": copy.arn if by_arn else "arn:aws:s3:::away"}}],
    )


def _logged(region: str | None, make: Callable[[aws.s3.Bucket], object]) -> Program:
    """A program that delivers into a bucket of ours in ``region``."""
    return lambda: make(_made(aws.s3.Bucket, "logs", bucket="logs-of-ours", region=region))


def _trail(bucket: aws.s3.Bucket) -> None:
    aws.cloudtrail.Trail("t", s3_bucket_name=bucket.id)


def _flow_log(bucket: aws.s3.Bucket) -> None:
    aws.ec2.FlowLog(
        "f",
        vpc_id="vpc-1",
        log_destination=bucket.arn.apply(lambda a: f"{a}/flow"),
        log_destination_type="s3",
    )


def _athena(bucket: aws.s3.Bucket) -> None:
    location = bucket.bucket.apply(lambda name: f"s3://{name}/results")
    aws.athena.Workgroup("w", configuration={"result_configuration": {"output_location": location}})


def _inline_replication(bucket: aws.s3.Bucket) -> None:
    rule: Any = {"status": "Enabled", "destination": {"bucket": bucket.arn}}
    aws.s3.Bucket(
        "data", replication_configuration={"role": f"arn:aws:iam::{ACCOUNT}:role/r", "rules": [rule]}
    )


# --- services


def _lightsail(**tags: str) -> None:
    aws.lightsail.Instance(
        "i", availability_zone="eu-central-1a", blueprint_id="b", bundle_id="b", tags={**tags}
    )


# --- boundaries

_GLOBAL = ["iam:*", "organizations:*", "route53:*", "cloudfront:*", "sts:*", "support:*", "kms:*"]


def _denial(**changes: Any) -> dict[str, Any]:
    denial = {
        "Effect": "Deny",
        "NotAction": _GLOBAL,
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}},
        **changes,
    }
    return {key: value for key, value in denial.items() if value is not None}


def _role(boundary: pulumi.Input[str] | None = None) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "x"}}]}
    aws.iam.Role("role", assume_role_policy=json.dumps(trust), permissions_boundary=boundary)


def _bounded(**changes: Any) -> Program:
    return lambda: _role(_policy(_denial(**changes), "boundary").arn)


def _under_scp(**changes: Any) -> None:
    content = json.dumps({"Version": "2012-10-17", "Statement": _denial(**changes)})
    aws.organizations.Policy("scp", content=content)
    _role()


CASES = [
    # Regions: of providers, of resources, of replicas, unknown, undeclared.
    Case(
        control="RES-01",
        compliant=_topic_by(),
        violating=_topic_by(region="us-west-2"),
        mentions="region: is a region outside",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.sns.Topic, region="eu-north-1"),
        violating=_one(aws.sns.Topic, region="eu-west-2"),
        mentions="region: is a region outside",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.sns.Topic),
        violating=_one(aws.sns.Topic, region="us-iso-east-1"),
        mentions="region: is a region outside",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.secretsmanager.Secret, replicas=[{"region": "eu-west-1"}]),
        violating=_one(aws.secretsmanager.Secret, replicas=[{"region": "ap-south-1"}]),
        mentions="replicas[0].region",
    ),
    Case(
        control="RES-01",
        compliant=_topic_by(),
        violating=_tagged(jurisdiction="us"),
        mentions="declares no jurisdiction",
    ),
    # Zones, ARNs, endpoints, settings: in plain properties, documents, scripts.
    Case(
        control="RES-01",
        compliant=_one(aws.ec2.Subnet, vpc_id="v", availability_zone="eu-central-1a"),
        violating=_one(aws.ec2.Subnet, vpc_id="v", availability_zone="us-east-1a"),
        mentions="availabilityZone: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.ec2.Subnet, vpc_id="v", availability_zone_id="euc1-az1"),
        violating=_one(aws.ec2.Subnet, vpc_id="v", availability_zone_id="use1-az1"),
        mentions="availabilityZoneId: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.sns.Topic, kms_master_key_id=HOME),
        violating=_one(aws.sns.Topic, kms_master_key_id=AWAY),
        mentions="kmsMasterKeyId: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_about(HOME),
        violating=_about(AWAY),
        mentions="policy.Statement[0].Resource[0]: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_about(f"arn:aws:kms:*:{ACCOUNT}:key/*"),
        violating=_about(f"arn:aws:kms:us-*:{ACCOUNT}:key/*"),
        mentions="names a place",
    ),
    Case(
        control="RES-01",
        compliant=_about("arn:aws:iam::aws:policy/SecurityAudit"),
        violating=_about(f"arn:aws:kms:eu-central-2:{ACCOUNT}:key/*"),
        mentions="names a place",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.ec2.VpcEndpoint, vpc_id="v", service_name="com.amazonaws.eu-central-1.s3"),
        violating=_one(aws.ec2.VpcEndpoint, vpc_id="v", service_name="com.amazonaws.us-east-1.s3"),
        mentions="serviceName: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_function("eu-central-1"),
        violating=_function("us-east-1"),
        mentions="AWS_REGION: is a region outside",
    ),
    Case(
        control="RES-01",
        compliant=_user_data("aws s3 ls --region eu-central-1"),
        violating=_user_data("aws s3 ls --region us-east-1"),
        mentions="userData: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_user_data("curl https://sqs.eu-central-1.amazonaws.com", encoded=True),
        violating=_user_data("curl https://sqs.us-east-1.amazonaws.com", encoded=True),
        mentions="userData: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_one(aws.sns.Topic, display_name="us-east-1-is-forbidden", tags={"not": "us-east-1"}),
        violating=_one(aws.sns.Topic, policy=json.dumps({"a": [{"b": "s3-us-west-2.amazonaws.com"}]})),
        mentions="policy.a[0].b: names a place",
    ),
    Case(
        control="RES-01",
        compliant=_bounded(),
        violating=_unknown_region,
        mentions="region: ",
    ),
    # us-east-1 where a global service takes nothing else.
    Case(
        control="RES-01",
        compliant=lambda: _web_acl("CLOUDFRONT"),
        violating=lambda: _web_acl("REGIONAL"),
        mentions="region: is a region outside",
    ),
    Case(
        control="RES-01",
        compliant=lambda: _certificate(used=True),
        violating=lambda: _certificate(used=False),
        mentions="names a place",
    ),
    Case(
        control="RES-01",
        compliant=_edge_provider_for(lambda opts: aws.iam.Role("r", assume_role_policy="{}", opts=opts)),
        violating=_edge_provider_for(lambda opts: aws.sqs.Queue("q", opts=opts)),
        mentions="region: is a region outside",
    ),
    # Providers.
    Case(
        control="RES-02",
        compliant=_topic_by(),
        violating=_topic_by(region=None),
        mentions="region: is missing",
    ),
    Case(
        control="RES-02",
        compliant=_topic_by(),
        violating=_topic_by(allowed_account_ids=None),
        mentions="allowedAccountIds",
    ),
    Case(
        control="RES-02",
        compliant=_topic_by(),
        violating=_topic_by(allowed_account_ids=[]),
        mentions="allowedAccountIds",
    ),
    Case(
        control="RES-02",
        compliant=_topic_by(),
        violating=_by_default_provider,
        mentions="default provider",
    ),
    Case(
        control="RES-02",
        compliant=_cluster(kubeconfig="{}"),
        violating=lambda: _config_map(None),
        mentions="default provider",
    ),
    Case(
        control="RES-02",
        compliant=_cluster(render_yaml_to_directory="out"),
        violating=_cluster(namespace="n"),
        mentions="kubeconfig: is missing",
    ),
    # Copies and logs.
    Case(
        control="RES-03",
        compliant=_copied_to(f"arn:aws:backup:eu-west-1:{ACCOUNT}:backup-vault:v"),
        violating=_copied_to(f"arn:aws:backup:us-east-1:{ACCOUNT}:backup-vault:v"),
        mentions="rules[0].copyActions[0].destinationVaultArn: is outside",
    ),
    Case(
        control="RES-03",
        compliant=lambda: _replicated("eu-west-1"),
        violating=lambda: _replicated("us-east-1"),
        mentions="is outside",
    ),
    Case(
        control="RES-03",
        compliant=lambda: _replicated("eu-west-1"),
        violating=lambda: _replicated("eu-west-1", by_arn=False),
        mentions="in no region that this stack shows",
    ),
    *(
        Case(
            control="RES-03",
            compliant=_logged("eu-west-1", deliver),
            violating=_logged("us-east-2", deliver),
            mentions="is outside",
        )
        for deliver in (_trail, _flow_log, _athena, _inline_replication)
    ),
    Case(
        control="RES-03",
        compliant=_logged(None, lambda _: aws.cfg.DeliveryChannel("c", s3_bucket_name="logs-of-ours")),
        violating=_logged(None, lambda _: aws.cfg.DeliveryChannel("c", s3_bucket_name="logs-of-theirs")),
        mentions="in no region that this stack shows",
    ),
    Case(
        control="RES-03",
        compliant=_one(aws.redshift.SnapshotCopy, cluster_identifier="c", destination_region="eu-west-1"),
        violating=_one(aws.redshift.SnapshotCopy, cluster_identifier="c", destination_region="us-east-1"),
        mentions="destinationRegion: is outside",
    ),
    # Tags.
    *(
        Case(
            control="RES-04",
            compliant=_tagged(),
            violating=_tagged(**{tag: None}),
            mentions=f"defaultTags.tags.{tag}: is missing",
        )
        for tag in TAGS
    ),
    Case(
        control="RES-04",
        compliant=_tagged(),
        violating=_topic_by(default_tags=None),
        mentions="owner: is missing",
    ),
    Case(
        control="RES-04",
        compliant=_tagged(),
        violating=_tagged(profile="hipaa"),
        mentions="disagree about profile",
    ),
    # Services.
    Case(
        control="RES-05",
        compliant=_one(aws.sns.Topic),
        violating=_lightsail,
        mentions="list of eligible",
        tags=HIPAA,
    ),
    Case(
        control="RES-05",
        compliant=lambda: _lightsail(**{"data-classification": "public"}),
        violating=lambda: _lightsail(**{"data-classification": "confidential"}),
        mentions="list of eligible",
        tags={"profile": "pci", "data-classification": "internal"},
    ),
    Case(
        control="RES-05",
        compliant=_one(aws.kms.Key),
        violating=_lightsail,
        mentions="list of eligible",
        tags={"profile": "unheard-of"},
    ),
    # Boundaries.
    Case(control="RES-06", compliant=_bounded(), violating=_role, mentions="does not deny"),
    Case(
        control="RES-06",
        compliant=_bounded(NotAction=None, Action="*"),
        violating=_bounded(NotAction=["iam:*", "s3:*"]),
        mentions="does not deny",
    ),
    Case(
        control="RES-06",
        compliant=_bounded(Condition={"StringNotEqualsIfExists": {"aws:RequestedRegion": "eu-central-1"}}),
        violating=_bounded(Condition={"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}),
        mentions="does not deny",
    ),
    Case(
        control="RES-06",
        compliant=_bounded(),
        violating=_bounded(Condition={"StringNotLike": {"aws:RequestedRegion": "eu-*"}}),
        mentions="does not deny",
    ),
    Case(
        control="RES-06",
        compliant=_bounded(),
        violating=_bounded(
            Condition={
                "StringNotEquals": {"aws:RequestedRegion": "eu-central-1", "aws:PrincipalTag/free": "yes"}
            }
        ),
        mentions="does not deny",
    ),
    Case(
        control="RES-06",
        compliant=_bounded(),
        violating=_bounded(Resource="arn:aws:s3:::one"),
        mentions="does not deny",
    ),
    Case(
        control="RES-06",
        compliant=_under_scp,
        violating=lambda: _under_scp(Effect="Allow"),
        mentions="does not deny",
    ),
]
