"""The routes between a VPC and the internet: through NAT, and through a firewall before it where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.subnets import Place

WORLD = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A firewall's endpoints, one in front of each NAT gateway."""

    places: Sequence[Place]
    endpoint_ids: Sequence[pulumi.Input[str]]


class WaysOut(pulumi.ComponentResource):
    """Internet gateway, NAT gateways, and the routes of the public and private tiers.

    Attributes:
        public_routes: Route to the internet of each public place.
        private_routes: Route out of each private place.
        nat_addresses: Public addresses of the NAT gateways.
    """

    public_routes: list[aws.ec2.Route]
    private_routes: list[aws.ec2.Route]
    nat_addresses: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        public: Sequence[Place],
        private: Sequence[Place],
        nat: Sequence[Place],
        inspection: Inspection | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make gateways and routes.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            public: Places that the internet may reach.
            private: Places that go out through NAT.
            nat: Where the NAT gateways stand: one for all, or one for each private place.
            inspection: What the private places' traffic passes before it comes to NAT.
            opts: Options of the component.
        """
        super().__init__("secureml:ways_out:WaysOut", name, None, opts)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._internet = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc_id, tags={"Name": name}, opts=self._under
        )
        self.public_routes = [self._to_internet("public", place) for place in public]
        self.nat_addresses = []
        nats = [self._nat_gateway(place) for place in nat]
        # With one gateway for all, the way out of every zone is the first.
        gates = [min(index, len(nat) - 1) for index in range(len(private))]
        if inspection:
            self.private_routes = self._through_inspection(private, gates, nat, nats, inspection)
        else:
            self.private_routes = [
                self._route(f"private-{place.zone_letter}", place, nat_gateway_id=nats[gate].id)
                for place, gate in zip(private, gates, strict=True)
            ]
        self.register_outputs({"nat_addresses": self.nat_addresses})

    def _to_internet(self, tier: str, place: Place) -> aws.ec2.Route:
        return self._route(f"{tier}-{place.zone_letter}", place, gateway_id=self._internet.id)

    def _nat_gateway(self, place: Place) -> aws.ec2.NatGateway:
        label = f"{self._name}-nat-{place.zone_letter}"
        # An address can be mapped only while the internet gateway is attached, and holds it back from leaving.
        address = aws.ec2.Eip(
            label,
            domain="vpc",
            tags={"Name": label},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._internet]),
        )
        self.nat_addresses.append(address.public_ip)
        return aws.ec2.NatGateway(
            label,
            allocation_id=address.allocation_id,
            subnet_id=place.subnet_id_after(self._to_internet("nat", place)),
            connectivity_type="public",
            tags={"Name": label},
            opts=self._under,
        )

    def _through_inspection(
        self,
        private: Sequence[Place],
        gates: Sequence[int],
        nat: Sequence[Place],
        nats: Sequence[aws.ec2.NatGateway],
        inspection: Inspection,
    ) -> list[aws.ec2.Route]:
        for place, gateway in zip(inspection.places, nats, strict=True):
            self._route(f"firewall-{place.zone_letter}", place, nat_gateway_id=gateway.id)
        routes = []
        for place, gate in zip(private, gates, strict=True):
            letter, endpoint_id = place.zone_letter, inspection.endpoint_ids[gate]
            routes.append(self._route(f"private-{letter}", place, vpc_endpoint_id=endpoint_id))
            # Answers come back the way that questions went, or the firewall sees half a conversation.
            self._route(
                f"answers-{letter}", nat[gate], destination=place.cidr_block, vpc_endpoint_id=endpoint_id
            )
        return routes

    def _route(
        self,
        label: str,
        place: Place,
        *,
        destination: str = WORLD,
        gateway_id: pulumi.Input[str] | None = None,
        nat_gateway_id: pulumi.Input[str] | None = None,
        vpc_endpoint_id: pulumi.Input[str] | None = None,
    ) -> aws.ec2.Route:
        """Send what goes from ``place`` to ``destination`` to the one target that is given."""
        return aws.ec2.Route(
            f"{self._name}-{label}",
            route_table_id=place.table.id,
            destination_cidr_block=destination,
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
            vpc_endpoint_id=vpc_endpoint_id,
            opts=self._under,
        )
