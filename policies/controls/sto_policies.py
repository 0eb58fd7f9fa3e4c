"""STO: what the policy of a bucket refuses, beyond plain HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from controls.sto import LOCK
from machinery.buckets import BUCKET
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.documents import Statement, statements
from machinery.stack import Stack
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()

BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
WEBSITE = "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration"

_KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_ALGORITHM = "s3:x-amz-server-side-encryption"
_OF_THE_CALLER = "s3:x-amz-server-side-encryption-customer-algorithm"


def _refusals(bucket: Resource, stack: Stack, action: str) -> list[Statement]:
    """Return the statements that refuse an action to everybody."""
    return [
        statement
        for policy in stack.referrers(bucket, "bucket", BUCKET_POLICY)
        for statement in statements(policy, "policy")
        if not statement.allows and statement.everyone and _covers(statement, action)
    ]


def _covers(refusal: Statement, action: str) -> bool:
    return any(pattern in (action, "s3:*", "*") for pattern in refusal.actions)


def _on(refusals: Sequence[Statement], key: str, operator: str, *, beside: Sequence[str] = ()) -> bool:
    """Say whether one of the refusals is bound by ``operator`` on ``key``, and by nothing but keys ``beside`` it."""
    return any(
        any(c.key == key and c.operator.lower() == operator for c in refusal.conditions)
        and all(c.key in (key, *beside) for c in refusal.conditions)
        for refusal in refusals
    )


@catalogue.stack(
    "STO-13",
    "A bucket under a key of ours takes objects under that key alone",
    severity=HIGH,
    on=BUCKET,
    remedy="Deny s3:PutObject to everybody where the request names another key or algorithm, or brings a key of its own (SSE-C).",
    references=References(nist=["SC-12", "SC-28(1)"], hipaa=["164.312(a)(2)(iv)"], pci=["3.5.1"]),
)
def objects_are_under_the_buckets_key(bucket: Resource, stack: Stack) -> Outcomes:
    rules = [rule for each in stack.referrers(bucket, "bucket", ENCRYPTION) for rule in each.items("rules")]
    if not any(rule.has("applyServerSideEncryptionByDefault.kmsMasterKeyId") for rule in rules):
        return
    refusals = _refusals(bucket, stack, "s3:putobject")
    if not _on(refusals, _KEY_ID, "stringnotequals"):
        yield bucket.violation("", "takes objects under whatever key the caller names")
    if not _on(refusals, _ALGORITHM, "stringnotequals", beside=("aws:principalservicename",)):
        yield bucket.violation("", "takes objects encrypted some other way")
    if not _on(refusals, _OF_THE_CALLER, "null"):
        yield bucket.violation("", "takes objects under a key that the caller keeps and may withhold")


@catalogue.stack(
    "STO-14",
    "Buckets refuse TLS older than 1.2",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Deny everybody s3:* where s3:TlsVersion is less than 1.2.",
    references=References(nist=["SC-8", "SC-13"], pci=["4.2.1"]),
)
def buckets_refuse_old_tls(bucket: Resource, stack: Stack) -> Outcomes:
    if not _on(_refusals(bucket, stack, "s3:getobject"), "s3:tlsversion", "numericlessthan"):
        yield bucket.violation("", "speaks TLS 1.0")


@catalogue.stack(
    "STO-15",
    "Logs that no lock keeps are deleted by nobody",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Deny everybody s3:DeleteObject and s3:DeleteObjectVersion on the bucket of logs, or lock its objects.",
    references=References(nist=["AU-9", "AU-11"], pci=["10.3.2"]),
)
def logs_are_not_deleted(bucket: Resource, stack: Stack) -> Outcomes:
    if bucket.switch("tags.data-domain") != "logs" or stack.referrers(bucket, "bucket", LOCK):
        return
    for action in ("s3:deleteobject", "s3:deleteobjectversion"):
        if not any(not refusal.conditions for refusal in _refusals(bucket, stack, action)):
            yield bucket.violation("", f"lets somebody {action.partition(':')[2]}")


@catalogue.resource(
    "STO-16",
    "No bucket is a web site",
    severity=HIGH,
    on=WEBSITE,
    remedy="Serve pages through the edge, which has TLS, a web ACL and a log.",
    references=References(nist=["AC-3", "SC-8"]),
)
def no_bucket_is_a_site(site: Resource) -> Outcomes:
    yield site.violation("", "serves a bucket in plain HTTP to everybody")
