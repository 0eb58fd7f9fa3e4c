"""STO: buckets, configured by separate resources or (the deprecated way) inline.

A separate resource wins over an inline block: a state holds what AWS said of the bucket when it was made, in
the same properties, before the separate resources came.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from machinery.buckets import BUCKET, REPLICATION, is_replica
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.documents import Condition, Statement, statements
from machinery.regions import region_of
from machinery.stack import Stack, identifiers
from machinery.subject import Node, Outcomes, Resource, per_item, remembered
from machinery.values import leaves

catalogue = Catalogue()

ACL = "aws:s3/bucketAcl:BucketAcl"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
TRAIL = "aws:cloudtrail/trail:Trail"

_SWITCHES = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

# --- nobody from outside --------------------------------------------------------------------------------------


@catalogue.stack(
    "STO-01",
    "Every bucket blocks public access on all four switches",
    severity=CRITICAL,
    on=BUCKET,
    remedy="Add a BucketPublicAccessBlock with all four switches True.",
    references=References(
        cis=["2.1.4"],
        fsbp=["S3.8"],
        nist=["AC-3", "AC-21"],
        hipaa=["164.312(a)(1)"],
        pci=["1.3.1"],
        atlas=["AML.M0005"],
        aws_ai=["AISF-DATA-04"],
    ),
)
def bucket_blocks_public_access(bucket: Resource, stack: Stack) -> Outcomes:
    # New buckets block it by default, but nothing would keep it so.
    blocks = stack.referrers(bucket, "bucket", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    if not blocks:
        yield bucket.violation("", "has no public access block of its own")
    yield from per_item(blocks, _all_switches)


def _all_switches(block: Node) -> Outcomes:
    for switch in _SWITCHES:
        if not _on(block, switch):
            yield block.violation(switch, "is not on, so what is behind it may become public")


# Where a resource policy stands.
_POLICIES: Mapping[str, str] = {
    BUCKET: "policy",
    POLICY: "policy",
    "aws:s3/accessPoint:AccessPoint": "policy",
    "aws:s3/vectorsVectorBucketPolicy:VectorsVectorBucketPolicy": "policy",
    "aws:s3control/accessPointPolicy:AccessPointPolicy": "policy",
    "aws:s3control/bucketPolicy:BucketPolicy": "policy",
    "aws:s3control/multiRegionAccessPointPolicy:MultiRegionAccessPointPolicy": "details.policy",
    "aws:s3control/objectLambdaAccessPointPolicy:ObjectLambdaAccessPointPolicy": "policy",
    "aws:s3tables/tableBucketPolicy:TableBucketPolicy": "resourcePolicy",
    "aws:s3tables/tablePolicy:TablePolicy": "resourcePolicy",
    "aws:glacier/vault:Vault": "accessPolicy",
}
# Where grants stand, and the group inside each of them.
_GRANTS: Mapping[str, tuple[str, str]] = {
    BUCKET: ("grants", "uri"),
    ACL: ("accessControlPolicy.grants", "grantee.uri"),
    LOGGING: ("targetGrants", "grantee.uri"),
    "aws:s3/objectCopy:ObjectCopy": ("grants", "uri"),
}
_OBJECTS = (
    "aws:s3/bucketObject:BucketObject",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/objectCopy:ObjectCopy",
)
_PUBLIC_ACLS = ("public-read", "public-read-write", "authenticated-read")
_PUBLIC_GROUPS = ("/AllUsers", "/AuthenticatedUsers")


@catalogue.resource(
    "STO-02",
    "No bucket policy and no ACL admits everyone",
    severity=CRITICAL,
    on=(*_POLICIES, ACL, LOGGING, *_OBJECTS),
    remedy="Name the principals, or bind the statement to the organisation, the account or a VPC endpoint.",
    references=References(
        cis=["2.1.4"],
        fsbp=["S3.2", "S3.3", "S3.6"],
        nist=["AC-3", "AC-21"],
        hipaa=["164.312(a)(1)"],
        pci=["1.3.1"],
    ),
)
def nothing_admits_everyone(resource: Resource) -> Outcomes:
    if resource.type in (BUCKET, ACL, *_OBJECTS) and resource.switch("acl") in _PUBLIC_ACLS:
        yield resource.violation("acl", "admits everyone")
    if resource.type in _GRANTS:
        path, uri = _GRANTS[resource.type]
        for grant in resource.items(path):
            if str(grant.switch(uri, absent="")).endswith(_PUBLIC_GROUPS):
                yield grant.violation(uri, "admits everyone")
    if resource.type in _POLICIES:
        for statement in statements(resource, _POLICIES[resource.type]):
            if statement.allows and _for_everyone(statement):
                yield resource.violation(statement.path, "admits everyone")


# Keys that make a statement for everyone one for somebody (S3 User Guide, "The meaning of public").
_NARROWING = (
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:userid",
    "s3:DataAccessPointAccount",
    "s3:DataAccessPointArn",
)


def _for_everyone(statement: Statement) -> bool:
    if statement.not_principals:
        return True
    return statement.everyone and not any(_narrows(c) for c in statement.binding(*_NARROWING))


def _narrows(condition: Condition) -> bool:
    if condition.negated:
        return False
    return condition.key != "aws:sourceip" or all(_narrow_range(text) for text in condition.values)


def _narrow_range(text: str) -> bool:
    """Say whether a range is narrower than what S3 calls public: a /8 of IPv4, a /32 of IPv6."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= (8 if network.version == 4 else 32)


@catalogue.stack(
    "STO-03",
    "Every bucket refuses plain HTTP",
    severity=HIGH,
    on=BUCKET,
    remedy="Deny s3:* to everyone on the bucket and its objects where aws:SecureTransport is false.",
    references=References(
        cis=["2.1.1"], fsbp=["S3.5"], nist=["SC-8"], hipaa=["164.312(e)(1)"], pci=["4.2.1"]
    ),
)
def bucket_refuses_plain_http(bucket: Resource, stack: Stack) -> Outcomes:
    refused: set[str] = set()
    for statement in _bucket_statements(bucket, stack):
        if _refuses_plain_http(statement):
            refused |= set(statement.resources)
    if "*" not in refused and not {":::", ":::/*"} <= _without_name(refused, bucket):
        yield bucket.violation("", "has no policy that refuses plain HTTP on the bucket and its objects")


def _bucket_statements(bucket: Resource, stack: Stack) -> list[Statement]:
    policies = stack.referrers(bucket, "bucket", POLICY) or [bucket]
    return [statement for policy in policies for statement in statements(policy, "policy")]


_PLAIN_HTTP = ("bool", "aws:securetransport", ["false"])


def _plain(condition: Condition) -> tuple[str, str, list[str]]:
    operator = condition.operator.lower().removesuffix("ifexists")
    return operator, condition.key, [value.lower() for value in condition.values]


def _refuses_plain_http(statement: Statement) -> bool:
    return (
        not statement.allows
        and statement.everyone
        and any(action in ("s3:*", "*") for action in statement.actions)
        and [_plain(condition) for condition in statement.conditions] == [_PLAIN_HTTP]
    )


def _without_name(arns: set[str], bucket: Resource) -> set[str]:
    """Return the ARNs of this bucket with partition and name left out: ``:::`` and ``:::/*``."""
    name = bucket.reference("bucket", absent="")
    parts = [re.fullmatch(r"arn:aws[a-z-]*:s3:::([^/*]+)(/\*)?", arn) for arn in arns]
    return {f":::{part[2] or ''}" for part in parts if part and part[1] == name}


# --- nothing is lost or read ----------------------------------------------------------------------------------


@catalogue.stack(
    "STO-04",
    "Every bucket keeps versions",
    severity=HIGH,
    on=BUCKET,
    remedy="Add a BucketVersioning with status Enabled.",
    references=References(fsbp=["S3.14"], nist=["CP-9", "SI-7"], hipaa=["164.312(c)(1)"]),
)
def bucket_keeps_versions(bucket: Resource, stack: Stack) -> Outcomes:
    separate = stack.referrers(bucket, "bucket", "aws:s3/bucketVersioning:BucketVersioning")
    for versioning in separate:
        yield from per_item([versioning], _enabled)
    # S3 versions a bucket that is made with object lock, and never lets go of it.
    inline = _on(bucket, "versioning.enabled") or _on(bucket, "objectLockEnabled")
    if not separate and not inline:
        yield bucket.violation("", "keeps no versions, so what is overwritten is lost")


def _enabled(versioning: Node) -> Outcomes:
    if versioning.switch("versioningConfiguration.status") != "Enabled":
        yield versioning.violation("versioningConfiguration.status", "is not Enabled")


@catalogue.stack(
    "STO-05",
    "Every bucket is encrypted with a customer-managed key and a bucket key",
    severity=HIGH,
    on=BUCKET,
    remedy="Add a BucketServerSideEncryptionConfiguration with aws:kms, the key's ARN and bucket_key_enabled.",
    references=References(
        fsbp=["S3.17"], nist=["SC-28(1)"], hipaa=["164.312(a)(2)(iv)"], pci=["3.5.1"], atlas=["AML.M0012"]
    ),
)
def bucket_is_encrypted(bucket: Resource, stack: Stack) -> Outcomes:
    # Neither S3's server access logs nor a load balancer's can be delivered into a bucket with SSE-KMS (S3 User
    # Guide, "Enabling Amazon S3 server access logging"; User Guide for Application Load Balancers, "Enable
    # access logs"): one that takes these, and nothing else at all, may have SSE-S3.
    sse_s3 = all(algorithm == "AES256" for algorithm in _algorithms(bucket, stack))
    if sse_s3 and _takes_only_access_logs(bucket, stack):
        if _others_write(bucket, stack):
            yield bucket.violation("", "is without a key of ours, and takes more than access logs")
        return
    separate = _encryptions(bucket, stack)
    if not (any(encryption.has("rules") for encryption in separate) if separate else bucket.has(_INLINE)):
        yield bucket.violation("", "names no key, so S3's own is used")
    yield from per_item(separate, lambda encryption: per_item(encryption.items("rules"), _customer_key))
    if not separate:
        yield from per_item(bucket.items(_INLINE), _customer_key)


_BY_DEFAULT = "applyServerSideEncryptionByDefault"
_INLINE = "serverSideEncryptionConfiguration.rule"


def _encryptions(bucket: Resource, stack: Stack) -> list[Resource]:
    type_ = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    return stack.referrers(bucket, "bucket", type_)


def _algorithms(bucket: Resource, stack: Stack) -> list[object]:
    separate = _encryptions(bucket, stack)
    rules = [rule for encryption in separate for rule in encryption.items("rules")]
    return [_algorithm(rule) for rule in (rules if separate else bucket.items(_INLINE))]


def _algorithm(rule: Node) -> object:
    return rule.switch(f"{_BY_DEFAULT}.sseAlgorithm")


def _customer_key(rule: Node) -> Outcomes:
    key = f"{_BY_DEFAULT}.kmsMasterKeyId"
    algorithm = _algorithm(rule)
    if algorithm not in ("aws:kms", "aws:kms:dsse"):
        yield rule.violation(f"{_BY_DEFAULT}.sseAlgorithm", "is not aws:kms, so S3's own key is used")
    elif not rule.has(key):
        yield rule.violation(key, "names no key of ours, so AWS's own is used")
    elif rule.known(key) and "alias/aws/" in str(rule.reference(key)):
        yield rule.violation(key, "names a key that AWS manages, whose policy nobody can narrow")
    # There is no bucket key for dual-layer encryption.
    if algorithm == "aws:kms" and not _on(rule, "bucketKeyEnabled"):
        yield rule.violation("bucketKeyEnabled", "is not on, so every object costs a call to KMS")


LOG_DELIVERY = ("logging.s3.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com")
LOAD_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
_IDENTITY_POLICIES = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:iam/userPolicy:UserPolicy",
)


def _others_write(bucket: Resource, stack: Stack) -> bool:
    """Say whether the bucket's policy, or one that names the bucket, lets anybody but the log delivery put objects."""
    for statement in _bucket_statements(bucket, stack):
        others = any(p.kind != "Service" or p.name not in LOG_DELIVERY for p in statement.principals)
        if _puts_objects(statement) and (others or statement.not_principals):
            return True
    name = bucket.value.get("bucket")
    return any(
        _puts_objects(statement) and name in _named(list(statement.resources))
        for policy in stack.of(*_IDENTITY_POLICIES)
        if bucket.urn in policy.property_dependencies.get("policy", ())
        or name in _named(policy.value.get("policy"))
        for statement in statements(policy, "policy")
    )


def _puts_objects(statement: Statement) -> bool:
    return any(statement.grants(action) for action in ("s3:PutObject", "s3:ReplicateObject"))


@catalogue.stack(
    "STO-06",
    "Every bucket logs access, into a bucket that can take the logs",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Add a BucketLogging whose target bucket takes nothing else and is encrypted with SSE-S3.",
    references=References(
        cis=["3.4"],
        fsbp=["CloudTrail.7", "S3.9"],
        nist=["AU-2", "AU-12"],
        hipaa=["164.312(b)"],
        pci=["10.2.1"],
    ),
)
def bucket_logs_access(bucket: Resource, stack: Stack) -> Outcomes:
    loggings = stack.referrers(bucket, "bucket", LOGGING)
    targets = [target for logging in loggings for target in stack.targets(logging, "targetBucket", BUCKET)]
    if not loggings and bucket.has("logging.targetBucket"):
        targets = stack.targets(bucket, "logging.targetBucket", BUCKET)
    elif not loggings and not _takes_only_access_logs(bucket, stack):
        # A bucket of access logs would log the arrival of its own logs for ever.
        yield bucket.violation("", "does not log who reads and writes it")
    for target in targets:
        if any(str(algorithm).startswith("aws:kms") for algorithm in _algorithms(target, stack)):
            yield bucket.violation("", "logs into a bucket with SSE-KMS, where S3 delivers no logs")


# Services that S3 or a program may deliver to, and properties that do not deliver.
_OWN_PROPERTIES = ("bucket", "id", "policy", "logging", "targetBucket")
_PASSIVE: Mapping[str, tuple[str, ...]] = {
    TRAIL: ("eventSelectors", "advancedEventSelectors"),
    # Access logs too, and as bound to SSE-S3.
    **dict.fromkeys(LOAD_BALANCERS, ("accessLogs", "connectionLogs", "healthCheckLogs")),
}
_REACHING = ("aws:", "aws-native:", "kubernetes:")


def _takes_only_access_logs(bucket: Resource, stack: Stack) -> bool:
    """Say whether this bucket takes server access logs, a load balancer's perhaps, and nothing else uses it."""
    logged = stack.referrers(bucket, "targetBucket", LOGGING) + stack.referrers(
        bucket, "logging.targetBucket", BUCKET
    )
    if not logged or bucket.switch("tags.data-domain") not in (None, "logs"):
        return False
    return not stack.once(_users).get(bucket.urn, frozenset()) - {bucket.urn}


# An ARN, a URL or a host name of a bucket, wherever it stands in a text.
_BUCKET_NAME = re.compile(r"(?::::|//)([\w.-]+)|(?<![\w.-])([\w.-]+?)\.s3[.-]")


# Who may read the logs is IAM's affair; tables and saved queries read as well, and say nothing of what else is there.
_READING = ("aws:iam/", "aws:glue/catalogTable:", "aws:athena/namedQuery:")


def _users(stack: Stack) -> dict[str, set[str]]:
    """Return who uses each bucket, by its URN, apart from what guards it and who may read it."""
    buckets = {name: b.urn for b in stack.of(BUCKET) for name in (b.urn, *identifiers(b))}
    users: dict[str, set[str]] = {}
    for other in stack.resources:
        if other.type.startswith(_REACHING) and not other.type.startswith(_READING):
            for name in buckets.keys() & _names_in(other):
                users.setdefault(buckets[name], set()).add(other.urn)
    return users


def _passive(other: Resource) -> set[str]:
    passive = {"tags", "tagsAll", *_PASSIVE.get(other.type, ())}
    if other.type.startswith("aws:s3/bucket") and other.type not in _OBJECTS:
        passive |= set(_OWN_PROPERTIES)
    return passive


@remembered
def _names_in(other: Resource) -> frozenset[str]:
    """Return every text of what could use a bucket, the names of buckets in them, and what it is made of."""
    passive = _passive(other)
    used: set[str] = set()
    for key, value in other.value.items():
        if key not in passive:
            used |= {leaf for _, leaf in leaves(value) if isinstance(leaf, str)} | _named(value)
            used |= set(other.property_dependencies.get(key, ()))
    return frozenset(used)


def _named(value: object) -> set[str]:
    """Return what could be names of buckets in the texts of ``value``."""
    texts = [leaf for _, leaf in leaves(value) if isinstance(leaf, str)]
    return {name for text in texts for pair in _BUCKET_NAME.findall(text) for name in pair if name}


LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
LOCKED_DOMAINS = ("logs", "models", "backup")


@catalogue.stack(
    "STO-07",
    "Audit, model and backup buckets are locked: nobody rewrites or deletes before time",
    severity=HIGH,
    on=BUCKET,
    remedy="Make the bucket with object_lock_enabled and add a BucketObjectLockConfiguration with the "
    "profile's mode and days.",
    references=References(
        fsbp=["S3.15"],
        nist=["AU-9", "CP-9"],
        hipaa=["164.312(c)(1)"],
        pci=["10.3.4"],
        atlas=["AML.M0005"],
        owasp_ml=["ML10"],
    ),
)
def bucket_is_locked(bucket: Resource, stack: Stack) -> Outcomes:
    audit = bool(stack.referrers(bucket, "s3BucketName", TRAIL))
    domain = "logs" if audit else bucket.switch("tags.data-domain")
    # S3 delivers no server access logs into a locked bucket (S3 User Guide, "Object Lock considerations").
    if domain not in LOCKED_DOMAINS or _takes_only_access_logs(bucket, stack):
        return
    separate: Sequence[Node] = stack.referrers(bucket, "bucket", LOCK)
    locks = separate or bucket.items("objectLockConfiguration")
    if not locks:
        yield bucket.violation("", "is not locked, so what it holds can be rewritten and deleted")
    floors = stack.declared.floors
    least, mode = (floors.audit_lock_days, floors.lock_mode) if domain == "logs" else (1, "GOVERNANCE")
    modes = ("COMPLIANCE",) if mode == "COMPLIANCE" else ("GOVERNANCE", "COMPLIANCE")
    yield from per_item(locks, lambda lock: _retains(lock, modes, least))


def _retains(lock: Node, modes: Sequence[str], least: int) -> Outcomes:
    retention = "rule.defaultRetention"
    if lock.switch(f"{retention}.mode") not in modes:
        yield lock.violation(f"{retention}.mode", f"is not {' or '.join(modes)}")
    # A year of S3 is 365 days, so six years are two short of six calendar years.
    days = lock.number(f"{retention}.days") or 365 * lock.number(f"{retention}.years")
    if days < least:
        yield lock.violation(f"{retention}.days", f"lock objects for less than {least} days")


# --- keeping house --------------------------------------------------------------------------------------------


@catalogue.stack(
    "STO-08",
    "Every bucket aborts incomplete uploads and expires old versions",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Add a BucketLifecycleConfiguration with an enabled rule for the whole bucket that aborts "
    "incomplete uploads and expires noncurrent versions.",
    references=References(fsbp=["S3.10", "S3.13"], nist=["SI-12"], pci=["3.2.1"]),
)
def bucket_expires_remains(bucket: Resource, stack: Stack) -> Outcomes:
    type_ = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    separate = stack.referrers(bucket, "bucket", type_)
    if separate:
        rules = [rule for lifecycle in separate for rule in lifecycle.items("rules")]
        uploads, versions = "abortIncompleteMultipartUpload.daysAfterInitiation", "noncurrentDays"
    else:
        rules = bucket.items("lifecycleRules")
        uploads, versions = "abortIncompleteMultipartUploadDays", "days"
    whole = [rule for rule in rules if _enabled_for_all(rule)]
    if not any(rule.number(uploads) > 0 for rule in whole):
        yield bucket.violation("", "keeps what incomplete uploads leave behind, invisible and for ever")
    if not any(rule.number(f"noncurrentVersionExpiration.{versions}") > 0 for rule in whole):
        yield bucket.violation("", "keeps old versions for ever")


_FILTERS = ("prefix", "tag", "tags", "and", "objectSizeGreaterThan", "objectSizeLessThan")


def _enabled_for_all(rule: Node) -> bool:
    """Say whether a rule is on, and about the whole bucket."""
    if rule.switch("status") != "Enabled" and not _on(rule, "enabled"):
        return False
    narrow = [rule.switch(path) for key in _FILTERS for path in (key, f"filter.{key}")]
    return all(value in (None, "", 0, [], {}) for value in narrow)


@catalogue.stack(
    "STO-09",
    "Buckets of data and models replicate into another region where the profile asks for it",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Add a BucketReplicationConfig for the whole bucket, KMS objects included, into a bucket in the "
    "backup region.",
    references=References(
        fsbp=["S3.7"], nist=["CP-6", "CP-9"], hipaa=["164.308(a)(7)(ii)(A)"], pci=["10.3.3"]
    ),
)
def bucket_replicates(bucket: Resource, stack: Stack) -> Outcomes:
    asked = stack.declared.floors.replicated_buckets and not is_replica(bucket, stack)
    if not asked or bucket.switch("tags.data-domain") not in ("data", "models"):
        return
    separate = stack.referrers(bucket, "bucket", REPLICATION)
    if separate:
        rules = [rule for config in separate for rule in config.items("rules")]
        copies = [copy for config in separate for copy in stack.targets(config, "rules", BUCKET)]
    else:
        rules = bucket.items("replicationConfiguration.rules")
        copies = stack.targets(bucket, "replicationConfiguration", BUCKET)
    if not any(_enabled_for_all(rule) for rule in rules):
        yield bucket.violation("", "is not replicated as a whole, so it is lost with its region")
    elif not any(_replicates_encrypted(rule) for rule in rules if _enabled_for_all(rule)):
        yield bucket.violation("", "replicates no object that is encrypted with KMS")
    elif not any(region_of(copy) != region_of(bucket) for copy in copies):
        yield bucket.violation("", "replicates into no bucket of this stack in another region")


def _replicates_encrypted(rule: Node) -> bool:
    objects = "sourceSelectionCriteria.sseKmsEncryptedObjects"
    return rule.switch(f"{objects}.status") == "Enabled" or _on(rule, f"{objects}.enabled")


@catalogue.resource(
    "STO-10",
    "ACLs are disabled: the bucket's owner owns every object",
    severity=MEDIUM,
    on=(BUCKET, ACL, OWNERSHIP),
    remedy="Remove the ACL; set object_ownership to BucketOwnerEnforced.",
    references=References(fsbp=["S3.12"], nist=["AC-3", "AC-6"]),
)
def acls_are_disabled(resource: Resource) -> Outcomes:
    # A bucket without ownership controls is BucketOwnerEnforced (S3's default since April 2023).
    if resource.type == OWNERSHIP:
        if resource.switch("rule.objectOwnership") != "BucketOwnerEnforced":
            yield resource.violation("rule.objectOwnership", "lets ACLs decide beside the policy")
    elif resource.type == ACL:
        yield resource.violation("", "is an ACL; it needs ACLs to be enabled")
    else:
        for path in ("acl", "grants"):
            if resource.has(path):
                yield resource.violation(path, "is an ACL; it needs ACLs to be enabled")


@catalogue.stack(
    "STO-11",
    "The account blocks public access to every bucket, once a stack makes buckets",
    severity=MEDIUM,
    remedy="Add an AccountPublicAccessBlock with all four switches True.",
    references=References(
        cis=["2.1.4"], fsbp=["S3.1"], nist=["AC-3", "AC-21"], hipaa=["164.312(a)(1)"], pci=["1.3.1"]
    ),
)
def account_blocks_public_access(stack: Stack) -> Outcomes:
    blocks = stack.of(ACCOUNT_BLOCK)
    if stack.of(BUCKET) and not blocks:
        yield stack_violation("has buckets but no account-level block of public access")
    yield from per_item(blocks, _all_switches)


@catalogue.resource(
    "STO-12",
    "Outside dev no bucket is destroyed together with what it holds",
    severity=HIGH,
    on=(
        BUCKET,
        "aws:s3/directoryBucket:DirectoryBucket",
        "aws:s3/vectorsVectorBucket:VectorsVectorBucket",
        "aws:s3tables/tableBucket:TableBucket",
    ),
    remedy="Leave force_destroy False; empty the bucket by hand when it has to go.",
    references=References(nist=["CP-9", "SI-12"], hipaa=["164.312(c)(1)"]),
)
def bucket_outlives_a_mistake(bucket: Resource) -> Outcomes:
    if _on(bucket, "forceDestroy") and bucket.declared.environment != "dev":
        yield bucket.violation("forceDestroy", "deletes every object together with the bucket")


# --- shared ---------------------------------------------------------------------------------------------------


def _on(node: Node, path: str) -> bool:
    """Read a switch that is off by default."""
    return node.switch(path, absent=False) in (True, "true")
