"""Buckets: whatever is put into them, they stay private, versioned, encrypted and over TLS."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.graph import Graph
from components.documents import Statement
from components.storage import AccessLogBucket, ObjectLock, Replication, SecureBucket
from tests.components.evaluation import holds
from tests.components.support import ACCOUNT, BOUNDARY, built, key, named, one, statement, statements

LOCK = ObjectLock(mode="GOVERNANCE", days=90)
REPLICATION = Replication(
    destination_bucket_arn="arn:aws:s3:::there", destination_key_arn="arn:aws:kms:us-west-2:1:key/there"
)


def bucket(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "bucket_name": "smlp-test-data",
        "key_arn": key("data"),
        "data_domain": "data",
        "access_log_bucket": "smlp-test-logs",
        "noncurrent_days": 30,
        **changed,
    }
    return built(lambda opts, _: SecureBucket("b", **arguments, opts=opts))


def log_bucket(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "bucket_name": "smlp-test-logs",
        "account_id": ACCOUNT,
        "noncurrent_days": 30,
        "retention_days": 365,
        **changed,
    }
    return built(lambda opts, _: AccessLogBucket("l", **arguments, opts=opts))


@pytest.fixture(params=[bucket, log_bucket], ids=["secure", "access-log"], scope="module")
def graph(request: pytest.FixtureRequest) -> Graph:
    found: Graph = request.param()
    return found


def test_the_public_is_shut_out_four_times(graph: Graph) -> None:
    block = one(graph, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    assert [
        block[k]
        for k in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ] == [True] * 4


def test_acls_are_off_and_versions_on(graph: Graph) -> None:
    ownership = one(graph, "aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
    assert ownership["rule"]["objectOwnership"] == "BucketOwnerEnforced"
    assert (
        one(graph, "aws:s3/bucketVersioning:BucketVersioning").inputs["versioningConfiguration"]["status"]
        == "Enabled"
    )


def test_plain_http_and_old_tls_are_refused_to_everybody(graph: Graph) -> None:
    policy = one(graph, "aws:s3/bucketPolicy:BucketPolicy")
    for sid in ("RefusePlainHttp", "RefuseOldTls"):
        refusal = statement(policy, sid)
        assert (refusal["Effect"], refusal["Principal"], refusal["Action"]) == ("Deny", "*", ["s3:*"])
        assert len(refusal["Resource"]) == 2


def test_the_bucket_outlives_a_careless_destroy(graph: Graph) -> None:
    made = one(graph, "aws:s3/bucket:Bucket")
    assert made.protect
    assert made.inputs["forceDestroy"] is False


def test_unfinished_uploads_and_old_versions_go(graph: Graph) -> None:
    rules = one(graph, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").inputs["rules"]
    assert rules[0]["abortIncompleteMultipartUpload"]["daysAfterInitiation"] == 7
    assert rules[1]["noncurrentVersionExpiration"]["noncurrentDays"] == 30


def test_objects_are_encrypted_with_the_domains_key_and_no_other() -> None:
    graph = bucket()
    rule = one(
        graph, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).inputs["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": key("data"),
    }
    assert rule["bucketKeyEnabled"]


HEADER = "s3:x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        pytest.param({}, False, id="bucket-default"),
        pytest.param({HEADER: "aws:kms"}, False, id="bucket-default-by-name"),
        pytest.param(
            {HEADER: "aws:kms", f"{HEADER}-aws-kms-key-id": key("data")}, False, id="the-buckets-key"
        ),
        pytest.param({HEADER: "aws:kms", f"{HEADER}-aws-kms-key-id": key("evil")}, True, id="another-key"),
        pytest.param({HEADER: "AES256"}, True, id="keys-of-s3"),
        pytest.param({f"{HEADER}-customer-algorithm": "AES256"}, True, id="key-of-the-caller"),
    ],
)
def test_only_uploads_under_the_buckets_key_get_in(headers: dict[str, str], refused: bool) -> None:
    policy = statements(one(bucket(), "aws:s3/bucketPolicy:BucketPolicy"))
    uploads = [said for said in policy if said["Effect"] == "Deny" and said["Action"] == ["s3:PutObject"]]
    assert any(holds(said["Condition"], headers) for said in uploads) is refused


def test_the_digests_of_the_trail_get_in_under_s3s_own_key() -> None:
    """CloudTrail signs its log files in digests, and encrypts those with S3's key: refused, they would be missing."""
    policy = statements(one(bucket(), "aws:s3/bucketPolicy:BucketPolicy"))
    refused = [said for said in policy if said["Effect"] == "Deny" and said["Action"] == ["s3:PutObject"]]
    digest = {HEADER: "AES256", "aws:PrincipalServiceName": "cloudtrail.amazonaws.com"}
    assert not any(holds(said["Condition"], digest) for said in refused)
    digest["aws:PrincipalServiceName"] = "config.amazonaws.com"
    assert any(holds(said["Condition"], digest) for said in refused)


def test_access_is_recorded_elsewhere() -> None:
    logging = one(bucket(), "aws:s3/bucketLogging:BucketLogging").inputs
    assert logging["targetBucket"] == "smlp-test-logs"


def test_a_lock_is_asked_for_at_birth() -> None:
    graph = bucket(lock=LOCK)
    assert one(graph, "aws:s3/bucket:Bucket").inputs["objectLockEnabled"]
    configuration = one(graph, "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration").inputs
    assert configuration["rule"]["defaultRetention"] == {"mode": "GOVERNANCE", "days": 90}


def test_without_a_lock_there_is_none() -> None:
    assert bucket().of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration") == []


def test_replicas_carry_encrypted_objects_under_the_other_regions_key() -> None:
    graph = bucket(replication=REPLICATION, permissions_boundary_arn=BOUNDARY)
    rule = one(graph, "aws:s3/bucketReplicationConfig:BucketReplicationConfig").inputs["rules"][0]
    assert (
        rule["destination"]["encryptionConfiguration"]["replicaKmsKeyId"] == REPLICATION.destination_key_arn
    )
    assert rule["sourceSelectionCriteria"]["sseKmsEncryptedObjects"]["status"] == "Enabled"


def test_a_replica_is_versioned_before_anything_is_copied_there() -> None:
    def both(opts: pulumi.ResourceOptions, _: aws.Provider) -> None:
        common: dict[str, Any] = {
            "key_arn": key("data"),
            "access_log_bucket": "smlp-test-logs",
            "noncurrent_days": 30,
            "opts": opts,
        }
        there = SecureBucket("there", bucket_name="smlp-test-there", data_domain="backup", **common)
        SecureBucket(
            "here",
            bucket_name="smlp-test-here",
            data_domain="data",
            replication=Replication(destination_bucket_arn=there.arn, destination_key_arn=key("backup")),
            permissions_boundary_arn=BOUNDARY,
            **common,
        )

    graph = built(both)
    copying = one(graph, "aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    versioned = named(graph, "aws:s3/bucketVersioning:BucketVersioning", "there-versioning")
    assert versioned.urn in copying.dependencies
    assert copying.inputs["rules"][0]["destination"]["bucket"] == "arn:aws:s3:::smlp-test-there"


def test_without_replication_there_is_no_role() -> None:
    assert bucket().of("aws:iam/role:Role") == []


def test_the_replicating_role_can_do_nothing_else() -> None:
    graph = bucket(replication=REPLICATION, permissions_boundary_arn=BOUNDARY)
    role = one(graph, "aws:iam/role:Role")
    assert role.inputs["permissionsBoundary"] == BOUNDARY
    for granted in statements(one(graph, "aws:iam/rolePolicy:RolePolicy")):
        assert "*" not in granted["Resource"]
        assert not any(action.endswith(":*") for action in granted["Action"])


def test_only_log_delivery_of_this_account_writes_access_logs() -> None:
    delivery = statement(one(log_bucket(), "aws:s3/bucketPolicy:BucketPolicy"), "AccessLogsOfThisAccount")
    assert delivery["Principal"] == {"Service": ["logging.s3.amazonaws.com"]}
    assert delivery["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_access_logs_arrive_because_nothing_is_locked_or_under_a_key_there() -> None:
    graph = log_bucket()
    assert not one(graph, "aws:s3/bucket:Bucket").inputs["objectLockEnabled"]
    assert graph.of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration") == []
    encryption = one(
        graph, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    assert "kms" not in str(encryption.inputs["rules"])


def test_access_logs_go_when_their_time_is_over_and_not_before() -> None:
    graph = log_bucket()
    rules = one(graph, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").inputs["rules"]
    assert rules[2]["expiration"] == {"days": 365}
    refusal = statement(one(graph, "aws:s3/bucketPolicy:BucketPolicy"), "RefuseDeletion")
    assert (refusal["Effect"], refusal["Principal"]) == ("Deny", "*")
    assert set(refusal["Action"]) == {"s3:DeleteObject", "s3:DeleteObjectVersion"}
    assert "Condition" not in refusal


def test_what_is_stored_on_purpose_never_expires_while_it_is_current() -> None:
    rules = one(bucket(), "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").inputs["rules"]
    assert not any("expiration" in rule for rule in rules)


def test_what_may_go_goes_and_stays_as_long_as_its_lock() -> None:
    rules = one(
        bucket(expire_days=30), "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    ).inputs["rules"]
    assert rules[2]["expiration"] == {"days": 30}


@pytest.mark.parametrize(
    ("domain", "tagged"),
    [("data", True), ("models", True), ("logs", False), ("backup", False), ("reports", False)],
)
def test_what_cannot_be_made_again_is_in_the_backup_plan(domain: str, tagged: bool) -> None:
    tags = one(bucket(data_domain=domain), "aws:s3/bucket:Bucket").inputs["tags"]
    assert (tags.get("backup") == "daily") is tagged


def test_access_logs_stay_a_day_at_least() -> None:
    with pytest.raises(ValueError, match="retention_days"):
        log_bucket(retention_days=0)


def test_further_statements_come_after_the_refusals() -> None:
    extra = Statement(sid="Extra", actions=["s3:GetObject"], principals={"AWS": ["a"]}, resources=["b"])
    sids = [
        s["Sid"]
        for s in statements(one(bucket(extra_statements=[extra]), "aws:s3/bucketPolicy:BucketPolicy"))
    ]
    assert sids == [
        "RefusePlainHttp",
        "RefuseOldTls",
        "RefuseOtherKeys",
        "RefuseOtherEncryption",
        "RefuseKeysOfTheCaller",
        "Extra",
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"bucket_name": "Data_Bucket"}, "bucket_name"),
        ({"bucket_name": "x" * 64}, "bucket_name"),
        ({"bucket_name": "data/../logs"}, "bucket_name"),
        ({"noncurrent_days": 0}, "noncurrent_days"),
        ({"lock": ObjectLock(mode="GOVERNANCE", days=0)}, "lock.days"),
        ({"replication": REPLICATION}, "permissions_boundary_arn"),
        ({"expire_days": 0}, "expire_days"),
        ({"expire_days": 30, "lock": LOCK}, "expire_days"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        bucket(**changed)
