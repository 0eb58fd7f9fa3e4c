"""Cases of the family DAT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, Case, Program

REGULATED = {"profile": "pci"}
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


Made = TypeVar("Made")


def _made(make: Callable[..., Made], name: str, **arguments: object) -> Made:
    return make(name, **arguments)


def _key() -> aws.kms.Key:
    return aws.kms.Key("key")


def _given(name: str, make: Callable[..., object], good: dict[str, Any], **changes: object) -> Program:
    """Return a program of one resource: ``good`` with some arguments changed, ``None`` leaves one out."""

    def program() -> None:
        make(name, **{key: value for key, value in {**good, **changes}.items() if value is not None})

    return program


_INSTANCE: dict[str, Any] = {
    "instance_class": "db.t4g.medium",
    "engine": "postgres",
    "engine_version": "16.4",
    "username": "root",
    "manage_master_user_password": True,
    "storage_encrypted": True,
    "kms_key_id": KEY,
    "iam_database_authentication_enabled": True,
    "deletion_protection": True,
    "final_snapshot_identifier": "last",
    "backup_retention_period": 30,
    "multi_az": True,
    "enabled_cloudwatch_logs_exports": ["postgresql", "upgrade"],
    "parameter_group_name": "default.postgres16",
    "copy_tags_to_snapshot": True,
    "monitoring_interval": 60,
    "performance_insights_enabled": True,
    "performance_insights_kms_key_id": KEY,
}
_CLUSTER: dict[str, Any] = {
    "engine": "aurora-postgresql",
    "engine_version": "16.4",
    "master_username": "root",
    "manage_master_user_password": True,
    "storage_encrypted": True,
    "kms_key_id": KEY,
    "iam_database_authentication_enabled": True,
    "deletion_protection": True,
    "backup_retention_period": 30,
    "enabled_cloudwatch_logs_exports": ["postgresql"],
    "db_cluster_parameter_group_name": "strict",
    "copy_tags_to_snapshot": True,
}
_MEMBER: dict[str, Any] = {
    "cluster_identifier": "cluster",
    "engine": "aurora-postgresql",
    "instance_class": "db.r7g.large",
    "monitoring_interval": 60,
    "performance_insights_enabled": True,
    "performance_insights_kms_key_id": KEY,
}
_DOCDB: dict[str, Any] = {
    "master_username": "root",
    "manage_master_user_password": True,
    "storage_encrypted": True,
    "kms_key_id": KEY,
    "deletion_protection": True,
    "backup_retention_period": 30,
    "enabled_cloudwatch_logs_exports": ["audit"],
}
_NEPTUNE: dict[str, Any] = {
    "storage_encrypted": True,
    "kms_key_arn": KEY,
    "iam_database_authentication_enabled": True,
    "deletion_protection": True,
    "backup_retention_period": 30,
    "enable_cloudwatch_logs_exports": ["audit"],
    "copy_tags_to_snapshot": True,
}
_REDSHIFT: dict[str, Any] = {
    "cluster_identifier": "warehouse",
    "node_type": "ra3.large",
    "kms_key_id": KEY,
    "manage_master_password": True,
    "automated_snapshot_retention_period": 30,
    "multi_az": True,
}
_CACHE: dict[str, Any] = {
    "description": "a cache",
    "at_rest_encryption_enabled": True,
    "kms_key_id": KEY,
    "transit_encryption_enabled": True,
    "multi_az_enabled": True,
}
_MEMORYDB: dict[str, Any] = {
    "acl_name": "acl",
    "node_type": "db.t4g.small",
    "kms_key_arn": KEY,
    "snapshot_retention_limit": 30,
}


def instance(**changes: object) -> Program:
    return _given("db", aws.rds.Instance, _INSTANCE, **changes)


def cluster(**changes: object) -> Program:
    return _given("db", aws.rds.Cluster, _CLUSTER, **changes)


def member(**changes: object) -> Program:
    return _given("db", aws.rds.ClusterInstance, _MEMBER, **changes)


def docdb(**changes: object) -> Program:
    return _given("db", aws.docdb.Cluster, _DOCDB, **changes)


def neptune(**changes: object) -> Program:
    return _given("db", aws.neptune.Cluster, _NEPTUNE, **changes)


def redshift(**changes: object) -> Program:
    return _given("db", aws.redshift.Cluster, _REDSHIFT, **changes)


def cache(**changes: object) -> Program:
    return _given("db", aws.elasticache.ReplicationGroup, _CACHE, **changes)


def memorydb(**changes: object) -> Program:
    return _given("db", aws.memorydb.Cluster, _MEMORYDB, **changes)


def _encrypted_with_key_of_the_stack() -> None:
    instance(kms_key_id=_key().arn)()


# --- who reaches it


def _group(name: str, **arguments: object) -> aws.ec2.SecurityGroup:
    return _made(aws.ec2.SecurityGroup, name, vpc_id="vpc-1", description=name, **arguments)


def _rule(name: str, group: aws.ec2.SecurityGroup, **source: object) -> None:
    _made(
        aws.vpc.SecurityGroupIngressRule,
        name,
        security_group_id=group.id,
        ip_protocol="tcp",
        from_port=5432,
        to_port=5432,
        **source,
    )


def _legacy_rule(name: str, group: aws.ec2.SecurityGroup, **source: object) -> None:
    _made(
        aws.ec2.SecurityGroupRule,
        name,
        security_group_id=group.id,
        type="ingress",
        protocol="tcp",
        from_port=5432,
        to_port=5432,
        **source,
    )


def _inline(**source: object) -> dict[str, Any]:
    return {"protocol": "tcp", "from_port": 5432, "to_port": 5432, **source}


def _reached_by_separate_rules(*callers: str, **source: object) -> None:
    data = _group("data")
    for caller in callers:
        _rule(caller, data, referenced_security_group_id=_group(caller).id)
    if source:
        _rule("range", data, **source)
    instance(vpc_security_group_ids=[data.id])()


def _reached_by_inline_rules(*callers: str, **source: object) -> None:
    groups = [_group(caller).id for caller in callers]
    rules = [_inline(security_groups=groups)] if groups else []
    if source:
        rules.append(_inline(**source))
    cluster(vpc_security_group_ids=[_group("data", ingress=rules).id])()


def _reached_by_legacy_rules(*callers: str, **source: object) -> None:
    data = _group("data")
    for caller in callers:
        _legacy_rule(caller, data, source_security_group_id=_group(caller).id)
    if source:
        _legacy_rule("range", data, **source)
    docdb(vpc_security_group_ids=[data.id])()


def _reached_by_a_group_of_elsewhere() -> None:
    groups = [_group("api").id, aws.ec2.Vpc("elsewhere").default_security_group_id]
    rule = _inline(security_groups=groups)
    instance(vpc_security_group_ids=[_group("data", ingress=[rule]).id])()


def _reached_through_two_groups(*, second_caller: bool) -> None:
    one, two, api = _group("one"), _group("two"), _group("api")
    _rule("one", one, referenced_security_group_id=api.id)
    _rule("two", two, referenced_security_group_id=_group("job").id if second_caller else api.id)
    instance(vpc_security_group_ids=[one.id, two.id])()


# --- in transit


def _parameters(make: Callable[..., Made], family: str, **parameters: str) -> Made:
    return make(
        "parameters",
        family=family,
        parameters=[{"name": name.replace("__", "."), "value": value} for name, value in parameters.items()],
    )


def _with_parameters(version: str, **parameters: str) -> None:
    group = _parameters(aws.rds.ParameterGroup, f"postgres{version}", **parameters)
    instance(engine_version=version, parameter_group_name=group.name)()


def _cluster_with_parameters(engine: str, family: str, **parameters: str) -> None:
    group = _parameters(aws.rds.ClusterParameterGroup, family, **parameters)
    cluster(engine=engine, db_cluster_parameter_group_name=group.name)()


def _docdb_with_parameters(tls: str) -> None:
    group = _parameters(aws.docdb.ClusterParameterGroup, "docdb5.0", tls=tls)
    docdb(db_cluster_parameter_group_name=group.name)()


def _neptune_with_parameters(value: str) -> None:
    group = _parameters(aws.neptune.ClusterParameterGroup, "neptune1.3", neptune_enforce_ssl=value)
    neptune(neptune_cluster_parameter_group_name=group.name)()


def _redshift_with_parameters(value: str) -> None:
    group = _parameters(aws.redshift.ParameterGroup, "redshift-1.0", require_ssl=value)
    redshift(cluster_parameter_group_name=group.name)()


def _workgroup(value: str, *, public: bool = False) -> None:
    aws.redshiftserverless.Workgroup(
        "db",
        namespace_name="n",
        workgroup_name="w",
        publicly_accessible=public,
        config_parameters=[{"parameter_key": "require_ssl", "parameter_value": value}],
    )


def _proxy(*, tls: bool = True, iam: str | None = "REQUIRED") -> None:
    secret = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:s"
    _made(
        aws.rds.Proxy,
        "db",
        engine_family="POSTGRESQL",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/proxy",
        vpc_subnet_ids=["subnet-1"],
        require_tls=tls,
        auths=[{"iam_auth": iam, "secret_arn": secret}] if iam else [],
    )


def _elastic(auth_type: str) -> None:
    aws.docdb.ElasticCluster(
        "db",
        admin_user_name="root",
        admin_user_password=f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:s",
        auth_type=auth_type,
        shard_capacity=2,
        shard_count=1,
        kms_key_id=KEY,
    )


# --- records


def _pgaudit(libraries: str, log: str = "ddl,role") -> None:
    _parameters(aws.rds.ParameterGroup, "postgres16", shared_preload_libraries=libraries, pgaudit__log=log)


def _aurora_pgaudit(libraries: str) -> None:
    _parameters(
        aws.rds.ClusterParameterGroup,
        "aurora-postgresql16",
        shared_preload_libraries=libraries,
        pgaudit__log="all",
    )


# --- sharing and secrets


def _snapshot(*accounts: str) -> None:
    aws.rds.Snapshot(
        "s", db_instance_identifier="db", db_snapshot_identifier="s", shared_accounts=list(accounts)
    )


def _image_shared_with(**to: str) -> None:
    _made(aws.ec2.AmiLaunchPermission, "share", image_id="ami-1", **to)


def _volume_shared_with(account: str) -> None:
    aws.ec2.SnapshotCreateVolumePermission("share", snapshot_id="snap-1", account_id=account)


def _secret(*, recovery_days: int | None = None, rules: dict[str, Any] | None = None, **more: object) -> None:
    secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=recovery_days)
    if rules is not None:
        _made(
            aws.secretsmanager.SecretRotation,
            "rotation",
            secret_id=secret.id,
            rotation_lambda_arn=f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:rotate",
            rotation_rules=rules or None,
            **more,
        )


def _aurora(*zones: str | None) -> None:
    made = aws.rds.Cluster("cluster", **_CLUSTER)
    for index, zone in enumerate(zones):
        aws.rds.ClusterInstance(
            f"member-{index}",
            **{**_MEMBER, "cluster_identifier": made.id},
            availability_zone=zone,
        )


def _docdb_members(count: int) -> None:
    made = aws.docdb.Cluster("cluster", **_DOCDB)
    for index in range(count):
        aws.docdb.ClusterInstance(
            f"member-{index}", cluster_identifier=made.id, instance_class="db.r6g.large"
        )


def _unknown_switch() -> None:
    """A switch whose value only AWS knows: here the answer of another resource."""
    other = aws.rds.Instance("other", **_INSTANCE)
    instance(publicly_accessible=other.ca_cert_identifier.apply(bool))()


def table(recovery: bool | None) -> Program:
    return lambda: aws.dynamodb.Table(
        "t",
        hash_key="k",
        attributes=[{"name": "k", "type": "S"}],
        point_in_time_recovery=None if recovery is None else {"enabled": recovery},
    )


CASES = [
    # Encryption: the switch, the key, whose key, every engine.
    Case(
        control="DAT-01",
        compliant=_encrypted_with_key_of_the_stack,
        violating=instance(storage_encrypted=None, kms_key_id=None),
        mentions="storageEncrypted",
    ),
    Case(
        control="DAT-01",
        compliant=instance(replicate_source_db="primary", kms_key_id=None),
        violating=instance(kms_key_id=None),
        mentions="kmsKeyId: names no key of ours",
    ),
    Case(
        control="DAT-01",
        compliant=instance(),
        violating=instance(kms_key_id=f"arn:aws:kms:eu-central-1:{ACCOUNT}:alias/aws/rds"),
        mentions="AWS manages",
    ),
    Case(
        control="DAT-01",
        compliant=instance(replicate_source_db=f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:primary"),
        violating=instance(replicate_source_db=f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:p", kms_key_id=None),
        mentions="kmsKeyId",
    ),
    Case(
        control="DAT-01",
        compliant=cluster(),
        violating=cluster(storage_encrypted=False),
        mentions="storageEncrypted",
    ),
    Case(
        control="DAT-01",
        compliant=lambda: aws.rds.GlobalCluster(
            "db", global_cluster_identifier="g", engine="aurora-postgresql", storage_encrypted=True
        ),
        violating=lambda: aws.rds.GlobalCluster(
            "db", global_cluster_identifier="g", engine="aurora-postgresql"
        ),
        mentions="storageEncrypted",
    ),
    Case(control="DAT-01", compliant=docdb(), violating=docdb(kms_key_id=None), mentions="kmsKeyId"),
    Case(
        control="DAT-01",
        compliant=neptune(),
        violating=neptune(storage_encrypted=None),
        mentions="storageEncrypted",
    ),
    Case(control="DAT-01", compliant=redshift(), violating=redshift(encrypted="false"), mentions="encrypted"),
    Case(
        control="DAT-01",
        compliant=cache(),
        violating=cache(at_rest_encryption_enabled=None),
        mentions="atRestEncryptionEnabled",
    ),
    Case(control="DAT-01", compliant=memorydb(), violating=memorydb(kms_key_arn=None), mentions="kmsKeyArn"),
    # Public addresses.
    Case(
        control="DAT-02",
        compliant=instance(),
        violating=instance(publicly_accessible=True),
        mentions="publiclyAccessible",
    ),
    Case(
        control="DAT-02",
        compliant=instance(publicly_accessible=False),
        violating=_unknown_switch,
        mentions="publiclyAccessible",
    ),
    Case(
        control="DAT-02",
        compliant=member(),
        violating=member(publicly_accessible=True),
        mentions="publiclyAccessible",
    ),
    Case(
        control="DAT-02",
        compliant=cluster(),
        violating=cluster(publicly_accessible=True),
        mentions="publiclyAccessible",
    ),
    Case(
        control="DAT-02",
        compliant=redshift(),
        violating=redshift(publicly_accessible=True),
        mentions="publiclyAccessible",
    ),
    Case(
        control="DAT-02",
        compliant=lambda: _workgroup("true"),
        violating=lambda: _workgroup("true", public=True),
        mentions="publiclyAccessible",
    ),
    # Who reaches the database: separate, inline and legacy rules, one caller or more, addresses, strangers.
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_separate_rules("api"),
        violating=lambda: _reached_by_separate_rules("api", "job"),
        mentions="more than one security group",
    ),
    Case(
        control="DAT-03",
        compliant=_reached_by_separate_rules,
        violating=lambda: _reached_by_separate_rules("api", cidr_ipv4="10.0.0.0/16"),
        mentions="cidrIpv4: lets a range",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_separate_rules("api"),
        violating=lambda: _reached_by_separate_rules("api", cidr_ipv6="fd00::/8"),
        mentions="cidrIpv6: lets a range",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_separate_rules("api"),
        violating=lambda: _reached_by_separate_rules("api", prefix_list_id="pl-1"),
        mentions="prefixListId: lets a range",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_separate_rules("api"),
        violating=lambda: _reached_by_separate_rules(referenced_security_group_id="sg-0123456789abcdef0"),
        mentions="not of this stack",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_inline_rules("api"),
        violating=lambda: _reached_by_inline_rules("api", "job"),
        mentions="more than one security group",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_inline_rules("api"),
        violating=lambda: _reached_by_inline_rules("api", cidr_blocks=["10.0.0.0/8"]),
        mentions="ingress[1].cidrBlocks: lets a range",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_inline_rules("api"),
        violating=lambda: _reached_by_inline_rules("api", self=True),
        mentions="more than one security group",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_inline_rules("api"),
        violating=lambda: _reached_by_inline_rules(security_groups=["sg-0123456789abcdef0"]),
        mentions="not of this stack",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_legacy_rules("api"),
        violating=lambda: _reached_by_legacy_rules("api", "job"),
        mentions="more than one security group",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_legacy_rules("api"),
        violating=lambda: _reached_by_legacy_rules("api", ipv6_cidr_blocks=["fd00::/8"]),
        mentions="ipv6CidrBlocks: lets a range",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_through_two_groups(second_caller=False),
        violating=lambda: _reached_through_two_groups(second_caller=True),
        mentions="more than one security group",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_separate_rules("api"),
        violating=instance(),
        mentions="default security group decides",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_separate_rules("api"),
        violating=instance(vpc_security_group_ids=["sg-0123456789abcdef0"]),
        mentions="not of this stack",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_inline_rules("api"),
        violating=_reached_by_a_group_of_elsewhere,
        mentions="not of this stack",
    ),
    Case(
        control="DAT-03",
        compliant=lambda: _reached_by_legacy_rules("api"),
        violating=lambda: _reached_by_legacy_rules("api", self=True),
        mentions="more than one security group",
    ),
    # TLS: the parameter, its default by version, every engine.
    Case(
        control="DAT-04",
        compliant=lambda: _with_parameters("14", rds__force_ssl="1"),
        violating=lambda: _with_parameters("14", rds__log_statement="all"),
        mentions="rds.force_ssl",
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _with_parameters("16", shared_preload_libraries="pgaudit"),
        violating=lambda: _with_parameters("16", rds__force_ssl="0"),
        mentions="rds.force_ssl",
    ),
    Case(
        control="DAT-04",
        compliant=instance(parameter_group_name=None),
        violating=instance(parameter_group_name=None, engine_version="14.9"),
        mentions="default does not force TLS",
    ),
    Case(
        control="DAT-04",
        compliant=instance(),
        violating=instance(parameter_group_name="made-by-hand"),
        mentions="not of this stack",
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _cluster_with_parameters(
            "aurora-mysql", "aurora-mysql8.0", require_secure_transport="ON"
        ),
        violating=lambda: _cluster_with_parameters(
            "aurora-mysql", "aurora-mysql8.0", require_secure_transport="OFF"
        ),
        mentions="require_secure_transport",
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _cluster_with_parameters(
            "aurora-postgresql", "aurora-postgresql16", rds__force_ssl="1"
        ),
        violating=cluster(db_cluster_parameter_group_name=None),
        mentions="default does not force TLS",
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _docdb_with_parameters("enabled"),
        violating=lambda: _docdb_with_parameters("disabled"),
        mentions="do not set tls",
    ),
    Case(
        control="DAT-04",
        compliant=neptune(),
        violating=lambda: _neptune_with_parameters("0"),
        mentions="neptune_enforce_ssl",
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _redshift_with_parameters("true"),
        violating=redshift(),
        mentions="default does not force TLS",
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _workgroup("true"),
        violating=lambda: _workgroup("false"),
        mentions="require_ssl",
    ),
    Case(control="DAT-04", compliant=_proxy, violating=lambda: _proxy(tls=False), mentions="requireTls"),
    Case(
        control="DAT-04",
        compliant=cache(),
        violating=cache(transit_encryption_mode="preferred"),
        mentions="transitEncryptionMode",
    ),
    Case(
        control="DAT-04", compliant=memorydb(), violating=memorydb(tls_enabled=False), mentions="tlsEnabled"
    ),
    Case(
        control="DAT-04",
        compliant=lambda: _cluster_with_parameters(
            "aurora-mysql", "aurora-mysql8.0", require_secure_transport="1"
        ),
        violating=lambda: _cluster_with_parameters("db2-se", "db2-se-11.5", something="1"),
        mentions="no parameter is known",
    ),
    # IAM authentication.
    Case(
        control="DAT-05",
        compliant=instance(),
        violating=instance(iam_database_authentication_enabled=None),
        mentions="iamDatabaseAuthenticationEnabled",
    ),
    Case(
        control="DAT-05",
        compliant=cluster(),
        violating=cluster(iam_database_authentication_enabled=False),
        mentions="iamDatabaseAuthenticationEnabled",
    ),
    Case(
        control="DAT-05",
        compliant=neptune(),
        violating=neptune(iam_database_authentication_enabled=None),
        mentions="iamDatabaseAuthenticationEnabled",
    ),
    Case(control="DAT-05", compliant=_proxy, violating=lambda: _proxy(iam="DISABLED"), mentions="iamAuth"),
    Case(
        control="DAT-05",
        compliant=_proxy,
        violating=lambda: _proxy(iam=None),
        mentions="auths: do not require",
    ),
    # Passwords: literal, secret, write-only, computed, or nobody's.
    Case(
        control="DAT-06",
        compliant=instance(),
        violating=instance(password="not-a-password", manage_master_user_password=None),
        mentions="password: holds a password",
    ),
    Case(
        control="DAT-06",
        compliant=instance(),
        violating=lambda: instance(password=pulumi.Output.secret("x"), manage_master_user_password=None)(),
        mentions="password: holds a password",
    ),
    Case(
        control="DAT-06",
        compliant=instance(),
        violating=lambda: instance(password=_key().key_id, manage_master_user_password=None)(),
        mentions="password: holds a password",
    ),
    Case(
        control="DAT-06",
        compliant=instance(),
        violating=instance(password_wo="x", password_wo_version=1, manage_master_user_password=None),
        mentions="passwordWo",
    ),
    Case(
        control="DAT-06",
        compliant=instance(replicate_source_db="primary", manage_master_user_password=None, username=None),
        violating=instance(manage_master_user_password=None),
        mentions="manageMasterUserPassword",
    ),
    Case(
        control="DAT-06",
        compliant=cluster(),
        violating=cluster(master_password="x", manage_master_user_password=None),
        mentions="masterPassword",
    ),
    Case(
        control="DAT-06",
        compliant=cluster(
            global_cluster_identifier="g", master_username=None, manage_master_user_password=None
        ),
        violating=cluster(global_cluster_identifier="g", manage_master_user_password=None),
        mentions="manageMasterUserPassword",
    ),
    Case(
        control="DAT-06",
        compliant=docdb(),
        violating=docdb(master_password="x", manage_master_user_password=None),
        mentions="masterPassword",
    ),
    Case(
        control="DAT-06",
        compliant=redshift(),
        violating=redshift(manage_master_password=None, master_password="x"),
        mentions="masterPassword",
    ),
    Case(
        control="DAT-06",
        compliant=cache(),
        violating=cache(auth_token="x" * 20),
        mentions="authToken",
    ),
    Case(
        control="DAT-06",
        compliant=lambda: _elastic("SECRET_ARN"),
        violating=lambda: _elastic("PLAIN_TEXT"),
        mentions="adminUserPassword",
    ),
    Case(
        control="DAT-06",
        compliant=lambda: aws.redshiftserverless.Namespace("db", namespace_name="n"),
        violating=lambda: aws.redshiftserverless.Namespace("db", namespace_name="n", admin_username="root"),
        mentions="manageAdminPassword",
    ),
    # Deletion.
    Case(
        control="DAT-07",
        compliant=instance(),
        violating=instance(deletion_protection=None),
        mentions="deletionProtection",
    ),
    Case(
        control="DAT-07",
        compliant=instance(replicate_source_db="primary", skip_final_snapshot=True),
        violating=instance(skip_final_snapshot=True),
        mentions="skipFinalSnapshot",
        tags={"environment": "prod"},
    ),
    Case(
        control="DAT-07",
        compliant=cluster(),
        violating=cluster(deletion_protection=False),
        mentions="deletionProtection",
    ),
    Case(
        control="DAT-07",
        compliant=redshift(),
        violating=redshift(skip_final_snapshot=True),
        mentions="skipFinalSnapshot",
    ),
    # Backups.
    Case(
        control="DAT-08",
        compliant=instance(backup_retention_period=7),
        violating=instance(backup_retention_period=6),
        mentions="less than 7 days",
    ),
    Case(
        control="DAT-08",
        compliant=instance(backup_retention_period=30),
        violating=instance(backup_retention_period=29),
        mentions="less than 30 days",
        tags=REGULATED,
    ),
    Case(
        control="DAT-08",
        compliant=instance(replicate_source_db="primary", backup_retention_period=None),
        violating=instance(backup_retention_period=None),
        mentions="backupRetentionPeriod",
    ),
    Case(
        control="DAT-08",
        compliant=cluster(),
        violating=cluster(backup_retention_period=None),
        mentions="backupRetentionPeriod",
    ),
    Case(
        control="DAT-08",
        compliant=redshift(),
        violating=redshift(automated_snapshot_retention_period=None),
        mentions="automatedSnapshotRetentionPeriod",
    ),
    Case(
        control="DAT-08",
        compliant=memorydb(),
        violating=memorydb(snapshot_retention_limit=None),
        mentions="snapshotRetentionLimit",
    ),
    # Standby.
    Case(
        control="DAT-09",
        compliant=instance(),
        violating=instance(multi_az=None),
        mentions="multiAz",
        tags=REGULATED,
    ),
    Case(
        control="DAT-09",
        compliant=cache(),
        violating=cache(multi_az_enabled=None),
        mentions="multiAzEnabled",
        tags=REGULATED,
    ),
    # Records.
    Case(
        control="DAT-10",
        compliant=instance(),
        violating=instance(enabled_cloudwatch_logs_exports=None),
        mentions="exports no log",
    ),
    Case(
        control="DAT-10",
        compliant=instance(),
        violating=instance(enabled_cloudwatch_logs_exports=["upgrade"]),
        mentions="does not export postgresql",
    ),
    Case(
        control="DAT-10",
        compliant=cluster(engine="aurora-mysql", enabled_cloudwatch_logs_exports=["audit", "error"]),
        violating=cluster(engine="aurora-mysql", enabled_cloudwatch_logs_exports=["error"]),
        mentions="does not export audit",
    ),
    Case(
        control="DAT-10",
        compliant=neptune(),
        violating=neptune(enable_cloudwatch_logs_exports=None),
        mentions="exports no log",
    ),
    Case(
        control="DAT-10",
        compliant=instance(),
        violating=instance(parameter_group_name=None),
        mentions="do not load pgaudit",
    ),
    Case(
        control="DAT-10",
        compliant=lambda: _pgaudit("pg_stat_statements,pgaudit"),
        violating=lambda: _pgaudit("pg_stat_statements"),
        mentions="do not load pgaudit",
    ),
    Case(
        control="DAT-10",
        compliant=lambda: _pgaudit("pgaudit"),
        violating=lambda: _pgaudit("pgaudit", log="none"),
        mentions="record nothing",
    ),
    Case(
        control="DAT-10",
        compliant=lambda: _aurora_pgaudit("pgaudit"),
        violating=lambda: _aurora_pgaudit("not_pgaudit"),
        mentions="do not load pgaudit",
    ),
    # Upkeep.
    Case(
        control="DAT-11",
        compliant=instance(),
        violating=instance(auto_minor_version_upgrade=False),
        mentions="autoMinorVersionUpgrade",
    ),
    Case(
        control="DAT-11",
        compliant=instance(),
        violating=instance(copy_tags_to_snapshot=None),
        mentions="copyTagsToSnapshot",
    ),
    Case(
        control="DAT-11",
        compliant=instance(),
        violating=instance(monitoring_interval=None),
        mentions="monitoringInterval",
    ),
    Case(
        control="DAT-11",
        compliant=instance(),
        violating=instance(performance_insights_kms_key_id=None),
        mentions="performanceInsightsKmsKeyId",
    ),
    Case(
        control="DAT-11",
        compliant=member(),
        violating=member(performance_insights_enabled=None),
        mentions="performanceInsightsEnabled",
    ),
    Case(
        control="DAT-11",
        compliant=cluster(),
        violating=cluster(db_cluster_instance_class="db.m6gd.large"),
        mentions="monitoringInterval",
    ),
    # Sharing.
    Case(
        control="DAT-12",
        compliant=_snapshot,
        violating=lambda: _snapshot("all"),
        mentions="sharedAccounts[0]",
    ),
    Case(
        control="DAT-12",
        compliant=lambda: _snapshot(ACCOUNT),
        violating=lambda: _snapshot(ACCOUNT, "999999999999"),
        mentions="sharedAccounts[1]",
    ),
    Case(
        control="DAT-12",
        compliant=lambda: _image_shared_with(account_id=ACCOUNT),
        violating=lambda: _image_shared_with(group="all"),
        mentions="group",
    ),
    Case(
        control="DAT-12",
        compliant=lambda: _volume_shared_with(ACCOUNT),
        violating=lambda: _volume_shared_with("999999999999"),
        mentions="accountId",
    ),
    # Secrets.
    Case(
        control="DAT-13",
        compliant=lambda: _secret(rules={"automatically_after_days": 30}),
        violating=_secret,
        mentions="no rotation",
    ),
    Case(
        control="DAT-13",
        compliant=lambda: _secret(rules={"schedule_expression": "rate(10 days)"}),
        violating=lambda: _secret(rules={"schedule_expression": "rate(900 days)"}),
        mentions="more than 90 days",
    ),
    Case(
        control="DAT-13",
        compliant=lambda: _secret(rules={"schedule_expression": "cron(0 16 1,15 * ? *)"}),
        violating=lambda: _secret(rules={"automatically_after_days": 365}),
        mentions="more than 90 days",
    ),
    Case(
        control="DAT-13",
        compliant=lambda: _secret(recovery_days=7, rules={"automatically_after_days": 30}),
        violating=lambda: _secret(recovery_days=0, rules={"automatically_after_days": 30}),
        mentions="recoveryWindowInDays",
    ),
    Case(
        control="DAT-13",
        compliant=lambda: _secret(rules={"automatically_after_days": 90}, rotation_enabled=True),
        violating=lambda: _secret(rules={"automatically_after_days": 90}, rotation_enabled=False),
        mentions="rotationEnabled",
    ),
    Case(
        control="DAT-13",
        compliant=lambda: _secret(rules={"automatically_after_days": 1}),
        violating=lambda: _secret(rules={}),
        mentions="rotationRules: are missing",
    ),
    Case(
        control="DAT-13",
        compliant=lambda: _secret(rules={"automatically_after_days": 1}),
        violating=lambda: _secret(rules={"duration": "3h"}),
        mentions="says no interval",
    ),
    # Standby of clusters.
    Case(
        control="DAT-14",
        compliant=lambda: _aurora(None, None),
        violating=lambda: _aurora(None),
        mentions="fewer than two instances",
        tags=REGULATED,
    ),
    Case(
        control="DAT-14",
        compliant=lambda: _aurora("eu-central-1a", "eu-central-1b"),
        violating=lambda: _aurora("eu-central-1a", "eu-central-1a"),
        mentions="in one zone",
        tags=REGULATED,
    ),
    Case(
        control="DAT-14",
        compliant=lambda: _docdb_members(2),
        violating=lambda: _docdb_members(1),
        mentions="fewer than two instances",
        tags=REGULATED,
    ),
]

CASES += [
    Case(
        control="DAT-15",
        compliant=table(True),
        violating=table(False),
        mentions="what is overwritten is lost",
    ),
    Case(
        control="DAT-15", compliant=table(True), violating=table(None), mentions="what is overwritten is lost"
    ),
]
