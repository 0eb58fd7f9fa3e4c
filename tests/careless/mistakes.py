"""The list of mistakes: each is a small piece of a program, and the control that should catch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pulumi_aws as aws

Build = Callable[[str], None]


@dataclass(frozen=True)
class Mistake:
    """``build`` makes the wrong resource under the mistake's own name; ``control`` should say so.

    ``on`` is the name of the resource that the violation is about, where it is not the mistake's own; ``""``
    stands for the stack as a whole.
    """

    control: str
    build: Build
    on: str | None = None

    @property
    def name(self) -> str:
        """The function's name, with dashes: it names the resource."""
        return self.build.__name__.replace("_", "-")


MISTAKES: list[Mistake] = []


def mistake(control: str, *, on: str | None = None) -> Callable[[Build], Build]:
    """Add a mistake to the list."""

    def add(build: Build) -> Build:
        MISTAKES.append(Mistake(control, build, on))
        return build

    return add


@dataclass(frozen=True)
class Base:
    """What the mistakes are made in."""

    vpc: aws.ec2.Vpc
    group: aws.ec2.SecurityGroup
    gateway: aws.ec2.InternetGateway
    network_acl: aws.ec2.NetworkAcl


_base: list[Base] = []


def base() -> Base:
    """Return the surroundings of the program that is running."""
    return _base[-1]


def build_all() -> None:
    """Build the surroundings, then every mistake."""
    vpc = aws.ec2.Vpc("careless", cidr_block="10.0.0.0/16")
    _base.append(
        Base(
            vpc=vpc,
            group=aws.ec2.SecurityGroup("careless", vpc_id=vpc.id, description="Everything"),
            gateway=aws.ec2.InternetGateway("careless", vpc_id=vpc.id),
            network_acl=aws.ec2.NetworkAcl("careless", vpc_id=vpc.id),
        )
    )
    for each in MISTAKES:
        each.build(each.name)
