"""The bastion: who gets in, what it may do, and what it does to itself at its first start."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
import yaml

from blueprint.graph import Graph
from components.bastion import Bastion
from components.bastion_init import USER_DATA_BYTES
from tests.components.support import ACCOUNT, BOUNDARY, HOME, TOPIC, built, key, named, one, statements


def public_key(name: str, *, kind: str = "ssh-ed25519", length: int = 36) -> str:
    """Return a line that is a public key in form: its kind, then as many bytes as keys of that kind have."""
    content = len(kind).to_bytes(4, "big") + kind.encode() + os.urandom(length)
    return f"{kind} {base64.b64encode(content).decode()} {name}".strip()


ALICE, ALICE_AT_HOME, BOB = public_key("alice"), public_key("alice@home"), public_key("bob@laptop")


def bastion(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "vpc_id": "vpc-1",
        "public_subnet_ids": ["subnet-1", "subnet-2"],
        "allowed_cidrs": ["203.0.113.8/32", "2001:db8:1::/56"],
        "public_keys": [ALICE, BOB, ALICE_AT_HOME],
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


def test_no_machine_starts_before_it_may_take_its_address(graph: Graph) -> None:
    waited_for = set(one(graph, "aws:autoscaling/group:Group").dependencies)
    needed = [
        one(graph, "aws:iam/rolePolicy:RolePolicy"),
        one(graph, "aws:cloudwatch/logGroup:LogGroup"),
        named(graph, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "at-endpoints"),
        *graph.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"),
    ]
    assert {resource.urn for resource in needed} <= waited_for


def test_sshd_takes_keys_and_nothing_else(cloud_config: dict[str, Any]) -> None:
    assert cloud_config["ssh_pwauth"] is False
    assert cloud_config["disable_root"] is True
    assert {
        "PermitRootLogin no",
        "PasswordAuthentication no",
        "AuthenticationMethods publickey",
        "AuthorizedKeysCommand none",
        "AllowUsers alice bob",
        "MaxAuthTries 3",
        "LogLevel VERBOSE",
    } <= set(sshd(cloud_config))


def sshd(cloud_config: dict[str, Any]) -> list[str]:
    return written(cloud_config, "/etc/ssh/sshd_config.d/00-bastion.conf").splitlines()


def test_keys_pushed_over_the_api_open_nothing(cloud_config: dict[str, Any]) -> None:
    # sshd's command line, where EC2 Instance Connect stands, would outdo its configuration.
    first = cloud_config["bootcmd"][0]
    assert "ec2-instance-connect" in first[-1]
    assert "rpm -e" in first[-1]


def test_each_person_has_an_account_with_their_own_keys(cloud_config: dict[str, Any]) -> None:
    keys = {user["name"]: user["ssh_authorized_keys"] for user in cloud_config["users"]}
    assert keys == {"alice": [ALICE, ALICE_AT_HOME], "bob": [BOB]}


def test_nobody_on_it_can_become_root_or_the_machine(cloud_config: dict[str, Any]) -> None:
    assert all(user["lock_passwd"] is True and "sudo" not in user for user in cloud_config["users"])
    denied = written(cloud_config, "/etc/systemd/system/user-.slice.d/50-no-metadata.conf")
    assert "IPAddressDeny=169.254.169.254" in denied


def test_it_forwards_to_ssh_alone(cloud_config: dict[str, Any]) -> None:
    assert {
        "AllowTcpForwarding local",
        "PermitOpen *:22",
        "AllowStreamLocalForwarding no",
        "PermitTunnel no",
        "AllowAgentForwarding no",
    } <= set(sshd(cloud_config))


def test_silent_sessions_are_closed(cloud_config: dict[str, Any]) -> None:
    assert "ClientAliveInterval 900" in sshd(cloud_config)
    assert "TMOUT=900" in written(cloud_config, "/etc/profile.d/idle.sh")
    assert "StopIdleSessionSec=900" in written(cloud_config, "/etc/systemd/logind.conf.d/idle.conf")


def test_sessions_are_recorded_and_shipped(cloud_config: dict[str, Any], graph: Graph) -> None:
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


def test_the_kernel_records_commands_and_connections_until_it_stops(cloud_config: dict[str, Any]) -> None:
    # Amazon Linux's own file says "-a never,task", which would record nothing: ours takes its place.
    rules = written(cloud_config, "/etc/audit/rules.d/audit.rules").splitlines()
    assert (rules[0], rules[-1]) == ("-D", "-e 2")
    (session,) = [rule for rule in rules if rule.endswith("-k session")]
    assert {"execve", "connect"} <= set(session.split())
    assert not any("never" in rule for rule in rules)
    # What ran before the rules were loaded is not recorded, so sshd starts again after them.
    commands = cloud_config["runcmd"]
    assert commands.index(["augenrules", "--load"]) < commands.index(["systemctl", "restart", "sshd"])


def test_failed_sign_ins_ring(graph: Graph) -> None:
    alarm = one(graph, "aws:cloudwatch/metricAlarm:MetricAlarm").inputs
    metric = one(graph, "aws:cloudwatch/logMetricFilter:LogMetricFilter").inputs["metricTransformation"]
    assert (alarm["metricName"], alarm["namespace"]) == (metric["name"], metric["namespace"])
    assert alarm["alarmActions"] == [TOPIC]


def test_its_role_takes_its_address_onto_a_bastion_and_writes_its_log(graph: Graph) -> None:
    address, onto, logs = statements(one(graph, "aws:iam/rolePolicy:RolePolicy"))
    assert address["Resource"] == [one(graph, "aws:ec2/eip:Eip").outputs["arn"]]
    assert onto["Condition"] == {"StringEquals": {"aws:ResourceTag/role": "bastion"}}
    assert address["Action"] == onto["Action"] == ["ec2:AssociateAddress"]
    assert logs["Resource"] == [one(graph, "aws:cloudwatch/logGroup:LogGroup").outputs["arn"] + ":*"]


def test_the_tag_that_its_role_asks_for_is_on_the_machine_and_its_interface(
    template: dict[str, Any],
) -> None:
    tagged = {tags["resourceType"]: tags["tags"] for tags in template["tagSpecifications"]}
    assert tagged["instance"]["role"] == tagged["network-interface"]["role"] == "bastion"


PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"
SECRET = "c2VjcmV0LXRleHQ"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"allowed_cidrs": ["0.0.0.0/0"]}, "wider than /24"),
        ({"allowed_cidrs": ["2001:db8::/32"]}, "wider than /56"),
        ({"allowed_cidrs": ["::/0"]}, "wider than /56"),
        ({"allowed_cidrs": []}, "allowed_cidrs is empty"),
        ({"allowed_cidrs": ["203.0.113.8/24"]}, r"allowed_cidrs\[0\] is '203.0.113.8/24'"),
        ({"allowed_cidrs": ["203.0.113.8/32"] * 2}, "stands there twice"),
        ({"destination_cidrs": ["0.0.0.0/0"]}, "not inside a VPC"),
        ({"destination_cidrs": ["::/0"]}, "not inside a VPC"),
        ({"public_keys": []}, "public_keys is empty"),
        ({"public_keys": [PRIVATE_KEY]}, "is a private key"),
        ({"public_keys": [ALICE, SECRET]}, r"public_keys\[1\] is not an OpenSSH public key"),
        ({"public_keys": ["ssh-ed25519 AAAA\nssh-rsa BBBB"]}, "not an OpenSSH public key"),
        ({"public_keys": [f"{ALICE}\nssh-rsa AAAA"]}, "not an OpenSSH public key"),
        ({"public_keys": ['command="rm -rf /" ' + ALICE]}, "not an OpenSSH public key"),
        ({"public_keys": [ALICE.replace("ssh-ed25519", "ecdsa-sha2-nistp256")]}, "not an OpenSSH public key"),
        ({"public_keys": [public_key("a", kind="ssh-rsa", length=268)]}, "not an OpenSSH public key"),
        ({"public_keys": [public_key("")]}, "names no account"),
        ({"public_keys": [public_key("root")]}, "names no account"),
        ({"public_keys": [public_key("bob; reboot")]}, "names no account"),
        ({"public_keys": [public_key(f"u{n}", kind="ssh-rsa", length=523) for n in range(20)]}, "EC2 takes"),
        ({"idle_timeout_minutes": 0}, "idle_timeout_minutes is 0"),
        ({"failed_logins_per_5min": 0}, "failed_logins_per_5min is 0"),
        ({"failed_logins_per_5min": 10**9}, "write 1 to 100"),
        ({"instance_type": "t3.micro"}, "write an arm64 type"),
        ({"instance_type": "g4dn.xlarge"}, "write an arm64 type"),
    ],
)
def test_a_wrong_argument_is_named_and_not_echoed(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        bastion(**changed)
    assert "b3BlbnNzaC1rZXktdjE" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_long_rsa_key_is_taken() -> None:
    graph = bastion(public_keys=[public_key("carol", kind="ssh-rsa", length=407 - 11)])
    assert len(graph.of("aws:ec2/launchTemplate:LaunchTemplate")) == 1


def test_user_data_fits_into_what_ec2_takes_for_fifty_people() -> None:
    many = bastion(public_keys=[public_key(f"firstname-lastname-{n}") for n in range(50)])
    text = base64.b64decode(one(many, "aws:ec2/launchTemplate:LaunchTemplate").inputs["userData"])
    assert len(yaml.safe_load(text)["users"]) == 50
    assert len(text) <= USER_DATA_BYTES
