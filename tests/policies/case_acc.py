"""Cases of the family ACC."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case

OFFICE = "203.0.113.0/24"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGsyI5uYzGkpPqDL1mYvY7lqYlU2rGkWnHZ8yM0dXh3P alice"
PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"
BASTION = {"role": "bastion"}
TIGHT = {"http_tokens": "required", "http_put_response_hop_limit": 1, "http_endpoint": "enabled"}


def group(tags: dict[str, str] | None = None) -> aws.ec2.SecurityGroup:
    return aws.ec2.SecurityGroup("group", description="x", vpc_id="vpc-0abc", tags=tags)


def ssh(cidr: str, tags: dict[str, str] | None = None) -> None:
    family: dict[str, Any] = {"cidr_ipv6" if ":" in cidr else "cidr_ipv4": cidr}
    aws.vpc.SecurityGroupIngressRule(
        "rule",
        security_group_id=group(tags).id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        description="x",
        **family,
    )


def ssh_from_bastion() -> None:
    bastion = aws.ec2.SecurityGroup("bastion", description="x", vpc_id="vpc-0abc", tags=BASTION)
    aws.vpc.SecurityGroupIngressRule(
        "rule",
        security_group_id=group().id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        description="x",
        referenced_security_group_id=bastion.id,
    )


def inline_ssh(cidr: str, tags: dict[str, str] | None) -> None:
    rule = {"protocol": "tcp", "from_port": 0, "to_port": 1024, "cidr_blocks": [cidr], "description": "x"}
    aws.ec2.SecurityGroup("group", description="x", vpc_id="vpc-0abc", tags=tags, ingress=[rule])  # type: ignore[list-item]


def legacy_everything() -> None:
    aws.ec2.SecurityGroupRule(
        "rule",
        type="ingress",
        security_group_id=group().id,
        protocol="all",
        from_port=0,
        to_port=0,
        cidr_blocks=["10.0.0.0/24"],
        description="x",
    )


def instance(**more: Any) -> None:
    aws.ec2.Instance(
        "machine", ami="ami-0abc", instance_type="g5.xlarge", **{"metadata_options": TIGHT, **more}
    )


def template(**more: Any) -> None:
    aws.ec2.LaunchTemplate("template", **{"metadata_options": TIGHT, **more})


def tls_key() -> None:
    pulumi.CustomResource("tls:index/privateKey:PrivateKey", "key", {"algorithm": "ED25519"})


SSHD = "#cloud-config\nPasswordAuthentication no\nPermitRootLogin no\n"


def bastion(text: str, *, encoded: bool = True) -> None:
    template(tags=BASTION, user_data=base64.b64encode(text.encode()).decode() if encoded else text)


def watched(*, filtered: bool = True, told: bool = True) -> None:
    template(tags=BASTION)
    logs = aws.cloudwatch.LogGroup("logs")
    if filtered:
        aws.cloudwatch.LogMetricFilter(
            "failed",
            log_group_name=logs.name,
            pattern="x",
            metric_transformation={"name": "FailedLogins", "namespace": "ssh", "value": "1"},
        )
    aws.cloudwatch.MetricAlarm(
        "failed",
        metric_name="FailedLogins",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        alarm_actions=["arn:aws:sns:eu-central-1:111122223333:alerts"] if told else [],
    )


def function(**variables: str) -> None:
    aws.lambda_.Function(
        "function",
        role="arn:aws:iam::111122223333:role/f",
        environment={"variables": variables},
        image_uri="x",
    )


def parameter(value: str, name: str = "/app/setting") -> None:
    aws.ssm.Parameter("parameter", name=name, type="String", value=value)


def task(**variables: str) -> None:
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    aws.ecs.TaskDefinition(
        "task", family="t", container_definitions=json.dumps([{"name": "c", "environment": environment}])
    )


TOKEN = "ghp_" + "a1B2" * 9
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db"


def unknown_beside_password() -> None:
    other = aws.ec2.Eip("address", domain="vpc")
    function(ADDRESS=other.public_ip, DB_PASSWORD="Sup3r-S3cret")  # type: ignore[arg-type]


CASES = [
    Case(
        control="ACC-01",
        compliant=lambda: ssh(OFFICE, BASTION),
        violating=lambda: ssh(OFFICE),
        mentions="not the bastion",
    ),
    Case(
        control="ACC-01",
        compliant=ssh_from_bastion,
        violating=lambda: ssh("203.0.0.0/16", BASTION),
        mentions="wide range",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: ssh("2001:db8::/56", BASTION),
        violating=lambda: ssh("::/0", BASTION),
        mentions="wide range",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: inline_ssh(OFFICE, BASTION),
        violating=lambda: inline_ssh("0.0.0.0/1", BASTION),
        mentions="ingress[0].cidrBlocks[0]",
    ),
    Case(
        control="ACC-01", compliant=ssh_from_bastion, violating=legacy_everything, mentions="not the bastion"
    ),
    Case(
        control="ACC-02",
        compliant=lambda: aws.ec2.KeyPair("key", public_key=PUBLIC_KEY),
        violating=lambda: aws.ec2.KeyPair("key", public_key=PRIVATE_KEY),
        mentions="publicKey",
    ),
    Case(control="ACC-02", compliant=lambda: None, violating=tls_key, mentions="private key"),
    Case(
        control="ACC-03",
        compliant=instance,
        violating=lambda: instance(metadata_options=None),
        mentions="httpTokens",
    ),
    Case(
        control="ACC-03",
        compliant=template,
        violating=lambda: template(metadata_options={**TIGHT, "http_tokens": "optional"}),
        mentions="httpTokens",
    ),
    Case(
        control="ACC-03",
        compliant=lambda: template(metadata_options={"http_endpoint": "disabled"}),
        violating=lambda: template(metadata_options={"http_tokens": "required"}),
        mentions="httpPutResponseHopLimit",
    ),
    Case(
        control="ACC-03",
        compliant=instance,
        violating=lambda: aws.ec2.LaunchConfiguration("c", image_id="ami-0abc", instance_type="g5.xlarge"),
        mentions="httpTokens",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: instance(associate_public_ip_address=False),
        violating=lambda: instance(associate_public_ip_address=True),
        mentions="associatePublicIpAddress",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: template(
            tags=BASTION, network_interfaces=[{"associate_public_ip_address": "true"}]
        ),
        violating=lambda: template(network_interfaces=[{"associate_public_ip_address": "true"}]),
        mentions="networkInterfaces[0].associatePublicIpAddress",
    ),
    Case(
        control="ACC-04",
        compliant=instance,
        violating=lambda: instance(ipv6_address_count=1),
        mentions="ipv6AddressCount",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion(SSHD),
        violating=lambda: bastion("PermitRootLogin no"),
        mentions="password",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion('{"ssh_pwauth": false, "disable_root": true}', encoded=False),
        violating=lambda: bastion("PasswordAuthentication no\nPermitRootLogin yes"),
        mentions="root",
    ),
    Case(
        control="ACC-06",
        compliant=watched,
        violating=lambda: watched(filtered=False),
        mentions="no log group",
    ),
    Case(control="ACC-06", compliant=watched, violating=lambda: watched(told=False), mentions="no alarm"),
    Case(
        control="ACC-07",
        compliant=lambda: instance(
            user_data="#!/bin/sh\nexport DB_PASSWORD=$(aws secretsmanager get-secret-value)\n"
        ),
        violating=lambda: instance(user_data="#!/bin/sh\nexport DB_PASSWORD=Sup3rS3cret9\n"),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: bastion(SSHD),
        violating=lambda: template(
            user_data=base64.b64encode(b"aws configure set key AKIAIOSFODNN7EXAMPLE").decode()
        ),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(DB_SECRET_ARN=ARN, LOG_LEVEL="info", PASSWORD_LENGTH="14"),
        violating=lambda: function(DB_PASSWORD="Sup3r-S3cret"),
        mentions="environment.variables.DB_PASSWORD",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(URL="https://example.org"),
        violating=lambda: function(NOTE=TOKEN),
        mentions="NOTE",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(URL="postgres://db:5432/x"),
        violating=lambda: function(URL="postgres://me:hunter22@db:5432/x"),
        mentions="URL",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: parameter("eu-central-1"),
        violating=lambda: parameter(PRIVATE_KEY),
        mentions="value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: parameter("arn:aws:iam::1:role/x", "/app/secret"),
        violating=lambda: parameter("Zx8-kL2p-Qq91", "/app/api_key"),
        mentions="value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: task(MODE="fast"),
        violating=lambda: task(API_TOKEN="Zx8kL2pQq91v"),
        mentions="containerDefinitions",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(MODE="fast"),
        violating=unknown_beside_password,
        mentions="DB_PASSWORD",
    ),
]
