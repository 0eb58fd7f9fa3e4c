"""Letting go of what AWS itself guards, as a person would: by name, and only then.

Before a protection is lifted it is tried: a deletion that is not refused is a failure of the rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from blueprint.rehearsal.account import Account, Applied
from blueprint.rehearsal.terraform import PhaseFailed

Release = Callable[[Account, Applied], str]
"""Tries the protection, lifts it, and says what stays behind (nothing: an empty text)."""


def release(account: Account) -> Iterator[tuple[str, str]]:
    """Lift the protection of everything that AWS itself guards, and yield its name and what stays behind."""
    for bucket in account.of(_BUCKET):
        # Whoever asks a bucket anything is logged: a bucket of logs is never empty while others log to it.
        _s3(account, bucket).put_bucket_logging(Bucket=bucket.attributes["bucket"], BucketLoggingStatus={})
    for resource in account.applied:
        if resource.type in _RELEASES:
            yield resource.name, _RELEASES[resource.type](account, resource)


def _refused(delete: Callable[..., Any], resource: Applied, **arguments: Any) -> None:
    from botocore.exceptions import ClientError

    try:
        delete(**arguments)
    except ClientError:
        return
    raise PhaseFailed(
        f"destroy: {resource.name} ({resource.type}): was deleted at once, though its protection is on"
    )


def _database(account: Account, resource: Applied) -> str:
    """Delete a database with its last snapshot. The provider would wait for a minute and a half here."""
    rds = account.client("rds")
    identifier = resource.attributes["identifier"]
    snapshot = resource.attributes["final_snapshot_identifier"]
    _refused(rds.delete_db_instance, resource, DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
    rds.modify_db_instance(DBInstanceIdentifier=identifier, DeletionProtection=False, ApplyImmediately=True)
    rds.delete_db_instance(DBInstanceIdentifier=identifier, FinalDBSnapshotIdentifier=snapshot)
    return f"its last snapshot {snapshot}"


def _bucket(account: Account, resource: Applied) -> str:
    """Empty a bucket. One that holds something must not go before, nor what a bucket of logs holds."""
    s3 = _s3(account, resource)
    name = resource.attributes["bucket"]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name)
    held = [each for page in pages for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, [])]
    versions = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in held]
    if versions:
        _refused(s3.delete_bucket, resource, Bucket=name)
        _refused(s3.delete_object, resource, Bucket=name, **versions[0])
        s3.delete_bucket_policy(Bucket=name)
    for version in versions:
        s3.delete_object(Bucket=name, **version)
    return ""


def _load_balancer(account: Account, resource: Applied) -> str:
    elb = account.client("elbv2")
    _refused(elb.delete_load_balancer, resource, LoadBalancerArn=resource.id)
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=resource.id, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
    )
    return ""


def _s3(account: Account, bucket: Applied) -> Any:
    region = account.client("s3").get_bucket_location(Bucket=bucket.attributes["bucket"])
    return account.client("s3", region["LocationConstraint"] or "us-east-1")


_BUCKET = "aws:s3/bucket:Bucket"

_RELEASES: Mapping[str, Release] = {
    _BUCKET: _bucket,
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:rds/instance:Instance": _database,
}
