"""One tier of a VPC: a subnet in each zone, with a route table of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

TierTag = Literal["public", "private", "isolated"]


@dataclass(frozen=True)
class Place:
    """A subnet and its route table: one each, so that a zone's routes never depend on another zone."""

    zone_letter: str
    cidr_block: str
    subnet: aws.ec2.Subnet
    table: aws.ec2.RouteTable
    association: aws.ec2.RouteTableAssociation

    def subnet_id_after(self, *routes: pulumi.CustomResource) -> pulumi.Output[str]:
        """Return the subnet's id, known only when its routes are there.

        Whatever is placed in the subnet then comes after its way out, and is destroyed before it.
        """
        waited_for = [self.association.id, *(route.id for route in routes)]
        return pulumi.Output.all(self.subnet.id, *waited_for).apply(lambda ids: str(ids[0]))


def zone_letters(zones: Sequence[str], region: str) -> list[str]:
    """Return the letters of the zones: ``us-east-1a`` is ``a``.

    Raises:
        ValueError: a zone is not one of the region, or stands there twice.
    """
    for index, zone in enumerate(zones):
        if not re.fullmatch(rf"{re.escape(region)}[a-z]", zone):
            raise ValueError(
                f"zones[{index}]: {zone!r:.40} is not a zone of {region}; write one like {region}a"
            )
    if len(set(zones)) != len(zones):
        raise ValueError("zones: a zone stands there twice; name each once")
    return [zone.removeprefix(region) for zone in zones]


def places(
    name: str,
    *,
    vpc_id: pulumi.Input[str],
    region: str,
    letters: Sequence[str],
    cidr_blocks: Sequence[str],
    tier: TierTag,
    opts: pulumi.ResourceOptions,
) -> list[Place]:
    """Make a subnet for each block, in the order of the zones; there may be fewer blocks than zones."""
    made = []
    for letter, cidr_block in zip(letters, cidr_blocks, strict=False):
        label = f"{name}-{letter}"
        tags = {"Name": label, "tier": tier}
        subnet = aws.ec2.Subnet(
            label,
            vpc_id=vpc_id,
            availability_zone=f"{region}{letter}",
            cidr_block=cidr_block,
            map_public_ip_on_launch=False,
            tags=tags,
            opts=opts,
        )
        table = aws.ec2.RouteTable(label, vpc_id=vpc_id, tags=tags, opts=opts)
        association = aws.ec2.RouteTableAssociation(
            label, subnet_id=subnet.id, route_table_id=table.id, opts=opts
        )
        made.append(Place(letter, cidr_block, subnet, table, association))
    return made
