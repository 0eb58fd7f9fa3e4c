"""EKS: the machines of a cluster, and where they stand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from controls.acc import HOP_REASON
from controls.net import each_route
from machinery.control import HIGH, Catalogue, References
from machinery.manifests import Manifest, each, mapping, objects
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, Undecided, Violation, guarded, per_item

catalogue = Catalogue()

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
FARGATE = "aws:eks/fargateProfile:FargateProfile"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
SUBNETS = ("aws:ec2/subnet:Subnet", "aws:ec2/defaultSubnet:DefaultSubnet")
INTERNET_GATEWAY = "aws:ec2/internetGateway:InternetGateway"


@catalogue.stack(
    "EKS-06",
    "Machines of a cluster require IMDSv2 one hop away, have encrypted disks and admit no SSH",
    severity=HIGH,
    remedy="Give the node group a launch template with http_tokens required, hop limit 1, encrypted disks and no key_name; leave remote_access out.",
    references=References(fsbp=["EC2.8", "EC2.3"], nist=["SC-28"], pci=["8.2.8"]),
)
def machines_are_hardened(stack: Stack) -> Outcomes:
    yield from per_item(stack.of(NODE_GROUP), partial(_machines_of, stack))
    yield from each(objects(stack).of("EC2NodeClass", groups=("karpenter.k8s.aws",)), _karpenter_machines)


def _machines_of(stack: Stack, group: Node) -> Outcomes:
    assert isinstance(group, Resource)  # noqa: S101 - per_item hands back what it was given
    if group.has("remoteAccess"):
        yield group.violation("remoteAccess", "opens the machines to SSH")
    templates = stack.targets(group, "launchTemplate", TEMPLATE)
    if templates:
        for template in templates:
            yield from _template(template)
    elif group.has("launchTemplate"):
        yield Undecided("launchTemplate of another stack")
    else:
        yield group.violation(
            "launchTemplate", "is missing, so disks and metadata service are as AWS makes them"
        )


def _template(template: Resource) -> Outcomes:
    for found in guarded(partial(_template_problems, template)):
        yield replace(found, urn=template.urn)


def _template_problems(template: Resource) -> Outcomes:
    if template.switch("metadataOptions.httpEndpoint") != "disabled":
        yield from _metadata(template)
    if template.has("keyName"):
        yield template.violation("keyName", "lets somebody sign in over SSH")
    disks = template.items("blockDeviceMappings")
    if not disks:
        yield template.violation("blockDeviceMappings", "is missing, so the disks may be in clear")
    for disk in disks:
        # A device that is left out, or that is memory, holds nothing.
        if disk.has("ebs") and str(disk.switch("ebs.encrypted", absent=False)).lower() not in ("true", "1"):
            yield disk.violation("ebs.encrypted", "leaves a disk in clear")


def _metadata(template: Resource) -> Outcomes:
    if template.switch("metadataOptions.httpTokens") != "required":
        yield template.violation(
            "metadataOptions.httpTokens", "lets any process fetch the machine's credentials (IMDSv1)"
        )
    reason = mapping(template, "tags").get(HOP_REASON)
    stated = isinstance(reason, str) and reason.strip()
    if template.number("metadataOptions.httpPutResponseHopLimit", 1) > 1 and not stated:
        yield template.violation(
            "metadataOptions.httpPutResponseHopLimit", "lets pods reach the machine's credentials"
        )


def _karpenter_machines(made: Manifest) -> Outcomes:
    # Karpenter requires IMDSv2 one hop away and encrypts its own disks where nothing is said (Karpenter
    # documentation, "NodeClasses").
    if made.switch("spec.metadataOptions.httpTokens", absent="required") != "required":
        yield made.violation(
            "spec.metadataOptions.httpTokens", "lets any process fetch the machine's credentials"
        )
    if made.number("spec.metadataOptions.httpPutResponseHopLimit", 1) > 1:
        yield made.violation(
            "spec.metadataOptions.httpPutResponseHopLimit", "lets pods reach the machine's credentials"
        )
    if made.switch("spec.associatePublicIPAddress", absent=False):
        yield made.violation("spec.associatePublicIPAddress", "gives the machines public addresses")
    for disk in made.items("spec.blockDeviceMappings"):
        if not disk.switch("ebs.encrypted", absent=False):
            yield disk.violation("ebs.encrypted", "leaves a disk in clear")


@catalogue.stack(
    "EKS-28",
    "No machine of a cluster stands in a subnet with a route to an internet gateway",
    severity=HIGH,
    on=(NODE_GROUP, FARGATE),
    remedy="Place machines in private subnets; what they need of the internet goes through NAT or endpoints.",
    references=References(nist=["SC-7"], pci=["1.3.1"], aws_ai=["AISF-RUNTIME-01"]),
)
def machines_stand_in_private_subnets(group: Resource, stack: Stack) -> Outcomes:
    def judge(route: Node) -> Outcomes:
        known = stack.targets(route, "gatewayId", INTERNET_GATEWAY) if isinstance(route, Resource) else []
        if known or str(route.reference("gatewayId", absent="")).startswith("igw-"):
            yield Violation("subnetIds", "names a subnet with a route to an internet gateway", urn=group.urn)

    for subnet in stack.targets(group, "subnetIds", *SUBNETS):
        yield from each_route(subnet, stack, judge)
