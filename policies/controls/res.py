"""RES: nothing leaves the jurisdiction that the stack declares, and nothing is made by an unpinned provider."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.declarations import REQUIRED_TAGS, accounts_of
from machinery.documents import Condition, Statement, statements
from machinery.regions import JURISDICTIONS, REGION_PATTERN, region_of
from machinery.stack import AWS_PROVIDER, Stack
from machinery.subject import (
    Node,
    Outcome,
    Outcomes,
    Resource,
    Undecided,
    UnknownSwitch,
    Violation,
    per_item,
    remembered,
)
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

AWS_NATIVE_PROVIDER = "pulumi:providers:aws-native"
KUBERNETES_PROVIDER = "pulumi:providers:kubernetes"
BUCKET = "aws:s3/bucket:Bucket"
IAM_POLICY = "aws:iam/policy:Policy"
SERVICE_CONTROL_POLICY = "aws:organizations/policy:Policy"

# --- RES-01: every place that a property names -----------------------------------------------------------

GLOBAL_REGION = "us-east-1"
"""Where global services keep their regional side (AWS Fault Isolation Boundaries, "Global services")."""

_WEB_ACL_LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
_CERTIFICATE_VALIDATION = "aws:acm/certificateValidation:CertificateValidation"
# What global services take from us-east-1 and from nowhere else, and where they name it.
_TAKEN_FROM_US_EAST_1: Mapping[str, str] = {
    "aws:cloudfront/distribution:Distribution": "viewerCertificate.acmCertificateArn",
    "aws:route53/keySigningKey:KeySigningKey": "keyManagementServiceArn",
    "aws:route53/queryLog:QueryLog": "cloudwatchLogGroupArn",
}
_GLOBAL_MODULES = ("iam", "cloudfront", "organizations", "shield", "globalaccelerator", "budgets", "waf")


@catalogue.stack(
    "RES-01",
    "Everything that a region can be told of is in the declared jurisdiction",
    severity=CRITICAL,
    remedy="Use a provider in a region of the jurisdiction; name regions, zones, ARNs and endpoints of it only.",
    references=References(nist=["AC-4", "SA-9(5)"], hipaa=["164.308(b)(1)"], aws_ai=["AISF-GOV-02"]),
)
def everything_is_in_the_jurisdiction(stack: Stack) -> Outcomes:
    if not stack.of(AWS_PROVIDER) and not any(stack.matching("aws:")):
        return
    regions = _regions(stack)
    if not regions:
        yield stack_violation("declares no jurisdiction that is known, so no region is admitted")
        return
    edge = _bound_to_us_east_1(stack)
    unknown = 0
    for resource in stack.resources:
        admitted = regions | {GLOBAL_REGION} if resource.urn in edge else regions
        for outcome in _staying(resource, admitted):
            if isinstance(outcome, Violation):
                yield outcome
            else:
                unknown += 1
    # Before an update nearly everything refers to something without an ARN: one note says so, not hundreds.
    if unknown:
        yield Undecided(f"where {unknown} resources point")


def _regions(stack: Stack) -> frozenset[str]:
    return JURISDICTIONS.get(stack.declared.jurisdiction or "", frozenset())


def _bound_to_us_east_1(stack: Stack) -> set[str]:
    """Return the URNs of what AWS takes in us-east-1 alone, and of the providers that make nothing else."""
    bound = {r.urn for r in stack.matching("aws:wafv2/") if r.value.get("scope") == "CLOUDFRONT"}
    for type_, path in _TAKEN_FROM_US_EAST_1.items():
        bound = bound.union(*(stack.referred(taker, path) for taker in stack.of(type_)))
    for logging in stack.of(_WEB_ACL_LOGGING):
        bound |= {logging.urn} if stack.referred(logging, "resourceArn") & bound else set()
    for validation in stack.of(_CERTIFICATE_VALIDATION):
        pair = {validation.urn, *stack.referred(validation, "certificateArn")}
        bound |= pair if pair & bound else set()
    for provider in stack.of(AWS_PROVIDER):
        made = [resource for resource in stack.resources if resource.provider_urn == provider.urn]
        if made and all(resource.urn in bound or _module(resource) in _GLOBAL_MODULES for resource in made):
            bound.add(provider.urn)
    return bound


@remembered
def _staying(resource: Resource, regions: frozenset[str]) -> Sequence[Outcome]:
    return list(per_item([resource], lambda _: _stays(resource, regions)))


def _stays(resource: Resource, regions: frozenset[str]) -> Outcomes:
    unknown = ""
    for path, found in leaves(resource.value):
        if found is UNKNOWN:
            if path == "region":
                raise UnknownSwitch(path)
            unknown = unknown or path
        elif isinstance(found, str) and not _silent(path):
            for where, text in _texts(path, found):
                yield from _text_stays(resource, where, text, regions)
    if unknown:
        yield Undecided(unknown)


# What says nothing of where something is.
_SILENT = re.compile(
    r"(?:^|\.)(?:tags|tagsAll|defaultTags|description|comment)(?=$|[.\[])|aws:requestedregion", re.IGNORECASE
)


def _silent(path: str) -> bool:
    return _SILENT.search(path) is not None


def _texts(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the texts inside ``text`` where it is JSON or encoded user data, else ``text`` itself."""
    if path.lower().endswith(("userdata", "userdatabase64")):
        text = _decoded(text)
    parsed = _parsed(text) if text[:1] in ("{", "[") else None
    if parsed is None:
        yield path, text
        return
    for inner, found in leaves(parsed):
        where = f"{path}.{inner}"
        if isinstance(found, str) and not _silent(where):
            yield where, found


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return text


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text_stays(resource: Resource, path: str, text: str, regions: frozenset[str]) -> Outcomes:
    bare = _without_indices(path)
    if bare == _TAKEN_FROM_US_EAST_1.get(resource.type):
        regions |= {GLOBAL_REGION}
    if bare == "region" or (_REGION_KEY.search(bare) and _REGION_LIKE.fullmatch(text)):
        if text not in regions and (resource.type, bare) not in _PROBED_FROM:
            yield Violation(path, "is a region outside the jurisdiction")
    elif any(_elsewhere(region, regions) for region in _named_regions(text)):
        yield Violation(path, "names a place outside the jurisdiction")


_PROBED_FROM = {("aws:route53/healthCheck:HealthCheck", "regions")}
"""Regions from which Route 53 asks whether an address answers; nothing is kept there."""
_REGION_KEY = re.compile(r"regions?(?:name|names)?$", re.IGNORECASE)
_REGION_LIKE = re.compile(r"[a-z]{2,5}(?:-[a-z]+)+-\d{1,2}")
_PLACE = re.compile(rf"({REGION_PATTERN})(?:[a-z]|-[a-z]{{3}}-\d[a-z])?")
_ZONE_ID = re.compile(r"([a-z]{3,6}\d)-az\d{1,2}")
_ARN = re.compile(r"arn:aws[\w-]*:([\w*-]*):([^:\s\"',]*)(?::[^:\s\"',]*:(\w*))?")
_HOSTS = (
    re.compile(
        rf"(?<![a-z0-9])({REGION_PATTERN})\.(?:[a-z0-9-]+\.){{0,8}}(?:amazonaws\.com|api\.aws|on\.aws)"
    ),
    re.compile(rf"com\.amazonaws\.(?:vpce\.)?({REGION_PATTERN})(?![a-z0-9])"),
    re.compile(rf"(?<!requested)region[\"'\s:=]{{1,8}}({REGION_PATTERN})(?![a-z0-9])", re.IGNORECASE),
)


def _named_regions(text: str) -> Iterator[str]:
    """Yield the regions of the zones, ARNs, endpoints and settings in ``text``; ``*`` stands for any."""
    if whole := _PLACE.fullmatch(text):
        yield whole[1]
    if zone := _ZONE_ID.fullmatch(text):
        yield zone[1]
    for service, region, kind in _ARN.findall(text):
        # A web ACL of CloudFront, which is nowhere in particular, has an ARN in us-east-1.
        if region not in ("", "*") and not (service == "wafv2" and kind == "global"):
            yield region
    for host in _HOSTS:
        yield from host.findall(text)


def _elsewhere(region: str, regions: frozenset[str]) -> bool:
    if "*" in region or "?" in region:
        return not any(fnmatchcase(admitted, region) for admitted in regions)
    return region not in regions and region not in {_short(admitted) for admitted in regions}


def _short(region: str) -> str:
    """Return how the zone ids of a region begin: ``euc1`` for ``eu-central-1``, ``apse2``, ``usgw1``."""
    area, *middle, number = region.split("-")
    return area + "".join(_ABBREVIATED.get(word, word[0]) for word in middle) + number


_ABBREVIATED = {"northeast": "ne", "southeast": "se", "northwest": "nw", "southwest": "sw", "gov": "g"}


# --- RES-02: providers -----------------------------------------------------------------------------------

# Packages whose resources go to an account or a cluster; the components that the Kubernetes package brings
# along have no provider of their own.
_REACHING = ("aws:", "aws-native:", "kubernetes:")
_COMPONENTS = re.compile(r"kubernetes:(?:yaml|kustomize|helm\.sh/v\d+:Chart)")


@catalogue.stack(
    "RES-02",
    "Every provider is explicit and pinned to a region and to accounts; no default provider is used",
    severity=CRITICAL,
    remedy="Declare aws.Provider with region and allowed_account_ids (kubernetes.Provider with kubeconfig) and "
    "hand it to every resource.",
    references=References(nist=["CM-2", "CM-6", "SA-9(5)"]),
)
def providers_are_pinned(stack: Stack) -> Outcomes:
    yield from per_item(stack.of(AWS_PROVIDER, AWS_NATIVE_PROVIDER), _names_region_and_account)
    yield from per_item(stack.of(KUBERNETES_PROVIDER), _names_cluster)
    yield from per_item(stack.resources, _has_explicit_provider)


def _names_region_and_account(provider: Node) -> Outcomes:
    if not provider.switch("region"):
        yield provider.violation("region", "is missing, so the environment of whoever deploys decides")
    if not accounts_of(provider.value):
        yield provider.violation("allowedAccountIds", "are not named, so any account may be changed")


def _names_cluster(provider: Node) -> Outcomes:
    if not provider.has("kubeconfig") and not provider.has("renderYamlToDirectory"):
        yield provider.violation("kubeconfig", "is missing, so the context of whoever deploys decides")


def _has_explicit_provider(resource: Node) -> Outcomes:
    if not isinstance(resource, Resource) or not resource.type.startswith(_REACHING):
        return
    if _COMPONENTS.match(resource.type):
        return
    if not resource.provider_urn or resource.provider_urn.rpartition("::")[2].startswith("default"):
        yield resource.violation("", "is made by a default provider, wherever that happens to point")


# --- RES-03: where copies and logs go --------------------------------------------------------------------

# Where a resource names what it copies or delivers to: an ARN, a region, a bucket, a log group.
_DESTINATIONS: Mapping[str, Sequence[str]] = {
    "aws:alb/loadBalancer:LoadBalancer": (
        "accessLogs.bucket",
        "connectionLogs.bucket",
        "healthCheckLogs.bucket",
    ),
    "aws:apigateway/stage:Stage": ("accessLogSettings.destinationArn",),
    "aws:apigatewayv2/stage:Stage": ("accessLogSettings.destinationArn",),
    "aws:athena/workgroup:Workgroup": ("configuration.resultConfiguration.outputLocation",),
    "aws:backup/plan:Plan": ("rules.copyActions.destinationVaultArn",),
    "aws:cfg/deliveryChannel:DeliveryChannel": ("s3BucketName",),
    "aws:cloudfront/distribution:Distribution": ("loggingConfig.bucket",),
    "aws:cloudtrail/trail:Trail": ("s3BucketName", "cloudWatchLogsGroupArn"),
    "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter": ("destinationArn",),
    "aws:dynamodb/globalTable:GlobalTable": ("replicas.regionName",),
    "aws:dynamodb/table:Table": ("replicas.regionName",),
    "aws:ec2/flowLog:FlowLog": ("logDestination",),
    "aws:ecr/replicationConfiguration:ReplicationConfiguration": (
        "replicationConfiguration.rules.destinations.region",
    ),
    "aws:elb/loadBalancer:LoadBalancer": ("accessLogs.bucket",),
    "aws:guardduty/publishingDestination:PublishingDestination": ("destinationArn",),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "extendedS3Configuration.bucketArn",
        "extendedS3Configuration.s3BackupConfiguration.bucketArn",
    ),
    "aws:lb/loadBalancer:LoadBalancer": (
        "accessLogs.bucket",
        "connectionLogs.bucket",
        "healthCheckLogs.bucket",
    ),
    "aws:networkfirewall/loggingConfiguration:LoggingConfiguration": (
        "loggingConfiguration.logDestinationConfigs.logDestination.bucketName",
        "loggingConfiguration.logDestinationConfigs.logDestination.logGroup",
        "loggingConfiguration.logDestinationConfigs.logDestination.deliveryStream",
    ),
    "aws:rds/clusterSnapshotCopy:ClusterSnapshotCopy": ("destinationRegion",),
    "aws:rds/snapshotCopy:SnapshotCopy": ("destinationRegion",),
    "aws:redshift/logging:Logging": ("bucketName",),
    "aws:redshift/snapshotCopy:SnapshotCopy": ("destinationRegion",),
    "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig": ("destinationArn",),
    BUCKET: ("replicationConfiguration.rules.destination.bucket", "logging.targetBucket"),
    "aws:s3/bucketLogging:BucketLogging": ("targetBucket",),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": ("rules.destination.bucket",),
    "aws:s3/inventory:Inventory": ("destination.bucket.bucketArn",),
    "aws:secretsmanager/secret:Secret": ("replicas.region",),
    _WEB_ACL_LOGGING: ("logDestinationConfigs",),
}


@catalogue.stack(
    "RES-03",
    "Backups, replicas and logs stay in the jurisdiction",
    severity=HIGH,
    on=tuple(_DESTINATIONS),
    remedy="Copy and log into a bucket, vault or log group of the stack, in a region of the jurisdiction.",
    references=References(nist=["AC-4", "CP-6", "SA-9(5)"], hipaa=["164.308(b)(1)"]),
)
def copies_stay(resource: Resource, stack: Stack) -> Outcomes:
    regions = _regions(stack)
    paths = _DESTINATIONS[resource.type]
    for path, found in leaves(resource.value):
        bare = _without_indices(path)
        if found is UNKNOWN and any(asked == bare or asked.startswith(f"{bare}.") for asked in paths):
            yield from _unknown_stays(resource, path, regions, stack)
        elif isinstance(found, str) and found and bare in paths:
            yield from _destination_stays(resource, path, found, regions, stack)


def _unknown_stays(resource: Resource, path: str, regions: frozenset[str], stack: Stack) -> Outcomes:
    """Trace an unknown destination to the resources that its property is made of."""
    urns = resource.property_dependencies.get(re.split(r"[.\[]", path)[0], ())
    places = [stack.by_urn[urn] for urn in urns if urn in stack.by_urn]
    if not places:
        yield Undecided(path)
    if any(region_of(place) not in regions for place in places if place.type.startswith("aws:")):
        yield resource.violation(path, "is outside the jurisdiction")


def _destination_stays(
    resource: Resource, path: str, text: str, regions: frozenset[str], stack: Stack
) -> Outcomes:
    named = stack.named(text) or stack.named(_bucket_in(text))
    places = list(_named_regions(text)) or [region_of(p) for p in named if p.type.startswith("aws:")]
    if not places:
        yield resource.violation(path, "is in no region that this stack shows")
    elif any(place not in regions for place in places):
        yield resource.violation(path, "is outside the jurisdiction")


def _bucket_in(text: str) -> str:
    """Return the name of the bucket in an ARN, an ``s3://`` URL or a host name."""
    found = re.match(r"(?:arn:aws[\w-]*:s3:::|s3://)?([\w-]+(?:\.(?!s3[.-])[\w-]+)*)", text)
    return found[1] if found else ""


# --- RES-04: tags ----------------------------------------------------------------------------------------


@catalogue.stack(
    "RES-04",
    "Every AWS provider declares owner, environment, classification, profile and jurisdiction, and all agree",
    severity=HIGH,
    remedy="Give every aws.Provider the same default_tags: owner, environment, data-classification, profile, "
    "jurisdiction.",
    references=References(nist=["AC-16", "CM-8"]),
)
def providers_declare_the_same(stack: Stack) -> Outcomes:
    providers = stack.of(AWS_PROVIDER)
    for provider in providers:
        for tag in REQUIRED_TAGS:
            if not provider.declared.tags.get(tag):
                yield Violation(f"defaultTags.tags.{tag}", "is missing", urn=provider.urn)
    for tag in REQUIRED_TAGS:
        if len({provider.declared.tags.get(tag) for provider in providers} - {None, ""}) > 1:
            yield stack_violation(f"has providers that disagree about {tag}")


# --- RES-05: eligible services ---------------------------------------------------------------------------


def _modules(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Modules of pulumi-aws. Services that configure and watch but are given no customer content.
_WITHOUT_CONTENT = _modules(
    "accessanalyzer account autoscaling appautoscaling budgets iam organizations ram resourcegroups "
    "servicequotas signer"
)
# On every one of the three lists below.
_COMMON = _modules(
    "acm alb apigateway apigatewayv2 athena backup batch cfg cloudformation cloudfront cloudtrail cloudwatch "
    "codebuild cognito directconnect dms docdb dynamodb ebs ec2 ec2transitgateway ecr ecs efs eks elasticache "
    "elb emr fsx glacier glue guardduty inspector inspector2 kinesis kms lambda lb macie2 mq msk neptune "
    "networkfirewall opensearch rds redshift route53 s3 s3control sagemaker scheduler secretsmanager "
    "securityhub sfn shield sns sqs ssm transfer vpc waf wafregional wafv2 xray"
)
# Kept short: a fork that uses another service of its list adds it here.
_ELIGIBLE: Mapping[str, frozenset[str]] = {
    # AWS, "HIPAA Eligible Services Reference".
    "hipaa": _COMMON | _modules("bedrock comprehend detective kendra lakeformation lex rekognition"),
    # AWS, "AWS Services in Scope by Compliance Program", PCI DSS.
    "pci": _COMMON | _modules("detective lakeformation"),
    # AWS, "AWS Services in Scope by Compliance Program", FedRAMP.
    "government": _COMMON | _modules("comprehend detective rekognition"),
}
_NO_LIST = ("baseline", "gdpr", "finance", "education", "energy")
"""Regimes for which nobody keeps a list of services."""
_UNRESTRICTED = ("public", "internal")


@catalogue.stack(
    "RES-05",
    "Restricted data meets only services that the profile's list of eligible services has",
    severity=HIGH,
    remedy="Use an eligible service; tag data-classification as public or internal what never sees such data.",
    references=References(nist=["SA-9", "CA-3"], hipaa=["164.308(b)(1)"], pci=["12.8.2"]),
)
def services_are_eligible(stack: Stack) -> Outcomes:
    profile = stack.declared.profile
    if profile in _NO_LIST:
        return
    # No profile, or one that is unknown here: what is on the shortest list is on all.
    eligible = _ELIGIBLE.get(profile or "", _COMMON) | _WITHOUT_CONTENT
    others = [r for r in stack.resources if r.type.startswith("aws:") and _module(r) not in eligible]
    yield from per_item(others, lambda other: _is_unrestricted(other, stack))


def _is_unrestricted(other: Node, stack: Stack) -> Outcomes:
    said = other.switch("tags.data-classification") or stack.declared.tags.get("data-classification")
    if said not in _UNRESTRICTED:
        yield other.violation("", "belongs to a service that is not on the profile's list of eligible ones")


# --- RES-06: a boundary on regions -----------------------------------------------------------------------

# One action of each service that could carry data away; a refusal that leaves one of them out is none.
_PROBES = (
    "backup:startcopyjob",
    "dynamodb:createtable",
    "ec2:runinstances",
    "eks:createcluster",
    "lambda:createfunction",
    "logs:createloggroup",
    "rds:createdbinstance",
    "s3:createbucket",
    "s3:putobject",
    "sagemaker:createtrainingjob",
    "secretsmanager:createsecret",
)


@catalogue.stack(
    "RES-06",
    "A boundary or a service control policy denies every role the regions outside the jurisdiction",
    severity=MEDIUM,
    on="aws:iam/role:Role",
    remedy="Deny, in the role's permissions boundary, all but global services where aws:RequestedRegion is not "
    "one of the jurisdiction's.",
    references=References(nist=["AC-3", "AC-6", "SA-9(5)"], aws_ai=["AISF-GOV-02"]),
)
def role_stays(role: Resource, stack: Stack) -> Outcomes:
    regions = _regions(stack)
    documents = [
        *((policy, "policy") for policy in stack.targets(role, "permissionsBoundary", IAM_POLICY)),
        *((policy, "content") for policy in stack.of(SERVICE_CONTROL_POLICY)),
    ]
    # Known documents first: what one of them denies is denied, whatever the others say.
    documents.sort(key=lambda document: not document[0].known(document[1]))
    for policy, path in documents:
        if any(_denies_elsewhere(statement, regions) for statement in statements(policy, path)):
            return
    if role.has("permissionsBoundary") and not stack.targets(role, "permissionsBoundary", IAM_POLICY):
        yield Undecided("what the permissionsBoundary of another stack denies")
    else:
        yield role.violation("permissionsBoundary", "does not deny other regions")


def _denies_elsewhere(statement: Statement, regions: frozenset[str]) -> bool:
    return (
        not statement.allows
        and statement.every_resource
        and all(_denies(statement, action) for action in _PROBES)
        and any(condition.key == "aws:requestedregion" for condition in statement.conditions)
        and all(_spares_only(condition, regions) for condition in statement.conditions)
    )


def _denies(statement: Statement, action: str) -> bool:
    if statement.not_actions:
        return not any(fnmatchcase(action, pattern) for pattern in statement.not_actions)
    return any(fnmatchcase(action, pattern) for pattern in statement.actions)


def _spares_only(condition: Condition, regions: frozenset[str]) -> bool:
    """Say whether a condition of the refusal spares the jurisdiction's regions and nothing else."""
    operator = condition.operator.lower().removesuffix("ifexists")
    return (
        condition.key == "aws:requestedregion"
        and operator in ("stringnotequals", "stringnotequalsignorecase", "stringnotlike")
        and set(condition.values) <= regions
    )


# --- shared ----------------------------------------------------------------------------------------------


def _module(resource: Resource) -> str:
    """Return the module of a type token: ``s3`` of ``aws:s3/bucket:Bucket``."""
    return resource.type.split(":")[1].partition("/")[0]


def _without_indices(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)
