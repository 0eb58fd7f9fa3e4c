"""What is asserted of private links holds of good ones and not of careless ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from blueprint.rehearsal.account import Account, Applied
from blueprint.rehearsal.assertions.assertion import Outcome, ask
from blueprint.rehearsal.assertions.federation import SERVICE
from blueprint.rehearsal.assertions.federation import federation as assertions
from blueprint.rehearsal.emulator import Emulator

ALPHA = "arn:aws:iam::333344445555:root"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(account_id="123456789012") as running:
        running.wait()
        yield running


def account(
    emulator: Emulator,
    *,
    waits: bool = True,
    principal: str = ALPHA,
    cidr: str = "10.80.0.0/16",
    port: int = 443,
) -> Account:
    made = Account(endpoint=emulator.endpoint, home_region="us-east-1", backup_region="us-west-2", applied=())
    ec2: Any = made.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for n, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(VpcId=vpc, GroupName="link", Description="link")["GroupId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "IpRanges": [{"CidrIp": cidr, "Description": "A silo"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    elbv2: Any = made.client("elbv2")
    (balancer,) = elbv2.create_load_balancer(
        Name=f"link-{vpc[-8:]}",
        Type="network",
        Scheme="internal",
        Subnets=[each["Subnet"]["SubnetId"] for each in subnets],
        SecurityGroups=[group],
    )["LoadBalancers"]
    service = ec2.create_vpc_endpoint_service_configuration(
        AcceptanceRequired=waits, NetworkLoadBalancerArns=[balancer["LoadBalancerArn"]]
    )["ServiceConfiguration"]["ServiceId"]
    ec2.modify_vpc_endpoint_service_permissions(ServiceId=service, AddAllowedPrincipals=[principal])
    applied = Applied(type=SERVICE, name="federation", attributes={"id": service})
    return Account(
        endpoint=emulator.endpoint, home_region="us-east-1", backup_region="us-west-2", applied=(applied,)
    )


def asked(made: Account, words: str) -> Outcome:
    (assertion,) = [each for each in assertions.found if words in each.sentence]
    return ask("federation", assertion, made)


CARELESS: dict[str, tuple[str, dict[str, Any]]] = {
    "nobody accepts": ("waits until somebody accepts", {"waits": False}),
    "anybody may ask": ("by accounts that are named", {"principal": "*"}),
    "from everywhere": ("admits private ranges", {"cidr": "0.0.0.0/0"}),
    "on another port": ("admits private ranges", {"port": 9093}),
}


def test_a_good_link_is_found_good(emulator: Emulator) -> None:
    made = account(emulator)
    for assertion in assertions.found:
        outcome = ask("federation", assertion, made)
        assert outcome.holds, outcome
        assert outcome.looked_at == 1


@pytest.mark.parametrize("case", CARELESS)
def test_a_careless_link_is_found(case: str, emulator: Emulator) -> None:
    words, careless = CARELESS[case]
    assert not asked(account(emulator, **careless), words).holds
