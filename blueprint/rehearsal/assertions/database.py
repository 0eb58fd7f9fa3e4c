"""The database as it runs: what is on, what is refused, where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

database = Assertions("database")

INSTANCE = "aws:rds/instance:Instance"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"


def _databases(account: Account) -> list[Any]:
    return account.every("rds", "describe_db_instances", "DBInstances")


@database("It is encrypted by a key of ours", about=INSTANCE)
def encrypted(account: Account) -> Iterator[Seen]:
    ours = {key.attributes["arn"] for key in account.of("aws:kms/key:Key")}
    for each in _databases(account):
        yield each["DBInstanceIdentifier"], each["StorageEncrypted"] and each["KmsKeyId"] in ours


@database("It has no public address", about=INSTANCE)
def private(account: Account) -> Iterator[Seen]:
    for each in _databases(account):
        yield each["DBInstanceIdentifier"], not each["PubliclyAccessible"]


@database("It cannot be deleted by one call", about=INSTANCE)
def protected(account: Account) -> Iterator[Seen]:
    for each in _databases(account):
        yield each["DBInstanceIdentifier"], each["DeletionProtection"]


@database("It takes tokens of IAM", about=INSTANCE)
def takes_iam_tokens(account: Account) -> Iterator[Seen]:
    for each in _databases(account):
        yield each["DBInstanceIdentifier"], each["IAMDatabaseAuthenticationEnabled"]


@database("It keeps backups for a week or longer", about=INSTANCE)
def keeps_backups(account: Account) -> Iterator[Seen]:
    for each in _databases(account):
        yield each["DBInstanceIdentifier"], each["BackupRetentionPeriod"] >= 7


@database("Its master password is in Secrets Manager, and nowhere else", about=INSTANCE)
def password_is_managed(account: Account) -> Iterator[Seen]:
    for each in _databases(account):
        secret = each.get("MasterUserSecret", {})
        yield each["DBInstanceIdentifier"], bool(secret.get("SecretArn")) and bool(secret.get("KmsKeyId"))


@database("It exports its logs", about=INSTANCE)
def exports_logs(account: Account) -> Iterator[Seen]:
    for each in _databases(account):
        yield each["DBInstanceIdentifier"], "postgresql" in each.get("EnabledCloudwatchLogsExports", [])


@database("Its subnets have no way to the internet and stand in two zones", about=INSTANCE)
def stands_in_isolated_subnets(account: Account) -> Iterator[Seen]:
    tiers = {
        subnet["SubnetId"]: next((t["Value"] for t in subnet.get("Tags", []) if t["Key"] == "tier"), "")
        for subnet in account.every("ec2", "describe_subnets", "Subnets")
    }
    for each in _databases(account):
        subnets = each["DBSubnetGroup"]["Subnets"]
        zones = {subnet["SubnetAvailabilityZone"]["Name"] for subnet in subnets}
        isolated = all(tiers.get(subnet["SubnetIdentifier"]) == "isolated" for subnet in subnets)
        yield each["DBInstanceIdentifier"], isolated and len(zones) >= 2


@database("Its parameters force TLS and load pgaudit", about=PARAMETERS)
def parameters_force_tls(account: Account) -> Iterator[Seen]:
    for group in account.of(PARAMETERS):
        set_ = {
            each["ParameterName"]: each.get("ParameterValue")
            for each in account.every(
                "rds", "describe_db_parameters", "Parameters", DBParameterGroupName=group.attributes["name"]
            )
        }
        yield (
            group.name,
            set_.get("rds.force_ssl") == "1" and "pgaudit" in (set_.get("shared_preload_libraries") or ""),
        )


@database("Production has a standby in another zone", about=INSTANCE)
def production_has_a_standby(account: Account) -> Iterator[Seen]:
    for instance in account.of(INSTANCE):
        (each,) = (
            d for d in _databases(account) if d["DBInstanceIdentifier"] == instance.attributes["identifier"]
        )
        production = instance.attributes["tags_all"].get("environment") == "prod"
        yield each["DBInstanceIdentifier"], each["MultiAZ"] or not production
