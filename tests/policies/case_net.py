"""Cases of the family NET."""

from __future__ import annotations

import pulumi_aws as aws

from tests.policies.cases import Case


def _subnet(*, public: bool) -> None:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", map_public_ip_on_launch=public)


CASES = [
    Case(
        control="NET-05",
        compliant=lambda: _subnet(public=False),
        violating=lambda: _subnet(public=True),
        mentions="mapPublicIpOnLaunch",
    ),
]
