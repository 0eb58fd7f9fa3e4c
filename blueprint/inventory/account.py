"""Lists what there is in an account: whatever carries a tag, and every kind that attackers leave behind, tagged or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blueprint.bootstrap.cloud import Cloud, unless
from blueprint.bootstrap.thing import tags_of


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing in the account."""

    kind: str
    """What it is: ``S3 bucket``, or the service and type of its ARN."""
    name: str
    region: str
    """``global`` where the service is."""
    ids: frozenset[str]
    """Under any of these a stack may know it: id, name, ARN."""
    owners: frozenset[str] = frozenset()
    """What it belongs to and goes with, by the tags that AWS gives it: a group of machines, a cluster, a database."""
    amazons: str = ""
    """Why it is AWS's own, and nobody's to own; empty where it is not."""
    warning: str = ""
    """What makes it worth a look at once."""


_OWNER_TAGS = (
    "aws:autoscaling:groupName",
    "aws:backup:source-resource",
    "aws:eks:cluster-name",
    "aws:rds:primaryDBInstanceArn",
)
"""Tags by which services of AWS say for what they made something. Nobody else can give a tag that begins with aws:
(Tagging AWS Resources User Guide, "Tag naming limits and requirements"); others, anybody could hide behind."""

UNIQUE = re.compile(r"arn:.+|[a-z]+-[0-9a-f]{8,17}")
"""An ARN, or an id that AWS made up: no two things have it."""

Lister = Callable[[Cloud, str], Iterator[Item]]

GLOBAL = "global"


def take(cloud: Cloud, regions: Sequence[str]) -> list[Item]:
    """Return everything in these regions and in the global services, each once, by kind and name."""
    found = [item for lister in EVERYWHERE for item in lister(cloud, regions[0])]
    found += [item for region in regions for lister in IN_A_REGION for item in lister(cloud, region)]
    # What a direct listing has told already is told better there. A name alone says nothing: many kinds share it.
    known = {each for item in found for each in item.ids if UNIQUE.fullmatch(each)}
    found += [item for region in regions for item in _tagged(cloud, region) if not item.ids & known]
    return sorted(set(found), key=lambda item: (item.kind, item.region, item.name))


def _item(
    kind: str,
    name: Any,
    region: str,
    *ids: Any,
    amazons: str = "",
    warning: str = "",
    tags: Mapping[str, str] | None = None,
    owner: str = "",
) -> Item:
    owners = [(tags or {}).get(key) for key in _OWNER_TAGS]
    return Item(
        kind=kind,
        name=str(name),
        region=region,
        ids=frozenset(str(each) for each in (name, *ids) if each),
        owners=frozenset(str(each) for each in (owner, *owners) if each),
        amazons=amazons,
        warning=warning,
    )


def _buckets(cloud: Cloud, region: str) -> Iterator[Item]:
    for bucket in cloud.every("s3", "list_buckets", "Buckets", region):
        name = bucket["Name"]
        yield _item("S3 bucket", name, GLOBAL, f"arn:aws:s3:::{name}", bucket.get("BucketArn"))


def _roles(cloud: Cloud, region: str) -> Iterator[Item]:
    for role in cloud.every("iam", "list_roles", "Roles", region):
        path = role["Path"]
        amazons = ""
        if path.startswith("/aws-service-role/"):
            amazons = "a service-linked role"
        elif path.startswith("/aws-reserved/"):
            amazons = "a role of IAM Identity Center"
        yield _item("IAM role", role["RoleName"], GLOBAL, role["Arn"], amazons=amazons)


def _policies(cloud: Cloud, region: str) -> Iterator[Item]:
    for policy in cloud.every("iam", "list_policies", "Policies", region, Scope="Local"):
        yield _item("IAM policy", policy["PolicyName"], GLOBAL, policy["Arn"])


def _users(cloud: Cloud, region: str) -> Iterator[Item]:
    for user in cloud.every("iam", "list_users", "Users", region):
        name = user["UserName"]
        keys = list(cloud.every("iam", "list_access_keys", "AccessKeyMetadata", region, UserName=name))
        yield _item("IAM user", name, GLOBAL, user["Arn"], warning="has an access key" if keys else "")
        for key in keys:
            told = f"of {name}, {key['Status'].lower()}"
            yield _item("access key", key["AccessKeyId"], GLOBAL, warning=told, owner=user["Arn"])


def _providers(cloud: Cloud, region: str) -> Iterator[Item]:
    for each in cloud.every("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList", region):
        yield _item("identity provider", each["Arn"].partition("/")[2], GLOBAL, each["Arn"])
    for each in cloud.every("iam", "list_saml_providers", "SAMLProviderList", region):
        own = "/AWSSSO_" in each["Arn"]
        yield _item(
            "identity provider",
            each["Arn"].partition("/")[2],
            GLOBAL,
            each["Arn"],
            amazons="of IAM Identity Center" if own else "",
        )


def _security_groups(cloud: Cloud, region: str) -> Iterator[Item]:
    for group in cloud.every("ec2", "describe_security_groups", "SecurityGroups", region):
        opened = _open_to_the_world(group)
        # It comes with its VPC and cannot be deleted; as it came, it lets in its own members alone.
        own = group["GroupName"] == "default" and not opened
        yield _item(
            "security group",
            group["GroupId"],
            region,
            amazons="a VPC's default group" if own else "",
            warning=f"open to the world: {opened}" if opened else "",
            tags=tags_of(group.get("Tags")),
        )


def _open_to_the_world(group: Mapping[str, Any]) -> str:
    """Return the ports that anybody reaches; empty where there are none."""
    ports = []
    for rule in group["IpPermissions"]:
        ranges = [each["CidrIp"] for each in rule.get("IpRanges", ())]
        ranges += [each["CidrIpv6"] for each in rule.get("Ipv6Ranges", ())]
        if {"0.0.0.0/0", "::/0"} & set(ranges):
            first, last = rule.get("FromPort"), rule.get("ToPort")
            ports.append(
                "every port" if first is None else str(first) if first == last else f"{first}-{last}"
            )
    return ", ".join(sorted(set(ports)))


def _vpcs(cloud: Cloud, region: str) -> Iterator[Item]:
    for vpc in cloud.every("ec2", "describe_vpcs", "Vpcs", region):
        own = "the region's default VPC" if vpc["IsDefault"] else ""
        yield _item("VPC", vpc["VpcId"], region, amazons=own, tags=tags_of(vpc.get("Tags")))


def _instances(cloud: Cloud, region: str) -> Iterator[Item]:
    for reservation in cloud.every("ec2", "describe_instances", "Reservations", region):
        for machine in reservation["Instances"]:
            if machine["State"]["Name"] == "terminated":
                continue
            tags = tags_of(machine.get("Tags"))
            address = machine.get("PublicIpAddress")
            yield _item(
                "EC2 instance",
                machine["InstanceId"],
                region,
                warning=f"has a public address, {address}" if address else "",
                tags=tags,
            )


def _addresses(cloud: Cloud, region: str) -> Iterator[Item]:
    for address in cloud.every("ec2", "describe_addresses", "Addresses", region):
        yield _item(
            "public address",
            address["PublicIp"],
            region,
            address.get("AllocationId"),
            tags=tags_of(address.get("Tags")),
        )


def _databases(cloud: Cloud, region: str) -> Iterator[Item]:
    for database in cloud.every("rds", "describe_db_instances", "DBInstances", region):
        yield _item(
            "RDS instance",
            database["DBInstanceIdentifier"],
            region,
            database.get("DBInstanceArn"),
            database.get("DbiResourceId"),
            warning="is public" if database.get("PubliclyAccessible") else "",
        )


def _keys(cloud: Cloud, region: str) -> Iterator[Item]:
    aliases: dict[str, list[str]] = {}
    for alias in cloud.every("kms", "list_aliases", "Aliases", region):
        if alias.get("TargetKeyId"):
            aliases.setdefault(alias["TargetKeyId"], []).append(str(alias["AliasName"]))
    client = cloud.client("kms", region)
    for key in cloud.every("kms", "list_keys", "Keys", region):
        names = aliases.get(key["KeyId"], [])
        if any(name.startswith("alias/aws/") for name in names):
            yield _item("KMS key", names[0], region, key["KeyId"], amazons="a key of AWS's own")
            continue
        told = unless(("AccessDeniedException",), lambda: client.describe_key(KeyId=key["KeyId"]))  # noqa: B023
        known = told["KeyMetadata"] if told else {}
        if known.get("KeyManager") == "AWS":
            yield _item("KMS key", key["KeyId"], region, amazons="a key of AWS's own")
        elif known.get("KeyState") != "PendingDeletion":
            yield _item("KMS key", names[0] if names else key["KeyId"], region, key["KeyId"], key["KeyArn"])


def _functions(cloud: Cloud, region: str) -> Iterator[Item]:
    for function in cloud.every("lambda", "list_functions", "Functions", region):
        yield _item("Lambda function", function["FunctionName"], region, function["FunctionArn"])


def _clusters(cloud: Cloud, region: str) -> Iterator[Item]:
    for name in cloud.every("eks", "list_clusters", "clusters", region):
        yield _item("EKS cluster", name, region)


def _tagged(cloud: Cloud, region: str) -> Iterator[Item]:
    """Yield whatever carries a tag, of every service that takes part in the tagging API."""
    for each in cloud.every("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", region):
        arn = str(each["ResourceARN"])
        _, _, service, _, _, resource = arn.split(":", 5)
        kind, name = [*re.split("[:/]", resource, maxsplit=1), ""][:2]
        if (service, kind) == ("eks", "cluster"):
            continue
        made_up = name.rpartition("/")[2]
        yield _item(
            f"{service} {kind}" if name else service,
            name or resource,
            region,
            arn,
            made_up if UNIQUE.fullmatch(made_up) else "",
            tags=tags_of(each.get("Tags")),
        )


EVERYWHERE: tuple[Lister, ...] = (_buckets, _roles, _policies, _users, _providers)
"""Asked once: these services are the same from every region."""

IN_A_REGION: tuple[Lister, ...] = (
    _vpcs,
    _security_groups,
    _instances,
    _addresses,
    _databases,
    _keys,
    _functions,
    _clusters,
)
"""Asked in each region. Their items are listed whether they carry a tag or not."""
