"""The bastion: who gets in, what it may do, and what it does to itself at its first start."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from blueprint.graph import Graph
from components.bastion import Bastion
from tests.components.support import ACCOUNT, BOUNDARY, HOME, TOPIC, built, key, named, one, statements

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGsyI5uYzGkpPqDL1mYvY7lqYlU2rGkWnHZ8yM0dXh3P alice"


def bastion(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "vpc_id": "vpc-1",
        "public_subnet_ids": ["subnet-1", "subnet-2"],
        "allowed_cidrs": ["203.0.113.8/32", "2001:db8:1::/56"],
        "public_keys": [PUBLIC_KEY],
        "destination_cidrs": ["10.0.0.0/19"],
        "s3_prefix_list_id": "pl-1",
        "endpoint_security_group_id": "sg-endpoints",
        "key_arn": key("platform"),
        "logs_key_arn": key("logs"),
        "log_retention_days": 365,
        "alarm_topic_arn": TOPIC,
        "permissions_boundary_arn": BOUNDARY,
        "account_id": ACCOUNT,
        "region": HOME,
        **changed,
    }
    return built(lambda opts, _: Bastion("bastion", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return bastion()


@pytest.fixture(scope="module")
def template(graph: Graph) -> dict[str, Any]:
    return one(graph, "aws:ec2/launchTemplate:LaunchTemplate").inputs


@pytest.fixture(scope="module")
def cloud_config(template: dict[str, Any]) -> dict[str, Any]:
    text = base64.b64decode(template["userData"]).decode()
    assert text.startswith("#cloud-config\n")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def written(cloud_config: dict[str, Any], path: str) -> str:
    return next(str(f["content"]) for f in cloud_config["write_files"] if f["path"] == path)


def test_ssh_comes_from_the_approved_addresses_and_nowhere_else(graph: Graph) -> None:
    group = one(graph, "aws:ec2/securityGroup:SecurityGroup").id
    rules = [r.inputs for r in graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    own = [r for r in rules if r["securityGroupId"] == group]
    assert {r.get("cidrIpv4") or r.get("cidrIpv6") for r in own} == {"203.0.113.8/32", "2001:db8:1::/56"}
    assert {(r["fromPort"], r["toPort"]) for r in own} == {(22, 22)}


def test_it_goes_on_to_ssh_inside_and_to_aws_only(graph: Graph) -> None:
    rules = [r.inputs for r in graph.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")]
    found = {
        (r.get("cidrIpv4") or r.get("prefixListId") or r["referencedSecurityGroupId"], r["toPort"])
        for r in rules
    }
    assert found == {("10.0.0.0/19", 22), ("pl-1", 443), ("sg-endpoints", 443)}


def test_the_machine_is_hardened(template: dict[str, Any]) -> None:
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    disk = template["blockDeviceMappings"][0]["ebs"]
    assert (disk["encrypted"], disk["kmsKeyId"]) == ("true", key("platform"))
    assert "keyName" not in template
    assert template["networkInterfaces"][0]["associatePublicIpAddress"] == "false"


def test_there_is_one_machine_and_it_does_not_grow_old(graph: Graph) -> None:
    group = one(graph, "aws:autoscaling/group:Group").inputs
    assert (group["minSize"], group["maxSize"]) == (1, 1)
    assert group["maxInstanceLifetime"] == 7 * 24 * 3600


def test_sshd_takes_keys_and_nothing_else(cloud_config: dict[str, Any]) -> None:
    assert cloud_config["ssh_pwauth"] is False
    assert cloud_config["disable_root"] is True
    lines = written(cloud_config, "/etc/ssh/sshd_config.d/00-bastion.conf").splitlines()
    for line in (
        "PermitRootLogin no",
        "PasswordAuthentication no",
        "MaxAuthTries 3",
        "ClientAliveInterval 900",
        "LogLevel VERBOSE",
    ):
        assert line in lines


def test_the_approved_keys_and_no_others_get_in(cloud_config: dict[str, Any]) -> None:
    (user,) = cloud_config["users"]
    assert user["ssh_authorized_keys"] == [PUBLIC_KEY]
    assert user["lock_passwd"] is True
    assert "sudo" not in user


def test_sessions_are_recorded_and_shipped(cloud_config: dict[str, Any], graph: Graph) -> None:
    assert "execve" in written(cloud_config, "/etc/audit/rules.d/50-sessions.rules")
    agent = yaml.safe_load(
        written(cloud_config, "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json")
    )
    shipped = {
        f["file_path"]: f["log_group_name"] for f in agent["logs"]["logs_collected"]["files"]["collect_list"]
    }
    assert shipped == {
        "/var/log/secure": "/bastion/sessions",
        "/var/log/audit/audit.log": "/bastion/sessions",
    }
    assert one(graph, "aws:cloudwatch/logGroup:LogGroup").inputs["kmsKeyId"] == key("logs")


def test_failed_sign_ins_ring(graph: Graph) -> None:
    alarm = one(graph, "aws:cloudwatch/metricAlarm:MetricAlarm").inputs
    metric = one(graph, "aws:cloudwatch/logMetricFilter:LogMetricFilter").inputs["metricTransformation"]
    assert (alarm["metricName"], alarm["namespace"]) == (metric["name"], metric["namespace"])
    assert alarm["alarmActions"] == [TOPIC]


def test_its_role_takes_the_address_and_writes_logs(graph: Graph) -> None:
    granted = statements(one(graph, "aws:iam/rolePolicy:RolePolicy"))
    assert all("*" not in s["Resource"] for s in granted)
    address = one(graph, "aws:ec2/eip:Eip")
    assert granted[0]["Resource"] == [address.outputs["arn"]]


PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"allowed_cidrs": ["0.0.0.0/0"]}, "wider than /24"),
        ({"allowed_cidrs": ["2001:db8::/32"]}, "wider than /56"),
        ({"allowed_cidrs": []}, "allowed_cidrs is empty"),
        ({"public_keys": []}, "public_keys is empty"),
        ({"public_keys": [PRIVATE_KEY]}, "is a private key"),
        ({"public_keys": ["ssh-ed25519 AAAA\nssh-rsa BBBB"]}, "not an OpenSSH public key"),
        ({"public_keys": ['command="rm -rf /" ssh-ed25519 AAAA']}, "not an OpenSSH public key"),
    ],
)
def test_a_wrong_argument_is_named_and_not_echoed(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        bastion(**changed)
    assert "b3BlbnNzaC1rZXktdjE" not in str(caught.value)


def test_user_data_fits_into_what_ec2_takes(template: dict[str, Any]) -> None:
    # EC2 takes 16 KB before encoding; fifty keys must still fit.
    many = one(bastion(public_keys=[PUBLIC_KEY] * 50), "aws:ec2/launchTemplate:LaunchTemplate").inputs[
        "userData"
    ]
    assert len(base64.b64decode(many)) <= 16384
    assert (
        named(bastion(), "aws:ec2/launchTemplate:LaunchTemplate", "template").inputs["userData"]
        == template["userData"]
    )
