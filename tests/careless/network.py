"""Careless networks and ways in."""

from __future__ import annotations

import pulumi_aws as aws

from tests.careless.mistakes import base, mistake

WORLD = "0.0.0.0/0"


@mistake("NET-01")
def ssh_group_open_to_the_world(name: str) -> None:
    aws.ec2.SecurityGroup(
        name,
        vpc_id=base().vpc.id,
        description="SSH",
        ingress=[
            {
                "protocol": "tcp",
                "from_port": 8080,
                "to_port": 8080,
                "cidr_blocks": [WORLD],
                "description": "x",
            }
        ],
    )


@mistake("NET-01")
def ipv6_forgotten_in_a_legacy_rule(name: str) -> None:
    aws.ec2.SecurityGroupRule(
        name,
        type="ingress",
        security_group_id=base().group.id,
        protocol="tcp",
        from_port=8080,
        to_port=8080,
        ipv6_cidr_blocks=["::/0"],
        description="metrics",
    )


@mistake("NET-02")
def database_port_open_to_the_world(name: str) -> None:
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=base().group.id,
        ip_protocol="tcp",
        from_port=5432,
        to_port=5432,
        cidr_ipv4=WORLD,
        description="database",
    )


@mistake("NET-02")
def port_range_that_contains_ssh(name: str) -> None:
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=base().group.id,
        ip_protocol="tcp",
        from_port=20,
        to_port=30,
        cidr_ipv4=WORLD,
        description="file transfer",
    )


@mistake("NET-03")
def vpc_with_its_default_group_as_it_came(name: str) -> None:
    aws.ec2.Vpc(name, cidr_block="10.1.0.0/16")


@mistake("NET-04")
def vpc_without_flow_logs(name: str) -> None:
    aws.ec2.Vpc(name, cidr_block="10.2.0.0/16")


@mistake("NET-05")
def subnet_that_hands_out_public_addresses(name: str) -> None:
    aws.ec2.Subnet(name, vpc_id=base().vpc.id, cidr_block="10.0.9.0/24", map_public_ip_on_launch=True)


@mistake("NET-06", on="database-subnet-with-a-way-out-route")
def database_subnet_with_a_way_out(name: str) -> None:
    subnet = aws.ec2.Subnet(name, vpc_id=base().vpc.id, cidr_block="10.0.10.0/24", tags={"tier": "isolated"})
    table = aws.ec2.RouteTable(f"{name}-table", vpc_id=base().vpc.id)
    aws.ec2.Route(
        f"{name}-route", route_table_id=table.id, destination_cidr_block=WORLD, gateway_id=base().gateway.id
    )
    aws.ec2.RouteTableAssociation(f"{name}-association", subnet_id=subnet.id, route_table_id=table.id)


@mistake("NET-09")
def group_that_may_talk_to_everybody(name: str) -> None:
    aws.vpc.SecurityGroupEgressRule(
        name, security_group_id=base().group.id, ip_protocol="-1", cidr_ipv4=WORLD, description="out"
    )


@mistake("NET-10")
def network_acl_that_admits_remote_desktop(name: str) -> None:
    aws.ec2.NetworkAclRule(
        name,
        network_acl_id=base().network_acl.id,
        rule_number=100,
        egress=False,
        protocol="tcp",
        rule_action="allow",
        cidr_block=WORLD,
        from_port=3389,
        to_port=3389,
    )


@mistake("NET-11")
def rule_that_nobody_explained(name: str) -> None:
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=base().group.id,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_ipv4="10.0.0.0/24",
    )


@mistake("NET-14")
def public_load_balancer_beside_the_edge(name: str) -> None:
    aws.lb.LoadBalancer(
        name, internal=False, load_balancer_type="network", subnets=["subnet-0123456789abcdef0"]
    )


@mistake("ACC-01")
def ssh_for_half_the_internet(name: str) -> None:
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=base().group.id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        cidr_ipv4="198.51.0.0/16",
        description="office",
    )


@mistake("ACC-02")
def key_pair_made_by_the_provider(name: str) -> None:
    aws.ec2.KeyPair(name, public_key="-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n")


@mistake("ACC-03")
def instance_with_the_old_metadata_service(name: str) -> None:
    aws.ec2.Instance(
        name, ami="ami-0123456789abcdef0", instance_type="g5.xlarge", associate_public_ip_address=False
    )


@mistake("ACC-03")
def template_with_a_far_metadata_service(name: str) -> None:
    aws.ec2.LaunchTemplate(
        name,
        image_id="ami-0123456789abcdef0",
        metadata_options={
            "http_tokens": "required",
            "http_put_response_hop_limit": 5,
            "http_endpoint": "enabled",
        },
    )


@mistake("ACC-04")
def notebook_server_with_a_public_address(name: str) -> None:
    aws.ec2.Instance(
        name,
        ami="ami-0123456789abcdef0",
        instance_type="g5.xlarge",
        associate_public_ip_address=True,
        metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
    )


@mistake("ACC-07")
def password_in_user_data(name: str) -> None:
    aws.ec2.Instance(
        name,
        ami="ami-0123456789abcdef0",
        instance_type="g5.xlarge",
        user_data="#!/bin/sh\nexport DB_PASSWORD=Sup3rS3cret9Zq\n",
        metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
    )
