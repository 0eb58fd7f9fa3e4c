"""The operators: each has one idea of how to make something insecure, and finds every place where it applies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from blueprint.graph import PROVIDER_PREFIX, Resource
from blueprint.mutation import foreign, pods, statements, tables
from blueprint.mutation.mutant import Edit, Path, Scene, bare, leaves, nodes, written

STRANGER = statements.STRANGER

Find = Callable[[Scene, Resource], Iterator[Edit]]

AWS = "aws:"
KUBERNETES = "kubernetes:"

WORLD = "0.0.0.0/0"
WORLD_V6 = "::/0"

ELSEWHERE = "cn-north-1"
"""A region that is in no jurisdiction that stacks can be of; its partition is another one, too."""


@dataclass(frozen=True)
class Operator:
    """``families`` see its edits whatever the resource, beside those that belong to the resource's type."""

    name: str
    idea: str
    families: frozenset[str]
    find: Find


OPERATORS: list[Operator] = []


def operator(name: str, idea: str, *families: str) -> Callable[[Find], Find]:
    """Add an operator."""

    def add(find: Find) -> Find:
        OPERATORS.append(Operator(name, idea, frozenset(families), find))
        return find

    return add


@operator("flip-switch", "a security switch has its other value")
def flip(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        secure = tables.row(tables.SWITCHES, resource.type, path)
        if secure is None or tables.row(tables.NEUTRAL, resource.type, path) is not None:
            continue
        flipped = {True: False, False: True, "true": "false", "false": "true", "Enabled": "Disabled"}
        is_secure = value is secure or value == str(secure).lower()
        if is_secure and value in flipped:
            other = flipped[value]
            yield Edit(
                field=written(path), what=f"{value} → {other}", changed=(scene.put(resource, path, other),)
            )


@operator("weaken-choice", "a choice is a weaker one")
def weaken(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        for weaker in tables.row(tables.ENUMS, resource.type, path) or ():
            if weaker != value and value not in _WITHOUT_FORCE and not _as_weak(value, weaker):
                yield Edit(
                    field=written(path),
                    what=f"{_short(value)} → {_short(weaker)}",
                    changed=(scene.put(resource, path, weaker),),
                )


def _as_weak(value: Any, weaker: Any) -> bool:
    """Say whether the value is an administrator's already."""
    return all(str(each).endswith("AdminPolicy") for each in (value, weaker))


@operator("shorten", "something is kept for a shorter time, or bounded less", "RED", "AUD")
def shorten(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        if isinstance(value, int) and not isinstance(value, bool):
            for weaker in tables.row(tables.SHORTENED, resource.type, path) or ():
                if weaker != value:
                    yield Edit(
                        field=written(path),
                        what=f"{value} → {weaker}",
                        changed=(scene.put(resource, path, weaker),),
                    )


_OPTIONAL = dict.fromkeys(tables.OPTIONAL, True)


@operator("leave-out", "a protection is left out of a resource", "KEY", "AUD", "RED")
def leave_out(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in nodes(resource.inputs):
        if isinstance(path[-1], str) and value not in ([], {}) and tables.row(_OPTIONAL, resource.type, path):
            yield Edit(field=written(path), what="left out", changed=(scene.without(resource, path),))


@operator("shrink-list", "something is taken out of a list of protections", "AUD")
def shrink(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in nodes(resource.inputs):
        if isinstance(value, list) and path[-1] in _LISTS and value:
            for index, item in enumerate(value):
                if item in _WITHOUT_FORCE:
                    continue
                rest = [other for at, other in enumerate(value) if at != index]
                yield Edit(
                    field=f"{written(path)}[{index}]",
                    what=f"{_short(item) if isinstance(item, str) else 'item'} taken out",
                    changed=(scene.put(resource, path, rest),),
                )


_LISTS = (
    "additionalConfigurations",
    "advancedEventSelectors",
    "drop",
    "enabledCloudwatchLogsExports",
    "enabledClusterLogTypes",
    "policyTypes",
    "redactedFields",
    "resourceTypes",
    "taints",
    "validationActions",
    "validations",
)


# Of a binding that denies: it only writes down what was denied.
_WITHOUT_FORCE = ("Audit",)


@operator(
    "drop-key",
    "something is no longer encrypted with a key of ours",
    "KEY",
    "STO",
    "AUD",
    "RED",
    "DAT",
    "EKS",
)
def drop_key(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        if path[-1] in tables.KEYS and isinstance(value, str):
            yield Edit(field=written(path), what="left out", changed=(scene.without(resource, path),))


@operator("swap-key", "something is encrypted with another key", "KEY", "STO", "AUD", "RED", "DAT", "EKS")
def swap_key(scene: Scene, resource: Resource) -> Iterator[Edit]:
    keys = {
        str(key.inputs.get("tags", {}).get("data-domain")): key
        for key in scene.of("aws:kms/key:Key")
        if key.provider == resource.provider
        and key.inputs.get("keyUsage", "ENCRYPT_DECRYPT") != "SIGN_VERIFY"
    }
    for path, value in leaves(resource.inputs):
        if path[-1] not in tables.KEYS or not isinstance(value, str):
            continue
        owner = scene.by_urn.get(scene.owner.get(value, ""))
        domain = str(owner.inputs.get("tags", {}).get("data-domain")) if owner else ""
        for other, key in sorted(keys.items()):
            if other not in (domain, "None") and key.outputs.get("arn") != value:
                yield Edit(
                    field=written(path),
                    what=f"the key of {domain or 'its domain'} → that of {other}",
                    changed=(scene.put(resource, path, key.outputs["arn"]),),
                )
                break
        foreign_key = f"arn:aws:kms:us-east-1:{STRANGER}:key/11111111-2222-3333-4444-555555555555"
        for what, weaker in (("AWS's own key", "alias/aws/ebs"), ("a stranger's key", foreign_key)):
            yield Edit(
                field=written(path),
                what=f"the key of {domain or 'its domain'} → {what}",
                changed=(scene.put(resource, path, weaker),),
            )


@operator("widen-range", "a range of addresses is the world", "NET", "ACC", "EDG", "DAT")
def widen(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        if not isinstance(value, str) or bare(path).rpartition(".")[2] not in _RANGES:
            continue
        world = WORLD_V6 if ":" in value else WORLD
        if value == world or not _admits(resource, path):
            continue
        yield Edit(
            field=written(path), what=f"{value} → {world}", changed=(scene.put(resource, path, world),)
        )


_RANGES = ("cidrIpv4", "cidrIpv6", "cidrBlocks", "cidr", "cidrBlock", "addresses", "publicAccessCidrs")
# WAF takes no /0 at all.
_NO_FILTER = ("aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:wafv2/ipSet:IpSet")


def _admits(resource: Resource, path: Path) -> bool:
    """Say whether the range at ``path`` lets something in or out (a VPC's and a subnet's own range do not)."""
    if resource.type == "aws:ec2/networkAcl:NetworkAcl":
        entry: Any = resource.inputs
        for step in path[:2]:
            entry = entry[step]
        return bool(entry.get("action") == "allow")
    return resource.type not in _NO_FILTER


@operator("narrow-block", "an address range that is shut out is no longer", "NET")
def narrow(scene: Scene, resource: Resource) -> Iterator[Edit]:
    if resource.type == "aws:ec2/networkAcl:NetworkAcl":
        for side in ("ingress", "egress"):
            for index, entry in enumerate(resource.inputs.get(side, [])):
                if entry.get("action") == "deny":
                    yield Edit(
                        field=f"{side}[{index}]",
                        what="denial taken out",
                        changed=(scene.without(resource, (side, index)),),
                    )
    for path, value in leaves(resource.inputs):
        if bare(path).endswith("ipBlock.except"):
            yield Edit(
                field=written(path), what=f"{value} taken out", changed=(scene.without(resource, path),)
            )


_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


@operator(
    "open-rule", "a rule of a security group admits more", "NET", "ACC", "DAT", "EKS", "GPU", "EDG", "MLS"
)
def open_rule(scene: Scene, resource: Resource) -> Iterator[Edit]:
    if resource.type not in (_INGRESS, _EGRESS):
        return
    peer = {"cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId"}
    kept = {key: value for key, value in resource.inputs.items() if key not in peer}
    wide = {**kept, "cidrIpv4": WORLD}
    every_port = {key: value for key, value in wide.items() if key not in ("fromPort", "toPort")}
    yield Edit(
        field="ipProtocol",
        what="the world on every port",
        changed=(scene.with_inputs(resource, {**every_port, "ipProtocol": "-1"}),),
    )
    if resource.type == _INGRESS:
        for port in (22, 5432):
            opened = {**wide, "fromPort": port, "toPort": port, "ipProtocol": "tcp"}
            yield Edit(
                field="fromPort",
                what=f"the world on port {port}",
                changed=(scene.with_inputs(resource, opened),),
            )
        if kept.get("fromPort") not in (80, 443):
            yield Edit(
                field="cidrIpv4",
                what="the world in the place of its peer",
                changed=(scene.with_inputs(resource, wide),),
            )


@operator(
    "move-subnet", "something stands in a subnet of another tier", "NET", "GPU", "DAT", "EKS", "RED", "EDG"
)
def move_subnet(scene: Scene, resource: Resource) -> Iterator[Edit]:
    tiers: dict[str, list[Resource]] = {}
    for subnet in scene.of("aws:ec2/subnet:Subnet"):
        tiers.setdefault(str(subnet.inputs.get("tags", {}).get("tier")), []).append(subnet)
    tier_of = {subnet.id: tier for tier, subnets in tiers.items() for subnet in subnets}
    for path, value in nodes(resource.inputs):
        ids = value if isinstance(value, list) else [value]
        if path[-1] not in _SUBNETS or not all(isinstance(each, str) and each in tier_of for each in ids):
            continue
        here = tier_of[ids[0]]
        for tier in _LESS_GUARDED.get(here, ()):
            moved = [subnet.id for subnet in tiers.get(tier, [])][: len(ids)]
            if moved:
                new = moved if isinstance(value, list) else moved[0]
                yield Edit(
                    field=written(path), what=f"{here} → {tier}", changed=(scene.put(resource, path, new),)
                )


_SUBNETS = ("subnetIds", "subnets", "subnetId", "vpcZoneIdentifiers")
_LESS_GUARDED = {"isolated": ("private", "public"), "private": ("public",)}
_PLACED = "aws:ec2/routeTableAssociation:RouteTableAssociation"


@operator("swap-routes", "a subnet has the routes of another tier", "NET", "GPU", "DAT")
def swap_routes(scene: Scene, resource: Resource) -> Iterator[Edit]:
    if resource.type != _PLACED:
        return
    tables_by_tier = {
        str(table.inputs.get("tags", {}).get("tier")): table
        for table in scene.of("aws:ec2/routeTable:RouteTable")
    }
    subnet = scene.by_urn.get(scene.owner.get(resource.inputs["subnetId"], ""))
    here = str(subnet.inputs.get("tags", {}).get("tier")) if subnet else ""
    for tier in _LESS_GUARDED.get(here, ()):
        yield Edit(
            field="routeTableId",
            what=f"routes of {here} → {tier}",
            changed=(scene.put(resource, ("routeTableId",), tables_by_tier[tier].id),),
        )


@operator("move-region", "something is made outside the jurisdiction", "RES", "RED")
def move_region(scene: Scene, resource: Resource) -> Iterator[Edit]:
    if resource.type.startswith(f"{PROVIDER_PREFIX}aws"):
        moved = scene.put(resource, ("region",), ELSEWHERE)
        yield Edit(field="region", what=f"{resource.inputs.get('region')} → {ELSEWHERE}", changed=(moved,))
    elif resource.type.startswith(AWS) and resource.type.split("/")[0] not in _GLOBAL:
        moved = replace(scene.with_inputs(resource, {**resource.inputs, "region": ELSEWHERE}), id=resource.id)
        yield Edit(field="region", what=f"the provider's → {ELSEWHERE}", changed=(moved,))


_GLOBAL = ("aws:iam", "aws:budgets", "aws:route53", "aws:cloudfront")
"""Services of no region, whose resources take none."""


@operator(
    "name-elsewhere",
    "an ARN names a place outside the jurisdiction or a stranger's account",
    "RES",
    "RED",
    "AUD",
)
def name_elsewhere(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        if not isinstance(value, str) or not value.startswith("arn:aws:") or path[-1] in tables.KEYS:
            continue
        parts = value.split(":")
        if len(parts) > 5 and parts[3]:
            parts[3] = "sa-east-1"
            yield Edit(
                field=written(path),
                what="its region → sa-east-1",
                changed=(scene.put(resource, path, ":".join(parts)),),
            )


@operator(
    "untag", "a tag that something is decided by is gone", "RES", "RED", "STO", "KEY", "NET", "MLS", "ACC"
)
def untag(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        if (
            len(path) == 2
            and path[0] == "tags"
            and path[1] in _DECIDING
            and resource.type not in _DECIDE_NOTHING
        ):
            yield Edit(
                field=written(path), what=f"{value} taken off", changed=(scene.without(resource, path),)
            )
    if resource.type.startswith(f"{PROVIDER_PREFIX}aws"):
        said = json.loads(resource.inputs.get("defaultTags", "{}"))
        for tag in _DECLARED & said.get("tags", {}).keys():
            rest = json.dumps({"tags": {key: value for key, value in said["tags"].items() if key != tag}})
            yield Edit(
                field=f"defaultTags.tags.{tag}",
                what="taken off",
                changed=(scene.put(resource, ("defaultTags",), rest),),
            )


_DECIDING = ("data-domain", "backup", "tier")
_DECLARED = {"owner", "environment", "data-classification", "profile", "jurisdiction"}
_DECIDE_NOTHING = ("aws:ec2/routeTable:RouteTable",)


@operator("unpin", "what is pinned may change", "RES", "EKS", "GPU", "MLS")
def unpin(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path in _PINS.get(resource.type, ()):
        if path[0] in resource.inputs:
            yield Edit(field=written(path), what="left out", changed=(scene.without(resource, path),))
    if resource.inputs.get("launchTemplate", {}) and "version" in resource.inputs["launchTemplate"]:
        latest = scene.put(resource, ("launchTemplate", "version"), "$Latest")
        yield Edit(field="launchTemplate.version", what="its number → $Latest", changed=(latest,))
    for path, value in leaves(resource.inputs):
        if isinstance(value, str) and "@sha256:" in value and " " not in value:
            tag = value.partition("@")[0]
            unpinned = tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"
            yield Edit(
                field=written(path), what="a digest → a tag", changed=(scene.put(resource, path, unpinned),)
            )


_PINS: dict[str, tuple[Path, ...]] = {
    "pulumi:providers:aws": (("region",), ("allowedAccountIds",)),
    "pulumi:providers:kubernetes": (("kubeconfig",),),
    "aws:eks/cluster:Cluster": (("version",),),
    "aws:eks/nodeGroup:NodeGroup": (("version",),),
    "aws:eks/addon:Addon": (("addonVersion",),),
    "kubernetes:helm.sh/v3:Release": (("version",),),
    "aws:rds/instance:Instance": (("engineVersion",),),
}


@operator("default-provider", "a resource is made by whatever provider happens to be there", "RES")
def default_provider(_: Scene, resource: Resource) -> Iterator[Edit]:
    if resource.custom and resource.type.startswith((AWS, KUBERNETES)):
        yield Edit(field="provider", what="the default one", changed=(replace(resource, provider=""),))


@operator("drop", "a resource that protects or watches is gone")
def drop(scene: Scene, resource: Resource) -> Iterator[Edit]:
    if (
        resource.custom
        and resource.type.startswith((AWS, KUBERNETES))
        and resource.urn not in scene.needed
        and resource.type not in foreign.NOT_PROTECTING
    ):
        yield Edit(field="", what="dropped", dropped=(resource.urn,))


@operator(
    "policy",
    "a policy document grants more, or refuses less",
    "IAM",
    "KEY",
    "STO",
    "NET",
    "RES",
    "MLS",
    "AUD",
)
def loosen_policy(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for key, text in resource.inputs.items():
        if isinstance(text, str) and '"Statement"' in text[:200]:
            for field, what, document in statements.loosened(json.loads(text), resource.type):
                yield Edit(
                    field=f"{key}.{field}" if field else key,
                    what=what,
                    changed=(scene.put(resource, (key,), json.dumps(document)),),
                )


@operator("principal", "somebody else may come", "IAM", "EKS", "EDG", "AUD")
def change_principal(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in leaves(resource.inputs):
        if path[-1] == "principalArn":
            role = f"arn:aws:iam::{STRANGER}:role/anybody"
            yield Edit(
                field=written(path), what="a stranger's role", changed=(scene.put(resource, path, role),)
            )
        if path[-1] == "policyArn" and isinstance(value, str) and resource.type.startswith("aws:iam/"):
            admin = "arn:aws:iam::aws:policy/AdministratorAccess"
            yield Edit(
                field=written(path), what="AdministratorAccess", changed=(scene.put(resource, path, admin),)
            )


@operator("loosen-pod", "a pod may do more than it needs", "EKS", "GPU", "MLS", "RED")
def loosen_pod(scene: Scene, resource: Resource) -> Iterator[Edit]:
    if resource.type.startswith(KUBERNETES):
        for field, what, path, value in pods.loosened(resource.inputs):
            yield Edit(field=field, what=what, changed=(scene.put(resource, path, value),))


@operator(
    "plain-secret", "a credential stands in clear where it can be read", "ACC", "DAT", "EKS", "IAM", "MLS"
)
def plain_secret(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for path, value in _PLAIN.get(resource.type, ()):
        yield Edit(field=written(path), what="a credential", changed=(scene.put(resource, path, value),))


CREDENTIAL = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
"""The example of AWS's documentation (AWS General Reference, "Understanding and getting your AWS credentials")."""

_PLAIN: dict[str, tuple[tuple[Path, Any], ...]] = {
    "aws:lambda/function:Function": ((("environment", "variables", "AWS_SECRET_ACCESS_KEY"), CREDENTIAL),),
    "aws:rds/instance:Instance": ((("password",), CREDENTIAL),),
    "aws:ec2/launchTemplate:LaunchTemplate": (
        (("userData",), "IyEvYmluL3NoCmV4cG9ydCBBV1NfU0VDUkVUX0FDQ0VTU19LRVk9d0phbHJYVXRuRkVNSS9LN01ERU5HL2JQeFJmaUNZRVhBTVBMRUtFWQo="),
    ),
}  # fmt: skip


@operator("foreign", "something insecure is made beside what is ours")
def beside(scene: Scene, resource: Resource) -> Iterator[Edit]:
    for what, made in foreign.beside(scene, resource):
        yield Edit(field="", what=what, changed=(made,))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
