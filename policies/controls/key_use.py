"""KEY: which key something names, whose it is, and who uses it how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from controls.key import BUCKET, BUCKET_ENCRYPTION, EXTERNAL, KEY, REPLICA
from machinery.authority import is_account
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.documents import statements
from machinery.grants import CIRCUMSTANCES, own_accounts
from machinery.stack import Stack
from machinery.subject import Node, Outcome, Outcomes, Resource, Violation, per_item, remembered

catalogue = Catalogue()


TABLE = "aws:dynamodb/table:Table"

_FURTHER: Mapping[str, tuple[tuple[str, str], ...]] = {
    "aws:athena/workgroup:Workgroup": (
        ("configuration.resultConfiguration.encryptionConfiguration", "kmsKeyArn"),
    ),
    "aws:cfg/deliveryChannel:DeliveryChannel": (("", "s3KmsKeyArn"),),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        ("extendedS3Configuration", "kmsKeyArn"),
        ("serverSideEncryption", "keyArn"),
    ),
    "aws:macie2/classificationExportConfiguration:ClassificationExportConfiguration": (
        ("s3Destination", "kmsKeyArn"),
    ),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": (
        ("encryptionConfigurations", "kmsKey"),
    ),
}
"""What passes data on or keeps answers: where it says so, and the property that names the key."""


@catalogue.resource(
    "KEY-08",
    "What passes data on, or keeps answers about it, names a customer-managed key",
    severity=MEDIUM,
    on=(*_FURTHER, TABLE),
    remedy="Name the key of the data domain where the stream, channel, workgroup or export is encrypted.",
    references=References(nist=["SC-28(1)"], hipaa=["164.312(a)(2)(iv)"], pci=["3.5.1"]),
)
def passages_are_under_a_key(resource: Resource) -> Outcomes:
    if resource.type == TABLE and not resource.switch("serverSideEncryption.enabled", absent=False):
        yield resource.violation("serverSideEncryption.enabled", "is off, so DynamoDB's own key is used")
    for part, key in _FURTHER.get(resource.type, ()):
        if part and not resource.has(part):
            if "Encryption" in part or "encryption" in part:
                yield resource.violation(part, "is missing, so no key of ours is used")
            continue
        for node in resource.items(part) if part else [resource]:
            if not node.has(key):
                yield node.violation(key, "is missing, so no key of ours is used")
            elif "alias/aws/" in str(node.reference(key)):
                yield node.violation(key, "names AWS's own key")
    if resource.type.endswith(":FirehoseDeliveryStream") and not resource.switch(
        "serverSideEncryption.enabled", absent=False
    ):
        yield resource.violation("serverSideEncryption.enabled", "is off")


_NAMES = (
    "kmsKeyId",
    "kmsKeyArn",
    "kmsMasterKeyId",
    "kmsKey",
    "keyArn",
    "masterUserSecretKmsKeyId",
    "performanceInsightsKmsKeyId",
    "replicaKmsKeyId",
    "s3KmsKeyArn",
)


@catalogue.stack(
    "KEY-09",
    "A key that is named is one of the account's own, and a customer-managed one",
    severity=HIGH,
    remedy="Name a key of the stack, or one that was brought along, of an account in allowed_account_ids; not alias/aws/….",
    references=References(nist=["SC-12", "SC-28(1)"], pci=["3.6.1"]),
)
def keys_are_our_own(stack: Stack) -> Outcomes:
    named = [resource for resource in stack.matching("aws:") if not resource.type.startswith("aws:kms/")]
    yield from per_item(named, _names_own_keys)


def _names_own_keys(node: Node) -> Outcomes:
    assert isinstance(node, Resource)  # noqa: S101 - per_item hands back what it was given
    return _foreign_keys(node)


@remembered
def _foreign_keys(node: Resource) -> Sequence[Outcome]:
    return list(_named_keys(node))


def _named_keys(node: Resource) -> Outcomes:
    own = own_accounts(node)
    for path, text in _keys(node.value):
        parts = text.split(":")
        if "alias/aws/" in text:
            yield node.violation(path, "names AWS's own key")
        elif len(parts) > 5 and parts[2] == "kms" and own and parts[4] not in own:
            yield node.violation(path, "is a key of another account")


def _keys(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}.{key}" if path else str(key)
            if key in _NAMES and isinstance(item, str):
                yield below, item
            elif key not in ("tags", "tagsAll"):
                yield from _keys(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _keys(item, f"{path}[{index}]")


_HELD = ("backup", "data", "models")
"""Domains whose keys open nothing but what is tagged as theirs; the others serve machines and logs, which have no tag."""

_USERS: Mapping[str, tuple[str, ...]] = {
    "aws:athena/workgroup:Workgroup": ("configuration",),
    "aws:backup/vault:Vault": ("kmsKeyArn",),
    "aws:cfg/deliveryChannel:DeliveryChannel": ("s3KmsKeyArn",),
    "aws:cloudtrail/trail:Trail": ("kmsKeyId",),
    "aws:cloudwatch/logGroup:LogGroup": ("kmsKeyId",),
    "aws:dynamodb/table:Table": ("serverSideEncryption",),
    "aws:ec2/launchTemplate:LaunchTemplate": ("blockDeviceMappings",),
    "aws:ecr/repository:Repository": ("encryptionConfigurations",),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": ("encryptionConfigurations",),
    "aws:eks/cluster:Cluster": ("encryptionConfig",),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "extendedS3Configuration",
        "serverSideEncryption",
    ),
    "aws:lambda/function:Function": ("kmsKeyArn",),
    "aws:macie2/classificationExportConfiguration:ClassificationExportConfiguration": ("s3Destination",),
    "aws:rds/instance:Instance": ("kmsKeyId", "masterUserSecretKmsKeyId", "performanceInsightsKmsKeyId"),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": ("rules",),
    "aws:sns/topic:Topic": ("kmsMasterKeyId",),
    "aws:sqs/queue:Queue": ("kmsMasterKeyId",),
}


@catalogue.stack(
    "KEY-10",
    "The keys of data, models and backups encrypt nothing else",
    severity=MEDIUM,
    on=(KEY, REPLICA),
    remedy="Use the key of the platform or of logs for what is not tagged data-domain data, models or backup.",
    references=References(nist=["SC-12", "AC-4"]),
)
def a_key_of_content_is_for_content(key: Resource, stack: Stack) -> Outcomes:
    domain = key.word("tags.data-domain")
    if domain not in _HELD:
        return
    for type_, paths in _USERS.items():
        for path in paths:
            for user in stack.referrers(key, path, type_):
                of_buckets = type_.startswith("aws:s3/")
                if not of_buckets and user.word("tags.data-domain") != domain:
                    yield _astray(user, path, domain)
    for encryption in stack.referrers(key, "rules", BUCKET_ENCRYPTION):
        for bucket in stack.targets(encryption, "bucket", BUCKET):
            if bucket.word("tags.data-domain") != domain:
                yield _astray(bucket, "", domain)


def _astray(user: Resource, path: str, domain: str) -> Violation:
    return Violation(path, f"is under the key of {domain}, which it is no part of", urn=user.urn)


@catalogue.resource(
    "KEY-11",
    "Every key says which data it is for",
    severity=MEDIUM,
    on=(KEY, REPLICA, EXTERNAL),
    remedy="Tag the key with its data-domain; policies of roles narrow what they decrypt by that tag.",
    references=References(nist=["AC-16", "SC-12"]),
)
def keys_say_their_domain(key: Resource) -> Outcomes:
    if not key.word("tags.data-domain"):
        yield key.violation("tags.data-domain", "is missing")


_USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant")


@catalogue.resource(
    "KEY-12",
    "Where a key policy leaves use to IAM, the key is used through services alone",
    severity=MEDIUM,
    on=(KEY, REPLICA, EXTERNAL, "aws:kms/keyPolicy:KeyPolicy"),
    remedy="Bind what the account's root or * may do with the key by kms:ViaService, or name the principals.",
    references=References(fsbp=["KMS.1"], nist=["AC-6", "SC-12"]),
)
def delegated_use_is_through_services(key: Resource) -> Outcomes:
    for statement in statements(key, "policy"):
        delegated = statement.everyone or any(is_account(p) for p in statement.principals if p.kind == "AWS")
        if not statement.allows or not delegated or not any(map(statement.grants, _USE)):
            continue
        if not any(not c.negated and c.key not in _HARDLY for c in statement.binding()):
            yield key.violation(statement.path, "lets whoever IAM lets use the key directly")


_HARDLY = ("kms:calleraccount", *CIRCUMSTANCES)


@catalogue.resource(
    "KEY-13",
    "A grant gives a key to nobody of another account",
    severity=HIGH,
    on="aws:kms/grant:Grant",
    remedy="Grant to roles of the accounts in allowed_account_ids, if at all: a policy is easier to read.",
    references=References(nist=["AC-3", "SC-12"]),
)
def grants_stay(grant: Resource) -> Outcomes:
    own = own_accounts(grant)
    for path in ("granteePrincipal", "retiringPrincipal"):
        parts = str(grant.reference(path, absent="")).split(":")
        if len(parts) > 4 and own and parts[4] not in own:
            yield grant.violation(path, "is of another account")
