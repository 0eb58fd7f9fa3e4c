"""Cases of the family STO."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, Case, Program

REGULATED = {"profile": "pci"}
WORM = {"profile": "finance"}
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"

Made = TypeVar("Made")
Part = Callable[[aws.s3.Bucket], object]


def _made(make: Callable[..., Made], name: str, **arguments: object) -> Made:
    return make(name, **{key: value for key, value in arguments.items() if value is not None})


def _bucket(*parts: Part, domain: str | None = None, **arguments: object) -> Program:
    """Return a program of one bucket and these parts of it."""

    def program() -> None:
        tags = {"data-domain": domain} if domain else None
        bucket = _made(aws.s3.Bucket, "data", tags=tags, **arguments)
        for part in parts:
            part(bucket)

    return program


# --- parts


def _block(bucket: aws.s3.Bucket, **changes: object) -> None:
    switches = {
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    }
    _made(aws.s3.BucketPublicAccessBlock, "block", bucket=bucket.id, **{**switches, **changes})


def _account_block(**changes: object) -> None:
    switches = {
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    }
    _made(aws.s3.AccountPublicAccessBlock, "account", **{**switches, **changes})


def _document(bucket: aws.s3.Bucket, **changes: object) -> pulumi.Output[str]:
    """A policy of one statement, by default the one that refuses plain HTTP."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.arn, bucket.arn.apply(lambda arn: f"{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        **changes,
    }
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statement})


def _policy(**changes: object) -> Part:
    return lambda bucket: aws.s3.BucketPolicy("policy", bucket=bucket.id, policy=_document(bucket, **changes))


def _allowing(principal: object = "*", **changes: object) -> Part:
    allow = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Condition": {}}
    return _policy(**{**allow, **changes})


def _literal_policy(text: str) -> Program:
    return lambda: _made(aws.s3.BucketPolicy, "policy", bucket="named", policy=text)


def _versioning(status: str) -> Part:
    return lambda bucket: aws.s3.BucketVersioning(
        "versioning", bucket=bucket.id, versioning_configuration={"status": status}
    )


def _rule(**changes: object) -> Any:
    by_default = {"sse_algorithm": "aws:kms", "kms_master_key_id": KEY, **changes}
    bucket_key = by_default.pop("bucket_key", True)
    return {
        "apply_server_side_encryption_by_default": {k: v for k, v in by_default.items() if v is not None},
        "bucket_key_enabled": bucket_key,
    }


def _encryption(name: str = "encryption", **changes: object) -> Part:
    return lambda bucket: aws.s3.BucketServerSideEncryptionConfiguration(
        name, bucket=bucket.id, rules=[_rule(**changes)]
    )


SSE_S3: Any = {"sse_algorithm": "AES256", "kms_master_key_id": None}


def _own_key() -> None:
    _bucket(_encryption(kms_master_key_id=aws.kms.Key("key").arn))()


def _logged(*uses: Part, domain: str | None = "logs", **arguments: object) -> Program:
    """Return a program of a bucket with SSE-S3 that takes the access logs of another bucket."""

    def program() -> None:
        tags = {"data-domain": domain} if domain else None
        logs = _made(aws.s3.Bucket, "logs", tags=tags, **arguments)
        data = aws.s3.Bucket("data")
        _encryption("data", kms_master_key_id=KEY)(data)
        _encryption("logs", **SSE_S3)(logs)
        aws.s3.BucketLogging("logging", bucket=data.id, target_bucket=logs.id, target_prefix="data/")
        for use in uses:
            use(logs)

    return program


def _written_by(principal: dict[str, str]) -> Part:
    return _allowing(principal, Action="s3:PutObject")


LOG_DELIVERY = {"Service": "logging.s3.amazonaws.com"}
LOAD_BALANCER_LOGS = {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}


def _trail(bucket: aws.s3.Bucket) -> None:
    aws.cloudtrail.Trail("trail", s3_bucket_name=bucket.id)


def _load_balancer(bucket: aws.s3.Bucket) -> None:
    logs: Any = {"bucket": bucket.id, "enabled": True}
    aws.lb.LoadBalancer("lb", access_logs=logs, connection_logs=logs)


def _athena(location: str) -> Part:
    return lambda _: aws.athena.Workgroup(
        "w", configuration={"result_configuration": {"output_location": location}}
    )


def _table(location: str) -> Part:
    return lambda _: aws.glue.CatalogTable("t", database_name="d", storage_descriptor={"location": location})


def _flow_logs(bucket: aws.s3.Bucket) -> None:
    aws.ec2.FlowLog(
        "f",
        log_destination=bucket.arn.apply(lambda arn: f"{arn}/flow"),
        log_destination_type="s3",
        vpc_id="vpc-1",
    )


def _object(bucket: aws.s3.Bucket) -> None:
    aws.s3.BucketObjectv2("o", bucket=bucket.id, key="k", content="c")


def _replica_into(bucket: aws.s3.Bucket) -> None:
    aws.s3.BucketReplicationConfig(
        "into",
        bucket="elsewhere",
        role=f"arn:aws:iam::{ACCOUNT}:role/r",
        rules=[{"status": "Enabled", "destination": {"bucket": bucket.arn}}],
    )


def _granting(action: str) -> Part:
    """A role's policy on the bucket."""
    return lambda bucket: aws.iam.RolePolicy(
        "grant",
        role="auditor",
        policy=_document(bucket, Effect="Allow", Principal=None, Condition=None, Action=action),
    )


def _logging_to(encryption: Part | None, *, inline: bool = False) -> Program:
    def program() -> None:
        logs = aws.s3.Bucket("logs")
        if encryption:
            encryption(logs)
        if inline:
            aws.s3.Bucket("data", logging={"target_bucket": logs.id})
        else:
            data = aws.s3.Bucket("data")
            aws.s3.BucketLogging("logging", bucket=data.id, target_bucket=logs.id, target_prefix="data/")

    return program


def _lock(**retention: object) -> Part:
    rule = {"default_retention": retention} if retention else None
    return lambda bucket: _made(aws.s3.BucketObjectLockConfiguration, "lock", bucket=bucket.id, rule=rule)


GOVERNANCE: Any = {"mode": "GOVERNANCE", "days": 90}


def _lifecycle(**changes: object) -> Part:
    rule = {
        "id": "remains",
        "status": "Enabled",
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        "noncurrent_version_expiration": {"noncurrent_days": 90},
        **changes,
    }
    rules: Any = [{key: value for key, value in rule.items() if value is not None}]
    return lambda bucket: aws.s3.BucketLifecycleConfiguration("lifecycle", bucket=bucket.id, rules=rules)


def _inline_lifecycle(**changes: object) -> Program:
    rule = {
        "enabled": True,
        "abort_incomplete_multipart_upload_days": 7,
        "noncurrent_version_expiration": {"days": 90},
        **changes,
    }
    return _bucket(lifecycle_rules=[rule])


ENCRYPTED_TOO = {"sse_kms_encrypted_objects": {"status": "Enabled"}}


def _replicated(
    *, region: str | None = "eu-west-1", domain: str = "data", foreign: bool = False, **changes: object
) -> Program:
    def program() -> None:
        copy = aws.s3.Bucket("copy", region=region, tags={"data-domain": "data"})
        rule = {
            "status": "Enabled",
            "filter": {},
            "destination": {"bucket": "arn:aws:s3:::not-ours" if foreign else copy.arn},
            "source_selection_criteria": ENCRYPTED_TOO,
            **changes,
        }
        bucket = aws.s3.Bucket("data", tags={"data-domain": domain})
        _made(
            aws.s3.BucketReplicationConfig,
            "replication",
            bucket=bucket.id,
            role=f"arn:aws:iam::{ACCOUNT}:role/replication",
            rules=[{key: value for key, value in rule.items() if value is not None}],
        )

    return program


def _replicated_inline(region: str) -> None:
    copy = aws.s3.Bucket("copy", region=region)
    rule: Any = {
        "status": "Enabled",
        "destination": {"bucket": copy.arn},
        "source_selection_criteria": {"sse_kms_encrypted_objects": {"enabled": True}},
    }
    aws.s3.Bucket(
        "data",
        tags={"data-domain": "models"},
        replication_configuration={"role": f"arn:aws:iam::{ACCOUNT}:role/r", "rules": [rule]},
    )


def _acl(**arguments: object) -> Program:
    return lambda: _made(aws.s3.BucketAcl, "acl", bucket="named", **arguments)


def _grant(uri: str) -> dict[str, object]:
    owner = {"id": "0123456789abcdef"}
    return {"owner": owner, "grants": [{"permission": "READ", "grantee": {"type": "Group", "uri": uri}}]}


def _ownership(value: str) -> Part:
    return lambda bucket: aws.s3.BucketOwnershipControls(
        "ownership", bucket=bucket.id, rule={"object_ownership": value}
    )


def _with_account_block(**changes: object) -> None:
    aws.s3.Bucket("data")
    _account_block(**changes)


_READABLE: Any = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}

CASES = [
    # Public access blocks.
    Case(control="STO-01", compliant=_bucket(_block), violating=_bucket(), mentions="no public access block"),
    *(
        Case(
            control="STO-01",
            compliant=_bucket(_block),
            violating=_bucket(lambda bucket, switch=switch, value=value: _block(bucket, **{switch: value})),  # type: ignore[misc]
            mentions=mentions,
        )
        for switch, value, mentions in (
            ("block_public_acls", False, "blockPublicAcls"),
            ("block_public_policy", None, "blockPublicPolicy"),
            ("ignore_public_acls", False, "ignorePublicAcls"),
            ("restrict_public_buckets", None, "restrictPublicBuckets"),
        )
    ),
    Case(
        control="STO-01",
        compliant=lambda: None,
        violating=_bucket(lambda _: _account_block()),
        mentions="no public access block of its own",
    ),
    # Everyone, in policies: spelled in every way, with conditions that bind and that do not.
    Case(
        control="STO-02",
        compliant=_bucket(_allowing({"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"})),
        violating=_bucket(_allowing()),
        mentions="policy.Statement[0]: admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_policy()),
        violating=_bucket(_allowing({"AWS": ["*"]})),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_policy()),
        violating=_bucket(
            _policy(
                Effect="Allow",
                Principal=None,
                NotPrincipal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/bad"},
                Condition={},
            )
        ),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_allowing(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-abc"}})),
        violating=_bucket(_allowing(Condition={"StringLike": {"aws:PrincipalOrgID": "*"}})),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_allowing(Condition={"StringEquals": {"AWS:SOURCEVPCE": ["vpce-1"]}})),
        violating=_bucket(_allowing(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_allowing(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}})),
        violating=_bucket(
            _allowing(Condition={"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}})
        ),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_allowing(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
        violating=_bucket(_allowing(Condition={"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}})),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_allowing(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
        violating=_bucket(_allowing(Condition={"ForAllValues:StringEquals": {"aws:SourceAccount": ACCOUNT}})),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_allowing(Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}})),
        violating=_bucket(_allowing(Condition={"StringEquals": {"aws:RequestedRegion": "eu-central-1"}})),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_policy()),
        violating=_literal_policy(json.dumps(_READABLE)),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_policy()),
        violating=_literal_policy("{"),
        mentions="has a shape",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(),
        violating=_bucket(policy=json.dumps(_READABLE)),
        mentions="admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=lambda: aws.s3.AccessPoint("p", bucket="named"),
        violating=lambda: aws.s3.AccessPoint("p", bucket="named", policy=json.dumps(_READABLE)),
        mentions="admits everyone",
    ),
    # Everyone, in ACLs: canned, granted, inline, on objects, on the logs.
    Case(
        control="STO-02",
        compliant=_acl(acl="private"),
        violating=_acl(acl="public-read"),
        mentions="acl: admits",
    ),
    Case(
        control="STO-02",
        compliant=_acl(access_control_policy=_grant("http://acs.amazonaws.com/groups/s3/LogDelivery")),
        violating=_acl(access_control_policy=_grant(ALL_USERS)),
        mentions="grantee.uri: admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(acl="private"),
        violating=_bucket(acl="public-read-write"),
        mentions="acl: admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(),
        violating=_bucket(grants=[{"type": "Group", "permissions": ["READ"], "uri": ALL_USERS}]),
        mentions="grants[0].uri: admits everyone",
    ),
    Case(
        control="STO-02",
        compliant=_bucket(_object),
        violating=_bucket(
            lambda b: aws.s3.BucketObjectv2("o", bucket=b.id, key="k", acl="authenticated-read")
        ),
        mentions="acl: admits everyone",
    ),
    # Plain HTTP.
    Case(control="STO-03", compliant=_bucket(_policy()), violating=_bucket(), mentions="refuses plain HTTP"),
    Case(
        control="STO-03",
        compliant=_bucket(_policy(Principal={"AWS": "*"}, Action=["s3:*"], Resource="*")),
        violating=_bucket(_policy(Action="s3:GetObject")),
        mentions="refuses plain HTTP",
    ),
    Case(
        control="STO-03",
        compliant=_bucket(_policy(Condition={"Bool": {"AWS:SecureTransport": [False]}})),
        violating=_bucket(_policy(Condition={"Bool": {"aws:SecureTransport": "true"}})),
        mentions="refuses plain HTTP",
    ),
    Case(
        control="STO-03",
        compliant=_bucket(_policy()),
        violating=_bucket(
            _policy(
                Condition={
                    "Bool": {"aws:SecureTransport": "false"},
                    "StringEquals": {"aws:PrincipalAccount": ACCOUNT},
                }
            )
        ),
        mentions="refuses plain HTTP",
    ),
    Case(
        control="STO-03",
        compliant=_bucket(_policy()),
        violating=_bucket(_policy(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})),
        mentions="refuses plain HTTP",
    ),
    Case(
        control="STO-03",
        compliant=_bucket(_policy()),
        violating=_bucket(lambda b: _policy(Resource=b.arn)(b)),
        mentions="refuses plain HTTP",
    ),
    Case(
        control="STO-03",
        compliant=_bucket(_policy()),
        violating=_bucket(_policy(Resource=["arn:aws:s3:::another", "arn:aws:s3:::another/*"])),
        mentions="refuses plain HTTP",
    ),
    Case(
        control="STO-03",
        compliant=_bucket(
            bucket="named",
            policy=json.dumps(
                {
                    "Statement": {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": ["arn:aws:s3:::named", "arn:aws:s3:::named/*"],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                }
            ),
        ),
        violating=_bucket(_policy(Effect="Allow")),
        mentions="refuses plain HTTP",
    ),
    # Versions.
    Case(
        control="STO-04",
        compliant=_bucket(_versioning("Enabled")),
        violating=_bucket(),
        mentions="no versions",
    ),
    Case(
        control="STO-04",
        compliant=_bucket(_versioning("Enabled"), versioning={"enabled": False}),
        violating=_bucket(_versioning("Suspended")),
        mentions="is not Enabled",
    ),
    Case(
        control="STO-04",
        compliant=_bucket(versioning={"enabled": True}),
        violating=_bucket(versioning={"enabled": False}),
        mentions="no versions",
    ),
    Case(
        control="STO-04",
        compliant=_bucket(object_lock_enabled=True),
        violating=_bucket(object_lock_enabled=False),
        mentions="no versions",
    ),
    # Encryption.
    Case(control="STO-05", compliant=_bucket(_encryption()), violating=_bucket(), mentions="names no key"),
    Case(
        control="STO-05", compliant=_own_key, violating=_bucket(_encryption(**SSE_S3)), mentions="not aws:kms"
    ),
    Case(
        control="STO-05",
        compliant=_bucket(_encryption()),
        violating=_bucket(_encryption(kms_master_key_id=None)),
        mentions="names no key of ours",
    ),
    Case(
        control="STO-05",
        compliant=_bucket(_encryption(sse_algorithm="aws:kms:dsse", bucket_key=False)),
        violating=_bucket(_encryption(kms_master_key_id="alias/aws/s3")),
        mentions="AWS manages",
    ),
    Case(
        control="STO-05",
        compliant=_bucket(_encryption()),
        violating=_bucket(_encryption(bucket_key=False)),
        mentions="bucketKeyEnabled",
    ),
    Case(
        control="STO-05",
        compliant=_bucket(server_side_encryption_configuration={"rule": _rule()}),
        violating=_bucket(server_side_encryption_configuration={"rule": _rule(**SSE_S3)}),
        mentions="not aws:kms",
    ),
    # The one exception: a bucket of server access logs and nothing else.
    Case(
        control="STO-05",
        compliant=_logged(),
        violating=_logged(_trail),
        mentions="not aws:kms",
    ),
    Case(
        control="STO-05",
        compliant=_logged(_written_by(LOG_DELIVERY)),
        violating=_logged(_written_by({"AWS": f"arn:aws:iam::{ACCOUNT}:role/trainer"})),
        mentions="takes more than access logs",
    ),
    Case(
        control="STO-05",
        compliant=_logged(_load_balancer, _written_by(LOAD_BALANCER_LOGS)),
        violating=_logged(_load_balancer, _trail),
        mentions="not aws:kms",
    ),
    Case(
        control="STO-05",
        compliant=_logged(_granting("s3:GetObject")),
        violating=_logged(_written_by({"Service": "delivery.logs.amazonaws.com"})),
        mentions="takes more than access logs",
    ),
    Case(
        control="STO-05",
        compliant=_logged(domain=None),
        violating=_logged(domain="data"),
        mentions="not aws:kms",
    ),
    Case(
        control="STO-05",
        compliant=_logged(_granting("s3:Get*")),
        violating=_logged(_granting("s3:Put*")),
        mentions="takes more than access logs",
    ),
    Case(control="STO-05", compliant=_logged(), violating=_logged(_flow_logs), mentions="not aws:kms"),
    Case(control="STO-05", compliant=_logged(), violating=_logged(_object), mentions="not aws:kms"),
    Case(control="STO-05", compliant=_logged(), violating=_logged(_replica_into), mentions="not aws:kms"),
    Case(
        control="STO-05",
        compliant=_logged(_athena("s3://not-logs-of-ours/results"), bucket="logs-of-ours"),
        violating=_logged(_athena("s3://logs-of-ours/results"), bucket="logs-of-ours"),
        mentions="not aws:kms",
    ),
    Case(
        control="STO-05",
        compliant=_logged(_table("s3://logs-of-ours/alb"), bucket="logs-of-ours"),
        violating=_logged(
            _table("s3://logs-of-ours/alb"), _athena("s3://logs-of-ours/results"), bucket="logs-of-ours"
        ),
        mentions="not aws:kms",
    ),
    # Access logging.
    Case(control="STO-06", compliant=_logging_to(None), violating=_bucket(), mentions="does not log"),
    Case(
        control="STO-06",
        compliant=_logging_to(_encryption(**SSE_S3)),
        violating=_logging_to(_encryption()),
        mentions="S3 delivers no logs",
    ),
    Case(
        control="STO-06",
        compliant=_logging_to(None, inline=True),
        violating=_logging_to(_encryption(), inline=True),
        mentions="S3 delivers no logs",
    ),
    Case(control="STO-06", compliant=_logged(), violating=_logged(_trail), mentions="does not log"),
    # Object lock.
    Case(
        control="STO-07",
        compliant=_bucket(_lock(**GOVERNANCE), domain="logs"),
        violating=_bucket(domain="logs"),
        mentions="is not locked",
    ),
    Case(
        control="STO-07",
        compliant=_bucket(_lock(**GOVERNANCE), domain="logs"),
        violating=_bucket(_lock(mode="GOVERNANCE", days=89), domain="logs"),
        mentions="less than 90 days",
    ),
    Case(
        control="STO-07",
        compliant=_bucket(_lock(mode="COMPLIANCE", years=7), domain="logs"),
        violating=_bucket(_lock(mode="GOVERNANCE", years=7), domain="logs"),
        mentions="is not COMPLIANCE",
        tags=WORM,
    ),
    Case(
        control="STO-07",
        compliant=_bucket(_lock(mode="COMPLIANCE", days=2192), domain="logs"),
        violating=_bucket(_lock(mode="COMPLIANCE", years=6), domain="logs"),
        mentions="less than 2192 days",
        tags=WORM,
    ),
    Case(
        control="STO-07",
        compliant=_bucket(_lock(mode="GOVERNANCE", days=1), domain="models"),
        violating=_bucket(_lock(), domain="models"),
        mentions="defaultRetention",
    ),
    Case(
        control="STO-07",
        compliant=_bucket(
            object_lock_configuration={
                "object_lock_enabled": "Enabled",
                "rule": {"default_retention": GOVERNANCE},
            },
            domain="backup",
        ),
        violating=_bucket(object_lock_configuration={"object_lock_enabled": "Enabled"}, domain="backup"),
        mentions="defaultRetention",
    ),
    Case(
        control="STO-07",
        compliant=_bucket(_trail, _lock(**GOVERNANCE)),
        violating=_bucket(_trail),
        mentions="is not locked",
    ),
    Case(control="STO-07", compliant=_logged(), violating=_logged(_trail), mentions="is not locked"),
    Case(
        control="STO-07",
        compliant=_bucket(domain="data"),
        violating=_bucket(domain="models"),
        mentions="locked",
    ),
    # Lifecycle.
    Case(
        control="STO-08", compliant=_bucket(_lifecycle()), violating=_bucket(), mentions="incomplete uploads"
    ),
    Case(
        control="STO-08",
        compliant=_bucket(_lifecycle(filter={})),
        violating=_bucket(_lifecycle(filter={"prefix": "some/"})),
        mentions="incomplete uploads",
    ),
    Case(
        control="STO-08",
        compliant=_bucket(_lifecycle(filter={"prefix": ""})),
        violating=_bucket(_lifecycle(filter={"object_size_greater_than": 1000000})),
        mentions="old versions",
    ),
    Case(
        control="STO-08",
        compliant=_bucket(_lifecycle()),
        violating=_bucket(_lifecycle(status="Disabled")),
        mentions="old versions",
    ),
    Case(
        control="STO-08",
        compliant=_bucket(_lifecycle()),
        violating=_bucket(_lifecycle(noncurrent_version_expiration=None)),
        mentions="old versions",
    ),
    Case(
        control="STO-08",
        compliant=_inline_lifecycle(),
        violating=_inline_lifecycle(prefix="some/"),
        mentions="old versions",
    ),
    # Replication.
    Case(
        control="STO-09",
        compliant=_replicated(),
        violating=_bucket(domain="data"),
        mentions="not replicated",
        tags=REGULATED,
    ),
    Case(
        control="STO-09",
        compliant=_replicated(),
        violating=_replicated(region=None),
        mentions="in another region",
        tags=REGULATED,
    ),
    Case(
        control="STO-09",
        compliant=_replicated(domain="models"),
        violating=_replicated(foreign=True),
        mentions="in another region",
        tags=REGULATED,
    ),
    Case(
        control="STO-09",
        compliant=_replicated(),
        violating=_replicated(source_selection_criteria=None),
        mentions="encrypted with KMS",
        tags=REGULATED,
    ),
    Case(
        control="STO-09",
        compliant=_replicated(),
        violating=_replicated(status="Disabled"),
        mentions="as a whole",
        tags=REGULATED,
    ),
    Case(
        control="STO-09",
        compliant=_replicated(),
        violating=_replicated(filter={"prefix": "some/"}),
        mentions="as a whole",
        tags=REGULATED,
    ),
    Case(
        control="STO-09",
        compliant=lambda: _replicated_inline("eu-west-1"),
        violating=lambda: _replicated_inline("eu-central-1"),
        mentions="in another region",
        tags=REGULATED,
    ),
    # ACLs.
    Case(
        control="STO-10",
        compliant=_bucket(_ownership("BucketOwnerEnforced")),
        violating=_bucket(_ownership("ObjectWriter")),
        mentions="ACLs decide",
    ),
    Case(control="STO-10", compliant=_bucket(), violating=_acl(acl="private"), mentions="is an ACL"),
    Case(control="STO-10", compliant=_bucket(), violating=_bucket(acl="private"), mentions="is an ACL"),
    # The account.
    Case(
        control="STO-11",
        compliant=_with_account_block,
        violating=_bucket(),
        mentions="no account-level block",
    ),
    Case(
        control="STO-11",
        compliant=lambda: None,
        violating=lambda: _with_account_block(restrict_public_buckets=False),
        mentions="restrictPublicBuckets",
    ),
    # Destruction.
    Case(
        control="STO-12",
        compliant=_bucket(force_destroy=False),
        violating=_bucket(force_destroy=True),
        mentions="forceDestroy",
        tags={"environment": "prod"},
    ),
    Case(
        control="STO-12",
        compliant=_bucket(),
        violating=lambda: _bucket(force_destroy=aws.s3.Bucket("other").object_lock_enabled)(),
        mentions="forceDestroy",
        tags={"environment": "staging"},
    ),
]
