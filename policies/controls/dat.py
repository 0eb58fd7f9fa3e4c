"""DAT: databases and their secrets, of any engine: a table for each question, a row for each type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.declarations import accounts_of
from machinery.stack import Stack
from machinery.subject import Node, Outcome, Outcomes, Resource, UnknownReference, per_item
from machinery.values import UNKNOWN

catalogue = Catalogue()

INSTANCE = "aws:rds/instance:Instance"
CLUSTER = "aws:rds/cluster:Cluster"
CLUSTER_INSTANCE = "aws:rds/clusterInstance:ClusterInstance"
GLOBAL_CLUSTER = "aws:rds/globalCluster:GlobalCluster"
PROXY = "aws:rds/proxy:Proxy"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
CLUSTER_PARAMETERS = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
DOCDB = "aws:docdb/cluster:Cluster"
DOCDB_ELASTIC = "aws:docdb/elasticCluster:ElasticCluster"
DOCDB_GLOBAL = "aws:docdb/globalCluster:GlobalCluster"
DOCDB_INSTANCE = "aws:docdb/clusterInstance:ClusterInstance"
NEPTUNE = "aws:neptune/cluster:Cluster"
NEPTUNE_GLOBAL = "aws:neptune/globalCluster:GlobalCluster"
NEPTUNE_INSTANCE = "aws:neptune/clusterInstance:ClusterInstance"
REDSHIFT = "aws:redshift/cluster:Cluster"
REDSHIFT_NAMESPACE = "aws:redshiftserverless/namespace:Namespace"
REDSHIFT_WORKGROUP = "aws:redshiftserverless/workgroup:Workgroup"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
CACHE_USER = "aws:elasticache/user:User"
SERVERLESS_CACHE = "aws:elasticache/serverlessCache:ServerlessCache"
MEMORYDB = "aws:memorydb/cluster:Cluster"
MEMORYDB_USER = "aws:memorydb/user:User"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"

# --- at rest ---------------------------------------------------------------------------------------------

# The switch (None: always encrypted), whether it is on by default, and where the key is named (None: the
# members of a global cluster name their own).
_AT_REST: Mapping[str, tuple[str | None, bool, str | None]] = {
    INSTANCE: ("storageEncrypted", False, "kmsKeyId"),
    CLUSTER: ("storageEncrypted", False, "kmsKeyId"),
    GLOBAL_CLUSTER: ("storageEncrypted", False, None),
    DOCDB: ("storageEncrypted", False, "kmsKeyId"),
    DOCDB_ELASTIC: (None, True, "kmsKeyId"),
    DOCDB_GLOBAL: ("storageEncrypted", False, None),
    NEPTUNE: ("storageEncrypted", False, "kmsKeyArn"),
    NEPTUNE_GLOBAL: ("storageEncrypted", False, None),
    REDSHIFT: ("encrypted", True, "kmsKeyId"),
    REDSHIFT_NAMESPACE: (None, True, "kmsKeyId"),
    CACHE: ("atRestEncryptionEnabled", False, "kmsKeyId"),
    SERVERLESS_CACHE: (None, True, "kmsKeyId"),
    MEMORYDB: (None, True, "kmsKeyArn"),
}


@catalogue.resource(
    "DAT-01",
    "Databases are encrypted at rest with a customer-managed key",
    severity=CRITICAL,
    on=tuple(_AT_REST),
    remedy="Set storage_encrypted to True and kms_key_id to the ARN of a KMS key of the stack.",
    references=References(
        cis=["2.3.1"], fsbp=["RDS.3", "RDS.27"], nist=["SC-28(1)"], hipaa=["164.312(a)(2)(iv)"], pci=["3.5.1"]
    ),
)
def database_is_encrypted(database: Resource) -> Outcomes:
    switch, default, key = _AT_REST[database.type]
    if switch and not _on(database, switch, default) and not database.has("sourceDbClusterIdentifier"):
        yield database.violation(switch, "leaves the data in clear on disk")
    if key and not _inherits_key(database):
        yield from _own_key(database, key)


def _inherits_key(database: Resource) -> bool:
    """Say whether this is a replica in its source's region, which takes its source's key and no other.

    A source in the same region is named by its identifier, one elsewhere by its ARN
    (CreateDBInstanceReadReplica).
    """
    if database.type != INSTANCE or database.has("kmsKeyId") or not database.has("replicateSourceDb"):
        return False
    return not str(database.reference("replicateSourceDb")).startswith("arn:")


# --- who reaches it --------------------------------------------------------------------------------------


@catalogue.resource(
    "DAT-02",
    "No database has a public address",
    severity=CRITICAL,
    on=(
        INSTANCE,
        CLUSTER,
        CLUSTER_INSTANCE,
        NEPTUNE_INSTANCE,
        REDSHIFT,
        REDSHIFT_WORKGROUP,
        "aws:timestreaminfluxdb/dbInstance:DbInstance",
        "aws:dms/replicationInstance:ReplicationInstance",
    ),
    remedy="Set publicly_accessible to False and place the database in isolated subnets.",
    references=References(
        cis=["2.3.3"], fsbp=["RDS.2"], nist=["AC-3", "SC-7"], hipaa=["164.312(a)(1)"], pci=["1.3.1"]
    ),
)
def database_is_not_public(database: Resource) -> Outcomes:
    if database.switch("publiclyAccessible", absent=False) is not False:
        yield database.violation("publiclyAccessible", "gives the database a public address")


_SOURCES: Mapping[str, tuple[str, Sequence[str]]] = {
    # Rule type: where it names the admitted group, and what admits addresses instead.
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "referencedSecurityGroupId",
        ("cidrIpv4", "cidrIpv6", "prefixListId"),
    ),
    "aws:ec2/securityGroupRule:SecurityGroupRule": (
        "sourceSecurityGroupId",
        ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds"),
    ),
}


@catalogue.stack(
    "DAT-03",
    "A database admits one security group, the data-access API's, and no range of addresses",
    severity=HIGH,
    on=(INSTANCE, CLUSTER, PROXY, DOCDB, DOCDB_ELASTIC, NEPTUNE, REDSHIFT, REDSHIFT_WORKGROUP),
    remedy="Give the database a security group of its own with one rule, whose source is the data-access "
    "API's security group.",
    references=References(
        fsbp=["RDS.18"], nist=["SC-7", "AC-4"], hipaa=["164.312(a)(1)"], pci=["1.3.1"], atlas=["AML.M0005"]
    ),
)
def one_group_reaches_the_database(database: Resource, stack: Stack) -> Outcomes:
    path = "securityGroupIds" if database.type == REDSHIFT_WORKGROUP else "vpcSecurityGroupIds"
    if not database.has(path):
        yield database.violation(path, "is missing, so the VPC's default security group decides")
        return
    groups = stack.targets(database, path, SECURITY_GROUP)
    rules = [(group, *found) for group in groups for found in _rules_of(group, stack)]
    for _, rule, _, addresses in rules:
        yield from per_item([rule], lambda rule, among=addresses: _no_range(rule, among))  # type: ignore[misc]
    for group in groups:
        yield from per_item([group], _no_inline_range)
    sources = {source for group, rule, path_, _ in rules for source in _admitted(rule, path_, group, stack)}
    sources |= {source for group in groups for source in _admitted_inline(group, stack)}
    if len(sources) > 1:
        yield database.violation(path, "lets more than one security group reach the database")
    if _FOREIGN in sources:
        yield database.violation(path, "lets in a security group that is not of this stack")
    if len(groups) < len(_members(database, path)):
        database.texts(path)  # what is unknown, and traced to no group, is undecided
        yield database.violation(path, "names a security group that is not of this stack")


_FOREIGN = ""
"""Stands among URNs for a security group of which nothing is known here."""


def _rules_of(group: Resource, stack: Stack) -> Iterator[tuple[Resource, str, Sequence[str]]]:
    """Yield each ingress rule that is a resource, where it names a group, and where it names addresses."""
    for type_, (source, addresses) in _SOURCES.items():
        for rule in stack.referrers(group, "securityGroupId", type_):
            if rule.switch("type", absent="ingress") == "ingress":
                yield rule, source, addresses


def _no_range(rule: Node, paths: Sequence[str]) -> Outcomes:
    for path in paths:
        if rule.has(path):
            yield rule.violation(path, "lets a range of addresses reach the database")


def _no_inline_range(group: Node) -> Outcomes:
    paths = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds")
    return per_item(group.items("ingress"), lambda rule: _no_range(rule, paths))


def _admitted(rule: Resource, path: str, group: Resource, stack: Stack) -> set[str]:
    sources = {target.urn for target in stack.targets(rule, path, SECURITY_GROUP)}
    if rule.switch("self", absent=False):
        sources.add(group.urn)
    return sources or ({_FOREIGN} if rule.has(path) else set())


def _admitted_inline(group: Resource, stack: Stack) -> set[str]:
    sources = {target.urn for target in stack.targets(group, "ingress", SECURITY_GROUP)}
    rules = group.items("ingress")
    ids = [id_ for rule in rules for id_ in _members(rule, "securityGroups")]
    unknown = sum(id_ is UNKNOWN for id_ in ids)
    if unknown + len({str(id_) for id_ in ids if id_ is not UNKNOWN}) > len(sources):
        # More than could be traced: a foreign one where all are written, else undecided.
        if unknown:
            raise UnknownReference("ingress.securityGroups")
        sources.add(_FOREIGN)
    return sources | {group.urn for rule in rules if rule.switch("self", absent=False)}


def _members(node: Node, path: str) -> list[Any]:
    found = node.reference(path, absent=[])
    return found if isinstance(found, list) else [found]


# --- in transit ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tls:
    """The parameter that forces TLS, the values that do, and the first major version that has one of them."""

    parameter: str
    forcing: frozenset[str]
    since: int | None = None


_BOOLEAN = frozenset({"1", "on", "true"})
_PARAMETERS: Mapping[str, _Tls] = {
    # RDS for PostgreSQL: "the default value of rds.force_ssl is 1 for version 15 and later" (RDS User Guide).
    "postgres": _Tls("rds.force_ssl", _BOOLEAN, since=15),
    "aurora-postgresql": _Tls("rds.force_ssl", _BOOLEAN),
    "sqlserver": _Tls("rds.force_ssl", _BOOLEAN),
    "mysql": _Tls("require_secure_transport", _BOOLEAN),
    "mariadb": _Tls("require_secure_transport", _BOOLEAN),
    "aurora-mysql": _Tls("require_secure_transport", _BOOLEAN),
    "docdb": _Tls("tls", frozenset({"enabled", "tls1.2+", "tls1.3+", "fips-140-3"}), since=0),
    "neptune": _Tls("neptune_enforce_ssl", _BOOLEAN, since=0),
    "redshift": _Tls("require_ssl", _BOOLEAN),
}
# Where a database names its parameter group, of which type, and which engine it has where it names none.
_GROUPS: Mapping[str, tuple[str, str, str]] = {
    INSTANCE: ("parameterGroupName", PARAMETERS, ""),
    CLUSTER: ("dbClusterParameterGroupName", CLUSTER_PARAMETERS, ""),
    DOCDB: (
        "dbClusterParameterGroupName",
        "aws:docdb/clusterParameterGroup:ClusterParameterGroup",
        "docdb",
    ),
    NEPTUNE: (
        "neptuneClusterParameterGroupName",
        "aws:neptune/clusterParameterGroup:ClusterParameterGroup",
        "neptune",
    ),
    REDSHIFT: ("clusterParameterGroupName", "aws:redshift/parameterGroup:ParameterGroup", "redshift"),
}
# A switch of the resource itself, and its default.
_TLS_SWITCHES: Mapping[str, tuple[str, bool]] = {
    PROXY: ("requireTls", False),
    CACHE: ("transitEncryptionEnabled", False),
    MEMORYDB: ("tlsEnabled", True),
}


@catalogue.stack(
    "DAT-04",
    "Databases refuse connections without TLS",
    severity=HIGH,
    on=(*_GROUPS, *_TLS_SWITCHES, REDSHIFT_WORKGROUP),
    remedy="Give the database a parameter group of the stack that forces TLS (rds.force_ssl = 1, "
    "require_secure_transport = 1), or set require_tls.",
    references=References(fsbp=["RDS.38"], nist=["SC-8"], hipaa=["164.312(e)(1)"], pci=["4.2.1"]),
)
def database_forces_tls(database: Resource, stack: Stack) -> Outcomes:
    if database.type in _TLS_SWITCHES:
        path, default = _TLS_SWITCHES[database.type]
        if not _on(database, path, default):
            yield database.violation(path, "admits connections in clear")
        if database.switch("transitEncryptionMode") == "preferred":
            yield database.violation("transitEncryptionMode", "admits connections in clear")
    elif database.type == REDSHIFT_WORKGROUP:
        if not _workgroup_forces_tls(database):
            yield database.violation("configParameters", "do not set require_ssl, so clear text is admitted")
    else:
        yield from _group_forces_tls(database, stack)


def _group_forces_tls(database: Resource, stack: Stack) -> Outcomes:
    path, type_, _ = _GROUPS[database.type]
    groups = stack.targets(database, path, type_)
    yield from per_item(groups, _parameters_force_tls)
    if groups:
        return
    if database.has(path) and not str(database.reference(path)).startswith("default."):
        yield database.violation(path, "names a parameter group that is not of this stack")
    elif not _is_replica(database) and not _default_forces_tls(database):
        yield database.violation(path, "is missing, and the engine's default does not force TLS")


def _default_forces_tls(database: Resource) -> bool:
    engine = database.switch("engine") or _GROUPS[database.type][2]
    tls = _tls_of(str(engine))
    if tls is None or tls.since is None:
        return False
    return tls.since == 0 or _major(str(database.switch("engineVersion", absent=""))) >= tls.since


def _parameters_force_tls(group: Node) -> Outcomes:
    family = str(group.switch("family", absent=""))
    tls = _tls_of(family)
    if tls is None:
        yield group.violation("family", "is of an engine for which no parameter is known that forces TLS")
        return
    said = _parameter(group, tls.parameter)
    forced = tls.since is not None and _major(family) >= tls.since if said is None else said in tls.forcing
    if not forced:
        yield group.violation("parameters", f"do not set {tls.parameter}, so clear text is admitted")


def _tls_of(engine: str) -> _Tls | None:
    """Return the row of an engine (``sqlserver-ee``) or of a parameter group's family (``postgres16``)."""
    name = re.match(r"[a-z]*(?:-[a-z]+)*", engine)
    stem = name.group() if name else ""
    return _PARAMETERS.get(stem) or _PARAMETERS.get(stem.partition("-")[0] if "sqlserver" in stem else "")


def _major(version: str) -> int:
    found = re.search(r"\d{1,4}", version)
    return int(found.group()) if found else 0


def _workgroup_forces_tls(workgroup: Resource) -> bool:
    return any(
        parameter.switch("parameterKey") == "require_ssl"
        and str(parameter.switch("parameterValue")).lower() == "true"
        for parameter in workgroup.items("configParameters")
    )


def _parameter(group: Node, name: str) -> str | None:
    """Return the value of a parameter in lower case; the last one wins, as it does in AWS."""
    said = [p for p in group.items("parameters") if p.switch("name") == name]
    return str(said[-1].switch("value", absent="")).lower() if said else None


# --- who signs in ----------------------------------------------------------------------------------------


@catalogue.resource(
    "DAT-05",
    "Databases authenticate through IAM",
    severity=HIGH,
    on=(INSTANCE, CLUSTER, NEPTUNE, PROXY),
    remedy="Set iam_database_authentication_enabled to True (iam_auth to REQUIRED on a proxy).",
    references=References(fsbp=["RDS.10"], nist=["AC-3", "IA-2"], hipaa=["164.312(d)"], pci=["7.2.1"]),
)
def database_authenticates_by_iam(database: Resource) -> Outcomes:
    if database.type != PROXY:
        if not _on(database, "iamDatabaseAuthenticationEnabled", False):
            yield database.violation("iamDatabaseAuthenticationEnabled", "is not on, so passwords are needed")
    elif database.switch("defaultAuthScheme") != "IAM_AUTH":
        if not database.has("auths"):
            yield database.violation("auths", "do not require IAM authentication")
        yield from per_item(database.items("auths"), _requires_iam)


def _requires_iam(auth: Node) -> Outcomes:
    if auth.switch("iamAuth", absent="DISABLED") != "REQUIRED":
        yield auth.violation("iamAuth", "does not require IAM authentication")


# Where a password could be written, and the switch that leaves it to Secrets Manager.
_PASSWORDS: Mapping[str, tuple[Sequence[str], str | None]] = {
    INSTANCE: (("password", "passwordWo"), "manageMasterUserPassword"),
    CLUSTER: (("masterPassword", "masterPasswordWo"), "manageMasterUserPassword"),
    DOCDB: (("masterPassword", "masterPasswordWo"), "manageMasterUserPassword"),
    REDSHIFT: (("masterPassword", "masterPasswordWo"), "manageMasterPassword"),
    REDSHIFT_NAMESPACE: (("adminUserPassword", "adminUserPasswordWo"), "manageAdminPassword"),
    CACHE: (("authToken", "authTokenWo"), None),
    CACHE_USER: (("passwords", "passwordsWo", "authenticationMode.passwords"), None),
    MEMORYDB_USER: (("authenticationMode.passwords",), None),
    "aws:timestreaminfluxdb/dbInstance:DbInstance": (("password",), None),
    "aws:dms/endpoint:Endpoint": (("password",), None),
}
_RESTORED = ("snapshotIdentifier", "snapshotArn", "restoreToPointInTime", "s3Import")


@catalogue.resource(
    "DAT-06",
    "No password of a database is in the program; Secrets Manager makes and keeps it",
    severity=HIGH,
    on=(*_PASSWORDS, DOCDB_ELASTIC),
    remedy="Leave the password out and set manage_master_user_password to True.",
    references=References(nist=["IA-5"], hipaa=["164.312(d)"], pci=["8.3.1"]),
)
def password_is_managed(database: Resource) -> Outcomes:
    if database.type == DOCDB_ELASTIC:
        # An elastic cluster has no managed password, but takes the ARN of a secret in its stead.
        if database.switch("authType") != "SECRET_ARN":
            yield database.violation("adminUserPassword", "holds a password; it ends in the state")
        return
    paths, managed = _PASSWORDS[database.type]
    for path in paths:
        # Whether it is a literal, a secret or an unknown does not matter: a password that passes through the
        # program is known to whoever deploys it.
        if database.has(path):
            yield database.violation(path, "holds a password; whoever deploys the program knows it")
    if managed and not _on(database, managed, False) and not _takes_over_password(database):
        yield database.violation(managed, "is not on, so nobody rotates the master password")


def _takes_over_password(database: Resource) -> bool:
    """Say whether there is no master password to make: a replica has its source's."""
    if database.type == REDSHIFT_NAMESPACE:
        return not database.has("adminUsername")
    secondary = database.has("globalClusterIdentifier") and not database.has("masterUsername")
    return _is_replica(database) or (secondary and not any(database.has(path) for path in _RESTORED))


# --- staying alive ---------------------------------------------------------------------------------------


@catalogue.resource(
    "DAT-07",
    "Databases cannot be deleted by accident, and leave a final snapshot",
    severity=HIGH,
    on=(INSTANCE, CLUSTER, GLOBAL_CLUSTER, DOCDB, DOCDB_GLOBAL, NEPTUNE, NEPTUNE_GLOBAL, REDSHIFT),
    remedy="Set deletion_protection to True and leave skip_final_snapshot False.",
    references=References(fsbp=["RDS.7", "RDS.8"], nist=["CP-9"], hipaa=["164.308(a)(7)(ii)(A)"]),
)
def database_is_hard_to_lose(database: Resource) -> Outcomes:
    if not database.declared.floors.deletion_protection:
        return
    # Redshift knows no deletion protection.
    if database.type != REDSHIFT and not _on(database, "deletionProtection", False):
        yield database.violation("deletionProtection", "is not on, so one call deletes the database")
    # A replica cannot leave a snapshot (DeleteDBInstance).
    if _on(database, "skipFinalSnapshot", False) and not _is_replica(database):
        yield database.violation("skipFinalSnapshot", "deletes the database without a last snapshot")


LEAST_BACKUP_DAYS = 7
"""FSBP RDS.11."""

# Where the days stand, and how many AWS takes by default.
_BACKUPS: Mapping[str, tuple[str, int]] = {
    INSTANCE: ("backupRetentionPeriod", 0),
    CLUSTER: ("backupRetentionPeriod", 1),
    DOCDB: ("backupRetentionPeriod", 1),
    DOCDB_ELASTIC: ("backupRetentionPeriod", 1),
    NEPTUNE: ("backupRetentionPeriod", 1),
    REDSHIFT: ("automatedSnapshotRetentionPeriod", 1),
    MEMORYDB: ("snapshotRetentionLimit", 0),
}


@catalogue.resource(
    "DAT-08",
    "Automated backups are kept as long as the profile asks, seven days at least",
    severity=HIGH,
    on=tuple(_BACKUPS),
    remedy="Set backup_retention_period to the profile's number of days or more.",
    references=References(fsbp=["RDS.11"], nist=["CP-9"], hipaa=["164.308(a)(7)(ii)(A)"], pci=["10.5.1"]),
)
def backups_are_kept(database: Resource) -> Outcomes:
    path, default = _BACKUPS[database.type]
    least = max(LEAST_BACKUP_DAYS, database.declared.floors.backup_retention_days)
    # What a replica holds is in the backups of its source.
    if not _is_replica(database) and database.number(path, default) < least:
        yield database.violation(path, f"keeps backups for less than {least} days")


_STANDBY: Mapping[str, str] = {INSTANCE: "multiAz", CACHE: "multiAzEnabled", REDSHIFT: "multiAz"}
_MEMBERS: Mapping[str, str] = {
    CLUSTER: CLUSTER_INSTANCE,
    DOCDB: DOCDB_INSTANCE,
    NEPTUNE: NEPTUNE_INSTANCE,
}


@catalogue.resource(
    "DAT-09",
    "A database has a standby in another zone where the profile asks for one",
    severity=HIGH,
    on=tuple(_STANDBY),
    remedy="Set multi_az to True.",
    references=References(fsbp=["RDS.5"], nist=["CP-10", "SI-13"], hipaa=["164.308(a)(7)(ii)(B)"]),
)
def database_has_a_standby(database: Resource) -> Outcomes:
    path = _STANDBY[database.type]
    asked = database.declared.floors.standby_database and not _is_replica(database)
    if asked and not _on(database, path, False):
        yield database.violation(path, "is not on, so the loss of one zone stops the database")


# --- records and upkeep ----------------------------------------------------------------------------------

# The logs that show who did what, by the beginning of the engine's name.
_LOGS: Mapping[str, frozenset[str]] = {
    "aurora-postgresql": frozenset({"postgresql"}),
    "aurora-mysql": frozenset({"audit", "error"}),
    "postgres": frozenset({"postgresql"}),
    "mysql": frozenset({"audit", "error"}),
    "mariadb": frozenset({"audit", "error"}),
    "oracle": frozenset({"audit", "alert"}),
    "sqlserver": frozenset({"error"}),
    "docdb": frozenset({"audit"}),
    "neptune": frozenset({"audit"}),
}


@catalogue.resource(
    "DAT-10",
    "Databases export their logs, and PostgreSQL records statements with pgaudit",
    severity=MEDIUM,
    on=(INSTANCE, CLUSTER, DOCDB, NEPTUNE, PARAMETERS, CLUSTER_PARAMETERS),
    remedy="Name the engine's logs in enabled_cloudwatch_logs_exports; for PostgreSQL set "
    "shared_preload_libraries to pgaudit and pgaudit.log in a parameter group.",
    references=References(
        fsbp=["RDS.9", "RDS.36"], nist=["AU-2", "AU-12"], hipaa=["164.312(b)"], pci=["10.2.1"]
    ),
)
def database_keeps_records(resource: Resource) -> Outcomes:
    if resource.type in (PARAMETERS, CLUSTER_PARAMETERS):
        yield from _loads_pgaudit(resource)
        return
    engine = str(resource.switch("engine") or _GROUPS[resource.type][2])
    if resource.type == INSTANCE and _is_replica(resource) and not engine:
        return  # its source says which engine it has, and the parameters of both are judged below
    path = "enableCloudwatchLogsExports" if resource.type == NEPTUNE else "enabledCloudwatchLogsExports"
    exported = {text for _, text in resource.texts(path)}
    asked = next((logs for start, logs in _LOGS.items() if engine.startswith(start)), frozenset())
    if not exported:
        yield resource.violation(path, "exports no log, so nothing shows who did what")
    elif not asked <= exported:
        yield resource.violation(path, f"does not export {' and '.join(sorted(asked - exported))}")
    group, _, _ = _GROUPS[resource.type]
    if "postgres" in engine and not resource.has(group):
        yield resource.violation(group, "is missing, and the default parameters do not load pgaudit")


def _loads_pgaudit(group: Resource) -> Outcomes:
    family = str(group.switch("family", absent=""))
    # The members of an Aurora cluster load what the cluster's parameters say.
    if not family.startswith("postgres" if group.type == PARAMETERS else ("postgres", "aurora-postgresql")):
        return
    loaded = _parameter(group, "shared_preload_libraries") or ""
    if "pgaudit" not in re.split(r"[,\s]+", loaded):
        yield group.violation("parameters", "do not load pgaudit (shared_preload_libraries)")
    elif (_parameter(group, "pgaudit.log") or "none") == "none":
        yield group.violation("parameters", "load pgaudit but let it record nothing (pgaudit.log)")


_UPGRADES = ("autoMinorVersionUpgrade", True, "leaves known holes in the engine open")
_TAGS = ("copyTagsToSnapshot", False, "is not on, so snapshots lose owner and classification")
_INSIGHTS = ("performanceInsightsEnabled", False, "is not on, so unusual load goes unseen")
_UPKEEP: Mapping[str, Sequence[tuple[str, bool, str]]] = {
    # Type: switches that must be on, with their defaults.
    INSTANCE: (_UPGRADES, _TAGS, _INSIGHTS),
    CLUSTER: (_UPGRADES, _TAGS),
    CLUSTER_INSTANCE: (_UPGRADES, _INSIGHTS),
    DOCDB_INSTANCE: (_UPGRADES, _TAGS),
    NEPTUNE: (_TAGS,),
    NEPTUNE_INSTANCE: (_UPGRADES,),
    REDSHIFT: (("allowVersionUpgrade", True, "leaves known holes in the engine open"),),
    CACHE: (_UPGRADES,),
    MEMORYDB: (_UPGRADES,),
}


@catalogue.resource(
    "DAT-11",
    "Databases take minor upgrades, keep tags on snapshots, and are monitored under our key",
    severity=MEDIUM,
    on=tuple(_UPKEEP),
    remedy="Set auto_minor_version_upgrade, copy_tags_to_snapshot, monitoring_interval, "
    "performance_insights_enabled and performance_insights_kms_key_id.",
    references=References(
        cis=["2.3.2"], fsbp=["RDS.6", "RDS.13", "RDS.16", "RDS.17"], nist=["SI-2"], pci=["6.3.3"]
    ),
)
def database_is_looked_after(database: Resource) -> Outcomes:
    switches = [*_UPKEEP[database.type]]
    # A Multi-AZ cluster has no instances of its own to carry these; an Aurora cluster does.
    whole = database.type in (INSTANCE, CLUSTER_INSTANCE) or database.has("dbClusterInstanceClass")
    if whole and _INSIGHTS not in switches:
        switches.append(_INSIGHTS)
    for path, default, problem in switches:
        if not _on(database, path, default):
            yield database.violation(path, problem)
    if whole and database.number("monitoringInterval") <= 0:
        yield database.violation("monitoringInterval", "is 0, so enhanced monitoring is off")
    if _on(database, "performanceInsightsEnabled", False):
        yield from _own_key(database, "performanceInsightsKmsKeyId")


_SHARES: Mapping[str, Sequence[str]] = {
    "aws:rds/snapshot:Snapshot": ("sharedAccounts",),
    "aws:rds/clusterSnapshot:ClusterSnapshot": ("sharedAccounts",),
    "aws:rds/snapshotCopy:SnapshotCopy": ("sharedAccounts",),
    "aws:rds/clusterSnapshotCopy:ClusterSnapshotCopy": ("sharedAccounts",),
    "aws:ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission": ("accountId",),
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission": (
        "accountId",
        "group",
        "organizationArn",
        "organizationalUnitArn",
    ),
}


@catalogue.resource(
    "DAT-12",
    "Snapshots and images are not shared outside the account",
    severity=MEDIUM,
    on=tuple(_SHARES),
    remedy="Remove the shared accounts; copy through AWS Backup into a vault of your own instead.",
    references=References(fsbp=["RDS.1", "EC2.1"], nist=["AC-3", "AC-21"], hipaa=["164.312(a)(1)"]),
)
def snapshot_stays_in_the_account(snapshot: Resource) -> Outcomes:
    own = accounts_of(snapshot.provider)
    for path in _SHARES[snapshot.type]:
        for where, account in snapshot.texts(path):
            if account not in own:
                yield snapshot.violation(where, "shares the data outside the account")


# --- secrets ---------------------------------------------------------------------------------------------

MOST_DAYS_BETWEEN_ROTATIONS = 90
"""FSBP SecretsManager.4, its default."""
LEAST_RECOVERY_DAYS = 7


@catalogue.stack(
    "DAT-13",
    "Secrets rotate, and can be recovered for a week after their deletion",
    severity=MEDIUM,
    on=SECRET,
    remedy="Add a SecretRotation with rules of 90 days or less; set recovery_window_in_days to 7 or more.",
    references=References(
        fsbp=["SecretsManager.1", "SecretsManager.4"],
        nist=["IA-5"],
        hipaa=["164.312(d)"],
        pci=["8.3.9"],
        aws_ai=["AISF-DATA-03"],
    ),
)
def secret_rotates(secret: Resource, stack: Stack) -> Outcomes:
    if secret.number("recoveryWindowInDays", absent=30) < LEAST_RECOVERY_DAYS:
        yield secret.violation("recoveryWindowInDays", "deletes the secret for good within a week")
    rotations = stack.referrers(secret, "secretId", ROTATION)
    if not rotations:
        yield secret.violation("", "no rotation is set up for this secret")
    yield from per_item(rotations, _rotates_in_time)


def _rotates_in_time(rotation: Node) -> Outcomes:
    if not _on(rotation, "rotationEnabled", True):
        yield rotation.violation("rotationEnabled", "is off, so the secret never changes")
    if not rotation.has("rotationRules"):
        yield rotation.violation("rotationRules", "are missing, so the secret never changes")
    for rules in rotation.items("rotationRules"):
        rate = re.fullmatch(r"rate\((\d{1,4}) days?\)", str(rules.switch("scheduleExpression", absent="")))
        days = int(rate.group(1)) if rate else rules.number("automaticallyAfterDays")
        if days > MOST_DAYS_BETWEEN_ROTATIONS:
            yield rules.violation("", "leaves the secret unchanged for more than 90 days")
        if not days and not rules.has("scheduleExpression"):
            yield rules.violation("", "says no interval, so the secret never changes")


# --- the other half of DAT-09 ----------------------------------------------------------------------------


@catalogue.stack(
    "DAT-14",
    "A cluster has two instances or more where the profile asks for a standby",
    severity=HIGH,
    on=tuple(_MEMBERS),
    remedy="Add a second cluster instance; AWS places it in another zone.",
    references=References(fsbp=["RDS.15"], nist=["CP-10", "SI-13"], hipaa=["164.308(a)(7)(ii)(B)"]),
)
def cluster_has_a_standby(cluster: Resource, stack: Stack) -> Outcomes:
    # A Multi-AZ DB cluster (one that names an instance class) makes its three instances itself.
    if not stack.declared.floors.standby_database or cluster.has("dbClusterInstanceClass"):
        return
    members = stack.referrers(cluster, "clusterIdentifier", _MEMBERS[cluster.type])
    zones = [str(member.reference("availabilityZone", absent="")) for member in members]
    if len(members) < 2:
        yield cluster.violation("", "has fewer than two instances, so the loss of one zone stops it")
    elif "" not in zones and len(set(zones)) < 2:
        yield cluster.violation("", "has all its instances in one zone, whose loss stops it")


# --- shared ----------------------------------------------------------------------------------------------


def _on(node: Node, path: str, default: bool) -> bool:
    """Read a switch that must be on; some providers take the word for it."""
    return node.switch(path, absent=default) in (True, "true")


def _own_key(node: Node, path: str) -> Iterator[Outcome]:
    if not node.has(path):
        yield node.violation(path, "names no key of ours, so AWS's own key is used")
    elif node.known(path) and "alias/aws/" in str(node.reference(path)):
        yield node.violation(path, "names a key that AWS manages, whose policy nobody can narrow")


def _is_replica(database: Node) -> bool:
    return database.has("replicateSourceDb") or database.has("replicationSourceIdentifier")


@catalogue.resource(
    "DAT-15",
    "A table can be put back to how it was at any minute of the last month",
    severity=MEDIUM,
    on="aws:dynamodb/table:Table",
    remedy="Set point_in_time_recovery to enabled on the table.",
    references=References(
        fsbp=["DynamoDB.2"], nist=["CP-9", "CP-10"], hipaa=["164.308(a)(7)(ii)(A)"], pci=["10.3.3"]
    ),
)
def tables_can_be_put_back(table: Resource) -> Outcomes:
    if table.switch("pointInTimeRecovery.enabled", absent=False) is not True:
        yield table.violation("pointInTimeRecovery", "is off, so what is overwritten is lost")
