"""Where data is, what keeps it, and for how long: stores, copies, backups and the objectives of recovery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blueprint.audit_report.reading import Reader, items, mapping, text
from blueprint.graph import JsonObject, Resource


@dataclass(frozen=True, kw_only=True)
class Store:
    """One place that holds data."""

    name: str
    kind: str
    domain: str
    region: str
    key: str
    replica: str = ""
    """Store in another region that everything in it goes to."""
    replica_region: str = ""
    backed_up: bool = False
    kept: tuple[str, ...] = ()
    """What is said about how long, each in words."""
    protected: bool = False


@dataclass(frozen=True, kw_only=True)
class BackupRule:
    """One line of a backup plan; days and hours."""

    name: str
    schedule: str
    vault: str
    kept_days: str
    copies: tuple[str, ...]
    """ARNs of the vaults that every backup is copied to."""


@dataclass(frozen=True, kw_only=True)
class Vault:
    """One vault for backups."""

    name: str
    region: str
    key: str
    locked: str


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """Everything about data."""

    stores: tuple[Store, ...]
    rules: tuple[BackupRule, ...]
    vaults: tuple[Vault, ...]
    objectives: tuple[tuple[str, str], ...]
    logs: tuple[tuple[str, str, str], ...]
    """Log groups: name, region, days."""


def holdings(reader: Reader) -> Holdings:
    """Return what a graph says about data."""
    return Holdings(
        stores=tuple(sorted(_stores(reader), key=lambda each: (each.domain, each.region, each.name))),
        rules=tuple(_rules(reader)),
        vaults=tuple(_vaults(reader)),
        objectives=tuple(_objectives(reader)),
        logs=tuple(
            sorted(
                (
                    text(said.get("name")) or group.name,
                    reader.region(group),
                    _days(said.get("retentionInDays")),
                )
                for group, said in reader.of("aws:cloudwatch/logGroup:LogGroup")
            )
        ),
    )


def _days(value: Any) -> str:
    days = text(value)
    return f"{days} days" if days and days != "0" else "for ever"


def _stores(reader: Reader) -> Iterator[Store]:
    yield from _buckets(reader)
    for database, said in reader.of("aws:rds/instance:Instance"):
        standby = "standby in another zone" if said.get("multiAz") is True else "no standby"
        kept = text(said.get("backupRetentionPeriod"))
        yield Store(
            kind=f"{text(said.get('engine')) or 'database'} {text(said.get('engineVersion'))}".strip(),
            key=reader.key(said.get("kmsKeyId")) if said.get("storageEncrypted") is True else "",
            kept=(standby, f"its own snapshots {_days(kept)}" if kept else "no snapshots of its own"),
            **_common(reader, database),
        )
    for table, said in reader.of("aws:dynamodb/table:Table"):
        lasting = mapping(said.get("pointInTimeRecovery")).get("enabled") is True
        encrypted = mapping(said.get("serverSideEncryption"))
        yield Store(
            kind="DynamoDB table",
            key=reader.key(encrypted.get("kmsKeyArn")) or "AWS's own",
            kept=("any second of the last 35 days",) if lasting else (),
            **_common(reader, table),
        )


def _common(reader: Reader, resource: Resource) -> dict[str, Any]:
    tags = mapping(resource.inputs.get("tags"))
    return {
        "name": reader.name(resource),
        "domain": text(tags.get("data-domain")) or "platform",
        "region": reader.region(resource),
        "backed_up": any(text(tags.get(key)) == value for key, value in _selected(reader)),
        "protected": resource.protect,
    }


def _selected(reader: Reader) -> list[tuple[str, str]]:
    """Return the tags by which a plan chooses what it backs up."""
    return [
        (text(tag.get("key")), text(tag.get("value")))
        for _, said in reader.of("aws:backup/selection:Selection")
        for tag in map(mapping, items(said.get("selectionTags")))
    ]


def _buckets(reader: Reader) -> Iterator[Store]:
    encryption, replication, lifecycle, lock = (
        _by_bucket(reader, f"aws:s3/bucket{what}:Bucket{what}")
        for what in (
            "ServerSideEncryptionConfiguration",
            "ReplicationConfig",
            "LifecycleConfiguration",
            "ObjectLockConfiguration",
        )
    )
    buckets = {bucket.id: bucket for bucket, _ in reader.of("aws:s3/bucket:Bucket")}
    for name, bucket in buckets.items():
        replica = _replica(replication.get(name, {}))
        there = buckets.get(replica)
        yield Store(
            kind="S3 bucket",
            key=_bucket_key(reader, encryption.get(name, {})),
            replica=reader.name(there) if there else replica,
            replica_region=reader.region(there) if there else "",
            kept=tuple(_kept(lifecycle.get(name, {}), lock.get(name, {}))),
            **_common(reader, bucket),
        )


def _by_bucket(reader: Reader, type_: str) -> Mapping[str, JsonObject]:
    return {text(said.get("bucket")): said for _, said in reader.of(type_)}


def _replica(said: JsonObject) -> str:
    for rule in map(mapping, items(said.get("rules"))):
        if rule.get("status") == "Enabled":
            return text(mapping(rule.get("destination")).get("bucket")).rpartition(":")[2]
    return ""


def _bucket_key(reader: Reader, said: JsonObject) -> str:
    for rule in map(mapping, items(said.get("rules"))):
        default = mapping(rule.get("applyServerSideEncryptionByDefault"))
        return reader.key(default.get("kmsMasterKeyId")) or "S3's own"
    return "S3's own"


def _kept(lifecycle: JsonObject, lock: JsonObject) -> Iterator[str]:
    retention = mapping(mapping(lock.get("rule")).get("defaultRetention"))
    if retention:
        days = text(retention.get("days")) or f"{text(retention.get('years'))} years of"
        yield f"locked {days} days ({text(retention.get('mode')).lower()})"
    for rule in map(mapping, items(lifecycle.get("rules"))):
        if days := text(mapping(rule.get("expiration")).get("days")):
            yield f"removed after {days} days"
        if days := text(mapping(rule.get("noncurrentVersionExpiration")).get("noncurrentDays")):
            yield f"old versions {days} days"


def _rules(reader: Reader) -> Iterator[BackupRule]:
    for _, said in reader.of("aws:backup/plan:Plan"):
        for rule in map(mapping, items(said.get("rules"))):
            copies = map(mapping, items(rule.get("copyActions")))
            yield BackupRule(
                name=text(rule.get("ruleName")),
                schedule=text(rule.get("schedule")),
                vault=text(rule.get("targetVaultName")),
                kept_days=_days(mapping(rule.get("lifecycle")).get("deleteAfter")),
                copies=tuple(text(each.get("destinationVaultArn")) for each in copies),
            )


def _vaults(reader: Reader) -> Iterator[Vault]:
    locks = {
        text(said.get("backupVaultName")): said
        for _, said in reader.of("aws:backup/vaultLockConfiguration:VaultLockConfiguration")
    }
    for vault, said in reader.of("aws:backup/vault:Vault"):
        lock = locks.get(vault.id) or locks.get(text(said.get("name"))) or {}
        least, most = (text(lock.get(key)) for key in ("minRetentionDays", "maxRetentionDays"))
        final = ", nobody can take the lock off" if text(lock.get("changeableForDays")) else ""
        yield Vault(
            name=text(said.get("name")) or vault.name,
            region=reader.region(vault),
            key=reader.key(said.get("kmsKeyArn")),
            locked=f"{least or '0'} to {most or 'any number of'} days{final}" if lock else "not locked",
        )


def _objectives(reader: Reader) -> Iterator[tuple[str, str]]:
    for _, said in reader.of("aws:backup/framework:Framework"):
        for control in map(mapping, items(said.get("controls"))):
            asked = {
                text(each.get("name")): text(each.get("value"))
                for each in map(mapping, items(control.get("inputParameters")))
            }
            if age := asked.get("recoveryPointAgeValue"):
                yield (
                    "Recovery point objective: how much work may be lost",
                    f"{age} {asked.get('recoveryPointAgeUnit', 'hours')}",
                )
            if minutes := asked.get("maxRestoreTime"):
                yield "Recovery time objective: how long a restore may take", _hours(minutes)
    for _, said in reader.of("aws:backup/restoreTestingPlan:RestoreTestingPlan"):
        yield "Restored on trial", text(said.get("scheduleExpression"))


def _hours(minutes: str) -> str:
    whole = int(minutes) if minutes.isdecimal() else 0
    return f"{whole // 60} hours" if whole and whole % 60 == 0 else f"{minutes} minutes"
