"""The services' roles, as the account has them: who may sign, who may release, who signs in to the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

services = Assertions("services")

_IDENTITY = "aws:eks/cluster:Cluster"
_FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
_KEY = "aws:kms/key:Key"

_PODS = "pods.eks.amazonaws.com"


def _rights_of_pods(account: Account) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each role that pods take on, with the statements that allow it something."""
    iam = account.client("iam")
    for role in account.every("iam", "list_roles", "Roles"):
        if _PODS not in json.dumps(role["AssumeRolePolicyDocument"]):
            continue
        name = role["RoleName"]
        documents = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        yield (
            name,
            [each for found in documents for each in found["Statement"] if each["Effect"] == "Allow"],
        )


def _resources(statements: list[dict[str, Any]], action: str) -> list[str]:
    """Return what an action is allowed on; of a wildcard action too."""
    service = action.partition(":")[0]
    return [
        resource
        for each in statements
        if {action, f"{service}:*", "*"} & set(_listed(each.get("Action", ())))
        for resource in _listed(each.get("Resource", ()))
    ]


def _listed(said: Any) -> list[str]:
    return [said] if isinstance(said, str) else list(said)


@services("Whose pods train models, sign with no key that makes one serve", about=_IDENTITY)
def duties_are_separate(account: Account) -> Iterator[Seen]:
    found = dict(_rights_of_pods(account))
    releasing = {
        key
        for statements in found.values()
        if any("/candidates/" not in each for each in _resources(statements, "s3:PutObject"))
        for key in _resources(statements, "kms:Sign")
    }
    for name, statements in found.items():
        trains = any("/candidates/" in each for each in _resources(statements, "s3:PutObject"))
        keys = set(_resources(statements, "kms:Sign"))
        yield name, not trains or not (keys & releasing or any("*" in key for key in keys))


@services("Released models are written by a role that signs, and by no other", about=_IDENTITY)
def the_signer_releases(account: Account) -> Iterator[Seen]:
    for name, statements in _rights_of_pods(account):
        writes = _resources(statements, "s3:PutObject")
        trains = bool(writes) and all("/candidates/" in each for each in writes)
        released = any("/candidates/" not in each for each in writes)
        yield name, trains or released == bool(_resources(statements, "kms:Sign"))


@services("Pods of one role at most sign in to the database, as one user", about="aws:rds/instance:Instance")
def one_role_reads_the_database(account: Account) -> Iterator[Seen]:
    found = {name: _resources(statements, "rds-db:connect") for name, statements in _rights_of_pods(account)}
    readers = [where for where in found.values() if where]
    for name, where in found.items():
        yield name, not where or (len(readers) == len(where) == 1 and "*" not in where[0])


@services("What is counted in a log raises an alarm that somebody hears", about=_FILTER)
def counts_are_heard(account: Account) -> Iterator[Seen]:
    alarms = account.every("cloudwatch", "describe_alarms", "MetricAlarms")
    heard = {(each["Namespace"], each["MetricName"]) for each in alarms if each.get("AlarmActions")}
    for found in account.every("logs", "describe_metric_filters", "metricFilters"):
        for metric in found["metricTransformations"]:
            yield found["filterName"], (metric["metricNamespace"], metric["metricName"]) in heard


@services("A key that signs lets no account delegate signing", about=_KEY)
def signing_is_not_delegated(account: Account) -> Iterator[Seen]:
    kms = account.client("kms")
    for listed in account.every("kms", "list_keys", "Keys"):
        key = kms.describe_key(KeyId=listed["KeyId"])["KeyMetadata"]
        if key["KeyManager"] != "CUSTOMER" or key["KeyUsage"] != "SIGN_VERIFY":
            continue
        document = json.loads(kms.get_key_policy(KeyId=listed["KeyId"], PolicyName="default")["Policy"])
        yield (
            key["Arn"],
            not any(
                each["Effect"] == "Allow"
                and {"kms:Sign", "kms:*"} & set(_listed(each["Action"]))
                and not each.get("Condition")
                for each in document["Statement"]
            ),
        )
