"""Which places a network has, in which tier each stands, and who of them may talk to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from itertools import product
from typing import Any, Literal

from blueprint.audit_report.reading import Reader, items, mapping, text
from blueprint.graph import Resource
from blueprint.reach import Layer, Network, Place, internet

Tier = Literal["outside", "public", "private", "isolated"]

TIERS: Mapping[Tier, str] = {
    "public": "route to the internet gateway",
    "private": "route out by NAT",
    "isolated": "no route to the internet",
}
"""Tiers inside and what makes one: the routes, whatever a tag says."""

INTERNET, APPROVED, ACCOUNTS = "the internet", "approved addresses", "enrolled accounts"
ENDPOINTS = "AWS endpoints"

_SUBNET, _ROUTE = "aws:ec2/subnet:Subnet", "aws:ec2/route:Route"
_ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_WHOLE_WORLD = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """One subnet in its tier."""

    name: str
    zone: str
    block: str
    tier: Tier


@dataclass(frozen=True, kw_only=True)
class Node:
    """One place of the network as it is drawn."""

    name: str
    about: str
    tier: Tier
    ports: tuple[int, ...]
    place: Place | None = None
    """Where the layers between it and others are asked; none for what the graph does not hold."""
    admitted_to: tuple[str, ...] = ()
    """Of somebody outside whom security groups name: the nodes whose groups do."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """A way from one node to another, and what each layer on it says."""

    start: str
    end: str
    port: int
    layers: Mapping[Layer, bool]

    @property
    def open(self) -> bool:
        """Say whether every layer lets it through."""
        return all(self.layers.values())

    @property
    def closed_by(self) -> tuple[str, ...]:
        """Return the layers that do not."""
        return tuple(layer for layer, admits in self.layers.items() if not admits)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a security group that lets somebody in or out."""

    group: str
    way: Literal["in", "out"]
    peer: str
    ports: str
    why: str


@dataclass(kw_only=True)
class Paths:
    """The network of one graph."""

    vpc: str = ""
    subnets: list[Subnet] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    not_read: str = ""
    """Why the paths could not be worked out; empty where they could."""

    def named(self, name: str) -> Node:
        """Return one node."""
        return next(node for node in self.nodes if node.name == name)


def paths(reader: Reader) -> Paths:
    """Return the network of a graph; what cannot be read is said, and left out."""
    found = Paths(vpc=next((text(said.get("cidrBlock")) for _, said in reader.of("aws:ec2/vpc:Vpc")), ""))
    tiers = _tiers(reader)
    found.subnets = sorted(_subnets(reader, tiers), key=lambda each: (each.zone, each.name))
    found.rules = sorted(_rules(reader), key=lambda each: (each.group, each.way, each.peer, each.ports))
    try:
        network = Network(reader.graph)
        found.nodes = list(_apart(_nodes(reader, network, tiers)))
        found.paths = list(_paths(reader, network, found.nodes))
    except (KeyError, StopIteration, TypeError, ValueError, AttributeError) as error:
        found.not_read = f"{type(error).__name__}: {error}"
    return found


# --- tiers ------------------------------------------------------------------------------------------------


def _tiers(reader: Reader) -> dict[str, Tier]:
    """Return the tier of each subnet by its id: the routes of its table decide."""
    ways = [
        (text(said.get("routeTableId")), said)
        for _, said in reader.of(_ROUTE)
        if text(said.get("destinationCidrBlock")) == _WHOLE_WORLD[0]
    ]
    direct = {table for table, said in ways if said.get("gatewayId")}
    leading_out = {table for table, _ in ways}
    found: dict[str, Tier] = {subnet.id: "isolated" for subnet, _ in reader.of(_SUBNET)}
    for _, said in reader.of(_ASSOCIATION):
        subnet, table = text(said.get("subnetId")), text(said.get("routeTableId"))
        if subnet in found and table in leading_out:
            found[subnet] = "public" if table in direct else "private"
    return found


def _subnets(reader: Reader, tiers: Mapping[str, Tier]) -> Iterator[Subnet]:
    for subnet, said in reader.of(_SUBNET):
        yield Subnet(
            name=reader.name(subnet),
            zone=text(said.get("availabilityZone")),
            block=text(said.get("cidrBlock")),
            tier=tiers[subnet.id],
        )


def _tier_of(subnets: Iterable[str], tiers: Mapping[str, Tier]) -> Tier:
    """Return the most exposed tier of several subnets: the weakest of them counts."""
    found = {tiers.get(subnet) for subnet in subnets}
    return next((tier for tier in TIERS if tier in found), "private")


# --- places -----------------------------------------------------------------------------------------------


def _nodes(reader: Reader, network: Network, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    yield Node(name=INTERNET, about="anybody", tier="outside", ports=(443,), place=internet())
    bastions = list(_bastions(reader, tiers))
    if approved := _blocks(reader, bastions):
        doors = tuple(each.name for each in bastions)
        yield Node(name=APPROVED, about=_first(approved), tier="outside", ports=(), admitted_to=doors)
    yield from bastions
    balancers = list(_balancers(reader, network, tiers))
    yield from _accounts(reader, balancers)
    yield from balancers
    yield from _translation(reader, tiers)
    yield from _control_planes(reader, tiers)
    yield from _pods(reader, network, tiers)
    for name, place in network.databases().items():
        database = next(each for each in reader.graph.of("aws:rds/instance:Instance") if each.name == name)
        said = database.inputs
        standby = ", standby" if said.get("multiAz") is True else ""
        yield Node(
            name=reader.name(database).removesuffix("-instance"),
            about=f"{text(said.get('engine'))} {text(said.get('engineVersion'))}{standby}",
            tier=_tier_of(place.subnets, tiers),
            ports=(int(text(said.get("port")) or 5432),),
            place=place,
        )
    yield from _endpoints(reader, tiers)


def _apart(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield nodes of different names: the second of a name gets a number."""
    seen: Counter[str] = Counter()
    for node in nodes:
        seen[node.name] += 1
        again = seen[node.name]
        yield node if again == 1 else replace(node, name=f"{node.name} ({again})")


def _balancers(reader: Reader, network: Network, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    listeners = [said for _, said in reader.of("aws:lb/listener:Listener")]
    guarded = {
        text(said.get("resourceArn"))
        for _, said in reader.of("aws:wafv2/webAclAssociation:WebAclAssociation")
    }
    arns = {each.name: each.id for each in reader.graph.of("aws:lb/loadBalancer:LoadBalancer")}
    for name, place in network.balancers().items():
        ports = {
            int(said["port"])
            for said in listeners
            if text(said.get("loadBalancerArn")) == arns[name] and text(said.get("port"))
        }
        yield Node(
            name=name,
            about=f"load balancer{', web ACL' if arns[name] in guarded else ''}",
            tier=_tier_of(place.subnets, tiers),
            ports=tuple(sorted(ports, reverse=True)),
            place=place,
        )


def _bastions(reader: Reader, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    """Yield the machines that stand alone: groups of machines that no cluster runs."""
    templates = {each.id: each for each in reader.graph.of("aws:ec2/launchTemplate:LaunchTemplate")}
    for group, said in reader.of("aws:autoscaling/group:Group"):
        template = templates.get(text(mapping(said.get("launchTemplate")).get("id")))
        interfaces = map(mapping, items(template.inputs.get("networkInterfaces")) if template else [])
        groups = [each for interface in interfaces for each in items(interface.get("securityGroups"))]
        subnets = list(map(text, items(said.get("vpcZoneIdentifiers"))))
        yield Node(
            name=reader.name(group).removesuffix("-machines"),
            about="one machine, for SSH",
            tier=_tier_of(subnets, tiers),
            ports=(22,),
            place=_place(reader, reader.name(group), groups, subnets),
        )


def _blocks(reader: Reader, nodes: Iterable[Node], port: int | None = None) -> list[str]:
    """Return the address ranges that the security groups of nodes name, but the whole world; for one port, or any."""
    groups = {group for each in nodes if each.place for group in each.place.groups}
    return sorted(
        block
        for _, said in reader.of(_INGRESS)
        if text(said.get("securityGroupId")) in groups
        and (block := text(said.get("cidrIpv4")) or text(said.get("cidrIpv6")))
        and block not in _WHOLE_WORLD
        and (port is None or _covers(said, port))
    )


def _covers(said: Mapping[str, Any], port: int) -> bool:
    low, high = text(said.get("fromPort")), text(said.get("toPort"))
    return not (low.isdecimal() and high.isdecimal()) or int(low) <= port <= int(high)


def _accounts(reader: Reader, balancers: Iterable[Node]) -> Iterator[Node]:
    """Yield who comes by a private link, where one is offered."""
    arns = {each.id: each.name for each in reader.graph.of("aws:lb/loadBalancer:LoadBalancer")}
    services = [said for _, said in reader.of("aws:ec2/vpcEndpointService:VpcEndpointService")]
    offered = {
        arns.get(text(arn), "") for said in services for arn in items(said.get("networkLoadBalancerArns"))
    }
    doors = [each for each in balancers if each.name in offered and _blocks(reader, [each])]
    if doors:
        count = len({text(each) for said in services for each in items(said.get("allowedPrincipals"))})
        yield Node(
            name=ACCOUNTS,
            about=f"{count}, by a private link",
            tier="outside",
            ports=(),
            admitted_to=tuple(each.name for each in doors),
        )


def _endpoints(reader: Reader, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    """Yield the endpoints of AWS's services as one node, and each that leads to somebody else's as its own."""
    found = list(reader.of("aws:ec2/vpcEndpoint:VpcEndpoint"))
    foreign = [each for each in found if text(each[1].get("serviceName")).startswith("com.amazonaws.vpce.")]
    own = [each for each in found if each not in foreign]
    for endpoint, said in foreign:
        about = f"private link to {text(said.get('serviceRegion')) or 'another account'}"
        yield _endpoint(reader, tiers, reader.name(endpoint), about, [said])
    if own:
        about = f"{len(own)} services, own account"
        yield _endpoint(reader, tiers, ENDPOINTS, about, [said for _, said in own])


def _endpoint(
    reader: Reader, tiers: Mapping[str, Tier], name: str, about: str, said: Iterable[Mapping[str, Any]]
) -> Node:
    """Return endpoints as one place; those that are routes have no addresses, and are not asked."""
    interfaces = [each for each in said if each.get("vpcEndpointType") == "Interface"]
    groups = [text(group) for each in interfaces for group in items(each.get("securityGroupIds"))]
    subnets = list(dict.fromkeys(text(net) for each in interfaces for net in items(each.get("subnetIds"))))
    place = _place(reader, name, groups, subnets)
    return Node(name=name, about=about, tier=_tier_of(subnets, tiers), ports=(443,), place=place)


def _first(blocks: list[str]) -> str:
    """Return a short address range and how many more there are."""
    more = f" and {len(blocks) - 1} more" if len(blocks) > 1 else ""
    return min(blocks, key=lambda block: (len(block), block)) + more


def _translation(reader: Reader, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    gateways = reader.graph.of("aws:ec2/natGateway:NatGateway")
    if gateways:
        yield Node(
            name="NAT gateways" if len(gateways) > 1 else "NAT gateway",
            about=f"{len(gateways)}, on the way out",
            tier=_tier_of([text(each.inputs.get("subnetId")) for each in gateways], tiers),
            ports=(),
        )


def _control_planes(reader: Reader, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    for cluster, said in reader.of("aws:eks/cluster:Cluster"):
        network = mapping(said.get("vpcConfig"))
        subnets = list(map(text, items(network.get("subnetIds"))))
        groups = list(map(text, items(network.get("securityGroupIds"))))
        seen = "public" if network.get("endpointPublicAccess") is not False else "private"
        yield Node(
            name="cluster API",
            about=f"Kubernetes {text(said.get('version'))}, {seen}",
            tier=_tier_of(subnets, tiers),
            ports=(443,),
            place=_place(reader, reader.name(cluster), groups, subnets),
        )


def _place(reader: Reader, name: str, groups: Iterable[str], subnets: Iterable[str]) -> Place:
    blocks = {subnet.id: text(said.get("cidrBlock")) for subnet, said in reader.of(_SUBNET)}
    there = tuple(subnets)
    return Place(
        name=name,
        addresses=tuple(IPv4Network(blocks[each]) for each in there if blocks.get(each)),
        groups=frozenset(groups),
        subnets=there,
    )


_WORKLOADS = {
    "kubernetes:apps/v1:Deployment": ("spec",),
    "kubernetes:apps/v1:StatefulSet": ("spec",),
    "kubernetes:batch/v1:Job": ("spec",),
    "kubernetes:batch/v1:CronJob": ("spec", "jobTemplate", "spec"),
}


def _pods(reader: Reader, network: Network, tiers: Mapping[str, Tier]) -> Iterator[Node]:
    about: dict[str, tuple[str, tuple[int, ...]]] = {}
    for resource in reader.graph.resources:
        if path := _WORKLOADS.get(resource.type):
            spec: Any = resource.inputs
            for key in path:
                spec = spec[key]
            template = spec["template"]
            namespace = resource.inputs["metadata"]["namespace"]
            about[f"{namespace}/{template['metadata']['labels'].get('app', '')}"] = (
                _about_pods(resource, spec, namespace),
                tuple(
                    int(port["containerPort"])
                    for container in template["spec"]["containers"]
                    for port in items(container.get("ports"))
                ),
            )
    for name, place in network.pods().items():
        said, ports = about.get(name, ("pods", ()))
        yield Node(
            name=name.rpartition("/")[2] or name,
            about=said,
            tier=_tier_of(place.subnets, tiers),
            ports=tuple(dict.fromkeys(ports)),
            place=place,
        )


def _about_pods(resource: Resource, spec: Any, namespace: str) -> str:
    if not resource.type.endswith((":Deployment", ":StatefulSet")):
        return f"a job in {namespace}"
    count = spec.get("replicas", 1)
    return f"{count} pod{'' if count == 1 else 's'} in {namespace}"


# --- who may talk to whom ---------------------------------------------------------------------------------


def _paths(reader: Reader, network: Network, nodes: list[Node]) -> Iterator[Path]:
    for start, end in product(nodes, nodes):
        if start.name == end.name or end.place is None:
            continue
        for port in end.ports:
            if start.admitted_to:
                if end.name in start.admitted_to:
                    layers: dict[Layer, bool] = {"group in": bool(_blocks(reader, [end], port))}
                    yield Path(start=start.name, end=end.name, port=port, layers=layers)
            elif start.place is not None and not (start.tier == "outside" and end.tier == "outside"):
                layers = network.layers(start.place, end.place, port)
                yield Path(start=start.name, end=end.name, port=port, layers=_asked(start, end, layers))


def _asked(start: Node, end: Node, layers: dict[Layer, bool]) -> dict[Layer, bool]:
    """Leave out what does not stand on the way: nobody's group holds the internet back, its route does."""
    if start.tier != "outside":
        return layers
    inside: dict[Layer, bool] = {key: admits for key, admits in layers.items() if key != "group out"}
    return {**inside, "route": end.tier == "public"}


def _rules(reader: Reader) -> Iterator[Rule]:
    groups = {
        group.id: reader.name(group) for group in reader.graph.of("aws:ec2/securityGroup:SecurityGroup")
    }
    ways: tuple[tuple[Literal["in", "out"], str], ...] = (("in", "Ingress"), ("out", "Egress"))
    for way, what in ways:
        for _, said in reader.of(f"aws:vpc/securityGroup{what}Rule:SecurityGroup{what}Rule"):
            low, high = text(said.get("fromPort")), text(said.get("toPort"))
            protocol = text(said.get("ipProtocol"))
            whole = {"-1": "everything"}.get(protocol, protocol)
            other = text(said.get("referencedSecurityGroupId"))
            block = text(said.get("cidrIpv4")) or text(said.get("cidrIpv6"))
            yield Rule(
                group=groups.get(text(said.get("securityGroupId")), text(said.get("securityGroupId"))),
                way=way,
                peer=groups.get(other, other) or block or text(said.get("prefixListId")),
                ports=f"{whole} {low if low == high else f'{low}-{high}'}" if low else whole,
                why=text(said.get("description")),
            )
