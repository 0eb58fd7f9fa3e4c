"""The door of a federation: a private link that listed accounts alone may ask for, to the one port that is for nodes.

No internet is crossed: each silo has an endpoint in its own VPC, and AWS carries what goes through it (AWS PrivateLink
Guide, "Share your services through AWS PrivateLink"). Who may ask for an endpoint are the accounts of the enrolled
silos; each endpoint waits until the operator accepts it; and the security group of the network load balancer admits
the silos' own ranges, for it is told the addresses of clients behind the link. Whoever is not enrolled has no
principal, no acceptance and no rule.

TLS is not opened here: it ends in the server, whose nodes' door is all that the load balancer leads to. The port of its
Control API, which decides who is enrolled and what runs, has no listener and no target group, and no rule here names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.documents import partition_of
from components.nodes import between_groups

MOST_SILOS = 50
"""A security group takes 60 rules a direction (Amazon VPC quotas), one a silo; who asks after health needs some too."""

_HTTPS = 443

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")


@dataclass(frozen=True, kw_only=True)
class Silo:
    """Somebody who keeps data to themselves and learns with others."""

    name: str
    """Lower-case letters, digits and dashes, 32 at most."""
    account_id: str
    region: str
    cidr: str
    """Range of its VPC, /16 or narrower: where its node calls from."""
    endpoint_id: str | None = None
    """Its endpoint, once it has made one: ``vpce-…``. Written here, it is accepted; others never are."""

    def __post_init__(self) -> None:
        """Raise ValueError where the name or the range is none."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name {self.name!r:.60} is none of a silo; write lower-case letters, digits and dashes"
            )
        if int(self.cidr.rpartition("/")[2]) < 16:
            raise ValueError(f"cidr {self.cidr!r:.40} is wider than a VPC; write the range of the silo's own")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where the load balancer stands: subnets that no pod is in, so that a policy of pods can name them."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """One in each of two zones at least."""
    node_security_group_id: pulumi.Input[str]
    """Group of the machines that the server's pod runs on."""


class FederationDoor(pulumi.ComponentResource):
    """The endpoint service, and the load balancer behind it.

    Attributes:
        service_name: What silos make their endpoints for.
        target_group_arn: Where the server's pod is registered (a ``TargetGroupBinding``).
    """

    service_name: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        silos: Sequence[Silo],
        ground: Ground,
        port: int,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the door.

        Args:
            name: Logical name, 18 characters at most: AWS takes 32 of a load balancer's, and 13 are added.
            silos: Who is enrolled.
            ground: Where the load balancer stands.
            port: Where the server meets nodes, with TLS.
            region: The region.
            opts: Options of the component.

        Raises:
            ValueError: nobody is enrolled, or too many; two silos are one; or the name is too long.
        """
        super().__init__("secureml:federation_door:FederationDoor", name, None, opts)
        _check(name, silos)
        self._name, self._ground = name, ground
        self._under = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="The end of the private link: from enrolled silos' own ranges, on to the server",
            vpc_id=ground.vpc_id,
            tags={"Name": name},
            opts=self._under,
        )
        rules = [*self._from_silos(group, silos), *self._to_server(group, port)]
        balancer = self._balancer(group, rules)
        targets, listener = self._listener(balancer, port)
        service = self._service(balancer, silos, region)

        self.service_name = service.service_name
        # Nothing can register usefully before a listener leads there.
        self.target_group_arn = pulumi.Output.all(targets.arn, listener.id).apply(lambda known: str(known[0]))
        self.register_outputs({"service_name": self.service_name, "target_group_arn": self.target_group_arn})

    def _from_silos(self, group: aws.ec2.SecurityGroup, silos: Sequence[Silo]) -> list[pulumi.Resource]:
        return [
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-{silo.name}",
                security_group_id=group.id,
                description=f"The node of the silo {silo.name}",
                ip_protocol="tcp",
                from_port=_HTTPS,
                to_port=_HTTPS,
                cidr_ipv4=silo.cidr,
                opts=self._under,
            )
            for silo in silos
        ]

    def _to_server(self, group: aws.ec2.SecurityGroup, port: int) -> list[pulumi.Resource]:
        return between_groups(
            f"{self._name}-to-server",
            from_group_id=group.id,
            to_group_id=self._ground.node_security_group_id,
            port=port,
            about="Nodes of enrolled silos, to the server of the federation",
            opts=self._under,
        )

    def _balancer(
        self, group: aws.ec2.SecurityGroup, rules: Sequence[pulumi.Resource]
    ) -> aws.lb.LoadBalancer:
        return aws.lb.LoadBalancer(
            f"{self._name}-link",
            load_balancer_type="network",
            internal=True,
            ip_address_type="ipv4",
            subnets=list(self._ground.subnet_ids),
            security_groups=[group.id],
            # Or the group would admit whatever comes through the link (User Guide for Network Load Balancers,
            # "Security groups": with it on, the source is the client's own private address).
            enforce_security_group_inbound_rules_on_private_link_traffic="on",
            # There is one server, and endpoints in every zone.
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=True,
            tags={"Name": f"{self._name}-link"},
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(rules)),
        )

    def _listener(
        self, balancer: aws.lb.LoadBalancer, port: int
    ) -> tuple[aws.lb.TargetGroup, aws.lb.Listener]:
        targets = aws.lb.TargetGroup(
            f"{self._name}-server",
            vpc_id=self._ground.vpc_id,
            target_type="ip",
            port=port,
            protocol="TCP",
            deregistration_delay=60,
            # The server has no word for strangers, about its health either: that it listens has to do.
            health_check={"enabled": True, "protocol": "TCP", "port": "traffic-port", "interval": 15},
            opts=self._under,
        )
        listener = aws.lb.Listener(
            f"{self._name}-link",
            load_balancer_arn=balancer.arn,
            port=_HTTPS,
            # TLS passes through unopened.
            protocol="TCP",
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=self._under,
        )
        return targets, listener

    def _service(
        self, balancer: aws.lb.LoadBalancer, silos: Sequence[Silo], region: str
    ) -> aws.ec2.VpcEndpointService:
        partition = partition_of(region)
        regions = sorted({silo.region for silo in silos} | {region})
        service = aws.ec2.VpcEndpointService(
            self._name,
            network_load_balancer_arns=[balancer.arn],
            acceptance_required=True,
            allowed_principals=[f"arn:{partition}:iam::{silo.account_id}:root" for silo in silos],
            supported_ip_address_types=["ipv4"],
            supported_regions=regions,
            tags={"Name": self._name},
            opts=self._under,
        )
        for silo in silos:
            if silo.endpoint_id:
                aws.ec2.VpcEndpointConnectionAccepter(
                    f"{self._name}-accepts-{silo.name}",
                    vpc_endpoint_service_id=service.id,
                    vpc_endpoint_id=silo.endpoint_id,
                    opts=self._under,
                )
        return service


def _check(name: str, silos: Sequence[Silo]) -> None:
    if len(name) > 18:
        raise ValueError(f"name is {name!r:.60}; write 18 characters or fewer")
    if not 1 <= len(silos) <= MOST_SILOS:
        raise ValueError(f"silos has {len(silos)} items; enrol 1 to {MOST_SILOS}")
    for what, known in (
        ("name", [silo.name for silo in silos]),
        ("account_id", [silo.account_id for silo in silos]),
        ("endpoint_id", [silo.endpoint_id for silo in silos if silo.endpoint_id]),
    ):
        if len(set(known)) < len(known):
            raise ValueError(f"two silos have the same {what}; each is somebody else")
