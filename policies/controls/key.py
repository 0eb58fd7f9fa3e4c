"""KEY: encryption keys, who holds them, and what is encrypted with which."""

from __future__ import annotations

from fnmatch import fnmatchcase

from machinery.authority import is_account
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.documents import statements
from machinery.grants import (
    CIRCUMSTANCES,
    IDENTITY_POLICIES,
    ROLE,
    any_resource,
    grants_of,
    names_whom,
)
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, per_item

catalogue = Catalogue()

KEY = "aws:kms/key:Key"
REPLICA = "aws:kms/replicaKey:ReplicaKey"
EXTERNAL = "aws:kms/externalKey:ExternalKey"
ALIAS = "aws:kms/alias:Alias"

BUCKET = "aws:s3/bucket:Bucket"
BUCKET_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"


@catalogue.resource(
    "KEY-01",
    "Keys rotate",
    severity=HIGH,
    on=KEY,
    remedy="Set enable_key_rotation to True.",
    references=References(cis=["3.6"], fsbp=["KMS.4"], nist=["SC-12"], pci=["3.7.4"]),
)
def keys_rotate(key: Resource) -> Outcomes:
    # KMS rotates symmetric keys of its own only.
    symmetric = key.switch("customerMasterKeySpec", absent="SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
    if symmetric and not key.has("customKeyStoreId") and not key.switch("enableKeyRotation", absent=False):
        yield key.violation("enableKeyRotation", "is off")


@catalogue.resource(
    "KEY-02",
    "A key that is deleted by mistake can be saved for as long as the profile asks",
    severity=HIGH,
    on=(KEY, REPLICA, EXTERNAL),
    remedy="Set deletion_window_in_days to 30, or leave it out.",
    references=References(fsbp=["KMS.3"], nist=["SC-12"], pci=["3.7.4"]),
)
def deletion_waits(key: Resource) -> Outcomes:
    floor = key.declared.floors.key_deletion_days
    if key.number("deletionWindowInDays", 30) < floor:
        yield key.violation("deletionWindowInDays", f"is shorter than {floor} days")


@catalogue.resource(
    "KEY-03",
    "No key policy admits everybody",
    severity=CRITICAL,
    on=(KEY, REPLICA, EXTERNAL, "aws:kms/keyPolicy:KeyPolicy"),
    remedy="Name the principals, or bind the statement by kms:CallerAccount or aws:PrincipalOrgID.",
    references=References(fsbp=["KMS.5"], nist=["AC-3"], hipaa=["164.312(a)(2)(iv)"], pci=["7.2.1"]),
)
def no_key_for_everybody(key: Resource) -> Outcomes:
    for statement in statements(key, "policy"):
        if statement.allows and statement.everyone and not names_whom(statement):
            yield key.violation(statement.path, "admits everybody")


_KEYED: dict[str, str] = {
    "aws:backup/vault:Vault": "kmsKeyArn",
    "aws:cloudtrail/trail:Trail": "kmsKeyId",
    "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
    "aws:dynamodb/table:Table": "serverSideEncryption.kmsKeyArn",
    "aws:ebs/defaultKmsKey:DefaultKmsKey": "keyArn",
    "aws:ebs/volume:Volume": "kmsKeyId",
    "aws:ecr/repository:Repository": "encryptionConfigurations.kmsKey",
    "aws:efs/fileSystem:FileSystem": "kmsKeyId",
    "aws:eks/cluster:Cluster": "encryptionConfig.provider.keyArn",
    "aws:elasticache/replicationGroup:ReplicationGroup": "kmsKeyId",
    "aws:fsx/lustreFileSystem:LustreFileSystem": "kmsKeyId",
    "aws:kinesis/stream:Stream": "kmsKeyId",
    "aws:lambda/function:Function": "kmsKeyArn",
    "aws:msk/cluster:Cluster": "encryptionInfo.encryptionAtRestKmsKeyArn",
    "aws:opensearch/domain:Domain": "encryptAtRest.kmsKeyId",
    "aws:rds/cluster:Cluster": "kmsKeyId",
    "aws:rds/instance:Instance": "kmsKeyId",
    "aws:sagemaker/domain:Domain": "kmsKeyId",
    "aws:sagemaker/notebookInstance:NotebookInstance": "kmsKeyId",
    "aws:secretsmanager/secret:Secret": "kmsKeyId",
    "aws:sns/topic:Topic": "kmsMasterKeyId",
    "aws:sqs/queue:Queue": "kmsMasterKeyId",
}
"""What stores data, and the property that names its key. Buckets have a control of their own (STO-05)."""

_DISKS: dict[str, tuple[tuple[str, str], ...]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": (("blockDeviceMappings", "ebs.kmsKeyId"),),
    "aws:ec2/instance:Instance": (("rootBlockDevice", "kmsKeyId"), ("ebsBlockDevices", "kmsKeyId")),
}


@catalogue.stack(
    "KEY-04",
    "Whatever stores data names a customer-managed key",
    severity=HIGH,
    on=(*_KEYED, *_DISKS),
    remedy="Name the key of the data domain (kms_key_id and its kin) instead of leaving it to AWS's own.",
    references=References(
        cis=["2.2.1", "2.4.1"],
        fsbp=["SNS.1", "SQS.1"],
        nist=["SC-28(1)"],
        hipaa=["164.312(a)(2)(iv)"],
        pci=["3.5.1"],
        atlas=["AML.M0012"],
        aws_ai=["AISF-INFRA-05"],
    ),
)
def data_is_under_a_key_of_ours(resource: Resource, stack: Stack) -> Outcomes:
    if path := _KEYED.get(resource.type):
        yield from _named(resource, path, resource, stack)
    for disks, key in _DISKS.get(resource.type, ()):
        yield from per_item(resource.items(disks), lambda disk, key=key: _named(disk, key, resource, stack))  # type: ignore[misc]


def _named(node: Node, path: str, resource: Resource, stack: Stack) -> Outcomes:
    if not node.has(path):
        yield node.violation(path, "is missing, so AWS's own key is used")
        return
    whole = f"{node.path}.{path}" if node.path else path
    if stack.targets(resource, whole, KEY, REPLICA, EXTERNAL, ALIAS):
        return
    # A key that was brought along is named in full; an unknown one that nothing here makes stays open.
    text = str(node.reference(path))
    if "alias/aws/" in text or not (":key/" in text or ":alias/" in text or text.startswith("alias/")):
        yield node.violation(path, "names no customer-managed key")


@catalogue.stack(
    "KEY-05",
    "A key serves one data domain",
    severity=MEDIUM,
    on=(KEY, REPLICA),
    remedy="Give each data domain (tag data-domain) a key of its own.",
    references=References(nist=["SC-12"]),
)
def a_key_serves_one_domain(key: Resource, stack: Stack) -> Outcomes:
    domains = {key.word("tags.data-domain")}
    for type_, path in _KEYED.items():
        domains |= {user.word("tags.data-domain") for user in stack.referrers(key, path, type_)}
    for encryption in stack.referrers(key, "rules", BUCKET_ENCRYPTION):
        domains |= {b.word("tags.data-domain") for b in stack.targets(encryption, "bucket", BUCKET)}
    if len(domains - {""}) > 1:
        yield key.violation("", "is shared by several data domains")


_ADMINISTRATION = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey")
_USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:Sign")


@catalogue.resource(
    "KEY-06",
    "Who administers a key does not use it",
    severity=HIGH,
    on=(KEY, REPLICA, EXTERNAL, "aws:kms/keyPolicy:KeyPolicy"),
    remedy="Name administrators and users in statements of their own; leave Decrypt, GenerateDataKey and Sign out of the first and PutKeyPolicy out of the second.",
    references=References(nist=["AC-5", "SC-12"], pci=["3.7.4"], aws_ai=["AISF-INFRA-07"]),
)
def administration_and_use_are_apart(key: Resource) -> Outcomes:
    administrators: set[str] = set()
    users: dict[str, str] = {}
    for statement in statements(key, "policy"):
        # The account itself only lets IAM decide (AWS KMS Developer Guide, "Default key policy").
        named = {p.name for p in statement.principals if p.kind == "AWS" and not is_account(p)}
        if any(map(statement.grants, _ADMINISTRATION)):
            administrators |= named
        if any(map(statement.grants, _USE)):
            users |= dict.fromkeys(named, statement.path)
    for path in sorted({users[name] for name in administrators & users.keys()}):
        yield key.violation(path, "lets somebody use the key who may also change who uses it")


_DECRYPTS = ("kms:Decrypt", "kms:ReEncryptFrom")


@catalogue.resource(
    "KEY-07",
    "Nobody decrypts with every key",
    severity=HIGH,
    on=(*IDENTITY_POLICIES, ROLE),
    remedy="Name the keys, or narrow by aws:ResourceTag or kms:ResourceAliases; kms:ViaService says how a key is used and not which.",
    references=References(
        fsbp=["KMS.1", "KMS.2"], nist=["AC-6", "SC-12"], hipaa=["164.312(a)(2)(iv)"], pci=["3.6.1"]
    ),
)
def nobody_decrypts_everything(resource: Resource) -> Outcomes:
    for statement in grants_of(resource):
        if not any(map(statement.grants, _DECRYPTS)):
            continue
        every = any_resource(statement) or any(fnmatchcase(r, "arn:*:key/[*]") for r in statement.resources)
        narrow = [c for c in statement.binding() if not c.negated and c.key not in _OF_NO_KEY]
        if every and not narrow:
            yield resource.violation(statement.path, "decrypts with every key of the account")


_OF_NO_KEY = ("kms:viaservice", "kms:calleraccount", *CIRCUMSTANCES)
