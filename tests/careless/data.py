"""Careless databases, buckets and regions."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from tests.careless.mistakes import mistake


def _database(name: str, **changed: object) -> None:
    """Make a database that is right but for what is changed."""
    arguments: dict[str, object] = {
        "engine": "postgres",
        "engine_version": "17",
        "instance_class": "db.m7g.large",
        "allocated_storage": 100,
        "username": "platform",
        "manage_master_user_password": True,
        "storage_encrypted": True,
        "kms_key_id": "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000",
        "publicly_accessible": False,
        "iam_database_authentication_enabled": True,
        "deletion_protection": True,
        "skip_final_snapshot": False,
        "final_snapshot_identifier": f"{name}-final",
        "backup_retention_period": 35,
        "multi_az": True,
        "auto_minor_version_upgrade": True,
        "copy_tags_to_snapshot": True,
        "monitoring_interval": 60,
        "performance_insights_enabled": True,
        "performance_insights_kms_key_id": "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000",
        "enabled_cloudwatch_logs_exports": ["postgresql", "upgrade"],
        **changed,
    }
    aws.rds.Instance(name, **{k: v for k, v in arguments.items() if v is not None})  # type: ignore[call-overload]


@mistake("DAT-01")
def database_in_clear(name: str) -> None:
    _database(name, storage_encrypted=False)


@mistake("DAT-02")
def database_on_the_internet(name: str) -> None:
    _database(name, publicly_accessible=True)


@mistake("DAT-04")
def parameter_group_that_takes_plain_connections(name: str) -> None:
    group = aws.rds.ParameterGroup(
        name, family="postgres17", parameters=[{"name": "rds.force_ssl", "value": "0"}]
    )
    _database(f"{name}-user", parameter_group_name=group.name)


@mistake("DAT-05")
def database_with_passwords_only(name: str) -> None:
    _database(name, iam_database_authentication_enabled=False)


@mistake("DAT-06")
def database_password_in_the_program(name: str) -> None:
    _database(name, manage_master_user_password=None, password="correct-horse-battery")


@mistake("DAT-07")
def database_that_anybody_deletes(name: str) -> None:
    _database(name, deletion_protection=False)


@mistake("DAT-07")
def database_without_a_last_snapshot(name: str) -> None:
    _database(name, skip_final_snapshot=True, final_snapshot_identifier=None)


@mistake("DAT-08")
def database_with_a_day_of_backups(name: str) -> None:
    _database(name, backup_retention_period=1)


@mistake("DAT-09")
def database_in_one_zone(name: str) -> None:
    _database(name, multi_az=False)


@mistake("DAT-10")
def database_that_keeps_its_logs_to_itself(name: str) -> None:
    _database(name, enabled_cloudwatch_logs_exports=None)


@mistake("DAT-11")
def database_without_minor_upgrades(name: str) -> None:
    _database(name, auto_minor_version_upgrade=False)


@mistake("DAT-12")
def snapshot_shared_with_everybody(name: str) -> None:
    aws.rds.Snapshot(
        name, db_instance_identifier="orders", db_snapshot_identifier="orders-1", shared_accounts=["all"]
    )


@mistake("DAT-13")
def secret_that_never_changes(name: str) -> None:
    aws.secretsmanager.Secret(name, recovery_window_in_days=0)


@mistake("STO-01")
def bucket_without_a_public_block(name: str) -> None:
    aws.s3.Bucket(name)


@mistake("STO-01", on="bucket-with-three-switches-of-four-block")
def bucket_with_three_switches_of_four(name: str) -> None:
    bucket = aws.s3.Bucket(name)
    aws.s3.BucketPublicAccessBlock(
        f"{name}-block",
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=False,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )


@mistake("STO-02")
def bucket_policy_for_everybody(name: str) -> None:
    aws.s3.BucketPolicy(
        name,
        bucket="training-data",
        policy=json.dumps(
            {
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": ["*"]},
                    "Action": "s3:GetObject",
                    "Resource": "arn:aws:s3:::training-data/*",
                }
            }
        ),
    )


@mistake("STO-02")
def public_acl(name: str) -> None:
    aws.s3.BucketAcl(name, bucket="training-data", acl="public-read")


@mistake("STO-03")
def bucket_over_plain_http(name: str) -> None:
    aws.s3.Bucket(name)


@mistake("STO-04", on="bucket-with-suspended-versions-versions")
def bucket_with_suspended_versions(name: str) -> None:
    bucket = aws.s3.Bucket(name)
    aws.s3.BucketVersioning(
        f"{name}-versions", bucket=bucket.id, versioning_configuration={"status": "Suspended"}
    )


@mistake("STO-05", on="bucket-with-amazons-key-encryption")
def bucket_with_amazons_key(name: str) -> None:
    bucket = aws.s3.Bucket(name)
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=bucket.id,
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
    )


@mistake("STO-06")
def bucket_that_logs_no_access(name: str) -> None:
    aws.s3.Bucket(name)


@mistake("STO-07")
def log_bucket_without_a_lock(name: str) -> None:
    aws.s3.Bucket(name, tags={"data-domain": "logs"})


@mistake("STO-08")
def bucket_that_only_grows(name: str) -> None:
    aws.s3.Bucket(name)


@mistake("STO-09")
def data_bucket_in_one_region(name: str) -> None:
    aws.s3.Bucket(name, tags={"data-domain": "data"})


@mistake("STO-10")
def bucket_with_acls(name: str) -> None:
    aws.s3.BucketOwnershipControls(name, bucket="training-data", rule={"object_ownership": "ObjectWriter"})


@mistake("STO-11", on="")
def account_without_a_public_block(name: str) -> None:
    """Nothing is made: that is the mistake."""


@mistake("STO-12")
def bucket_that_goes_with_its_contents(name: str) -> None:
    aws.s3.Bucket(name, force_destroy=True)


@mistake("RES-01")
def bucket_in_another_country(name: str) -> None:
    aws.s3.Bucket(name, region="us-east-1")


@mistake("RES-01")
def provider_in_another_country(name: str) -> None:
    aws.Provider(name, region="ap-southeast-1", allowed_account_ids=["111122223333"])


@mistake("RES-02")
def provider_for_any_account(name: str) -> None:
    aws.Provider(name, region="eu-central-1")


@mistake("RES-02")
def orphan_without_a_provider(name: str) -> None:
    pulumi.CustomResource("aws:sns/topic:Topic", name, {"kmsMasterKeyId": "alias/platform"})


@mistake("RES-04")
def provider_without_tags(name: str) -> None:
    aws.Provider(name, region="eu-central-1", allowed_account_ids=["111122223333"])


@mistake("DAT-15")
def table_that_cannot_be_put_back(name: str) -> None:
    aws.dynamodb.Table(name, hash_key="id", attributes=[{"name": "id", "type": "S"}])
