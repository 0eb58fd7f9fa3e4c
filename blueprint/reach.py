"""Who may talk to whom, from the graph alone: what each layer between two places says, one by one.

Layers do not know of each other, so each is asked for itself: a path that one of them closes is closed, and a layer
that stopped closing it shows although the others still do. What the layers' rules mean is from the Amazon VPC User
Guide ("Security group rules", "Configure route tables") and the Kubernetes documentation ("Network Policies").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Network
from typing import Any, Literal

from blueprint.graph import Graph, JsonObject, Resource

Layer = Literal["pod's policy out", "pod's policy in", "group out", "group in", "route", "hop limit"]

METADATA = IPv4Network("169.254.169.254/32")
INTERNET = IPv4Network("198.51.100.7/32")
"""An address for documentation (RFC 5737): nobody's in particular."""

_TEMPLATES = {
    "kubernetes:apps/v1:Deployment": ("spec", "template"),
    "kubernetes:apps/v1:StatefulSet": ("spec", "template"),
    "kubernetes:batch/v1:Job": ("spec", "template"),
    "kubernetes:batch/v1:CronJob": ("spec", "jobTemplate", "spec", "template"),
}
_NODE_GROUP, _TEMPLATE = "aws:eks/nodeGroup:NodeGroup", "aws:ec2/launchTemplate:LaunchTemplate"
_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_POD_GROUPS = "kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Something that has addresses, and perhaps security groups, subnets, and pod labels."""

    name: str
    addresses: tuple[IPv4Network, ...]
    groups: frozenset[str] = frozenset()
    subnets: tuple[str, ...] = ()
    namespace: str = ""
    """Of pods alone."""
    labels: Mapping[str, str] | None = None
    on_host: bool = False
    """In the machine's own network, where no policy of pods holds."""
    hops_to_metadata: bool = False
    """Whether the machine answers pods that ask for its credentials."""

    @property
    def is_pod(self) -> bool:
        """Whether policies of pods are about it."""
        return self.labels is not None and not self.on_host


class Network:
    """The graph as a network.

    Raises:
        KeyError: a pod fits no machine, or a machine's launch template is not in the graph.
    """

    def __init__(self, graph: Graph) -> None:
        """Read what the graph says."""
        self._graph = graph

    def pods(self) -> dict[str, Place]:
        """Return the pods of every workload, by ``namespace/app``."""
        found = {}
        for resource in self._graph.resources:
            if path := _TEMPLATES.get(resource.type):
                template: Any = resource.inputs
                for key in path:
                    template = template[key]
                pod = self._pod(resource.inputs["metadata"]["namespace"], template)
                found[pod.name] = pod
        return found

    def pod(self, namespace: str, labels: Mapping[str, str]) -> Place:
        """Return a pod that the program does not write itself, on the machines that take every pod."""
        return self._pod(namespace, {"metadata": {"labels": labels}, "spec": {}})

    def balancers(self) -> dict[str, Place]:
        """Return the load balancers by their logical names."""
        return {
            each.name: self._place(each.name, each.inputs["securityGroups"], each.inputs["subnets"])
            for each in self._graph.of("aws:lb/loadBalancer:LoadBalancer")
        }

    def endpoints(self) -> Place:
        """Return where AWS's services answer inside the VPC."""
        found = [
            each.inputs
            for each in self._graph.of("aws:ec2/vpcEndpoint:VpcEndpoint")
            if each.inputs.get("vpcEndpointType") == "Interface"
        ]
        groups = [group for each in found for group in each.get("securityGroupIds", ())]
        return self._place(
            "AWS's endpoints", groups, {subnet: None for each in found for subnet in each["subnetIds"]}
        )

    def databases(self) -> dict[str, Place]:
        """Return the databases by their logical names."""
        subnet_groups = {group.id: group for group in self._graph.of("aws:rds/subnetGroup:SubnetGroup")}
        found = {}
        for database in self._graph.of("aws:rds/instance:Instance"):
            subnets = subnet_groups[database.inputs["dbSubnetGroupName"]].inputs["subnetIds"]
            found[database.name] = self._place(database.name, database.inputs["vpcSecurityGroupIds"], subnets)
        return found

    def layers(self, start: Place, end: Place, port: int) -> dict[Layer, bool]:
        """Return for each layer between two places whether it lets TCP through to a port."""
        if METADATA in end.addresses:
            return {
                "pod's policy out": self._policies_admit("Egress", start, end, port),
                "hop limit": start.hops_to_metadata or start.on_host,
            }
        said: dict[Layer, bool] = {
            "pod's policy out": self._policies_admit("Egress", start, end, port),
            "group out": self._groups_admit("egress", start, end, port),
        }
        if INTERNET in end.addresses:
            return said | {"route": any(map(self._leads_out, start.subnets))}
        if end.is_pod:
            said["pod's policy in"] = self._policies_admit("Ingress", end, start, port)
        return said | {"group in": self._groups_admit("ingress", end, start, port)}

    # --- places -----------------------------------------------------------------------------------------

    def _pod(self, namespace: str, template: JsonObject) -> Place:
        """Return a pod as if it ran on every machine that it fits at once: the weakest of them counts."""
        spec, labels = template["spec"], template["metadata"]["labels"]
        fitting = list(self._fitting(spec))
        if not fitting:
            raise KeyError(f"{namespace}: no machine fits a pod of {labels}")
        machines = [self._template(group) for group in fitting]
        own = self._groups_of_pods(namespace, labels)
        there = self._place(
            f"{namespace}/{labels.get('app', '')}",
            own or [group for machine in machines for group in _groups_of(machine)],
            [subnet for group in fitting for subnet in group.inputs["subnetIds"]],
        )
        return replace(
            there,
            namespace=namespace,
            labels=labels,
            on_host=bool(spec.get("hostNetwork")),
            hops_to_metadata=any(map(_answers_pods, machines)),
        )

    def _place(self, name: str, groups: Iterable[str], subnets: Iterable[str]) -> Place:
        there = tuple(subnets)
        addresses = tuple(IPv4Network(self._subnets[subnet].inputs["cidrBlock"]) for subnet in there)
        return Place(name=name, addresses=addresses, groups=frozenset(groups), subnets=there)

    @cached_property
    def _subnets(self) -> dict[str, Resource]:
        return {subnet.id: subnet for subnet in self._graph.of("aws:ec2/subnet:Subnet")}

    def _fitting(self, spec: JsonObject) -> Iterator[Resource]:
        """Yield the node groups that a pod fits."""
        tolerated = {each.get("key") for each in spec.get("tolerations", ())}
        wanted = {
            key: value
            for key, value in spec.get("nodeSelector", {}).items()
            if not key.startswith("kubernetes.io/")
        }
        for group in self._graph.of(_NODE_GROUP):
            taints = {each["key"] for each in group.inputs.get("taints", ())}
            labels = group.inputs.get("labels", {})
            if taints <= tolerated and wanted.items() <= labels.items():
                yield group

    def _template(self, group: Resource) -> Resource:
        wanted = group.inputs["launchTemplate"]["id"]
        return next(each for each in self._graph.of(_TEMPLATE) if each.id == wanted)

    def _groups_of_pods(self, namespace: str, labels: Mapping[str, str]) -> list[str]:
        return [
            group
            for policy in self._graph.of(_POD_GROUPS)
            if policy.inputs["metadata"]["namespace"] == namespace
            and _selects(policy.inputs["spec"]["podSelector"], labels)
            for group in policy.inputs["spec"]["securityGroups"]["groupIds"]
        ]

    # --- security groups and routes ---------------------------------------------------------------------

    def _groups_admit(self, way: Literal["ingress", "egress"], here: Place, other: Place, port: int) -> bool:
        return any(
            rule.get("group") in here.groups and _covers(rule, port) and _is_about(rule, other)
            for rule in self._rules[way]
        )

    @cached_property
    def _rules(self) -> dict[str, list[JsonObject]]:
        """Return the rules of both ways in one form, whichever of the three ways they were written in."""
        found: dict[str, list[JsonObject]] = {"ingress": [], "egress": []}
        for way, type_ in (("ingress", "SecurityGroupIngressRule"), ("egress", "SecurityGroupEgressRule")):
            for rule in self._graph.of(f"aws:vpc/{type_[0].lower()}{type_[1:]}:{type_}"):
                said = rule.inputs
                found[way].append(
                    {
                        "group": said["securityGroupId"],
                        "protocol": str(said["ipProtocol"]),
                        "ports": (said.get("fromPort", 0), said.get("toPort", 65535)),
                        "cidrs": [said["cidrIpv4"]] if "cidrIpv4" in said else [],
                        "groups": [said.get("referencedSecurityGroupId")],
                    }
                )
        for rule in self._graph.of("aws:ec2/securityGroupRule:SecurityGroupRule"):
            said = rule.inputs
            found[said["type"]].append(_classic(said["securityGroupId"], said, "sourceSecurityGroupId"))
        for group in self._graph.of("aws:ec2/securityGroup:SecurityGroup"):
            for way, rules in found.items():
                rules += [_classic(group.id, said, "securityGroups") for said in group.inputs.get(way) or ()]
        return found

    def _leads_out(self, subnet: str) -> bool:
        """Say whether a subnet's route table leads to the internet, directly or by address translation."""
        tables = [
            each.inputs["routeTableId"]
            for each in self._graph.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
            if each.inputs.get("subnetId") == subnet
        ]
        if not tables:
            # The main table, whatever it says: nobody decided it for this subnet.
            return True
        return any(
            route.inputs["routeTableId"] in tables
            and IPv4Network(route.inputs.get("destinationCidrBlock", METADATA)).supernet_of(INTERNET)
            for route in self._graph.of("aws:ec2/route:Route")
        )

    # --- policies of pods -------------------------------------------------------------------------------

    def _policies_admit(
        self, way: Literal["Ingress", "Egress"], here: Place, other: Place, port: int
    ) -> bool:
        if not here.is_pod or not self._policies_are_enforced:
            return True
        about = [
            policy.inputs["spec"]
            for policy in self._graph.of(_POLICY)
            if policy.inputs["metadata"]["namespace"] == here.namespace
            and way in policy.inputs["spec"].get("policyTypes", ("Ingress",))
            and _selects(policy.inputs["spec"]["podSelector"], here.labels or {})
        ]
        if not about:
            return True
        peers = "from" if way == "Ingress" else "to"
        return any(
            _port_is_meant(rule, port)
            and (not rule.get(peers) or any(self._is_peer(each, here, other) for each in rule[peers]))
            for spec in about
            for rule in spec.get(way.lower()) or ()
        )

    @cached_property
    def _policies_are_enforced(self) -> bool:
        """Say whether the network add-on was told to (Amazon EKS User Guide, "Limit Pod traffic")."""
        return any(
            addon.inputs.get("addonName") == "vpc-cni"
            and json.loads(addon.inputs.get("configurationValues", "{}")).get("enableNetworkPolicy") == "true"
            for addon in self._graph.of("aws:eks/addon:Addon")
        )

    def _is_peer(self, peer: JsonObject, here: Place, other: Place) -> bool:
        if block := peer.get("ipBlock"):
            left_out = [IPv4Network(each) for each in block.get("except", ())]
            return any(
                IPv4Network(block["cidr"]).overlaps(address)
                and not any(each.supernet_of(address) for each in left_out)
                for address in other.addresses
            )
        if not other.is_pod:
            return False
        if "namespaceSelector" in peer:
            labels = {"kubernetes.io/metadata.name": other.namespace} | self._labels_of(other.namespace)
            if not _selects(peer["namespaceSelector"], labels):
                return False
        elif other.namespace != here.namespace:
            return False
        return _selects(peer.get("podSelector", {}), other.labels or {})

    def _labels_of(self, namespace: str) -> dict[str, str]:
        for made in self._graph.of("kubernetes:core/v1:Namespace"):
            if made.inputs["metadata"]["name"] == namespace:
                return dict(made.inputs["metadata"].get("labels", {}))
        return {}


def internet() -> Place:
    """Return somebody outside."""
    return Place(name="the internet", addresses=(INTERNET,))


def metadata_service() -> Place:
    """Return what hands out a machine's own credentials."""
    return Place(name="the machine's metadata service", addresses=(METADATA,))


def _answers_pods(template: Resource) -> bool:
    options = template.inputs.get("metadataOptions", {})
    far: bool = options.get("httpPutResponseHopLimit", 2) > 1
    asks_for_no_token = options.get("httpTokens") != "required"
    return bool(options.get("httpEndpoint") != "disabled" and (far or asks_for_no_token))


def _groups_of(template: Resource) -> list[str]:
    said = template.inputs
    interfaces: Iterator[str] = (
        group for each in said.get("networkInterfaces", ()) for group in each.get("securityGroups", ())
    )
    return [*said.get("vpcSecurityGroupIds", ()), *interfaces]


def _classic(group: str, said: JsonObject, groups: str) -> JsonObject:
    named = said.get(groups) or []
    return {
        "group": group,
        "protocol": str(said["protocol"]),
        "ports": (said.get("fromPort", 0), said.get("toPort", 65535)),
        "cidrs": said.get("cidrBlocks") or [],
        "groups": [group] if said.get("self") else [named] if isinstance(named, str) else named,
    }


def _covers(rule: JsonObject, port: int) -> bool:
    low, high = map(int, rule["ports"])
    return rule["protocol"] in ("-1", "all") or (rule["protocol"] in ("tcp", "6") and low <= port <= high)


def _is_about(rule: JsonObject, other: Place) -> bool:
    return bool(other.groups & set(rule["groups"])) or any(
        IPv4Network(cidr).overlaps(address) for cidr in rule["cidrs"] for address in other.addresses
    )


def _selects(selector: JsonObject, labels: Mapping[str, str]) -> bool:
    if selector.get("matchExpressions"):
        raise KeyError("matchExpressions of a selector are not read here; write matchLabels")
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def _port_is_meant(rule: JsonObject, port: int) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        each.get("protocol", "TCP") == "TCP"
        and ("port" not in each or each["port"] <= port <= each.get("endPort", each["port"]))
        for each in ports
    )
