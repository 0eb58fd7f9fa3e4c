"""The cost floor of a graph: what is paid for every month though nobody uses the platform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from blueprint.cost.prices import Prices, prices
from blueprint.formats.places import resource_name
from blueprint.graph import PROVIDER_PREFIX, Graph, Resource
from blueprint.verdict import printable


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What one kind of thing costs: so many of one item, in US dollars a month."""

    item: str
    quantity: Decimal
    """How many, or how many gigabytes."""
    usd_a_month: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpriced:
    """A resource that may cost something, and no price of which is on the list."""

    resource: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """What runs when nobody uses it, the dearest first, and what could not be counted."""

    stack: str
    lines: tuple[Line, ...]
    by_use: tuple[tuple[str, int, str], ...]
    """Type of resource, how many of it, and what of it is paid for."""
    unpriced: tuple[Unpriced, ...]
    elsewhere: tuple[str, ...]
    """Regions of the graph that the prices are not of."""

    @property
    def usd_a_month(self) -> Decimal:
        """Return the sum of the lines."""
        return sum((line.usd_a_month for line in self.lines), Decimal())

    def as_json_value(self) -> dict[str, Any]:
        """Return the floor for machines; amounts are texts, so that no cent is lost."""
        return {
            "schema": 1,
            "stack": self.stack,
            "currency": "USD",
            "prices_of": prices().oldest.isoformat(),
            "price_regions": prices().regions,
            "regions_priced_as_those": list(self.elsewhere),
            "floor_a_month": f"{self.usd_a_month:.2f}",
            "lines": [
                {
                    "item": each.item,
                    "quantity": f"{each.quantity:f}",
                    "usd_a_month": f"{each.usd_a_month:.2f}",
                }
                for each in self.lines
            ],
            "by_use": [{"type": kind, "count": count, "paid_for": what} for kind, count, what in self.by_use],
            "unpriced": [{"resource": each.resource, "why": each.why} for each in self.unpriced],
        }


Amount = tuple[str, int | Decimal]
"""An item of the price list, and how many of it."""


class _Missing(Exception):
    """Something that the price depends on is not in the graph."""


def floor_of(graph: Graph) -> Floor:
    """Return the cost floor of a graph."""
    table, index = prices(), graph.by_urn()
    amounts: Counter[str] = Counter()
    by_use: Counter[str] = Counter()
    unpriced: list[Unpriced] = []
    for resource in graph.resources:
        if not resource.custom or resource.type.startswith(PROVIDER_PREFIX):
            continue
        if resource.type in table.by_use and not _reserved(resource):
            by_use[resource.type] += 1
        elif resource.type in _COUNTED:
            found, missing = _counted(resource, index, table)
            amounts.update(found)
            unpriced += missing
        elif not _free(resource, table):
            unpriced.append(Unpriced(resource=resource_name(resource.urn), why="its kind is on no list"))
    lines = [_line(item, Decimal(quantity), table) for item, quantity in amounts.items() if quantity]
    return Floor(
        stack=printable(graph.stack),
        lines=tuple(sorted(lines, key=lambda line: (-line.usd_a_month, line.item))),
        by_use=tuple((kind, count, table.by_use[kind]) for kind, count in sorted(by_use.items())),
        unpriced=tuple(sorted(unpriced, key=lambda each: (each.resource, each.why))),
        elsewhere=tuple(sorted(_regions(graph) - set(table.regions))),
    )


def _counted(
    resource: Resource, index: Mapping[str, Resource], table: Prices
) -> tuple[Counter[str], list[Unpriced]]:
    """Return what a resource is made of, and which of it has no price."""
    found: Counter[str] = Counter()
    name = resource_name(resource.urn)
    try:
        for item, quantity in _COUNTED[resource.type](resource, index):
            if table.group_of(item) is None:
                why = f"no price of {printable(item)} is on the list"
                return found, [Unpriced(resource=name, why=why)]
            found[item] += quantity  # type: ignore[assignment]  # Counter adds up any number
    except _Missing as missing:
        return found, [Unpriced(resource=name, why=str(missing))]
    return found, []


def _line(item: str, quantity: Decimal, table: Prices) -> Line:
    group = table.group_of(item)
    assert group is not None  # noqa: S101 - counted only where there is one
    times = table.hours_a_month if group.unit == "hour" else 1
    return Line(item=item, quantity=quantity, usd_a_month=quantity * group.prices[item] * times)


def _free(resource: Resource, table: Prices) -> bool:
    if resource.type == "kubernetes:core/v1:Service":
        spec = resource.inputs.get("spec")
        return isinstance(spec, dict) and spec.get("type", "ClusterIP") in ("ClusterIP", "NodePort")
    if resource.type == "kubernetes:apps/v1:StatefulSet":
        # What it claims is a disk for each of its pods, and is kept when they go.
        spec = resource.inputs.get("spec")
        return isinstance(spec, dict) and not spec.get("volumeClaimTemplates")
    if resource.type == "aws:acm/certificate:Certificate":
        # Public ones that stay with AWS; a private authority asks for each, and so does one that can be exported.
        return not {"certificateAuthorityArn", "options"} & resource.inputs.keys()
    if resource.type == "aws:accessanalyzer/analyzer:Analyzer":
        # Those that look for access that nobody uses are paid for by role.
        return resource.inputs.get("type", "ACCOUNT") in ("ACCOUNT", "ORGANIZATION")
    return resource.type.startswith(table.free)


def _reserved(resource: Resource) -> bool:
    """Say whether something that is paid for by use has been ordered by the hour instead."""
    if resource.type == "aws:dynamodb/table:Table":
        return resource.inputs.get("billingMode") != "PAY_PER_REQUEST"
    return False


def _regions(graph: Graph) -> set[str]:
    providers = graph.of(f"{PROVIDER_PREFIX}aws")
    return {region for each in providers if isinstance(region := each.inputs.get("region"), str)}


def _number(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Missing(f"its {key} is not known")
    return value


def _word(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise _Missing(f"its {key} is not known")
    return value


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    value = values.get(key, [])
    if not isinstance(value, list):
        raise _Missing(f"its {key} is not known")
    return value


def _object(values: Any, key: str) -> Mapping[str, Any]:
    value = values.get(key, {}) if isinstance(values, Mapping) else None
    if not isinstance(value, Mapping):
        raise _Missing(f"its {key} is not known")
    return value


def _template(resource: Resource, index: Mapping[str, Resource]) -> Resource:
    for urn in resource.property_dependencies.get("launchTemplate", ()):
        if urn in index:
            return index[urn]
    raise _Missing("its launch template is not in the graph")


def _disks(template: Resource, machines: int) -> Iterator[Amount]:
    for mapping in _list(template.inputs, "blockDeviceMappings"):
        disk = _object(mapping, "ebs")
        yield f"disk {disk.get('volumeType', 'gp2')}", machines * _number(disk, "volumeSize")


def _node_group(resource: Resource, index: Mapping[str, Resource]) -> Iterator[Amount]:
    machines = _number(_object(resource.inputs, "scalingConfig"), "minSize")
    if not machines:
        return
    if resource.inputs.get("capacityType") == "SPOT":
        raise _Missing(f"the price of its {machines} spot machines changes by the hour")
    kinds = _list(resource.inputs, "instanceTypes")
    if not kinds:
        raise _Missing("its instanceTypes are not known")
    yield f"instance {kinds[0]}", machines
    yield from _disks(_template(resource, index), machines)


def _scaling_group(resource: Resource, index: Mapping[str, Resource]) -> Iterator[Amount]:
    machines = _number(resource.inputs, "minSize")
    if machines:
        template = _template(resource, index)
        yield f"instance {_word(template.inputs, 'instanceType')}", machines
        yield from _disks(template, machines)


def _machine(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    yield f"instance {_word(resource.inputs, 'instanceType')}", 1


def _disk(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    yield f"disk {resource.inputs.get('type', 'gp2')}", _number(resource.inputs, "size")


def _database(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    if resource.inputs.get("engine") != "postgres":
        raise _Missing("only PostgreSQL is on the list")
    copies = 2 if resource.inputs.get("multiAz") is True else 1
    yield f"database {_word(resource.inputs, 'instanceClass')}", copies
    kind = resource.inputs.get("storageType", "gp2")
    yield f"database storage {kind}", copies * _number(resource.inputs, "allocatedStorage")
    if resource.inputs.get("manageMasterUserPassword") is True:
        yield "secret", 1


def _endpoint(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    kind = resource.inputs.get("vpcEndpointType", "Gateway")
    if kind == "Interface":
        yield "interface endpoint in one zone", len(_list(resource.inputs, "subnetIds"))
    elif kind != "Gateway":
        raise _Missing(f"no price of an endpoint of type {printable(str(kind))} is on the list")


def _load_balancer(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    kind = str(resource.inputs.get("loadBalancerType", "application"))
    yield f"load balancer {kind}", 1
    if resource.inputs.get("internal") is not True and kind != "gateway":
        yield "public IPv4 address", len(_list(resource.inputs, "subnets"))


def _web_acl(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    yield "web ACL", 1
    yield "web ACL rule", len(_list(resource.inputs, "rules"))


def _firewall(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    yield "firewall endpoint in one zone", len(_list(resource.inputs, "subnetMappings"))


def _cluster(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    # Without a word AWS keeps an old version in extended support, which costs more from a day that is not known here.
    yield f"control plane {_object(resource.inputs, 'upgradePolicy').get('supportType', 'EXTENDED')}", 1


def _authority(resource: Resource, _: Mapping[str, Resource]) -> Iterator[Amount]:
    yield f"certificate authority {resource.inputs.get('usageMode', 'GENERAL_PURPOSE')}", 1


def _one(item: str) -> Callable[[Resource, Mapping[str, Resource]], Iterator[Amount]]:
    def one(_resource: Resource, _index: Mapping[str, Resource]) -> Iterator[Amount]:
        yield item, 1

    return one


_COUNTED: Mapping[str, Callable[[Resource, Mapping[str, Resource]], Iterator[Amount]]] = {
    "aws:acmpca/certificateAuthority:CertificateAuthority": _authority,
    "aws:autoscaling/group:Group": _scaling_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _one("alarm"),
    "aws:ebs/volume:Volume": _disk,
    "aws:ec2/eip:Eip": _one("public IPv4 address"),
    "aws:ec2/instance:Instance": _machine,
    "aws:ec2/natGateway:NatGateway": _one("NAT gateway"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:kms/key:Key": _one("key"),
    "aws:kms/replicaKey:ReplicaKey": _one("key"),
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:networkfirewall/firewall:Firewall": _firewall,
    "aws:rds/instance:Instance": _database,
    "aws:route53/zone:Zone": _one("hosted zone"),
    "aws:secretsmanager/secret:Secret": _one("secret"),
    "aws:wafv2/webAcl:WebAcl": _web_acl,
}
