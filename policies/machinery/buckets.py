"""What buckets are to each other: which one is another's replica."""

from __future__ import annotations

from machinery.stack import Stack
from machinery.subject import Resource

BUCKET = "aws:s3/bucket:Bucket"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


def is_replica(bucket: Resource, stack: Stack) -> bool:
    """Say whether something replicates into a bucket, by a resource of its own or inline."""
    return bool(
        stack.referrers(bucket, "rules", REPLICATION)
        or stack.referrers(bucket, "replicationConfiguration", BUCKET)
    )
